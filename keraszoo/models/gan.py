"""Generative adversarial networks: a generator learns to fool a discriminator, which learns not to be fooled.

Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661.

Departures from the paper: rectified and leaky units for maxout; the generator minimises
`-log D(G(z))`, as the end of the paper's section 3 advises; samples come from a moving average of the
generator's weights (Yazıcı et al. 2018, https://arxiv.org/abs/1806.04498), without which the game ends
wherever it happens to be when it is stopped.
"""

import keras
import numpy as np
from keras import ops

from keraszoo.layers import Dense, Dropout
from keraszoo.architecture import Network
from keraszoo.registry import register
from keraszoo.training import MultiPlayerModel, Player, checks, follow


class Generative(MultiPlayerModel):
    """What the games of a generator and a discriminator have in common: noise, samples, and who is winning.

    A subclass makes `generator` and `discriminator`, and says in `judgement` what the discriminator
    thinks of samples, and in `discriminator_loss` and `generator_loss` what each of them wants.

    Args:
        input_shape: Shape of a sample.
        latent_dim: Length of a noise vector.
        average: Part of the moving average of the generator's weights that a step keeps, in [0, 1);
            `predict` and `sample` use the average. None for the weights themselves.
    """

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

    @property
    def input_shape(self):
        return self.generator.input_shape

    @property
    def output_shape(self):
        return self.generator.output_shape

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
    recipe=dict(learning_rate=1e-3, beta_1=0.5),
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
        average=0.99,
        **kwargs,
    ):
        super().__init__(input_shape, latent_dim, average, **kwargs)
        if len(self.sample_shape) != 1:
            raise ValueError(f"input_shape must be (dimensions,) of a point, got {input_shape!r}.")
        self.discriminator_steps = discriminator_steps
        (dimensions,) = self.sample_shape

        x = noise = keras.Input((latent_dim,), name="noise")
        for units in generator_units:
            x = Dense(units, activation="relu", kernel_initializer="he_uniform")(x)
        points = Dense(dimensions, dtype="float32", name="points")(x)

        x = point = keras.Input((dimensions,), name="point")
        for units in discriminator_units:
            x = Dense(units, activation="relu", kernel_initializer="he_uniform")(x)
            x = Dropout(dropout)(x)
        logit = Dense(1, dtype="float32", name="logit")(x)

        self.play_with(
            Network(noise, points, name="generator"), Network(point, logit, name="discriminator")
        )

    def players(self):
        return {
            "discriminator": Player(
                [self.discriminator], self.discriminator_loss, repeat=self.discriminator_steps
            ),
            "generator": Player([self.generator], self.generator_loss),
        }
