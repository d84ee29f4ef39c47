"""pix2pix: a network that draws what a picture stands for, and another that compares the two.

Isola et al. 2016, https://arxiv.org/abs/1611.07004.

Departures from the paper: convolutions before batch normalization have no bias, which would have no
effect, as in the authors' later code, whose parameter counts these are. `predict` is deterministic,
without dropout and with the moving statistics of training; `translate(images, noise=True)` does as the
paper (section 3.4): dropout stays, and each image is normalised by its own statistics. The U-Net has as
many levels as its images can be halved, up to the eight of 256x256.
"""

import keras
import numpy as np
from keras import ops

from keraszoo.architecture import Network
from keraszoo.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dropout
from keraszoo.registry import register
from keraszoo.training import MultiPlayerModel, Player, checks


class Translator(MultiPlayerModel):
    """What games that turn images into images have in common: the data that they take.

    A subclass says who its `speaker` is.
    """

    material = "pairs"  # what it learns from, for messages

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse data that are not images and other images, all of them in [-1, 1]."""
        if y is None or sample_weight is not None:
            raise ValueError(
                f"{self.name} learns from {self.material}: give {prefix}x and {prefix}y, and no sample_weight."
            )
        for name, images, shape in (("x", x, self.input_shape), ("y", y, self.output_shape)):
            checks.check_samples(self, f"{prefix}{name}", images, shape[1:])

    def check_inputs(self, x, prefix=""):
        """Refuse what are not images in [-1, 1]."""
        checks.check_samples(self, f"{prefix}x", x, self.input_shape[1:])


@register(
    "pix2pix",
    task="image_translation",
    paper="https://arxiv.org/abs/1611.07004",
    tiny=dict(input_shape=(32, 32, 3), filters=8),
    parameters=57182660,
    recipe=dict(beta_1=0.5),
)
class Pix2Pix(Translator):
    """Fit on images and what each is to become; call on images; `translate` them.

    The published training takes images one by one: `fit(x, y, batch_size=1)`.

    Args:
        input_shape: (height, width, channels) of an image that comes in; sides are divisible by 4 and
            at least 24.
        output_channels: Channels of an image that goes out; None for as many as come in.
        filters: Filters at the finest level; each level has twice as many, up to eight times.
        dropout: Probability of dropping a feature in the first three levels of the way up, in [0, 1).
        l1_weight: How much the distance to the target counts beside the discriminator's opinion.

    Shapes:
        images:  (batch, height, width, channels), floating, in [-1, 1].
        returns: (batch, height, width, output_channels), float32, in [-1, 1].
    """

    speaker = "generator"

    def __init__(
        self,
        input_shape=(256, 256, 3),
        output_channels=None,
        filters=64,
        dropout=0.5,
        l1_weight=100.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_sides(input_shape)
        *size, channels = input_shape
        output_channels = output_channels or channels
        self.l1_weight = l1_weight
        self.generator = u_net(input_shape, output_channels, filters, dropout)
        self.discriminator = patch_discriminator((*size, channels + output_channels), filters, batch_norm)
        self.l1 = keras.metrics.Mean(name="l1")

    def players(self):
        return {
            "discriminator": Player([self.discriminator], self.discriminator_loss),
            "generator": Player([self.generator], self.generator_loss),
        }

    def call(self, images, training=False):
        return self.generator(images, training=training)

    def discriminator_loss(self, images, targets, training):
        """Half the cross-entropy of telling targets from translations, each beside its source."""
        on_target = self.judged(images, targets, training)
        on_fake = self.judged(images, self.generator(images, training=training), training)
        return 0.5 * (ops.mean(ops.softplus(-on_target)) + ops.mean(ops.softplus(on_fake)))

    def generator_loss(self, images, targets, training):
        """Equation 4: how little a translation is taken for the target, and how far it is from it."""
        fake = self.generator(images, training=training)
        distance = ops.mean(ops.abs(fake - targets))
        self.note(self.l1, ops.stop_gradient(distance), images)
        return ops.mean(ops.softplus(-self.judged(images, fake, training))) + self.l1_weight * distance

    def judged(self, images, translations, training):
        """What the discriminator thinks of each patch: logits."""
        pairs = ops.concatenate([ops.cast(images, translations.dtype), translations], axis=-1)
        return self.discriminator(pairs, training=training)

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse data that are not as many targets as images, all of them in [-1, 1]."""
        super().check_batch(x, y, sample_weight, prefix)
        if len(x) != len(y):
            raise ValueError(
                f"{prefix}x and {prefix}y must have as many samples, a target for each image: x has {len(x)}, "
                f"y has {len(y)}."
            )

    def translate(self, images, noise=False, seed=None):
        """What images become.

        Args:
            images: (count, height, width, channels), floating, in [-1, 1].
            noise: Translate as the paper does: with dropout, another result each time, and each image
                normalised by its own statistics.
            seed: Makes the noise the same each time.

        Returns:
            (count, height, width, output_channels), float32 NumPy array, in [-1, 1].
        """
        if not noise:
            return self.predict(images, verbose=0)
        self.check_inputs(images)
        rng = np.random.default_rng(seed)
        return np.concatenate([self.drawn(images[i : i + 1], rng) for i in range(len(images))])

    def drawn(self, images, rng):
        """What the generator makes in training, which leaves no trace."""
        states = [layer.seed_generator.state for layer in self.generator.layers if isinstance(layer, Dropout)]
        seeds = [ops.convert_to_tensor(rng.integers(2**31, size=2), s.dtype) for s in states]
        with keras.StatelessScope(list(zip(states, seeds, strict=True))):
            return ops.convert_to_numpy(self.generator(ops.convert_to_tensor(images), training=True))


