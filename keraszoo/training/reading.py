"""What a model adds that reads text: strings become token numbers before Keras sees them.

Strings cannot enter a graph of JAX or torch, so a model that was built with `vocabulary=` keeps its tokenizer
beside its weights, in memory and in its file.
"""

import warnings
from pathlib import Path

import numpy as np

from keraszoo.text.categories import Categories
from keraszoo.text.sequences import padded
from keraszoo.text.tokenizer import Tokenizer, check_texts
from keraszoo.training.bucketed import Bucketed

TOKENIZERS = "tokenizer_{}.json"


class Reading:
    """A mixin of `Fitting`.

    Attributes:
        tokenizers: Tuple of the tokenizers that the model reads and writes with; empty if it reads no text.
    """

    @property
    def tokenizers(self):
        return self.__dict__.get("_tokenizers", ())

    @tokenizers.setter
    def tokenizers(self, tokenizers):
        object.__setattr__(self, "_tokenizers", tuple(tokenizers))  # not for Keras to track

    @property
    def tokenizer(self):
        """What the model reads with, or None."""
        return self.tokenizers[0] if self.tokenizers else None

    def is_text(self, x):
        """Whether `x` is raw text: strings, or lists of words, in a list, a tuple or an array.

        Raises:
            ValueError: It is, and the model cannot read.
        """
        if isinstance(x, str):
            found = True
        elif isinstance(x, np.ndarray):
            found = x.dtype.kind == "U" or (x.dtype == object and x.size and isinstance(x.flat[0], str))
        else:
            first = x[0] if isinstance(x, (list, tuple)) and len(x) else None
            inner = first[0] if isinstance(first, (list, tuple)) and len(first) else None
            found = isinstance(first, (str, bytes)) or isinstance(inner, str)
        if found and not self.tokenizers:
            raise ValueError(
                f"x must hold numbers, got text: {self.name} was built without a vocabulary. Models for text take "
                "keraszoo.build(..., vocabulary=keraszoo.text.Tokenizer.learn(texts))."
            )
        return bool(found)

    def read(self, x, y=None, sample_weight=None, **batching):
        """Texts, and what they are labelled with, as batches for `fit`.

        Args:
            x: Strings, or lists of words.
            y: Class numbers or names, one for each text; or a list of those for each text, one for each of its
                tokens; or None.
            sample_weight: (count,), or None.
            **batching: Of `Bucketed`: `batch_size`, `shuffle`, `seed` and so on.

        Returns:
            A `Bucketed` data set.

        Raises:
            ValueError: There is no text, a text is empty, no token of any text is known, a name is not that of a
                class, or a text and its labels differ in length.
        """
        sequences = self.encode(x)
        y = self.labels(y, sequences)
        found = Bucketed(
            sequences, y, sample_weight, length=self.fixed_length, pad=self.tokenizer.pad, **batching
        )
        for start in range(0, found.count, 256):  # all of it is at hand
            self.check_batch(*in_three(found.take(np.arange(start, min(start + 256, found.count)))))
        return found

    def encode(self, texts, name="x", tokenizer=None):
        """Token numbers of texts: a list of int32 arrays, as the model takes them but for padding.

        Args:
            texts: Strings, or lists of words.
            name: What they are called, for messages.
            tokenizer: Of another language than the one that is read; nothing is cut off then.

        Raises:
            ValueError: As of `read`.
        """
        reader = tokenizer or self.tokenizer
        texts = check_texts(name, texts, words=reader.kind == "given")
        found = reader.encode_many(texts)
        for i, numbers in enumerate(found):
            if not len(numbers):
                raise ValueError(f"{name}[{i}] is empty: there is nothing to read in {texts[i]!r}.")
        lost = [i for i, numbers in enumerate(found) if (numbers == reader.unknown).all()]
        if lost and len(lost) == len(found):
            raise ValueError(
                f"{name} holds only tokens that {self.name} does not know, such as {texts[lost[0]][:3]!r}: is this the "
                "language, and the kind of text, that its vocabulary was learned from?"
            )
        if lost:
            warnings.warn(
                f"{len(lost)} of {len(found)} texts hold no known token, the first is {name}[{lost[0]}].",
                stacklevel=4,
            )
        return self.fitted(found, name) if tokenizer is None else found

    @property
    def fixed_length(self):
        """Steps that the model takes, or None for any number."""
        shape = self.input_shape
        return shape[1] if isinstance(shape, tuple) and len(shape) > 1 else None

    @property
    def most_tokens(self):
        """Tokens of a text that the model reads at most, or None."""
        return self.fixed_length or self.card.get("max_length")

    def fitted(self, sequences, name):
        """Sequences cut to the most tokens that the model reads.

        Raises:
            ValueError: One is longer, and the model was built with `too_long="refuse"`.
        """
        self.warn_of_long([len(sequence) for sequence in sequences], name)
        return [sequence[: self.most_tokens] for sequence in sequences]

    def warn_of_long(self, lengths, name):
        """Warn of texts that are cut, or refuse them, as the model was built to do."""
        most = self.most_tokens
        long = [i for i, length in enumerate(lengths) if most and length > most]
        if long and self.card.get("too_long") == "refuse":
            raise ValueError(
                f"{name}[{long[0]}] has {lengths[long[0]]} tokens; {self.name} reads {most} at most, and was built with "
                'too_long="refuse".'
            )
        if long:
            warnings.warn(
                f"{len(long)} of {len(lengths)} texts have more than {most} tokens; what comes after is cut off.",
                stacklevel=6,
            )

    def labels(self, y, sequences):
        """Labels as numbers: an array, or a list of arrays where each token has one.

        Args:
            y: As of `read`.
            sequences: What is labelled: a list as long as `y`, or None where no token has a label of its own.

        Raises:
            ValueError: A name is not that of a class, or a text and its labels differ in length.
        """
        if y is None or isinstance(y, np.ndarray) and y.dtype.kind in "iufb":
            return y
        y = list(y)
        if not y or isinstance(y[0], (str, np.str_)):
            return self.categories().encode(y)
        if not isinstance(y[0], (list, tuple, np.ndarray)):
            return np.asarray(y)
        if sequences is None:
            raise ValueError(f"y must hold one label for each sample, got {type(y[0]).__name__} in y[0].")
        if len(y) != len(sequences):
            raise ValueError(f"x and y must have as many samples: x has {len(sequences)}, y has {len(y)}.")
        found = []
        for i, (tags, sequence) in enumerate(zip(y, sequences, strict=True)):
            if len(tags) < len(sequence) or (len(tags) > len(sequence) and len(sequence) != self.most_tokens):
                raise ValueError(
                    f"y[{i}] has {len(tags)} labels for {len(sequence)} tokens of x[{i}]. (Lists of words, and a "
                    'vocabulary of kind "given", keep words as they are.)'
                )
            tags = tags[: len(sequence)]
            names = len(tags) and isinstance(tags[0], str)
            found.append(self.categories().encode(tags, f"y[{i}]") if names else np.asarray(tags, "int32"))
        return found

    def categories(self):
        """The names of the model's classes.

        Raises:
            ValueError: It has none.
        """
        if not self.card.get("class_names"):
            raise ValueError(
                f"y holds names, but {self.name} was built without class_names: keraszoo.build(..., class_names=[...])."
            )
        return Categories(self.card["class_names"])

    def answers(self, x, predict, batch_size=None):
        """What the model says of texts.

        Args:
            x: Texts.
            predict: A function from an array of token numbers to what the model says of them.
            batch_size: Texts at a time.

        Returns:
            An array with a row for each text; or, where each token has an answer, a list of arrays (tokens, ...).
        """
        sequences = self.encode(x)
        data = Bucketed(sequences, batch_size=batch_size or 32, length=self.fixed_length)
        found = [None] * data.count
        by_length = {}
        for rows in data.plan:
            by_length.setdefault(data.length(rows), []).extend(rows)
        for length, rows in by_length.items():
            outputs = predict(padded([sequences[i] for i in rows], length, value=self.tokenizer.pad))
            stepwise = outputs.ndim > 2 and outputs.shape[1] == length
            for i, output in zip(rows, outputs, strict=True):
                found[i] = output[: len(sequences[i])] if stepwise else output
        return found if stepwise else np.stack(found)

    def save_tokenizers(self, folder):
        """Write the tokenizers into the file."""
        for i, tokenizer in enumerate(self.tokenizers):
            (Path(folder) / TOKENIZERS.format(i)).write_text(tokenizer.to_json(), encoding="utf-8")

    def load_tokenizers(self, folder):
        """Read the tokenizers from the file."""
        files = sorted(Path(folder).glob(TOKENIZERS.format("*")))
        self.tokenizers = [Tokenizer.from_json(file.read_text(encoding="utf-8")) for file in files]


def in_three(batch):
    """A batch as `x, y, sample_weight`."""
    return batch if isinstance(batch, tuple) else (batch, None, None)
