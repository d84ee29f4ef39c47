"""Scenes from a folder of one's own: photographs with poses, in any of the forms that are common.

transforms.json                     Blender, or what writes like it: all views in one file, or in
transforms_train.json ...           one for each part; file_path names the images
poses_bounds.npy, images/           LLFF
cameras.txt, images.txt, images/    COLMAP's text model, here, in `sparse` or in `sparse/0`
scene.npz                           all in one file; see `ARRAYS`
"""

import dataclasses
import functools
import json
import math
import zipfile
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np

from keraszoo.data.directory import File, located
from keraszoo.data.folder import ENDINGS
from keraszoo.data.images import checked_size, resized
from keraszoo.data.scenes import BACKGROUNDS, Scene, Views, projected, seen_box

IMAGES = ("images", "images_2", "images_4", "images_8")  # where photographs are, and copies that were reduced
MODELS = ("", "sparse/0/", "sparse/")  # where COLMAP puts its model
FOCALS = {  # how many focal lengths are among the parameters of COLMAP's cameras; others bend straight lines
    "SIMPLE_PINHOLE": 1,
    "PINHOLE": 2,
    "SIMPLE_RADIAL": 1,
    "RADIAL": 1,
    "OPENCV": 2,
}
BLENDER_DEPTHS = {"near": 2.0, "far": 6.0}  # of the scenes of the paper
ARRAYS = (
    "the arrays images (count, height, width, 3 or 4) uint8, alpha not multiplied; poses (count, 4, 4), from a "
    "camera that looks along -z, y up, to the scene; focal, in pixels; near, far; and maybe view_id (count,) integers"
)
LEGO = File(
    "nerf_lego/nerf_lego_100.npz",
    "b479e51bb4aa2b1738293e17183287af56749a3ade83d0adff53872adcf61386",
    ARRAYS,
)


@dataclass(frozen=True)
class Shot:
    """A photograph as a file of poses tells of it."""

    source: Path  # that file
    name: str
    image: Path | np.ndarray  # a file, or (height, width, 3 or 4), uint8
    pose: np.ndarray  # (4, 4) or (3, 4), from the camera to the scene
    focal: tuple  # along x and along y, in pixels of an image of `size`
    center: tuple | None  # the same
    size: tuple  # (height, width)
    convention: str = "opengl"


def load(path, image_size=None, factor=1, background=None, near=None, far=None, bounds=None, holdout=8):
    """A scene from a folder, or from an .npz file.

    Args:
        path: The folder or the file; see above.
        image_size: (height, width) in pixels that images are resized to, and focal lengths with them.
        factor: Or how many times smaller the sides of images become.
        background: "white" or "black": what to put behind images with an alpha channel, white by default; or
            what is behind opaque ones already.
        near, far: Between which depths all lies, in units of the scene. LLFF's files tell, and COLMAP's points;
            .json and .npz files may say `near` and `far`. Where .json files do not, it is 2 and 6, as in the
            paper's scenes, unless they say `fl_x`: others than the paper's are in units of their own.
        bounds: ((x, y, z), (x, y, z)): the least and greatest corner of a box around the scene. By default
            around COLMAP's points, or what no camera takes for background, or what at least half of them see.
        holdout: Each so many-th view, from the first on, is for testing, where the form has no parts of its
            own; 0 for none.

    Raises:
        ValueError: Something is missing, damaged, or does not fit the rest; the message names the file.
    """
    path = Path(path)
    if background not in (None, *BACKGROUNDS):
        raise ValueError(f'background must be "white" or "black", got {background!r}.')
    if holdout not in range(2, 1_000_000) and holdout != 0:
        raise ValueError(f"holdout must be 0 or a whole number from 2, got {holdout!r}.")
    source, read = form(path)
    shots, known = read(source, holdout)
    known |= {key: v for key, v in (("near", near), ("far", far), ("bounds", bounds)) if v is not None}
    near, far = known.get("near"), known.get("far")
    if near is None or far is None:
        raise ValueError(f"{source} does not tell how far the scene reaches: give near and far.")
    if not all(isinstance(depth, Real) for depth in (near, far)) or not 0 <= near < far < np.inf:
        raise ValueError(f"{source}: near must be a number from 0, and below far, got {near=}, {far=}.")
    known |= {"near": float(near), "far": float(far)}
    parts, background = developed(shots, image_size, factor, background)
    if known.get("bounds") is None:
        known["bounds"] = seen_box(parts["train"], known["near"], known["far"])
    return Scene(
        name=str(path),
        **parts,
        **known,
        background=background,
        source=str(path.resolve()),
        licence="not stated",
    )