def check_sides(input_shape):
    """Refuse images that the networks cannot halve, or that are smaller than what a patch needs.

    Raises:
        ValueError: As said.
    """
    if len(input_shape) != 3 or any(side % 4 or side < 24 for side in input_shape[:2]):
        raise ValueError(
            "input_shape must be (height, width, channels) with sides divisible by 4 and at least 24, "
            f"got {tuple(input_shape)}."
        )


def levels(height, width):
    """How often the U-Net halves an image: as often as both sides allow, eight times at most."""
    times = 0
    while times < 8 and height % 2 == width % 2 == 0:
        height, width, times = height // 2, width // 2, times + 1
    return times


def u_net(input_shape, output_channels, filters, dropout):
    """Down level by level, and up again, with what was seen on the way down at hand: section 3.2.1."""
    x = image = keras.Input(input_shape, name="image")
    depth = levels(*input_shape[:2])
    widths = [filters * min(2**level, 8) for level in range(depth)]

    skips = []
    for level, width in enumerate(widths):
        if level:
            x = ops.leaky_relu(x, 0.2)
        x = Conv2D(width, 4, 2, "same", use_bias=False, kernel_initializer=small())(x)
        if 0 < level < depth - 1:
            x = batch_norm()(x)
        skips.append(x)

    skips.pop()
    for step, width in enumerate(reversed(widths[:-1])):
        x = ops.relu(x)
        x = Conv2DTranspose(width, 4, 2, "same", use_bias=False, kernel_initializer=small())(x)
        x = batch_norm()(x)
        if step < 3:
            x = Dropout(dropout)(x)
        x = ops.concatenate([skips.pop(), x], axis=-1)

    x = ops.relu(x)
    x = Conv2DTranspose(output_channels, 4, 2, "same", kernel_initializer=small(), name="last")(x)
    return Network(image, ops.tanh(ops.cast(x, "float32")), name="generator")


def patch_discriminator(input_shape, filters, norm, use_bias=False, name="discriminator"):
    """A logit for each patch of 70x70 pixels: section 6.1.2.

    Args:
        input_shape: (height, width, channels); sides of at least 24 pixels.
        filters: Filters of the first layer; the others have 2, 4 and 8 times as many.
        norm: Makes a normalization.
        use_bias: Give convolutions before a normalization a bias, too.
        name: Name of the network.

    Returns:
        A `Network` from (batch, height, width, channels) to (batch, rows, columns, 1), float32.
    """
    x = image = keras.Input(input_shape, name="image")
    for level, (width, stride) in enumerate([(1, 2), (2, 2), (4, 2), (8, 1)]):
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = Conv2D(filters * width, 4, stride, use_bias=use_bias or not level, kernel_initializer=small())(x)
        if level:
            x = norm()(x)
        x = ops.leaky_relu(x, 0.2)
    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = Conv2D(1, 4, kernel_initializer=small(), dtype="float32", name="logits")(x)
    return Network(image, x, name=name)


def small():
    """Initial weights: normal, of deviation 0.02."""
    return keras.initializers.RandomNormal(stddev=0.02)


def batch_norm():
    """Batch normalization with the momentum and epsilon of the reference; its scale begins near 1."""
    return BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02)
    )
