"""An LSTM that classifies sequences, in TensorFlow, as one writes it without Keras: by a `tf.while_loop`."""

import tensorflow as tf

from benchmarks import native_tensorflow


class Classifier(tf.Module):
    """Sequences to logits, by the state after the last step. What the input adds is worked out before the loop."""

    def __init__(self, weights):
        super().__init__()
        self.weights = {name: [tf.Variable(w) for w in values] for name, values in weights.items()}

    def __call__(self, x, training):
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


class Native(native_tensorflow.Native):
    """Training and prediction: one traced function each; arguments and methods as there.

    Args:
        clip: Norm that no gradient exceeds.
    """

    def __init__(self, name, weights, rate, clip, compiled=False):
        self.model, self.rate, self.clip, self.compiled = Classifier(weights), rate, clip, compiled
        self.train = None
        self.forward = tf.function(lambda x: self.model(x, False), jit_compile=compiled)

    def traced(self):
        """A training step with Adam, and the memory that Adam keeps."""
        optimizer = native_tensorflow.AdamW(self.model.trainable_variables, self.rate)

        @tf.function(jit_compile=self.compiled, reduce_retracing=True)
        def step(x, y):
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, self.model(x, True))
                loss = tf.reduce_mean(losses)
            gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, optimizer.learned), self.clip)
            optimizer.step(gradients)
            return loss

        return step
