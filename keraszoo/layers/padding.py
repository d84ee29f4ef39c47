"""Padding of images with what they show, where zeros would be seen as an edge."""

import keras

from keraszoo.backend import kernels
from keraszoo.layers.quick import Quick


@keras.saving.register_keras_serializable("keraszoo")
class ReflectionPadding2D(Quick, keras.layers.Layer):
    """Put the mirror image around an image; a pixel at the edge is not repeated.

    Args:
        padding: Pixels on each side; fewer than the image has.

    Shapes:
        x:       (batch, height, width, channels), floating.
        returns: (batch, height + 2 * padding, width + 2 * padding, channels), floating.
    """

    def __init__(self, padding=1, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(padding, int) or padding < 0:
            raise ValueError(f"padding must be a whole number of pixels from 0, got {padding!r}.")
        self.padding = padding

    def build(self, shape):
        if len(shape) != 4 or any(side is not None and side <= self.padding for side in shape[1:3]):
            raise ValueError(
                f"{self.name} takes images (batch, height, width, channels) of more than {self.padding} pixels "
                f"a side, got {tuple(shape)}."
            )

    def call(self, inputs):
        return kernels.reflection_padding(inputs, *[(self.padding, self.padding)] * 2)

    def compute_output_shape(self, shape):
        batch, height, width, channels = shape
        height, width = (side and side + 2 * self.padding for side in (height, width))
        return (batch, height, width, channels)
