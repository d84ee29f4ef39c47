"""An encoder and a decoder with additive attention in TensorFlow, as one writes them without Keras."""

import tensorflow as tf

from benchmarks.cases import translators
from benchmarks.native_tensorflow import Clipped

START = 2


def gates(z, c):
    """The state of an LSTM after a step."""
    enter, keep, new, leave = tf.split(z, 4, axis=-1)
    c = tf.sigmoid(keep) * c + tf.sigmoid(enter) * tf.tanh(new)
    return tf.sigmoid(leave) * tf.tanh(c), c


def loop(step, added, state, widths):
    """What `step` makes of each of `added`, (time, batch, features), and the last state: by a `tf.while_loop`."""
    count = added.shape[0]  # XLA must know it
    read = tf.TensorArray("float32", count, element_shape=added.shape[1:]).unstack(added).read
    made = [tf.TensorArray("float32", count, element_shape=(None, width)) for width in widths]

    def body(t, state, made):
        state, outputs = step(state, read(t))
        return t + 1, state, [array.write(t, v) for array, v in zip(made, outputs, strict=True)]

    _, state, made = tf.while_loop(lambda t, *_: t < count, body, (0, state, made), maximum_iterations=count)
    return state, [array.stack() for array in made]


class Seq2Seq(tf.Module):
    """Source and target tokens to logits. What does not depend on the state is worked out before the loops."""

    def __init__(self, weights):
        super().__init__()
        self.encoder, self.decoder = ([tf.Variable(w) for w in side] for side in translators(weights))

    def __call__(self, source, target):
        embeddings, kernel, recurrent, bias = self.encoder
        words, added, from_context, from_state, shift, direction, query, key, *last = self.decoder
        readout, readout_bias, logits, logits_bias = last
        units = recurrent.shape[0]

        def read(state, z):
            h, c = gates(z + tf.matmul(state[0], recurrent), state[1])
            return [h, c], [h]

        def write(state, z):
            h, c = state
            fit = times(tf.tanh(keys + tf.matmul(h, query)[:, None]), direction)
            context = tf.matmul(tf.nn.softmax(fit[..., 0])[:, None], memory)[:, 0]
            h, c = gates(z + tf.matmul(context, from_context) + tf.matmul(h, from_state), c)
            return [h, c], [h, context]

        zeros = tf.zeros((tf.shape(source)[0], units))
        embedded = tf.gather(embeddings, tf.transpose(source[:, ::-1]))
        state, (memory,) = loop(read, times(embedded, kernel) + bias, [zeros, zeros], [units])
        memory, embedded = tf.transpose(memory, (1, 0, 2)), tf.gather(words, tf.transpose(target))
        keys = times(memory, key)
        _, made = loop(write, times(embedded, added) + shift, state, [units, units])
        x = times(tf.concat([*made, embedded], -1), readout) + readout_bias
        x = tf.reduce_max(tf.reshape(x, (*tf.unstack(tf.shape(x))[:-1], x.shape[-1] // 2, 2)), -1)
        return times(tf.transpose(x, (1, 0, 2)), logits) + logits_bias


def times(x, kernel):
    """A product with one matrix: a batch of products with the same one is slower."""
    return tf.tensordot(x, kernel, 1)


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip, compiled=False):
        super().__init__(Seq2Seq(weights), rate, clip, compiled)

    def seen(self, x, y):
        return x, tf.pad(y[:, :-1], [[0, 0], [1, 0]], constant_values=START)
