"""What becomes of images on the way through their codes, and where the codes lie."""

import numpy as np

from keraszoo.callbacks import pictures
from keraszoo.callbacks.samples import Frames


class Reconstructions(Frames):
    """Images, and below them what an autoencoder makes of their codes, epoch by epoch.

    Args:
        folder: The folder for the pictures and the film; see `Frames`.
        images: (count, height, width, channels), in [0, 1].
        targets: What they should become, such as the clean images of noisy ones; None for themselves.
        every, film: As of `Frames`.

    Raises:
        ValueError: As of `Frames`; or the model has no method `reconstruct`.
    """

    def __init__(self, folder, images, targets=None, every=1, film="film.gif"):
        super().__init__(folder, every=every, film=film)
        self.images, self.targets = images, targets

    def check(self, model):
        if not callable(getattr(model, "reconstruct", None)):
            raise ValueError(
                f"Reconstructions needs a model that has a method `reconstruct`; {model.name} has none."
            )

    def draw(self, path, title):
        rows = {"images": self.images, "reconstructed": self.model.reconstruct(self.images)}
        if self.targets is not None:
            rows["should be"] = self.targets
        table(path, rows, title)


def table(path, rows, title=""):
    """Images in rows, with a word before each row.

    Args:
        path: The PNG file.
        rows: A dict from words to (count, height, width, channels), one channel or three, in [0, 1]; the
            first count is that of all of them.
        title: Above all of them.
    """
    count = len(next(iter(rows.values())))
    figure, panels = pictures.sheet(len(rows), width=1.6 + 0.75 * count, height=0.85, columns=1)
    for panel, (word, images) in zip(panels, rows.items(), strict=True):
        images = np.clip(np.asarray(images, "float32"), 0, 1)
        gap = np.ones((images.shape[1], max(1, images.shape[2] // 16), images.shape[3]), "float32")
        strip = np.concatenate([part for image in images for part in (gap, image)][1:], axis=1)
        panel.imshow(strip.repeat(3, axis=2) if strip.shape[2] == 1 else strip, interpolation="nearest")
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_frame_on(False)
        panel.set_ylabel(word, rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(title, fontsize=10)
    pictures.save(figure, path)


def maps(path, points, labels, class_names, title=""):
    """Points of the plane coloured by class, a panel for each set of them.

    Args:
        path: The PNG file.
        points: A dict from titles to (count, 2), floating.
        labels: (count,), integers: class numbers.
        class_names: A name for each class.
        title: Above all of them.
    """
    labels = np.asarray(labels)
    figure, panels = pictures.sheet(len(points), width=3.6, height=3.4, columns=4)
    for panel, (word, spots) in zip(panels, points.items(), strict=True):
        for number, name in enumerate(class_names):
            panel.plot(*spots[labels == number].T, ".", color=f"C{number % 10}", markersize=3, label=name)
        panel.set_title(word, fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=10,
        markerscale=4,
        fontsize=8,
    )
    figure.suptitle(title, fontsize=10)
    pictures.save(figure, path)
