"""Residual networks: a block learns what to add to its input.

He, Zhang, Ren, Sun 2015, https://arxiv.org/abs/1512.03385: the networks for large images (section 4.1)
and, at the end, those for small ones with their plain twins (section 4.2).

Departures from the paper: a bottleneck that halves the image does so in its 3x3 convolution, as the
weights published with torchvision and `transformers` expect it; `stride_in="1x1"` is the authors' own
form. Statistics of batch normalization are moving averages, where the authors averaged over the
training set when training was done. With the default optimizer, Adam, the decay of the weights
enters the gradient.
"""

import keras
from keras import layers, ops

from keraszoo.layers import BatchNormalization, Conv2D, Dense, MaxPooling2D
from keraszoo.registry import register

SIZES = {  # Table 1 of the paper; filters are those of a block's output
    "resnet18": dict(depths=(2, 2, 2, 2), block="basic", filters=(64, 128, 256, 512)),
    "resnet34": dict(depths=(3, 4, 6, 3), block="basic", filters=(64, 128, 256, 512)),
    "resnet50": dict(depths=(3, 4, 6, 3), block="bottleneck", filters=(256, 512, 1024, 2048)),
    "resnet101": dict(depths=(3, 4, 23, 3), block="bottleneck", filters=(256, 512, 1024, 2048)),
    "resnet152": dict(depths=(3, 8, 36, 3), block="bottleneck", filters=(256, 512, 1024, 2048)),
}
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}
SMALL_SIZES = {  # section 4.2; a shortcut has no parameters, so the twins are equally large
    "resnet20": dict(depth=20, shortcut=True),
    "resnet32": dict(depth=32, shortcut=True),
    "resnet44": dict(depth=44, shortcut=True),
    "resnet56": dict(depth=56, shortcut=True),
    "resnet110": dict(depth=110, shortcut=True),
    "plainnet20": dict(depth=20, shortcut=False),
    "plainnet32": dict(depth=32, shortcut=False),
    "plainnet44": dict(depth=44, shortcut=False),
    "plainnet56": dict(depth=56, shortcut=False),
    "plainnet110": dict(depth=110, shortcut=False),
}
SMALL_PARAMETERS = {
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "plainnet20": 269_722,
    "plainnet32": 464_154,
    "plainnet44": 658_586,
    "plainnet56": 853_018,
    "plainnet110": 1_727_962,
}


@register(
    SIZES,
    task="image_classification",
    paper="https://arxiv.org/abs/1512.03385",
    parameters=PARAMETERS,
    tiny=dict(
        input_shape=(32, 32, 3),
        num_classes=3,
        depths=(2, 1),
        filters=(8, 16),
        stem_filters=8,
        weight_decay=1e-6,
    ),
)
def resnet(
    depths,
    block,
    filters,
    input_shape=(224, 224, 3),
    num_classes=1000,
    stem_filters=64,
    first_stride=1,
    stride_in="3x3",
    weight_decay=1e-4,
    name="resnet",
):
    """Classify an image.

    Args:
        depths: Blocks in each stage; see `SIZES`.
        block: "basic" (two 3x3 convolutions) or "bottleneck" (1x1 to a quarter of the filters,
            3x3, 1x1 back).
        filters: Filters that the blocks of each stage hand on; divisible by 4 for bottlenecks.
        input_shape: (height, width, channels) of an image, in pixels.
        num_classes: Classes to choose from.
        stem_filters: Filters of the first convolution.
        first_stride: Stride of the first stage; every later stage halves the image.
        stride_in: "3x3" or "1x1": the convolution of a bottleneck that halves the image. A basic
            block does so in its first convolution.
        weight_decay: What a step of plain gradient descent subtracts from each kernel, as a
            multiple of the kernel and the learning rate.
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, height, width, channels), floating,
        to   (batch, num_classes), float32 logits.

    Raises:
        ValueError: `block` or `stride_in` is unknown, or `filters` do not fit `depths` or `block`.
    """
    if block not in ("basic", "bottleneck"):
        raise ValueError(f"block must be 'basic' or 'bottleneck', got {block=}.")
    if stride_in not in ("3x3", "1x1"):
        raise ValueError(f"stride_in must be '3x3' or '1x1', got {stride_in=}.")
    if len(filters) != len(depths):
        raise ValueError(f"filters must have one entry for each of {depths=}, got {filters=}.")
    if block == "bottleneck" and any(n % 4 for n in filters):
        raise ValueError(f"filters must be divisible by 4 for bottlenecks, got {filters=}.")
    decay = regularizer(weight_decay)

    x = image = keras.Input(input_shape, name="image")

    x = ops.relu(convolve(x, stem_filters, 7, 2, decay, "conv1"))
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2, name="pool1")(x)

    for stage, (depth, n) in enumerate(zip(depths, filters, strict=True), start=2):
        for i in range(1, depth + 1):
            name_i = f"stage{stage}_block{i}"
            stride = 1 if i > 1 else first_stride if stage == 2 else 2
            if block == "basic":
                branch = basic(x, n, stride, decay, name_i)
            else:
                branch = bottleneck(x, n, stride, stride_in, decay, name_i)
            if stride != 1 or x.shape[-1] != n:  # option B: a projection only where sizes change
                x = convolve(x, n, 1, stride, decay, f"{name_i}_shortcut")
            x = ops.relu(ops.add(x, branch))

    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = dense(x, num_classes, decay)
    return keras.Model(image, logits, name=name)


