"""What a generator makes, epoch by epoch, of the same noise: as pictures, and as a film at the end."""

from pathlib import Path

import keras
import numpy as np

from keraszoo.callbacks import pictures


class Frames(keras.callbacks.Callback):
    """Keeps a folder with a picture for each epoch, `epoch_0001.png` and so on, and a film of them.

    A subclass says in `draw` what is in the picture. Noise comes from NumPy, so that the model's own
    seeds stay as they are, and training goes as it would go without pictures.

    Args:
        folder: The folder; it is made if it does not exist.
        seed: Of the noise.
        every: Draw only each so many epochs, and the last.
        film: Name of the film in the folder, ending in .gif or .mp4; None for none. It is made when
            `fit` ends.

    Raises:
        ValueError: `every` is below 1, `film` ends otherwise, or the model makes no samples.
    """

    def __init__(self, folder, seed=0, every=1, film="film.gif"):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be a whole number from 1, got {every!r}.")
        if film is not None and Path(film).suffix not in pictures.FILMS:
            raise ValueError(f"film must end in {' or '.join(pictures.FILMS)}, got {film!r}.")
        self.folder = Path(folder)
        self.seed = seed
        self.every = every
        self.film = film

    def draw(self, path, title):
        """Write a picture of what the model makes now."""
        raise NotImplementedError

    def check(self, model):
        """Raise a ValueError for a model that cannot be shown."""
        check_sampler(self, model)

    def picture(self, epoch):
        """The file for an epoch, counted from 1."""
        return self.folder / f"epoch_{epoch:04d}.png"

    def on_train_begin(self, logs=None):
        self.check(self.model)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.done = 0

    def on_epoch_end(self, epoch, logs=None):
        self.done = epoch + 1
        if self.done % self.every == 0:
            self.draw(self.picture(self.done), f"epoch {self.done}")

    def on_train_end(self, logs=None):
        if self.done % self.every:
            self.draw(self.picture(self.done), f"epoch {self.done}")
        epochs = sorted({*range(self.every, self.done + 1, self.every), self.done} - {0})
        # Of a run that was resumed in another folder, some are missing.
        files = [file for file in map(self.picture, epochs) if file.exists()]
        if self.film is not None and files:
            pictures.animation(self.folder / self.film, files)


class Samples(Frames):
    """Images that the model makes, in a grid.

    Args:
        folder: The folder for the grids and the film; see `Frames`.
        count: Images in a grid.
        seed, every, film: As of `Frames`.
        labels: (count,), integers: the classes to ask a conditional model for.
        columns: Images in a row.

    Raises:
        ValueError: As of `Frames`; or there are not as many labels as images.
    """

    def __init__(self, folder, count=25, seed=0, every=1, labels=None, columns=None, film="film.gif"):
        super().__init__(folder, seed, every, film)
        if labels is not None and len(labels) != count:
            raise ValueError(f"labels must be as many as count={count}, got {len(labels)}.")
        self.count = count
        self.labels = labels
        self.columns = columns

    def draw(self, path, title):
        asked = {} if self.labels is None else {"labels": self.labels}
        images = self.model.sample(self.count, seed=self.seed, **asked)
        captions = None
        if self.labels is not None:
            names = getattr(self.model, "card", {}).get("class_names")
            captions = [names[label] if names else label for label in self.labels]
        pictures.grid(path, images, title, captions, self.columns)


class Scatter(Frames):
    """Points of the plane that the model makes, over those that it learns from.

    Args:
        folder: The folder for the pictures and the film; see `Frames`.
        data: (samples, 2), floating: the real points.
        count: Generated points.
        seed, every, film: As of `Frames`.

    Raises:
        ValueError: As of `Frames`; or `data` are no points of the plane.
    """

    def __init__(self, folder, data, count=500, seed=0, every=1, film="film.gif"):
        super().__init__(folder, seed, every, film)
        if np.ndim(data) != 2 or np.shape(data)[1] != 2:
            raise ValueError(f"data must have shape (samples, 2), got {np.shape(data)}.")
        self.data = data
        self.count = count

    def draw(self, path, title):
        pictures.scatter(path, self.data, self.model.sample(self.count, seed=self.seed), title)


def check_sampler(callback, model):
    """Refuse a model that makes nothing."""
    if not callable(getattr(model, "sample", None)):
        raise ValueError(
            f"{type(callback).__name__} needs a model that has a method `sample`; {model.name} has none."
        )
