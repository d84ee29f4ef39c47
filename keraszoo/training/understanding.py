"""What models for understanding texts add: texts and pairs of them are read with special tokens around them.

What such a model answers depends on its task; see `keraszoo.models.bert.BERT`.
"""

import keras
import numpy as np
from keras import ops

from keraszoo.text.sequences import padded
from keraszoo.text.tokenizer import check_texts, words_of
from keraszoo.training import checks
from keraszoo.training.blanks import Blanks, FollowUps, Rows
from keraszoo.training.reading import in_three
from keraszoo.training.spans import covered, place, windows

MASKED, NEXT = "masked_language_modeling", "next_sentence_prediction"
CLASSES, TAGS = "text_classification", "token_classification"
SPANS, ENCODING = "question_answering", "text_encoding"
BY_TOKEN = ("tokens", "features", "start", "end")  # outputs with a row for each token
WANTED = {  # what y is
    MASKED: "the tokens that belong in the blanks, (count, time), or a vocabulary, and no y",
    NEXT: "0 for each pair whose second text follows the first and 1 for the others, or documents, and no y",
    CLASSES: "a class for each text",
    TAGS: "a class for each token",
    SPANS: "where the answers are: for texts, pairs of the character where it begins and the answer",
}


class TextUnderstanding:
    """A mixin in front of `Network`, for a model from token numbers, (batch, time), that has a layer "marks".

    Attributes:
        task: What it was built for.
    """

    @property
    def task(self):
        return self.card.get("task", MASKED)

    @property
    def padding(self):
        """The number of the padding token."""
        return self.get_layer("marks").padding

    @property
    def most_tokens(self):
        """Tokens that the model reads at most, those around the texts among them."""
        asked = self.fixed_length or self.card.get("max_length")
        return min(filter(None, (asked, self.get_layer("embedding").max_length)))

    @property
    def around(self):
        """The numbers of the tokens before and behind a text.

        Raises:
            ValueError: There are none.
        """
        reader = self.tokenizer
        if reader is None or None in (reader.start, reader.end):
            raise ValueError(
                f"{self.name} reads texts with a start token before and an end token behind them, and "
                f"{'its vocabulary has none' if reader else 'was built without a vocabulary'}: "
                "keraszoo.build(..., vocabulary=keraszoo.text.Tokenizer.learn(texts, mask=True))."
            )
        return reader.start, reader.end

    def refuse_unless(self, verb, *tasks):
        """Raise a ValueError if the model was not built for one of these tasks."""
        if self.task not in tasks:
            raise ValueError(
                f"{verb} needs a model for {' or '.join(tasks)}; {self.name} was built for {self.task}: "
                f"keraszoo.build(..., task={tasks[0]!r}), or model.for_task({tasks[0]!r}), has what it takes."
            )

    # From texts to token numbers

    def is_text(self, x):
        """Whether `x` is text, as of `Reading`; or a list of token numbers, of as many arrays of different lengths."""
        first = x[0] if isinstance(x, list) and x else None
        if isinstance(first, np.ndarray) and first.ndim == 1 and first.dtype.kind in "iu":
            return True
        return super().is_text(x)

    def encode(self, texts, name="x", tokenizer=None):
        """Token numbers of texts with the tokens around them, a list of int32 arrays. Long texts lose what is in front of their end token.

        Args:
            texts: Strings, or pairs of strings as tuples; lists of words where the model takes those.
            name: What they are called, for messages.
            tokenizer: As of `Reading.encode`, which then does it.

        Raises:
            ValueError: As of `Reading.encode`; or a tuple holds no two strings.
        """
        if tokenizer is not None:
            return super().encode(texts, name, tokenizer)
        if isinstance(texts, list) and texts and isinstance(texts[0], np.ndarray):
            return texts
        if self.task == TAGS:
            return self.tagged(texts, name)[0]
        around, pairs = self.around, self.pairs(texts, name)
        encode = super().encode
        parts = [[found] for found in encode([pair[0] for pair in pairs], name, self.tokenizer)]
        if second := [i for i, pair in enumerate(pairs) if len(pair) == 2]:
            texts = [pairs[i][1] for i in second]
            for i, found in zip(
                second, encode(texts, f"second texts of {name}", self.tokenizer), strict=True
            ):
                parts[i].append(found)
        self.warn_of_long([sum(map(len, row)) + len(row) + 1 for row in parts], name)
        return [self.wrapped(around, *row) for row in parts]

    def pairs(self, texts, name):
        """Texts as tuples of one, pairs of texts as tuples of two."""
        if isinstance(texts, (str, bytes)):
            check_texts(name, texts)
        texts = list(texts)
        for i, text in enumerate(texts):
            if isinstance(text, tuple) and not (
                len(text) == 2 and all(isinstance(side, str) for side in text)
            ):
                raise ValueError(f"{name}[{i}] must be a text or a pair of texts, got {text!r:.60}.")
        return [text if isinstance(text, tuple) else (text,) for text in texts]

    def wrapped(self, around, *parts):
        """Token numbers of one text or two with the tokens around them; what is too much is cut from the longer one."""
        start, end = around
        room = self.most_tokens - 1 - len(parts)
        sizes = [len(part) for part in parts]
        behind = sum(sizes[1:])
        sizes[0] = min(sizes[0], max(room - behind, room - room // 2 if behind else 0))
        sizes[1:] = [min(size, room - sizes[0]) for size in sizes[1:]]
        pieces = [v for part, size in zip(parts, sizes, strict=True) for v in (part[:size], [end])]
        return np.concatenate([[start], *pieces]).astype("int32")

    def tagged(self, texts, name="x"):
        """Words as token numbers: a list of sequences, and for each the places of the first tokens of its words.

        Args:
            texts: Lists of words; strings fall into words and marks of punctuation.
            name: What they are called, for messages.
        """
        start, end = self.around
        texts = [words_of(t) if isinstance(t, str) else list(t) for t in check_texts(name, texts, words=True)]
        if empty := [i for i, words in enumerate(texts) if not words]:
            raise ValueError(f"{name}[{empty[0]}] is empty: there is nothing to read.")
        reader = self.tokenizer
        every = [word for words in texts for word in words]
        pieces = iter(reader.encode_many([[word] for word in every] if reader.kind == "given" else every))
        sequences, firsts = [], []
        for words in texts:
            numbers = [
                found if len(found) else [reader.unknown] for _, found in zip(words, pieces, strict=False)
            ]
            sizes = [len(found) for found in numbers]
            sequences.append(np.concatenate([[start], *numbers, [end]]).astype("int32"))
            firsts.append(np.cumsum([1, *sizes[:-1]]))
        most = self.most_tokens
        self.warn_of_long([len(sequence) for sequence in sequences], name)
        cut = [np.append(s[: most - 1], end).astype("int32") if len(s) > most else s for s in sequences]
        return cut, [places[places < most - 1] for places in firsts]

    def sequences(self, texts, name="x"):
        """Token numbers of texts, or of the rows of an array, a list of int32 arrays without padding."""
        if self.is_text(texts):
            return self.encode(texts, name)
        self.check_inputs(texts)
        return [
            row[: 1 + np.flatnonzero(row != self.padding)[-1]] for row in checks.array(texts).astype("int32")
        ]

    def tokens_of(self, sequence):
        """The tokens of a sequence; its numbers, if there is no vocabulary."""
        return [self.tokenizer.readable(n) for n in sequence] if self.tokenizer else sequence.tolist()

    # To batches

    def fit(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.fit`, on texts, pairs of texts, or token numbers; `y` as the task has it.

        Raises:
            ValueError: As of `keraszoo.training.fitting.Fitting.fit`; or `y` is not what the task needs.
        """
        return super().fit(self.to_hide(x, y), y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.evaluate`, on what `fit` takes. Blanks are the same at each call."""
        return super().evaluate(self.to_hide(x, y), y, *args, **kwargs)

    def to_hide(self, x, y=None):
        """`x`; if it is an array of tokens that are to be hidden here, a list of its rows."""
        if self.task == MASKED and y is None and isinstance(x, np.ndarray) and x.dtype.kind in "iu":
            return self.sequences(x)
        return x

    def checked(self, data, prefix="", batch_size=None):
        """As of `Fitting`; texts alone stand for texts without `y`."""
        if isinstance(data, (list, np.ndarray)) and not isinstance(data, tuple):
            data = (data, None)
        if isinstance(data, tuple) and data:
            data = (self.to_hide(*data[:2]), *data[1:])
        return super().checked(data, prefix, batch_size)

    def read(self, x, y=None, sample_weight=None, **batching):
        """Texts, and what they are labelled with, as batches for `fit`.

        Args:
            x: Texts, as the task has them.
            y: See the class.
            sample_weight: (count,), or None.
            **batching: Of `Bucketed`: `batch_size`, `shuffle`, `seed` and so on. Without a seed, blanks are always the same.

        Returns:
            A data set of batches.

        Raises:
            ValueError: As of `Reading.read`.
        """
        batching |= dict(length=self.fixed_length, pad=self.padding, most=self.most_tokens)
        if self.task in (MASKED, NEXT) and (self.task == NEXT or y is None):
            return self.with_blanks(x, y, sample_weight, batching)
        if y is None or self.task == ENCODING:
            self.check_batch(None, None)
        readers = {TAGS: self.read_tags, SPANS: self.read_spans}
        if self.task == MASKED:
            raise ValueError("y: the blanks of texts are drawn here. Give no y, or x and y as token numbers.")
        if self.task in readers:
            found = readers[self.task](x, y, sample_weight, batching)
        else:
            found = Rows(self.encode(x), self.labels(y, None), sample_weight, **batching)
        for start in range(0, found.count, 256):  # all of it is at hand
            self.check_batch(*in_three(found.take(np.arange(start, min(start + 256, found.count)))))
        return found

    def with_blanks(self, x, y, sample_weight, batching):
        """Texts, or documents, with blanks."""
        reader, around = self.tokenizer, self.around
        if reader.mask is None:
            raise ValueError(
                f"{self.name} hides tokens behind a mask token, which its vocabulary has not: "
                "keraszoo.text.Tokenizer.learn(texts, mask=True)."
            )
        _ = self.filling  # made before a step is traced
        batching |= dict(tokenizer=reader, again=batching.get("seed") is not None)
        batching["seed"] = batching.get("seed") or 0
        if self.task == NEXT and y is None:
            if sample_weight is not None:
                raise ValueError(
                    "Pairs are drawn from documents, so there is nothing to weigh: give no sample_weight."
                )
            return FollowUps(self.documents(x), lambda *pair: self.wrapped(around, *pair), **batching)
        if y is not None:
            y = checks.array(self.labels(y, None))
            checks.check_labels("y", y, len(x), 2)
        return Blanks(self.encode(x), y, sample_weight, **batching)

    def documents(self, documents):
        """Lists of sentences as lists of token numbers.

        Raises:
            ValueError: They are none, or no pairs can be made of them.
        """
        if not all(isinstance(part, (list, tuple)) and not isinstance(part, str) for part in documents):
            raise ValueError(
                "x must be documents, each a list of sentences, or pairs of texts with y: 0 where the second follows the "
                f"first, else 1; got {type(documents[0]).__name__} in x[0]."
            )
        found = [
            super(TextUnderstanding, self).encode(part, f"x[{i}]", self.tokenizer) if len(part) else []
            for i, part in enumerate(documents)
        ]
        found = [part for part in found if part]
        if len(found) < 2 or max(map(len, found)) < 2:
            raise ValueError(
                f"x must hold at least two documents, one of them with two sentences, got {len(found)}: the second "
                "sentence of a pair is the next one, or one of another document."
            )
        return found

    def read_tags(self, x, y, sample_weight, batching):
        """Words with a tag for each; what is not the first token of a word does not count."""
        texts = [words_of(t) if isinstance(t, str) else list(t) for t in check_texts("x", x, words=True)]
        if len(y) != len(texts):
            raise ValueError(f"x and y must have as many samples: x has {len(texts)}, y has {len(y)}.")
        sequences, firsts = self.tagged(texts)
        labels, weights = [], []
        for i, (tags, words, places, sequence) in enumerate(zip(y, texts, firsts, sequences, strict=True)):
            if isinstance(tags, str) or len(tags) != len(words):
                raise ValueError(f"y[{i}] has {len(tags)} labels for {len(words)} words of x[{i}].")
            if isinstance(tags[0], str):
                tags = self.categories().encode(tags, f"y[{i}]")
            labels.append(np.zeros(len(sequence), "int32"))
            labels[-1][places] = np.asarray(tags)[: len(places)]
            weights.append(np.zeros(len(sequence)))
            weights[-1][places] = 1
        return Rows(sequences, labels, sample_weight, weights, **batching)

    def read_spans(self, x, y, sample_weight, batching):
        """Questions with contexts; a context that is too long falls into windows."""
        if len(y) != len(x):
            raise ValueError(f"x and y must have as many samples: x has {len(x)}, y has {len(y)}.")
        questions = self.windows(x)
        tokens, places, sources = [], [], []
        for i, ((_, context), answer, (found, spans)) in enumerate(zip(x, y, questions, strict=True)):
            at = None
            if answer is not None:
                start, text = spanned(answer, context, i)
                at = covered(spans, start, start + len(text))
            for window in found:
                tokens.append(window.tokens)
                places.append(place(window, at))
                sources.append(i)
        weight = None if sample_weight is None else np.asarray(sample_weight)[sources]
        return Rows(tokens, np.array(places, "int32"), weight, heads=("start", "end"), **batching)

    def windows(self, pairs, name="x"):
        """For each question with its context, a list of `Window`s, and where the context's tokens stand in it.

        Raises:
            ValueError: They are no such pairs, one is empty, or a question leaves no room for a context.
        """
        start, end = self.around
        for i, pair in enumerate(self.pairs(pairs, name)):
            if len(pair) != 2:
                raise ValueError(f"{name}[{i}] must be a pair (question, context), got {pair[0]!r:.60}.")
        questions = super().encode([question for question, _ in pairs], name, self.tokenizer)
        contexts = self.tokenizer.encode_spans([context for _, context in pairs])
        found = []
        for i, (question, (context, spans)) in enumerate(zip(questions, contexts, strict=True)):
            if not len(context):
                raise ValueError(f"{name}[{i}] has an empty context: there is nothing to find an answer in.")
            pieces = windows(question, context, start, end, self.most_tokens)
            if pieces is None:
                raise ValueError(
                    f"{name}[{i}]: the question has {len(question)} tokens, which leave no room for a context: "
                    f"{self.name} reads {self.most_tokens} in all."
                )
            if len(pieces) > 1 and self.card.get("too_long") == "refuse":
                raise ValueError(
                    f"{name}[{i}] has {len(question) + len(context) + 3} tokens; {self.name} reads {self.most_tokens} "
                    'at most, and was built with too_long="refuse".'
                )
            found.append((pieces, spans))
        return found

    # What is refused

    def check_inputs(self, x, prefix=""):
        """Refuse what are not token numbers, and rows of nothing but padding."""
        x = x[0] if is_pair(x) else x
        checks.check_inputs(self, x, prefix)
        tokens = checks.array(keras.tree.flatten(x)[0])
        empty = (tokens == self.padding).all(axis=1)
        if empty.any():
            raise ValueError(
                f"{prefix}x[{int(empty.argmax())}] is empty: it holds padding ({self.padding}) only."
            )

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse what the model cannot learn from."""
        if self.task == ENCODING:
            raise ValueError(
                f"{self.name} encodes texts and was built for nothing that could be learned: "
                'model.for_task("text_classification", class_names=[...]) goes on with its weights.'
            )
        if y is None:
            raise ValueError(
                f"{prefix}y is missing: {self.name} learns {self.task} from {WANTED[self.task]}."
            )
        if is_pair(x):  # made here, with all that belongs to it
            self.check_inputs(x, prefix)
            return
        if self.task != SPANS:
            checks.check_batch(self, x, y, sample_weight, prefix)
            return
        heads = checks.by_head(self, y, prefix)
        checks.check_batch(self, x, None, sample_weight, prefix)
        for head, value in heads.items():  # as many classes as the batch has places
            checks.check_labels(f"{prefix}y[{head!r}]", value, len(x), np.shape(x)[1])

    # What it says

    def answers(self, x, predict, batch_size=None):
        """What the model says of texts, as of `Reading.answers`; a dict of those where it has several outputs."""
        if self.task == TAGS and not isinstance(x[0], np.ndarray):
            sequences, firsts = self.tagged(x)
            return [row[places] for row, places in zip(self.said(sequences, predict), firsts, strict=True)]
        return self.said(self.encode(x), predict)

    def said(self, sequences, predict):
        """What `predict` says of sequences: a list with what it says of each, or an array if all have one row."""
        data = self.rows(sequences, len(sequences))
        by_length = {}
        for i in range(len(sequences)):
            by_length.setdefault(data.length([i]), []).append(i)
        found = {}
        for length, rows in by_length.items():
            outputs = predict(padded([sequences[i] for i in rows], length, value=self.padding))
            outputs = outputs if isinstance(outputs, dict) else {"": outputs}
            for head, values in outputs.items():
                each = found.setdefault(head, [None] * len(sequences))
                by_token = head in BY_TOKEN or (not head and self.task in (MASKED, TAGS))
                for i, value in zip(rows, values, strict=True):
                    each[i] = value[: len(sequences[i])] if by_token else value
        found = {
            head: each if head in BY_TOKEN or (not head and self.task in (MASKED, TAGS)) else np.stack(each)
            for head, each in found.items()
        }
        return found.get("", found)

    def asked(self, sequences, ask, batch_size=32):
        """What `ask`, a function of tokens (batch, time), says of sequences: a list of NumPy arrays, padding and all."""
        data, found = self.rows(sequences, batch_size), [None] * len(sequences)
        for rows in data.plan:
            values = ops.convert_to_numpy(ask(data.take(rows)))
            for i, value in zip(rows, values, strict=True):
                found[i] = value
        return found

    def rows(self, sequences, batch_size):
        """Sequences in batches."""
        return Rows(
            sequences,
            batch_size=batch_size,
            length=self.fixed_length,
            pad=self.padding,
            most=self.most_tokens,
        )


def is_pair(x):
    """Whether `x` is tokens with places, as `Blanks` has them."""
    return isinstance(x, (list, tuple)) and len(x) == 2


def spanned(answer, context, i):
    """An answer as the character where it begins and its text.

    Raises:
        ValueError: It is not that, or does not stand there in the context.
    """
    fits = isinstance(answer, (tuple, list)) and len(answer) == 2 and isinstance(answer[1], str)
    if not fits or not isinstance(answer[0], (int, np.integer)) or not answer[1]:
        raise ValueError(
            f"y[{i}] must be a pair of the character where the answer begins and the answer, or None, got {answer!r:.60}."
        )
    start, text = int(answer[0]), answer[1]
    if start < 0 or context[start : start + len(text)] != text:
        raise ValueError(
            f"y[{i}] says that {text!r:.60} begins at character {start} of the context, where there is "
            f"{context[max(start, 0) : max(start, 0) + len(text)]!r:.60}."
        )
    return start, text
