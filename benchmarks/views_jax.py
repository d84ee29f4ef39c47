"""NeRF in JAX, as one writes it without Keras: pure functions of lists of arrays."""

from functools import partial

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.cases import fields
from benchmarks.vision_jax import Learner


def encoded(x, frequencies):
    waves = x[..., None, :] * 2.0 ** jnp.arange(frequencies)[:, None]
    waves = jnp.concatenate([jnp.sin(waves), jnp.cos(waves)], -1)
    return jnp.concatenate([x, waves.reshape(*x.shape[:-1], -1)], -1)


def field(layers, points, directions, skip, waves):
    """What is at places (rays, samples, 3), seen in directions (rays, 3): densities and logits of colours."""

    def dense(x, name):
        kernel, bias = layers[name]
        return x @ kernel + bias

    x = place = encoded(points, waves[0])
    for i in range(sum("dense" in name for name in layers)):
        x = jax.nn.relu(dense(x, f"dense_{i}"))
        if i + 1 == skip:
            x = jnp.concatenate([place, x], -1)
    density, x = dense(x, "density")[..., 0], dense(x, "feature")
    view = encoded(directions, waves[1]) @ layers["view_seen"][0]
    return density, dense(jax.nn.relu(dense(x, "feature_seen") + view[:, None]), "color")


def resampled(edges, weights, draws):
    """Places drawn from histograms by inverse transform."""
    weights = weights + 1e-5
    shares = weights / jnp.sum(weights, -1, keepdims=True)
    reached = jnp.pad(jnp.cumsum(shares[:, :-1], -1), ((0, 0), (1, 0)))
    reached = jnp.pad(reached, ((0, 0), (0, 1)), constant_values=1.0)
    above = jax.vmap(partial(jnp.searchsorted, side="right", method="compare_all"))(reached, draws)
    below, above = jnp.maximum(above - 1, 0), jnp.minimum(above, reached.shape[1] - 1)
    at = partial(jnp.take_along_axis, axis=1)
    low, left = at(reached, below), at(edges, below)
    width = at(reached, above) - low
    width = jnp.where(width < 1e-5, 1.0, width)
    return left + (draws - low) / width * (at(edges, above) - left)


def scene(learned, rays, draws, skip, waves, samples, near, far, noise):
    """Rays (rays, 6) to coarse colours, colours, depths and opacities, (rays, 8)."""
    origins, directions = rays[:, :3], rays[:, 3:]
    lengths = jnp.linalg.norm(directions, axis=-1, keepdims=True)
    even = jnp.linspace(near, far, samples[0])
    if draws is None:
        t = jnp.broadcast_to(even, (len(rays), samples[0]))
        one, two, places = 0.0, 0.0, jnp.broadcast_to(jnp.linspace(0, 1, samples[1]), (len(rays), samples[1]))
    else:
        jitter, one, places, two = draws
        edges = jnp.concatenate([even[:1], (even[1:] + even[:-1]) / 2, even[-1:]])
        t = edges[:-1] + jitter * jnp.diff(edges)

    def seen(layers, t, noise):
        points = origins[:, None] + t[..., None] * directions[:, None]
        density, color = field(layers, points, directions / lengths, skip, waves)
        steps = jnp.pad(jnp.diff(t) * lengths, ((0, 0), (0, 1)), constant_values=1e10)
        thickness = jax.nn.relu(density + noise) * steps
        before = jnp.pad(jnp.cumsum(thickness[:, :-1], -1), ((0, 0), (1, 0)))
        weights = (1 - jnp.exp(-thickness)) * jnp.exp(-before)
        return jnp.sum(weights[..., None] * jax.nn.sigmoid(color), 1), weights

    coarse, weights = seen(learned[0], t, one)
    more = resampled((t[:, 1:] + t[:, :-1]) / 2, weights[:, 1:-1], places)
    t = jax.lax.stop_gradient(jnp.sort(jnp.concatenate([t, more], -1), -1))
    color, weights = seen(learned[1], t, two)
    depth, opacity = jnp.sum(weights * t, -1, keepdims=True), jnp.sum(weights, -1, keepdims=True)
    return jnp.concatenate([coarse, color, depth, opacity], -1)


class Seer(Learner):
    """Training and prediction, on rays."""

    steps = 0

    def step(self, rays, colors, *draws):
        """One step; the loss before it, in a list. Without `draws` it draws them itself."""
        self.steps += 1
        return super().step(rays, colors, *(draws or (np.uint32(self.steps),)))

    def loss(self, learned, fixed, rays, colors, *draws):
        if len(draws) == 1:
            draws = self.drawn(jax.random.key(draws[0]), len(rays))
        seen = self.model(learned, rays, draws)
        return jnp.mean((seen[:, :3] - colors) ** 2) + jnp.mean((seen[:, 3:6] - colors) ** 2)

    def drawn(self, key, count):
        """What a training step draws at random."""
        (first, more), noise = (self.model.keywords[name] for name in ("samples", "noise"))
        keys = jax.random.split(key, 4)
        one, two = (
            noise * jax.random.normal(k, (count, n)) if noise else 0.0
            for k, n in zip(keys[:2], (first, first + more), strict=True)
        )
        jitter, places = (
            jax.random.uniform(k, (count, n)) for k, n in zip(keys[2:], (first, more), strict=True)
        )
        return jitter, one, places, two

    def outputs(self, learned, fixed, rays):
        return self.model(learned, rays, None)


def Native(name, weights, rate, **facts):
    """NeRF, with these weights, ready to learn.

    Args:
        name: Of the model, which nobody needs here.
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        **facts: What the weights do not say, as of `scene`.
    """
    learned = jax.tree.map(jnp.array, fields(weights))
    return Seer(partial(scene, **facts), learned, [], rate, 0.0)
