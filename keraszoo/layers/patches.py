"""Images as sequences of patches, and where each patch lies."""

import keras
import numpy as np
from keras import layers, ops

from keraszoo.layers.dense import Dense

POSITIONS = ("learned", "sine_cosine")


@keras.saving.register_keras_serializable("keraszoo")
class PatchEmbedding(layers.Layer):
    """Cut an image into patches, and make of each a vector that knows where it lies.

    Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929, equation 1.

    Args:
        patch_size: Side of a patch, in pixels; divides both sides of the image.
        embed_dim: Features of a patch.
        class_token: Put a learned vector before the patches, to gather what concerns the whole image.
        positions: "learned": a vector for each place. "sine_cosine": fixed ones, see `sine_cosine`.

    Shapes:
        images:  (batch, height, width, channels), floating.
        kept:    (batch, visible), integers: which patches to embed, in which order. All, if None.
        returns: (batch, patches, embed_dim), with one more before the patches if there is a class
            token; `visible` of them where `kept` is given.
    """

    def __init__(self, patch_size, embed_dim, class_token=True, positions="learned", **kwargs):
        super().__init__(**kwargs)
        if positions not in POSITIONS:
            raise ValueError(f"positions must be {' or '.join(map(repr, POSITIONS))}, got {positions!r}.")
        self.patch_size = patch_size
        self.embed_dim = embed_dim
        self.has_class_token = class_token
        self.positions_kind = positions
        self.projection = Dense(embed_dim, name="projection")

    def build(self, images_shape, kept_shape=None):
        rows, columns = self.grid = grid(images_shape[1:], self.patch_size)
        self.projection.build((None, rows * columns, self.patch_size**2 * images_shape[-1]))
        small = keras.initializers.TruncatedNormal(stddev=0.02)
        if self.has_class_token:
            self.class_token = self.add_weight((self.embed_dim,), small, name="class_token")
        self.positions = add_positions(self, self.positions_kind, self.grid, self.embed_dim)

    def call(self, images, kept=None):
        x = patchify(images, self.patch_size)
        positions = ops.convert_to_tensor(self.positions)
        places = positions[int(self.has_class_token) :]
        if kept is not None:
            x = ops.take_along_axis(x, kept[:, :, None], axis=1)
            places = ops.take(places, kept, axis=0)
        x = self.projection(x) + places
        if self.has_class_token:
            first = ops.expand_dims(ops.convert_to_tensor(self.class_token) + positions[0], (0, 1))
            x = ops.concatenate([ops.broadcast_to(first, (ops.shape(x)[0], 1, self.embed_dim)), x], axis=1)
        return x

    def compute_output_shape(self, images_shape, kept_shape=None):
        rows, columns = grid(images_shape[1:], self.patch_size)
        patches = rows * columns if kept_shape is None else kept_shape[1]
        tokens = None if patches is None else patches + self.has_class_token
        return images_shape[0], tokens, self.embed_dim


@keras.saving.register_keras_serializable("keraszoo")
class MaskTokens(layers.Layer):
    """Put patches back where they were, and one learned vector where a patch is missing; then say where each lies.

    He et al. 2021, https://arxiv.org/abs/2111.06377, section 3, "MAE decoder".

    Args:
        grid: (rows, columns) of patches in the whole image.

    Shapes:
        x:       (batch, 1 + visible, embed_dim), floating: the class token and the visible patches.
        ranks:   (batch, patches), integers: the place of each patch in the order in which the visible
            come first.
        returns: (batch, 1 + patches, embed_dim), floating.
    """

    def __init__(self, grid, **kwargs):
        super().__init__(**kwargs)
        self.grid = tuple(grid)

    def build(self, x_shape, ranks_shape):
        small = keras.initializers.RandomNormal(stddev=0.02)
        self.token = self.add_weight((x_shape[-1],), small, name="mask_token")
        self.positions = add_positions(self, "sine_cosine", self.grid, x_shape[-1])

    def call(self, x, ranks):
        # Row `visible` is the mask token: all that come later in the order share it.
        batch, tokens, embed_dim = ops.shape(x)
        token = ops.cast(ops.expand_dims(ops.convert_to_tensor(self.token), (0, 1)), x.dtype)
        rows = ops.concatenate([x[:, 1:], ops.broadcast_to(token, (batch, 1, embed_dim))], axis=1)
        found = ops.take_along_axis(rows, ops.minimum(ranks, tokens - 1)[:, :, None], axis=1)
        return ops.concatenate([x[:, :1], found], axis=1) + ops.convert_to_tensor(self.positions)

    def compute_output_shape(self, x_shape, ranks_shape):
        return x_shape[0], 1 + ranks_shape[1], x_shape[-1]


