"""Losses and metrics for a class at every pixel, from logits and class numbers.

Pixels that matter more need no loss of their own: cross-entropy takes a weight for each of them as
`sample_weight`, (batch, height, width).
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keraszoo")
class DiceLoss(keras.losses.Loss):
    """How little the pixels of each class overlap with those that are taken for it: one minus the soft Dice coefficient.

    `1 - 2 sum(p g) / (sum(p^2) + sum(g^2))` over the pixels of an image, for the probabilities `p` of a
    class and its mask `g`: Milletari et al. 2016, https://arxiv.org/abs/1606.04797, section 3; the mean over
    classes. Small things count as much as large ones. A class that is in neither costs nothing.

    Args:
        smooth: Added above and below the line, in pixels, positive: what is left of the gradient where a
            class is absent.

    Shapes:
        y_true:  (batch, height, width) or (batch, height, width, 1), integers from 0 to classes - 1.
        y_pred:  (batch, height, width, classes), floating: logits.
        returns: Scalar, unless `reduction` is None: then (batch,). A `sample_weight` is (batch,), too.
    """

    def __init__(self, smooth=1.0, name="dice_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if smooth <= 0:
            raise ValueError(f"smooth must be positive, got {smooth!r}.")
        self.smooth = smooth

    def call(self, y_true, y_pred):
        truth = masks(y_true, y_pred)
        found = ops.softmax(y_pred, axis=-1)
        both = ops.sum(found * truth, axis=(1, 2))
        each = ops.sum(ops.square(found) + truth, axis=(1, 2))  # g^2 is g
        return ops.mean(1 - (2 * both + self.smooth) / (each + self.smooth), axis=-1)

    def get_config(self):
        return {**super().get_config(), "smooth": self.smooth}


@keras.saving.register_keras_serializable("keraszoo")
class DiceCrossentropyLoss(DiceLoss):
    """The sum of `DiceLoss` and cross-entropy, which is steady where Dice is not.

    Isensee et al. 2018, https://arxiv.org/abs/1809.10486, section 2.3.

    Args:
        smooth: As of `DiceLoss`.

    Shapes:
        As of `DiceLoss`.
    """

    def __init__(self, smooth=1.0, name="dice_crossentropy_loss", **kwargs):
        super().__init__(smooth, name=name, **kwargs)

    def call(self, y_true, y_pred):
        likely = ops.sum(masks(y_true, y_pred) * ops.log_softmax(y_pred, axis=-1), axis=-1)
        return super().call(y_true, y_pred) - ops.mean(likely, axis=(1, 2))


@keras.saving.register_keras_serializable("keraszoo")
class MeanIoU(keras.metrics.Metric):
    """Pixels of a class that are taken for it, among those of either kind: the mean over classes.

    All pixels since the metric was reset count as one large image. A class that none of them has and none
    is taken for does not count. (`keras.metrics.MeanIoU` gives the same, in seconds a batch on torch.)

    Args:
        num_classes: Classes a pixel can belong to.
        name: Of the metric.

    Shapes:
        y_true:  (batch, ...) or (batch, ..., 1), integers from 0 to num_classes - 1.
        y_pred:  (batch, ..., num_classes), floating: logits or probabilities.
        sample_weight: Shape of `y_true`, floating. Optional.
        returns: Scalar, in [0, 1].
    """

    def __init__(self, num_classes, name="mean_iou", **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        self.table = self.add_variable((num_classes, num_classes), "zeros", dtype="float32", name="table")

    def update_state(self, y_true, y_pred, sample_weight=None):
        taken = ops.reshape(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), (-1,))
        cells = ops.reshape(ops.cast(y_true, "int32"), (-1,)) * self.num_classes + taken
        if sample_weight is None:
            each = ops.ones_like(cells)
        else:
            each = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        counts = ops.cast(ops.segment_sum(each, cells, num_segments=self.num_classes**2), "float32")
        self.table.assign_add(ops.reshape(counts, self.table.shape))

    def result(self):
        right = ops.diagonal(self.table)  # rows of the table: what a pixel is; columns: what it is taken for
        either = ops.sum(self.table, axis=0) + ops.sum(self.table, axis=1) - right
        return mean_share(right, either)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable("keraszoo")
class MeanDice(MeanIoU):
    """Twice the pixels of a class that are taken for it, among those of both kinds: the mean over classes.

    Arguments, shapes and what counts are those of `MeanIoU`. For each class, Dice is `2 IoU / (1 + IoU)`.
    """

    def __init__(self, num_classes, name="mean_dice", **kwargs):
        super().__init__(num_classes, name=name, **kwargs)

    def result(self):
        both = ops.sum(self.table, axis=0) + ops.sum(self.table, axis=1)
        return mean_share(2 * ops.diagonal(self.table), both)


def mean_share(parts, wholes):
    """The mean of what parts are of their wholes, where there is a whole."""
    there = ops.cast(wholes > 0, "float32")
    return ops.sum(parts / ops.maximum(wholes, 1e-9)) / ops.maximum(ops.sum(there), 1)


def masks(y_true, y_pred):
    """Class numbers as a mask for each class: the shape and dtype of the logits."""
    classes = ops.reshape(ops.cast(y_true, "int32"), ops.shape(y_pred)[:-1])
    return ops.one_hot(classes, y_pred.shape[-1], dtype=y_pred.dtype)
