"""CycleGAN: two sets of images, and a translation there and back that nobody has shown examples of.

Zhu et al. 2017, https://arxiv.org/abs/1703.10593.

Departures from the paper: none in the networks and the losses. The identity loss, which the paper uses
for paintings only (section 5.2), is on, with its weight, as in both of the authors' codes;
`identity_weight=0` leaves it out. As there, too, the generators play first, and the discriminators
learn from what these made then, before they had learned.
"""

import keras
from keras import ops

from keraszoo.architecture import Network
from keraszoo.backend.handover import Handover
from keraszoo.layers import Conv2D, Conv2DTranspose, InstanceNormalization, ReflectionPadding2D
from keraszoo.models.pix2pix import Translator, check_sides, patch_discriminator, small
from keraszoo.registry import register
from keraszoo.training import ImagePool, Player, Unpaired

DIRECTIONS = ("a_to_b", "b_to_a")


@register(
    "cyclegan",
    task="unpaired_image_translation",
    paper="https://arxiv.org/abs/1703.10593",
    tiny=dict(input_shape=(24, 24, 3), filters=8, blocks=1, pool_size=6),
    parameters=28285832,
    recipe=dict(beta_1=0.5),
)
class CycleGAN(Translator):
    """Fit on two sets of images, A and B; call on images of A; `translate` either way.

    The sets may differ in number: `fit(a, b)` shuffles them independently of each other. The
    published training takes images one by one, `fit(a, b, batch_size=1)`, and lowers the learning
    rate in its second half: `compile(Adam(LinearDecay(2e-4, steps), beta_1=0.5))`, with
    `keraszoo.training.LinearDecay`.

    Args:
        input_shape: (height, width, channels) of an image of either set; sides are divisible by 4 and
            at least 24.
        filters: Filters of the layers next to the images.
        blocks: Residual blocks of a generator; None for 9 where both sides have 256 pixels or more, and
            6 below.
        cycle_weight: How much it counts that an image there and back is what it was.
        identity_weight: How much it counts that an image of the target set stays as it is, beside
            `cycle_weight`.
        pool_size: Translations kept of each set, from which the discriminators learn, too.

    Shapes:
        images:  (batch, height, width, channels), floating, in [-1, 1].
        returns: (batch, height, width, channels), float32, in [-1, 1].
    """

    batches = Unpaired
    speaker, material = "a_to_b", "two sets of images"

    def __init__(
        self,
        input_shape=(256, 256, 3),
        filters=64,
        blocks=None,
        cycle_weight=10.0,
        identity_weight=0.5,
        pool_size=50,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_sides(input_shape)
        if blocks is None:
            blocks = 9 if min(input_shape[:2]) >= 256 else 6
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.a_to_b = resnet(input_shape, filters, blocks, "a_to_b")
        self.b_to_a = resnet(input_shape, filters, blocks, "b_to_a")
        self.on_a, self.on_b = (
            patch_discriminator(input_shape, filters, InstanceNormalization, use_bias=True, name=name)
            for name in ("on_a", "on_b")
        )
        self.pool_a = ImagePool(pool_size, input_shape, name="pool_a")
        self.pool_b = ImagePool(pool_size, input_shape, name="pool_b")
        self.made_a, self.made_b = Handover(), Handover()
        self.cycle = keras.metrics.Mean(name="cycle")

    def players(self):
        return {
            "generators": Player([self.a_to_b, self.b_to_a], self.generators_loss),
            "discriminators": Player([self.on_a, self.on_b], self.discriminators_loss),
        }

    def call(self, images, training=False):
        return self.a_to_b(images, training=training)

    def generators_loss(self, a, b, training):
        """Equation 3 with squares for logarithms (section 4), and the identity loss of section 5.2."""
        made_b, made_a = self.a_to_b(a, training=training), self.b_to_a(b, training=training)
        self.made_a.assign(ops.stop_gradient(made_a))
        self.made_b.assign(ops.stop_gradient(made_b))
        back_a, back_b = self.b_to_a(made_b, training=training), self.a_to_b(made_a, training=training)
        fooled = squared(self.on_b(made_b, training=training), 1) + squared(
            self.on_a(made_a, training=training), 1
        )
        cycle = distance(back_a, a) + distance(back_b, b)
        self.note(self.cycle, ops.stop_gradient(cycle), a)
        loss = fooled + self.cycle_weight * cycle
        if self.identity_weight:
            same = distance(self.a_to_b(b, training=training), b) + distance(
                self.b_to_a(a, training=training), a
            )
            loss += self.cycle_weight * self.identity_weight * same
        return loss

    def discriminators_loss(self, a, b, training):
        """Half the squares of section 4: real images are to be 1, translations, old and new, 0."""
        made_a, made_b = self.made_a.value, self.made_b.value
        if made_a is None:  # the generators do not play
            made_a, made_b = self.b_to_a(b, training=training), self.a_to_b(a, training=training)
        if training:
            made_a, made_b = self.pool_a(made_a), self.pool_b(made_b)
        return 0.5 * (
            squared(self.on_a(a, training=training), 1)
            + squared(self.on_a(made_a, training=training), 0)
            + squared(self.on_b(b, training=training), 1)
            + squared(self.on_b(made_b, training=training), 0)
        )

    def learn(self, data):
        self.forget()
        return super().learn(data)

    def judge(self, data):
        self.forget()
        return super().judge(data)

    def forget(self):
        """Nothing is handed over from one step to another."""
        self.made_a.clear()
        self.made_b.clear()

    def translate(self, images, direction="a_to_b"):
        """Images of one set as if they were of the other.

        Args:
            images: (count, height, width, channels), floating, in [-1, 1].
            direction: "a_to_b" or "b_to_a".

        Returns:
            (count, height, width, channels), float32 NumPy array, in [-1, 1].
        """
        if direction not in DIRECTIONS:
            raise ValueError(f'direction must be "a_to_b" or "b_to_a", got {direction!r}.')
        self.check_inputs(images)
        return getattr(self, direction).predict(images, verbose=0)

    def reconstruct(self, images, direction="a_to_b"):
        """Images there and back again, arguments and result as of `translate`."""
        back = DIRECTIONS[1 - DIRECTIONS.index(direction)] if direction in DIRECTIONS else direction
        return self.translate(self.translate(images, direction), back)


def resnet(input_shape, filters, blocks, name):
    """A generator: down to a quarter of the size, residual blocks, and up again. Appendix 7.2."""
    x = image = keras.Input(input_shape, name="image")
    x = convolve(ReflectionPadding2D(3)(x), filters, 7)
    for times in (2, 4):
        x = ops.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
        x = convolve(x, filters * times, 3, strides=2)
    for _ in range(blocks):
        y = convolve(ReflectionPadding2D(1)(x), filters * 4, 3)
        y = Conv2D(filters * 4, 3, kernel_initializer=small())(ReflectionPadding2D(1)(y))
        x = x + InstanceNormalization()(y)
    for times in (2, 1):
        x = Conv2DTranspose(filters * times, 3, strides=2, kernel_initializer=small())(x)
        x = ops.relu(InstanceNormalization()(x[:, 1:, 1:]))
    x = Conv2D(input_shape[-1], 7, kernel_initializer=small(), name="last")(ReflectionPadding2D(3)(x))
    return Network(image, ops.tanh(ops.cast(x, "float32")), name=name)


def convolve(x, filters, size, strides=1):
    """Convolve, normalise each image by itself, rectify."""
    x = Conv2D(filters, size, strides, kernel_initializer=small())(x)
    return ops.relu(InstanceNormalization()(x))


def squared(judged, wanted):
    """Mean square of how far judgements are from what is wanted."""
    return ops.mean(ops.square(judged - wanted))


def distance(a, b):
    """Mean absolute difference of images."""
    return ops.mean(ops.abs(a - b))
