"""What a masked autoencoder makes of the same hidden patches, epoch by epoch."""

import numpy as np

from keraszoo.callbacks import pictures
from keraszoo.callbacks.samples import Frames


class MaskedReconstructions(Frames):
    """Images, what the encoder sees of them, and what the decoder makes of that, side by side.

    Args:
        folder: The folder for the pictures and the film; see `Frames`.
        images: (count, height, width, channels), floating, as the model takes them.
        seed: Says which patches are hidden: the same in every epoch.
        every, film: As of `Frames`.

    Raises:
        ValueError: As of `Frames`; or the model hides no patches.
    """

    def __init__(self, folder, images, seed=0, every=1, film="film.gif"):
        super().__init__(folder, seed, every, film)
        self.images = images

    def check(self, model):
        if not hasattr(model, "visible"):
            raise ValueError(
                f"MaskedReconstructions needs a masked autoencoder; {model.name} hides no patches."
            )

    def draw(self, path, title):
        beside(path, self.model, self.images, self.seed, title)


def beside(path, model, images, seed=0, title=""):
    """A picture with three columns for each image: the image, what is visible of it, and how it is completed.

    Args:
        path: The PNG file.
        model: The masked autoencoder.
        images, seed: As of `MaskedReconstructions`.
        title: Above all of them.
    """
    made, hidden = model.reconstruct(images, seed=seed)
    low, high = np.min(images), np.max(images)
    seen = np.where(hidden[..., None], (low + high) / 2, images)
    page = np.stack([images, seen, made], axis=1).reshape(-1, *images.shape[1:])
    page = np.clip(2 * (page - low) / max(high - low, 1e-7) - 1, -1, 1)
    columns = 6 if len(images) > 3 else 3
    captions = ["image", "visible", "completed"] * (columns // 3)
    pictures.grid(path, page, title, captions, columns)
