"""An LSTM language model in JAX, as one writes it without Keras: by `lax.scan`."""

import jax
from jax import lax
from jax import numpy as jnp

from benchmarks.native_jax import Clipped


def foretell(weights, tokens):
    """Logits at each place. What the input of a layer adds to each step is worked out before its loop."""
    (vectors,) = weights["embedding"]
    x = jnp.swapaxes(vectors[tokens], 0, 1)
    for name in sorted(name for name in weights if name.startswith("lstm")):
        kernel, recurrent_kernel, bias = weights[name]

        def step(state, z, recurrent_kernel=recurrent_kernel):
            h, c = state
            enter, keep, new, leave = jnp.split(z + h @ recurrent_kernel, 4, axis=-1)
            c = jax.nn.sigmoid(keep) * c + jax.nn.sigmoid(enter) * jnp.tanh(new)
            h = jax.nn.sigmoid(leave) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((tokens.shape[0], len(recurrent_kernel)))
        _, x = lax.scan(step, (zeros, zeros), x @ kernel + bias)
    kernel, bias = weights["logits"]
    return jnp.swapaxes(x, 0, 1) @ kernel + bias


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip):
        super().__init__(foretell, weights, rate, clip)
