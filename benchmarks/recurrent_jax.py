"""An LSTM that classifies sequences, in JAX, as one writes it without Keras: by `lax.scan`."""

from functools import partial

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from benchmarks.native_jax import descend


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


class Native:
    """Training and prediction: one compiled function each, which reuses the memory of its state.

    Args:
        name: Of the model; there is one.
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        clip: Norm that no gradient exceeds.
    """

    def __init__(self, name, weights, rate, clip):
        weights = {key: tuple(map(jnp.array, arrays)) for key, arrays in weights.items()}
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = weights, *zeros, jnp.zeros((), "int32")
        self.forward = jax.jit(classify)

        def loss(weights, x, y):
            logs = jax.nn.log_softmax(classify(weights, x))
            return -jnp.mean(jnp.take_along_axis(logs, y[:, None], 1))

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
        """Logits of all sequences."""
        weights = self.state[0]
        return np.concatenate(
            [self.forward(weights, x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
        )
