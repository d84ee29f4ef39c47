"""A scene of our own: solid shapes on a round plate, seen along exact rays.

Everything about it is known: poses, colours, depths, and where its surfaces are. Units are those of the
scene, z is up, and all solids are convex, so that a ray is inside each of them along one stretch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from keraszoo.data.images import checked_size
from keraszoo.data.scenes import BACKGROUNDS, Scene, Views

DISTANCE = 4.0  # of the cameras from the middle
RADIUS = 1.4  # of a ball around the middle that holds everything
BOUNDS = ((-1.25, -1.25, -0.65), (1.25, 1.25, 0.65))
LIGHT = np.array([0.45, -0.35, 0.82]) / np.linalg.norm([0.45, -0.35, 0.82])  # towards the sun
AMBIENT = 0.45  # share of the light that comes from everywhere


@dataclass(frozen=True)
class Solid:
    """A convex shape. Its methods take points and directions in its own frame, (..., 3), float64."""

    centre: tuple[float, float, float]
    size: tuple[float, ...]
    paint: Callable  # from points of its surface to their colours in [0, 1]

    def span(self, origins, directions):
        """Where lines `origins + t * directions` enter and leave, each (...); enter > leave where they miss."""
        raise NotImplementedError

    def distance(self, points):
        """How far points are from the surface, (...), negative inside."""
        raise NotImplementedError

    def normals(self, points):
        """Directions away from the solid at points of its surface, (..., 3): the slope of `distance`."""
        steps = 1e-6 * np.eye(3)
        slope = np.stack([self.distance(points + step) - self.distance(points - step) for step in steps], -1)
        return slope / np.linalg.norm(slope, axis=-1, keepdims=True)


class Ball(Solid):
    """Its size is (radius,)."""

    def span(self, origins, directions):
        return round_span(origins, directions, self.size[0])

    def distance(self, points):
        return np.sqrt(dot(points, points)) - self.size[0]


class Box(Solid):
    """Its size is half its lengths along x, y and z."""

    def span(self, origins, directions):
        return common(*(slab_span(origins[..., i], directions[..., i], self.size[i]) for i in range(3)))

    def distance(self, points):
        return from_edges(*np.moveaxis(np.abs(points) - self.size, -1, 0))


class Cylinder(Solid):
    """It stands upright; its size is (radius, half its height)."""

    def span(self, origins, directions):
        radius, half = self.size
        return common(
            round_span(origins[..., :2], directions[..., :2], radius),
            slab_span(origins[..., 2], directions[..., 2], half),
        )

    def distance(self, points):
        radius, half = self.size
        across = np.hypot(points[..., 0], points[..., 1])
        return from_edges(across - radius, np.abs(points[..., 2]) - half)


def round_span(origins, directions, radius):
    """Where lines enter and leave what lies within `radius` of 0, in as many dimensions as they have."""
    a = np.maximum(dot(directions, directions), 1e-12)
    b = dot(origins, directions)
    c = dot(origins, origins) - radius**2
    under = b**2 - a * c
    root = np.sqrt(np.maximum(under, 0))
    miss = under < 0
    return np.where(miss, np.inf, (-b - root) / a), np.where(miss, -np.inf, (-b + root) / a)


def slab_span(origins, directions, half):
    """Where lines enter and leave what lies between -half and half, along one axis."""
    directions = np.where(np.abs(directions) < 1e-12, 1e-12, directions)
    one, other = (-half - origins) / directions, (half - origins) / directions
    return np.minimum(one, other), np.maximum(one, other)


def common(*spans):
    """Where lines enter and leave what lies in all of several shapes."""
    enter, leave = zip(*spans, strict=True)
    return reduce(np.maximum, enter), reduce(np.minimum, leave)


def from_edges(*over):
    """Distance from a shape with edges, given how far points are beyond each of its sides."""
    outside = np.sqrt(sum(np.maximum(v, 0) ** 2 for v in over))
    return outside + np.minimum(reduce(np.maximum, over), 0)


def dot(a, b):
    """Products of vectors along the last axis; many times quicker than a sum over so short an axis."""
    return np.einsum("...i,...i->...", a, b)


def chequered(first, second, cell, axes=3):
    """A paint of two colours in cells of a size, along the first so many axes."""

    def paint(points):
        odd = np.floor(points[..., :axes] / cell + 0.5).sum(-1) % 2  # half: cells end elsewhere than the box
        return np.where(odd[..., None] == 0, first, second)

    return paint


def banded(first, second, waves):
    """A paint that goes gently from one colour to another and back, `waves(points)` in radians."""

    def paint(points):
        share = 0.5 + 0.5 * np.sin(waves(points))[..., None]
        return share * np.array(first) + (1 - share) * np.array(second)

    return paint


SOLIDS = (
    Cylinder((0, 0, -0.6), (1.2, 0.05), chequered((0.75, 0.72, 0.66), (0.38, 0.45, 0.55), 0.4, axes=2)),
    Ball((-0.45, -0.4, -0.15), (0.4,), banded((0.95, 0.3, 0.2), (0.95, 0.8, 0.6), lambda p: 14 * p[..., 2])),
    Box((0.5, -0.25, -0.2), (0.3, 0.3, 0.35), chequered((0.95, 0.75, 0.15), (0.55, 0.3, 0.1), 0.3)),
    Ball((0.5, -0.25, 0.37), (0.22,), banded((0.2, 0.35, 0.9), (0.5, 0.75, 0.95), lambda p: 14 * p[..., 0])),
    Cylinder(
        (-0.05, 0.55, -0.15),
        (0.28, 0.4),
        banded((0.15, 0.6, 0.3), (0.75, 0.9, 0.45), lambda p: 4 * np.arctan2(p[..., 1], p[..., 0])),
    ),
)


def trace(origins, directions, solids=SOLIDS):
    """What rays meet first.

    Args:
        origins, directions: (..., 3), floating.
        solids: What there is to meet.

    Returns:
        depth: (...), float64, t of the point `origins + t * directions`; infinity where nothing is met.
        which: (...), integers: the solid's number.
    """
    origins, directions = np.asarray(origins, "float64"), np.asarray(directions, "float64")
    spans = [solid.span(origins - solid.centre, directions) for solid in solids]
    depths = np.stack([np.where((enter < leave) & (enter > 0), enter, np.inf) for enter, leave in spans])
    return depths.min(0), depths.argmin(0)


def seen(origins, directions):
    """What rays see: colours (..., 3) in [0, 1], 0 where nothing is met, and whether anything is, (...)."""
    depth, which = trace(origins, directions)
    met = np.isfinite(depth)
    points = origins[met] + depth[met][:, None] * directions[met]
    paint, normals = np.empty_like(points), np.empty_like(points)
    for number, solid in enumerate(SOLIDS):
        here = which[met] == number
        local = points[here] - solid.centre
        paint[here], normals[here] = solid.paint(local), solid.normals(local)
    facing = np.maximum(normals @ LIGHT, 0)
    facing[np.isfinite(trace(points + 1e-4 * normals, LIGHT)[0])] = 0  # something is before the sun
    colours = np.zeros((*depth.shape, 3))
    colours[met] = paint * (AMBIENT + (1 - AMBIENT) * facing)[:, None]
    return colours, met


def photographed(camera, background, finer=2):
    """What a camera sees of the scene.

    Args:
        camera: A `keraszoo.layers.cameras.Camera` outside of all solids.
        background: "white" or "black".
        finer: A pixel's colour is the mean over so many rays in each direction.

    Returns:
        image: (height, width, 3), float32, in [0, 1], on the background.
        depth: (height, width), float32, of each pixel's middle; infinity where nothing is there.
        alpha: (height, width), float32, in [0, 1]: the share of the pixel that is covered.
    """
    size = camera.height, finer, camera.width, finer
    rays = camera.resized(camera.height * finer, camera.width * finer).rays()
    colours, met = seen(*(v.astype("float64") for v in rays))
    colours = colours.reshape(*size, 3).mean((1, 3))
    alpha = met.reshape(size).mean((1, 3))
    image = colours + (1 - alpha[..., None]) * BACKGROUNDS[background]
    depth, _ = trace(*camera.rays())
    return image.astype("float32"), depth.astype("float32"), alpha.astype("float32")


def positions(count, turn=0.0):
    """(count, 3): places above the plate, all around it and evenly spread, from 10 to 75 degrees high."""
    low, high = np.sin(np.deg2rad([10, 75]))
    z = low + (high - low) * (np.arange(count) + 0.5) / count
    angle = turn + np.arange(count) * np.pi * (3 - np.sqrt(5))  # the golden angle
    across = np.sqrt(1 - z**2)
    return DISTANCE * np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=-1)


def surface(count, seed=0):
    """Points of the scene's surface, spread evenly: of what can be seen from above or from a side.

    What lies inside another solid, or between two that touch, is no surface; nor is the plate's lower side.

    Lines drawn at random through a ball, all equally likely, meet every bit of surface in it equally often
    (Crofton's formula): so each line gives a point where it enters a solid and one where it leaves it.

    Args:
        count: How many points, at least 1.
        seed: A non-negative integer.

    Returns:
        (count, 3), float32.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count!r}.")
    rng, found = np.random.default_rng(seed), []
    while sum(map(len, found)) < count:
        towards, aside = rng.normal(size=(2, 4 * count, 3))
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        aside -= (aside * towards).sum(1, keepdims=True) * towards
        aside *= RADIUS * np.sqrt(rng.random((4 * count, 1))) / np.linalg.norm(aside, axis=1, keepdims=True)
        for solid in SOLIDS:
            enter, leave = solid.span(aside - solid.centre, towards)
            met = enter < leave
            found += [(aside + t[:, None] * towards)[met] for t in (enter, leave)]
        points = np.concatenate(found)
        found = [points[visible(points)]]
    return rng.permutation(found[0])[:count].astype("float32")


