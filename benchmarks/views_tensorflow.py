"""NeRF in TensorFlow, as one writes it without Keras: variables and a `tf.function`."""

import tensorflow as tf

from benchmarks.cases import fields
from benchmarks.vision_tensorflow import Learner, dense


class Field(tf.Module):
    """What is at places (rays, samples, 3), seen in directions (rays, 3): densities and logits of colours."""

    def __init__(self, arrays, skip, waves):
        super().__init__()
        self.layers = {layer: list(map(tf.Variable, held)) for layer, held in arrays.items()}
        self.skip, self.waves = skip, waves

    def __call__(self, points, directions):
        x = place = encoded(points, self.waves[0])
        for i in range(sum("dense" in layer for layer in self.layers)):
            x = tf.nn.relu(dense(x, *self.layers[f"dense_{i}"]))
            if i + 1 == self.skip:
                x = tf.concat([place, x], -1)
        density, x = dense(x, *self.layers["density"])[..., 0], dense(x, *self.layers["feature"])
        view = tf.matmul(encoded(directions, self.waves[1]), self.layers["view_seen"][0])
        x = tf.nn.relu(dense(x, *self.layers["feature_seen"]) + view[:, None])
        return density, dense(x, *self.layers["color"])


def encoded(x, frequencies):
    waves = x[..., None, :] * 2.0 ** tf.range(float(frequencies))[:, None]
    waves = tf.concat([tf.sin(waves), tf.cos(waves)], -1)
    return tf.concat([x, tf.reshape(waves, (*x.shape[:-1], 2 * frequencies * x.shape[-1]))], -1)


def resampled(edges, weights, draws):
    """Places drawn from histograms by inverse transform."""
    weights = weights + 1e-5
    shares = weights / tf.reduce_sum(weights, -1, keepdims=True)
    reached = tf.pad(tf.cumsum(shares[:, :-1], -1), [[0, 0], [1, 0]])
    reached = tf.pad(reached, [[0, 0], [0, 1]], constant_values=1.0)
    above = tf.searchsorted(reached, draws, side="right")
    below, above = tf.maximum(above - 1, 0), tf.minimum(above, reached.shape[1] - 1)

    def at(values, index):
        return tf.gather(values, index, batch_dims=1)

    low, left = at(reached, below), at(edges, below)
    width = at(reached, above) - low
    width = tf.where(width < 1e-5, 1.0, width)
    return left + (draws - low) / width * (at(edges, above) - left)


class Scene(tf.Module):
    """Rays (rays, 6) to coarse colours, colours, depths and opacities, (rays, 8)."""

    def __init__(self, weights, skip, waves, samples, near, far, noise):
        super().__init__()
        self.coarse, self.fine = (Field(arrays, skip, waves) for arrays in fields(weights))
        self.samples, self.noise = samples, noise
        self.even, self.places = tf.linspace(near, far, samples[0]), tf.linspace(0.0, 1.0, samples[1])
        edges = tf.concat([self.even[:1], (self.even[1:] + self.even[:-1]) / 2, self.even[-1:]], 0)
        self.lower, self.parts = edges[:-1], edges[1:] - edges[:-1]

    def draws(self, count):
        """What a training step draws at random."""
        first, more = self.samples
        one, two = (
            self.noise * tf.random.normal((count, n)) if self.noise else 0.0 for n in (first, first + more)
        )
        return tf.random.uniform((count, first)), one, tf.random.uniform((count, more)), two

    def __call__(self, rays, draws=None):
        origins, directions, count = rays[:, :3], rays[:, 3:], rays.shape[0]
        lengths = tf.norm(directions, axis=-1, keepdims=True)
        if draws is None:
            t = tf.broadcast_to(self.even, (count, self.samples[0]))
            one, two, places = 0.0, 0.0, tf.broadcast_to(self.places, (count, self.samples[1]))
        else:
            jitter, one, places, two = draws
            t = self.lower + jitter * self.parts

        def seen(field, t, noise):
            density, color = field(
                origins[:, None] + t[..., None] * directions[:, None], directions / lengths
            )
            steps = tf.pad((t[:, 1:] - t[:, :-1]) * lengths, [[0, 0], [0, 1]], constant_values=1e10)
            thickness = tf.nn.relu(density + noise) * steps
            before = tf.cumsum(thickness, -1, exclusive=True)
            weights = (1 - tf.exp(-thickness)) * tf.exp(-before)
            return tf.reduce_sum(weights[..., None] * tf.sigmoid(color), 1), weights

        coarse, weights = seen(self.coarse, t, one)
        more = resampled((t[:, 1:] + t[:, :-1]) / 2, weights[:, 1:-1], places)
        t = tf.stop_gradient(tf.sort(tf.concat([t, more], -1), -1))
        color, weights = seen(self.fine, t, two)
        depth, opacity = (tf.reduce_sum(v, -1, keepdims=True) for v in (weights * t, weights))
        return tf.concat([coarse, color, depth, opacity], -1)


class Seer(Learner):
    """Training and prediction, on rays; a step without draws draws them itself."""

    def loss(self, rays, colors, *draws):
        seen = self.model(rays, draws or self.model.draws(rays.shape[0]))
        return sum(tf.reduce_mean(tf.square(part - colors)) for part in (seen[:, :3], seen[:, 3:6]))


def Native(name, weights, rate, compiled=False, **facts):
    """NeRF, with these weights, ready to learn.

    Args:
        name: Of the model, which nobody needs here.
        weights: As `cases.named_weights` gives them.
        rate, compiled: As of `benchmarks.vision_tensorflow.Learner`.
        **facts: What the weights do not say, as of `Scene`.
    """
    return Seer(Scene(weights, **facts), rate, 0.0, compiled)
