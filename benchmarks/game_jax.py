"""The games in JAX, as one writes them without Keras: pure functions of lists of arrays."""

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from benchmarks.cases import network
from benchmarks.native_jax import IMAGES, convolve, descend, normalise


def transpose(x, kernel, padding="SAME"):
    """A transposed convolution of stride 2; the kernel is (rows, columns, filters, channels)."""
    return lax.conv_transpose(x, kernel, (2, 2), padding, dimension_numbers=IMAGES, transpose_kernel=True)


def over_batch(x, learned, moving, training):
    """Normalise over the batch; the second result is the new moving averages."""
    if not training:
        return normalise(x, *learned, *moving), moving
    now, spread = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
    averages = tuple(0.9 * old + 0.1 * new for old, new in zip(moving, (now, spread), strict=True))
    return normalise(x, *learned, now, spread), averages


def generator(learned, moving, noise, training):
    """Noise (batch, latent_dim) to images, of DCGAN; and the new moving averages."""
    (first,), norm, *_ = learned
    channels = len(norm[0])
    side = int((first.shape[1] / channels) ** 0.5)
    x = (noise @ first).reshape(-1, side, side, channels)
    seen = list(moving)
    for i in range(1, len(learned), 2):
        x, seen[i] = over_batch(x, learned[i], moving[i], training)
        x = transpose(jax.nn.relu(x), *learned[i + 1])
    return jnp.tanh(x), seen


def discriminator(learned, moving, x, training):
    """Images to logits (batch, 1), of DCGAN; and the new moving averages."""
    x = jax.nn.leaky_relu(convolve(x, *learned[0], 2, 1), 0.2)
    seen = list(moving)
    for i in range(1, len(learned) - 1, 2):
        x = convolve(x, *learned[i], 2, 1)
        x, seen[i + 1] = over_batch(x, learned[i + 1], moving[i + 1], training)
        x = jax.nn.leaky_relu(x, 0.2)
    return convolve(x, *learned[-1]).reshape(len(x), -1), seen


def by_image(x):
    """Instance normalization."""
    return normalise(x, 1, 0, jnp.mean(x, (1, 2), keepdims=True), jnp.var(x, (1, 2), keepdims=True))


def mirrored(x, size):
    """Reflection padding."""
    return jnp.pad(x, ((0, 0), (size, size), (size, size), (0, 0)), "reflect")


def translator(learned, x):
    """Images to images, of CycleGAN."""

    def layer(x, kernel, bias, stride=1, padding=0):
        return convolve(x, kernel, stride, padding) + bias

    first, down1, down2, *blocks, up1, up2, end = learned
    x = jax.nn.relu(by_image(layer(mirrored(x, 3), *first)))
    for arrays in (down1, down2):
        x = jax.nn.relu(by_image(layer(x, *arrays, 2, 1)))
    for one, other in zip(blocks[::2], blocks[1::2], strict=True):
        y = jax.nn.relu(by_image(layer(mirrored(x, 1), *one)))
        x = x + by_image(layer(mirrored(y, 1), *other))
    for kernel, bias in (up1, up2):
        x = jax.nn.relu(by_image(transpose(x, kernel, ((1, 2), (1, 2))) + bias))
    return jnp.tanh(layer(mirrored(x, 3), *end))


def patches(learned, x):
    """Images to a logit for each patch, of CycleGAN."""
    for level, (kernel, bias) in enumerate(learned):
        x = convolve(x, kernel, 2 if level < 3 else 1, 1) + bias
        if level < 4:
            x = jax.nn.leaky_relu(by_image(x) if level else x, 0.2)
    return x


def adam(weights, gradient, memory, rate):
    """The weights and Adam's memory after an update."""
    weights, *memory = descend(weights, gradient, memory, rate, beta=0.5)
    return weights, tuple(memory)


def memory(weights):
    """Adam's state before the first update."""
    return *(jax.tree.map(jnp.zeros_like, weights) for _ in range(2)), jnp.zeros((), "int32")


class Game:
    """What all games share: a compiled step that reuses the memory of its state.

    Args:
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
    """

    def __init__(self, weights, rate):
        self.rate = rate
        self.state = self.begin(weights)
        self.compiled = jax.jit(self.turns, donate_argnums=0)
        self.forward = jax.jit(self.outputs)

    def step(self, *batch):
        """A turn of each player; their losses."""
        losses, self.state = self.compiled(self.state, *batch)
        return losses

    def predict(self, x, batch_size):
        """Outputs for all inputs."""
        rows = range(0, len(x), batch_size)
        return np.concatenate([self.forward(self.state, x[i : i + batch_size]) for i in rows])


