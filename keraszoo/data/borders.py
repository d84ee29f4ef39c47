"""Which pixels matter most where things touch."""

import numpy as np


def border_weights(instances, w0=10.0, sigma=5.0):
    """A weight for each pixel, large in the narrow gaps between things, so that a network learns to part them.

    `w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2))`: Ronneberger et al. 2015,
    https://arxiv.org/abs/1505.04597, equation 2, where `d1` and `d2` are the distances from a pixel of the
    background to the nearest and to the second nearest thing. `w_c` balances the classes: things and
    background have the same total weight in each image, and the mean weight is 1. On things, and in
    images with fewer than two of them, it is all there is.

    Args:
        instances: (height, width) or (count, height, width), integers: each thing has a number of its
            own, in its image; 0 is background.
        w0: Weight added where two things touch.
        sigma: How fast it falls with their distance, in pixels, positive.

    Returns:
        The shape of `instances`, float32: `sample_weight` for a loss that looks at each pixel.

    Raises:
        ValueError: `instances` are no such numbers, or `sigma` is not positive.

    >>> model.fit(images, np.minimum(instances, 1), sample_weight=border_weights(instances))
    """
    instances = np.asarray(instances)
    if instances.ndim not in (2, 3) or instances.dtype.kind not in "iu" or instances.min(initial=0) < 0:
        raise ValueError(
            "instances must be (height, width) or (count, height, width) integers from 0, got "
            f"{instances.dtype} of shape {instances.shape}."
        )
    if sigma <= 0:
        raise ValueError(f"sigma must be positive, got {sigma!r}.")
    if instances.ndim == 3:
        maps = [border_weights(each, w0, sigma) for each in instances]
        return np.stack(maps) if maps else np.zeros(instances.shape, "float32")
    weights = balance(instances > 0)
    first, second = nearest_two(instances)
    gap = np.exp(-((first + second) ** 2) / (2 * sigma**2))
    return np.where(instances > 0, weights, weights + w0 * gap).astype("float32")


def balance(mask):
    """The part `w_c`: a weight for each pixel, by how rare its class is in the image; all 1 if there is one class."""
    share = mask.mean()
    if share in (0, 1):
        return np.ones(mask.shape)
    return np.where(mask, 0.5 / share, 0.5 / (1 - share))


def nearest_two(instances):
    """How far each pixel is from the nearest and from the second nearest thing: two arrays; infinite where there is none."""
    from scipy.ndimage import distance_transform_edt

    first, second = np.full((2, *instances.shape), np.inf)
    for number in np.unique(instances[instances > 0]):
        far = distance_transform_edt(instances != number)
        second = np.minimum(second, np.maximum(first, far))
        first = np.minimum(first, far)
    return first, second
