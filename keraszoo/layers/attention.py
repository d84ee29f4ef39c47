"""Additive attention, and a recurrent layer that looks back at a sequence before each of its steps.

Bahdanau, Cho, Bengio 2014, https://arxiv.org/abs/1409.0473.
"""

import keras
from keras import layers, ops

from keraszoo.backend import recurrent
from keraszoo.layers.dense import Dense

CELLS = {"lstm": 4, "gru": 3}  # and the matrices that each has for an input


@keras.saving.register_keras_serializable("keraszoo")
class AdditiveAttention(layers.Layer):
    """A mean of a sequence, weighted by how well each of its steps answers a query: a small network says how well.

    `e_j = v . tanh(W query + U h_j)`, and the weights are the softmax of `e`. Appendix A.1.2 of the paper.

    Args:
        units: Hidden units of the network.

    Shapes:
        query:   (batch, query features), floating.
        looked:  What `prepare` makes of the sequence.
        returns: The mean, (batch, features), and the weights, (batch, source), float32, that sum to 1.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.of_query = Dense(units, use_bias=False, name="query")
        self.of_key = Dense(units, use_bias=False, name="key")
        self.units = units

    def build(self, query_shape, memory_shape=None):
        self.of_query.build(query_shape)
        self.of_key.build(memory_shape or query_shape)
        self.direction = self.add_weight((self.units, 1), "glorot_uniform", name="direction")

    def prepare(self, memory, mask=None):
        """All that does not depend on a query, so that it is worked out once.

        Args:
            memory: (batch, source, features), floating: the sequence.
            mask: (batch, source), bool, True at real steps, of which each sequence has one; None if all are real.

        Returns:
            List of tensors: `U h_j`, (batch, source, units); the sequence; and what is added to `e`,
            (batch, source), float32: 0 at real steps.
        """
        allowed = ops.ones(ops.shape(memory)[:2], "bool") if mask is None else mask
        return [self.of_key(memory), memory, ops.where(allowed, 0.0, -1e30)]

    def call(self, query, looked):
        keys, memory, barred = looked
        hidden = ops.tanh(keys + ops.expand_dims(self.of_query(query), 1))
        fit = ops.squeeze(ops.matmul(hidden, ops.cast(self.direction, hidden.dtype)), -1)
        weights = ops.softmax(ops.cast(fit, "float32") + ops.cast(barred, "float32"))
        return weighted(weights, memory), weights


def weighted(weights, memory):
    """A weighted sum over a sequence: (batch, source) and (batch, source, features) to (batch, features)."""
    return ops.squeeze(ops.matmul(ops.expand_dims(ops.cast(weights, memory.dtype), 1), memory), 1)


@keras.saving.register_keras_serializable("keraszoo")
class AttentiveRNN(layers.Layer):
    """An LSTM or GRU that looks at another sequence before each step, and takes what it has found as an input.

    `c_t = attention(h_{t-1})`, `h_t = cell([x_t, c_t], h_{t-1})`. Section 3.1 of the paper.

    Args:
        units: Features of the state, and hidden units of the attention.
        cell: "lstm" or "gru" (whose reset gate acts after the matrix product, as in Keras and torch).

    Shapes:
        x:       (batch, time, features), floating.
        looked:  What `prepare(memory, mask)` makes of the sequence to look at; see `AdditiveAttention`.
        states:  List of (batch, units): `[h, c]` for "lstm", `[h]` for "gru".
        returns: The outputs, (batch, time, units); what was found at each step, (batch, time, memory features);
            the weights, (batch, time, source), rows sum to 1; and the list of the last states.

    Raises:
        ValueError: `cell` is unknown.
    """

    def __init__(self, units, cell="lstm", **kwargs):
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"cell must be {' or '.join(map(repr, CELLS))}, got {cell!r}.")
        self.units, self.cell = units, cell
        self.attention = AdditiveAttention(units, name="attention")
        self.supports_jit = recurrent.COMPILES

    def build(self, shape, memory_shape=None):
        memory_shape = memory_shape or shape
        width = CELLS[self.cell] * self.units
        self.attention.build((None, self.units), memory_shape)
        self.kernel = self.add_weight((shape[-1], width), "glorot_uniform", name="kernel")
        self.context_kernel = self.add_weight(
            (memory_shape[-1], width), "glorot_uniform", name="context_kernel"
        )
        self.recurrent_kernel = self.add_weight((self.units, width), "orthogonal", name="recurrent_kernel")
        both = (2, width) if self.cell == "gru" else (width,)  # of the input and of the state
        self.bias = self.add_weight(both, self.first_bias, name="bias")

    def first_bias(self, shape, dtype=None):
        """Zeros, but ones for the gate by which an LSTM forgets."""
        bias = ops.zeros(shape, dtype)
        if self.cell == "gru":
            return bias
        return ops.concatenate([bias[: self.units], bias[: self.units] + 1, bias[2 * self.units :]])

    def prepare(self, memory, mask=None):
        """What is worked out once for a sequence to look at; see `AdditiveAttention.prepare`."""
        return self.attention.prepare(memory, mask)

    def call(self, x, looked, states):
        features = looked[1].shape[-1]
        context_kernel, u = (
            ops.convert_to_tensor(kernel) for kernel in (self.context_kernel, self.recurrent_kernel)
        )
        lstm = self.cell == "lstm"
        bias, inner = (self.bias, None) if lstm else (self.bias[0], self.bias[1])

        def step(z, states):
            _, h, *rest = states
            context, weights = self.attention(h, looked)
            z = z + context @ context_kernel
            new = lstm_step(z + h @ u, *rest) if lstm else gru_step(z, h @ u + inner, h)
            made = ops.concatenate([new[0], context, ops.cast(weights, h.dtype)], axis=-1)
            return [made, *new]

        h = ops.cast(states[0], self.compute_dtype)
        source = ops.zeros_like(looked[2])
        before = ops.concatenate([h, ops.zeros_like(looked[1][:, 0]), ops.cast(source, h.dtype)], axis=-1)
        made, states = recurrent.scan(step, x, [before, *states], self.kernel, bias)
        end, steps = self.units + features, ops.shape(made)[:2]
        outputs = ops.reshape(
            made[..., : self.units], (*steps, self.units)
        )  # TensorFlow may not know any more
        context = ops.reshape(made[..., self.units : end], (*steps, features))
        return outputs, context, made[..., end:], states[1:]


def lstm_step(z, c):
    """The new `[h, c]`; gates in the order input, forget, cell, output."""
    enter, keep, new, leave = ops.split(z, 4, axis=-1)
    c = ops.sigmoid(keep) * c + ops.sigmoid(enter) * ops.tanh(new)
    return [ops.sigmoid(leave) * ops.tanh(c), c]


def gru_step(z, at_h, h):
    """The new `[h]`; gates in the order update, reset, new."""
    (update, reset, new), (update_h, reset_h, new_h) = (ops.split(v, 3, axis=-1) for v in (z, at_h))
    update = ops.sigmoid(update + update_h)
    new = ops.tanh(new + ops.sigmoid(reset + reset_h) * new_h)
    return [update * h + (1 - update) * new]