class DCGAN(Game):
    """A generator and a discriminator."""

    def begin(self, weights):
        learned, moving = {}, {}
        for name in ("generator", "discriminator"):
            arrays = [tuple(map(jnp.array, layer)) for layer in network(weights, name)]
            learned[name] = [layer[:2] for layer in arrays]
            moving[name] = [layer[2:] for layer in arrays]
        self.latent_dim = len(learned["generator"][0][0])
        return learned, moving, {name: memory(part) for name, part in learned.items()}, jax.random.key(0)

    def turns(self, state, real, *noise):
        """A pure step; without noise it draws its own."""
        learned, moving, memories, key = state
        key, own = jax.random.split(key)
        noise = noise or jax.random.normal(own, (2, len(real), self.latent_dim))
        fake, moving["generator"] = generator(learned["generator"], moving["generator"], noise[0], True)

        def judge(weights):
            on_real, seen = discriminator(weights, moving["discriminator"], real, True)
            on_fake, seen = discriminator(weights, seen, fake, True)
            return jnp.mean(jax.nn.softplus(-on_real)) + jnp.mean(jax.nn.softplus(on_fake)), seen

        def fool(weights):
            fake, seen = generator(weights, moving["generator"], noise[1], True)
            on_fake, judged = discriminator(learned["discriminator"], moving["discriminator"], fake, True)
            return jnp.mean(jax.nn.softplus(-on_fake)), (seen, judged)

        losses = {}
        for name, loss in (("discriminator", judge), ("generator", fool)):
            (losses[name], seen), gradient = jax.value_and_grad(loss, has_aux=True)(learned[name])
            learned[name], memories[name] = adam(learned[name], gradient, memories[name], self.rate)
            if name == "discriminator":
                moving["discriminator"] = seen
        moving["generator"], moving["discriminator"] = seen
        return [losses["discriminator"], losses["generator"]], (learned, moving, memories, key)

    def outputs(self, state, noise):
        learned, moving, *_ = state
        return generator(learned["generator"], moving["generator"], noise, False)[0]


class CycleGAN(Game):
    """Two translators and two discriminators."""

    def begin(self, weights):
        learned = {
            name: [tuple(map(jnp.array, layer)) for layer in network(weights, name)]
            for name in ("a_to_b", "b_to_a", "on_a", "on_b")
        }
        groups = [
            {name: learned[name] for name in names} for names in (("a_to_b", "b_to_a"), ("on_a", "on_b"))
        ]
        return groups, [memory(group) for group in groups]

    def turns(self, state, a, b):
        """A pure step."""
        (translators, judges), memories = state

        def squared(x, wanted):
            return jnp.mean((x - wanted) ** 2)

        def distance(x, y):
            return jnp.mean(jnp.abs(x - y))

        def translate(learned):
            a_to_b, b_to_a = (
                lambda x, name=name: translator(learned[name], x) for name in ("a_to_b", "b_to_a")
            )
            made_a, made_b = b_to_a(b), a_to_b(a)
            fooled = squared(patches(judges["on_a"], made_a), 1) + squared(patches(judges["on_b"], made_b), 1)
            cycle = distance(b_to_a(made_b), a) + distance(a_to_b(made_a), b)
            same = distance(a_to_b(b), b) + distance(b_to_a(a), a)
            return fooled + 10 * cycle + 5 * same, (made_a, made_b)

        (first, made), gradient = jax.value_and_grad(translate, has_aux=True)(translators)
        translators, memories[0] = adam(translators, gradient, memories[0], self.rate)

        def judge(learned):
            pairs = zip((learned["on_a"], learned["on_b"]), (a, b), made, strict=True)
            return 0.5 * sum(squared(patches(w, x), 1) + squared(patches(w, y), 0) for w, x, y in pairs)

        second, gradient = jax.value_and_grad(judge)(judges)
        judges, memories[1] = adam(judges, gradient, memories[1], self.rate)
        return [first, second], ([translators, judges], memories)

    def outputs(self, state, images):
        return translator(state[0][0]["a_to_b"], images)


GAMES = {"dcgan": DCGAN, "cyclegan": CycleGAN}


def Native(name, *arguments):
    """The game of that name."""
    return GAMES[name](*arguments)
