"""What a radiance field asks of rays: where they run, where to look along them, and what light comes back.

Mildenhall et al. 2020, https://arxiv.org/abs/2003.08934. A ray is six numbers: its origin and its direction, which
need not have length 1. A place on it is told by `t`: `origin + t * direction`. With the directions that
`Camera.rays` gives, `t` is the depth before the camera, in scene units.

All of it is computed in float32, whatever the precision of the networks: the finest wave of the encoding turns
over within thousandths of a unit, which half precision cannot tell apart.
"""

import keras
import numpy as np
from keras import ops

from keraszoo.layers.cameras import Camera

BACKGROUNDS = {"black": 0.0, "white": 1.0}
FAR_AWAY = 1e10  # where the last interval of a ray ends, in scene units


class OnRays(keras.layers.Layer):
    """A layer that is computed in float32 and holds no weights."""

    def __init__(self, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)


@keras.saving.register_keras_serializable("keraszoo")
class CameraRays(OnRays):
    """The rays of all pixels of a camera, for its poses.

    Args:
        height, width, focal, center, convention: As of `keraszoo.layers.Camera`.

    Shapes:
        poses:   (batch, 4, 4), floating: from the camera's frame to the scene's.
        returns: (batch, height, width, 6), float32: origins, and directions that reach one unit ahead.

    Raises:
        ValueError: As of `Camera`.
    """

    def __init__(self, height, width, focal, center=None, convention="opengl", **kwargs):
        super().__init__(**kwargs)
        self.height, self.width, self.focal, self.center = height, width, focal, center
        self.convention = convention
        self.ahead = Camera(np.eye(4), focal, height, width, center, convention).rays()[1]

    def call(self, poses):
        directions = ops.einsum("hwi,bji->bhwj", ops.convert_to_tensor(self.ahead), poses[:, :3, :3])
        origins = ops.broadcast_to(poses[:, None, None, :3, 3], ops.shape(directions))
        return ops.concatenate([origins, directions], axis=-1)

    def get_config(self):
        own = ("height", "width", "focal", "center", "convention")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("keraszoo")
