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


def edges(images, sigma=1.0):
    """The outlines of what images show, black lines on white, by Canny's filter on their brightness.

    Args:
        images: (count, height, width, channels), uint8.
        sigma: Width of the blur before, in pixels: a wider one leaves fewer lines.

    Returns:
        (count, height, width, 1), uint8: 0 on a line and 255 elsewhere.
    """
    from skimage.feature import canny

    grey = np.asarray(images).astype("float32").mean(axis=-1) / 255
    return np.stack([np.where(canny(image, sigma), 0, 255).astype("uint8") for image in grey])[..., None]


def pieces(images, image_size):
    """Images cut into as many pieces of a size as they hold, row by row; the rest is left out."""
    height, width = checked_size(image_size)
    rows, columns = images.shape[1] // height, images.shape[2] // width
    if not rows or not columns:
        raise ValueError(f"image_size must fit into images of {images.shape[1:3]}, got {image_size!r}.")
    whole = images[:, : rows * height, : columns * width]
    apart = whole.reshape(len(images), rows, height, columns, width, -1).swapaxes(2, 3)
    return apart.reshape(-1, height, width, images.shape[-1])
