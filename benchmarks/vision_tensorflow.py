"""U-Net and Vision Transformers in TensorFlow, as one writes them without Keras: variables and a `tf.function`."""

import numpy as np
import tensorflow as tf

from benchmarks.cases import network
from benchmarks.native_tensorflow import AdamW, convolve


class UNet(tf.Module):
    """Images to a logit for each pixel and class: (batch, height, width, classes)."""

    def __init__(self, weights):
        super().__init__()
        self.layers = variables(weights.values())

    def __call__(self, x):
        *layers, (kernel, bias) = self.layers
        depth = (len(layers) - 2) // 5  # two convolutions on the way down, and three on the way up
        layers, skips = iter(layers), []

        def twice(x):
            for kernel, bias in (next(layers), next(layers)):
                x = tf.nn.relu(tf.nn.bias_add(convolve(x, kernel, 1, 1), bias))
            return x

        for _ in range(depth):
            x = twice(x)
            skips.append(x)
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        x = twice(x)
        for _ in range(depth):
            (larger, shift), skip = next(layers), skips.pop()
            shape = (x.shape[0], 2 * x.shape[1], 2 * x.shape[2], larger.shape[2])
            x = tf.nn.bias_add(tf.nn.conv2d_transpose(x, larger, shape, 2, "VALID"), shift)
            x = twice(tf.concat([skip, x], axis=-1))
        return tf.nn.bias_add(convolve(x, kernel), bias)


class Patches(tf.Module):
    """Images as patches that know where they lie, after a class token."""

    def __init__(self, token, positions, kernel, bias, fixed):
        super().__init__()
        self.token, self.kernel, self.bias = variables([(token, kernel, bias)])[0]
        self.positions = tf.Variable(positions, trainable=not fixed)

    def __call__(self, x, kept=None):
        x = patchify(x, round((self.kernel.shape[0] / x.shape[3]) ** 0.5))
        places = self.positions[1:]
        if kept is not None:
            x, places = tf.gather(x, kept, batch_dims=1), tf.gather(places, kept)
        x = dense(x, self.kernel, self.bias) + places
        first = tf.broadcast_to(self.token + self.positions[0], (x.shape[0], 1, x.shape[2]))
        return tf.concat([first, x], 1)


class Block(tf.Module):
    """A Transformer block."""

    def __init__(self, arrays, heads):
        super().__init__()
        self.layers, self.heads = variables(zip(arrays[::2], arrays[1::2], strict=True)), heads

    def __call__(self, x):
        norm1, qkv, projection, norm2, hidden, output = self.layers
        batch, time, features = x.shape
        parts = tf.reshape(dense(normalise(x, *norm1), *qkv), (batch, time, 3, self.heads, -1))
        query, key, value = tf.unstack(tf.transpose(parts, (2, 0, 3, 1, 4)))
        query = query * (features // self.heads) ** -0.5
        shares = tf.nn.softmax(tf.matmul(query, key, transpose_b=True))
        y = tf.reshape(tf.transpose(tf.matmul(shares, value), (0, 2, 1, 3)), x.shape)
        x = x + dense(y, *projection)
        return x + dense(tf.nn.gelu(dense(normalise(x, *norm2), *hidden)), *output)


class ViT(tf.Module):
    """Images to logits: (batch, classes)."""

    def __init__(self, weights, heads):
        super().__init__()
        patches, *blocks, norm, logits = weights.values()
        self.patches = Patches(*patches, fixed=False)
        self.blocks = [Block(arrays, heads) for arrays in blocks]
        self.norm, self.logits = variables([norm, logits])

    def __call__(self, x):
        x = self.patches(x)
        for block in self.blocks:
            x = block(x)
        return dense(normalise(x[:, 0], *self.norm), *self.logits)


class MAE(tf.Module):
    """Images and the order of their patches, the visible first, to pixels: (batch, patches, pixels)."""

    def __init__(self, weights, heads, decoder_heads, mask_ratio):
        super().__init__()
        patches, *blocks, norm = network(weights, "encoder")
        narrow, (token, positions), *decoder_blocks, decoder_norm, pixels = network(weights, "decoder")
        self.mask_ratio = mask_ratio
        self.patches = Patches(*patches, fixed=True)
        self.blocks = [Block(arrays, heads) for arrays in blocks]
        self.decoder_blocks = [Block(arrays, decoder_heads) for arrays in decoder_blocks]
        self.norm, self.narrow, self.decoder_norm, self.pixels = variables(
            [norm, narrow, decoder_norm, pixels]
        )
        self.token, self.positions = tf.Variable(token), tf.Variable(positions, trainable=False)

    def __call__(self, x, order):
        visible = self.visible(order)
        x = self.patches(x, order[:, :visible])
        for block in self.blocks:
            x = block(x)
        x = dense(normalise(x, *self.norm), *self.narrow)
        hidden = tf.broadcast_to(self.token, (x.shape[0], order.shape[1] - visible, x.shape[2]))
        rows = tf.concat([x[:, 1:], hidden], 1)
        x = tf.concat([x[:, :1], tf.gather(rows, tf.argsort(order, 1), batch_dims=1)], 1) + self.positions
        for block in self.decoder_blocks:
            x = block(x)
        return dense(normalise(x[:, 1:], *self.decoder_norm), *self.pixels)

    def visible(self, order):
        return int(order.shape[1] * (1 - self.mask_ratio))


def variables(layers):
    return [tuple(map(tf.Variable, arrays)) for arrays in layers]


def dense(x, kernel, bias):
    """A product with one matrix: a batch of products with the same one is slower."""
    rows = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), kernel)
    return tf.reshape(tf.nn.bias_add(rows, bias), (*x.shape[:-1], -1))


