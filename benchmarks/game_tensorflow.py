"""The games in TensorFlow, as one writes them without Keras: variables and a `tf.function`."""

import numpy as np
import tensorflow as tf

from benchmarks.cases import network
from benchmarks.native_tensorflow import convolve


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


class Adam(tf.Module):
    """Adam for some networks, with Keras' epsilon."""

    def __init__(self, networks, rate):
        super().__init__()
        self.learned = [w for part in networks for w in part.trainable_variables]
        self.first, self.second = ([tf.Variable(tf.zeros_like(w)) for w in self.learned] for _ in range(2))
        self.count, self.rate = tf.Variable(0.0), rate

    def step(self, tape, loss):
        gradients = tape.gradient(loss, self.learned)
        self.count.assign_add(1.0)
        now = self.rate * tf.sqrt(1 - 0.999**self.count) / (1 - 0.5**self.count)
        for w, m, v, g in zip(self.learned, self.first, self.second, gradients, strict=True):
            m.assign_add(0.5 * (g - m))
            v.assign_add(0.001 * (g * g - v))
            w.assign_sub(now * m / (tf.sqrt(v) + 1e-7))
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


GAMES = {"dcgan": DCGAN}


def Native(name, *arguments, **options):
    """The game of that name."""
    return GAMES[name](*arguments, **options)