class PositionalEncoding(OnRays):
    """Numbers, and sine and cosine of each at doubling frequencies. Section 5.1, equation 4.

    As in the published code, not in the paper, the numbers themselves come first, and frequencies are 1, 2, 4 ...,
    without pi.

    Args:
        frequencies: How many; 10 for places and 4 for directions in the paper. 0 gives the numbers alone.

    Shapes:
        x:       (..., features), floating.
        returns: (..., features * (1 + 2 * frequencies)), float32: x, sin(x), cos(x), sin(2 x), cos(2 x), ...
    """

    def __init__(self, frequencies, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(frequencies, int) or frequencies < 0:
            raise ValueError(f"frequencies must be a whole number from 0, got {frequencies!r}.")
        self.frequencies = frequencies

    def call(self, x):
        if not self.frequencies:
            return x
        scales = ops.convert_to_tensor(2.0 ** np.arange(self.frequencies, dtype="float32"))
        angles = ops.expand_dims(x, -2) * ops.expand_dims(scales, -1)  # (..., frequencies, features)
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
        waves = ops.reshape(waves, (*ops.shape(x)[:-1], 2 * self.frequencies * x.shape[-1]))
        return ops.concatenate([x, waves], axis=-1)

    def compute_output_shape(self, shape):
        return (*shape[:-1], shape[-1] * (1 + 2 * self.frequencies))

    def get_config(self):
        return {**super().get_config(), "frequencies": self.frequencies}


@keras.saving.register_keras_serializable("keraszoo")
class StratifiedSampling(OnRays):
    """Where to look along rays that nothing is known of: once in each of so many equal parts. Section 4, equation 2.

    In training the place within each part is drawn at random, otherwise places are evenly spaced from `near` to `far`.

    Args:
        samples: Places on each ray, from 2.
        near, far: Where to begin and end, as `t`: in scene units before the camera.
        seed: Seed of the draws.

    Shapes:
        rays:    (rays, 6), floating.
        returns: (rays, samples), float32, from near to far, ascending.

    Raises:
        ValueError: There are fewer than two samples, or `near` is negative or not below `far`.
    """

    def __init__(self, samples, near, far, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(samples, int) or samples < 2:
            raise ValueError(f"samples must be a whole number from 2, got {samples!r}.")
        if not 0 <= near < far < float("inf"):
            raise ValueError(
                f"near must be at least 0 and below far, and far finite, got near={near!r} and far={far!r}."
            )
        self.samples, self.near, self.far, self.seed = samples, float(near), float(far), seed
        self.generator = keras.random.SeedGenerator(seed)
        self.even = np.linspace(near, far, samples, dtype="float32")
        edges = np.concatenate([self.even[:1], (self.even[1:] + self.even[:-1]) / 2, self.even[-1:]])
        self.lower, self.upper = edges[:-1], edges[1:]

    def call(self, rays, training=False):
        shape = (ops.shape(rays)[0], self.samples)
        if not training:
            return ops.broadcast_to(ops.convert_to_tensor(self.even), shape)
        draws = keras.random.uniform(shape, seed=self.generator)
        return ops.convert_to_tensor(self.lower) + draws * ops.convert_to_tensor(self.upper - self.lower)

    def get_config(self):
        own = ("samples", "near", "far", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("keraszoo")
class HierarchicalSampling(OnRays):
    """Where to look once more: most where a first look has seen most. Section 5.2, equation 5.

    The weights of the first look, made to sum to one, say how likely each part of a ray is; places are found by
    inverse transform. No gradient flows back through them.

    Args:
        samples: Further places on each ray.
        seed: Seed of the draws.

    Shapes:
        t:       (rays, looks), floating, ascending: the first look, at three places or more.
        weights: (rays, looks), floating, from 0: what was seen there.
        returns: (rays, looks + samples), float32, ascending: the places of the first look, and the new ones.

    Raises:
        ValueError: There are fewer than three looks: the first and the last have no part of the ray to themselves.
    """

    def __init__(self, samples, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(samples, int) or samples < 1:
            raise ValueError(f"samples must be a whole number from 1, got {samples!r}.")
        self.samples, self.seed = samples, seed
        self.generator = keras.random.SeedGenerator(seed)
        self.even = np.linspace(0, 1, samples, dtype="float32")

    def build(self, t_shape, weights_shape=None):
        if t_shape[-1] < 3:
            raise ValueError(f"The first look must be at three places of a ray or more, got {t_shape[-1]}.")
        self.built = True

    def call(self, t, weights, training=False):
        shape = (ops.shape(t)[0], self.samples)
        if training:
            draws = keras.random.uniform(shape, seed=self.generator)
        else:
            draws = ops.broadcast_to(ops.convert_to_tensor(self.even), shape)
        middles = (t[:, 1:] + t[:, :-1]) / 2
        new = inverse_transform(middles, weights[:, 1:-1], draws)
        return ops.stop_gradient(ops.sort(ops.concatenate([t, new], axis=-1), axis=-1))

    def get_config(self):
        return {**super().get_config(), "samples": self.samples, "seed": self.seed}


def inverse_transform(edges, weights, draws):
    """Places that are spread as a histogram says: the inverse of its cumulative distribution, row by row.

    Args:
        edges: (rows, bins + 1), floating, ascending: of the histogram's bins.
        weights: (rows, bins), floating, from 0: of the bins; they need not sum to one.
        draws: (rows, places), floating, in [0, 1].

    Returns:
        (rows, places): uniform `draws` are spread over the bins by their weights, and evenly within each.
    """
    edges, weights, draws = map(ops.convert_to_tensor, (edges, weights, draws))
    weights = weights + 1e-5  # no row is without any
    shares = weights / ops.sum(weights, axis=-1, keepdims=True)
    inner = ops.pad(ops.cumsum(shares[:, :-1], axis=-1), [[0, 0], [1, 0]])
    # The last is 1 by name, not by rounding: there, an empty bin may be as long as half a ray.
    reached = ops.pad(inner, [[0, 0], [0, 1]], constant_values=1.0)
    # `ops.searchsorted` knows one row only; counting is as quick beside the networks.
    passed = ops.sum(ops.cast(draws[:, :, None] >= reached[:, None, :], "int32"), axis=-1)
    below = ops.maximum(passed - 1, 0)
    above = ops.minimum(passed, reached.shape[-1] - 1)

    def at(values, index):
        return ops.take_along_axis(values, index, axis=-1)

    width = at(reached, above) - at(reached, below)
    width = ops.where(width < 1e-5, ops.ones_like(width), width)
    part = (draws - at(reached, below)) / width
    return at(edges, below) + part * (at(edges, above) - at(edges, below))


@keras.saving.register_keras_serializable("keraszoo")
class PointsOnRays(OnRays):
    """The places on rays, and the directions in which they are seen.

    Shapes:
        rays:    (rays, 6), floating.
        t:       (rays, samples), floating.
        returns: points, (rays, samples, 3), float32, in scene units; and directions of length 1, (rays, 3), float32.
    """

    def call(self, rays, t):
        origins, directions = rays[:, :3], rays[:, 3:]
        points = origins[:, None] + t[:, :, None] * directions[:, None]
        return points, directions / length(directions)


@keras.saving.register_keras_serializable("keraszoo")
class VolumeRendering(OnRays):
    """The light that a ray brings home from a fog of given densities and colours. Section 4, equation 3.

    Args:
        background: "black" or "white": what is seen where the fog lets light through.

    Shapes:
        rays:      (rays, 6), floating.
        t:         (rays, samples), floating, ascending.
        densities: (rays, samples, 1), floating, from 0: how much of the light is stopped in a unit of length.
            The last interval of a ray goes on for ever.
        colors:    (rays, samples, 3), floating, in [0, 1].
        returns:   A dict, all float32:
            color, (rays, 3), in [0, 1];
            depth, (rays,): the mean of `t`, by weight; where opacity is below 1, less than the depth of what is seen;
            opacity, (rays,), in [0, 1]: how much of what lies behind is hidden;
            weights, (rays, samples), in [0, 1]: what each sample has to say; they sum to the opacity.

    Raises:
        ValueError: There is no such background.
    """

    def __init__(self, background="black", **kwargs):
        super().__init__(**kwargs)
        if background not in BACKGROUNDS:
            raise ValueError(
                f"background must be one of {', '.join(map(repr, BACKGROUNDS))}, got {background!r}."
            )
        self.background = background

    def call(self, rays, t, densities, colors):
        steps = (t[:, 1:] - t[:, :-1]) * length(rays[:, 3:])
        thickness = densities[:, :, 0] * ops.pad(steps, [[0, 0], [0, 1]], constant_values=FAR_AWAY)
        before = ops.pad(ops.cumsum(thickness[:, :-1], axis=-1), [[0, 0], [1, 0]])
        weights = (1 - ops.exp(-thickness)) * ops.exp(-before)
        opacity = ops.sum(weights, axis=-1)
        color = ops.sum(weights[:, :, None] * colors, axis=1)
        if light := BACKGROUNDS[self.background]:
            color = color + light * (1 - opacity)[:, None]
        return dict(color=color, depth=ops.sum(weights * t, axis=-1), opacity=opacity, weights=weights)

    def get_config(self):
        return {**super().get_config(), "background": self.background}


def length(vectors):
    """The length of each vector, (..., 1)."""
    return ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