@register(
    SMALL_SIZES,
    task="image_classification",
    paper="https://arxiv.org/abs/1512.03385",
    parameters=SMALL_PARAMETERS,
    tiny=dict(input_shape=(16, 16, 3), num_classes=3, depth=8, filters=(4, 8, 16), weight_decay=1e-6),
)
def small_resnet(
    depth,
    shortcut,
    input_shape=(32, 32, 3),
    num_classes=10,
    filters=(16, 32, 64),
    weight_decay=1e-4,
    name="small_resnet",
):
    """Classify a small image, such as those of CIFAR-10.

    Args:
        depth: Layers with weights: two for each block, and two more; `6 * blocks + 2` for three
            stages.
        shortcut: Add its input to each block. Without, this is the paper's plain network.
        input_shape: (height, width, channels) of an image, in pixels.
        num_classes: Classes to choose from.
        filters: Filters of each stage; no stage has fewer than the one before.
        weight_decay: What a step of plain gradient descent subtracts from each kernel, as a
            multiple of the kernel and the learning rate.
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, height, width, channels), floating,
        to   (batch, num_classes), float32 logits.

    Raises:
        ValueError: No number of blocks gives that `depth`, or `filters` decrease.
    """
    blocks, rest = divmod(depth - 2, 2 * len(filters))
    if blocks < 1 or rest:
        raise ValueError(f"depth must be 2 plus a multiple of {2 * len(filters)}, got {depth=}.")
    if list(filters) != sorted(filters):
        raise ValueError(
            f"filters must not decrease: a shortcut can add channels, not drop them; got {filters=}."
        )
    decay = regularizer(weight_decay)

    x = image = keras.Input(input_shape, name="image")

    x = ops.relu(convolve(x, filters[0], 3, 1, decay, "conv1"))
    for stage, n in enumerate(filters, start=1):
        for i in range(1, blocks + 1):
            stride = 2 if stage > 1 and i == 1 else 1
            branch = basic(x, n, stride, decay, f"stage{stage}_block{i}")
            x = ops.relu(ops.add(identity(x, n, stride), branch) if shortcut else branch)

    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = dense(x, num_classes, decay)
    return keras.Model(image, logits, name=name)


def basic(x, filters, stride, decay, name):
    """Two 3x3 convolutions."""
    x = ops.relu(convolve(x, filters, 3, stride, decay, f"{name}_conv1"))
    return convolve(x, filters, 3, 1, decay, f"{name}_conv2")


def bottleneck(x, filters, stride, stride_in, decay, name):
    """1x1 to a quarter of the filters, 3x3, and 1x1 back."""
    first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
    x = ops.relu(convolve(x, filters // 4, 1, first, decay, f"{name}_conv1"))
    x = ops.relu(convolve(x, filters // 4, 3, second, decay, f"{name}_conv2"))
    return convolve(x, filters, 1, 1, decay, f"{name}_conv3")


def identity(x, filters, stride):
    """Option A: every `stride`-th pixel, and channels of zeros where a stage has more."""
    if stride > 1:
        x = x[:, ::stride, ::stride]
    more = filters - x.shape[-1]
    return ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, more))) if more else x


def convolve(x, filters, size, stride, decay, name):
    """Convolve and normalise; the image is padded alike on all four sides."""
    if stride > 1 and size > 1:  # Keras' "same" would pad only below and to the right
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = Conv2D(
        filters,
        size,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=decay,
        name=name,
    )(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)


def dense(x, num_classes, decay):
    """A score for each class."""
    return Dense(
        num_classes, kernel_initializer="he_normal", kernel_regularizer=decay, dtype="float32", name="logits"
    )(x)


def regularizer(weight_decay):
    """The penalty whose gradient is `weight_decay` times the kernel."""
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None
