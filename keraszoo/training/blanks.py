"""Token numbers in batches for models that understand texts: with weights for tokens, with blanks, in pairs.

Blanks are drawn in NumPy, by seed, epoch and batch alone: they are the same on every backend.
"""

import keras
import numpy as np

from keraszoo.text.sequences import padded
from keraszoo.training.bucketed import Bucketed

HIDDEN, OTHER = 0.8, 0.1  # of the chosen tokens: what is hidden, what becomes any other token; the rest stays


class Rows(Bucketed):
    """As `Bucketed`, for a model that reads `most` tokens.

    Args:
        x, y, sample_weight, **batching: As of `Bucketed`.
        weights: List of floats for each token, (time,): how much its answer counts. None for all alike.
        heads: Names of what the columns of `y` are for, if the model has several outputs.
        most: Steps of a batch, at most; None for any number.
    """

    def __init__(self, x, y=None, sample_weight=None, weights=None, heads=(), most=None, **batching):
        self.weights, self.heads = weights, heads
        super().__init__(x, y, sample_weight, **batching)
        self.bounds = self.bounds if most is None else np.minimum(self.bounds, most)

    def take(self, rows):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(super().take(rows))
        if self.weights is not None:
            each = padded([self.weights[i] for i in rows], x.shape[1]).astype(keras.config.floatx())
            weight = each if weight is None else each * weight[:, None]
        if self.heads:
            y = {head: y[:, i] for i, head in enumerate(self.heads)}
            weight = weight if weight is None else dict.fromkeys(self.heads, weight)
        return keras.utils.pack_x_y_sample_weight(x, y, weight)


class Blanks(Rows):
    """Sequences with blanks, in batches `((x with blanks, places), tokens, weight)`.

    Places, (count, blanks) int32, say where something was chosen, in ascending order; tokens, of the same shape, what
    belongs there. The weight is 1, or 0 where a sequence has fewer blanks than others of its length.

    With labels `y` for whole sequences, batches are made for two heads, "tokens" and "next".

    Args:
        x, y, sample_weight, **batching: As of `Rows`.
        tokenizer: Its special tokens stay as they are.
        share: Part of the ordinary tokens of each sequence that is chosen; at least one of them is.
        again: Draw blanks anew in each epoch; else they are always the same, as suits evaluation.
    """

    def __init__(self, x, y=None, sample_weight=None, *, tokenizer, share=0.15, again=True, **batching):
        self.share, self.again, self.mask = share, again, tokenizer.mask
        roles = (tokenizer.pad, tokenizer.unknown, tokenizer.start, tokenizer.end, tokenizer.mask)
        self.special = np.array(sorted({n for n in roles if n is not None}))
        self.ordinary = np.setdiff1d(np.arange(len(tokenizer)), self.special)
        super().__init__(x, y, sample_weight, **batching)

    def take(self, rows):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(super().take(rows))
        rng = np.random.default_rng((self.seed, self.epoch if self.again else 0, 2, int(rows[0])))
        hidden, chosen = self.with_blanks(x, rng)
        places = np.argsort(~chosen, axis=1, kind="stable")[:, : self.most_blanks(x.shape[1])].astype("int32")
        tokens, each = (np.take_along_axis(v, places, axis=1) for v in (x, chosen))
        each = each.astype(keras.config.floatx())
        each = each if weight is None else each * weight[:, None]
        if y is None:
            return (hidden, places), tokens, each
        weight = np.ones(len(x), each.dtype) if weight is None else weight
        return (hidden, places), {"tokens": tokens, "next": y}, {"tokens": each, "next": weight}

    def most_blanks(self, length):
        """Blanks of a sequence of a length, at most: the same for all batches of it."""
        return int(max(1, np.round(self.share * length)))

    def with_blanks(self, x, rng):
        """Tokens, (count, time) int32, with blanks; and which were chosen, (count, time) bool. Section 3.1, task 1."""
        usual = ~np.isin(x, self.special)
        order = np.where(usual, rng.random(x.shape), 2.0).argsort(axis=1).argsort(axis=1)
        count = usual.sum(axis=1, keepdims=True)
        chosen = usual & (order < np.maximum(1, np.round(self.share * count)))
        drawn = rng.random(x.shape)
        hidden = np.where(chosen & (drawn < HIDDEN), self.mask, x)
        other = chosen & (drawn >= HIDDEN) & (drawn < HIDDEN + OTHER)
        return np.where(other, rng.choice(self.ordinary, x.shape), hidden).astype("int32"), chosen


class FollowUps(Blanks):
    """Pairs of sentences with blanks: half of the second sentences follow the first, half are of another document.

    Section 3.1, task 2. Each sentence but the last of its document is the first of a pair, in every epoch.

    Args:
        documents: At least two lists of sentences, each an int32 array; one has two sentences or more.
        wrap: Function from two sentences to the sequence that a model reads.
        **batching: As of `Blanks`.
    """

    def __init__(self, documents, wrap, *, initial_epoch=0, again=True, seed=0, **batching):
        self.documents, self.wrap = documents, wrap
        self.places = [(d, s) for d, part in enumerate(documents) for s in range(len(part) - 1)]
        self.again = again
        x, y = self.drawn(seed, initial_epoch)
        super().__init__(x, y, initial_epoch=initial_epoch, again=again, seed=seed, **batching)
        longest = max(len(sentence) for part in documents for sentence in part)
        self.bounds[-1] = max(self.bounds[-1], len(wrap(*[np.zeros(longest, "int32")] * 2)))

    @property
    def epoch(self):
        """The epoch whose batches are handed out."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        self.x, self.y = self.drawn(self.seed, epoch)
        self.lengths = np.array([len(sequence) for sequence in self.x])
        Bucketed.epoch.fset(self, epoch)

    def drawn(self, seed, epoch):
        """The pairs of an epoch, and for each 0 if the second sentence follows the first, else 1."""
        rng = np.random.default_rng((seed, epoch if self.again else 0, 3))
        pairs, y = [], rng.integers(0, 2, len(self.places)).astype("int32")
        for (d, s), random in zip(self.places, y, strict=True):
            at = (d, s + 1)
            if random:
                other = (d + int(rng.integers(1, len(self.documents)))) % len(self.documents)
                at = other, int(rng.integers(len(self.documents[other])))
            pairs.append(self.wrap(self.documents[d][s], self.documents[at[0]][at[1]]))
        return pairs, y
