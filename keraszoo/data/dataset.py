"""The record of a data set: its parts, and what describes them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keraszoo.text.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set, as `keraszoo.data.load` returns it. Prints as a card.

    Each part is a pair `(x, y)` of NumPy arrays, for `model.fit(*data.train)`, or a
    `keras.utils.PyDataset` of such batches, for `model.fit(data.train)`, or None where there is none.

    Attributes:
        name: What it was loaded by.
        task: What `y` is: "image_classification" (int32 class numbers, (count,)),
            "multi_label_classification" (float32 zeros and ones, (count, classes)),
            "image_segmentation" (int32 class numbers, (count, height, width)),
            "image_translation" (uint8 images, what becomes of those in `x`),
            "unpaired_image_translation" (uint8 images of another kind than `x`),
            "images" (None, or what `note` says), "points" (None), "forecasting" (float32, (count, 1), the next value),
            "text_classification" (int32 class numbers, (count,)), "text_tagging" (a list of int32
            class numbers, an array for each text), "tree_classification" (None: the classes are in the trees),
            "translation" (a list of texts), "language_modeling" (None),
            "question_answering" (pairs of the character of a context where the answer begins, and the answer),
            "view_synthesis" (a `Scene`, whose parts are `Views`).
        train: The part to learn from. `x` is uint8, (count, height, width, channels); points are
            float32, (count, dimensions); series are float32, (count, steps, 1); texts are a list of strings or of
            lists of words, trees a list of strings in brackets, and language modeling takes one string.
        validation: The part to choose by.
        test: The part to judge by, once.
        class_names: Names of the classes, in the order of their numbers.
        value_range: Least and greatest value that `x` may have; None for text.
        source: Where it comes from.
        licence: What may be done with it. It says so where commercial use is not allowed or unclear.
        citation: Whom to cite.
        note: What else one should know.
    """

    name: str
    task: str
    train: Any
    validation: Any = None
    test: Any = None
    class_names: tuple | None = None
    value_range: tuple | None = (0, 255)
    source: str = ""
    licence: str = ""
    citation: str = ""
    note: str = ""
    recipe: Callable[[], list] = field(default=list)  # layers that suit the set in training
    tokens: tuple[dict, ...] = ()  # arguments of `Tokenizer.learn` that suit the texts in `x`, and in `y`

    @property
    def input_shape(self):
        """Shape of one input, without the batch: (height, width, channels), (dimensions,), or (None,) for text."""
        if self.value_range is None:
            return (None,)
        x = self.train[0]  # the array of a pair, or the first batch of a `PyDataset`
        return tuple((x[0] if isinstance(x, tuple) else x).shape[1:])

    @property
    def running(self):
        """Whether each part is one running text."""
        return isinstance(self.train, tuple) and isinstance(self.train[0], str)

    @property
    def num_classes(self):
        """Number of classes, or None."""
        return None if self.class_names is None else len(self.class_names)

    def augmentation(self):
        """Fresh Keras layers that vary the training images as suits this set; often none.

        They go to the front of a model, before or behind its preprocessing, and act in training only.
        """
        return self.recipe()

    def vocabulary(self, size=None):
        """A `keraszoo.text.Tokenizer` learned from the training texts, of the kind that suits them.

        Args:
            size: Tokens at most; all by default.

        Returns:
            One tokenizer; for translation two, for `x` and for `y`, in a tuple.

        Raises:
            ValueError: The set holds no text.
        """
        if not self.tokens:
            raise ValueError(f"{self.name} holds no text to learn a vocabulary from.")
        texts = ([self.train[0]],) if self.running else self.train
        found = [
            Tokenizer.learn(part, size=size, **how) for part, how in zip(texts, self.tokens, strict=False)
        ]
        return tuple(found) if len(found) > 1 else found[0]

    def __repr__(self):
        parts = [(part, getattr(self, part)) for part in ("train", "validation", "test")]
        lines = [(part, contents(data)) for part, data in parts if data is not None]
        if self.value_range is None:
            first = self.train[0] if self.running else as_text(self.train[0][0])
            lines += [("input", f"text, such as {first[:60]!r}")]
        else:
            lines += [("input", f"{self.input_shape}, values {self.value_range[0]} to {self.value_range[1]}")]
        if self.class_names is not None:
            shown = ", ".join(self.class_names[:10]) + (", ..." if self.num_classes > 10 else "")
            lines += [("classes", f"{self.num_classes}: {shown}")]
        about = ("source", "licence", "citation", "note")
        lines += [(key, getattr(self, key)) for key in about if getattr(self, key)]
        return "\n".join(
            [f"{self.name}: {self.task.replace('_', ' ')}", *(f"  {k:<11}{v}" for k, v in lines)]
        )


def contents(data):
    """'1437 samples', or how many batches."""
    if isinstance(data, tuple):
        return f"{len(data[0]):,} characters" if isinstance(data[0], str) else f"{len(data[0])} samples"
    return f"{data.count} samples in batches of {data.batch_size}"


def as_text(text):
    """A text, given as a string or a list of words."""
    return text if isinstance(text, str) else " ".join(text)


def divided(dataset, share):
    """A data set of arrays, with a share of its training part set apart for validation."""
    if not share:
        return dataset
    if hasattr(dataset.train, "divided"):  # views of a scene
        if dataset.validation is not None:
            raise ValueError(
                f"{dataset.name} has a validation part of its own: leave validation={share} out."
            )
        learn, choose = dataset.train.divided(share)
        return dataclasses.replace(dataset, train=learn, validation=choose)
    x, y = dataset.train
    if dataset.running:
        edge = round(len(x) * (1 - share))
        return dataclasses.replace(dataset, train=(x[:edge], None), validation=(x[edge:], None))
    strata = y if dataset.task in ("image_classification", "text_classification") else None
    learn, choose = divide(len(x), share, strata)

    def part(rows):
        return tuple(
            [v[i] for i in rows] if isinstance(v, list) else None if v is None else v[rows] for v in (x, y)
        )

    return dataclasses.replace(dataset, train=part(learn), validation=part(choose))


def divide(count, share, labels=None):
    """Rows to learn from and rows to choose by, both in ascending order; stratified by labels."""
    from sklearn.model_selection import train_test_split

    try:
        rows = train_test_split(np.arange(count), test_size=share, stratify=labels, random_state=0)
    except ValueError as error:
        raise ValueError(f"{share} of {count} samples cannot be set apart: {error}") from error
    return tuple(np.sort(part) for part in rows)
