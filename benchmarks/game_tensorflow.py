"""The games in TensorFlow, as one writes them without Keras: variables and a `tf.function`."""

import numpy as np
import tensorflow as tf

from benchmarks.cases import network
from benchmarks.native_tensorflow import AdamW, convolve


def transpose(x, kernel, side, padding="SAME"):
    """A transposed convolution of stride 2 to images of a side; the kernel is (rows, columns, filters, channels)."""
    return tf.nn.conv2d_transpose(x, kernel, (tf.shape(x)[0], side, side, kernel.shape[2]), 2, padding)


def over_batch(x, gamma, beta, mean, variance, training):
    """Normalise over the batch."""
    if not training:
        return tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, 1e-5, is_training=False)[0]
    x, now, spread = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=1e-5, is_training=True)
    mean.assign(0.9 * mean + 0.1 * now)
    variance.assign(0.9 * variance + 0.1 * spread)
    return x


class Part(tf.Module):
    """The variables of a network, layer by layer, and Adam's."""

    def __init__(self, layers):
        super().__init__()
        self.layers = [
            [tf.Variable(w, trainable=i < 2) for i, w in enumerate(arrays)] for arrays in layers
        ]  # the third and fourth are moving averages
        self.learned = self.trainable_variables


class Generator(Part):
    """Noise (batch, latent_dim) to images, of DCGAN."""

    def __call__(self, noise, training):
        first, *rest = self.layers
        channels = rest[0][0].shape[0]
        side = int((first[0].shape[1] / channels) ** 0.5)
        x = tf.reshape(tf.matmul(noise, *first), (-1, side, side, channels))
        for norm, kernel in zip(rest[::2], rest[1::2], strict=True):
            side *= 2
            x = transpose(tf.nn.relu(over_batch(x, *norm, training)), *kernel, side)
        return tf.tanh(x)


class Discriminator(Part):
    """Images to logits (batch, 1), of DCGAN."""

    def __call__(self, x, training):
        first, *rest, last = self.layers
        x = tf.nn.leaky_relu(tf.nn.conv2d(x, *first, 2, "SAME"), 0.2)
        for kernel, norm in zip(rest[::2], rest[1::2], strict=True):
            x = tf.nn.leaky_relu(over_batch(tf.nn.conv2d(x, *kernel, 2, "SAME"), *norm, training), 0.2)
        return tf.reshape(convolve(x, *last), (-1, 1))


class Translator(Part):
    """Images to images, of CycleGAN."""

    def __call__(self, x):
        first, down1, down2, *blocks, up1, up2, end = self.layers
        x = tf.nn.relu(by_image(layer(mirrored(x, 3), *first)))
        for arrays in (down1, down2):
            x = tf.nn.relu(by_image(layer(x, *arrays, 2, 1)))
        for one, other in zip(blocks[::2], blocks[1::2], strict=True):
            y = tf.nn.relu(by_image(layer(mirrored(x, 1), *one)))
            x = x + by_image(layer(mirrored(y, 1), *other))
        for kernel, bias in (up1, up2):
            y = transpose(x, kernel, 2 * x.shape[1] + 1, "VALID")[:, 1:, 1:]
            x = tf.nn.relu(by_image(tf.nn.bias_add(y, bias)))
        return tf.tanh(layer(mirrored(x, 3), *end))


class Patches(Part):
    """Images to a logit for each patch, of CycleGAN."""

    def __call__(self, x):
        for level, arrays in enumerate(self.layers):
            x = layer(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), *arrays, 2 if level < 3 else 1)
            if level < 4:
                x = tf.nn.leaky_relu(by_image(x) if level else x, 0.2)
        return x


def layer(x, kernel, bias, stride=1, padding=0):
    return tf.nn.bias_add(convolve(x, kernel, stride, padding), bias)


def by_image(x):
    """Instance normalization."""
    mean, variance = tf.nn.moments(x, (1, 2), keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-5)


