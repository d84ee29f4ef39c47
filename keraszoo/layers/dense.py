"""Dense layers, with the kernels of torch used as they are meant to be."""

import keras

from keraszoo.backend import kernels
from keraszoo.layers.quick import Quick


@keras.saving.register_keras_serializable("keraszoo")
class Dense(Quick, keras.layers.Dense):
    """Keras' layer, with the same arguments, weights and numbers, faster on torch.

    Shapes:
        x:       (batch, ..., features), floating.
        returns: (batch, ..., units), floating.
    """

    cast = "kernel"

    def call(self, inputs, training=None):
        outputs = kernels.dense(inputs, self.kernel, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def quantize(self, mode=None, type_check=True, config=None):
        """Keras' method, which by default refuses subclasses; this one computes the same."""
        return super().quantize(mode, type_check=False, config=config)


@keras.saving.register_keras_serializable("keraszoo")
class Flatten(Quick, keras.layers.Flatten):
    """Keras' layer, called faster on torch.

    Shapes:
        x:       (batch, ...).
        returns: (batch, features), of the dtype of `x`.
    """
