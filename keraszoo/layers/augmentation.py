"""What is done to training images so that a network sees each of them only once.

Every layer here works on (batch, height, width, channels), keeps the dtype (integers are rounded and
clipped), draws anew for each image, and does nothing at inference. Keras' own layers serve where they
are right: `RandomFlip`, `RandomBrightness`, `RandomColorJitter`. These are here because Keras' are
not: `RandomCrop` cuts a whole batch at one place, and `RandomTranslation` with `RandomRotation` takes,
with JAX and PyTorch on a CPU, more than ten times as long as `RandomAffine`, which does both.
"""

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("keraszoo")
class RandomAffine(layers.Layer):
    """Turn, shift and zoom each image a little, all in one interpolation.

    Args:
        degrees: Greatest turn either way, in degrees.
        translation: Greatest shift either way, as a share of the height and of the width.
        zoom: Greatest change of size either way, as a share of it: 0.1 gives sizes in [0.9, 1.1].
        fill_value: What lies outside the image, in units of its pixels.
        seed: Seed of the draws.

    Shapes:
        images:  (batch, height, width, channels), floating or integer; height and width fixed.
        returns: the same, bilinearly interpolated.

    Raises:
        ValueError: An argument is negative, or `zoom` is not below 1.
    """

    def __init__(self, degrees=0.0, translation=0.0, zoom=0.0, fill_value=0.0, seed=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if min(degrees, translation, zoom) < 0 or zoom >= 1:
            raise ValueError(
                "degrees, translation and zoom must not be negative and zoom must be below 1, "
                f"got {degrees=}, {translation=}, {zoom=}."
            )
        self.degrees = degrees
        self.translation = translation
        self.zoom = zoom
        self.fill_value = fill_value
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        height, width = images.shape[1:3]
        turn, down, right, size = ops.unstack(
            keras.random.uniform((4, ops.shape(images)[0]), -1.0, 1.0, dtype="float32", seed=self.generator),
            4,
        )
        return affine(
            images,
            turn * np.deg2rad(self.degrees),
            down * self.translation * height,
            right * self.translation * width,
            1 + size * self.zoom,
            self.fill_value,
        )


@keras.saving.register_keras_serializable("keraszoo")
class PaddedRandomCrop(layers.Layer):
    """Pad every side, then cut an image of the old size at a random place.

    He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2: "4 pixels are padded on each side,
    and a 32x32 crop is randomly sampled".

    Args:
        padding: Pixels added to each side.
        fill_value: Their value.
        seed: Seed of the draws.

    Shapes:
        images:  (batch, height, width, channels), floating or integer; height and width fixed.
        returns: the same.
    """

    def __init__(self, padding=4, fill_value=0.0, seed=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if padding < 1:
            raise ValueError(f"padding must be at least 1, got {padding!r}.")
        self.padding = padding
        self.fill_value = fill_value
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        start = keras.random.randint(
            (2, ops.shape(images)[0], 1, 1), 0, 2 * self.padding + 1, dtype="int32", seed=self.generator
        )
        rows, columns = grid(images, "int32")
        return pick(padded(images, self.padding, self.fill_value), start[0] + rows, start[1] + columns)


@keras.saving.register_keras_serializable("keraszoo")
class PCAColorShift(layers.Layer):
    """Change the colour of each image along the colours that vary most in the training set.

    Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural
    networks", section 4.1: to every pixel of an image is added the sum over `i` of
    `p[i] * alpha[i] * lambda[i]`, with `p`, `lambda` the eigenvectors and eigenvalues of the 3x3
    covariance matrix of RGB values and `alpha[i]` drawn once for the image from N(0, 0.1 ** 2).

    An eigenvalue is a variance, so the rule depends on the unit. As in the implementations of the
    paper, the unit is the value range: `covariance` belongs to values in [0, 1].

    Args:
        covariance: Covariance of the channels, rows of numbers; see `color_covariance`.
        deviation: Standard deviation of `alpha`.
        value_range: (least, greatest) value of a pixel.
        seed: Seed of the draws.

    Shapes:
        images:  (batch, height, width, channels), floating or integer.
        returns: the same, clipped to `value_range`.
    """

    def __init__(self, covariance, deviation=0.1, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        matrix = np.asarray(covariance, "float64")
        if matrix.ndim != 2 or not np.allclose(matrix, matrix.T):
            raise ValueError(f"covariance must be a symmetric matrix, got {covariance!r}.")
        self.deviation = deviation
        self.low, self.high = value_range
        values, vectors = np.linalg.eigh(matrix)
        self.shifts = (values[:, None] * vectors.T).astype("float32")  # row i: lambda[i] * p[i]
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        shape = (ops.shape(images)[0], len(self.shifts))
        alpha = keras.random.normal(shape, stddev=self.deviation, dtype="float32", seed=self.generator)
        shift = ops.matmul(alpha, ops.convert_to_tensor(self.shifts)) * (self.high - self.low)
        y = ops.cast(images, "float32") + shift[:, None, None, :]
        return restored(ops.clip(y, self.low, self.high), images.dtype)


def color_covariance(images, value_range=(0, 255)):
    """Covariance of the channels over all pixels of all images, for `PCAColorShift`.

    Args:
        images: (batch, height, width, channels) array of pixels.
        value_range: (least, greatest) value of a pixel.

    Returns:
        `channels` rows of `channels` floats, in squared units of the value range.
    """
    low, high = value_range
    pixels = (np.asarray(images, "float64").reshape(-1, images.shape[-1]) - low) / (high - low)
    return np.cov(pixels.T, bias=True).reshape(images.shape[-1], -1).tolist()


@keras.saving.register_keras_serializable("keraszoo")
class TenCrop(layers.Layer):
    """Four corners and the centre of an image, and their mirror images: what a prediction averages over.

    Krizhevsky, Sutskever, Hinton 2012, section 4.1.

    Args:
        height, width: Size of a crop, in pixels.

    Shapes:
        images:  (batch, height of the image, width of the image, channels), any dtype.
        returns: (batch, 10, height, width, channels), the same dtype.

    >>> crops = TenCrop(224, 224)(images)
    >>> keras.layers.GlobalAveragePooling1D()(keras.layers.TimeDistributed(model)(crops))
    """

    def __init__(self, height, width, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.height = height
        self.width = width

    def call(self, images):
        down, right = images.shape[1] - self.height, images.shape[2] - self.width
        if min(down, right) < 0:
            raise ValueError(
                f"A crop of {(self.height, self.width)} does not fit into images of {images.shape[1:3]}."
            )
        corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        crops = ops.stack([images[:, y : y + self.height, x : x + self.width] for y, x in corners], axis=1)
        return ops.concatenate([crops, ops.flip(crops, axis=3)], axis=1)


def affine(images, turn, down, right, zoom, fill_value=0.0):
    """Zoom images about their centre, turn them, then shift them.

    Args:
        images: (batch, height, width, channels), floating or integer.
        turn: (batch,), counterclockwise as one sees the image, in radians.
        down, right: (batch,), shifts in pixels.
        zoom: (batch,), factors; 2 shows everything twice as large.
        fill_value: What lies outside the image.

    Returns:
        (batch, height, width, channels), the dtype of `images`, bilinearly interpolated.
    """
    height, width = images.shape[1:3]
    turn, down, right, zoom = (a[:, None, None] for a in (turn, down, right, zoom))
    rows, columns = grid(images, "float32")
    middle = (height - 1) / 2, (width - 1) / 2
    y, x = rows - middle[0] - down, columns - middle[1] - right  # of the result, seen from its centre
    cos, sin = ops.cos(turn) / zoom, ops.sin(turn) / zoom
    y, x = cos * y + sin * x + middle[0], cos * x - sin * y + middle[1]  # where that was in the image

    # One row and column of `fill_value` around the image stand for all that lies outside.
    images_padded = padded(images, 1, fill_value)
    y, x = ops.clip(y + 1, 0, height + 1), ops.clip(x + 1, 0, width + 1)
    top, left = ops.minimum(ops.floor(y), height), ops.minimum(ops.floor(x), width)
    below, beside = (y - top)[..., None], (x - left)[..., None]
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    a, b, c, d = (ops.cast(pick(images_padded, top + i, left + j), "float32") for i in (0, 1) for j in (0, 1))
    upper, lower = a + beside * (b - a), c + beside * (d - c)
    return restored(upper + below * (lower - upper), images.dtype)


def grid(images, dtype):
    """Row and column of every pixel: (1, height, 1) and (1, 1, width)."""
    height, width = images.shape[1:3]
    return ops.arange(height, dtype=dtype)[None, :, None], ops.arange(width, dtype=dtype)[None, None, :]


def padded(images, padding, fill_value):
    """Images with `padding` pixels of `fill_value` on each side."""
    widths = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    kind = int if "int" in keras.backend.standardize_dtype(images.dtype) else float
    return ops.pad(images, widths, constant_values=kind(fill_value))


def pick(images, rows, columns):
    """Pixel (rows[n, i, j], columns[n, i, j]) of image n, for all i and j.

    One gather from the flattened image: indexing by image, row and column is many times slower.
    """
    height, width, channels = images.shape[1:]
    index = rows * width + columns
    size = index.shape[1:]
    flat = ops.reshape(images, (-1, height * width, channels))
    taken = ops.take_along_axis(flat, ops.reshape(index, (-1, size[0] * size[1], 1)), axis=1)
    return ops.reshape(taken, (-1, *size, channels))


def restored(images, dtype):
    """Images in the dtype they came in; integers rounded and clipped to what it holds."""
    dtype = keras.backend.standardize_dtype(dtype)
    if "int" in dtype:
        images = ops.clip(ops.round(images), np.iinfo(dtype).min, np.iinfo(dtype).max)
    return ops.cast(images, dtype)
