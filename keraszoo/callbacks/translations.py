"""What a translator makes of the same images, epoch by epoch."""

import numpy as np

from keraszoo.callbacks import pictures
from keraszoo.callbacks.samples import Frames


class Translations(Frames):
    """Images, what they become, what these become on the way back, and what they were to be, side by side.

    There is a way back where the model has a method `reconstruct`, and a target where one is given. The
    model translates at the end of an epoch only, so that no device waits for a picture before that.

    Args:
        folder: The folder for the pictures and the film; see `Frames`.
        images: (count, height, width, channels), floating, in [-1, 1]: a row of the picture each.
        targets: What they are to become, in the same form, or None.
        every, film: As of `Frames`.

    Raises:
        ValueError: As of `Frames`; or there are not as many targets as images, or the model has no
            method `translate`.
    """

    def __init__(self, folder, images, targets=None, every=1, film="film.gif"):
        super().__init__(folder, every=every, film=film)
        if targets is not None and len(targets) != len(images):
            raise ValueError(f"targets must be as many as images, {len(images)}, got {len(targets)}.")
        self.images, self.targets = images, targets

    def check(self, model):
        if not callable(getattr(model, "translate", None)):
            raise ValueError(
                f"Translations needs a model that has a method `translate`; {model.name} has none."
            )

    def draw(self, path, title):
        side_by_side(path, self.model, self.images, self.targets, title)


def side_by_side(path, model, images, targets=None, title=""):
    """A picture with a row for each image; arguments as of `Translations`.

    Args:
        path: The PNG file.
        model: The translator.
        title: Above all of them.
    """
    columns = {"source": images, "translation": model.translate(images)}
    if callable(getattr(model, "reconstruct", None)):
        columns["back"] = model.reconstruct(images)
    if targets is not None:
        columns["target"] = targets
    channels = max(column.shape[-1] for column in columns.values())
    page = [c.repeat(channels, -1) if c.shape[-1] < channels else c for c in columns.values()]
    rows = np.stack(page, axis=1).reshape(-1, *page[0].shape[1:])
    pictures.grid(path, rows, title, list(columns), len(columns))
