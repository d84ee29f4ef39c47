"""Losses that Keras lacks."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keraszoo")
class PerceptronLoss(keras.losses.Loss):
    """How far the best wrong class is ahead of the right one; nothing, once the right one leads.

    `max(0, max_{j != y} s_j - s_y)` for scores `s` and label `y`. Rosenblatt's criterion
    (1958, https://doi.org/10.1037/h0042519) for several classes, as in Duda and Hart 1973,
    section 5.12: its gradient adds a misjudged input to the right class and takes it from the
    leading wrong one. A tie counts as a mistake.

    Shapes:
        y_true:  (batch,) or (batch, 1), integer labels in [0, num_classes).
        y_pred:  (batch, num_classes), floating scores.
    """

    def call(self, y_true, y_pred):
        classes = y_pred.shape[-1]
        right = ops.one_hot(ops.reshape(ops.cast(y_true, "int32"), (-1,)), classes, dtype=y_pred.dtype)
        score = ops.sum(right * y_pred, axis=-1)
        rival = ops.argmax(ops.where(right > 0, -float("inf"), y_pred), axis=-1)
        ahead = ops.sum(ops.one_hot(rival, classes, dtype=y_pred.dtype) * y_pred, axis=-1) - score
        return ops.where(ahead >= 0, ahead, ops.zeros_like(ahead))
