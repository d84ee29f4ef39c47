"""What a saved model that reads says of texts."""

from pathlib import Path

import numpy as np

from keraszoo.cli.meaning import gives_values, meaning
from keraszoo.text import read
from keraszoo.text.tokenizer import words_of

CLASSES, TAGS = "classes", "tags"  # of a text, of each of its tokens
VALUES, STEPS = "values", "steps"  # numbers for a text, for each of its tokens
WORDS = "words"  # that mean the like
TEXT = "text"  # another text
IN_PYTHON = {"question_answering": "answer(question, context)", "text_encoding": "features(texts)"}


class Reader:
    """A model with a vocabulary, as `keraszoo.build` made it.

    Args:
        model: The model.

    Attributes:
        class_names: Names of the classes; their numbers where they have no names.
    """

    def __init__(self, model):
        self.model = model
        self.class_names = model.card.get("class_names")

    def answers(self, inputs, count=5):
        """A name, a kind and an answer for each text.

        Args:
            inputs: Texts, or files with a text in each line.
            count: Words that mean the like, at most.

        Yields:
            The text; what the answer is; and the answer: probabilities for CLASSES, numbers for VALUES, pairs of a
            token and these for TAGS and STEPS, pairs of a word and a cosine for WORDS, a string for TEXT.
        """
        texts = [text for given in inputs for text in texts_in(given)]
        if hasattr(self.model, "nearest"):
            yield from ((text, WORDS, self.model.nearest(text, count)) for text in texts)
            return
        for verb in ("translate", "generate"):
            if hasattr(self.model, verb):
                yield from zip(texts, [TEXT] * len(texts), getattr(self.model, verb)(texts), strict=True)
                return
        task = self.model.card.get("task")
        if task in ("masked_language_modeling", "next_sentence_prediction"):
            yield from ((text, TEXT, filled(self.model, text)) for text in texts)
            return
        if task in IN_PYTHON:
            raise ValueError(f"A model for {task} is asked in Python: keraszoo.load(FILE).{IN_PYTHON[task]}.")
        for text, said in zip(texts, self.model.predict(texts, verbose=0), strict=True):
            found = meaning(self.model, said)
            self.class_names = self.class_names or [str(i) for i in range(found.shape[-1])]
            if np.ndim(found) == 1:
                yield text, (VALUES if gives_values(self.model) else CLASSES), found
            else:
                tokenizer = self.model.tokenizer
                by_word = tokenizer.kind == "given" or task == "token_classification"
                tokens = words_of(text) if by_word else tokenizer.split(text)
                pairs = list(zip(tokens, found, strict=False))
                yield text, (STEPS if gives_values(self.model) else TAGS), pairs


def filled(model, text):
    """A text with the likeliest words in its blanks, each "[MASK]"."""
    found, *rest = text.split("[MASK]")
    for (guess,), after in zip(model.fill(text, 1), rest, strict=True):
        found = found.rstrip() + guess.text[2:] if guess.text.startswith("##") else found + guess.text
        found += after
    return found


def texts_in(given):
    """The lines of a file, or the text itself where there is no such file."""
    path = Path(given)
    try:
        held = path.is_file()
    except OSError:  # too long for a name
        held = False
    return [line for line in read(path).splitlines() if line.strip()] if held else [str(given)]
