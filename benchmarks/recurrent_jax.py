"""An LSTM that classifies sequences, in JAX, as one writes it without Keras: by `lax.scan`."""

import jax
from jax import lax
from jax import numpy as jnp

from benchmarks.native_jax import Clipped


def classify(weights, x):
    """Logits, by the state after the last step. What the input adds to each step is worked out before the loop."""
    kernel, recurrent_kernel, bias = weights["recurrent1"]
    added = jnp.swapaxes(x, 0, 1) @ kernel + bias

    def step(state, z):
        h, c = state
        enter, keep, new, leave = jnp.split(z + h @ recurrent_kernel, 4, axis=-1)
        c = jax.nn.sigmoid(keep) * c + jax.nn.sigmoid(enter) * jnp.tanh(new)
        return (jax.nn.sigmoid(leave) * jnp.tanh(c), c), None

    zeros = jnp.zeros((len(x), len(recurrent_kernel)))
    (h, _), _ = lax.scan(step, (zeros, zeros), added)
    kernel, bias = weights["logits"]
    return h @ kernel + bias


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip):
        super().__init__(classify, weights, rate, clip)
