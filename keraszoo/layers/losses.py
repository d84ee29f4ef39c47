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


@keras.saving.register_keras_serializable("keraszoo")
class CodeDistanceLoss(keras.losses.Loss):
    """Pull an output to its class's code, and push it from the others as far as it matters.

    `y_D + log(exp(-j) + sum_i exp(-y_i))` for squared distances `y_i` to the codes and the right
    class `D`: LeCun et al. 1998, https://doi.org/10.1109/5.726791, equation 9. It is cross-entropy
    over minus the distances with one class more, rubbish, at the constant distance `j`. Without
    `j`, being nearer to the right code than to the others is enough, and units that squash are
    driven to their limits, where they learn no more.

    Args:
        j: Squared distance of the rubbish class, positive: beyond it, wrong codes are let be.

    Shapes:
        y_true:  (batch,) or (batch, 1), integer labels in [0, num_classes).
        y_pred:  (batch, num_classes), floating: minus the squared distances.
    """

    def __init__(self, j=10.0, name="code_distance_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.j = j

    def call(self, y_true, y_pred):
        rubbish = ops.full_like(y_pred[:, :1], -self.j)
        logits = ops.concatenate([y_pred, rubbish], axis=-1)
        return keras.losses.sparse_categorical_crossentropy(y_true, logits, from_logits=True)

    def get_config(self):
        return {**super().get_config(), "j": self.j}
