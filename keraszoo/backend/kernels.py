"""Fused kernels: what Keras computes with several operations, in one where the backend has it.

Every function means the same on the three backends. Where a backend fuses by itself, the function
is Keras' own operations; elsewhere it is the backend's own kernel, brought to Keras' conventions.
JAX compiles everything, TensorFlow what lies between convolutions and the like, torch nothing.
"""

import math

import keras
from keras import ops

EAGER = keras.backend.backend() == "torch"  # each operation runs as it comes, and no compiler fuses it

if EAGER:
    import torch
    from torch.optim.adam import adam as torch_adam
elif keras.backend.backend() == "tensorflow":
    import tensorflow as tf
else:
    import jax


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
    last = axis % len(x.shape) == len(x.shape) - 1
    if keras.backend.backend() == "tensorflow" and last and dtype == "float32":
        return _tensorflow_batch_normalization(x, gamma, beta, epsilon, mean, variance)
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


def _tensorflow_batch_normalization(x, gamma, beta, epsilon, mean, variance):
    """`batch_normalization` over the last axis as one kernel forward and one backward."""
    batch = mean is None
    channels = x.shape[-1]
    if gamma is None:
        gamma = tf.ones(channels)
    if beta is None:
        beta = tf.zeros(channels)
    y, now, spread, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x if len(x.shape) == 4 else tf.reshape(x, (-1, 1, 1, channels)),
        scale=gamma,
        offset=beta,
        mean=tf.zeros(channels) if batch else mean,
        variance=tf.ones(channels) if batch else variance,
        epsilon=epsilon,
        is_training=batch,
    )
    if batch:  # as torch, TensorFlow gives the unbiased variance; of a single sample, 0
        count = tf.cast(tf.size(x) // channels, "float32")
        mean, variance = now, spread * ((count - 1) / count)
    return y if len(x.shape) == 4 else tf.reshape(y, tf.shape(x)), mean, variance


def takes_layer_normalization(x):
    """Whether `layer_normalization` can take a tensor: one of float32, on torch."""
    return is_concrete(x) and x.dtype == torch.float32


def layer_normalization(x, gamma, beta, epsilon):
    """Normalise over the last axis, then scale and shift. On torch only: the other backends trace Keras' own.

    Ba, Kiros, Hinton 2016, https://arxiv.org/abs/1607.06450, equation 4.

    Args:
        x: (..., features), float32.
        gamma, beta: (features,), float32, or None for one and zero.
        epsilon: Added to the variance.
    """
    return torch.nn.functional.layer_norm(x, x.shape[-1:], _tensor(gamma), _tensor(beta), epsilon)


def instance_normalization(x, gamma=None, beta=None, epsilon=1e-5):
    """Normalise each channel of each image by itself, then scale and shift.

    Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022.

    Args:
        x: (batch, height, width, channels), floating. Half precision is normalised in float32.
        gamma, beta: (channels,), floating, or None for one and zero.
        epsilon: Added to the variance, as `x` squared.

    Returns:
        (batch, height, width, channels), float32 or of the dtype of `x`.
    """
    # Not torch's `instance_norm` (2.13): from gradients that lie channels last it makes wrong ones.
    if EAGER and (len(x) == 1 or x.device.type == "cpu"):
        images = [batch_normalization(image, gamma, beta, epsilon)[0] for image in x]
        return torch.stack(images) if len(images) > 1 else images[0][None]
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    gamma, beta = (None if v is None else ops.cast(v, x.dtype) for v in (gamma, beta))
    mean, variance = ops.moments(x, axes=(1, 2), keepdims=True)
    scale = ops.rsqrt(variance + epsilon)
    y = (x - mean) * (scale if gamma is None else scale * gamma)
    return y if beta is None else y + beta


def reflection_padding(x, rows, columns):
    """Images with their own mirror images around them; a pixel at the edge is not repeated.

    Args:
        x: (batch, height, width, channels), floating.
        rows, columns: (before, after): how many pixels are added, fewer than there are.

    Returns:
        (batch, new height, new width, channels), floating.
    """
    if not EAGER:
        return ops.pad(x, ((0, 0), rows, columns, (0, 0)), mode="reflect")
    for axis, (before, after) in (1, rows), (2, columns):  # faster than torch's own kernel, back and forth
        last = x.shape[axis] - 1
        steps = torch.arange(-before, last + after + 1, device=x.device)
        x = x.index_select(axis, last - (last - steps.abs()).abs())
    return x


def is_concrete(x):
    """Whether `x` is a plain torch tensor with values: not a weight, symbolic, or a shape without values."""
    return EAGER and type(x) is torch.Tensor and not x.is_meta


def as_tensor(x):
    """A tensor of torch; what is one already, or None, as it is."""
    return x if x is None or type(x) is torch.Tensor else ops.convert_to_tensor(x)


def is_immediate():
    """Whether each operation is done when its call returns: torch on a processor."""
    return EAGER and ops.zeros(()).device.type == "cpu"


def dense(x, kernel, bias=None):
    """A matrix product over the last axis, and a bias.

    Args:
        x: (..., features), floating.
        kernel: (features, units), of the dtype of `x`.
        bias: (units,), of the dtype of `x`, or None.

    Returns:
        (..., units), floating.
    """
    if EAGER:
        kernel, bias = _tensor(kernel), _tensor(bias)
        return torch.nn.functional.linear(x, kernel.T, bias)
    y = ops.matmul(x, kernel)
    return y if bias is None else ops.add(y, bias)


def products(x, vectors):
    """The product of each row with each of many vectors, `x @ vectors.T`, fast for few rows, too.

    Args:
        x: (..., features), floating.
        vectors: (count, features), of the dtype of `x`.

    Returns:
        (..., count), floating.
    """
    shape = tuple(x.shape)
    rows = None if None in shape else math.prod(shape[:-1])
    ordinary = keras.backend.backend() == "jax" or (EAGER and x.device.type != "cpu")
    if ordinary or rows is None or rows > 8:
        return dense(x, ops.transpose(vectors))
    # A processor multiplies a tall matrix by a narrow one in half the time of the transposed task; and torch's does by
    # two columns, each in one piece, in half the time of one.
    x = ops.reshape(x, (rows, shape[-1]))
    narrow = ops.transpose(x.repeat(2, 1) if EAGER and rows == 1 else x)
    y = ops.transpose(ops.matmul(vectors, narrow))[:rows]
    return ops.reshape(y.contiguous() if EAGER else y, (*shape[:-1], -1))


def convolution(x, kernel, bias=None, strides=(1, 1), padding="valid", dilation=(1, 1)):
    """Convolve images, and add a bias.

    Args:
        x: (batch, height, width, channels), floating.
        kernel: (rows, columns, channels of a group, filters), of the dtype of `x`.
        bias: (filters,), of the dtype of `x`, or None.
        strides, dilation: Steps in pixels, down and across.
        padding: "valid", or "same": as many zeros around the image as keep its size (divided by the
            stride and rounded up), the odd one below and to the right.

    Returns:
        (batch, new height, new width, filters), floating.
    """
    if not EAGER:
        y = ops.conv(x, kernel, strides, padding, "channels_last", dilation)
        return y if bias is None else ops.add(y, bias)
    x, kernel, bias = _channels_last(x), _tensor(kernel), _tensor(bias)
    zeros = (0, 0)
    if padding == "same":
        given = zip(x.shape[2:], kernel.shape, strides, dilation, strict=False)
        zeros = [max(-(-n // step) * step - step + apart * (k - 1) + 1 - n, 0) for n, k, step, apart in given]
        if any(n % 2 for n in zeros):
            down, across = zeros
            x = torch.nn.functional.pad(x, (across // 2, -(-across // 2), down // 2, -(-down // 2)))
            zeros = (0, 0)
        zeros = [n // 2 for n in zeros]
    kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)  # see `by_filters`
    groups = x.shape[1] // kernel.shape[1]
    return torch.conv2d(x, kernel, bias, strides, zeros, dilation, groups).permute(0, 2, 3, 1)


def transposed_convolution(x, kernel, bias=None, strides=(1, 1), padding="valid"):
    """What a convolution does to gradients: spread each pixel over a window, and add a bias.

    Args:
        x: (batch, height, width, channels), floating.
        kernel: (rows, columns, filters, channels), of the dtype of `x`.
        bias: (filters,), of the dtype of `x`, or None.
        strides: Steps of the window in pixels, down and across; not above the kernel's rows and columns.
        padding: "valid", or "same": as much is cut off on all sides as leaves the image times the
            strides, where it is as much on both sides.

    Returns:
        (batch, new height, new width, filters), floating.
    """
    if not EAGER:
        y = ops.conv_transpose(x, kernel, strides, padding, data_format="channels_last")
        return y if bias is None else ops.add(y, bias)
    x, kernel, bias = _channels_last(x), _tensor(kernel), _tensor(bias)
    cut = [
        (k - step) // 2 if padding == "same" else 0 for k, step in zip(kernel.shape, strides, strict=False)
    ]
    kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)  # see `by_filters`
    return torch.conv_transpose2d(x, kernel, bias, strides, cut).permute(0, 2, 3, 1)


def by_filters(initializer):
    """`initializer`, for a kernel that lies filter by filter in memory, as torch wants it, whatever its shape says.

    The kernel is (rows, columns, channels, filters) to everyone; but without this, torch would turn
    it around in memory at every step, and its gradient back again.
    """
    if not EAGER:
        return initializer

    def turned(shape, dtype=None):
        return initializer(shape, dtype=dtype).permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)

    return turned


def rectified_in_place(x, slope):
    """`x` where it is positive and `slope * x` elsewhere, written over `x`. On torch only.

    Args:
        x: Floating tensor that nobody else reads, least of all to compute gradients; it is lost.
        slope: From 0.

    Returns:
        A tensor of the shape of `x`; or None, and `x` as it was, where that would cost more.
    """
    if torch.compiler.is_compiling():
        return None
    # To change a view, torch would copy the gradient of what it shows: change that, and look at it anew.
    base = x._base if x.requires_grad and x._base is not None else x

    def seen():
        if base is x:
            return x
        return base.permute(0, 2, 3, 1) if base.ndim == 4 else base.reshape(x.shape)

    if seen().stride() != x.stride() or seen().shape != x.shape or base.numel() != x.numel():
        return None
    torch.nn.functional.leaky_relu_(base, slope) if slope else base.relu_()
    return seen()


def max_pooling(x, size, strides):
    """The largest value of each window of `size`, (rows, columns), which moves by `strides` inside the image.

    Args:
        x: (batch, height, width, channels), floating.

    Returns:
        (batch, new height, new width, channels), floating.
    """
    if not EAGER:
        return ops.max_pool(x, size, strides, data_format="channels_last")
    return torch.max_pool2d(_channels_last(x), size, strides).permute(0, 2, 3, 1)


def average_pooling(x, size, strides):
    """The mean of each window, as `max_pooling`."""
    if not EAGER:
        return ops.average_pool(x, size, strides, data_format="channels_last")
    return torch.nn.functional.avg_pool2d(_channels_last(x), size, strides).permute(0, 2, 3, 1)


def attention(query, key, value, mask=None, causal=False):
    """For each query a mean of the values, weighted by the softmax of its products with the keys.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, equation 1.

    Args:
        query: (batch, heads, queries, features), floating.
        key, value: (batch, heads, keys, features), of the dtype of `query`.
        mask: Bool, broadcastable to (batch, heads, queries, keys), True where a query may look; each
            must have somewhere to look. None: everywhere.
        causal: Let query `t` look at keys up to `t` only.

    Returns:
        (batch, heads, queries, features), of the dtype of `query`.
    """
    if EAGER:
        if causal and mask is not None:
            mask = mask & torch.ones(query.shape[2], key.shape[2], dtype=bool, device=query.device).tril()
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal and mask is None
        )
    if keras.backend.backend() == "jax" and jax.default_backend() != "cpu":  # where Keras finds fused kernels
        by_time = (ops.transpose(v, (0, 2, 1, 3)) for v in (query, key, value))
        return ops.transpose(ops.dot_product_attention(*by_time, mask=mask, is_causal=causal), (0, 2, 1, 3))
    return ops.matmul(ops.cast(attention_weights(query, key, mask, causal), value.dtype), value)


def attention_onward(query, key, value, past, at, first):
    """Causal attention of positions to themselves and to those before, whose keys and values are kept.

    Args:
        query, key, value: (batch, heads, new, features), floating: of the next positions.
        past: Keys and values, each (batch, heads, places, features), of the dtype of `key`, filled up to `at`. On
            torch and under JAX they may be written over: keep none of them.
        at: (batch,), integers, all alike: the place of the first new position.
        first: (batch,), integers: the place of each row's first real position; before it is padding.

    Returns:
        (batch, heads, new, features), of the dtype of `query`; and the keys and values with the new ones in them. On
        torch there are more places if need be; elsewhere there must be enough.
    """
    new = query.shape[2]
    if EAGER:
        at = int(at[0])
        past = keys, values = tuple(_with_room(v, at + new) for v in past)
        for held, v in (keys, key), (values, value):
            held[:, :, at : at + new] = v
        keys, values = keys[:, :, : at + new], values[:, :, : at + new]
        if new == 1 and not first.any():
            return torch.nn.functional.scaled_dot_product_attention(query, keys, values), past
    else:
        at = ops.cast(at[0], "int32")
        past = keys, values = tuple(_written(*pair, at) for pair in zip(past, (key, value), strict=True))
    places, rows = ops.arange(keys.shape[2]), ops.expand_dims(at + ops.arange(new), 1)
    # Padding sees itself, or it would see nothing, which has no softmax.
    real = ops.expand_dims(places, 0) >= ops.reshape(ops.cast(first, places.dtype), (-1, 1, 1, 1))
    mask = ops.logical_and(places <= rows, ops.logical_or(real, places == rows))
    return attention(query, keys, values, mask), past


def _with_room(held, places):
    """`held`, or twice as much room with what is in it."""
    if places <= held.shape[2]:
        return held
    room = held.new_zeros((*held.shape[:2], max(places, 2 * held.shape[2]), held.shape[3]))
    room[:, :, : held.shape[2]] = held
    return room


def _written(held, new, at):
    """`held` with `new` written into it, from place `at` on."""
    if keras.backend.backend() == "jax":
        return jax.lax.dynamic_update_slice(held, new.astype(held.dtype), (0, 0, at, 0))
    batch, heads, places, features = tf.unstack(tf.shape(held))
    steps = at + tf.range(tf.shape(new)[2])
    rows = places * tf.range(batch * heads)[:, None] + steps  # of `held`, as a table
    table, more = (tf.reshape(v, (-1, features)) for v in (held, new))
    table = tf.tensor_scatter_nd_update(table, tf.reshape(rows, (-1, 1)), tf.cast(more, held.dtype))
    return tf.reshape(table, tf.shape(held))


def attention_weights(query, key, mask=None, causal=False):
    """How much of each value `attention` takes: (batch, heads, queries, keys), float32 in [0, 1]. Arguments as there."""
    scores = ops.matmul(query * query.shape[-1] ** -0.5, ops.transpose(key, (0, 1, 3, 2)))
    scores = ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))
    if causal:
        rows, columns = (ops.arange(ops.shape(v)[2]) for v in (query, key))
        past = ops.expand_dims(rows, 1) >= columns
        mask = past if mask is None else ops.logical_and(mask, past)
    if mask is not None:
        scores = ops.where(mask, scores, -1e30)
    if scores.shape[-1] == 1:  # of whose softmax Keras would warn
        return ops.ones_like(scores)
    return ops.softmax(scores)


def _tensor(weight):
    """The tensor of a variable; anything else as it is."""
    return weight.value if isinstance(weight, keras.Variable) else weight


def _channels_last(x):
    """Images with the channels second, as torch names the axes, and last in memory, as Keras does: no copy."""
    return x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


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
    # torch adds epsilon inside the bias correction. After infinitely many steps there is none left,
    # which leaves Keras' form: all of the correction is in `rate`, which stays a tensor on the device.
    last = torch.full((), math.inf, device=rate.device)
    stores = [store for store in (variables, first, second, largest) if store is not None]
    with torch.no_grad():
        views = []
        for g, *row in zip(gradients, *stores, strict=True):
            values = [variable.value for variable in row]
            views.append(_ordered((*values, ops.cast(g, row[0].dtype)), like=values[0]))
        packed = [[view.contiguous() for view in row] for row in views]
        values, firsts, seconds, *largests, gradients = map(list, zip(*packed, strict=True))
        torch_adam(
            values,
            gradients,
            firsts,
            seconds,
            largests[0] if largests else [],
            [last] * len(values),
            fused=True,
            amsgrad=largest is not None,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            eps=epsilon,
            weight_decay=0.0,
            maximize=False,
        )
        for row, new in zip(views, packed, strict=True):
            for view, copy in zip(row[:-1], new, strict=False):
                if copy is not view:  # it had gaps, or another order
                    view.copy_(copy)


def takes_adam(gradient):
    """Whether `adam_of_one` can take a gradient: a dense one, on TensorFlow."""
    return keras.backend.backend() == "tensorflow" and isinstance(gradient, tf.Tensor)


def adam_of_one(gradient, variable, first, second, *, learning_rate, step, beta_1, beta_2, epsilon):
    """`adam` for one variable, in one pass. On TensorFlow only, where it may stand inside a graph.

    Args:
        gradient: A dense tensor.
        variable: What to update, as Keras hands it to `update_step`: a TensorFlow variable.
        first, second: Keras variables: the moving averages of the gradient and of its square.
        learning_rate, step, beta_1, beta_2, epsilon: As of `adam`.
    """
    variable, dtype = _tensor(variable), variable.dtype
    step = ops.cast(step, dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=first.value.handle,
        v=second.value.handle,
        beta1_power=ops.power(ops.cast(beta_1, dtype), step),
        beta2_power=ops.power(ops.cast(beta_2, dtype), step),
        lr=ops.cast(learning_rate, dtype),
        beta1=ops.cast(beta_1, dtype),
        beta2=ops.cast(beta_2, dtype),
        epsilon=ops.cast(epsilon, dtype),
        grad=ops.cast(gradient, dtype),
    )


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
    gradients = [ops.cast(g, v.dtype) for g, v in zip(gradients, variables, strict=True)]
    values, rate = _tensors(variables), -float(learning_rate)
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


def _ordered(tensors, like):
    """Views of the tensors with their axes in the order in which those of `like` lie in memory.

    torch's fused kernel goes through its tensors from end to end, and takes no notice of strides.
    """
    if like.is_contiguous():
        return tensors
    axes = sorted(range(like.ndim), key=like.stride, reverse=True)
    return [tensor.permute(axes) for tensor in tensors]


def descend(optimizer, loss, weights):
    """Apply an optimizer to the gradients of a loss. On torch only: the other backends trace whole steps.

    Args:
        optimizer: A Keras optimizer.
        loss: Scalar tensor.
        weights: The Keras variables to train. One that the loss does not depend on has no gradient;
            Keras leaves it as it is, and warns.
    """
    values = [weight.value for weight in weights]
    gradients = torch.autograd.grad(optimizer.scale_loss(loss), values, allow_unused=True)
    with torch.no_grad():
        optimizer.apply(gradients, weights)


def include(mean, total, count):
    """Add the sum of some values and their number, two scalars, to a `keras.metrics.Mean`."""
    if EAGER:
        with torch.no_grad():
            mean.total.value.add_(total)
            mean.count.value.add_(count)
    else:
        for held, more in (mean.total, total), (mean.count, count):
            held.assign_add(ops.cast(more, held.dtype))


def are_categories(labels, logits):
    """Whether these are tensors of torch as `cross_entropy` takes them."""
    return (
        is_concrete(labels)
        and is_concrete(logits)
        and logits.ndim >= 2
        and logits.dtype == torch.float32
        and labels.shape == logits.shape[:-1]
        and not labels.is_floating_point()
        and getattr(logits, "_keras_mask", None) is None
    )


def cross_entropy(labels, logits):
    """Mean over all labels of minus the logarithm of the softmax at the label. On torch only.

    Args:
        labels: (batch, ...), integers from 0 to classes - 1.
        logits: (batch, ..., classes), float32.
    """
    return torch.nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten().long())


