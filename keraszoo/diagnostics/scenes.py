"""Do the cameras of a scene look at it; and how close what a model renders is to the truth."""

import numpy as np

from keraszoo.data.scenes import corners, projected

SIDES = [(a, b) for a in range(8) for b in range(a) if (a ^ b) in (1, 2, 4)]  # pairs of corners of a box
COLOURS = {"train": "tab:blue", "validation": "tab:green", "test": "tab:orange"}


def plot_cameras(path, scene, photographs=3):
    """A picture to look at before training: where the cameras of a scene stand, and whether they see its bounds.

    A camera is a pyramid with its image as base and a stroke up from there; its middle ray is drawn from `near` to
    `far`. Beside it, the box of the bounds is drawn into photographs: if it does not lie around what they show, or the
    middle rays do not go through it, poses follow another convention than they are said to.

    Args:
        path: The PNG file.
        scene: A `keraszoo.data.Scene`.
        photographs: How many training views to show.

    Returns:
        A float in [0, 1]: the share of all cameras whose middle ray meets the box.
    """
    from keraszoo.callbacks import pictures  # callbacks import diagnostics

    parts = {part: getattr(scene, part) for part in COLOURS if getattr(scene, part) is not None}
    box = scene.bounds[np.indices((2, 2, 2)).reshape(3, -1).T, np.arange(3)]  # (8, 3): its corners
    shown = np.unique(np.linspace(0, len(scene.train), photographs, endpoint=False).astype(int))
    met = [meets(camera, scene) for views in parts.values() for camera in views.cameras]

    columns = 2 + len(shown)
    figure, panels = pictures.sheet(columns, width=3.2, height=5.0, columns=columns)
    wide = panels[0].get_subplotspec().get_gridspec()[0, :2]
    for panel in panels[:2]:
        panel.remove()
    space = figure.add_subplot(wide, projection="3d")
    draw_space(space, scene, parts, box)
    for panel, i in zip(panels[2:], shown, strict=True):
        draw_photograph(panel, scene.train, i, box)
    figure.suptitle(
        f"{scene.name}: {sum(met)} of {len(met)} cameras look at the box, "
        f"depths from {scene.near:.3g} to {scene.far:.3g}",
        fontsize=10,
    )
    pictures.save(figure, path)
    return sum(met) / len(met)


def draw_space(space, scene, parts, box):
    """The box and all cameras, with equal scales along all axes."""
    for a, b in SIDES:
        space.plot(*box[[a, b]].T, color="black", linewidth=1)
    reach = 0.15 * np.linalg.norm(np.ptp(box, axis=0))
    for part, views in parts.items():
        for camera in views.cameras:
            draw_camera(space, camera, reach, scene.near, scene.far, COLOURS[part])
        space.plot([], [], [], color=COLOURS[part], label=f"{part}, {len(views)}")
    limits = np.array([space.get_xlim(), space.get_ylim(), space.get_zlim()])
    space.set_box_aspect(np.ptp(limits, axis=1))
    space.set(xlabel="x", ylabel="y", zlabel="z")
    space.tick_params(labelsize=7)
    space.legend(fontsize=8, loc="upper left")


def draw_photograph(panel, views, i, box):
    """A photograph, and where its camera sees the sides of the box."""
    camera = views.cameras[i]
    panel.imshow(views.images[i], extent=(0, camera.width, camera.height, 0))
    x, y, depth = projected(camera, box)
    for a, b in SIDES:
        if min(depth[a], depth[b]) > 0:
            panel.plot(x[[a, b]], y[[a, b]], color="red", linewidth=1)
    behind = "\nthe box is behind the camera" if (depth <= 0).all() else ""
    panel.set_title(f"training view {i}{behind}", color="red" if behind else "black", fontsize=10)
    panel.set(xlim=(0, camera.width), ylim=(camera.height, 0))
    panel.set_axis_off()


def draw_camera(space, camera, reach, near, far, colour):
    """A pyramid of a height, a stroke up, and the middle ray."""
    place, (a, b, c, d) = camera.position, corners(camera, reach)
    space.plot(*np.stack([place, a, b, c, d, a, b, place, c, d, place]).T, color=colour, linewidth=0.7)
    top = (a + b) / 2
    space.plot(*np.stack([top, top + (a - d) / 2]).T, color="tab:red", linewidth=1)
    space.plot(*middle_ray(camera, near, far).T, color=colour, linewidth=0.4, alpha=0.5)