def visible(points):
    """Which points, (count, 3), of a surface are seen from somewhere around the plate: (count,), bool."""
    shown = np.zeros(len(points), bool)
    for place in positions(60):
        hidden = np.flatnonzero(~shown)
        depth, _ = trace(place, points[hidden] - place)
        shown[hidden] = depth > 1 - 1e-6
    return shown


def ray_traced_scene(image_size=(64, 64), views=60, background="white", seed=0):
    """Two balls, a box and a cylinder on a round plate: photographs from all around, poses, depths, and the surface.

    The shapes are painted with bands and squares, and the sun casts shadows. Cameras stand at a distance of
    4 and look at the middle, from 10 to 75 degrees high.

    Args:
        image_size: (height, width) in pixels.
        views: Training views; a quarter as many test views come on top, at least one.
        background: "white" or "black".
        seed: Turns the ring of training views; a non-negative integer. Test views stand elsewhere, at random.
    """
    height, width = checked_size(image_size)
    if views < 1:
        raise ValueError(f"views must be at least 1, got {views!r}.")
    if background not in BACKGROUNDS:
        raise ValueError(f'background must be "white" or "black", got {background!r}.')
    from keraszoo.layers.cameras import Camera  # with Keras, which takes seconds to import

    def part(places):
        focal = 1.35 * min(height, width)
        cameras = tuple(Camera.looking_at((0, 0, 0), place, focal, height, width) for place in places)
        images, depths, alphas = zip(*(photographed(camera, background) for camera in cameras), strict=True)
        return Views(np.stack(images), cameras, np.stack(depths), np.stack(alphas))

    learn, judge = np.random.default_rng((seed, 0)), np.random.default_rng((seed, 1))
    others = positions(10_000)[judge.choice(10_000, max(1, views // 4), replace=False)]
    return Scene(
        name="ray_traced_scene",
        train=part(positions(views, turn=learn.uniform(0, 2 * np.pi))),
        test=part(others),
        near=DISTANCE - RADIUS - 0.1,
        far=DISTANCE + RADIUS + 0.1,
        bounds=np.array(BOUNDS, "float32"),
        background=background,
        surface=surface,
        source=f"generated, seed {seed}",
        licence="none needed",
        note="depths are exact; `surface(count)` gives points of the true surface",
    )
