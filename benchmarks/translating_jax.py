"""An encoder and a decoder with additive attention in JAX, as one writes them without Keras: by `lax.scan`."""

import jax
from jax import lax
from jax import numpy as jnp

from benchmarks.cases import translators
from benchmarks.native_jax import Clipped

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


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip):
        super().__init__(translate, translators(weights), rate, clip)

    def seen(self, x, y):
        return x, jnp.pad(y[:, :-1], ((0, 0), (1, 0)), constant_values=START)
