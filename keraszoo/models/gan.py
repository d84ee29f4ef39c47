"""Generative adversarial networks: a generator learns to fool a discriminator, which learns not to be fooled.

Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661 (the game);
Mirza, Osindero 2014, https://arxiv.org/abs/1411.1784 (with a class that is asked for);
Radford et al. 2015, https://arxiv.org/abs/1511.06434 (the convolutional networks);
Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028 (Wasserstein distance with a gradient penalty).

Departures from the paper: the generator minimises `-log D(G(z))`, as the end of section 3 of Goodfellow
et al. advises. `gan` has rectified units for maxout, and takes samples from a moving average of the
generator's weights (Yazici et al. 2018, https://arxiv.org/abs/1806.04498), without which the game ends
wherever it happens to be when it is stopped. `dcgan` has kernels of 4x4 for 5x5 and normal noise for
uniform, as the reference in pytorch/examples, whose parameter counts it has at 64x64. `conditional_gan`
is convolutional, with the label as planes of the image. `wgan_gp` is Gulrajani's algorithm 1 on the
networks of `dcgan`, without batch normalization in the critic; it goes faster (5e-4 for 1e-4) and with
the momentum of the authors' scripts (beta_1 0.5 for 0), so that small images take minutes.
"""

import keras
import numpy as np
from keras import ops

from keraszoo.architecture import Network
from keraszoo.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, Dropout
from keraszoo.registry import register
from keraszoo.training import MultiPlayerModel, Player, checks, follow, gradient


class Generative(MultiPlayerModel):
    """What the games of a generator and a discriminator have in common: noise, samples, and who is winning.

    A subclass makes the two networks and hands them to `play_with`.

    Args:
        input_shape: Shape of a sample.
        latent_dim: Length of a noise vector.
        average: Part of the moving average of the generator's weights that a step keeps, in [0, 1);
            `predict` and `sample` use the average. None for the weights themselves.
    """

    speaker = "generator"
    guesses = True  # the discriminator says real or not, and so has an accuracy

    def __init__(self, input_shape, latent_dim, average=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(latent_dim, int) or latent_dim < 1:
            raise ValueError(f"latent_dim must be a whole number from 1, got {latent_dim!r}.")
        if average is not None and not 0 <= average < 1:
            raise ValueError(f"average must lie in [0, 1), or be None, got {average!r}.")
        self.sample_shape = tuple(input_shape)
        self.latent_dim = latent_dim
        self.momentum = average
        self.noise = keras.random.SeedGenerator()
        if self.guesses:
            self.real_accuracy = keras.metrics.Mean(name="real_accuracy")
            self.fake_accuracy = keras.metrics.Mean(name="fake_accuracy")

    def play_with(self, generator, discriminator):
        """Take the two networks, and a copy of the generator where its average is wanted."""
        self.generator, self.discriminator = generator, discriminator
        self.average = None
        if self.momentum is not None:
            self.average = keras.models.clone_model(generator)
            self.average.set_weights(generator.get_weights())
            self.average.trainable = False

    def players(self):
        return {
            "discriminator": Player([self.discriminator], self.discriminator_loss),
            "generator": Player([self.generator], self.generator_loss),
        }

    def after_step(self):
        if self.average is not None:
            follow(self.average, self.generator, self.momentum)

    def call(self, noise, training=False):
        return (self.average or self.generator)(noise, training=training)

    def drawn(self, like):
        """As much noise as there are samples in `like`: (batch, latent_dim), standard normal."""
        return keras.random.normal((ops.shape(like)[0], self.latent_dim), seed=self.noise)

    def discriminator_loss(self, real, training):
        """Cross-entropy of telling real samples from generated ones: equation 1 of Goodfellow et al."""
        on_real = self.discriminator(real, training=training)
        on_fake = self.discriminator(self.generator(self.drawn(real), training=training), training=training)
        self.score(on_real, on_fake)
        return ops.mean(ops.softplus(-on_real)) + ops.mean(ops.softplus(on_fake))

    def generator_loss(self, real, training):
        """How little generated samples are taken for real."""
        fake = self.generator(self.drawn(real), training=training)
        return ops.mean(ops.softplus(-self.discriminator(fake, training=training)))

    def score(self, on_real, on_fake):
        """Note how many of the real and of the generated samples were known for what they are."""
        self.note(self.real_accuracy, ops.mean(ops.cast(on_real > 0, "float32")), on_real)
        self.note(self.fake_accuracy, ops.mean(ops.cast(on_fake <= 0, "float32")), on_fake)

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse data that are not samples of the model's shape."""
        checks.check_samples(self, f"{prefix}x", x, self.sample_shape)
        if y is not None:
            raise ValueError(f"{self.name} learns from samples alone: give {prefix}x, and no y.")

    def latent(self, count, seed=None):
        """Noise to make samples of: (count, latent_dim), float32, the same for a seed on every backend."""
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"count must be a whole number from 1, got {count!r}.")
        return np.random.default_rng(seed).normal(size=(count, self.latent_dim)).astype("float32")

    def sample(self, count, seed=None):
        """New samples.

        Args:
            count: How many.
            seed: Makes them the same each time.

        Returns:
            (count, *input_shape), float32 NumPy array; images lie in [-1, 1].
        """
        return self.predict(self.latent(count, seed), verbose=0)

    def interpolate(self, a, b, steps=8):
        """Samples on the way from one noise vector to another, along the sphere (White 2016, arXiv:1609.04468).

        Args:
            a, b: (latent_dim,), floating; see `latent`.
            steps: How many, with both ends.

        Returns:
            (steps, *input_shape), float32 NumPy array.
        """
        return self.predict(self.way(a, b, steps), verbose=0)

    def way(self, a, b, steps):
        """Noise vectors from `a` to `b`: (steps, latent_dim), float32."""
        a, b = (np.asarray(v, "float64") for v in (a, b))
        if a.shape != (self.latent_dim,) or b.shape != a.shape:
            raise ValueError(f"a and b must have shape ({self.latent_dim},), got {a.shape} and {b.shape}.")
        if steps < 2:
            raise ValueError(f"steps must be at least 2, got {steps}.")
        t = np.linspace(0, 1, steps)[:, None]
        cosine = a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)
        angle = np.arccos(np.clip(cosine, -1, 1))
        if np.sin(angle) < 1e-6:  # on one line through the origin
            return ((1 - t) * a + t * b).astype("float32")
        return ((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)).astype("float32")


