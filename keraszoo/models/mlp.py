"""Multilayer perceptron: dense layers, each rectified, then one score per class.

Rumelhart, Hinton, Williams 1986, https://doi.org/10.1038/323533a0.

Departures from the paper: rectified linear units in place of logistic ones, cross-entropy in place
of squared error, dropout as in Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.
"""

import keras

from keraszoo import layers
from keraszoo.registry import register


@register(
    "mlp",
    task="classification",
    paper="https://doi.org/10.1038/323533a0",
    tiny=dict(input_shape=(4, 4, 1), units=(16, 8), num_classes=3, dropout=0.05),
)
def mlp(
    input_shape=(28, 28, 1),
    num_classes=10,
    units=(512, 512),
    dropout=0.2,
    activation="relu",
    kernel_initializer="he_normal",
    name="mlp",
):
    """Classify inputs of any shape, as one vector of numbers.

    Args:
        input_shape: Shape of an input; an image, or `(features,)`.
        num_classes: Classes to choose from.
        units: Features of each hidden layer; `()` leaves softmax regression.
        dropout: Probability of dropping a hidden feature, in [0, 1).
        activation: Of the hidden layers.
        kernel_initializer: Of the hidden layers: "he_normal" suits rectifiers, "glorot_uniform"
            (Xavier) suits tanh.
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, *input_shape), floating,
        to   (batch, num_classes), float32 logits.
    """
    x = inputs = keras.Input(input_shape, name="input")
    x = layers.Flatten(name="flat")(x) if len(input_shape) > 1 else x
    for i, n in enumerate(units, 1):
        x = layers.Dense(n, activation, kernel_initializer=kernel_initializer, name=f"hidden{i}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name=name)
