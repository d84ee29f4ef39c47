"""What an autoencoder asks of its images and of its codes: noise to see through, few active units, a prior."""

import keras
from keras import ops

NOISES = ("gaussian", "masking", "salt_and_pepper")


@keras.saving.register_keras_serializable("keraszoo")
class Corruption(keras.layers.Layer):
    """Spoil images while training; leave them alone otherwise.

    Vincent et al. 2010, https://www.jmlr.org/papers/v11/vincent10a.html, section 3.3. As in most
    implementations, but not in the paper, Gaussian noise is clipped to [0, 1].

    Args:
        noise: "gaussian" adds noise to each value; "masking" makes a share of the values 0;
            "salt_and_pepper" makes a share 0 or 1, by the toss of a coin.
        level: Standard deviation of the Gaussian noise, or the share of values that are spoilt.
        seed: Seed of the draws.

    Shapes:
        x:       (batch, ...), floating, in [0, 1].
        returns: the same.

    Raises:
        ValueError: There is no such noise, the level is negative, or a share is above 1.
    """

    def __init__(self, noise="gaussian", level=0.5, seed=None, **kwargs):
        super().__init__(**kwargs)
        if noise not in NOISES:
            raise ValueError(f"noise must be one of {', '.join(map(repr, NOISES))}, got {noise!r}.")
        if level < 0 or (noise != "gaussian" and level > 1):
            raise ValueError(
                f"level must not be negative, and a share of values not above 1, got {level!r} for {noise}."
            )
        self.noise = noise
        self.level = level
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, x, training=False):
        return self.spoilt(x, self.generator) if training else x

    def spoilt(self, x, seed):
        """`x` with noise; `seed` is an integer or a `keras.random.SeedGenerator`."""
        if self.noise == "gaussian":
            return ops.clip(
                x + self.level * keras.random.normal(ops.shape(x), dtype=x.dtype, seed=seed), 0, 1
            )
        draw = keras.random.uniform(ops.shape(x), dtype="float32", seed=seed)
        if self.noise == "salt_and_pepper":
            x = ops.where(draw < self.level, ops.ones_like(x), x)
            draw = 2 * draw  # one half of these is black
        return ops.where(draw < self.level, ops.zeros_like(x), x)


@keras.saving.register_keras_serializable("keraszoo")
class BernoulliLoss(keras.losses.Loss):
    """How improbable an image is, if each pixel is on with the probability that was predicted; in nats.

    `-sum(y log p + (1 - y) log(1 - p))` over pixels and channels: Kingma, Welling 2013,
    https://arxiv.org/abs/1312.6114, appendix C.1. Greys between 0 and 1 are taken for probabilities.

    Shapes:
        y_true:  (batch, height, width, channels), in [0, 1].
        y_pred:  (batch, height, width, channels), floating: probabilities.
    """

    def __init__(self, name="bernoulli_loss", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        y_true = ops.reshape(
            ops.cast(y_true, y_pred.dtype), ops.shape(y_pred)
        )  # grey images may lack an axis
        each = ops.binary_crossentropy(y_true, y_pred)
        return ops.sum(ops.reshape(each, (ops.shape(each)[0], -1)), axis=-1)


def gaussian_divergence(mean, log_variance):
    """Kullback-Leibler divergence of Gaussian codes from standard normal ones.

    `-1/2 sum(1 + log s^2 - m^2 - s^2)`: Kingma, Welling 2013, https://arxiv.org/abs/1312.6114, appendix B.

    Args:
        mean, log_variance: (batch, latent_dim), floating.

    Returns:
        (batch,), in nats.
    """
    return -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=-1)


def sparsity_divergence(activation, target):
    """How far units are from being active for a share `target` of the time.

    `sum(r log(r / a) + (1 - r) log((1 - r) / (1 - a)))` over units of mean activation `a`, for the target
    `r`: Ng, CS294A, https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf, section 3.

    Args:
        activation: (units,), floating, in [0, 1]: the mean activation of each unit.
        target: In (0, 1).

    Returns:
        A scalar, in nats.
    """
    a = ops.clip(activation, 1e-7, 1 - 1e-7)
    return ops.sum(target * ops.log(target / a) + (1 - target) * ops.log((1 - target) / (1 - a)))