@register(
    "gan",
    task="point_generation",
    paper="https://arxiv.org/abs/1406.2661",
    tiny=dict(input_shape=(2,), generator_units=(16, 16), discriminator_units=(32, 16, 8)),
    parameters=42643,
    recipe=dict(learning_rate=5e-4, beta_1=0.5),
)
class GAN(Generative):
    """Points in space, made of noise by one small network and judged by another.

    Fit on points alone; call on noise; `sample(count)` draws new points. Its usual data are the curve
    (x, sin x): `keraszoo.data.load("sine_curve")`.

    Args:
        input_shape: (dimensions,) of a point.
        latent_dim: Length of the noise vector.
        generator_units, discriminator_units: Units of the hidden layers.
        dropout: Probability of dropping a unit of the discriminator while it trains, in [0, 1).
        discriminator_steps: Updates of the discriminator in a step, each against noise of its own: the
            paper's k (algorithm 1).
        average: Part of the moving average of the generator's weights that a step keeps, in [0, 1);
            `predict` and `sample` use the average. None for the weights themselves.

    Shapes:
        noise:   (batch, latent_dim), floating, standard normal.
        returns: (batch, dimensions), float32.
    """

    def __init__(
        self,
        input_shape=(2,),
        latent_dim=2,
        generator_units=(16, 32),
        discriminator_units=(256, 128, 64),
        dropout=0.3,
        discriminator_steps=1,
        average=0.999,
        **kwargs,
    ):
        super().__init__(input_shape, latent_dim, average, **kwargs)
        if len(self.sample_shape) != 1:
            raise ValueError(f"input_shape must be (dimensions,) of a point, got {input_shape!r}.")
        self.discriminator_steps = discriminator_steps
        (dimensions,) = self.sample_shape

        x = noise = keras.Input((latent_dim,), name="noise")
        for units in generator_units:
            x = Dense(units, activation="relu")(x)
        points = Dense(dimensions, dtype="float32", name="points")(x)

        x = point = keras.Input((dimensions,), name="point")
        for units in discriminator_units:
            x = Dense(units, activation="relu")(x)
            x = Dropout(dropout)(x)
        logit = Dense(1, dtype="float32", name="logit")(x)

        self.play_with(Network(noise, points, name="generator"), Network(point, logit, name="discriminator"))

    def players(self):
        return {
            "discriminator": Player(
                [self.discriminator], self.discriminator_loss, repeat=self.discriminator_steps
            ),
            "generator": Player([self.generator], self.generator_loss),
        }