def is_scene(path):
    """Whether a path is a scene's: it holds poses, or photographs that are not sorted into classes."""
    if path.is_file():
        return path.suffix == ".npz"
    files = ["poses_bounds.npy", *(f"{model}images.{kind}" for model in MODELS for kind in ("txt", "bin"))]
    if any((path / file).exists() for file in files) or any(path.glob("transforms*.json")):
        return True
    classes = {child.name for child in path.iterdir() if child.is_dir()} - {*IMAGES, "sparse"}
    return not classes and any(
        child.suffix.lower() in ENDINGS or child.name in IMAGES for child in path.iterdir()
    )


def form(path):
    """The file or folder that holds the poses, and what reads it: a function of it and of `holdout`.

    It gives a dict from parts to lists of `Shot`, and a dict with what is known of near, far and bounds.
    """
    if path.is_file():
        return path, packed
    if (path / "transforms.json").is_file() or (path / "transforms_train.json").is_file():
        return path, blender
    if (path / "poses_bounds.npy").is_file():
        return path / "poses_bounds.npy", llff
    for model in MODELS:
        file = path / f"{model}images.txt"
        if file.is_file():
            return file, functools.partial(colmap, path)
        if file.with_suffix(".bin").is_file():
            raise ValueError(
                f"{file.with_suffix('.bin')} is of COLMAP's binary model: write it as text, with "
                "`colmap model_converter --output_type TXT`."
            )
    raise ValueError(
        f"{path} holds no poses: expected transforms.json, transforms_train.json, poses_bounds.npy, or COLMAP's "
        "images.txt and cameras.txt."
    )


def held_out(shots, holdout, source, numbers=None):
    """The training and the test part of shots; those whose number `holdout` divides are for testing."""
    numbers = range(len(shots)) if numbers is None else numbers
    judge = [bool(holdout) and number % holdout == 0 for number in numbers]
    parts = {
        part: [shot for shot, apart in zip(shots, judge, strict=True) if apart == tested]
        for part, tested in (("train", False), ("test", True))
    }
    if not parts["train"]:
        raise ValueError(f"{source}: all of {len(shots)} views are for testing; holdout=0 tests on none.")
    return {part: found for part, found in parts.items() if found}


# Blender


def blender(folder, holdout):
    """Poses in JSON: `camera_angle_x` or `fl_x`, and `frames` with `file_path` and `transform_matrix`."""
    files = {part: folder / f"transforms_{part}.json" for part in ("train", "val", "test")}
    if (whole := folder / "transforms.json").is_file():
        shots, told = frames(whole)
        parts, tellings = held_out(shots, holdout, whole), [told]
    else:
        read = {part: frames(file) for part, file in files.items() if file.is_file()}
        parts = {{"val": "validation"}.get(part, part): shots for part, (shots, _) in read.items()}
        tellings = [told for _, told in read.values()]  # the training part's first
    measured = any("fl_x" in about for told in tellings for about in (told, *told["frames"]))
    known = {} if measured else BLENDER_DEPTHS
    return parts, known | {key: tellings[0][key] for key in ("near", "far") if key in tellings[0]}


