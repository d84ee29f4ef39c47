"""Perceptron: one weighted sum per class; a mistake moves the weights towards the input.

Rosenblatt 1958, https://doi.org/10.1037/h0042519. With the perceptron's loss, each misjudged input
is added to the weights of its class and taken from those of the class that won; if a linear
separation exists, the mistakes end (Novikoff 1962).

Departures from the paper: any number of classes, and the mean over a batch in place of one input
at a time.
"""

import keras
import numpy as np

from keraszoo import layers
from keraszoo.architecture import Network
from keraszoo.registry import register
from keraszoo.training.checks import check_batch


class Perceptron(Network):
    """A linear classifier that can say by how much it separates."""

    def margin(self, x, y, batch_size=256):
        """Distance of the closest input to a boundary of its class; negative if any is misjudged.

        For input `x` of class `y` the distance to the boundary with class `j` is
        `((w_y - w_j) x + b_y - b_j) / ||w_y - w_j||`; the margin is the least over all of them.

        Args:
            x: (samples, *input_shape), numbers.
            y: (samples,), class numbers in [0, num_classes).

        Returns:
            A float, in units of the input (after `preprocessing`, if the model has any).
        """
        check_batch(self, x, y)
        scores = self.predict(x, batch_size=batch_size, verbose=0).astype("float64")
        y = np.asarray(y, "int64").reshape(-1)
        kernel = np.asarray(keras.ops.convert_to_numpy(self.get_layer("logits").kernel), "float64")
        lead = scores[np.arange(len(y)), y][:, None] - scores
        apart = np.linalg.norm(kernel[:, y][:, :, None] - kernel[:, None, :], axis=0)
        others = np.arange(kernel.shape[1]) != y[:, None]
        return float((lead[others] / apart[others]).min())


@register(
    "perceptron",
    task="classification",
    paper="https://doi.org/10.1037/h0042519",
    tiny=dict(input_shape=(4, 4, 1), num_classes=3),
    recipe=dict(optimizer="sgd", learning_rate=1.0, loss="perceptron"),
)
def perceptron(input_shape=(28, 28, 1), num_classes=10, name="perceptron"):
    """Classify inputs of any shape by one weighted sum per class.

    Args:
        input_shape: Shape of an input; an image, or `(features,)`.
        num_classes: Classes to choose from, at least 2.
        name: Name of the model.

    Returns:
        A `Perceptron`, a `keras.Model` with a `margin`,
        from (batch, *input_shape), floating,
        to   (batch, num_classes), float32 scores.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}.")
    x = inputs = keras.Input(input_shape, name="input")
    x = layers.Flatten(name="flat")(x) if len(input_shape) > 1 else x
    scores = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return Perceptron(inputs, scores, name=name)
