"""The n-gram model: what followed the same few words before will follow them again.

Shannon 1948, https://doi.org/10.1002/j.1538-7305.1948.tb01338.x, section 3; Kneser, Ney 1995,
https://doi.org/10.1109/ICASSP.1995.479394; interpolated, and with discounts for counts of 1, 2 and more, Chen,
Goodman 1998, https://dash.harvard.edu/handle/1/25104739.

Departures from the paper: the lowest order of Kneser-Ney is discounted, too, in favour of all tokens alike, so that
none is impossible (`uniform=False` leaves that out). Maximum likelihood forgets the first tokens of a context that it
has never seen, where it would have to divide zero by zero.
"""

import functools

import keras
import numpy as np

from keraszoo.architecture import Architecture
from keraszoo.registry import register
from keraszoo.text.counts import Counts
from keraszoo.training import checks
from keraszoo.training.language import SIZE, LanguageModel

SMOOTHINGS = ("maximum_likelihood", "add_k", "kneser_ney")
DISCOUNTS = ("estimated", "modified")


@register(
    "ngram",
    task="language_modeling",
    paper="https://dash.harvard.edu/handle/1/25104739",
    tiny=dict(input_shape=(6,), vocabulary_size=12, order=3),
)
class NGram(LanguageModel, Architecture):
    """Count n-grams, and smooth what was counted. `fit` takes seconds for a million tokens, and needs one epoch.

    The counts are its weights: `get_weights` gives them, and saved files hold them. Before it has counted, all tokens
    are equally likely. A further `fit` adds to the counts; so does each epoch, after which the model trusts more
    in what it has seen.

    Args:
        order: Tokens of the longest n-grams: it looks at `order - 1` tokens to foretell the next.
        vocabulary_size: Tokens to know. Number 0 is padding: nothing is known before it.
        input_shape: (time,); None for any number.
        smoothing: "maximum_likelihood", shares of what was seen; "add_k", each n-gram counts as if it had been seen
            `k` times more; "kneser_ney", interpolated.
        discount: Of Kneser-Ney, what is taken from each count: "estimated" from how many n-grams were seen once and
            twice; "modified", three of those, for counts of 1, 2 and more; or a number in (0, 1].
        k: Of add-k, above 0.
        uniform: Whether Kneser-Ney ends with all tokens alike.

    Shapes:
        x:       (batch, time), integers: token numbers.
        returns: (batch, time, vocabulary_size), float32: the logarithms of the probabilities of the next token.

    Raises:
        ValueError: An argument is out of its range.
    """

    counts_instead = True  # of learning weights by their gradients

    def __init__(
        self,
        order=3,
        vocabulary_size=10_000,
        input_shape=(None,),
        smoothing="kneser_ney",
        discount="modified",
        k=1.0,
        uniform=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(order, int) or order < 1:
            raise ValueError(f"order must be a whole number from 1, got {order!r}.")
        if len(input_shape) != 1:
            raise ValueError(f"input_shape must be (time,), or (None,) for any number, got {input_shape!r}.")
        if smoothing not in SMOOTHINGS:
            raise ValueError(
                f"smoothing must be one of {', '.join(map(repr, SMOOTHINGS))}, got {smoothing!r}."
            )
        if discount not in DISCOUNTS and (isinstance(discount, str) or not 0 < discount <= 1):
            raise ValueError(
                f"discount must be one of {', '.join(map(repr, DISCOUNTS))}, or lie in (0, 1], got {discount!r}."
            )
        if k <= 0:
            raise ValueError(f"k must be above 0, got {k!r}.")
        self.order, self.vocabulary_size, self.time = order, vocabulary_size, input_shape[0]
        self.smoothing, self.discount, self.k, self.uniform = smoothing, discount, k, uniform
        self.forget()
        self.built = True

    @property
    def memory(self):
        return max(1, self.order - 1)

    @property
    def inputs(self):
        return [keras.KerasTensor(self.input_shape, "int32", name="tokens")]

    @property
    def input_shape(self):
        return (None, self.time)

    @property
    def output_shape(self):
        return (None, self.time, self.vocabulary_size)

    # Counting

    def forget(self):
        """Back to having seen nothing."""
        self.remember(Counts.of(np.zeros((1, 0)), self.order, self.vocabulary_size))

    def remember(self, counts):
        """Take counts for what was seen."""
        self.counts = counts
        self.tables = functools.cache(self.smoothed)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        initial_epoch=0,
        **kwargs,
    ):
        """Count; the arguments are those of `keras.Model.fit`, and there is nothing to shuffle and no batch.

        Returns:
            Keras' `History` of the loss and the perplexity after each epoch.

        Raises:
            ValueError: The data do not fit; `y` is not `x` moved on by a token; or each sample has a weight.
        """
        if refused := [key for key in kwargs if kwargs[key] is not None]:
            raise ValueError(f"{self.name} counts, and takes no {', '.join(refused)}.")
        if validation_split and validation_data is None:
            if self.is_running(x, y):
                x, validation_data = self.batches.split(self.running(x), validation_split)
            else:
                (x, y), validation_data = self.batches.split((x, y), validation_split)
        rows = self.rows(x, y)
        new = Counts.of(rows, self.order, self.vocabulary_size)
        watching = keras.callbacks.CallbackList(
            callbacks, add_history=True, add_progbar=verbose != 0, model=self, verbose=int(verbose != 0),
            epochs=epochs, steps=1,
        )  # fmt: skip
        self.stop_training = False
        watching.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            watching.on_epoch_begin(epoch)
            self.remember(self.counts.plus(new))
            logs = self.logs(rows)
            watching.on_train_batch_end(0, logs)
            if validation_data is not None:
                given = validation_data if isinstance(validation_data, tuple) else (validation_data,)
                found = self.evaluate(*given[:2], return_dict=True)
                logs |= {f"val_{key}": value for key, value in found.items()}
            watching.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        watching.on_train_end()
        return self.history

    def rows(self, x, y=None):
        """What `fit` and `evaluate` take, as rows of running text: (count, length) token numbers.

        Raises:
            ValueError: As of `fit`.
        """
        if self.is_running(x, y):
            if y is not None:
                raise ValueError("A text is its own answer: give no y with it.")
            return self.running(x)[None]
        if isinstance(x, keras.utils.PyDataset):
            x, y = (np.concatenate(part) for part in zip(*(x[i] for i in range(len(x))), strict=True))
        self.check_batch(x, y)
        x, y = checks.arrays((x, y))
        checks.check_tokens("x", x, self.vocabulary_size, self.name)
        if y is None or (x[:, 1:] != y[:, :-1]).any():
            raise ValueError(f"y must be x moved on by a token: {self.name} takes the two for one text.")
        return np.concatenate([x[:, :1], y], axis=1)

    def train_on_batch(self, x, y=None, **kwargs):
        """Count a batch: the loss and the perplexity after it."""
        rows = self.rows(x, y)
        self.remember(self.counts.plus(Counts.of(rows, self.order, self.vocabulary_size)))
        return list(self.logs(rows).values())

    # What was counted, as probabilities

    def smoothed(self, n, top):
        """What n-grams say of their last token, and how much weight is left for shorter ones.

        Args:
            n: Their length.
            top: Whether nothing longer was asked, so that occurrences count; for Kneser-Ney, it is otherwise the
                number of different tokens that an n-gram stands behind.

        Returns:
            (n-grams,) float64, and ((n-1)-grams,) float64: the probability of a token is the first, plus the
            second times its probability by n - 1.
        """
        likely, add = self.smoothing == "maximum_likelihood", self.smoothing == "add_k"
        counts = self.counts.counts[n] if top or likely or add else self.counts.continuations(n)
        begun = self.counts.keys[n] // self.vocabulary_size
        total = np.bincount(begun, counts, minlength=len(self.counts.keys[n - 1]))
        seen = np.maximum(total, 1)
        if likely:
            return counts / seen[begun], np.where(total, 0.0, 1.0)
        if add:
            if not top:
                return np.zeros(len(counts)), np.ones(len(total))
            added = self.k * self.vocabulary_size
            return counts / (total + added)[begun], added / (total + added)
        if n == 1 and not self.uniform:
            return counts / seen[begun], np.where(total, 0.0, 1.0)
        taken = np.minimum(discounts(self.discount, counts)[np.minimum(counts, 3)], counts)
        left = np.bincount(begun, taken, minlength=len(total))
        return (counts - taken) / seen[begun], np.where(total, left / seen, 1.0)

    def probabilities(self, rows, foretold=None):
        """How likely tokens are at each place of rows.

        Args:
            rows: (count, time) token numbers; nothing is known of what is 0, and what is before that.
            foretold: (count, time), what comes next, or None for all tokens.

        Returns:
            (count, time), or (count, time, vocabulary_size), float64.
        """
        known = self.known(rows).ravel()
        numbers = [n.ravel() for n in self.counts.numbers(rows)]  # of what ends at each place
        every = foretold is None
        found = np.empty((len(known), self.vocabulary_size) if every else len(known))
        for n in range(1, self.order + 1):
            for top in (True, False):
                places = np.flatnonzero(known == n - 1 if top else known > n - 1)
                if not len(places):
                    continue
                share, rest = self.tables(n, top)
                if n == 1:
                    single = np.full(self.vocabulary_size, rest[0] / self.vocabulary_size)
                    single[self.counts.keys[1]] += share
                    found[places] = single[None] if every else single[foretold.ravel()[places]]
                    continue
                begun = numbers[n - 1][places]
                places, begun = places[begun >= 0], begun[begun >= 0]
                if every:
                    found[places] *= rest[begun][:, None]
                    place, number = spread(places, self.counts.starts(n), begun)
                    found[place, self.counts.keys[n][number] % self.vocabulary_size] += share[number]
                elif len(share):
                    number = self.counts.find(n, begun, foretold.ravel()[places])
                    found[places] = rest[begun] * found[places] + np.where(number >= 0, share[number], 0.0)
        return found.reshape(*np.shape(rows), *found.shape[1:])

    def known(self, rows):
        """How many tokens it looks at, at each place of rows: as many as there are, up to `order - 1`."""
        place = np.arange(1, rows.shape[1] + 1)
        gap = np.maximum.accumulate(np.where(rows == 0, place, 0), axis=1)
        return np.minimum(place - gap, self.order - 1)

    def logs(self, rows):
        """The loss and the perplexity of rows of running text."""
        loss = -self.logarithms(rows).mean()
        return {"loss": float(loss), "perplexity": float(np.exp(loss))}

    def logarithms(self, rows):
        """Those of the probabilities of all tokens in rows of running text but the first ones."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities(rows[:, :-1], rows[:, 1:]))

    def scores(self, numbers):
        return self.logarithms(numbers[None])[0]

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, return_dict=False, **kwargs
    ):
        """The loss, in nats per token, and the perplexity, of text or of `x, y`; with `return_dict`, by name."""
        found = self.logs(self.rows(x, y))
        return found if return_dict else list(found.values())

    test_on_batch = evaluate

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """Logarithms of probabilities, (batch, time, vocabulary_size), float32; of texts, a list with one for each."""
        if self.is_text(x):
            return self.answers(x, self.predict, batch_size)
        self.check_inputs(x)
        return self.foretell(checks.array(x))

    predict_on_batch = predict

    def call(self, tokens):
        return keras.ops.convert_to_tensor(self.foretell(keras.ops.convert_to_numpy(tokens)))

    def foretell(self, tokens):
        at_once = max(1, SIZE // (self.vocabulary_size * tokens.shape[1]))
        with np.errstate(divide="ignore"):
            found = [
                np.log(self.probabilities(tokens[i : i + at_once])) for i in range(0, len(tokens), at_once)
            ]
        return np.concatenate(found).astype("float32")

    # Keeping

    def get_weights(self):
        """The keys and counts of each length of n-grams, as of `keraszoo.text.counts.Counts`."""
        return [part for n in range(self.order + 1) for part in (self.counts.keys[n], self.counts.counts[n])]

    def set_weights(self, weights):
        if len(weights) != 2 * (self.order + 1):
            raise ValueError(f"{self.name} has {2 * (self.order + 1)} arrays of counts, got {len(weights)}.")
        weights = [np.asarray(w, "int64") for w in weights]
        self.remember(Counts(self.vocabulary_size, weights[::2], weights[1::2]))

    def save_own_variables(self, store):
        super().save_own_variables(store)
        for i, array in enumerate(self.get_weights()):
            store[f"counts_{i}"] = array

    def load_own_variables(self, store):
        self.set_weights([store[f"counts_{i}"][()] for i in range(2 * (self.order + 1))])


def discounts(kind, counts):
    """What to take from counts of 0, 1, 2 and more: (4,) float64. Chen, Goodman 1998, section 3.

    Where there are too few n-grams that were seen once, twice and so on, one discount stands for the three, and 0.75
    for one.
    """
    if not isinstance(kind, str):
        return np.array([0, kind, kind, kind])
    one, two, three, four = (np.count_nonzero(counts == i) for i in (1, 2, 3, 4))
    single = one / (one + 2 * two) if one and two else 0.75
    found = np.full(4, single)
    if kind == "modified" and one and two and three and four:
        several = [1 - 2 * single * two / one, 2 - 3 * single * three / two, 3 - 4 * single * four / three]
        if all(0 < value <= most for value, most in zip(several, (1, 2, 3), strict=True)):
            found[1:] = several
    return found * (np.arange(4) > 0)


def spread(rows, starts, begun):
    """For each row, all places from `starts[begun]` to `starts[begun + 1]`: two arrays, of rows and of places."""
    first, counts = starts[begun], starts[begun + 1] - starts[begun]
    offset = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    return np.repeat(rows, counts), np.repeat(first, counts) + offset
