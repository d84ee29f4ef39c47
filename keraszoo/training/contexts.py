"""Words of texts, each with the words around it: what word vectors are learned from."""

import numpy as np

from keraszoo.training.batches import Shuffled


class Contexts(Shuffled):
    """Centre words in batches `(contexts, centres)` or `(contexts, centres, rates)`, for `fit` and `evaluate`.

    As in word2vec.c (https://github.com/tmikolov/word2vec), and anew in each epoch: of a frequent word, only some
    occurrences are kept (see `kept`), as if the others had never been written; each centre sees a window of its own,
    whose radius is 1, 2 ... or `window`, all equally often; and no window reaches into another text. An epoch has as
    many centres as are kept on average, rounded down to whole batches: a few words more or less are left out, or
    seen twice.

    Args:
        texts: Integer arrays, word numbers from 1.
        window: Radius of the widest window, in words.
        vocabulary_size: Word numbers are below this.
        subsample: Share of all words above which a word is frequent; 0 keeps all.
        epochs: How often `fit` goes through the texts. If given, `rates` falls evenly from 1 to 1e-4 meanwhile.
        batch_size, shuffle, seed, initial_epoch: As of `keraszoo.training.batches.Batches`; shuffling mixes the
            centres of all texts.

    Each batch holds
        contexts: (batch, 2 * window), int32, the words around a centre in order; 0 where there is none.
        centres:  (batch,), int32.
        rates:    (batch,), float32 in (0, 1], all the same.

    Raises:
        ValueError: No text has two words, or an argument is out of its range.
    """

    def __init__(
        self,
        texts,
        window,
        vocabulary_size,
        subsample=0.0,
        epochs=None,
        batch_size=32,
        shuffle=False,
        seed=None,
        initial_epoch=0,
    ):
        lengths = np.array([len(text) for text in texts], int)
        if not (lengths > 1).any():
            raise ValueError(
                "No text holds two words that are known: there is nothing around a word to learn from."
            )
        self.window, self.epochs, self.mixed = window, epochs, shuffle
        self.words = np.concatenate(texts).astype("int32", copy=False)
        self.text = np.repeat(np.arange(len(texts), dtype="int32"), lengths)
        self.counts = np.bincount(self.words, minlength=vocabulary_size)
        self.shares = kept(self.counts, subsample)
        self.offsets = np.array([*range(-window, 0), *range(1, window + 1)])
        count = max(1, round(float(self.shares @ self.counts)))
        super().__init__(
            count if count < batch_size else count - count % batch_size,
            batch_size,
            False,
            seed,
            initial_epoch,
        )

    @property
    def epoch(self):
        """The epoch whose batches are handed out."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        Shuffled.epoch.fset(self, epoch)
        rng = np.random.default_rng((self.seed, epoch))
        stay = rng.random(len(self.words), "float32") < self.shares[self.words]
        words, text = self.words[stay], self.text[stay]
        edge = np.flatnonzero(np.diff(text, prepend=-1, append=-1))  # where texts begin, and the end
        begin = np.repeat(edge[:-1], np.diff(edge))
        end = np.repeat(edge[1:], np.diff(edge))
        place = np.arange(len(words))
        radius = rng.integers(1, self.window + 1, len(words))
        self.left = np.minimum(radius, place - begin)
        self.right = np.minimum(radius, end - 1 - place)
        self.kept = np.pad(words, self.window)
        centres = np.flatnonzero(self.left + self.right)
        if not len(centres):
            raise ValueError(
                "Of the few words in the texts, subsampling left none that has a neighbour: give more text, or subsample=0."
            )
        self.order = np.resize(rng.permutation(centres) if self.mixed else centres, self.count)

    def take(self, rows):
        centres = self.order[rows]
        inside = (self.offsets >= -self.left[centres, None]) & (self.offsets <= self.right[centres, None])
        around = self.kept[centres[:, None] + (self.window + self.offsets)]
        batch = np.where(inside, around, np.int32(0)), self.kept[centres + self.window]
        if self.epochs is None:
            return batch
        done = (self.epoch + rows.start / self.count) / self.epochs
        return *batch, np.full(len(centres), max(1 - done, 1e-4), "float32")


def kept(counts, subsample):
    """The share of its occurrences that is kept of each word: (sqrt(f / t) + 1) * t / f, where that is below 1.

    The formula of word2vec.c; Mikolov et al. 2013 (https://arxiv.org/abs/1310.4546, section 2.3) have another.

    Args:
        counts: (words,), how often each occurs; f is its share of all.
        subsample: t, a share; 0 keeps everything.

    Returns:
        (words,), float64 in (0, 1]; 1 for words that do not occur.
    """
    frequency = np.maximum(counts / max(counts.sum(), 1), 1e-300)
    return (
        np.minimum(1.0, np.sqrt(subsample / frequency) + subsample / frequency)
        if subsample
        else np.ones(len(counts))
    )


def noise(counts, power=0.75):
    """How often each word is a negative: the cumulative distribution of counts to a power.

    Args:
        counts: (words,), from 0.
        power: 0.75 in the paper (section 2.2).

    Returns:
        (words,), float32, ascending, the last is 1. Word `i` is drawn if a uniform number lies from `[i - 1]` to `[i]`.
    """
    heap = np.cumsum(np.asarray(counts, "float64") ** power)
    return (heap / heap[-1]).astype("float32")
