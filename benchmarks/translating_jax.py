"""An encoder and a decoder with additive attention in JAX, as one writes them without Keras: by `lax.scan`."""

from functools import partial

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from benchmarks.cases import translators
from benchmarks.native_jax import descend

START = 2


def gates(z, c):
    """The state of an LSTM after a step."""
    enter, keep, new, leave = jnp.split(z, 4, axis=-1)
    c = jax.nn.sigmoid(keep) * c + jax.nn.sigmoid(enter) * jnp.tanh(new)
    return jax.nn.sigmoid(leave) * jnp.tanh(c), c


def translate(weights, source, target):
    """Logits of each next token. What does not depend on the state is worked out before the loops."""
    (embeddings, kernel, recurrent, bias), decoder = weights
    words, added, from_context, from_state, shift, direction, query, key, *last = decoder
    readout, readout_bias, logits, logits_bias = last

    def read(state, z):
        h, c = gates(z + state[0] @ recurrent, state[1])
        return (h, c), h

    def write(state, z):
        h, c = state
        fit = jnp.tanh(keys + (h @ query)[:, None]) @ direction
        context = jnp.einsum("bs,bsf->bf", jax.nn.softmax(fit[..., 0]), memory)
        h, c = gates(z + context @ from_context + h @ from_state, c)
        return (h, c), (h, context)

    zeros = jnp.zeros((len(source), len(recurrent)))
    state, memory = lax.scan(read, (zeros, zeros), embeddings[source[:, ::-1].T] @ kernel + bias)
    memory, embedded = jnp.swapaxes(memory, 0, 1), words[target.T]
    keys = memory @ key
    _, (outputs, contexts) = lax.scan(write, state, embedded @ added + shift)
    x = jnp.concatenate([outputs, contexts, embedded], -1) @ readout + readout_bias
    x = jnp.max(x.reshape(*x.shape[:-1], -1, 2), -1)
    return jnp.swapaxes(x, 0, 1) @ logits + logits_bias


class Native:
    """Training and prediction: one compiled function each, which reuses the memory of its state.

    Args:
        name: Of the model; there is one.
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        clip: Norm that no gradient exceeds.
    """

    def __init__(self, name, weights, rate, clip):
        weights = [list(map(jnp.array, side)) for side in translators(weights)]
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = weights, *zeros, jnp.zeros((), "int32")
        self.forward = jax.jit(translate)

        def loss(weights, x, y):
            logs = jax.nn.log_softmax(
                translate(weights, x, jnp.pad(y[:, :-1], ((0, 0), (1, 0)), constant_values=START))
            )
            return -jnp.mean(jnp.take_along_axis(logs, y[..., None], -1))

        @partial(jax.jit, donate_argnums=0)
        def step(state, x, y):
            weights, *memory = state
            value, gradient = jax.value_and_grad(loss)(weights, x, y)
            norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
            gradient = jax.tree.map(lambda g: g * jnp.minimum(1.0, clip / norm), gradient)
            weights, *memory = descend(weights, gradient, memory, rate)
            return value, (weights, *memory)

        self.compiled = step

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        loss, self.state = self.compiled(self.state, x, y)
        return [loss]

    def predict(self, x, batch_size):
        """Logits under teacher forcing."""
        rows = range(0, len(x[0]), batch_size)
        return np.concatenate(
            [self.forward(self.state[0], *(v[i : i + batch_size] for v in x)) for i in rows]
        )
