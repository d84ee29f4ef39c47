"""Keras' cross-entropy and accuracy for one of several classes, in fewer operations on torch; and how near images are.

Keras casts the labels to floats and back, reduces in five steps and looks for weights, masks and
ranks at each batch; on torch that takes as long as a small layer. Where there is nothing to look
for, one kernel does. Arguments and numbers are Keras' own.
"""

import math

import keras
from keras import ops

from keraszoo.backend import kernels


@keras.saving.register_keras_serializable("keraszoo")
class SparseCategoricalCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """`keras.losses.SparseCategoricalCrossentropy`.

    Shapes:
        y_true:  (batch, ...), integers from 0 to classes - 1.
        y_pred:  (batch, ..., classes), floating: logits if `from_logits`, or else probabilities.
        returns: Scalar, unless `reduction` is None.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        usual = self.from_logits and self.ignore_class is None and self.reduction == "sum_over_batch_size"
        if usual and sample_weight is None and kernels.are_categories(y_true, y_pred):
            return kernels.cross_entropy(y_true, y_pred)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """The losses, (batch, ...), before they are weighed; Keras makes its labels one-hot on torch, which many classes feel."""
        usual = self.from_logits and self.ignore_class is None and y_true.shape == y_pred.shape[:-1]
        if usual and kernels.is_concrete(y_pred) and y_pred.dtype == y_true.dtype:
            return kernels.judged(y_true, y_pred)[0]
        return super().call(y_true, y_pred)


@keras.saving.register_keras_serializable("keraszoo")
class SparseCategoricalAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """`keras.metrics.SparseCategoricalAccuracy`: the share of samples whose largest logit is their label's."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is None and kernels.are_categories(y_true, y_pred):
            each = math.prod(y_true.shape[1:])  # a sample of several labels counts as one
            kernels.include(self, kernels.right(y_true, y_pred) / each, len(y_true))
        else:
            super().update_state(y_true, y_pred, sample_weight)


@keras.saving.register_keras_serializable("keraszoo")
class PeakSignalToNoiseRatio(keras.metrics.MeanSquaredError):
    """How near values in [0, 1] are to the truth, in decibels: 10 log10(1 / mean squared error).

    Shapes:
        y_true, y_pred: (batch, ...), floating, in [0, 1].
        returns: Scalar; the higher, the nearer.
    """

    def __init__(self, name="psnr", **kwargs):
        super().__init__(name=name, **kwargs)

    def result(self):
        return -10 / math.log(10) * ops.log(ops.maximum(super().result(), 1e-10))
