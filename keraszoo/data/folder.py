"""A folder of images, one subfolder for each class."""

from pathlib import Path

import numpy as np

from keraszoo.data.dataset import Dataset, divide
from keraszoo.data.images import checked_size

ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def load(path, image_size=None, channels=None, batch_size=32, seed=0, validation=0.0):
    """Images read from disk batch by batch; every epoch of the training part has its own order.

    The folder holds `train`, and maybe `validation` (or `val`) and `test`, each with a subfolder for
    each class; or the subfolders for the classes alone, of which a fifth of the images, the same every
    time, become the test part. Classes are numbered by the alphabetical order of the subfolders.

    Args:
        path: The folder.
        image_size: (height, width) in pixels: images are scaled and cut to fill it. None takes the
            size of the first training image.
        channels: 1 for grey, 3 for RGB. None takes that of the first training image.
        batch_size: Images in a batch.
        seed: Seed of the orders, a non-negative integer.
        validation: Share of the training part to set apart, where there is no such folder.

    Raises:
        ValueError: There are no images, an image cannot be read, or the parts have different classes.
    """
    parts, class_names = listed(Path(path))
    if validation:
        if "validation" in parts:
            raise ValueError(f"{path} has a validation part of its own: leave validation={validation} out.")
        files, labels = parts["train"]
        learn, choose = divide(len(files), validation, labels)
        parts |= {"train": (files[learn], labels[learn]), "validation": (files[choose], labels[choose])}

    from PIL import Image

    from keraszoo.data.streams import ImageFiles

    if image_size is None or channels is None:
        with Image.open(parts["train"][0][0]) as first:
            image_size = image_size or (first.height, first.width)
            channels = channels or (1 if first.mode in ("1", "L", "LA") else 3)
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels!r}.")
    order = dict(image_size=checked_size(image_size), channels=channels, batch_size=batch_size, seed=seed)
    return Dataset(
        name=str(path),
        task="image_classification",
        **{part: ImageFiles(*data, shuffle=part == "train", **order) for part, data in parts.items()},
        class_names=class_names,
        source=str(Path(path).resolve()),
        licence="not stated",
    )


def listed(root):
    """Each part's files and class numbers, and the names of the classes."""
    if any(child.is_dir() for child in (root / "train").glob("*")):
        folders = {"train": root / "train", "test": root / "test"}
        folders["validation"] = next(
            (root / name for name in ("validation", "val") if (root / name).is_dir()), root / "validation"
        )
        class_names = classes(root / "train")
        parts = {part: images(at, class_names) for part, at in folders.items() if at.is_dir()}
        return parts, class_names
    class_names = classes(root)
    files, labels = images(root, class_names)
    learn, judge = divide(len(files), 0.2, labels)
    return {"train": (files[learn], labels[learn]), "test": (files[judge], labels[judge])}, class_names


def classes(root):
    """Names of the subfolders, sorted."""
    return tuple(sorted(at.name for at in root.iterdir() if at.is_dir() and not at.name.startswith(".")))


def images(root, class_names):
    """Files below the folders of the classes, and their class numbers."""
    if strange := set(classes(root)) - set(class_names):
        raise ValueError(f"{root} holds classes that the training part lacks: {', '.join(sorted(strange))}.")
    files, labels = [], []
    for number, name in enumerate(class_names):
        found = sorted(file for file in (root / name).rglob("*") if file.suffix.lower() in ENDINGS)
        files += found
        labels += [number] * len(found)
    if not files:
        raise ValueError(
            f"{root} holds no images: expected a subfolder for each class, and in it files that end in "
            f"{', '.join(sorted(ENDINGS))}. (A scene would hold poses: transforms.json, poses_bounds.npy, or COLMAP's "
            "images.txt.)"
        )
    return np.array([str(file) for file in files]), np.array(labels, "int32")