def right(labels, logits):
    """How many of the largest logits are those of the labels; arguments as of `cross_entropy`."""
    return (logits.argmax(-1) == labels).sum()


def judged(labels, logits, smoothing=0.0):
    """How well each of many classes was foretold; a row is gone through as few times as can be.

    Args:
        labels: (..., ), integers from 0 to classes - 1.
        logits: (..., classes), float32.
        smoothing: Share of what is asked for that is not the label, but each class alike.

    Returns:
        losses: (...), float32: minus the logarithm of the softmax at the label, or, in that share, at all classes.
        right: (...), float32: 1 where no logit is larger than the label's, else 0; no gradient flows through it.
    """
    at = ops.expand_dims(labels, -1)
    if EAGER:
        losses = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            labels.reshape(-1).long(),
            reduction="none",
            label_smoothing=smoothing,
        ).reshape(labels.shape)
        with torch.no_grad():
            picked = logits.gather(-1, at.long())[..., 0]
            return losses, (picked >= logits.amax(-1)).float()
    picked = ops.squeeze(ops.take_along_axis(logits, at, axis=-1), -1)
    right = ops.cast(ops.stop_gradient(picked) >= ops.stop_gradient(ops.max(logits, axis=-1)), "float32")
    asked = (1 - smoothing) * picked + smoothing * ops.mean(logits, axis=-1) if smoothing else picked
    return ops.logsumexp(logits, axis=-1) - asked, right
