"""Contrast normalization: what an image shows, without how brightly and how strongly it shows it.

Global: Coates, Lee, Ng 2011, https://proceedings.mlr.press/v15/coates11a.html, section 3.2.1, in the
form of Goodfellow, Bengio, Courville 2016, https://www.deeplearningbook.org, section 12.2.1.1.
Local: Jarrett, Kavukcuoglu, Ranzato, LeCun 2009, "What is the best multi-stage architecture for
object recognition?", ICCV, section 2.1; section 12.2.1.1 of the book as well.

Departures from the paper: the local window of Jarrett et al. is cut off at the border of the image
and its weights are scaled to one again, so that a uniform image becomes zero up to its edge. The
paper gives the size of the window and not the width of the Gaussian: here it is a quarter of the size.
"""

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("keraszoo")
class GlobalContrastNormalization(layers.Layer):
    """Every image gets mean 0 and standard deviation `scale`.

    `scale * (x - mean) / max(epsilon, sqrt(regularization + variance))`, equation 12.3 of the book,
    with mean and variance over all pixels and channels of one image.

    Args:
        scale: Standard deviation of the result, `s` in the book.
        regularization: Added to the variance, in squared units of `x`: weakens the effect on images
            of low contrast. The book's lambda; Coates et al. use 10 on small patches in [0, 255].
        epsilon: Least divisor, in units of `x`; positive.

    Shapes:
        x:       (batch, height, width, channels), any numbers.
        returns: the same, floating.
    """

    def __init__(self, scale=1.0, regularization=0.0, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        if epsilon <= 0 or regularization < 0:
            raise ValueError(
                "epsilon must be positive and regularization not negative, "
                f"got {epsilon=}, {regularization=}."
            )
        self.scale = scale
        self.regularization = regularization
        self.epsilon = epsilon

    def call(self, x):
        x = ops.cast(x, "float32")
        x = x - ops.mean(x, axis=(1, 2, 3), keepdims=True)
        variance = ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True)
        x = self.scale * x / ops.maximum(self.epsilon, ops.sqrt(self.regularization + variance))
        return ops.cast(x, self.compute_dtype)


@keras.saving.register_keras_serializable("keraszoo")
class LocalContrastNormalization(layers.Layer):
    """Every pixel loses the mean of its neighbourhood and is divided by the deviation there.

    With a Gaussian window `w` whose weights over pixels `p, q` and channels `i` add up to one, pixel
    `j, k` of channel `i` becomes

        v[i, j, k] = x[i, j, k] - sum over i, p, q of w[p, q] x[i, j + p, k + q]
        s[j, k]    = sqrt(sum over i, p, q of w[p, q] v[i, j + p, k + q] ** 2)
        y[i, j, k] = v[i, j, k] / max(mean of s over the image, s[j, k])

    Args:
        size: Side of the window, in pixels; odd. The paper has 9.
        epsilon: Least divisor, in units of `x`; positive: what a uniform image is divided by.

    Shapes:
        x:       (batch, height, width, channels), any numbers; height and width fixed.
        returns: the same, floating.
    """

    def __init__(self, size=9, epsilon=1e-4, **kwargs):
        super().__init__(**kwargs)
        if size % 2 == 0 or epsilon <= 0:
            raise ValueError(f"size must be odd and epsilon positive, got {size=}, {epsilon=}.")
        self.size = size
        self.epsilon = epsilon

    def call(self, x):
        x = ops.cast(x, "float32")
        x = x - ops.mean(x, axis=(1, 2, 3), keepdims=True)  # cancels below: keeps the sums small and exact
        v = x - self.blur(x)
        s = ops.sqrt(self.blur(ops.square(v)))
        mean = ops.mean(s, axis=(1, 2, 3), keepdims=True)
        y = v / ops.maximum(ops.maximum(mean, s), self.epsilon)
        return ops.cast(y, self.compute_dtype)

    def blur(self, x):
        """Mean over the window and the channels, (batch, height, width, 1)."""
        window = gaussian(self.size, self.size / 4)
        rows, columns = (np.convolve(np.ones(side), window, "same") for side in x.shape[1:3])
        inside = np.outer(rows, columns)[None, :, :, None].astype("float32")
        x = ops.mean(x, axis=-1, keepdims=True)
        for shape in [(-1, 1, 1, 1), (1, -1, 1, 1)]:  # a Gaussian window is an outer product
            x = ops.conv(x, ops.convert_to_tensor(window.reshape(shape)), padding="same")
        return x / ops.convert_to_tensor(inside)


def gaussian(size, width):
    """`size` weights of a Gaussian with standard deviation `width`, in pixels; they add up to one."""
    weights = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / width) ** 2)
    return (weights / weights.sum()).astype("float32")
