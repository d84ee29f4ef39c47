"""An LSTM that classifies sequences, in TensorFlow, as one writes it without Keras: by a `tf.while_loop`."""

import tensorflow as tf

from benchmarks.native_tensorflow import Clipped


class Classifier(tf.Module):
    """Sequences to logits, by the state after the last step. What the input adds is worked out before the loop."""

    def __init__(self, weights):
        super().__init__()
        self.weights = {name: [tf.Variable(w) for w in values] for name, values in weights.items()}

    def __call__(self, x):
        kernel, recurrent_kernel, bias = self.weights["recurrent1"]
        count, units = tf.shape(x)[1], recurrent_kernel.shape[0]
        added = tf.tensordot(tf.transpose(x, (1, 0, 2)), kernel, 1) + bias
        read = tf.TensorArray("float32", count, element_shape=(None, 4 * units)).unstack(added).read

        def step(t, h, c):
            enter, keep, new, leave = tf.split(read(t) + tf.matmul(h, recurrent_kernel), 4, axis=-1)
            c = tf.sigmoid(keep) * c + tf.sigmoid(enter) * tf.tanh(new)
            return t + 1, tf.sigmoid(leave) * tf.tanh(c), c

        zeros = tf.zeros((tf.shape(x)[0], units))
        _, h, _ = tf.while_loop(lambda t, *_: t < count, step, (0, zeros, zeros), maximum_iterations=count)
        kernel, bias = self.weights["logits"]
        return tf.matmul(h, kernel) + bias


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip, compiled=False):
        super().__init__(Classifier(weights), rate, clip, compiled)
