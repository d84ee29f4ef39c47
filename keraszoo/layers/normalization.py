"""Normalization over a batch, over features and over each image, with the fused kernel of the backend that has one."""

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
    forgets = True

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


@keras.saving.register_keras_serializable("keraszoo")
class LayerNormalization(Quick, keras.layers.LayerNormalization):
    """Keras' layer, with the same arguments, weights and numbers, called faster on torch.

    Ba, Kiros, Hinton 2016, https://arxiv.org/abs/1607.06450.

    Shapes:
        x:       (batch, ..., features), floating.
        returns: Shape of `x`, of the layer's compute dtype.
    """

    def call(self, inputs):
        last = self.axis in ([-1], [len(inputs.shape) - 1]) and not self.rms_scaling
        if last and self.compute_dtype == "float32" and kernels.takes_layer_normalization(inputs):
            return kernels.layer_normalization(inputs, self.gamma, self.beta, self.epsilon)
        return super().call(inputs)


@keras.saving.register_keras_serializable("keraszoo")
class InstanceNormalization(Quick, keras.layers.Layer):
    """Normalise each channel of each image by itself, in training and after it alike.

    Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022.

    Args:
        epsilon: Added to the variance.
        affine: Learn a scale and a shift for each channel.
        gamma_initializer: Initial values of the scale.

    Shapes:
        x:       (batch, height, width, channels), floating.
        returns: Shape of `x`, of the layer's compute dtype.
    """

    forgets = True

    def __init__(self, epsilon=1e-5, affine=False, gamma_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.affine = affine
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.gamma = self.beta = None

    def build(self, shape):
        if len(shape) != 4:
            raise ValueError(f"{self.name} takes (batch, height, width, channels), got {tuple(shape)}.")
        if self.affine:
            with_own = dict(shape=(shape[-1],), autocast=False)
            self.gamma = self.add_weight(name="gamma", initializer=self.gamma_initializer, **with_own)
            self.beta = self.add_weight(name="beta", initializer="zeros", **with_own)

    def call(self, inputs):
        outputs = kernels.instance_normalization(inputs, self.gamma, self.beta, self.epsilon)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, shape):
        return shape
