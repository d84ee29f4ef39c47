"""Scenes: photographs, the cameras that took them, and how far what they show reaches."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keraszoo.data.dataset import Dataset

BACKGROUNDS = {"white": 1.0, "black": 0.0}


@dataclass(frozen=True, eq=False, repr=False)
class Views:
    """Photographs of one size, and the cameras that took them.

    Attributes:
        images: (views, height, width, 3), float32, in [0, 1].
        cameras: A `keraszoo.layers.cameras.Camera` for each.
        depths: (views, height, width), float32: t of the point `origin + t * direction` that a pixel shows, with
            rays as `Camera.rays` gives them; infinity where nothing is there. None where it is not known.
        alphas: (views, height, width), float32, in [0, 1]: what is not background. None where all is opaque.
    """

    images: np.ndarray
    cameras: tuple
    depths: np.ndarray | None = None
    alphas: np.ndarray | None = None

    def __post_init__(self):
        object.__setattr__(self, "cameras", tuple(self.cameras))
        if np.ndim(self.images) != 4 or self.images.shape[3] != 3 or not len(self.images):
            raise ValueError(f"images must be (views, height, width, 3), got {np.shape(self.images)}.")
        if len(self.cameras) != len(self.images):
            raise ValueError(
                f"There must be a camera for each image, got {len(self.images)} images and {len(self.cameras)} cameras."
            )
        for i, camera in enumerate(self.cameras):
            if (camera.height, camera.width) != self.images.shape[1:3]:
                raise ValueError(
                    f"images are {self.images.shape[1:3]} pixels, but camera {i} takes {(camera.height, camera.width)}."
                )
        for word in ("depths", "alphas"):
            maps = getattr(self, word)
            if maps is not None and maps.shape != self.images.shape[:3]:
                raise ValueError(f"{word} must be {self.images.shape[:3]}, as images are, got {maps.shape}.")

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        """Some of the views: a slice, or integers."""
        rows = np.arange(len(self))[rows].reshape(-1)
        maps = (None if m is None else m[rows] for m in (self.depths, self.alphas))
        return Views(self.images[rows], tuple(self.cameras[i] for i in rows), *maps)

    __iter__ = None  # so that nobody takes two views for x and y: see `rays`

    def rays(self):
        """Every pixel of every view, as `fit` takes them.

        Returns:
            x: (views * height * width, 6), float32: where its ray begins, and its direction, as `Camera.rays`.
            y: (views * height * width, 3), float32: its colour, in [0, 1].
        """
        x = np.empty((*self.images.shape[:3], 6), "float32")
        for i, camera in enumerate(self.cameras):
            x[i, ..., :3], x[i, ..., 3:] = camera.rays()
        return x.reshape(-1, 6), self.images.reshape(-1, 3)

    def divided(self, share):
        """The views without a share of them, at least one, and those: taken evenly from the first to the last.

        Raises:
            ValueError: None would be left.
        """
        count = max(1, round(share * len(self)))
        if count >= len(self):
            raise ValueError(f"{share} of {len(self)} views cannot be set apart.")
        apart = np.linspace(0, len(self) - 1, count + 2).round().astype(int)[1:-1]
        return self[np.setdiff1d(np.arange(len(self)), apart)], self[apart]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Scene(Dataset):
    """A scene, as `keraszoo.data.load` returns it: a `Dataset` whose parts are `Views`.

    >>> scene = keraszoo.data.load("ray_traced_scene")
    >>> model.fit(*scene.train.rays())

    Attributes:
        train, validation, test: `Views`; None where there are none.
        near, far: Between which t of `origin + t * direction` all that is seen lies, in units of the scene.
        bounds: (2, 3), float32: the least and greatest corner of a box around it.
        background: "white" or "black" where images are on a background of ours; None where all is opaque.
        surface: A function from a count to so many points of the true surface, (count, 3), float32; or None.

    Raises:
        ValueError: `near` is not below `far`, or `bounds` are no box.
    """

    task: str = "view_synthesis"
    value_range: tuple | None = (0.0, 1.0)
    near: float = 2.0
    far: float = 6.0
    bounds: np.ndarray = ((-1.5, -1.5, -1.5), (1.5, 1.5, 1.5))
    background: str | None = None
    surface: Callable[[int], np.ndarray] | None = None

    def __post_init__(self):
        if not 0 <= self.near < self.far < np.inf:
            raise ValueError(
                f"{self.name}: near must be from 0 and below far, got {self.near=}, {self.far=}."
            )
        bounds = np.asarray(self.bounds, "float32")
        if bounds.shape != (2, 3) or not np.isfinite(bounds).all() or not (bounds[0] < bounds[1]).all():
            raise ValueError(
                f"{self.name}: bounds must be a least and a greatest corner, (2, 3), got {self.bounds}."
            )
        object.__setattr__(self, "bounds", bounds)
        if self.background not in (None, *BACKGROUNDS):
            raise ValueError(
                f'{self.name}: background must be "white", "black" or None, got {self.background!r}.'
            )

    @property
    def input_shape(self):
        """Shape of one ray, (6,): where it begins, and its direction."""
        return (6,)

    @property
    def arguments(self):
        """What a model of this scene must be told: where rays begin and end, and what is behind everything."""
        return dict(near=self.near, far=self.far, background=self.background or "black")

    @property
    def running(self):
        """Whether each part is one running text: no."""
        return False

    def __repr__(self):
        parts = [(part, getattr(self, part)) for part in ("train", "validation", "test")]
        lines = [(part, f"{len(v)} views") for part, v in parts if v is not None]
        height, width = self.train.images.shape[1:3]
        lines += [
            (
                "images",
                f"{height}x{width} pixels, " + (f"on {self.background}" if self.background else "opaque"),
            )
        ]
        lines += [("depth", f"from {self.near:.4g} to {self.far:.4g}")]
        corners = (", ".join(f"{v:.3g}" for v in corner) for corner in self.bounds)
        lines += [("bounds", "({}) to ({})".format(*corners))]
        about = ("source", "licence", "citation", "note")
        lines += [(key, getattr(self, key)) for key in about if getattr(self, key)]
        return "\n".join([f"{self.name}: view synthesis", *(f"  {k:<11}{v}" for k, v in lines)])


def projected(camera, points):
    """Where a camera shows points of the scene.

    Args:
        camera: A `keraszoo.layers.cameras.Camera`.
        points: (..., 3), floating, in units of the scene.

    Returns:
        x, y: (...), float64: pixels from the upper left corner of the image.
        depth: (...), float64: how far ahead they are; negative behind the camera, where x and y mean nothing.
    """
    from keraszoo.layers.cameras import CONVENTIONS

    seen = (
        (np.asarray(points, "float64") - camera.position)
        @ camera.pose[:3, :3]
        * CONVENTIONS[camera.convention]
    )
    depth = seen[..., 2]
    center = camera.center or (camera.width / 2, camera.height / 2)
    fx, fy = np.broadcast_to(camera.focal, (2,))
    ahead = np.where(np.abs(depth) > 1e-9, depth, 1e-9)
    return center[0] + fx * seen[..., 0] / ahead, center[1] + fy * seen[..., 1] / ahead, depth


def corners(camera, depth):
    """Where the corners of its image are at a depth, (4, 3), float64, in turn."""
    one = camera.resized(1, 1)  # so that corners become the middles of four pixels around it
    x, y = one.center or (0.5, 0.5)
    origins, directions = dataclasses.replace(one, height=2, width=2, center=(x + 0.5, y + 0.5)).rays()
    found = origins.astype("float64") + depth * directions
    return found.reshape(4, 3)[[0, 1, 3, 2]]


def seen_box(views, near, far):
    """A box around the scene: around what at least half as many cameras see as any place is seen by.

    Where images tell what is background, it is that part alone that no camera takes for background.

    Args:
        views: Some `Views`, of which 60 are looked at, at most.
        near, far: Depths between which cameras see.

    Returns:
        (2, 3), float32: its least and its greatest corner.
    """
    views = views[np.unique(np.linspace(0, len(views) - 1, 60).astype(int))]
    ends = np.concatenate([corners(camera, depth) for camera in views.cameras for depth in (near, far)])
    low, high = ends.min(0), ends.max(0)
    for count in (32, 64):  # first coarse cells, then finer ones of what was found
        cell = (high - low) / count
        grid = low + (np.indices((count,) * 3).reshape(3, -1).T + 0.5) * cell
        votes, empty = np.zeros(len(grid), int), np.zeros(len(grid), bool)
        for i, camera in enumerate(views.cameras):
            row, column = shown(camera, grid, near, far)
            votes += row >= 0
            if views.alphas is not None and count == 64:  # a coarse cell may hold more than its middle shows
                empty |= (row >= 0) & (views.alphas[i][row, column] == 0)
        kept = grid[(2 * votes >= votes.max()) & ~empty]
        if len(kept):
            low, high = kept.min(0) - 2 * cell, kept.max(0) + 2 * cell
    return np.stack([low, high]).astype("float32")


def shown(camera, points, near, far):
    """Row and column of the pixel that shows each of some points, integers; -1 where none does."""
    x, y, depth = projected(camera, points)
    inside = (near < depth) & (depth < far) & (0 <= x) & (x < camera.width) & (0 <= y) & (y < camera.height)
    return tuple(np.where(inside, np.floor(v), -1).astype(int) for v in (y, x))
