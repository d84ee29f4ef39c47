"""Convolution and pooling of images, with the kernels of torch used as they are meant to be.

Keras on torch copies a channels-last image twice before every convolution and once before every
pooling, and a convolution's kernel twice more. These layers copy nothing: torch takes images and
kernels that lie in memory as ours do. On the other backends they are Keras' own.
"""

import keras

from keraszoo.backend import kernels
from keraszoo.layers.quick import Quick


class Convolution(Quick):
    """A mixin in front of a Keras layer with a kernel: on torch it lies in memory as torch reads it.

    That is filter by filter; of a transposed convolution, channel by channel of what comes in.
    """

    cast = "kernel"
    forgets = True

    def add_weight(self, shape=None, initializer=None, *args, name=None, **kwargs):
        if name == "kernel" and self.data_format == "channels_last":
            initializer = kernels.by_filters(initializer)
        return super().add_weight(shape, initializer, *args, name=name, **kwargs)


@keras.saving.register_keras_serializable("keraszoo")
class Conv2D(Convolution, keras.layers.Conv2D):
    """Keras' layer, with the same arguments, weights and numbers, faster on torch.

    Shapes:
        x:       (batch, height, width, channels), floating.
        returns: (batch, new height, new width, filters), floating.
    """

    def call(self, inputs):
        if self.data_format == "channels_first":
            return super().call(inputs)
        outputs = kernels.convolution(
            inputs,
            self.kernel,
            self.bias if self.use_bias else None,
            self.strides,
            self.padding,
            self.dilation_rate,
        )
        return outputs if self.activation is None else self.activation(outputs)


@keras.saving.register_keras_serializable("keraszoo")
class Conv2DTranspose(Convolution, keras.layers.Conv2DTranspose):
    """Keras' layer, with the same arguments, weights and numbers, faster on torch.

    Shapes:
        x:       (batch, height, width, channels), floating.
        returns: (batch, new height, new width, filters), floating: as large as the image times the
            strides, and larger by what the kernel has in excess of the strides where padding is "valid".
    """

    def call(self, inputs):
        if not self.is_plain():
            return super().call(inputs)
        outputs = kernels.transposed_convolution(
            inputs, self.kernel, self.bias if self.use_bias else None, self.strides, self.padding
        )
        return outputs if self.activation is None else self.activation(outputs)

    def is_plain(self):
        """Whether the kernel exceeds the strides by what can be cut off alike on both sides, or not at all."""
        excess = [k - step for k, step in zip(self.kernel_size, self.strides, strict=True)]
        return (
            self.data_format == "channels_last"
            and self.output_padding is None
            and self.dilation_rate == (1, 1)
            and min(excess) >= 0
            and (self.padding == "valid" or not any(n % 2 for n in excess))
        )


@keras.saving.register_keras_serializable("keraszoo")
class MaxPooling2D(Quick, keras.layers.MaxPooling2D):
    """Keras' layer, with the same arguments and numbers, faster on torch.

    Shapes:
        x:       (batch, height, width, channels), floating.
        returns: (batch, new height, new width, channels), floating.
    """

    def call(self, inputs):
        if self.data_format == "channels_first" or self.padding == "same":
            return super().call(inputs)
        return kernels.max_pooling(inputs, self.pool_size, self.strides)


@keras.saving.register_keras_serializable("keraszoo")
class AveragePooling2D(Quick, keras.layers.AveragePooling2D):
    """Keras' layer, with the same arguments and numbers, faster on torch.

    Shapes:
        x:       (batch, height, width, channels), floating.
        returns: (batch, new height, new width, channels), floating.
    """

    def call(self, inputs):
        if self.data_format == "channels_first" or self.padding == "same":
            return super().call(inputs)
        return kernels.average_pooling(inputs, self.pool_size, self.strides)
