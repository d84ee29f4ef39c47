"""NeRF: a scene as a fog of light, learned from photographs of it, and seen from anywhere.

Mildenhall et al. 2020, https://arxiv.org/abs/2003.08934.

A network says of each place how dense the fog is there, and what colour it has as seen from some direction. A first
network looks at evenly spaced places of a ray; a second one looks once more where the first has seen something.

Departures from the paper: as in the published code, the encoding holds the numbers themselves and has no pi, and there is
one layer after the direction is known. Where that code joins the features of a place and the encoded direction, and
multiplies both by one matrix, here each has its part of it, so that a direction is multiplied once for each ray. Scenes
that face forward are not warped (appendix C).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from keras.layers import Concatenate, GaussianNoise

from keraszoo.architecture import Network
from keraszoo.layers import Camera, Dense
from keraszoo.layers.rays import (
    HierarchicalSampling,
    PointsOnRays,
    PositionalEncoding,
    StratifiedSampling,
    VolumeRendering,
)
from keraszoo.registry import register
from keraszoo.training import checks

SIZES = {  # section 5.3 and appendix A; tiny is ours, for small images and two cores
    "nerf": dict(units=256, depth=8, skip=5, num_samples=64, num_fine_samples=128, density_noise=1.0),
    "nerf_tiny": dict(units=96, depth=4, skip=2, num_samples=24, num_fine_samples=24, density_noise=0.0),
}
PARAMETERS = {"nerf": 1_191_688, "nerf_tiny": None}
LEARNED = ("coarse", "color")  # what is compared with the photographs
ROOM = 2**24  # numbers that one layer may give for the rays of a batch in `render`


class Rendering(NamedTuple):
    """What is seen through a camera, all float32; of several views, with an axis for them in front."""

    color: np.ndarray  # (height, width, 3), in [0, 1]
    depth: np.ndarray  # (height, width), scene units before the camera, by weight; 0 where nothing is
    opacity: np.ndarray  # (height, width), in [0, 1]


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Which cells of a box may hold something; beyond the box there is nothing.

    Args:
        cells: (x, y, z), bool.
        bounds: (2, 3), float32: the lowest and the highest corner of the box, in scene units.
    """

    cells: np.ndarray
    bounds: np.ndarray

    def __call__(self, points):
        """Whether each of (..., 3) points lies in such a cell: (...), bool."""
        low, high = self.bounds
        where = np.floor((points - low) / (high - low) * self.cells.shape).astype("int64")
        inside = ((where >= 0) & (where < self.cells.shape)).all(axis=-1)
        where = np.where(inside[..., None], where, 0)
        return self.cells[tuple(np.moveaxis(where, -1, 0))] & inside


