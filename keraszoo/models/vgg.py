"""VGG: nothing but 3x3 convolutions, many of them.

Simonyan, Zisserman 2014, https://arxiv.org/abs/1409.1556.

Departures from the paper: every configuration starts from random weights, where the paper started the
deep ones from a trained configuration A; He's rule (https://arxiv.org/abs/1502.01852) keeps the signal
alive through 19 layers without that. With the default optimizer, Adam, the decay of the weights enters
the gradient.
"""

import keras

from keraszoo import layers
from keraszoo.registry import register

SIZES = {  # Table 1 of the paper: configurations A, B, D and E
    "vgg11": dict(depths=(1, 1, 2, 2, 2)),
    "vgg13": dict(depths=(2, 2, 2, 2, 2)),
    "vgg16": dict(depths=(2, 2, 3, 3, 3)),
    "vgg19": dict(depths=(2, 2, 4, 4, 4)),
}
PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
}


@register(
    SIZES,
    task="image_classification",
    paper="https://arxiv.org/abs/1409.1556",
    parameters=PARAMETERS,
    recipe=dict(learning_rate=1e-4),
    tiny=dict(
        input_shape=(16, 16, 3),
        num_classes=3,
        depths=(1, 2),
        filters=(8, 16),
        units=128,
        dropout=0.05,
        weight_decay=1e-6,
    ),
)
def vgg(
    depths,
    input_shape=(224, 224, 3),
    num_classes=1000,
    filters=(64, 128, 256, 512, 512),
    units=4096,
    dropout=0.5,
    weight_decay=5e-4,
    kernel_initializer="he_normal",
    name="vgg",
):
    """Classify an image.

    Args:
        depths: Convolutions at each resolution; see `SIZES`.
        input_shape: (height, width, channels); sides of at least `2 ** len(depths)` pixels.
        num_classes: Classes to choose from.
        filters: Filters of each convolution, at each resolution.
        units: Units of each of the two hidden dense layers.
        dropout: Probability of dropping a hidden unit of the dense layers, in [0, 1).
        weight_decay: What a step of plain gradient descent subtracts from each kernel, as a
            multiple of the kernel and the learning rate.
        kernel_initializer: Name of a Keras initializer, such as "he_normal" or "glorot_uniform".
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, height, width, channels), floating,
        to   (batch, num_classes), float32 logits.

    Raises:
        ValueError: An image is too small to be halved so often, or `depths` and `filters` differ
            in length.
    """
    smallest = 2 ** len(depths)
    if None in input_shape[:2] or min(input_shape[:2]) < smallest:
        raise ValueError(
            f"input_shape must have a height and a width of at least {smallest} pixels, got {input_shape=}."
        )
    if len(filters) != len(depths):
        raise ValueError(f"filters must have one entry for each of {depths=}, got {filters=}.")
    weights = dict(
        kernel_initializer=kernel_initializer,
        kernel_regularizer=keras.regularizers.L2(weight_decay / 2) if weight_decay else None,
    )

    x = image = keras.Input(input_shape, name="image")

    for stage, (depth, n) in enumerate(zip(depths, filters, strict=True), start=1):
        for i in range(1, depth + 1):
            name_i = f"conv{stage}_{i}"
            x = layers.Conv2D(n, 3, padding="same", activation="relu", **weights, name=name_i)(x)
        x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)

    x = layers.Flatten(name="flatten")(x)
    for layer in "dense1", "dense2":
        x = layers.Dense(units, activation="relu", **weights, name=layer)(x)
        x = layers.Dropout(dropout, name=f"{layer}_dropout")(x)

    logits = layers.Dense(num_classes, dtype="float32", **weights, name="logits")(x)
    return keras.Model(image, logits, name=name)
