"""U-Net and Vision Transformers in JAX, as one writes them without Keras: pure functions of lists of arrays."""

from functools import partial

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from benchmarks.cases import network
from benchmarks.native_jax import IMAGES, convolve, descend, pool


def unet(learned, fixed, x):
    """Images to a logit for each pixel and class: (batch, height, width, classes)."""
    *layers, (kernel, bias) = learned
    depth = (len(layers) - 2) // 5  # two convolutions on the way down, and three on the way up
    layers, skips = iter(layers), []

    def twice(x):
        for kernel, bias in (next(layers), next(layers)):
            x = jax.nn.relu(convolve(x, kernel, 1, 1) + bias)
        return x

    for _ in range(depth):
        x = twice(x)
        skips.append(x)
        x = pool(x, 2, 2)
    x = twice(x)
    for _ in range(depth):
        larger, shift = next(layers)
        x = lax.conv_transpose(x, larger, (2, 2), "VALID", dimension_numbers=IMAGES, transpose_kernel=True)
        x = twice(jnp.concatenate([skips.pop(), x + shift], axis=-1))
    return convolve(x, kernel) + bias


def normalise(x, gamma, beta):
    mean, variance = jnp.mean(x, -1, keepdims=True), jnp.var(x, -1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-6) * gamma + beta