def frames(file):
    """The shots of a file, and all that it says besides."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        listed = told["frames"]
        given = [(frame["file_path"], frame["transform_matrix"], {**told, **frame}) for frame in listed]
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as JSON: {error}") from error
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{file} must hold `frames`, each with `file_path` and `transform_matrix`; {error} is missing or no list."
        ) from error
    if not given:
        raise ValueError(f"{file} holds no frames.")
    return [frame_shot(file, *one) for one in given], told


def frame_shot(file, name, pose, about):
    """A frame of `file`, with what the file says `about` it."""
    image = file.parent / name
    if not image.is_file() and image.with_name(image.name + ".png").is_file():
        image = image.with_name(image.name + ".png")  # as the paper's sets have it
    if bent := [key for key in ("k1", "k2", "k3", "k4", "p1", "p2") if about.get(key)]:
        raise distorted(file, bent)
    if "fl_x" not in about and "camera_angle_x" not in about:
        raise ValueError(f"{file} tells no focal length: expected camera_angle_x or fl_x.")
    height, width = about.get("h"), about.get("w")
    if height is None or width is None:
        with opened(image, file) as head:
            height, width = head.height, head.width
    try:
        if "fl_x" in about:
            focal = about["fl_x"], about.get("fl_y", about["fl_x"])
        else:
            across = 0.5 * width / math.tan(0.5 * about["camera_angle_x"])
            down = about.get("camera_angle_y")
            focal = across, across if down is None else 0.5 * height / math.tan(0.5 * down)
        center = (about["cx"], about["cy"]) if "cx" in about and "cy" in about else None
        pose, size = np.array(pose, "float64"), (int(height), int(width))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{file}: what it says of {name} is no camera: {error}") from error
    return Shot(file, name, image, pose, focal, center, size)


# LLFF


def llff(file, holdout):
    """Poses as in poses_bounds.npy, moved to the middle of the cameras, in units such that all is beyond 4/3.

    Mildenhall et al. 2019, https://arxiv.org/abs/1905.00889. A row is a (3, 5) matrix of the directions down,
    right and back, the place, and (height, width, focal), then the least and the greatest depth. Space is not
    warped into a cube here (NDC, appendix C of NeRF), so that depths stay depths.
    """
    from keraszoo.layers.cameras import checked_pose

    try:
        rows = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{file} cannot be read as .npy: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != 17 or not len(rows) or not np.isfinite(rows).all():
        raise ValueError(f"{file} must hold finite numbers, (views, 17), got {rows.shape}.")
    near, far = rows[:, 15].min(), rows[:, 16].max()
    if not 0 < near < far:
        raise ValueError(f"{file}: near must be above 0 and below far, got {near=}, {far=}.")
    given = rows[:, :15].reshape(-1, 3, 5).astype("float64")
    poses = np.stack([given[..., 1], -given[..., 0], given[..., 2], given[..., 3]], axis=-1)
    images = photographs(file.parent, file)
    if len(images) != len(poses):
        raise ValueError(
            f"{file} holds {len(poses)} poses, but {images[0].parent} holds {len(images)} images: {images[0].name} ... "
            f"{images[-1].name}."
        )
    for image, pose in zip(images, poses, strict=True):
        checked_pose(pose, f"{file}: the pose of {image.name}")  # before a mean is taken of them all
    unit = 0.75 * near
    poses[..., 3] /= unit
    poses = recentred(poses)
    shots = [
        Shot(file, image.name, image, pose, (focal, focal), None, (round(height), round(width)))
        for image, pose, (height, width, focal) in zip(images, poses, given[..., 4], strict=True)
    ]
    known = {"near": float(0.9 * near / unit), "far": float(far / unit)}
    return held_out(shots, holdout, file), known


def recentred(poses):
    """Poses, (views, 3, 4), as seen from their mean pose."""
    back = poses[..., 2].sum(0)
    right = np.cross(poses[..., 1].sum(0), back)
    axes = np.stack([right, np.cross(back, right), back], axis=-1)
    axes /= np.maximum(np.linalg.norm(axes, axis=0), 1e-12)
    moved = poses.copy()
    moved[..., 3] -= poses[..., 3].mean(0)
    return axes.T @ moved


# COLMAP


def colmap(folder, file, holdout):
    """Poses as in COLMAP's images.txt and cameras.txt; points3D.txt, where there is one, tells how far all reaches."""
    from scipy.spatial.transform import Rotation

    cameras = dict(camera_lines(file.with_name("cameras.txt")))
    # Two lines for each image; the second, of points in it, may be empty.
    lines = [line.strip() for line in text(file).splitlines() if not line.startswith("#")]
    while lines and not lines[0]:
        del lines[0]
    placed = {}
    for line in lines[::2]:
        if not line:
            continue
        try:
            _, *numbers, camera, name = line.split(maxsplit=9)
            w, x, y, z, right, down, ahead = map(float, numbers)
            intrinsics = cameras[int(camera)]
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{file}: expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, with a camera of cameras.txt, got {line!r}."
            ) from error
        if not abs(math.hypot(w, x, y, z) - 1) < 1e-3:
            raise ValueError(f"{file}: the quaternion of {name} is no rotation, of length 1: {(w, x, y, z)}.")
        turn = Rotation.from_quat([x, y, z, w]).as_matrix().T  # from the camera to the scene
        placed[name] = np.column_stack([turn, -turn @ [right, down, ahead]]), *intrinsics
    if not placed:
        raise ValueError(f"{file} holds no images.")
    images = {str(image.relative_to(image_folder(folder))): image for image in photographs(folder, file)}
    if astray := sorted(images.keys() - placed.keys()):
        raise ValueError(
            f"{file} has no poses for {len(astray)} of {len(images)} images in {image_folder(folder)}, such as "
            f"{', '.join(astray[:3])}: take them away, or find their poses."
        )
    shots = [
        Shot(file, name, image_folder(folder) / name, *placed[name], convention="opencv")
        for name in sorted(placed)
    ]
    return held_out(shots, holdout, file), reach(file, shots)


