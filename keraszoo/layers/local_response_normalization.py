"""Local response normalization: a strong channel quietens its neighbours."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("keraszoo")
class LocalResponseNormalization(layers.Layer):
    """Divide each channel by a power of the energy in the `n` channels around it.

    Krizhevsky, Sutskever, Hinton 2012, https://papers.nips.cc/paper/4824, section 3.3:
    `b_i = a_i / (k + alpha * sum(a_j ** 2)) ** beta`, where `j` runs over the channels from
    `i - n // 2` to `i + n // 2` that exist. (Caffe and PyTorch divide `alpha` by `n` as well.)

    Args:
        n: Channels in a neighbourhood, itself included; odd.
        k, alpha, beta: Constants of the formula; `k` is positive.

    Shapes:
        x:       (batch, ..., channels), floating.
        returns: As `x`. The sum is taken in float32, or in float64 where `x` is float64.

    Raises:
        ValueError: `n` is not a positive odd number, or `k` is not positive.
    """

    def __init__(self, n=5, k=2.0, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        if n < 1 or n % 2 == 0:
            raise ValueError(f"n must be a positive odd number of channels, got {n=}.")
        if k <= 0:
            raise ValueError(f"k must be positive, or silent channels divide by zero; got {k=}.")
        self.supports_masking = True
        self.n = n
        self.k = k
        self.alpha = alpha
        self.beta = beta

    def call(self, x):
        dtype = "float64" if x.dtype == "float64" else "float32"  # squares overflow in float16
        i = ops.arange(x.shape[-1])
        near = ops.cast(ops.abs(i[:, None] - i) <= self.n // 2, dtype)  # (channels, channels), a band
        wide = ops.cast(x, dtype)
        # A product with a band beats n shifted sums, a pooling and a running sum on a CPU.
        energy = self.k + self.alpha * ops.matmul(ops.square(wide), near)
        # exp(log) because a general power costs two to three times as much on a CPU.
        return ops.cast(wide * ops.exp(-self.beta * ops.log(energy)), x.dtype)
