"""GPT-2 and BERT in JAX, as one writes them without Keras: pure functions of lists of arrays."""

from functools import partial

import jax
from jax import lax
from jax import numpy as jnp

from benchmarks.vision_jax import Learner, in_jax


def normalise(x, gamma, beta, epsilon):
    mean, variance = jnp.mean(x, -1, keepdims=True), jnp.var(x, -1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + epsilon) * gamma + beta


def attend(x, kernel, bias, projection, heads, causal):
    """Each position to itself and all others, or to those before it."""
    batch, time, features = x.shape
    query, key, value = (x @ kernel + bias).reshape(batch, time, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    scores = query @ key.swapaxes(2, 3) * (features // heads) ** -0.5
    if causal:
        scores = jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -jnp.inf)
    y = (jax.nn.softmax(scores) @ value).swapaxes(1, 2).reshape(x.shape)
    return y @ projection[0] + projection[1]


def gpt2(learned, fixed, tokens, heads, epsilon):
    """Logits of the next token at each place."""
    (vectors, places), *blocks, norm = learned
    x = vectors[tokens] + places[: tokens.shape[1]]
    for arrays in blocks:
        norm1, qkv, projection, norm2, hidden, output = zip(arrays[::2], arrays[1::2], strict=True)
        x = x + attend(normalise(x, *norm1, epsilon), *qkv, projection, heads, True)
        y = jax.nn.gelu(normalise(x, *norm2, epsilon) @ hidden[0] + hidden[1], approximate=True)
        x = x + y @ output[0] + output[1]
    return normalise(x, *norm, epsilon) @ vectors.T


def bert(learned, fixed, tokens, heads, epsilon):
    """Logits of the token at each place."""
    (vectors, places, segments), norm, *blocks, transform, transform_norm, (offset,) = learned
    x = normalise(vectors[tokens] + places[: tokens.shape[1]] + segments[0], *norm, epsilon)
    for arrays in blocks:
        norm1, qkv, projection, norm2, hidden, output = zip(arrays[::2], arrays[1::2], strict=True)
        x = normalise(x + attend(x, *qkv, projection, heads, False), *norm1, epsilon)
        y = jax.nn.gelu(x @ hidden[0] + hidden[1], approximate=False)
        x = normalise(x + y @ output[0] + output[1], *norm2, epsilon)
    x = jax.nn.gelu(x @ transform[0] + transform[1], approximate=False)
    return normalise(x, *transform_norm, epsilon) @ vectors.T + offset


def Native(name, weights, rate, decay, **facts):
    """The model of that name, with these weights, ready to learn; arguments as of `benchmarks.vision_jax.Native`."""
    model = partial({"gpt2": gpt2, "bert": bert}[name.split("_")[0]], **facts)
    return Learner(model, in_jax(weights.values()), [], rate, decay)
