"""Sequences of different lengths in batches: those of like length together, so that little is padding."""

import keras
import numpy as np

from keraszoo.text.sequences import padded
from keraszoo.training.batches import Shuffled, as_array, cut


class Bucketed(Shuffled):
    """Sequences in batches of few different lengths, for `fit` and `evaluate`.

    Each batch is as long as its bucket, so a step is compiled once for each bucket and not for each length. What
    does not fill a batch of its bucket goes into the next longer one. Every batch is full but the last of the
    longest bucket; the first holds long sequences, so that too little memory shows at once.

    Args:
        x: List of sequences: arrays whose first axis is time.
        y: What the model should answer: an array with a row for each sequence; or a list of sequences, which are
            padded to the same length as those in `x`; or None.
        sample_weight: (count,), or None.
        batch_size, shuffle, seed, initial_epoch: As of `keraszoo.training.batches.Batches`.
        buckets: Different lengths, at most. 1 pads all to the longest. By default 1 for each 16 batches, up to 4: a step
            is compiled for each, and what that costs must be saved first.
        multiple: Lengths are multiples of this.
        length: Steps of every batch, for models that take no other number.
        pad: What `x` is filled up with: the number of the padding token.

    Raises:
        ValueError: There are no sequences, or `y` or `sample_weight` has another number of samples.
    """

    def __init__(
        self,
        x,
        y=None,
        sample_weight=None,
        batch_size=32,
        shuffle=False,
        seed=None,
        initial_epoch=0,
        buckets=None,
        multiple=8,
        length=None,
        pad=0,
    ):
        if buckets is None:
            buckets = min(4, max(1, len(x) // (16 * batch_size)))
        if buckets < 1 or multiple < 1:
            raise ValueError(f"buckets and multiple must be at least 1, got {buckets=}, {multiple=}.")
        self.x = x
        self.pad = pad
        self.ragged = isinstance(y, list)
        self.y = y if y is None or self.ragged else as_array(y)
        self.sample_weight = None if sample_weight is None else as_array(sample_weight)
        count = len(x)
        for name, values in (("y", self.y), ("sample_weight", self.sample_weight)):
            if values is not None and len(values) != count:
                raise ValueError(
                    f"x and {name} must have as many samples: x has {count}, {name} has {len(values)}."
                )
        sizes = [[len(sequence) for sequence in part] for part in ([x, y] if self.ragged else [x])]
        self.lengths = np.max(sizes, axis=0, initial=1)
        shares = (
            np.quantile(self.lengths, np.arange(1, buckets + 1) / buckets, method="higher") if count else []
        )
        bounds = -(-np.array(shares, int) // multiple) * multiple
        self.bounds = np.unique(bounds) if length is None else np.array([length])
        super().__init__(count, batch_size, shuffle, seed, initial_epoch)

    @property
    def epoch(self):
        """The epoch whose batches are handed out."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        Shuffled.epoch.fset(self, epoch)
        order = np.arange(self.count) if self._order is None else self._order
        bucket = np.searchsorted(self.bounds, self.lengths[order])
        plan, waiting = [], np.zeros(0, int)
        for number in range(len(self.bounds)):
            waiting = np.append(waiting, order[bucket == number])
            last = number + 1 == len(self.bounds)
            full = len(waiting) if last else len(waiting) // self.batch_size * self.batch_size
            plan += [waiting[i : i + self.batch_size] for i in range(0, full, self.batch_size)]
            waiting = waiting[full:]
        plan.reverse()
        if self._order is not None and len(plan) > 2:
            # The second batch is of another length than the first, if there is one: TensorFlow, which looks
            # at two of them, then knows that lengths differ.
            mixed = np.random.default_rng((self.seed, epoch, 1)).permutation(np.arange(1, len(plan) - 1))
            plan = [plan[i] for i in (0, len(plan) - 1, *mixed)]
        elif len(plan) > 2:
            plan.insert(1, plan.pop())
        self.plan = plan

    @property
    def num_batches(self):
        return -(-self.count // self.batch_size)

    def chosen(self, index):
        return self.plan[index]

    def length(self, rows):
        """Steps of the batch that holds these samples."""
        return int(self.bounds[np.searchsorted(self.bounds, self.lengths[rows].max())])

    def take(self, rows):
        length = self.length(rows)
        x = cut(padded([self.x[i] for i in rows], length, value=self.pad), slice(None))
        if self.ragged:
            y = cut(padded([self.y[i] for i in rows], length), slice(None))
        else:
            y = None if self.y is None else cut(self.y, rows)
        weight = None if self.sample_weight is None else cut(self.sample_weight, rows)
        return keras.utils.pack_x_y_sample_weight(x, y, weight)

    def padding(self):
        """The share of all steps that is padding, in [0, 1)."""
        steps = sum(len(rows) * self.length(rows) for rows in self.plan)
        return 1 - self.lengths.sum() / steps
