"""Images that stay on disk until a batch needs them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageOps

from keraszoo.data.images import fitted
from keraszoo.training.batches import Shuffled


class ImageFiles(Shuffled):
    """Image files and their classes, decoded batch by batch.

    Args:
        files: Paths.
        labels: Class numbers, (count,).
        image_size: (height, width) in pixels: images are scaled and cut to fill it.
        channels: 1 for grey, 3 for RGB. Transparency is dropped.
        **order: Arguments of `Shuffled`: `batch_size`, `shuffle`, `seed`, `initial_epoch`.

    Each batch is `(x, y)`: x (batch, height, width, channels) uint8, y (batch,) int32.
    """

    def __init__(self, files, labels, image_size, channels, **order):
        super().__init__(len(files), **order)
        self.files = np.array([str(file) for file in files])
        self.labels = np.asarray(labels, "int32")
        self.image_size = image_size
        self.channels = channels
        self.pool = ThreadPoolExecutor(4)  # Pillow decodes outside of Python's lock

    def take(self, rows):
        return np.stack(list(self.pool.map(self.read, self.files[rows]))), self.labels[rows]

    def read(self, file):
        """One image, (height, width, channels) uint8."""
        try:
            with Image.open(file) as image:
                image.draft("L" if self.channels == 1 else "RGB", (max(self.image_size),) * 2)
                return fitted(ImageOps.exif_transpose(image), self.image_size, self.channels)
        except OSError as error:
            raise ValueError(f"{file} cannot be read as an image: {error}") from error


class Records(Shuffled):
    """Records of a source with random access, such as `tfds.data_source`, in batches.

    Args:
        source: Its `__getitems__(numbers)` gives a list of dicts.
        convert: From such a list to a batch.
        rows: Numbers of the records that belong to this set, an array.
        **order: Arguments of `Shuffled`.
    """

    def __init__(self, source, convert, rows, **order):
        super().__init__(len(rows), **order)
        self.source = source
        self.convert = convert
        self.rows = rows

    def take(self, rows):
        return self.convert(self.source.__getitems__(self.rows[rows].tolist()))