def mirrored(x, size):
    """Reflection padding."""
    return tf.pad(x, [[0, 0], [size, size], [size, size], [0, 0]], "REFLECT")


class Adam(AdamW):
    """Adam for some networks."""

    def __init__(self, networks, rate):
        super().__init__([w for part in networks for w in part.trainable_variables], rate, beta=0.5)

    def step(self, tape, loss):
        super().step(tape.gradient(loss, self.learned))
        return loss


class Game:
    """What all games share: a traced function each for training and prediction.

    Args:
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        compiled: Compile with XLA, as Keras does by default.
    """

    def __init__(self, weights, rate, compiled=False):
        self.rate = rate
        self.begin(weights)
        self.step = tf.function(self.turns, jit_compile=compiled)
        self.forward = tf.function(self.outputs, jit_compile=compiled)

    def predict(self, x, batch_size):
        """Outputs for all inputs."""
        return np.concatenate([self.forward(x[i : i + batch_size]) for i in range(0, len(x), batch_size)])


class DCGAN(Game):
    """A generator and a discriminator."""

    def begin(self, weights):
        self.generator = Generator(network(weights, "generator"))
        self.discriminator = Discriminator(network(weights, "discriminator"))
        self.latent_dim = self.generator.layers[0][0].shape[0]
        self.learn = [Adam([part], self.rate) for part in (self.discriminator, self.generator)]

    def turns(self, real, *noise):
        """A turn of each player; their losses."""
        noise = noise or tf.unstack(tf.random.normal((2, real.shape[0], self.latent_dim)))
        fake = self.generator(noise[0], True)
        with tf.GradientTape() as tape:
            on_real, on_fake = self.discriminator(real, True), self.discriminator(fake, True)
            loss = tf.reduce_mean(tf.nn.softplus(-on_real)) + tf.reduce_mean(tf.nn.softplus(on_fake))
        losses = [self.learn[0].step(tape, loss)]
        with tf.GradientTape() as tape:
            on_fake = self.discriminator(self.generator(noise[1], True), True)
            loss = tf.reduce_mean(tf.nn.softplus(-on_fake))
        return [*losses, self.learn[1].step(tape, loss)]

    def outputs(self, noise):
        return self.generator(noise, False)


class CycleGAN(Game):
    """Two translators and two discriminators."""

    def begin(self, weights):
        kinds = {"a_to_b": Translator, "b_to_a": Translator, "on_a": Patches, "on_b": Patches}
        self.networks = [kind(network(weights, name)) for name, kind in kinds.items()]
        self.learn = [Adam(self.networks[:2], self.rate), Adam(self.networks[2:], self.rate)]

    def turns(self, a, b):
        """A turn of the translators, and one of the discriminators; their losses."""
        a_to_b, b_to_a, on_a, on_b = self.networks

        def squared(x, wanted):
            return tf.reduce_mean(tf.square(x - wanted))

        def distance(x, y):
            return tf.reduce_mean(tf.abs(x - y))

        with tf.GradientTape() as tape:
            made_a, made_b = b_to_a(b), a_to_b(a)
            fooled = squared(on_a(made_a), 1) + squared(on_b(made_b), 1)
            cycle = distance(b_to_a(made_b), a) + distance(a_to_b(made_a), b)
            same = distance(a_to_b(b), b) + distance(b_to_a(a), a)
            loss = fooled + 10 * cycle + 5 * same
        losses = [self.learn[0].step(tape, loss)]
        with tf.GradientTape() as tape:
            pairs = (on_a, a, made_a), (on_b, b, made_b)
            loss = 0.5 * sum(squared(part(real), 1) + squared(part(made), 0) for part, real, made in pairs)
        return [*losses, self.learn[1].step(tape, loss)]

    def outputs(self, images):
        return self.networks[0](images)


GAMES = {"dcgan": DCGAN, "cyclegan": CycleGAN}


def Native(name, *arguments, **options):
    """The game of that name."""
    return GAMES[name](*arguments, **options)
