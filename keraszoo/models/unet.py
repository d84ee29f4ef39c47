"""U-Net: an encoder, a decoder, and a skip connection between them at every resolution.

Ronneberger, Fischer, Brox 2015, https://arxiv.org/abs/1505.04597.

Departures from the paper: convolutions pad by default, so that nothing is cropped and the answer is as
large as the image; `padding="valid"` is the published network, 572x572 pixels in and 388x388 out. Dropout
at the end of the contracting path (behind its last two levels) has the rate 0.5, which the paper leaves
open. Training is by Adam, not by stochastic gradients with momentum 0.99. Batch normalization, networks
without skips, several heads and other depths are further choices; none of them is on by default.
"""

import functools

import keras
import numpy as np
from keras.layers import Activation, Concatenate, Cropping2D

from keraszoo import tasks
from keraszoo.architecture import Network
from keraszoo.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dropout, MaxPooling2D
from keraszoo.registry import register
from keraszoo.training import checks

PADDINGS = ("same", "valid")


class UNet(Network):
    """A U-Net, as `unet` builds it."""

    @property
    def output_shape(self):
        """Of the answer, or a dict of those of all heads."""
        return keras.tree.map_structure(lambda answer: tuple(answer.shape), self.output)

    @property
    def depth(self):
        """How often images are halved."""
        return sum(isinstance(layer, MaxPooling2D) for layer in self.layers)

    @property
    def margin(self):
        """Pixels that the answer lacks on each side of the image: none, unless convolutions are "valid"."""
        first = next(layer for layer in self.layers if isinstance(layer, Conv2D))
        return margin(self.depth, first.padding)

    @property
    def reach(self):
        """How far from a pixel, in pixels, lies what its answer depends on, at most.

        At each level on the way down two convolutions see 2 pixels more, of 2 ** level pixels of the
        image each; at the bottom and on the way up as well; and where a pixel lies within the squares that
        are pooled adds up to 2 ** depth - 1.
        """
        return 7 * 2**self.depth - 5

    def compile(self, optimizer="rmsprop", loss=None, *args, **kwargs):
        """Keras' method; with several heads, each must have a loss, or None if it is not to learn."""
        if isinstance(loss, dict) and isinstance(self.output, dict):
            for name in sorted(self.output.keys() ^ loss.keys()):
                raise ValueError(
                    f"loss must be a dict with the heads {', '.join(self.output)}, got {', '.join(loss)}: "
                    + (f"there is none for {name!r}." if name in self.output else f"no head is {name!r}.")
                )
        super().compile(optimizer, loss, *args, **kwargs)

    def check_inputs(self, x, prefix=""):
        """Refuse images of the wrong shape, kind or value, or of sides that cannot be halved."""
        super().check_inputs(x, prefix)
        check_sides(f"{prefix}x", np.shape(x)[1:3], self.depth, self.margin)

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse data that do not fit, labels and weights of another height or width than the answer among them."""
        super().check_batch(x, y, sample_weight, prefix)
        sides = tuple(side - 2 * self.margin for side in np.shape(x)[1:3])
        for name, data in (("y", y), ("sample_weight", sample_weight)):
            for value in keras.tree.flatten(data):
                if np.ndim(value) > 1 and np.shape(value)[1:3] != sides:
                    raise ValueError(
                        f"{prefix}{name} must have the height and width of the answer, {sides}, got shape "
                        f"{np.shape(value)}."
                    )

    def predict_tiled(self, images, tile=None, overlap=None, batch_size=4):
        """Answers for images of any size, tile by tile: the overlap-tile strategy of the paper's figure 2.

        Tiles overlap, and only the middle of each one's answer is kept. Beyond the border the image goes
        on as its mirror image. Tiles lie where the pooling of one pass over the whole image would cut, so
        with an overlap of `reach` the answers are those of that pass, away from the image's border. Memory
        is needed for `batch_size` tiles, whatever the size of the image, and for the answer.

        Args:
            images: (height, width, channels) or (count, height, width, channels), floating: what
                `predict` takes, in any height and width.
            tile: (height, width) of a tile in pixels, or one number for both: for networks that take
                any size, 256 by default, less for a smaller image, or the next size that fits. Others take
                tiles of their own size.
            overlap: Pixels on each side of a tile whose answers are not kept, at least; by default
                `reach`, or a quarter of the tile if that is less. With "valid" convolutions it is `margin`,
                and the tiles are then exact.
            batch_size: Tiles at once.

        Returns:
            (height, width, channels of the answer) or with the count in front, float32 NumPy array; a
            dict of them for a network with several heads.

        Raises:
            ValueError: `images` are not images with as many channels as the model takes, or a tile has
                another size than the model takes, or is too small for the overlap.
        """
        images = checks.array(images)
        checks.check_numbers("images", images)
        channels = self.input_shape[-1]
        if images.ndim not in (3, 4) or images.shape[-1] != channels:
            raise ValueError(
                f"images has shape {images.shape}; {self.name} takes (height, width, {channels}) or "
                f"(count, height, width, {channels})."
            )
        if images.ndim == 3:
            found = self.predict_tiled(images[None], tile, overlap, batch_size)
            return keras.tree.map_structure(lambda answer: answer[0], found)
        cuts = [self.cuts(side, axis, tile, overlap) for axis, side in enumerate(images.shape[1:3])]
        places = [(i, row, column) for i in range(len(images)) for row in cuts[0] for column in cuts[1]]
        batch_size = min(batch_size, len(places))
        answers = None
        for start in range(0, len(places), batch_size):
            batch = places[start : start + batch_size]
            batch += batch[-1:] * (batch_size - len(batch))  # a smaller batch would be compiled anew
            pixels = [images[i][np.ix_(row.sees, column.sees)] for i, row, column in batch]
            said = self.predict_on_batch(np.stack(pixels))
            if answers is None:
                answers = keras.tree.map_structure(functools.partial(room, images), said)
            for answer, part in zip(keras.tree.flatten(answers), keras.tree.flatten(said), strict=True):
                for (i, row, column), tile_said in zip(batch, part, strict=True):
                    answer[i, row.keeps, column.keeps] = tile_said[row.of, column.of]
        return answers

    def cuts(self, side, axis, tile, overlap):
        """How one side of an image is cut: a `Cut` for each tile.

        Args:
            side: Of the image, in pixels.
            axis: 0 for the height, 1 for the width.
            tile, overlap: As of `predict_tiled`.
        """
        step, margin = 2**self.depth, self.margin
        own = self.input_shape[1 + axis]
        size = tile if tile is None or np.isscalar(tile) else tile[axis]
        if size is None:
            least = max(min(256, side + 2 * self.reach), 4 * margin)
            size = own or next(n for n in range(least, least + step) if not excess(n, self.depth, margin))
        if own not in (None, size):
            raise ValueError(
                f"tile must be {self.input_shape[1:3]}, the size that {self.name} takes, got {tile!r}. "
                "Build it with input_shape=(None, None, channels) for tiles of any size."
            )
        check_sides("tile", (size,), self.depth, margin)
        if overlap is None:
            overlap = min(self.reach, size // 4 // step * step)
        if overlap < 0:
            raise ValueError(f"overlap must not be negative, got {overlap}.")
        lost = -(-(margin or overlap) // step) * step  # tiles begin at multiples of step
        kept = (size - lost - (margin or lost)) // step * step
        if kept < 1:
            raise ValueError(
                f"tile is too small: of {size} pixels nothing is left without {lost} on each side; "
                f"it must be larger, or overlap smaller, got {tile=}, {overlap=}."
            )
        count = -(-side // kept)
        beyond = (count - 1) * kept + size - lost - side
        mirrored = np.pad(np.arange(side), (lost, max(0, beyond)), mode="reflect")
        return [
            Cut(mirrored[at : at + size], at, min(at + kept, side), lost - margin)
            for at in range(0, side, kept)
        ]


def room(images, answer):
    """An empty array for answers like `answer` on images."""
    return np.empty((*images.shape[:3], answer.shape[-1]), answer.dtype)


class Cut:
    """A tile along one side.

    Attributes:
        sees: Numbers of the image's rows (or columns) that the tile holds.
        keeps: Those that it answers for, a slice.
        of: Where their answers lie in the tile's answer, a slice.
    """

    def __init__(self, sees, start, stop, lead):
        self.sees = sees
        self.keeps = slice(start, stop)
        self.of = slice(lead, lead + stop - start)


@register(
    "unet",
    task="image_segmentation",
    paper="https://arxiv.org/abs/1505.04597",
    tiny=dict(input_shape=(8, 8, 1), filters=(8, 16), num_classes=2),
    parameters=31031810,
    recipe=dict(learning_rate=3e-4),
)
def unet(
    input_shape=(256, 256, 3),
    num_classes=2,
    filters=(64, 128, 256, 512, 1024),
    padding="same",
    batch_normalization=False,
    skips=True,
    dropout=0.5,
    heads=None,
    name="unet",
):
    """Give every pixel a class, or several answers.

    Args:
        input_shape: (height, width, channels) of an image, in pixels; None for sides of any size. Sides
            are divisible by `2 ** (len(filters) - 1)`; with "valid" padding, sides plus 4 are.
        num_classes: Classes a pixel can belong to, where there are no `heads`.
        filters: Filters at each resolution, from the full image to the bottom of the U.
        padding: "same", or "valid" for convolutions that do not look beyond the image, as published.
        batch_normalization: Normalise behind each convolution of 3x3 pixels, which then has no bias.
        skips: Hand what was seen on the way down to the way up.
        dropout: Probability of dropping a feature behind the last two levels of the way down, in [0, 1).
        heads: Names of answers and what each is: {"mask": 2} for classes, {"edges": 1} for yes or no,
            {"distance": ("values", 1)} for quantities, each with a loss of its own; see `tasks.head`.
        name: Name of the model.

    Returns:
        A `UNet`
        from (batch, height, width, channels), floating,
        to   (batch, height, width, num_classes), float32 logits; or a dict of such, one for each head.
        Its height and width are less by twice its `margin` with "valid" padding.

    Raises:
        ValueError: An argument is out of its range, or sides of that size cannot be halved.
    """
    check_arguments(input_shape, num_classes, filters, padding)
    *sides, bottom = filters
    check_sides("input_shape", input_shape[:2], len(sides), margin(len(sides), padding))

    def convolved(x, filters):
        """Twice: convolve 3x3, rectify."""
        for _ in range(2):
            if batch_normalization:
                x = Conv2D(filters, 3, padding=padding, use_bias=False, kernel_initializer="he_normal")(x)
                x = Activation("relu")(BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
            else:
                x = Conv2D(filters, 3, padding=padding, activation="relu", kernel_initializer="he_normal")(x)
        return x

    x = image = keras.Input(input_shape, name="image")

    seen = []
    for level, n in enumerate(sides):
        x = convolved(x, n)
        if dropout and level == len(sides) - 1:
            x = Dropout(dropout)(x)
        seen.append(x)
        x = MaxPooling2D()(x)

    x = convolved(x, bottom)
    if dropout:
        x = Dropout(dropout)(x)

    for level, n in reversed(list(enumerate(sides))):
        x = Conv2DTranspose(n, 2, strides=2, kernel_initializer="he_normal")(x)
        if skips:
            cut = 2 * margin(len(sides) - 1 - level, padding)
            x = Concatenate()([Cropping2D(cut)(seen[level]) if cut else seen[level], x])
        x = convolved(x, n)

    if not heads:
        return UNet(image, Conv2D(num_classes, 1, dtype="float32", name="logits")(x), name=name)
    answers = {
        key: Conv2D(tasks.head(key, value)[1], 1, dtype="float32", name=f"{key}_head")(x)
        for key, value in heads.items()
    }
    return UNet(image, answers, name=name)


def margin(depth, padding):
    """Pixels that the answer lacks on each side of the image: 92 of the published network."""
    return 6 * 2**depth - 4 if padding == "valid" else 0


def excess(side, depth, margin):
    """By how many pixels a side is too long to be halved at each level, and too short for an answer at all."""
    if side <= 2 * margin:
        return 2 * margin + 1 - side
    return (side + (4 if margin else 0)) % 2**depth


def check_sides(what, sides, depth, margin):
    """Refuse sides that cannot be halved `depth` times.

    Raises:
        ValueError: As said; the message has the next sizes that fit.
    """
    for side in sides:
        if side is not None and excess(side, depth, margin):
            step = 2**depth
            fitting = [
                n
                for n in range(max(1, side - step), max(side, 2 * margin) + step + 1)
                if not excess(n, depth, margin)
            ]
            below, above = [n for n in fitting if n < side], [n for n in fitting if n > side]
            nearest = " or ".join(map(str, [*below[-1:], *above[:1]]))
            raise ValueError(
                f"{what} must have sides that "
                + (
                    f"are divisible by {step} when 4 is added, and above {2 * margin}"
                    if margin
                    else f"are divisible by {step}"
                )
                + f": they are halved {depth} times. Got {tuple(sides)}; {nearest} would fit instead of {side}."
            )


def check_arguments(input_shape, num_classes, filters, padding):
    """Refuse arguments that are no sizes.

    Raises:
        ValueError: As said.
    """
    if len(input_shape) != 3 or input_shape[2] is None:
        raise ValueError(f"input_shape must be (height, width, channels), got {tuple(input_shape)}.")
    if not filters or any(not isinstance(n, int) or n < 1 for n in filters):
        raise ValueError(f"filters must be positive integers, one for each resolution, got {filters!r}.")
    if padding not in PADDINGS:
        raise ValueError(f"padding must be {' or '.join(map(repr, PADDINGS))}, got {padding!r}.")
    if not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(
            f'num_classes must be at least 2, got {num_classes!r}; for yes or no by one number, heads={{"mask": 1}}.'
        )