def add_positions(layer, kind, grid, embed_dim):
    """Add the weight that holds a vector for each place of a grid, after one for the class token if there is one."""
    extra = int(getattr(layer, "has_class_token", True))
    count = extra + grid[0] * grid[1]
    if kind == "learned":
        small = keras.initializers.TruncatedNormal(stddev=0.02)
        return layer.add_weight((count, embed_dim), small, name="positions")
    fixed = np.concatenate([np.zeros((extra, embed_dim), "float32"), sine_cosine(*grid, embed_dim)])
    return layer.add_weight(
        (count, embed_dim),
        lambda shape, dtype=None: ops.convert_to_tensor(fixed, dtype),
        name="positions",
        trainable=False,
    )


def sine_cosine(rows, columns, embed_dim):
    """Fixed vectors for the places of a grid, row by row: (rows * columns, embed_dim), float32.

    As in the code that was published with He et al. 2021, https://arxiv.org/abs/2111.06377: the
    first half of the features are sines and cosines of the column, the second of the row, at
    wavelengths from 2 pi to 10000 * 2 pi, as in Vaswani et al. 2017, section 3.5.

    Raises:
        ValueError: `embed_dim` is not divisible by 4.
    """
    if embed_dim % 4:
        raise ValueError(f"embed_dim must be divisible by 4 for sine-cosine positions, got {embed_dim}.")
    rates = 10000.0 ** -(np.arange(embed_dim // 4) / (embed_dim // 4))
    row, column = (v.reshape(-1, 1) * rates for v in np.mgrid[:rows, :columns])
    waves = [np.sin(column), np.cos(column), np.sin(row), np.cos(row)]
    return np.concatenate(waves, axis=1).astype("float32")


def resized(positions, old, new):
    """The vectors for the places of a grid, for a grid of another size.

    Bicubic, without smoothing, as in the reference: Dosovitskiy et al. 2020, section 3.2.

    Args:
        positions: (extra + rows * columns, embed_dim), floating NumPy array; the `extra` rows at its
            beginning, for a class token, stay as they are.
        old, new: (rows, columns).

    Returns:
        (extra + new rows * new columns, embed_dim), float32 NumPy array.
    """
    extra = len(positions) - old[0] * old[1]
    places = np.reshape(positions[extra:], (*old, -1))
    down, across = (cubic(n, m) for n, m in zip(old, new, strict=True))
    places = np.einsum("yr,xc,rce->yxe", down, across, places)
    return np.concatenate([positions[:extra], places.reshape(new[0] * new[1], -1)]).astype("float32")


def cubic(old, new):
    """Weights of cubic convolution from `old` samples to `new`: (new, old).

    Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711, with a = -0.75; samples lie in the middle
    of pixels, and those at the edge go on beyond it.
    """
    a = -0.75
    place = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(place).astype(int) - 1
    weights = np.zeros((new, old))
    for column in (first + k for k in range(4)):
        d = np.abs(place - column)
        near = ((a + 2) * d - (a + 3)) * d**2 + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        np.add.at(weights, (np.arange(new), column.clip(0, old - 1)), np.where(d <= 1, near, far))
    return weights


def grid(input_shape, patch_size):
    """(rows, columns) of the patches of an image of shape (height, width, channels).

    Raises:
        ValueError: A patch does not fit a whole number of times into both sides.
    """
    height, width, _ = input_shape
    if patch_size < 1 or height % patch_size or width % patch_size or not height or not width:
        near = tuple(max(1, round(side / max(1, patch_size))) * patch_size for side in (height, width))
        raise ValueError(
            f"patch_size must divide height and width, got {patch_size=} and input_shape={tuple(input_shape)}; "
            f"{near[0]}x{near[1]} would fit."
        )
    return height // patch_size, width // patch_size


def patchify(images, patch_size):
    """Images as patches: (batch, patches, patch_size * patch_size * channels), patches and their pixels row by row.

    Args:
        images: (batch, height, width, channels), tensor or NumPy array.
        patch_size: Side of a patch, in pixels.
    """
    _, height, width, channels = images.shape
    rows, columns = grid((height, width, channels), patch_size)
    x = ops.reshape(images, (-1, rows, patch_size, columns, patch_size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, rows * columns, patch_size**2 * channels))


def unpatchify(patches, patch_size, input_shape):
    """What `patchify` makes of images of `input_shape`, (height, width, channels), as images again."""
    height, width, channels = input_shape
    rows, columns = grid(input_shape, patch_size)
    x = ops.reshape(patches, (-1, rows, columns, patch_size, patch_size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height, width, channels))
