"""Sets that TensorFlow Datasets has prepared, read without TensorFlow.

`tfds.data_source` gives random access to data in the form "array_record". Reading such data needs
neither TensorFlow nor a network. Preparing it needs both, once, on any machine.
"""

import tempfile

import numpy as np

from keraszoo.data.dataset import Dataset, divide
from keraszoo.data.images import checked_size, fitted
from keraszoo.registry import nearest

PARTS = ("train", "validation", "test")
SMALL = 512 * 2**20  # bytes of images that become arrays; more become a stream of batches


def load(
    name,
    keys=None,
    arrays=None,
    image_size=None,
    channels=None,
    batch_size=32,
    seed=0,
    download=False,
    data_dir=None,
    validation=0.0,
):
    """A set of images, with classes or without.

    Args:
        name: What TensorFlow Datasets calls it: "mnist", "cats_vs_dogs", "emnist/letters".
        keys: Names of its features for image and class; the second may be None. None takes the pair
            that the set itself declares.
        arrays: True for NumPy arrays, False for batches that are read when they are needed. None makes
            arrays where all images together take up to 512 MB, as MNIST, CIFAR-10 and SVHN do.
        image_size: (height, width) in pixels: images are scaled and cut to fill it. Needed where the
            images differ in size.
        channels: 1 for grey, 3 for RGB. None takes that of the set.
        batch_size: Images in a batch, where there are batches.
        seed: Seed of the orders of such batches in training, a non-negative integer.
        download: Download and prepare the set if it is not there. This needs TensorFlow.
        data_dir: Folder that holds the prepared sets. None is TensorFlow Datasets' own:
            TFDS_DATA_DIR, or ~/tensorflow_datasets.
        validation: Share of the training part to set apart, where the set has no validation part.
            Classes keep their shares if the set becomes arrays.

    Raises:
        ImportError: TensorFlow Datasets is not installed.
        FileNotFoundError: The set is not prepared in `data_dir`; the message tells how to do it.
        ValueError: There is no such set, or it is not one of images and classes.
        RuntimeError: Downloading or preparing failed; nothing is left behind.
    """
    builder = opened(name, data_dir, download)
    info = builder.info
    image, label = chosen(name, keys or info.supervised_keys, info.features)
    shape = info.features[image].shape
    if image_size is None and None in shape[:2]:
        raise ValueError(f"The images of tfds:{name} differ in size: give image_size=(height, width).")
    size = checked_size(image_size or shape[:2])
    channels = channels or shape[2] or 3
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels!r} for tfds:{name}.")
    sources = {part: source(builder, part) for part in PARTS if part in info.splits}
    rows = {part: np.arange(len(held)) for part, held in sources.items()}
    if "train" not in sources:
        raise ValueError(f"tfds:{name} has no training part, only {', '.join(info.splits)}.")
    if arrays is None:
        arrays = sum(map(len, sources.values())) * size[0] * size[1] * channels <= SMALL
    if validation:
        if "validation" in sources:
            raise ValueError(
                f"tfds:{name} has a validation part of its own: leave validation={validation} out."
            )
        classes = [record[label] for record in read(sources["train"])] if arrays and label else None
        rows["train"], rows["validation"] = divide(len(sources["train"]), validation, classes)
        sources["validation"] = sources["train"]

    def convert(records):
        x = np.stack([pixels(record[image], size, channels) for record in records])
        return x if label is None else (x, np.array([record[label] for record in records], "int32"))

    def part(name):
        if arrays:
            data = convert(read(sources[name], rows[name]))
            return data if label else (data, None)
        from keraszoo.data.streams import Records

        return Records(
            sources[name], convert, rows[name], batch_size=batch_size, shuffle=name == "train", seed=seed
        )

    return Dataset(
        name=f"tfds:{name}",
        task="image_classification" if label else "images",
        **{name: part(name) for name in sources},
        class_names=tuple(info.features[label].names) if label else None,
        source=info.homepage or "TensorFlow Datasets",
        licence=(info.redistribution_info and info.redistribution_info.license) or "not stated",
        citation=" ".join(info.citation.split()),
    )


def opened(name, data_dir, download):
    """The builder of a set that is prepared."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError('TensorFlow Datasets is not installed: pip install "keraszoo[tfds]"') from error
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        raise ValueError(
            f"TensorFlow Datasets knows no set called {name!r}, and none is prepared in {data_dir or 'its folder'}. "
            f"{nearest(name, known, 'https://www.tensorflow.org/datasets/catalog')}"
        ) from error
    if builder.is_prepared():
        return builder
    by_hand = (
        f"To put it there by hand, run `tfds build {name} --file_format=array_record` where there is "
        f"TensorFlow and a network, and copy the folder that this makes to {builder.data_dir}."
    )
    if not download:
        raise FileNotFoundError(
            f"tfds:{name} was looked for in {builder.data_dir}, and is not there. "
            f"download=True downloads and prepares it. {by_hand}"
        )
    try:
        with tempfile.TemporaryDirectory() as downloads:
            builder.download_and_prepare(download_dir=downloads, file_format="array_record")
    except Exception as error:
        raise RuntimeError(
            f"tfds:{name} could not be downloaded and prepared: {error!r}. {by_hand}"
        ) from error
    return builder


def source(builder, part):
    """Random access to one part of a set."""
    try:
        return builder.as_data_source(split=part)
    except NotImplementedError as error:
        raise ValueError(
            f"{builder.data_dir} holds the set in the form {builder.info.file_format.value!r}, which only "
            f"TensorFlow reads: prepare it in another folder with --file_format=array_record."
        ) from error


def chosen(name, keys, features):
    """The names of the features for image and class."""
    import tensorflow_datasets as tfds

    image, label = keys if keys and len(keys) == 2 else (None, None)
    held = dict(features.items())
    is_image = isinstance(held.get(image), tfds.features.Image) and held[image].np_dtype == np.uint8
    if is_image and (label is None or isinstance(held.get(label), tfds.features.ClassLabel)):
        return image, label
    held = ", ".join(f"{key} ({type(value).__name__})" for key, value in held.items())
    raise ValueError(
        f"tfds:{name} does not say which of its features are image and class. Name an Image of 8 bits and a "
        f'ClassLabel, or None, by keys=("image", "label"); got {keys}. It has: {held}.'
    )


def read(source, rows=None):
    """Records of a source: those in `rows`, or all."""
    return source.__getitems__(range(len(source)) if rows is None else rows.tolist())


def pixels(image, size, channels):
    """One image as (height, width, channels) uint8."""
    if image.shape == (*size, channels):
        return image
    from PIL import Image

    return fitted(Image.fromarray(image[..., 0] if image.shape[2] == 1 else image), size, channels)