class NeRF(Network):
    """Fit on rays and their colours, or on cameras and their images; `render` shows the scene from elsewhere.

    `predict(rays)` gives a dict with `color`, (rays, 3), `depth` and `opacity`, (rays,), and `coarse`, (rays, 3):
    the colours that the first network alone sees.
    """

    def fit(self, x=None, y=None, *args, validation_data=None, **kwargs):
        """As of `keras.Model.fit`; rays are drawn without replacement from all images.

        Args:
            x: Rays, (rays, 6), or (images, height, width, 6), floating: origins and directions; or a list of
                cameras; or a data set of rays; or `keraszoo.data.Views`, which hold their colours, too.
            y: Their colours, (rays, 3), or (images, height, width, 3), floating, in [0, 1].
            validation_data: (x, y) of the same kinds; or `Views`.
        """
        x, y = as_rays(x, y)
        if isinstance(validation_data, (list, tuple)):
            validation_data = (*as_rays(*validation_data[:2], "validation "), *validation_data[2:])
        elif validation_data is not None:
            validation_data = as_rays(validation_data)
            validation_data = validation_data[0] if validation_data[1] is None else validation_data
        return super().fit(x, y, *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """As of `keras.Model.evaluate`; `x` and `y` as of `fit`."""
        return super().evaluate(*as_rays(x, y), *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Both networks are compared with the same colours. Section 5.3, equation 6."""
        y, y_pred = {name: y for name in LEARNED}, {name: y_pred[name] for name in LEARNED}
        return super().compute_loss(x, y, y_pred, both(sample_weight), training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Keras' method, in the same way."""
        y, y_pred = {name: y for name in LEARNED}, {name: y_pred[name] for name in LEARNED}
        return super().compute_metrics(x, y, y_pred, both(sample_weight))

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse what are not rays, or not as many colours."""
        self.check_inputs(x, prefix)
        aims = np.any(checks.array(x)[:, 3:], axis=1)
        if not aims.all():
            raise ValueError(
                f"{prefix}x holds rays without a direction, the first is ray {int(aims.argmin())}."
            )
        if y is None:
            raise ValueError(f"{self.name} learns from colours: {prefix}y is missing.")
        y = checks.array(y)
        checks.check_numbers(f"{prefix}y", y)
        if len(y) != len(x):
            raise ValueError(
                f"{prefix}x and {prefix}y must have as many samples: x has {len(x)}, y has {len(y)}."
            )
        if y.shape[1:] != (3,):
            raise ValueError(
                f"{prefix}y must hold colours, (rays, 3), got shape {checks.shown(y.shape)}: "
                "images with an alpha channel are laid over a background first."
            )
        if y.min() < -1e-3 or y.max() > 1 + 1e-3:
            raise ValueError(
                f"{prefix}y must hold colours in [0, 1], got values from {y.min():g} to {y.max():g}."
            )

    @property
    def near(self):
        """Where rays begin, in scene units before the camera."""
        return self.get_layer("samples").near

    @property
    def far(self):
        """Where rays end, in scene units before the camera."""
        return self.get_layer("samples").far

    @property
    def box(self):
        """A box (2, 3) around (0, 0, 0), as large as what cameras see that stand around it and look there."""
        half = (self.far - self.near) / 2
        return np.array([[-half] * 3, [half] * 3], "float32")

    def render(self, camera, batch_size=None, occupancy=None, verbose=0):
        """What is seen through a camera.

        Args:
            camera: A `keraszoo.layers.Camera`; of any image size.
            batch_size: Rays at a time; by default so many that a layer's output takes 64 MB.
            occupancy: What `occupancy` has found: empty space is skipped, which is faster and shows the same, but for
                fog thinner than its threshold, and for what lies beyond its bounds.
            verbose: As of `keras.Model.predict`.

        Returns:
            A `Rendering`.
        """
        if not isinstance(camera, Camera):
            raise TypeError(
                f"camera must be a keraszoo.layers.Camera, got {type(camera).__name__}: it says from where, "
                "and how large, the image is."
            )
        rays, _ = as_rays([camera])
        batch_size = min(batch_size or self.usual_batch(), len(rays))
        whole = np.concatenate([rays, rays[: -len(rays) % batch_size]])  # one shape: each is compiled
        if occupancy is None:
            seen = self.predict(whole, batch_size=batch_size, verbose=verbose)
        else:
            seen = self.skipping(whole, batch_size, occupancy)
        parts = (seen[name][: len(rays)] for name in Rendering._fields)
        return Rendering(*(v.reshape(camera.height, camera.width, *v.shape[1:]) for v in parts))

    def orbit(
        self,
        views=60,
        elevation=30.0,
        distance=None,
        target=(0.0, 0.0, 0.0),
        size=100,
        field_of_view=40.0,
        up=(0.0, 0.0, 1.0),
        **kwargs,
    ):
        """What is seen on a walk around the scene.

        Args:
            views: Images, evenly spaced on a circle.
            elevation: Of the camera above the horizon, in degrees.
            distance: Of the camera from `target`, in scene units; midway between near and far by default.
            target: (x, y, z), in scene units: what it looks at.
            size: Side of an image in pixels, or (height, width).
            field_of_view: From left to right, in degrees.
            up: The direction that is up in the scene.
            **kwargs: As of `render`.

        Returns:
            A `Rendering` with an axis for the views in front.
        """
        cameras = around(
            views, elevation, distance or (self.near + self.far) / 2, target, size, field_of_view, up
        )
        seen = [self.render(camera, **kwargs) for camera in cameras]
        return Rendering(*(np.stack(parts) for parts in zip(*seen, strict=True)))

    def density(self, points, network="fine", batch_size=None):
        """How dense the fog is at places.

        Args:
            points: (..., 3), floating, in scene units.
            network: "fine", or "coarse".
            batch_size: Places at a time; by default as many as in `render`.

        Returns:
            (...), float32, from 0: what part of the light is stopped in a unit of length, at first.
        """
        return self.look(points, np.zeros_like(points), network, batch_size)[0]

    def look(self, points, directions, network="fine", batch_size=None):
        """Densities, (...), and colours, (..., 3), of places (..., 3), each seen in a direction (..., 3) of length 1."""
        shape, field = np.shape(points)[:-1], self.get_layer(network)
        points, directions = (np.asarray(v, "float32").reshape(-1, 3) for v in (points, directions))
        count = len(points)
        size = batch_size or self.usual_batch() * self.get_layer("samples").samples
        size = min(size, max(64, 2 ** math.ceil(math.log2(max(1, count)))))  # few shapes: each is compiled
        points, directions = (
            np.concatenate([v, np.zeros((-count % size, 3), "float32")]) for v in (points, directions)
        )
        if not count:
            return np.zeros(shape, "float32"), np.zeros((*shape, 3), "float32")
        density, color = field.predict([points[:, None], directions], batch_size=size, verbose=0)
        density, color = np.maximum(density[:count, 0, 0], 0), 1 / (1 + np.exp(-color[:count, 0]))
        return density.reshape(shape), color.reshape(*shape, 3)

    def occupancy(self, resolution=64, threshold=0.1, bounds=None, looks=4):
        """Find out where the scene is empty, for `render` to skip.

        Args:
            resolution: Cells along each side of the box.
            threshold: Density from which a cell holds something. Beside one that does, none counts as empty.
            bounds: (2, 3): corners of a box that holds the whole scene, in scene units. By default `box`, around
                (0, 0, 0): a scene that lies elsewhere needs its own.
            looks: Random places in each cell that are looked at, besides its middle.

        Returns:
            An `Occupancy`.
        """
        from scipy.ndimage import binary_dilation

        low, high = checked_bounds(self.box if bounds is None else bounds)
        cell, rng = (high - low) / checked_resolution(resolution), np.random.default_rng(0)
        corners = low + np.indices((resolution,) * 3).reshape(3, -1).T * cell
        full = np.zeros(len(corners), bool)
        for i in range(looks + 1):
            place = rng.random(corners.shape) if i else 0.5
            for network in ("coarse", "fine"):
                full |= self.density(corners + place * cell, network) > threshold
        cells = binary_dilation(full.reshape((resolution,) * 3), np.ones((3, 3, 3)))
        return Occupancy(cells, np.stack([low, high]))

    def skipping(self, rays, batch_size, occupancy):
        """As `predict(rays)`, but the networks look only at places that may hold something."""
        parts = []
        for begin in range(0, len(rays), batch_size):
            part = rays[begin : begin + batch_size]
            t = self.get_layer("samples")(part)
            seen = self.through(part, t, occupancy, "coarse")
            coarse = seen["color"]
            t = self.get_layer("more_samples")(t, seen["weights"])
            seen = self.through(part, t, occupancy, "fine")
            parts.append({**seen, "coarse": coarse})
        names = ("color", "depth", "opacity", "coarse")
        return {n: np.concatenate([ops.convert_to_numpy(part[n]) for part in parts]) for n in names}

    def through(self, rays, t, occupancy, network):
        """What comes back along rays, (rays, 6), from the places `t` that may hold something, by one of the networks."""
        points, directions = (ops.convert_to_numpy(v) for v in self.get_layer("points")(rays, t))
        there = occupancy(points)
        directions = np.broadcast_to(directions[:, None], points.shape)
        densities, colors = np.zeros((*t.shape, 1), "float32"), np.zeros((*t.shape, 3), "float32")
        densities[there, 0], colors[there] = self.look(points[there], directions[there], network)
        return self.get_layer("rendering")(rays, t, densities, colors)

    def extract_mesh(self, resolution=128, threshold=5.0, bounds=None, verbose=0):
        """The surface where the fog becomes dense, by marching cubes.

        Args:
            resolution: Places looked at along each side of the box.
            threshold: Density of the surface.
            bounds: (2, 3): corners of the box to search, in scene units. By default `box`, around (0, 0, 0): a scene
                that lies elsewhere needs its own.
            verbose: 1 shows a progress bar.

        Returns:
            A `trimesh.Trimesh` in scene units, its vertices coloured as seen along their normals: `export("mesh.ply")`
            or `export("mesh.obj")` writes it.

        Raises:
            ValueError: The density nowhere passes the threshold.
        """
        import trimesh
        from skimage.measure import marching_cubes

        low, high = checked_bounds(self.box if bounds is None else bounds)
        steps = (high - low) / (checked_resolution(resolution) - 1)
        x, y, z = np.linspace(low, high, resolution, dtype="float32").T
        progress, slabs = keras.utils.Progbar(resolution, verbose=verbose, unit_name="slab"), []
        for place in x:  # one at a time: memory
            slab = np.stack(np.meshgrid(place, y, z, indexing="ij"), axis=-1)[0]
            slabs.append(self.density(slab))
            progress.add(1)
        density = np.stack(slabs)
        if not density.min() < threshold < density.max():
            raise ValueError(
                f"There is no surface at threshold={threshold:g}: from {low.tolist()} to {high.tolist()} the density "
                f"of {self.name} lies between {density.min():.4g} and {density.max():.4g}."
            )
        # A wall of nothing around it closes the surface where the box cuts it.
        vertices, faces, normals, _ = marching_cubes(
            np.pad(density, 1), threshold, spacing=tuple(steps), gradient_direction="ascent"
        )
        vertices = vertices + low - steps
        normals = normals / steps  # they do not know the spacing
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        _, color = self.look(vertices, -normals)
        colors = np.round(255 * np.concatenate([color, np.ones((len(color), 1))], axis=1)).astype("uint8")
        return trimesh.Trimesh(vertices, faces, vertex_normals=normals, vertex_colors=colors, process=False)

    def usual_batch(self):
        """Rays at a time, so that no layer's output has more than `ROOM` numbers."""
        samples = self.get_layer("samples").samples + self.get_layer("more_samples").samples
        units = max(layer.units for layer in self.get_layer("fine").layers if isinstance(layer, Dense))
        return max(1, ROOM // (samples * units))


@register(
    SIZES,
    task="view_synthesis",
    paper="https://arxiv.org/abs/2003.08934",
    parameters=PARAMETERS,
    tiny=dict(
        input_shape=(6,),
        units=16,
        depth=3,
        skip=2,
        num_samples=6,
        num_fine_samples=6,
        density_noise=0.1,
        frequencies=3,
        view_frequencies=1,
    ),
    recipe=dict(learning_rate=5e-4, decay_steps=250_000),
)
def nerf(
    units,
    depth,
    skip,
    num_samples,
    num_fine_samples,
    density_noise,
    near=2.0,
    far=6.0,
    background="black",
    frequencies=10,
    view_frequencies=4,
    input_shape=(6,),
    name="nerf",
):
    """Say what colour is seen along a ray.

    Args:
        units: Features of a place; half as many once the direction is known.
        depth: Layers before the density is told.
        skip: After which of them the place is joined once more.
        num_samples: Places on a ray that the first network looks at, from 3.
        num_fine_samples: How many more the second one looks at.
        density_noise: Standard deviation of what is added to densities in training, before they are rectified; 1 in the
            paper for photographs of real scenes, and never more.
        near, far: Where rays begin and end, in scene units before the camera.
        background: What is seen where there is nothing: "black" or "white".
        frequencies: Of the encoding of places.
        view_frequencies: Of the encoding of directions; None for colours that look the same from everywhere.
        input_shape: (6,): a ray's origin and direction.
        name: Name of the model.

    Returns:
        A `NeRF`
        from (rays, 6), floating,
        to   a dict: color and coarse, (rays, 3), float32, in [0, 1]; depth and opacity, (rays,), float32.

    Raises:
        ValueError: `skip` is not below `depth`, `input_shape` is another, or a size is below what works.
    """
    if tuple(input_shape) != (6,):
        raise ValueError(f"input_shape must be (6,), a ray's origin and direction, got {input_shape!r}.")
    if not isinstance(num_samples, int) or num_samples < 3:
        raise ValueError(f"num_samples must be a whole number from 3, got {num_samples!r}.")
    if not 0 <= density_noise <= 1:
        raise ValueError(f"density_noise must lie between 0 and 1, got {density_noise!r}.")
    if not 0 < skip < depth:
        raise ValueError(f"skip must lie between 1 and depth - 1 = {depth - 1}, got {skip!r}.")
    sizes = dict(
        units=units, depth=depth, skip=skip, frequencies=frequencies, view_frequencies=view_frequencies
    )
    rays = keras.Input((6,), name="rays")
    rendering = VolumeRendering(background, name="rendering")
    points = PointsOnRays(name="points")
    noise = GaussianNoise(density_noise, dtype="float32", name="noise")

    def seen(network, t):
        densities, colors = field(**sizes, name=network)(points(rays, t))
        return rendering(rays, t, ops.relu(noise(densities)), ops.sigmoid(colors))

    t = StratifiedSampling(num_samples, near, far, name="samples")(rays)
    coarse = seen("coarse", t)
    t = HierarchicalSampling(num_fine_samples, name="more_samples")(t, coarse["weights"])
    fine = seen("fine", t)

    outputs = dict(coarse=coarse["color"], color=fine["color"], depth=fine["depth"], opacity=fine["opacity"])
    return NeRF(rays, outputs, name=name)


def field(units, depth, skip, frequencies, view_frequencies, name):
    """A radiance field, figure 7: what is at a place, seen in some direction.

    Returns:
        A `Network`
        from (rays, samples, 3), points in scene units, and (rays, 3), directions of length 1,
        to   (rays, samples, 1), densities before they are rectified, and (rays, samples, 3), logits of colours; float32.
    """
    points, directions = keras.Input((None, 3), name="points"), keras.Input((3,), name="directions")
    x = place = PositionalEncoding(frequencies, name="place")(points)
    for i in range(depth):
        x = Dense(units, activation="relu", name=f"dense_{i}")(x)
        if i + 1 == skip:
            x = Concatenate(name="skip")([place, x])
    densities = Dense(1, dtype="float32", name="density")(x)
    if view_frequencies is not None:
        view = PositionalEncoding(view_frequencies, name="view")(directions)
        x = Dense(units, name="feature")(x)
        x = Dense(units // 2, name="feature_seen")(x)
        x = x + ops.expand_dims(Dense(units // 2, use_bias=False, name="view_seen")(view), 1)
        x = ops.relu(x)
    colors = Dense(3, dtype="float32", name="color")(x)
    return Network([points, directions], [densities, colors], name=name)


def as_rays(x, y=None, prefix=""):
    """Views, cameras and their images, or rays of images, as rays, (rays, 6), and colours, (rays, 3); anything else as it came.

    Raises:
        ValueError: There are not as many images as cameras, they differ in size, or views come with colours.
    """
    if isinstance(x, Camera):
        x, y = [x], None if y is None else [y]
    if callable(getattr(x, "rays", None)):
        if y is not None:
            raise ValueError(
                f"{prefix}x are views, which hold their colours: give them alone, without {prefix}y."
            )
        return x.rays()
    if isinstance(x, (list, tuple)) and x and all(isinstance(camera, Camera) for camera in x):
        if y is not None:
            if len(y) != len(x):
                raise ValueError(
                    f"{prefix}x has {len(x)} cameras, {prefix}y {len(y)} images: each needs its own."
                )
            for i, (camera, image) in enumerate(zip(x, y, strict=True)):
                if np.shape(image) != (camera.height, camera.width, 3):
                    raise ValueError(
                        f"{prefix}y[{i}] has shape {np.shape(image)}; its camera sees "
                        f"({camera.height}, {camera.width}, 3): images have three channels, in [0, 1]."
                    )
            y = np.concatenate([np.reshape(image, (-1, 3)) for image in y])
        x = np.concatenate([np.concatenate(camera.rays(), axis=-1).reshape(-1, 6) for camera in x])
    elif getattr(x, "ndim", 0) == 4:
        x, y = (
            np.reshape(x, (-1, np.shape(x)[-1])),
            None if y is None else np.reshape(y, (-1, np.shape(y)[-1])),
        )
    return x, y


def around(views, elevation, distance, target, size, field_of_view, up):
    """Cameras on a circle, looking at `target`; see `NeRF.orbit`."""
    if views < 1:
        raise ValueError(f"views must be at least 1, got {views!r}.")
    height, width = map(int, np.broadcast_to(size, (2,)))
    focal = width / 2 / math.tan(math.radians(field_of_view) / 2)
    up = np.asarray(up, "float64") / np.linalg.norm(up)
    aside = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    aside /= np.linalg.norm(aside)
    frame = np.stack([aside, np.cross(up, aside), up], axis=1)
    lift = math.radians(elevation)
    cameras = []
    for turn in np.arange(views) * 2 * np.pi / views:
        place = [np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)]
        position = np.asarray(target) + distance * frame @ place
        cameras.append(Camera.looking_at(target, position, focal, height, width, up))
    return cameras


def checked_bounds(bounds):
    """Two corners of a box, (2, 3), float32.

    Raises:
        ValueError: They are none.
    """
    bounds = np.asarray(bounds, "float32")
    if bounds.shape != (2, 3) or not (bounds[0] < bounds[1]).all():
        raise ValueError(
            f"bounds must be the lowest and the highest corner of a box, (2, 3), got {bounds.tolist()}."
        )
    return bounds


def checked_resolution(resolution):
    """`resolution`, after a look at whether it is one.

    Raises:
        ValueError: It is no whole number from 2.
    """
    if not isinstance(resolution, (int, np.integer)) or resolution < 2:
        raise ValueError(f"resolution must be a whole number from 2, got {resolution!r}.")
    return resolution


def both(sample_weight):
    """The same weights for both networks."""
    return None if sample_weight is None else {name: sample_weight for name in LEARNED}
