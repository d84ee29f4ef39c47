"""The models in JAX, as one writes them without Keras: pure functions of a tree of arrays."""

from functools import partial

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from benchmarks.cases import stages

IMAGES = ("NHWC", "HWIO", "NHWC")


def convolve(x, kernel, stride=1, padding=0):
    sides = [(padding, padding)] * 2
    return lax.conv_general_dilated(x, kernel, (stride, stride), sides, dimension_numbers=IMAGES)


def pool(x, size, stride, padding=0):
    sides = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), sides)


def normalise(x, gamma, beta, mean, variance):
    return (x - mean) * (gamma * lax.rsqrt(variance + 1e-5)) + beta


def normalised(learned, moving, name, x, stride, training, seen):
    """Convolve, and normalise over the batch; new moving averages go into `seen`."""
    (kernel,), (gamma, beta), (mean, variance) = (
        learned[name],
        learned[f"{name}_norm"],
        moving[f"{name}_norm"],
    )
    x = convolve(x, kernel, stride, kernel.shape[0] // 2)
    if not training:
        return normalise(x, gamma, beta, mean, variance)
    now, spread = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
    seen[f"{name}_norm"] = (0.9 * mean + 0.1 * now, 0.9 * variance + 0.1 * spread)
    return normalise(x, gamma, beta, now, spread)


def resnet(learned, moving, x, training):
    """A network for large images, with bottlenecks, or for small ones, without."""
    depths, convolutions = stages(learned)
    seen = {}
    layer = partial(normalised, learned, moving, training=training, seen=seen)
    large = convolutions == 3
    x = jax.nn.relu(layer("conv1", x, 2 if large else 1))
    if large:
        x = pool(x, 3, 2, 1)
    for stage, depth in depths:
        for i in range(depth):
            name, stride = f"stage{stage}_block{i + 1}", 2 if i == 0 and stage > depths[0][0] else 1
            y = x
            for j in range(convolutions):
                y = layer(f"{name}_conv{j + 1}", y, stride if j == convolutions - 2 else 1)
                if j < convolutions - 1:
                    y = jax.nn.relu(y)
            if f"{name}_shortcut" in learned:
                x = layer(f"{name}_shortcut", x, stride)
            elif stride > 1:  # option A: leave pixels out, and add channels of zeros
                more = y.shape[-1] - x.shape[-1]
                x = jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, more)))
            x = jax.nn.relu(x + y)
    kernel, bias = learned["logits"]
    return jnp.mean(x, (1, 2)) @ kernel + bias, seen


def lenet5(learned, moving, x, training):
    def dense(name, x):
        kernel, bias = learned[name]
        return x @ kernel + bias

    for name, padding in (("c1", 2), ("c3", 0)):
        kernel, bias = learned[name]
        x = pool(jax.nn.relu(convolve(x, kernel, 1, padding) + bias), 2, 2)
    x = jax.nn.relu(dense("c5", x.reshape(len(x), -1)))
    return dense("logits", jax.nn.relu(dense("f6", x))), {}


MODELS = {"lenet5": lenet5, "resnet50": resnet, "resnet20": resnet}


def descend(weights, gradient, memory, rate, decay=0.0, beta=0.9):
    """The weights and the memory of AdamW after an update, with Keras' epsilon."""
    first, second, count = memory
    count = count + 1
    now = rate * jnp.sqrt(1 - 0.999**count) / (1 - beta**count)
    first = jax.tree.map(lambda m, g: m + (1 - beta) * (g - m), first, gradient)
    second = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), second, gradient)

    def moved(w, m, v):
        return w * (1 - rate * decay) - now * m / (jnp.sqrt(v) + 1e-7)

    return jax.tree.map(moved, weights, first, second), first, second, count


class Native:
    """Training and prediction: one compiled function each, which reuses the memory of its state.

    Args:
        name: A key of `MODELS`.
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
    """

    def __init__(self, name, weights, rate):
        model = MODELS[name]
        norms = [key for key in weights if key.endswith("_norm")]
        learned = {key: tuple(map(jnp.array, w[:2] if key in norms else w)) for key, w in weights.items()}
        moving = {key: tuple(map(jnp.array, weights[key][2:])) for key in norms}
        self.state = learned, moving  # and Adam's part of it, from the first step on

        def loss(learned, moving, x, y):
            logits, moving = model(learned, moving, x, True)
            logs = jax.nn.log_softmax(logits)
            return -jnp.mean(jnp.take_along_axis(logs, y[:, None], 1)), moving

        @partial(jax.jit, donate_argnums=0)
        def step(state, x, y):
            learned, moving, *memory = state
            (value, moving), gradient = jax.value_and_grad(loss, has_aux=True)(learned, moving, x, y)
            learned, *memory = descend(learned, gradient, memory, rate)
            return value, (learned, moving, *memory)

        self.compiled = step
        self.forward = jax.jit(lambda learned, moving, x: model(learned, moving, x, False)[0])

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        if len(self.state) == 2:
            zeros = [jax.tree.map(jnp.zeros_like, self.state[0]) for _ in range(2)]
            self.state = *self.state, *zeros, jnp.zeros((), "int32")
        loss, self.state = self.compiled(self.state, x, y)
        return [loss]

    def predict(self, x, batch_size):
        """Logits of all images."""
        learned, moving = self.state[:2]
        return np.concatenate(
            [self.forward(learned, moving, x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
        )


class Clipped:
    """Training and prediction of a net of another kind: one compiled function each, which reuses the memory of its state.

    Args:
        model: Function of weights and inputs, which gives logits, classes last.
        weights: A tree of arrays.
        rate: Learning rate of Adam.
        clip: Norm that no gradient exceeds.
    """

    def __init__(self, model, weights, rate, clip):
        weights = jax.tree.map(jnp.array, weights)
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = weights, *zeros, jnp.zeros((), "int32")
        self.forward = jax.jit(model)

        def loss(weights, x, y):
            logs = jax.nn.log_softmax(model(weights, *self.seen(x, y)))
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

    def seen(self, x, y):
        """What the model is called with while it learns."""
        return (x,)

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        loss, self.state = self.compiled(self.state, x, y)
        return [loss]

    def predict(self, x, batch_size):
        """Logits of all that is in an array, or in several, one for each input."""
        x = x if isinstance(x, tuple) else (x,)
        rows = range(0, len(x[0]), batch_size)
        return np.concatenate(
            [self.forward(self.state[0], *(v[i : i + batch_size] for v in x)) for i in rows]
        )