def middle_ray(camera, near, far):
    """Where the ray through the middle of a camera's image begins and ends, (2, 3)."""
    return np.stack([corners(camera, depth).mean(0) for depth in (near, far)])


def meets(camera, scene):
    """Whether the middle ray of a camera goes through the bounds of a scene, between `near` and `far`."""
    begin, end = middle_ray(camera, scene.near, scene.far)
    points = begin + np.linspace(0, 1, 256)[:, None] * (end - begin)
    return bool(((points > scene.bounds[0]) & (points < scene.bounds[1])).all(1).any())


def psnr(image, truth):
    """Peak signal-to-noise ratio in decibels, -10 log10 of the mean squared error; infinite for equal images.

    Args:
        image, truth: Floating, in [0, 1], of one shape.

    Raises:
        ValueError: The shapes differ.
    """
    image, truth = alike(image, truth)
    with np.errstate(divide="ignore"):
        return float(-10 * np.log10(np.mean((image - truth) ** 2)))


def ssim(image, truth):
    """Structural similarity, from -1 to 1; 1 for equal images.

    Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, with their window: a Gaussian of 1.5 pixels.

    Args:
        image, truth: (height, width, channels), floating, in [0, 1], each side at least 11 pixels.

    Raises:
        ValueError: The shapes differ, or an image is too small.
    """
    from skimage.metrics import structural_similarity

    image, truth = alike(image, truth)
    if image.ndim != 3 or min(image.shape[:2]) < 11:
        raise ValueError(
            f"Images must be (height, width, channels), each side at least 11 pixels, got {image.shape}."
        )
    window = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    return float(structural_similarity(truth, image, channel_axis=-1, data_range=1.0, **window))


def depth_error(depth, truth, opacity=None):
    """Mean of |depth - truth| over pixels where both see something, in units of the scene; NaN if there are none.

    Args:
        depth: (..., height, width), floating, as `render` gives it: each place weighted by what it adds to the pixel.
        truth: The same, exact; infinite where nothing is there.
        opacity: (..., height, width), floating, in [0, 1], the sum of those weights; a pixel below 1/2 sees nothing.

    Raises:
        ValueError: The shapes differ.
    """
    depth, truth = alike(depth, truth)
    there = np.isfinite(truth)
    if opacity is not None:
        opacity, _ = alike(opacity, truth)
        there &= opacity >= 0.5
        depth = depth / np.maximum(opacity, 0.5)
    return float(np.abs(depth - truth)[there].mean()) if there.any() else float("nan")


def view_scores(seen, image, depth=None):
    """How close a rendered view is to the truth.

    Args:
        seen: What `render` gives of one camera: color, depth and opacity.
        image: (height, width, 3), floating, in [0, 1]: the photograph.
        depth: (height, width), floating: the true depth, or None.

    Returns:
        A dict from names to floats: psnr; ssim, of images of 11 pixels and more; depth_error, where depth is known.
    """
    found = {"psnr": psnr(seen.color, image)}
    if min(np.shape(image)[:2]) >= 11:
        found["ssim"] = ssim(seen.color, image)
    if depth is not None:
        found["depth_error"] = depth_error(seen.depth, depth, seen.opacity)
    return found


def chamfer_distance(points, others):
    """How far two surfaces are apart, by points of each: the mean distance to the nearest point of the other.

    Both directions count half. (Some authors give their sum, or square the distances.)

    Args:
        points, others: (count, 3), floating, spread over the surfaces; counts may differ.

    Returns:
        A float from 0, in units of the points.

    Raises:
        ValueError: There are no points, or they are no finite points of space.
    """
    from scipy.spatial import cKDTree

    points, others = (np.asarray(v, "float64") for v in (points, others))
    for name, found in (("points", points), ("others", others)):
        if found.ndim != 2 or found.shape[1] != 3 or not len(found) or not np.isfinite(found).all():
            raise ValueError(f"{name} must be finite, (count, 3), with a count from 1, got {found.shape}.")
    there, back = cKDTree(others).query(points)[0], cKDTree(points).query(others)[0]
    return float((there.mean() + back.mean()) / 2)


def alike(first, second):
    """Two arrays in float64, after a look at whether they are of one shape."""
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    if first.shape != second.shape or not first.size:
        raise ValueError(
            f"Both must be of one shape, and hold something, got {first.shape} and {second.shape}."
        )
    return first, second