@register(
    "dcgan",
    task="image_generation",
    paper="https://arxiv.org/abs/1511.06434",
    tiny=dict(input_shape=(16, 16, 1), latent_dim=4, filters=4),
    parameters=6342272,
    recipe=dict(learning_rate=2e-4, beta_1=0.5),
)
class DCGAN(Generative):
    """Images made of noise by transposed convolutions, and judged by convolutions.

    Fit on images alone; call on noise; `sample(count)` draws new images.

    Args:
        input_shape: (height, width, channels) of an image; sides are even and at least 8, such as 28,
            32 or 64. As often as they can be halved down to 4, the networks have a level.
        latent_dim: Length of the noise vector.
        filters: Filters of the convolution nearest the image; each level has twice as many.
        average: Part of the moving average of the generator's weights that a step keeps, in [0, 1);
            `predict` and `sample` use the average. None for the weights themselves.

    Shapes:
        noise:   (batch, latent_dim), floating, standard normal.
        returns: (batch, height, width, channels), float32, in [-1, 1].
    """

    def __init__(self, input_shape=(64, 64, 3), latent_dim=100, filters=64, average=None, **kwargs):
        super().__init__(input_shape, latent_dim, average, **kwargs)
        noise = keras.Input((latent_dim,), name="noise")
        image = keras.Input(self.sample_shape, name="image")
        self.play_with(
            Network(noise, drawn_from(noise, self.sample_shape, filters), name="generator"),
            Network(image, judged(image, filters), name="discriminator"),
        )


@register(
    "wgan_gp",
    task="image_generation",
    paper="https://arxiv.org/abs/1704.00028",
    tiny=dict(input_shape=(16, 16, 1), latent_dim=4, filters=4, critic_steps=2),
    recipe=dict(learning_rate=5e-4, beta_1=0.5, beta_2=0.9),
)
class WGANGP(Generative):
    """Images made of noise; a critic learns how far they are from real ones, with a slope of one between them.

    Fit on images alone; call on noise; `sample(count)` draws new images. Logs hold the critic's estimate
    of the distance, `wasserstein_distance`, which falls as images get better.

    Args:
        input_shape: (height, width, channels) of an image; sides are even and at least 8.
        latent_dim: Length of the noise vector.
        filters: Filters of the convolution nearest the image; each level has twice as many.
        critic_steps: The generator learns in every so many steps, the critic in each of them, on fresh
            images: n_critic of the paper's algorithm 1.
        penalty: Weight of the gradient penalty, the paper's lambda.
        average: Part of the moving average of the generator's weights that a step keeps, in [0, 1);
            `predict` and `sample` use the average. None for the weights themselves.

    Shapes:
        noise:   (batch, latent_dim), floating, standard normal.
        returns: (batch, height, width, channels), float32, in [-1, 1].
    """

    guesses = False

    def __init__(
        self,
        input_shape=(28, 28, 1),
        latent_dim=64,
        filters=32,
        critic_steps=5,
        penalty=10.0,
        average=None,
        **kwargs,
    ):
        super().__init__(input_shape, latent_dim, average, **kwargs)
        self.critic_steps, self.penalty = critic_steps, penalty
        self.wasserstein_distance = keras.metrics.Mean(name="wasserstein_distance")
        noise = keras.Input((latent_dim,), name="noise")
        image = keras.Input(self.sample_shape, name="image")
        self.play_with(
            Network(noise, drawn_from(noise, self.sample_shape, filters), name="generator"),
            Network(image, judged(image, filters, normalized=False), name="critic"),
        )

    def players(self):
        return {
            "critic": Player([self.discriminator], self.critic_loss),
            "generator": Player([self.generator], self.generator_loss, every=self.critic_steps),
        }

    def critic_loss(self, real, training):
        """Minus the distance, and the penalty: lines 4 to 7 of algorithm 1."""
        fake = self.generator(self.drawn(real), training=training)
        apart = ops.mean(self.discriminator(real, training=training)) - ops.mean(
            self.discriminator(fake, training=training)
        )
        self.note(self.wasserstein_distance, apart, real)
        share = self.shares(real)
        between = share * real + (1.0 - share) * fake
        slope = gradient(lambda image: self.discriminator(image, training=training))(between)
        steepness = ops.sqrt(ops.sum(ops.square(slope), axis=(1, 2, 3)) + 1e-12)  # finite slope at 0
        return self.penalty * ops.mean(ops.square(steepness - 1.0)) - apart

    def shares(self, real):
        """Where between a real and a generated image to look: (batch, 1, 1, 1), in [0, 1), one for each sample."""
        return keras.random.uniform((ops.shape(real)[0], 1, 1, 1), seed=self.noise)

    def generator_loss(self, real, training):
        """Minus what the critic thinks of generated images: line 11 of algorithm 1."""
        fake = self.generator(self.drawn(real), training=training)
        return -ops.mean(self.discriminator(fake, training=training))


