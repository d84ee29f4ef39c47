"""What a saved model that reads says of texts."""

from pathlib import Path

import numpy as np

from keraszoo.tasks import TASKS
from keraszoo.text import read
from keraszoo.text.tokenizer import words_of

CLASSES = "classes"  # of a text
TAGS = "tags"  # of each token
TEXT = "text"  # another text


class Reader:
    """A model with a vocabulary, as `keraszoo.build` made it.

    Args:
        model: The model.

    Attributes:
        class_names: Names of the classes; their numbers where they have no names.
    """

    def __init__(self, model):
        self.model = model
        self.task = TASKS.get(model.card.get("task"))
        self.class_names = model.card.get("class_names")

    def answers(self, inputs):
        """A name, a kind and an answer for each text.

        Args:
            inputs: Texts, or files with a text in each line.

        Yields:
            The text; CLASSES, TAGS or TEXT; and class probabilities, (token, probabilities) pairs, or a text.
        """
        texts = [text for given in inputs for text in texts_in(given)]
        for verb in ("translate", "generate"):
            if hasattr(self.model, verb):
                yield from zip(texts, [TEXT] * len(texts), getattr(self.model, verb)(texts), strict=True)
                return
        for text, said in zip(texts, self.model.predict(texts, verbose=0), strict=True):
            shares = self.task.probabilities(said)
            self.class_names = self.class_names or [str(i) for i in range(shares.shape[-1])]
            if np.ndim(shares) == 1:
                yield text, CLASSES, shares
            else:
                tokenizer = self.model.tokenizer
                tokens = words_of(text) if tokenizer.kind == "given" else tokenizer.split(text)
                yield text, TAGS, list(zip(tokens, shares, strict=False))


def texts_in(given):
    """The lines of a file, or the text itself where there is no such file."""
    path = Path(given)
    try:
        held = path.is_file()
    except OSError:  # too long for a name
        held = False
    return [line for line in read(path).splitlines() if line.strip()] if held else [str(given)]