def block(x, arrays, heads):
    """A Transformer block."""
    norm1, (kernel, bias), projection, norm2, hidden, output = zip(arrays[::2], arrays[1::2], strict=True)
    batch, time, features = x.shape
    qkv = (normalise(x, *norm1) @ kernel + bias).reshape(batch, time, 3, heads, -1)
    query, key, value = qkv.transpose(2, 0, 3, 1, 4)
    shares = jax.nn.softmax(query @ key.swapaxes(2, 3) * (features // heads) ** -0.5)
    y = (shares @ value).swapaxes(1, 2).reshape(x.shape)
    x = x + y @ projection[0] + projection[1]
    y = jax.nn.gelu(normalise(x, *norm2) @ hidden[0] + hidden[1], approximate=False)
    return x + y @ output[0] + output[1]


def patchify(x, side):
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // side, side, width // side, side, channels).swapaxes(2, 3)
    return x.reshape(batch, -1, side * side * channels)


def unpatchify(x, shape):
    batch, height, width, channels = shape
    side = round((x.shape[2] / channels) ** 0.5)
    x = x.reshape(batch, height // side, width // side, side, side, channels).swapaxes(2, 3)
    return x.reshape(shape)


def embedded(x, arrays, positions, kept=None):
    """Patches as vectors that know where they lie, after a class token."""
    token, kernel, bias = arrays
    x = patchify(x, round((len(kernel) / x.shape[3]) ** 0.5))
    places = positions[1:]
    if kept is not None:
        x, places = jnp.take_along_axis(x, kept[:, :, None], 1), places[kept]
    first = jnp.broadcast_to(token + positions[0], (len(x), 1, len(token)))
    return jnp.concatenate([first, x @ kernel + bias + places], 1)


def vit(learned, fixed, x, heads):
    """Images to logits: (batch, classes)."""
    (token, positions, *projection), *blocks, norm, (kernel, bias) = learned
    x = embedded(x, (token, *projection), positions)
    for arrays in blocks:
        x = block(x, arrays, heads)
    return normalise(x[:, 0], *norm) @ kernel + bias


def mae(learned, fixed, x, order, heads, decoder_heads, mask_ratio):
    """Images and the order of their patches, the visible first, to pixels: (batch, patches, pixels)."""
    (patches, *blocks, norm), (narrow, (token,), *decoder_blocks, decoder_norm, (kernel, bias)) = learned
    visible = int(order.shape[1] * (1 - mask_ratio))
    x = embedded(x, patches, fixed[0], order[:, :visible])
    for arrays in blocks:
        x = block(x, arrays, heads)
    x = normalise(x, *norm) @ narrow[0] + narrow[1]
    hidden = jnp.broadcast_to(token, (len(x), order.shape[1] - visible, len(token)))
    rows = jnp.concatenate([x[:, 1:], hidden], 1)
    x = jnp.concatenate([x[:, :1], jnp.take_along_axis(rows, jnp.argsort(order, 1)[:, :, None], 1)], 1)
    x = x + fixed[1]
    for arrays in decoder_blocks:
        x = block(x, arrays, decoder_heads)
    return normalise(x[:, 1:], *decoder_norm) @ kernel + bias


class Learner:
    """Training and prediction: one compiled function each, which reuses the memory of its state.

    Args:
        model: A function of learned weights, fixed ones and a batch.
        learned, fixed: Lists of arrays.
        rate, decay: Learning rate and weight decay of AdamW.
    """

    def __init__(self, model, learned, fixed, rate, decay):
        self.model, self.fixed = model, fixed
        self.state = (learned,)  # and AdamW's part of it, from the first step on

        @partial(jax.jit, donate_argnums=0)
        def step(state, fixed, *batch):
            learned, *memory = state
            value, gradient = jax.value_and_grad(self.loss)(learned, fixed, *batch)
            return value, descend(learned, gradient, memory, rate, decay)

        self.compiled, self.forward = step, jax.jit(self.outputs)

    def loss(self, learned, fixed, x, y):
        logs = jax.nn.log_softmax(self.model(learned, fixed, x))
        return -jnp.mean(jnp.take_along_axis(logs, y[..., None], -1))

    def outputs(self, learned, fixed, x):
        return self.model(learned, fixed, x)

    def step(self, *batch):
        """One step; the loss before it, in a list."""
        if len(self.state) == 1:
            zeros = [jax.tree.map(jnp.zeros_like, self.state[0]) for _ in range(2)]
            self.state = *self.state, *zeros, jnp.zeros((), "int32")
        loss, self.state = self.compiled(self.state, self.fixed, *batch)
        return [loss]

    def predict(self, x, batch_size):
        """Outputs for all inputs."""
        parts = x if isinstance(x, tuple) else (x,)
        batches = [[part[i : i + batch_size] for part in parts] for i in range(0, len(parts[0]), batch_size)]
        return np.concatenate([self.forward(self.state[0], self.fixed, *batch) for batch in batches])


class Masked(Learner):
    def loss(self, learned, fixed, x, noise):
        order = jnp.argsort(noise, 1)
        made = self.model(learned, fixed, x, order)
        wanted = patchify(x, round((made.shape[2] / x.shape[3]) ** 0.5))
        errors = jnp.mean((made - wanted) ** 2, -1)
        visible = int(order.shape[1] * (1 - self.model.keywords["mask_ratio"]))
        return jnp.mean(jnp.take_along_axis(errors, order[:, visible:], 1))

    def outputs(self, learned, fixed, x, noise):
        return unpatchify(self.model(learned, fixed, x, jnp.argsort(noise, 1)), x.shape)


def Native(name, weights, rate, decay, size=None, **facts):
    """The model of that name, with these weights, ready to learn.

    Args:
        name: Its first word is "unet", "vit" or "mae".
        weights: As `cases.named_weights` gives them.
        rate, decay: As of `Learner`.
        size: Side of an image, which nobody needs here.
        **facts: What the weights do not say.
    """
    kind = name.split("_")[0]
    if kind != "mae":
        model = partial({"unet": unet, "vit": vit}[kind], **facts)
        return Learner(model, in_jax(weights.values()), [], rate, decay)
    encoder, decoder = (in_jax(network(weights, part)) for part in ("encoder", "decoder"))
    (token, places, *projection), (mask_token, decoder_places) = encoder[0], decoder[1]
    learned = [(token, *projection), *encoder[1:]], [decoder[0], (mask_token,), *decoder[2:]]
    return Masked(partial(mae, **facts), learned, [places, decoder_places], rate, decay)


def in_jax(layers):
    return [tuple(map(jnp.array, arrays)) for arrays in layers]
