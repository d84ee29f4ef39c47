"""Batches whose order depends on a seed and on the number of the epoch, and on nothing else.

A run that is stopped after epoch `k` and resumed with `initial_epoch=k` therefore sees the very
batches that it would have seen, on every backend: Keras' own shuffling of arrays draws from another
random generator on each backend, and from its state of the moment.
"""

import random
import threading

import keras
import numpy as np
from keras import tree


class Shuffled(keras.utils.PyDataset):
    """Numbered samples in batches. A subclass says what they are, in `take(rows)`.

    Epoch `e` of a shuffled set has the order `np.random.default_rng((seed, e)).permutation(count)`.
    `fit` moves from one epoch to the next. A loop of one's own says which epoch it wants:

        for epoch in range(3):
            batches.epoch = epoch
            for x, y in batches:
                ...

    The order does not depend on the `shuffle` argument of `fit` either. (Keras asks for batch numbers
    in a random order there; batches are handed out in the order of asking.) `evaluate` and `predict`
    count as an epoch, too: give them a set of their own.

    Args:
        count: Samples; at least one.
        batch_size: Samples in a batch; the last batch of an epoch holds those that are left.
        shuffle: Give every epoch an order of its own.
        seed: A non-negative integer. None draws one from Python's `random`, which
            `keras.utils.set_random_seed` seeds.
        initial_epoch: The epoch to begin with, for a run that is resumed.

    Raises:
        ValueError: There are no samples, or an argument is out of its range.
    """

    def __init__(self, count, batch_size=32, shuffle=False, seed=None, initial_epoch=0):
        super().__init__()
        if count < 1:
            raise ValueError("There are no samples to make batches of.")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size!r}.")
        self.count = count
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = random.randrange(2**31) if seed is None else seed
        self._lock = threading.Lock()
        self._asked = {}  # of the present pass: the number asked for -> the number handed out
        self._passing = False  # a pass has begun, and not every batch was asked for yet
        self._within = False  # between `on_epoch_begin` and `on_epoch_end`
        self._driven = False  # `fit` has called
        self.epoch = initial_epoch

    # Samples come from memory or from our own threads. Keras' workers would ask for the batches of an
    # epoch before they say that it has begun.
    workers = property(lambda self: 1)
    use_multiprocessing = property(lambda self: False)

    def take(self, rows):
        """The batch that holds the samples `rows`: a slice, or an array of integers."""
        raise NotImplementedError

    @property
    def epoch(self):
        """The epoch whose batches are handed out."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        if epoch < 0 or self.seed < 0:
            raise ValueError(f"seed and epoch must not be negative, got {self.seed} and {epoch}.")
        self._epoch = epoch
        self._order = None
        if self.shuffle:
            self._order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
        self._asked, self._passing = {}, False

    @property
    def num_batches(self):
        return -(-self.count // self.batch_size)

    def __len__(self):
        return self.num_batches

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches, got index {index}.")
        if self._passing:
            with self._lock:
                index = self._asked.setdefault(index, len(self._asked))
        return self.take(self.chosen(index))

    def chosen(self, index):
        """Which samples are in a batch of the epoch: a slice, or an array of integers."""
        start, stop = index * self.batch_size, min((index + 1) * self.batch_size, self.count)
        return slice(start, stop) if self._order is None else self._order[start:stop]

    # How `fit` calls the next two. Before its first epoch it calls `on_epoch_end`; where it must build
    # the model first, it calls `on_epoch_begin` before that, and asks for a batch or two. Then it calls
    # `on_epoch_begin` and `on_epoch_end` around each epoch, the latter not if a callback breaks off.
    # With `steps_per_epoch`, a pass over the samples may take several of its epochs: the order must hold
    # until the pass is complete.

    def on_epoch_begin(self):
        self._within = self._passing = True

    def on_epoch_end(self):
        real = self._within and self._driven
        self._within, self._driven = False, True
        if real and len(self._asked) == len(self):
            self.epoch += 1
        elif not real:
            self._asked, self._passing = {}, False


class Batches(Shuffled):
    """Arrays in batches, for `fit`, `evaluate` and `predict`.

    Args:
        x: What the model takes: an array, or tuples, lists and dicts of arrays, as Keras accepts them.
        y: What it should answer, in the same forms. None for models that learn from `x` alone.
        sample_weight: How much each sample counts, in the same forms.
        batch_size: Samples in a batch; the last batch of an epoch holds those that are left.
        shuffle: Give every epoch an order of its own.
        seed: A non-negative integer; see `Shuffled`.
        initial_epoch: The epoch to begin with, for a run that is resumed.

    Each batch is what `fit` takes: `x`, `(x, y)` or `(x, y, sample_weight)`. Floating arrays are cast
    to `keras.config.floatx()`, as `fit` does with arrays; other dtypes stay. Nothing is copied before
    it is needed, so a memory-mapped array stays on disk.

    Raises:
        ValueError: Arrays differ in length or have no axis, or there are weights and nothing to weigh.

    >>> batches = Batches(images, labels, batch_size=64, shuffle=True, seed=0)
    >>> model.fit(batches, epochs=3)
    >>> model.fit(Batches(images, labels, batch_size=64, shuffle=True, seed=0, initial_epoch=3),
    ...           initial_epoch=3, epochs=5)
    """

    def __init__(
        self, x, y=None, sample_weight=None, batch_size=32, shuffle=False, seed=None, initial_epoch=0
    ):
        if sample_weight is not None and y is None:
            raise ValueError("sample_weight weighs the loss on y; got sample_weight without y.")
        data = keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        self.data = each(as_array, tree.lists_to_tuples(data))
        counts = [len(array) for array in tree.flatten(self.data) if array is not None]
        if len(set(counts)) != 1:
            raise ValueError(f"All arrays must hold the same number of samples, got {counts or 'no array'}.")
        super().__init__(counts[0], batch_size, shuffle, seed, initial_epoch)

    def take(self, rows):
        return each(lambda array: cut(array, rows), self.data)

    @staticmethod
    def split(data, share):
        """The first `1 - share` of the samples of nested arrays, and the rest, as Keras' `validation_split`.

        Raises:
            ValueError: One part would be empty.
        """
        if not 0 < share < 1:
            raise ValueError(f"validation_split must lie between 0 and 1, got {share}.")
        count = len(next(v for v in tree.flatten(data) if v is not None))
        edge = int(np.floor(count * (1 - share)))
        if edge in (0, count):
            raise ValueError(f"validation_split={share} of {count} samples leaves one part empty.")
        return each(lambda v: v[:edge], data), each(lambda v: v[edge:], data)


class Unpaired(Shuffled):
    """Two sets of images in batches `(x, y)` that have nothing to do with each other.

    An epoch shows every image of the larger set once, and those of the smaller one again and again, as
    often as each other. Both are shuffled independently, by seed and epoch alone.

    A model says `batches = Unpaired` to be fitted on two such sets, `fit(x, y)`.

    Args:
        x, y: Arrays; they may hold different numbers of samples.
        sample_weight: None: there are no pairs to weigh.
        batch_size, shuffle, seed, initial_epoch: As of `Batches`.

    Raises:
        ValueError: One of them is missing or holds no samples, or there are weights.

    >>> model.fit(Unpaired(horses, zebras, batch_size=1, shuffle=True, seed=0), epochs=3)
    """

    def __init__(self, x, y, sample_weight=None, batch_size=32, shuffle=False, seed=None, initial_epoch=0):
        if x is None or y is None or sample_weight is not None:
            raise ValueError("Unpaired takes two sets, x and y, and no sample_weight.")
        self.data = (as_array(x), as_array(y))
        if not all(len(array) for array in self.data):
            raise ValueError("Both sets must hold samples.")
        self.mixed = shuffle
        super().__init__(max(map(len, self.data)), batch_size, False, seed, initial_epoch)

    @property
    def epoch(self):
        """The epoch whose batches are handed out."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        Shuffled.epoch.fset(self, epoch)
        rng = np.random.default_rng((self.seed, epoch))
        self.orders = [
            rng.permutation(len(array)) if self.mixed else np.arange(len(array)) for array in self.data
        ]

    def take(self, rows):
        rows = np.arange(rows.start, rows.stop)
        pairs = zip(self.data, self.orders, strict=True)
        return tuple(cut(array, order[rows % len(order)]) for array, order in pairs)

    @staticmethod
    def split(data, share):
        """As of `Batches`, of each set by itself."""
        parts = [(None, None) if part is None else Batches.split(part, share) for part in data]
        return tuple(zip(*parts, strict=True))


def each(function, data):
    """`function` of every array of a structure; what is None stays None."""
    return tree.map_structure(lambda x: None if x is None else function(x), data)


def as_array(x):
    """A NumPy array that shares memory with `x` where it can."""
    array = x if isinstance(x, np.ndarray) else keras.ops.convert_to_numpy(x)
    if array.ndim == 0:
        raise ValueError("Every array must have an axis of samples, got a scalar.")
    return array


def cut(array, rows):
    """The samples `rows` of an array; floating ones in Keras' floating dtype."""
    part = array[rows]
    return part.astype(keras.config.floatx(), copy=False) if part.dtype.kind == "f" else part
