"""What a network takes for what, painted over the images, epoch by epoch."""

import numpy as np

from keraszoo.callbacks import pictures
from keraszoo.callbacks.samples import Frames


class Overlays(Frames):
    """Images, their true classes and those that the model finds, side by side.

    Args:
        folder: The folder for the pictures and the film; see `Frames`.
        images: (count, height, width, channels), as the model takes them.
        labels: (count, height, width), integers: the class of each pixel; 0 is background.
        head: Name of the head that answers, of a model with several.
        every, film: As of `Frames`.

    Raises:
        ValueError: As of `Frames`; or labels are not one for each pixel, or the model has no such head.
    """

    def __init__(self, folder, images, labels, head=None, every=1, film="film.gif"):
        super().__init__(folder, every=every, film=film)
        if np.shape(labels) != np.shape(images)[:3]:
            raise ValueError(
                f"labels must be one for each pixel of images, {np.shape(images)[:3]}, got {np.shape(labels)}."
            )
        self.images, self.labels, self.head = images, labels, head

    def check(self, model):
        heads = model.output if isinstance(model.output, dict) else {None: model.output}
        if self.head not in heads:
            raise ValueError(f"head must be one of {', '.join(map(repr, heads))}, got {self.head!r}.")

    def draw(self, path, title):
        said = self.model.predict(self.images, verbose=0)
        found = classes(said if self.head is None else said[self.head])
        side_by_side(path, self.images, {"truth": self.labels, "found": found}, title)


def classes(logits):
    """The likeliest class of each pixel, (..., height, width) integers; one logit says yes or no."""
    logits = np.asarray(logits)
    return (
        (logits[..., 0] > 0).astype("int32") if logits.shape[-1] == 1 else logits.argmax(-1).astype("int32")
    )


def overlaid(image, labels):
    """An image in grey with its classes in colours, and bright outlines: (height, width, 3), uint8.

    Args:
        image: (height, width, channels): its darkest value becomes black and its brightest white.
        labels: (height, width), integers; 0 leaves the image as it is.
    """
    from skimage.color import label2rgb
    from skimage.segmentation import mark_boundaries

    painted = label2rgb(labels, shown(image), colors=COLOURS, alpha=0.3, bg_label=0)
    return (255 * mark_boundaries(painted, labels, color=(1, 1, 0), mode="inner")).round().astype("uint8")


COLOURS = ["red", "dodgerblue", "lime", "magenta", "orange", "cyan", "yellow"]


def shown(image):
    """An image as (height, width, 3), floating, from 0 to 1."""
    image = np.asarray(image, "float32")
    low, high = image.min(), image.max()
    grey = (image - low) / max(high - low, 1e-7)
    return grey.repeat(3, axis=-1) if grey.shape[-1] == 1 else grey


def side_by_side(path, images, labels, title="", notes=None):
    """A picture with a row for each image: the image, and copies of it painted with its classes.

    Args:
        path: The PNG file.
        images: (count, height, width, channels).
        labels: Names of columns and the classes to paint there, (count, height, width) integers.
        title: Above all of them.
        notes: A word for each image, in place of its caption.
    """
    rows, captions = [], []
    for i, image in enumerate(images):
        rows += [
            (255 * shown(image)).astype("uint8"),
            *(overlaid(image, found[i]) for found in labels.values()),
        ]
        captions += ["image" if notes is None else notes[i], *labels]
    pictures.grid(path, np.stack(rows), title, captions, (1 + len(labels)) * (2 if len(images) > 3 else 1))
