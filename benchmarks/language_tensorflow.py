"""An LSTM language model in TensorFlow, as one writes it without Keras: by `tf.while_loop`s."""

import tensorflow as tf

from benchmarks.native_tensorflow import Clipped


class LanguageModel(tf.Module):
    """Tokens to logits at each place. What the input of a layer adds is worked out before its loop."""

    def __init__(self, weights):
        super().__init__()
        self.weights = {name: [tf.Variable(w) for w in values] for name, values in weights.items()}

    def __call__(self, tokens):
        (vectors,) = self.weights["embedding"]
        x = tf.transpose(tf.gather(vectors, tokens), (1, 0, 2))
        for name in sorted(name for name in self.weights if name.startswith("lstm")):
            x = self.layer(x, *self.weights[name])
        kernel, bias = self.weights["logits"]
        return tf.tensordot(tf.transpose(x, (1, 0, 2)), kernel, 1) + bias

    @staticmethod
    def layer(x, kernel, recurrent_kernel, bias):
        """(time, batch, features) to (time, batch, units)."""
        units, count = recurrent_kernel.shape[0], x.shape[0]
        added = tf.tensordot(x, kernel, 1) + bias
        read = tf.TensorArray("float32", count, element_shape=(None, 4 * units)).unstack(added).read

        def step(t, h, c, outputs):
            enter, keep, new, leave = tf.split(read(t) + tf.matmul(h, recurrent_kernel), 4, axis=-1)
            c = tf.sigmoid(keep) * c + tf.sigmoid(enter) * tf.tanh(new)
            h = tf.sigmoid(leave) * tf.tanh(c)
            return t + 1, h, c, outputs.write(t, h)

        zeros = tf.zeros((tf.shape(x)[1], units))
        outputs = tf.TensorArray("float32", count, element_shape=(None, units))
        _, _, _, outputs = tf.while_loop(
            lambda t, *_: t < count, step, (0, zeros, zeros, outputs), maximum_iterations=count
        )
        return outputs.stack()


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip, compiled=False):
        super().__init__(LanguageModel(weights), rate, clip, compiled)
