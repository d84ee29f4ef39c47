"""Fused kernels: what Keras computes with several operations, in one where the backend has it.

Every function means the same on the three backends. TensorFlow and JAX fuse by themselves, so
there the function is Keras' own operations; torch runs each operation as it comes, so there the
function is torch's own kernel, brought to Keras' conventions.
"""

import math

import keras
from keras import ops

EAGER = keras.backend.backend() == "torch"  # each operation runs as it comes, and no compiler fuses it

if EAGER:
    import torch
    from torch.optim.adam import adam as torch_adam


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
    gamma, beta = (None if v is None else ops.cast(v, dtype) for v in (gamma, beta))
    mean, variance = (None if v is None else ops.cast(v, dtype) for v in (mean, variance))
    if EAGER:
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


def adam(gradients, variables, first, second, largest, *, learning_rate, step, beta_1, beta_2, epsilon):
    """Adam's update of all variables, in place, in one pass. On torch only: other backends fuse by themselves.

    Kingma, Ba 2014, https://arxiv.org/abs/1412.6980, end of section 2.

    Args:
        gradients: Tensors, one for each variable, of its shape.
        variables: Keras variables to be updated, floating.
        first, second: Keras variables: the moving averages of the gradients and of their squares.
        largest: Keras variables: the largest `second` so far (amsgrad), or None.
        learning_rate: Number, scalar tensor or variable.
        step: The number of this update, from 1: integer scalar tensor.
        beta_1, beta_2: Decay rates of the moving averages, in [0, 1).
        epsilon: Added to the root of `second`, outside the bias correction.
    """
    rate = ops.convert_to_tensor(learning_rate)
    step = ops.cast(step, rate.dtype)
    rate = rate * ops.sqrt(1 - ops.power(beta_2, step)) / (1 - ops.power(beta_1, step))
    values, gradients = _tensors(variables), _like(gradients, variables)
    flat = [value.contiguous() for value in values]
    # torch adds epsilon inside the bias correction. After infinitely many steps there is none left,
    # which leaves Keras' form: all of the correction is in `rate`, which stays a tensor on the device.
    last = torch.full((), math.inf, device=rate.device)
    with torch.no_grad():
        torch_adam(
            flat,
            gradients,
            _tensors(first),
            _tensors(second),
            _tensors(largest or []),
            [last] * len(flat),
            fused=True,
            amsgrad=largest is not None,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            eps=epsilon,
            weight_decay=0.0,
            maximize=False,
        )
        for value, new in zip(values, flat, strict=True):
            if new is not value:
                value.copy_(new)


def sgd(gradients, variables, velocities, *, learning_rate, momentum, nesterov):
    """Gradient descent of all variables, in place, a pass for each term. On torch only, as `adam`.

    Args:
        gradients: Tensors, one for each variable, of its shape.
        variables: Keras variables to be updated, floating.
        velocities: Keras variables, or None without momentum.
        learning_rate: Number, scalar tensor or variable.
        momentum: Part of the velocity that is kept, in [0, 1].
        nesterov: Look one step of the velocity ahead.
    """
    values, gradients, rate = _tensors(variables), _like(gradients, variables), -float(learning_rate)
    with torch.no_grad():
        if velocities is None:
            torch._foreach_add_(values, gradients, alpha=rate)
            return
        velocities = _tensors(velocities)
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, gradients, alpha=rate)
        torch._foreach_add_(values, velocities, alpha=momentum if nesterov else 1)
        if nesterov:
            torch._foreach_add_(values, gradients, alpha=rate)


def _tensors(variables):
    return [variable.value for variable in variables]


def _like(gradients, variables):
    """The gradients in the dtype of their variables and by rows in memory: a fused kernel checks neither."""
    return [ops.cast(g, v.dtype).contiguous() for g, v in zip(gradients, variables, strict=True)]