def camera_lines(file):
    """Numbers of cameras, and their focal lengths, centres and sizes."""
    for line in text(file).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        try:
            number, model, width, height, *rest = line.split()
            number, width, height, rest = int(number), int(width), int(height), [float(v) for v in rest]
        except ValueError as error:
            raise ValueError(
                f"{file}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS, got {line!r}."
            ) from error
        if model not in FOCALS:
            raise ValueError(f"{file}: cameras must be one of {', '.join(FOCALS)}, got {model}.")
        focals = FOCALS[model]
        if len(rest) < focals + 2:
            raise ValueError(f"{file}: a camera {model} has a focal length and a centre, got {line!r}.")
        if any(rest[focals + 2 :]):
            raise distorted(file, [model])
        yield number, ((rest[0], rest[focals - 1]), tuple(rest[focals : focals + 2]), (height, width))


def reach(file, shots):
    """How far the scene reaches, by the points that COLMAP found: near, far and bounds; nothing without them."""
    points = file.with_name("points3D.txt")
    if not points.is_file():
        return {}
    rows = [
        line.split()[1:4] for line in text(points).splitlines() if line.strip() and not line.startswith("#")
    ]
    try:
        found = np.array(rows, "float64").reshape(-1, 3)
    except ValueError as error:
        raise ValueError(f"{points}: expected POINT3D_ID X Y Z ... in each line: {error}") from error
    depths = []
    for shot in shots:
        x, y, depth = projected(camera_of(shot), found)
        inside = (depth > 0) & (x > 0) & (x < shot.size[1]) & (y > 0) & (y < shot.size[0])
        depths.append(depth[inside])
    depths = np.concatenate(depths)
    if not len(depths):
        return {}
    # A thousandth at either end are mistakes of COLMAP's.
    near, far = np.percentile(depths, [0.1, 99.9])
    low, high = np.percentile(found, [0.5, 99.5], axis=0)
    room = 0.1 * (high - low).max()
    return {"near": float(0.9 * near), "far": float(1.1 * far), "bounds": np.stack([low - room, high + room])}


# All in one file


def packed(file, holdout):
    """An .npz file that holds `ARRAYS`."""
    try:
        with np.load(file, allow_pickle=False) as held:
            told = {key: held[key] for key in held}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} cannot be read as .npz ({error}). It must hold {ARRAYS}.") from error
    if missing := [key for key in ("images", "poses", "focal") if key not in told]:
        raise ValueError(f"{file} lacks {' and '.join(missing)}. It must hold {ARRAYS}.")
    images, poses = told["images"], told["poses"]
    if images.ndim != 4 or images.shape[3] not in (3, 4) or images.dtype != np.uint8 or not len(images):
        raise ValueError(
            f"{file}: images must be (count, height, width, 3 or 4) uint8, got {images.shape} {images.dtype}."
        )
    numbers = told.get("view_id", np.arange(len(images)))
    if not len(images) == len(poses) == len(numbers):
        raise ValueError(f"{file} holds {len(images)} images, but {len(poses)} poses.")
    try:
        focal = tuple(float(v) for v in np.broadcast_to(told["focal"], (2,)))
        known = {key: float(told[key]) for key in ("near", "far") if key in told}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file}: focal, near and far must be numbers. It must hold {ARRAYS}.") from error
    order = np.argsort(numbers, kind="stable")
    shots = [
        Shot(file, f"view {numbers[i]}", images[i], poses[i], focal, None, images.shape[1:3]) for i in order
    ]
    return held_out(shots, holdout, file, numbers[order]), known


def nerf_lego(image_size=None, background="white", holdout=8, data_dir=None, check=True):
    """Lego: 75 and 13 rendered views of a toy digger, 100x100 pixels.

    Args:
        image_size: (height, width) in pixels. None leaves the images as they are.
        background: "white" or "black": what is behind the digger.
        holdout: Views whose number this divides are for testing; 0 for none.
        data_dir: Folder that holds nerf_lego/nerf_lego_100.npz.
        check: Compare the file's SHA-256.
    """
    path, _ = located("nerf_lego", LEGO, data_dir, check)
    return dataclasses.replace(
        load(path, image_size, background=background, holdout=holdout),
        name="nerf_lego",
        source="the Lego scene of NeRF's synthetic set, as in github.com/shouxieai/nerf, reduced from 800x800 pixels",
        licence="CC BY-NC: no commercial use",
        citation="B. Mildenhall et al., 2020, https://arxiv.org/abs/2003.08934; model by Heinzelnisse, Blend Swap",
    )


# From shots to views


