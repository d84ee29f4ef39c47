"""What loaders of images share."""

import numpy as np


def resized(images, image_size, smooth=True):
    """Images or masks in another size.

    Args:
        images: (count, height, width) or (count, height, width, channels) array; uint8, or any
            integers where `smooth` is False.
        image_size: (height, width) in pixels, or None for no change.
        smooth: Bicubic interpolation; if False, the value of the nearest pixel, as labels need.
    """
    height, width = images.shape[1:3] if image_size is None else checked_size(image_size)
    if (height, width) == images.shape[1:3]:
        return images
    if not smooth:
        rows = (np.arange(height) + 0.5) * images.shape[1] // height
        columns = (np.arange(width) + 0.5) * images.shape[2] // width
        return images[:, rows.astype(int)[:, None], columns.astype(int)[None, :]]
    from PIL import Image

    small = (
        images[..., 0] if images.shape[3:] == (1,) else images
    )  # Pillow knows grey images without the axis
    large = [np.asarray(Image.fromarray(image).resize((width, height), Image.BICUBIC)) for image in small]
    return np.stack(large).reshape(len(images), height, width, *images.shape[3:])


def checked_size(image_size):
    """`image_size` as two positive integers."""
    try:
        height, width = (int(side) for side in image_size)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise ValueError(f"image_size must be (height, width) in pixels, got {image_size!r}.")
    return height, width


def with_channels(images):
    """Grey images with an axis for their one channel."""
    return images[..., None] if images.ndim == 3 else images


def fitted(image, image_size, channels):
    """A Pillow image as (height, width, channels) uint8, scaled and cut to fill `image_size`."""
    from PIL import Image, ImageOps

    height, width = image_size
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.BICUBIC)
    return np.asarray(image).reshape(height, width, channels)