@register(
    "conditional_gan",
    task="conditional_image_generation",
    paper="https://arxiv.org/abs/1411.1784",
    tiny=dict(input_shape=(16, 16, 1), num_classes=3, latent_dim=4, filters=4),
    recipe=dict(learning_rate=2e-4, beta_1=0.5),
)
class ConditionalGAN(Generative):
    """Images of a class that is asked for: both players are told the class.

    Fit on images and class numbers; call on noise and class numbers; `sample(count, labels)` draws new
    images.

    Args:
        input_shape: (height, width, channels) of an image; sides are even and at least 8.
        num_classes: Classes to choose from.
        latent_dim: Length of the noise vector.
        filters: Filters of the convolution nearest the image; each level has twice as many.
        average: Part of the moving average of the generator's weights that a step keeps, in [0, 1);
            `predict` and `sample` use the average. None for the weights themselves.

    Shapes:
        noise:   (batch, latent_dim), floating, standard normal.
        labels:  (batch,), integers from 0 to num_classes - 1.
        returns: (batch, height, width, channels), float32, in [-1, 1].
    """

    def __init__(
        self, input_shape=(28, 28, 1), num_classes=10, latent_dim=64, filters=32, average=None, **kwargs
    ):
        super().__init__(input_shape, latent_dim, average, **kwargs)
        self.num_classes = num_classes
        height, width, _ = self.sample_shape
        noise = keras.Input((latent_dim,), name="noise")
        image = keras.Input(self.sample_shape, name="image")
        label = keras.Input((), dtype="int32", name="label")
        code = ops.one_hot(label, num_classes)
        planes = ops.tile(ops.reshape(code, (-1, 1, 1, num_classes)), (1, height, width, 1))
        drawing = drawn_from(ops.concatenate([noise, code], axis=-1), self.sample_shape, filters)
        logit = judged(ops.concatenate([image, planes], axis=-1), filters)
        self.play_with(
            Network([noise, label], drawing, name="generator"),
            Network([image, label], logit, name="discriminator"),
        )

    def discriminator_loss(self, real, labels, training):
        """Cross-entropy of telling real images from generated ones of the same classes: equation 2."""
        fake = self.generator([self.drawn(real), labels], training=training)
        on_real = self.discriminator([real, labels], training=training)
        on_fake = self.discriminator([fake, labels], training=training)
        self.score(on_real, on_fake)
        return ops.mean(ops.softplus(-on_real)) + ops.mean(ops.softplus(on_fake))

    def generator_loss(self, real, labels, training):
        """How little generated images are taken for real ones of their classes."""
        fake = self.generator([self.drawn(real), labels], training=training)
        return ops.mean(ops.softplus(-self.discriminator([fake, labels], training=training)))

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse what is not images of the model's shape and a class number for each."""
        images = checks.check_samples(self, f"{prefix}x", x, self.sample_shape)
        if y is None:
            raise ValueError(f"{self.name} learns from images and class numbers; {prefix}y is missing.")
        checks.check_labels(f"{prefix}y", y, len(images), self.num_classes)

    def asked(self, count, labels):
        """Class numbers for samples: (count,), int32; one after the other where none are asked for."""
        if labels is None:
            labels = np.arange(count) % self.num_classes
        labels = np.broadcast_to(labels, (count,)) if np.ndim(labels) == 0 else np.asarray(labels)
        checks.check_labels("labels", labels, count, self.num_classes)
        return labels.astype("int32")

    def sample(self, count, labels=None, seed=None):
        """New images.

        Args:
            count: How many.
            labels: (count,) class numbers, or one for all. By default each class in turn.
            seed: Makes them the same each time.

        Returns:
            (count, height, width, channels), float32 NumPy array, in [-1, 1].
        """
        return self.predict([self.latent(count, seed), self.asked(count, labels)], verbose=0)

    def interpolate(self, a, b, steps=8, label=0):
        """Images of one class on the way from one noise vector to another; see `Generative.interpolate`."""
        return self.predict([self.way(a, b, steps), self.asked(steps, label)], verbose=0)


