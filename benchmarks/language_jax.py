"""An LSTM language model in JAX, as one writes it without Keras: by `lax.scan`."""

from functools import partial

import jax
from jax import lax
from jax import numpy as jnp

from benchmarks import recurrent_jax
from benchmarks.native_jax import descend


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


class Native(recurrent_jax.Native):
    """Training and prediction: one compiled function each; arguments and methods as there."""

    def __init__(self, name, weights, rate, clip):
        weights = {key: tuple(map(jnp.array, arrays)) for key, arrays in weights.items()}
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = weights, *zeros, jnp.zeros((), "int32")
        self.forward = jax.jit(foretell)

        def loss(weights, x, y):
            logs = jax.nn.log_softmax(foretell(weights, x))
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
