"""Layers at a model's front that turn raw 0..255 images into what the model takes."""

import keras

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB values in [0, 1], over the training images of ImageNet
IMAGENET_STD = (0.229, 0.224, 0.225)


def preprocessing(choice, channels):
    """A layer that prepares raw images.

    Args:
        choice: "unit" maps 0..255 to [0, 1]; "centred" to [-1, 1]; "imagenet" to zero mean and
            unit deviation of ImageNet's three channels. A Keras layer is returned as it is; a
            list of layers becomes one after the other.
        channels: Channels of the image.

    Raises:
        ValueError: An unknown choice, or "imagenet" for an image without three channels.
    """
    if isinstance(choice, (list, tuple)):
        return keras.Sequential([preprocessing(c, channels) for c in choice], name="preprocessing")
    if isinstance(choice, keras.layers.Layer):
        return choice
    if choice == "unit":
        return keras.layers.Rescaling(1 / 255, name="unit")
    if choice == "centred":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="centred")
    if choice == "imagenet":
        if channels != 3:
            raise ValueError(f'preprocessing="imagenet" needs images with 3 channels, got {channels}.')
        scale = [1 / (255 * s) for s in IMAGENET_STD]
        offset = [-m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
        return keras.layers.Rescaling(scale, offset=offset, name="imagenet")
    raise ValueError(
        f'preprocessing must be "unit", "centred", "imagenet", a Keras layer or a list of those, got {choice!r}.'
    )
