"""Fused kernels: what Keras computes with several operations, in one where the backend has it.

Every function means the same on the three backends. TensorFlow and JAX fuse by themselves, so
there the function is Keras' own operations; torch runs each operation as it comes, so there the
function is torch's own kernel, brought to Keras' conventions.
"""

import math

import keras
from keras import ops

if keras.backend.backend() == "torch":
    import torch


def batch_normalization(x, gamma, beta, epsilon, axis=-1, mean=None, variance=None):
    """Normalise each channel, then scale and shift: `gamma * (x - mean) / sqrt(variance + epsilon) + beta`.

    Ioffe, Szegedy 2015, https://arxiv.org/abs/1502.03167, algorithm 1.

    Args:
        x: Floating tensor of any rank from 2. Half precision is normalised in float32.
        gamma, beta: (channels,), floating, or None for one and zero.
        epsilon: Added to the variance, as `x` squared.
        axis: The axis of `x` that holds the channels.
        mean, variance: (channels,), floating: what to normalise with. None for the batch's own.

    Returns:
        The normalised tensor, of the shape of `x`, float32 or of the dtype of `x`; the mean and the
        (biased) variance that it was normalised with, each (channels,), float32.
    """
    dtype = keras.backend.result_type(x.dtype, "float32")
    gamma, beta, mean, variance = (v if v is None else ops.cast(v, dtype) for v in (gamma, beta, mean, variance))
    if keras.backend.backend() == "torch":
        if x.dtype.itemsize >= 4:  # the kernel widens half precision by itself
            x = ops.cast(x, dtype)
        return _torch_batch_normalization(x, gamma, beta, epsilon, axis, mean, variance)
    x = ops.cast(x, dtype)
    if mean is None:
        mean, variance = ops.moments(x, axes=[a for a in range(len(x.shape)) if a != axis % len(x.shape)])
    return ops.batch_normalization(x, mean, variance, axis, beta, gamma, epsilon), mean, variance


def _torch_batch_normalization(x, gamma, beta, epsilon, axis, mean, variance):
    """`batch_normalization` as one kernel forward and one backward."""
    shape, last = x.shape, axis % x.ndim == x.ndim - 1
    channels = shape[axis]
    # torch wants the channels second. Rows of channels are a view of a channels-last tensor of any rank.
    x = x.reshape(-1, channels) if last else x.movedim(axis, 1)
    batch = mean is None
    if batch:  # a running average that forgets at once (momentum 1) hands out the batch's own statistics
        mean, variance = torch.zeros((2, channels), device=x.device)
    y = torch.batch_norm(x, gamma, beta, mean, variance, batch, 1.0, epsilon, torch.backends.cudnn.enabled)
    if batch:  # torch keeps the unbiased variance, which a single sample does not have; Keras the biased one
        count = math.prod(shape) // channels
        variance = variance * ((count - 1) / count) if count > 1 else torch.zeros_like(variance)
    return (y.reshape(shape) if last else y.movedim(1, axis)), mean, variance
