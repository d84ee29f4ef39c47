"""LeNet-5: convolve and subsample, twice, then read the digit from what is left.

LeCun, Bottou, Bengio, Haffner 1998, https://doi.org/10.1109/5.726791, section II.B and figure 2.

Departures from the paper: `lenet5` is the net as it is taught today: every map of C3 sees all of S2,
pooling takes the maximum and learns nothing, rectifiers, and softmax in place of the distance to a
drawn character; it pads C1, so that 28x28 images need no frame. `lenet5_1998` is the published net,
learning by equation 9, with codes of the classes that are +1 and -1 at random (the paper names this
choice beside its drawings).
"""

import keras
import numpy as np
from keras import ops

from keraszoo import layers
from keraszoo.registry import register


@register(
    "lenet5",
    task="image_classification",
    paper="https://doi.org/10.1109/5.726791",
    parameters=61_706,
    tiny=dict(input_shape=(12, 12, 1), num_classes=3, filters=(2, 4), units=(12, 8)),
)
def lenet5(
    input_shape=(28, 28, 1),
    num_classes=10,
    filters=(6, 16),
    units=(120, 84),
    activation="relu",
    kernel_initializer="he_normal",
    name="lenet5",
):
    """Classify a small image, with the net as it is taught today.

    Args:
        input_shape: (height, width, channels) in pixels; sides of at least 12.
        num_classes: Classes to choose from.
        filters: Maps of C1 and C3.
        units: Features of C5 and F6.
        activation: Of every layer but the last.
        kernel_initializer: "he_normal" suits rectifiers, "glorot_uniform" (Xavier) suits tanh.
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, height, width, channels), floating,
        to   (batch, num_classes), float32 logits.
    """
    check_sides(input_shape, 12)
    learned = dict(activation=activation, kernel_initializer=kernel_initializer)
    x = image = keras.Input(input_shape, name="image")
    x = layers.Conv2D(filters[0], 5, padding="same", name="c1", **learned)(x)
    x = layers.MaxPooling2D(name="s2")(x)
    x = layers.Conv2D(filters[1], 5, name="c3", **learned)(x)
    x = layers.MaxPooling2D(name="s4")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(units[0], name="c5", **learned)(x)
    x = layers.Dense(units[1], name="f6", **learned)(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


TABLE = (  # Table I: the maps of S2 that each map of C3 sees
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


@register(
    "lenet5_1998",
    task="image_classification",
    paper="https://doi.org/10.1109/5.726791",
    parameters=60_000,
    tiny=dict(input_shape=(16, 16, 1), num_classes=3, units=(12, 8)),
    recipe=dict(loss="codes"),
)
def lenet5_1998(input_shape=(32, 32, 1), num_classes=10, units=(120, 84), name="lenet5_1998"):
    """Classify a small image, with the net as it was published.

    Args:
        input_shape: (height, width, channels) in pixels; sides of at least 16. The paper's images
            are 32x32, with the background at -0.1 and the ink at 1.175.
        num_classes: Classes to choose from.
        units: Features of C5 and F6.
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, height, width, channels), floating,
        to   (batch, num_classes), float32 logits: minus the squared distances to the classes' codes.
    """
    check_sides(input_shape, 16)
    x = image = keras.Input(input_shape, name="image")
    x = layers.Conv2D(
        6, 5, activation=scaled_tanh, kernel_initializer=uniform(25 * input_shape[2]), name="c1"
    )(x)
    x = TrainableSubsampling(name="s2")(x)
    x = TableConv2D(TABLE, 5, name="c3")(x)
    x = TrainableSubsampling(name="s4")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(units[0], scaled_tanh, kernel_initializer=uniform(x.shape[-1]), name="c5")(x)
    x = layers.Dense(units[1], scaled_tanh, kernel_initializer=uniform(units[0]), name="f6")(x)
    logits = DistanceToCodes(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


@keras.saving.register_keras_serializable("keraszoo")
def scaled_tanh(x):
    """1.7159 tanh(2x / 3), appendix A: +1 and -1 are where it bends most."""
    return 1.7159 * ops.tanh(x * (2 / 3))


def uniform(inputs):
    """Weights of a unit with so many inputs: uniform in +-2.4 / inputs, section III.B."""
    return keras.initializers.RandomUniform(-2.4 / inputs, 2.4 / inputs)


@keras.saving.register_keras_serializable("keraszoo")
class TrainableSubsampling(keras.layers.Layer):
    """Sum of each 2x2 square, times a coefficient, plus a bias, both learned for each map; squashed.

    Shapes:
        x:       (batch, height, width, maps), floating.
        returns: (batch, height // 2, width // 2, maps), floating.
    """

    def build(self, shape):
        self.coefficient = self.add_weight((shape[-1],), uniform(4), name="coefficient")
        self.bias = self.add_weight((shape[-1],), "zeros", name="bias")

    def call(self, x):
        total = 4 * ops.average_pool(x, 2, 2, padding="valid")
        return scaled_tanh(total * self.coefficient + self.bias)

    def compute_output_shape(self, shape):
        batch, height, width, maps = shape
        return batch, height // 2, width // 2, maps


@keras.saving.register_keras_serializable("keraszoo")
class TableConv2D(keras.layers.Layer):
    """A convolution in which each map sees only some of the maps before it; squashed.

    Args:
        table: For each map made, the indices of the maps it sees.
        kernel_size: Side of the square kernels, in pixels.

    Shapes:
        x:       (batch, height, width, maps), floating.
        returns: (batch, height - kernel_size + 1, width - kernel_size + 1, len(table)), floating.
    """

    def __init__(self, table, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.table = tuple(map(tuple, table))
        self.kernel_size = kernel_size

    def build(self, shape):
        seen = max(map(max, self.table)) + 1
        if shape[-1] != seen:
            raise ValueError(f"The table speaks of {seen} maps, the input has {shape[-1]}.")
        links = [(i, j) for j, row in enumerate(self.table) for i in row]
        # Where each (input, output) pair finds its kernel: its link's, or the last one, of zeros.
        self.place = np.full((shape[-1], len(self.table)), len(links), "int32")
        for k, (i, j) in enumerate(links):
            self.place[i, j] = k
        side, average = self.kernel_size, len(links) / len(self.table)
        self.kernel = self.add_weight((len(links), side, side), uniform(side * side * average), name="kernel")
        self.bias = self.add_weight((len(self.table),), "zeros", name="bias")

    def call(self, x):
        kernels = ops.concatenate([self.kernel, ops.zeros_like(self.kernel[:1])])
        dense = ops.transpose(ops.take(kernels, self.place, axis=0), (2, 3, 0, 1))
        return scaled_tanh(ops.conv(x, dense, padding="valid") + self.bias)

    def compute_output_shape(self, shape):
        batch, height, width, _ = shape
        return batch, height - self.kernel_size + 1, width - self.kernel_size + 1, len(self.table)


@keras.saving.register_keras_serializable("keraszoo")
class DistanceToCodes(keras.layers.Layer):
    """Minus the squared distance of a vector to a fixed code of each class: the paper's RBF units.

    Args:
        num_classes: Classes, each with a code of +1 and -1 drawn once and for all.

    Shapes:
        x:       (batch, features), floating.
        returns: (batch, num_classes), floating, at most 0.
    """

    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def build(self, shape):
        self.codes = (
            np.random.default_rng(1998).choice([-1.0, 1.0], (shape[-1], self.num_classes)).astype("float32")
        )

    def call(self, x):
        codes = ops.cast(self.codes, x.dtype)
        return 2 * ops.matmul(x, codes) - ops.sum(ops.square(x), axis=-1, keepdims=True) - x.shape[-1]

    def compute_output_shape(self, shape):
        return shape[0], self.num_classes


def check_sides(input_shape, least):
    """Refuse an image too small for two rounds of convolving and subsampling."""
    if len(input_shape) != 3 or min(input_shape[:2]) < least:
        raise ValueError(
            f"input_shape must be (height, width, channels) with sides of at least {least} pixels, got {input_shape}."
        )