def developed(shots, image_size=None, factor=1, background=None):
    """Views of parts of shots, and what is behind their images.

    Raises:
        ValueError: An image cannot be read, or differs from the others in size, or is no image of its camera; or
            a pose does not rotate.
    """
    cameras = {part: [camera_of(shot) for shot in taken] for part, taken in shots.items()}
    first, pixels = None, {}
    for part, taken in shots.items():
        pixels[part] = []
        for i, shot in enumerate(taken):
            image = shot.image if isinstance(shot.image, np.ndarray) else read(shot.image, shot.source)
            if first is None:
                first = shot.name, image.shape[:2]
                size = smaller(first[1], image_size, factor)
            if image.shape[:2] != first[1]:
                raise ValueError(
                    f"{shot.source}: images must be of one size, but {first[0]} has {first[1]} pixels and {shot.name} "
                    f"{image.shape[:2]}."
                )
            cameras[part][i] = fitted(cameras[part][i], image, shot).resized(*size)
            # At once: in full size, all of them may not fit into memory.
            pixels[part].append(resized(image[None], size)[0])
    clear = any(image.shape[2] == 4 for images in pixels.values() for image in images)
    background = background or ("white" if clear else None)
    parts = {}
    for part, images in pixels.items():
        images, alphas = composited([with_alpha(image) for image in images] if clear else images, background)
        parts[part] = Views(images, tuple(cameras[part]), None, alphas)
    return parts, background


def read(file, source):
    """An image as (height, width, 3 or 4), uint8; not turned as cameras of telephones ask for: poses do not know."""
    with opened(file, source) as image:
        clear = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        try:
            return np.asarray(image.convert("RGBA" if clear else "RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{file} cannot be read as an image: {error}") from error


def opened(file, source):
    """An image of which only the head was read.

    Raises:
        ValueError: There is no such file, or it is no image.
    """
    from PIL import Image

    if not file.is_file():
        raise ValueError(f"{source} has a pose for {file}, but there is no such image.")
    try:
        return Image.open(file)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as an image: {error}") from error


def camera_of(shot):
    """The camera of a shot."""
    from keraszoo.layers.cameras import Camera  # with Keras, which takes seconds to import

    try:
        return Camera(shot.pose, shot.focal, *shot.size, shot.center, shot.convention)
    except ValueError as error:
        raise ValueError(f"{shot.source}, {shot.name}: {error}") from error


def fitted(camera, image, shot):
    """The camera of an image that was reduced or enlarged since its focal length was measured."""
    height, width = image.shape[:2]
    if (
        abs(width * camera.height / (height * camera.width) - 1) > 0.03
    ):  # a reduced one is rounded to whole pixels
        raise ValueError(
            f"{shot.name} has {height}x{width} pixels, but {shot.source} says {camera.height}x{camera.width}: another shape."
        )
    return camera.resized(height, width)


def smaller(size, image_size, factor):
    """The size that images are to have."""
    if image_size is not None:
        if factor != 1:
            raise ValueError(f"Give image_size or factor, not both, got {image_size=}, {factor=}.")
        return checked_size(image_size)
    found = tuple(round(side / factor) if factor > 0 else 0 for side in size)
    if min(found) < 1:
        raise ValueError(f"factor must leave images of {size} at least a pixel, got {factor!r}.")
    return found


def with_alpha(image):
    """An image with four channels; one with three is opaque."""
    return image if image.shape[2] == 4 else np.dstack([image, np.full(image.shape[:2], 255, "uint8")])


def composited(images, background):
    """A list of images, uint8, as float32 in [0, 1] on a background, and their alpha; None of opaque ones."""
    shown = np.stack([image[..., :3] for image in images], dtype="float32")
    shown /= 255
    if images[0].shape[2] == 3:
        return shown, None
    alphas = np.stack([image[..., 3] for image in images], dtype="float32")
    alphas /= 255
    shown *= alphas[..., None]
    shown += BACKGROUNDS[background] * (1 - alphas[..., None])
    return shown, alphas


def photographs(folder, source):
    """The images of a scene, sorted by name."""
    within = image_folder(folder)
    found = sorted(f for f in within.rglob("*") if f.suffix.lower() in ENDINGS) if within.is_dir() else []
    if not found:
        raise ValueError(f"{source} has poses, but there are no images in {within}.")
    return found


def image_folder(folder):
    """Where a scene's images are."""
    return next((folder / name for name in IMAGES if (folder / name).is_dir()), folder / IMAGES[0])


def text(file):
    """What a text file holds."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error


def distorted(file, names):
    """The error for lenses that bend lines."""
    return ValueError(
        f"{file}: lenses that bend straight lines ({', '.join(names)}) are not known here: undistort the images first, "
        "as COLMAP's image_undistorter does."
    )
