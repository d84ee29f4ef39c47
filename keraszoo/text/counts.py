"""How often n-grams occur in a text: a trie in sorted arrays, without a Python object for each."""

import functools

import numpy as np


class Counts:
    """The n-grams of a text, for n up to `order`, and how often each occurs.

    The n-grams of each length are numbered in rising order of `number of the first n - 1 tokens * tokens + last
    token`, their key. So all that follow the same tokens stand together, and one binary search finds one of
    them. Number 0 is the only n-gram of no tokens.

    Args:
        tokens: Different tokens; they are numbered from 0.
        keys: For each n from 0 to `order`: (n-grams,) int64, rising.
        counts: For each n: (n-grams,) int64.
    """

    def __init__(self, tokens, keys, counts):
        self.tokens = tokens
        self.keys = keys
        self.counts = counts
        self.starts, self.suffixes = map(functools.cache, (self.starts, self.suffixes))

    @classmethod
    def of(cls, sequences, order, tokens):
        """Count what stands side by side in each row.

        Args:
            sequences: (count, length), integers from 0 to `tokens - 1`.
            order: Tokens of the longest n-grams.
            tokens: Different tokens.
        """
        sequences = np.asarray(sequences, "int64")
        numbers = np.zeros(
            (len(sequences), sequences.shape[1] + 1), "int64"
        )  # n-gram that ends before each place
        keys, counts = [np.zeros(1, "int64")], [np.array([sequences.size])]
        for n in range(1, order + 1):
            found = numbers[:, :-1] * tokens + sequences[:, n - 1 :]
            rising, numbers, times = np.unique(found, return_inverse=True, return_counts=True)
            numbers = numbers.reshape(found.shape)
            keys.append(rising)
            counts.append(times)
        return cls(tokens, keys, counts)

    @property
    def order(self):
        return len(self.keys) - 1

    def plus(self, other, times=1):
        """These counts and `times` those of another text, of the same order and tokens."""
        if not self.counts[0][0]:
            return Counts(self.tokens, other.keys, [times * counts for counts in other.counts])
        keys, counts = [np.zeros(1, "int64")], [self.counts[0] + times * other.counts[0]]
        new = [np.zeros(1, "int64")] * 2  # what number each (n-1)-gram has among all
        for n in range(1, self.order + 1):
            moved = [
                new[i][part.keys[n] // self.tokens] * self.tokens + part.keys[n] % self.tokens
                for i, part in enumerate((self, other))
            ]
            rising, numbers = np.unique(np.concatenate(moved), return_inverse=True)
            new = np.split(numbers.ravel(), [len(moved[0])])
            found = np.zeros(len(rising), "int64")
            found[new[0]] += self.counts[n]
            found[new[1]] += times * other.counts[n]
            keys.append(rising)
            counts.append(found)
        return Counts(self.tokens, keys, counts)

    def find(self, n, before, tokens):
        """Numbers of n-grams, -1 where there is none.

        Args:
            n: Their length, from 1.
            before: (count,) numbers of the (n-1)-grams that they begin with, or -1.
            tokens: (count,) what comes last.
        """
        keys, wanted = self.keys[n], before * self.tokens + tokens
        if not len(keys):
            return np.full(len(wanted), -1)
        places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where((keys[places] == wanted) & (before >= 0), places, -1)

    def numbers(self, rows):
        """Numbers of the n-grams that end at each place of rows, -1 where there is none.

        Args:
            rows: (count, length) tokens.

        Returns:
            For each n from 0 to `order`: (count, length) integers.
        """
        rows = np.asarray(rows, "int64")
        found = [np.zeros(rows.shape, "int64")]
        for n in range(1, self.order + 1):
            before = np.pad(found[-1][:, :-1], ((0, 0), (1, 0)), constant_values=0 if n == 1 else -1)
            found.append(self.find(n, before.ravel(), rows.ravel()).reshape(rows.shape))
        return found

    def starts(self, n):
        """Where in `keys[n]` those begin that follow each (n-1)-gram, and behind the last: ((n-1)-grams + 1,)."""
        return np.searchsorted(self.keys[n], np.arange(len(self.keys[n - 1]) + 1) * self.tokens)

    def suffixes(self, n):
        """The number of each n-gram's last n - 1 tokens among the (n-1)-grams."""
        if n == 1:
            return np.zeros(len(self.keys[1]), "int64")
        before = self.suffixes(n - 1)[self.keys[n] // self.tokens]
        return self.find(n - 1, before, self.keys[n] % self.tokens)

    def continuations(self, n):
        """How many different tokens stand before each n-gram: (n-grams,), for n below `order`."""
        return np.bincount(self.suffixes(n + 1), minlength=len(self.keys[n]))
