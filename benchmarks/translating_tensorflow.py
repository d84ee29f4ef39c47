"""An encoder and a decoder with additive attention in TensorFlow, as one writes them without Keras."""

import numpy as np
import tensorflow as tf

from benchmarks import native_tensorflow
from benchmarks.cases import translators

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


class Native(native_tensorflow.Native):
    """Training and prediction: one traced function each; arguments and methods as there.

    Args:
        clip: Norm that no gradient exceeds.
    """

    def __init__(self, name, weights, rate, clip, compiled=False):
        self.model, self.rate, self.clip, self.compiled = Seq2Seq(weights), rate, clip, compiled
        self.train = None
        self.forward = tf.function(self.model, jit_compile=compiled)

    def traced(self):
        """A training step with Adam, and the memory that Adam keeps."""
        optimizer = native_tensorflow.AdamW(self.model.trainable_variables, self.rate)

        @tf.function(jit_compile=self.compiled, reduce_retracing=True)
        def step(x, y):
            before = tf.pad(y[:, :-1], [[0, 0], [1, 0]], constant_values=START)
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, self.model(x, before))
                loss = tf.reduce_mean(losses)
            found = tape.gradient(loss, optimizer.learned)
            gradients, _ = tf.clip_by_global_norm([tf.convert_to_tensor(g) for g in found], self.clip)
            optimizer.step(gradients)
            return loss

        return step

    def predict(self, x, batch_size):
        """Logits under teacher forcing."""
        rows = range(0, len(x[0]), batch_size)
        return np.concatenate([self.forward(*(v[i : i + batch_size] for v in x)) for i in rows])
