"""Batch normalization, with the fused kernel of the backend that has one."""

import keras
from keras import ops

from keraszoo.backend import kernels
from keraszoo.layers.quick import Quick


@keras.saving.register_keras_serializable("keraszoo")
class BatchNormalization(Quick, keras.layers.BatchNormalization):
    """Keras' layer, with the same arguments, weights and numbers, faster on torch.

    Ioffe, Szegedy 2015, https://arxiv.org/abs/1502.03167.

    Shapes:
        x:       (batch, ..., channels), or with the channels at `axis`, floating.
        mask:    Shape of `x` without the channels, bool, True where the statistics look. Optional.
        returns: Shape of `x`, of the layer's compute dtype.
    """

    trains = True

    def call(self, inputs, training=None, mask=None):
        if mask is not None or self.renorm or self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        learns = training and self.trainable
        outputs, mean, variance = kernels.batch_normalization(
            inputs,
            self.gamma,
            self.beta,
            self.epsilon,
            self.axis,
            None if learns else self.moving_mean,
            None if learns else self.moving_variance,
        )
        if learns:
            for moving, now in (self.moving_mean, mean), (self.moving_variance, variance):
                moving.assign(ops.cast(moving, now.dtype) * self.momentum + now * (1 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)