def normalise(x, gamma, beta):
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-6)


def patchify(x, side):
    batch, height, width, channels = x.shape
    x = tf.reshape(x, (batch, height // side, side, width // side, side, channels))
    return tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), (batch, -1, side * side * channels))


def unpatchify(x, shape):
    batch, height, width, channels = shape
    side = round((x.shape[2] / channels) ** 0.5)
    x = tf.reshape(x, (batch, height // side, width // side, side, side, channels))
    return tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), shape)


class Learner:
    """Training and prediction: one traced function each.

    Args:
        model: A `tf.Module`.
        rate, decay: Learning rate and weight decay of AdamW.
        compiled: Compile with XLA, as Keras does by default.
    """

    def __init__(self, model, rate, decay, compiled=False):
        self.model, self.rate, self.decay, self.compiled = model, rate, decay, compiled
        self.train = None
        self.forward = tf.function(self.outputs, jit_compile=compiled)

    def step(self, *batch):
        """One step; the loss before it, in a list."""
        self.train = self.train or self.traced()
        return [self.train(*batch)]

    def traced(self):
        """A training step with AdamW, and the memory that it keeps."""
        optimizer = AdamW(self.model.trainable_variables, self.rate, self.decay)

        @tf.function(jit_compile=self.compiled)
        def step(*batch):
            with tf.GradientTape() as tape:
                loss = self.loss(*batch)
            optimizer.step(tape.gradient(loss, optimizer.learned))
            return loss

        return step

    def loss(self, x, y):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, self.model(x)))

    def outputs(self, x):
        return self.model(x)

    def predict(self, x, batch_size):
        """Outputs for all inputs."""
        parts = x if isinstance(x, tuple) else (x,)
        rows = range(0, len(parts[0]), batch_size)
        return np.concatenate([self.forward(*(part[i : i + batch_size] for part in parts)) for i in rows])


class Masked(Learner):
    def loss(self, x, noise):
        order = tf.argsort(noise, 1)
        made = self.model(x, order)
        wanted = patchify(x, round((made.shape[2] / x.shape[3]) ** 0.5))
        errors = tf.reduce_mean(tf.square(made - wanted), -1)
        return tf.reduce_mean(tf.gather(errors, order[:, self.model.visible(order) :], batch_dims=1))

    def outputs(self, x, noise):
        return unpatchify(self.model(x, tf.argsort(noise, 1)), x.shape)


KINDS = {"unet": (UNet, Learner), "vit": (ViT, Learner), "mae": (MAE, Masked)}


def Native(name, weights, rate, decay, compiled=False, size=None, **facts):
    """The model of that name, with these weights, ready to learn.

    Args:
        name: Its first word is a key of `KINDS`.
        weights: As `cases.named_weights` gives them.
        rate, decay, compiled: As of `Learner`.
        size: Side of an image, which nobody needs here.
        **facts: What the weights do not say.
    """
    model, learner = KINDS[name.split("_")[0]]
    return learner(model(weights, **facts), rate, decay, compiled)
