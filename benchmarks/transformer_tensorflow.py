"""GPT-2 and BERT in TensorFlow, as one writes them without Keras: variables and a `tf.function`."""

import tensorflow as tf

from benchmarks.vision_tensorflow import Learner, dense, variables


def normalise(x, gamma, beta, epsilon):
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


def attend(x, qkv, projection, heads, causal):
    """Each position to itself and all others, or to those before it."""
    batch, time, features = x.shape
    parts = tf.reshape(dense(x, *qkv), (batch, time, 3, heads, -1))
    query, key, value = tf.unstack(tf.transpose(parts, (2, 0, 3, 1, 4)))
    scores = tf.matmul(query * (features // heads) ** -0.5, key, transpose_b=True)
    if causal:
        scores = tf.where(tf.linalg.band_part(tf.ones((time, time), "bool"), -1, 0), scores, -1e30)
    y = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), (0, 2, 1, 3))
    return dense(tf.reshape(y, x.shape), *projection)


def unembed(x, vectors):
    """Logits of all tokens."""
    rows = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), vectors, transpose_b=True)
    return tf.reshape(rows, (*x.shape[:-1], -1))


class GPT2(tf.Module):
    """Tokens to logits of the next one at each place."""

    def __init__(self, weights, heads, epsilon):
        super().__init__()
        self.layers, self.heads, self.epsilon = variables(weights.values()), heads, epsilon

    def __call__(self, tokens):
        (vectors, places), *blocks, norm = self.layers
        x = tf.gather(vectors, tokens) + places[: tokens.shape[1]]
        for arrays in blocks:
            norm1, qkv, projection, norm2, hidden, output = zip(arrays[::2], arrays[1::2], strict=True)
            x = x + attend(normalise(x, *norm1, self.epsilon), qkv, projection, self.heads, True)
            y = tf.nn.gelu(dense(normalise(x, *norm2, self.epsilon), *hidden), approximate=True)
            x = x + dense(y, *output)
        return unembed(normalise(x, *norm, self.epsilon), vectors)


class BERT(GPT2):
    """Tokens to logits of the token at each place."""

    def __call__(self, tokens):
        (vectors, places, segments), norm, *blocks, transform, transform_norm, (offset,) = self.layers
        x = tf.gather(vectors, tokens) + places[: tokens.shape[1]] + segments[0]
        x = normalise(x, *norm, self.epsilon)
        for arrays in blocks:
            norm1, qkv, projection, norm2, hidden, output = zip(arrays[::2], arrays[1::2], strict=True)
            x = normalise(x + attend(x, qkv, projection, self.heads, False), *norm1, self.epsilon)
            x = normalise(x + dense(tf.nn.gelu(dense(x, *hidden)), *output), *norm2, self.epsilon)
        x = normalise(tf.nn.gelu(dense(x, *transform)), *transform_norm, self.epsilon)
        return unembed(x, vectors) + offset


def Native(name, weights, rate, decay, compiled=False, **facts):
    """The model of that name, with these weights, ready to learn; arguments as of `benchmarks.vision_tensorflow`."""
    model = {"gpt2": GPT2, "bert": BERT}[name.split("_")[0]]
    return Learner(model(weights, **facts), rate, decay, compiled)
