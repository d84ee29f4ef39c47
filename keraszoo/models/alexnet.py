"""AlexNet: eight layers in two towers that meet at the third.

Krizhevsky, Sutskever, Hinton 2012, https://papers.nips.cc/paper/4824. The two towers of the paper's
figure 2 were two graphics processors; what remains of them is that `conv2`, `conv4` and `conv5` see
only one half of the channels each.

Departures from the paper: images are 227 pixels wide, which is what its arithmetic needs where it
prints 224. Dropout scales the surviving units while training, instead of all units afterwards. With
the default optimizer, Adam, the decay of the weights enters the gradient.
"""

import keras
from keras import ops

from keraszoo import layers
from keraszoo.registry import register


@register(
    "alexnet",
    task="image_classification",
    paper="https://papers.nips.cc/paper/4824",
    parameters=60_965_224,
    recipe=dict(learning_rate=1e-4),
    tiny=dict(
        input_shape=(67, 67, 3),
        num_classes=3,
        filters=(8, 16, 32, 32, 32),
        units=128,
        kernel_initializer="he_normal",
        dropout=0.05,
        weight_decay=1e-6,
    ),
)
def alexnet(
    input_shape=(227, 227, 3),
    num_classes=1000,
    filters=(96, 256, 384, 384, 256),
    units=4096,
    kernel_initializer=None,
    dropout=0.5,
    weight_decay=5e-4,
    name="alexnet",
):
    """Classify an image.

    Args:
        input_shape: (height, width, channels); sides of at least 67 pixels.
        num_classes: Classes to choose from.
        filters: Filters of the five convolutions, both towers together; even numbers.
        units: Units of each of the two hidden dense layers.
        kernel_initializer: Name of a Keras initializer. None is the paper's normal distribution of
            deviation 0.01, made for its widths and for pixels from 0 to 255 less their mean. With
            narrower layers, or pixels of unit deviation, the signal fades: take "he_normal".
        dropout: Probability of dropping a hidden unit of the dense layers, in [0, 1).
        weight_decay: What a step of plain gradient descent subtracts from each kernel, as a
            multiple of the kernel and the learning rate.
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, height, width, channels), floating, in the paper pixels from 0 to 255 less their mean,
        to   (batch, num_classes), float32 logits.

    Raises:
        ValueError: An image is too small for three poolings, or the filters cannot be shared by
            two towers.
    """
    if None in input_shape[:2] or min(input_shape[:2]) < 67:
        raise ValueError(
            f"input_shape must have a height and a width of at least 67 pixels, got {input_shape=}."
        )
    if len(filters) != 5 or any(n % 2 for n in filters):
        raise ValueError(f"filters must be five even numbers, one half for each tower, got {filters=}.")

    def weights(bias):
        return dict(  # an initializer for each layer: one shared by two draws the same numbers twice
            kernel_initializer=kernel_initializer or keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=keras.initializers.Constant(bias),
            kernel_regularizer=keras.regularizers.L2(weight_decay / 2) if weight_decay else None,
        )

    def convolve(x, filters, size, bias, layer):
        return layers.Conv2D(filters, size, padding="same", activation="relu", **weights(bias), name=layer)(x)

    def towers(halves, filters, size, layer):
        # Not Conv2D(groups=2): on a CPU it trains ten times slower under jax and tensorflow.
        return [
            convolve(half, filters // 2, size, 1, f"{layer}_tower{i}") for i, half in enumerate(halves, 1)
        ]

    x = image = keras.Input(input_shape, name="image")

    x = layers.Conv2D(filters[0], 11, strides=4, activation="relu", **weights(bias=0), name="conv1")(x)
    x = layers.LocalResponseNormalization(name="norm1")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)

    x = ops.concatenate(towers(ops.split(x, 2, axis=-1), filters[1], 5, "conv2"), axis=-1)
    x = layers.LocalResponseNormalization(name="norm2")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool2")(x)

    x = convolve(x, filters[2], 3, 0, "conv3")
    halves = towers(ops.split(x, 2, axis=-1), filters[3], 3, "conv4")
    x = ops.concatenate(towers(halves, filters[4], 3, "conv5"), axis=-1)
    x = layers.MaxPooling2D(3, strides=2, name="pool5")(x)

    x = layers.Flatten(name="flatten")(x)
    for layer in "dense6", "dense7":
        x = layers.Dense(units, activation="relu", **weights(bias=1), name=layer)(x)
        x = layers.Dropout(dropout, name=f"{layer}_dropout")(x)

    logits = layers.Dense(num_classes, dtype="float32", **weights(bias=0), name="logits")(x)
    return keras.Model(image, logits, name=name)
