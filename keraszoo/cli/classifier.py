"""A saved classifier, and what it says of files."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from keraszoo.cli.common import note
from keraszoo.cli.meaning import gives_values, meaning
from keraszoo.data.folder import ENDINGS
from keraszoo.data.images import fitted
from keraszoo.tasks import TASKS, Game, Reconstruction
from keraszoo.training import checks

BATCH = 32
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)  # what readers raise


class Classifier:
    """A model that scores classes or gives numbers, as `keraszoo.build` made it.

    Args:
        model: The model.
        path: The file that it comes from, for messages.

    Raises:
        ValueError: The model is none of those.

    Attributes:
        class_names: Names of the classes, their numbers where they have no names; None of a model that gives numbers.
        failed: Whether a file could not be answered.
    """

    def __init__(self, model, path):
        self.model = model
        card, shape = getattr(self.model, "card", {}), self.model.output_shape
        task = TASKS.get(card.get("task"))
        flat = isinstance(shape, tuple) and len(shape) == 2
        if task is None or isinstance(task, (Game, Reconstruction)) or not flat:
            raise ValueError(f"{str(path)!r} does not hold a classifier made by keraszoo.build.")
        self.class_names = card["class_names"] or [str(i) for i in range(shape[-1])]
        if gives_values(model):
            self.class_names = None
        self.prepares = card["preprocessing"]
        self.failed = False
        self.noted = set()

    def answers(self, inputs):
        """A name and the probabilities of the classes, or the numbers, for each image and each row of an array."""
        most = 1 if None in self.model.input_shape[1:] else BATCH  # images of different sizes do not stack
        waiting = []
        for sample in self.samples(inputs):
            waiting.append(sample)
            if len(waiting) == most:
                yield from self.scored(waiting)
                waiting = []
        if waiting:
            yield from self.scored(waiting)

    def scored(self, samples):
        """`answers` for these names and inputs, in one batch."""
        names, values = zip(*samples, strict=True)
        outputs = self.model.predict(np.stack(values), batch_size=len(values), verbose=0)
        return zip(names, meaning(self.model, outputs), strict=True)

    def samples(self, inputs):
        """A name and an input of the model for each; a file that has none is named on standard error."""
        for path in map(Path, inputs):
            files = [path]
            if path.is_dir():
                files = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
                if not files:
                    self.refuse(path, "there are no images in this folder.")
            for file in files:
                try:
                    found = list(self.rows(file) if file.suffix == ".npy" else self.image(file))
                except UNREADABLE as error:
                    self.refuse(file, error)
                else:
                    yield from found

    def rows(self, file):
        """The rows of a NumPy array, taken as they are."""
        array = np.load(file, allow_pickle=False)
        if array.ndim == len(self.model.input_shape) - 1:
            array = array[None]
        checks.check_inputs(self.model, array)
        for i, row in enumerate(array):
            yield f"{file}[{i}]", row

    def image(self, file):
        """An image as the model takes it."""
        takes = self.model.input_shape[1:]
        if len(takes) != 3 or takes[2] not in (1, 3):
            raise ValueError(
                f"{self.model.name} takes {checks.shown((None, *takes))}, no images: give a .npy array."
            )
        height, width, channels = takes
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith(
                "I;16"
            ):  # Pillow itself would make all but the darkest 255 of these white
                image = Image.fromarray((np.asarray(image) // 257).astype("uint8"))
            if (image.mode in ("1", "L", "LA")) != (channels == 1):
                self.note_once("Colours become grey." if channels == 1 else "Grey images become RGB.")
            size = height or image.height, width or image.width
            if (image.height, image.width) != size:
                self.note_once(f"Images are scaled and cut to {size[0]}x{size[1]} pixels (height x width).")
            image = fitted(image, size, channels)
        if not self.prepares:
            self.note_once(
                "The model has no preprocessing of its own: pixels are scaled from 0..255 to [0, 1]."
            )
            image = image.astype("float32") / 255
        yield str(file), image

    def note_once(self, text):
        if text not in self.noted:
            self.noted.add(text)
            note(text)

    def refuse(self, file, why):
        """Say why a file gets no answer."""
        self.failed = True
        note(f"{file}: {why}")