def levels(input_shape):
    """The size of the smallest map, and how often it is doubled: (height, width, times).

    Raises:
        ValueError: The sides cannot be halved, or `input_shape` is no shape of an image.
    """
    if len(input_shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels), got {tuple(input_shape)}.")
    height, width, _ = input_shape
    times = 0
    while height % 2 == width % 2 == 0 and min(height, width) >= 8:
        height, width, times = height // 2, width // 2, times + 1
    if not times:
        raise ValueError(
            f"input_shape: height and width must be even and at least 8 (28, 32, 64 ...), got {tuple(input_shape)}."
        )
    return height, width, times


def drawn_from(noise, input_shape, filters):
    """Images of noise: doubled in size level by level, with half as many filters."""
    height, width, times = levels(input_shape)
    widths = [filters * 2**level for level in reversed(range(times))]
    x = Dense(height * width * widths[0], use_bias=False, kernel_initializer=small())(noise)
    x = keras.layers.Reshape((height, width, widths[0]))(x)
    x = keras.layers.ReLU()(normalization()(x))
    for count in widths[1:]:
        x = Conv2DTranspose(count, 4, strides=2, padding="same", use_bias=False, kernel_initializer=small())(
            x
        )
        x = keras.layers.ReLU()(normalization()(x))
    x = Conv2DTranspose(
        input_shape[-1], 4, strides=2, padding="same", use_bias=False, kernel_initializer=small(), name="last"
    )(x)
    return keras.layers.Activation("tanh", dtype="float32", name="image")(x)


def judged(image, filters, normalized=True):
    """A logit for each image: halved in size level by level, with twice as many filters."""
    height, width, times = levels(image.shape[1:])
    x = image
    for level in range(times):
        x = Conv2D(
            filters * 2**level,
            4,
            strides=2,
            padding="same",
            use_bias=not normalized,
            kernel_initializer=small(),
        )(x)
        if normalized and level:
            x = normalization()(x)
        x = keras.layers.LeakyReLU(0.2)(x)
    x = Conv2D(1, (height, width), use_bias=False, kernel_initializer=small(), name="last")(x)
    return keras.layers.Flatten(dtype="float32", name="logit")(x)


def small():
    """Initial weights of the DCGAN paper: normal, of deviation 0.02."""
    return keras.initializers.RandomNormal(stddev=0.02)


def normalization():
    """Batch normalization with the momentum and epsilon of the reference; its scale begins near 1."""
    return BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02)
    )
