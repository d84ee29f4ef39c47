"""word2vec: words that stand among the same words get vectors that lie in the same direction.

Mikolov et al. 2013a, https://arxiv.org/abs/1301.3781 (continuous bag of words, and skip-gram);
Mikolov et al. 2013b, https://arxiv.org/abs/1310.4546 (negative sampling, subsampling of frequent words).

Departures from the paper: conventions are those of the program word2vec.c (https://github.com/tmikolov/word2vec).
The window of each word shrinks at random; skip-gram guesses the word in the middle from each of those around it, not
the other way round; the bag of words is a mean, and the error of the mean goes to each of its words in full; of a
frequent word, (sqrt(f / t) + 1) * t / f of the occurrences are kept. Departures from the program: words are learned
from in batches, all texts mixed, and a batch works with the vectors of its beginning; where many pairs of a batch
share a word, which adds up to too long a step, that is shortened (`limit`). The neighbours of a centre share its
random words, as in Ji et al. 2016, https://arxiv.org/abs/1604.04661 (`shared_negatives`), which is several times as
fast; people's judgement of words agrees with these vectors as well as with those of gensim, which has random words for
each pair. The logistic function is computed, not looked up in a table that ends at 6. Words that are not
known, and the ends of texts, leave no token behind.
"""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keraszoo import registry
from keraszoo.architecture import Architecture
from keraszoo.backend import kernels
from keraszoo.backend.rows import add_to_rows
from keraszoo.registry import register
from keraszoo.text.sequences import padded
from keraszoo.text.tokenizer import SPECIALS, check_texts
from keraszoo.training import checks
from keraszoo.training.contexts import Contexts, noise
from keraszoo.training.stateful import Stateful

BATCH = 1024  # centres, where `fit` reads texts and nothing else is said
EXTRAS = (
    "momentum",
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "gradient_accumulation_steps",
)


@register(
    {"word2vec_cbow": dict(kind="cbow"), "word2vec_skipgram": dict(kind="skipgram")},
    task="word_vectors",
    paper="https://arxiv.org/abs/1310.4546",
    tiny=dict(input_shape=(4,), window=2, vocabulary_size=24, embed_dim=8, negatives=3),
)
class Word2Vec(Stateful, Architecture):
    """Learns a vector for each word from texts alone: `fit(texts)`, then `nearest(word)` and `analogy(a, b, c)`.

    Each word has two vectors, one as a neighbour and one as a centre. The product of the one and the other says how
    well the two words go together; it grows for pairs from a text, and falls for a neighbour and words drawn at random.
    `vectors` are those of neighbours, as in the program. Called on the words around a gap, the model says which
    word belongs there.

    Args:
        kind: "skipgram", where each neighbour guesses by itself, or "cbow", where their mean does.
        vocabulary_size: Words, with 0 for none and what else a tokenizer keeps for itself.
        embed_dim: Length of a vector.
        window: Radius of the widest window around a centre, in words.
        negatives: Random words for each pair.
        subsample: Share of all words above which a word is frequent, and not always read; 0 reads all. 1e-3 to 1e-5
            are usual.
        shared_negatives: Who shares random words: "centre", all neighbours of a centre; None, nobody, as in the
            program, five times as slow; or a number, the whole batch, for which so many are drawn, each counting
            `negatives / shared_negatives`. So few words then stand for all that `limit` holds them back: with 16 for
            batches of 1024, half as many analogies were right after two epochs, and it was no faster.
        limit: The learning rate times the pairs of a batch that share a word is at most this; where it would be more,
            what they do to the word's vector is scaled down. None for no limit.
        seed: Seed of the initial vectors and the random words.
        input_shape: (2 * window,), the words around a centre; nothing else is possible.

    Shapes:
        contexts: (batch, 2 * window), integers from 0, the numbers of the words around; 0 for none.
        returns:  (batch, vocabulary_size), float32 logits of the word in the middle.
    """

    def __init__(
        self,
        kind="skipgram",
        vocabulary_size=71291,
        embed_dim=100,
        window=5,
        negatives=5,
        subsample=1e-3,
        shared_negatives="centre",
        limit=0.5,
        seed=None,
        input_shape=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kind not in ("skipgram", "cbow"):
            raise ValueError(f'kind must be "skipgram" or "cbow", got {kind!r}.')
        for word, value in dict(embed_dim=embed_dim, window=window, negatives=negatives).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{word} must be a whole number from 1, got {value!r}.")
        shared = shared_negatives
        if shared not in (None, "centre") and (not isinstance(shared, int) or shared < 1):
            raise ValueError(
                f'shared_negatives must be None, "centre" or a whole number from 1, got {shared!r}.'
            )
        if not isinstance(vocabulary_size, int) or vocabulary_size < 3:
            raise ValueError(f"vocabulary_size must be a whole number from 3, got {vocabulary_size!r}.")
        if limit is not None and not limit > 0:
            raise ValueError(f"limit must be above 0, or None, got {limit!r}.")
        if not 0 <= subsample < 1:
            raise ValueError(f"subsample must be a share in [0, 1), got {subsample!r}.")
        if input_shape is not None and tuple(input_shape) != (2 * window,):
            raise ValueError(
                f"input_shape must be (2 * window,), which is ({2 * window},), or left out; got {input_shape!r}."
            )
        self.kind, self.window, self.negatives, self.subsample = kind, window, negatives, subsample
        self.shared_negatives, self.limit = shared_negatives, limit
        self.draws = keras.random.SeedGenerator(seed)
        shape = (vocabulary_size, embed_dim)
        start = keras.initializers.RandomUniform(-0.5 / embed_dim, 0.5 / embed_dim, seed=seed)
        self.neighbours = self.add_weight(shape=shape, initializer=start, name="neighbours")
        self.centres = self.add_weight(shape=shape, initializer="zeros", name="centres")
        even = noise(np.arange(vocabulary_size) > 0)
        self.noise = self.add_weight(
            shape=(vocabulary_size,), initializer=lambda shape, dtype: even, trainable=False, name="noise"
        )
        self.told = keras.metrics.Mean(name="accuracy")

    input_shape = property(lambda self: (None, 2 * self.window))
    output_shape = property(lambda self: (None, self.neighbours.shape[0]))

    def build(self, input_shape=None):
        """Nothing is left to make."""
        self.built = True

    def compile(self, optimizer="sgd", loss=None, metrics=None, **kwargs):
        """Keras' method, for plain gradient descent; the loss is the model's own.

        Raises:
            ValueError: The optimizer is another, which would touch every vector at every step, or has more to it than a
                learning rate; or there is a loss.
        """
        optimizer = keras.optimizers.get(optimizer)
        extras = [word for word in EXTRAS if getattr(optimizer, word, None)]
        if not isinstance(optimizer, keras.optimizers.SGD) or extras:
            raise ValueError(
                f"{self.name} learns by plain gradient descent, keras.optimizers.SGD without momentum; got "
                f"{type(optimizer).__name__}{' with ' + ' and '.join(extras) if extras else ''}."
            )
        if loss is not None or metrics:
            raise ValueError(f"{self.name} has a loss of its own: compile takes no loss and no metrics.")
        self.build()
        optimizer.build(self.trainable_variables)
        super().compile(optimizer, **{**kwargs, "auto_scale_loss": False})

    def call(self, contexts, training=False):
        vectors, there = ops.take(self.neighbours, contexts, axis=0), contexts != 0
        mean = mean_of(vectors, ops.cast(there, vectors.dtype))
        return ops.cast(ops.matmul(mean, ops.transpose(self.centres)), "float32")

    # Learning. What a pair does to its two vectors is known in closed form, so nothing is differentiated, and the
    # two tables, which are large, are touched only where there is something to change.

    def learn(self, data):
        """One step of gradient descent, in stateful style."""
        contexts, centres, rates = self.unpacked(data)
        pairs = self.pairs(contexts, centres)
        self.note(pairs)
        rate = rates[:, None] * ops.cast(self.optimizer.learning_rate, "float32")
        up = rate * pairs.counts * ops.sigmoid(-pairs.right)
        down = -rate[..., None] * pairs.shares * ops.sigmoid(pairs.wrong)
        to_hidden = (
            ops.einsum(f"bhn,{pairs.axes}->bhd", down, pairs.drawn) + up[..., None] * pairs.centre[:, None]
        )
        to_centre = ops.einsum("bh,bhd->bd", up, pairs.hidden)
        to_drawn = ops.einsum(f"bhn,bhd->{pairs.axes}", down, pairs.hidden)
        if self.kind == "cbow":  # to each in full, though each has but a part in the mean
            to_hidden = pairs.there[..., None] * to_hidden
        centre_often = ops.sum(rate * pairs.counts, axis=1)
        drawn_often = ops.sum(rate[..., None] * pairs.shares, axis=1 if pairs.axes == "bnd" else (0, 1))
        self.add(self.neighbours, (pairs.contexts, to_hidden, rate * pairs.there))
        self.add(
            self.centres, (pairs.centres, to_centre, centre_often), (pairs.negatives, to_drawn, drawn_often)
        )
        self.optimizer.iterations.assign(self.optimizer.iterations + 1)
        return self.get_metrics_result()

    def judge(self, data):
        """The loss on a batch; nothing is learned."""
        contexts, centres, _ = self.unpacked(data)
        self.note(self.pairs(contexts, centres))
        return self.get_metrics_result()

    def unpacked(self, data):
        """Neighbours (b, neighbours), centres (b,) and rates (b,) of a batch; pairs, where each stands alone."""
        contexts, centres, rates = keras.utils.unpack_x_y_sample_weight(data)
        contexts, centres = (ops.cast(ops.convert_to_tensor(v), "int32") for v in (contexts, centres))
        rates = ops.ones(ops.shape(centres)) if rates is None else ops.convert_to_tensor(rates)
        centres, rates = ops.reshape(centres, (-1,)), ops.cast(ops.reshape(rates, (-1,)), "float32")
        if self.shared_negatives is None and self.kind == "skipgram":
            each = contexts.shape[1]
            return ops.reshape(contexts, (-1, 1)), ops.repeat(centres, each), ops.repeat(rates, each)
        return contexts, centres, rates

    def pairs(self, contexts, centres):
        """All pairs of a batch with their random words, and how well they go together."""
        there = ops.cast(contexts != 0, "float32")
        neighbours, table = ops.stop_gradient(self.neighbours), ops.stop_gradient(self.centres)
        hidden, counts = ops.take(neighbours, contexts, axis=0), there
        if self.kind == "cbow":
            hidden, counts = mean_of(hidden, there)[:, None], ops.max(there, axis=1, keepdims=True)
        centre = ops.take(table, centres, axis=0)
        if isinstance(self.shared_negatives, int):
            axes, shape, share = "nd", (self.shared_negatives,), self.negatives / self.shared_negatives
        else:
            axes, shape, share = "bnd", (ops.shape(centres)[0], self.negatives), 1.0
        uniform = keras.random.uniform(shape, seed=self.draws)
        negatives = ops.cast(ops.searchsorted(self.noise, ops.reshape(uniform, (-1,)), side="right"), "int32")
        negatives = ops.reshape(negatives, shape)
        drawn = ops.take(table, negatives, axis=0)
        other = share * ops.cast(negatives != centres[:, None], "float32")
        return Pairs(
            contexts=contexts,
            centres=centres,
            negatives=negatives,
            axes=axes,
            there=there,
            hidden=hidden,
            centre=centre,
            drawn=drawn,
            right=ops.einsum("bhd,bd->bh", hidden, centre),
            wrong=ops.einsum(f"bhd,{axes}->bhn", hidden, drawn),
            counts=counts,
            shares=counts[..., None] * other[:, None],
        )

    def add(self, table, *changes):
        """Add to the vectors of words what a batch asks for, or as much of it as `limit` allows.

        Args:
            table: `neighbours` or `centres`.
            *changes: Triples of word numbers, of what is to be added to each, and of how much that weighs: the
                learning rate times the pairs that it comes from.
        """
        parts = zip(*changes, strict=True)
        shapes = (-1,), (-1, table.shape[1]), (-1,)
        rows, vectors, weights = (
            ops.concatenate([ops.reshape(v, shape) for v in part])
            for part, shape in zip(parts, shapes, strict=True)
        )
        if self.limit is not None:
            total = ops.take(ops.segment_sum(weights, rows, num_segments=table.shape[0]), rows)
            vectors = vectors * ops.minimum(1.0, self.limit / ops.maximum(total, 1e-9))[:, None]
        add_to_rows(table, rows, vectors)

    def note(self, pairs):
        """Take down the loss of a batch, and how many pairs are told from random ones."""
        each = ops.softplus(-pairs.right) * pairs.counts
        loss = ops.sum(each) + ops.sum(ops.softplus(pairs.wrong) * pairs.shares)
        told = ops.sum(pairs.counts * ops.cast(pairs.right > 0, "float32"))
        told = told + ops.sum(pairs.shares * ops.cast(pairs.wrong < 0, "float32"))
        count = ops.sum(pairs.counts)
        kernels.include(self.metrics[0], loss, count)
        kernels.include(self.told, told, count + ops.sum(pairs.shares))

    def fit(self, x=None, y=None, batch_size=None, epochs=1, *args, **kwargs):
        """`keras.Model.fit`, with its arguments.

        Args:
            x: Texts; or arrays of words around a centre, (count, 2 * window), 0 for none; or a data set of both.
            y: (count,) centres, for arrays; texts need none.
            batch_size: Centres in a batch, 1024 by default for texts, 32 for arrays.
            epochs: Of texts, the learning rate falls evenly to 1e-4 of itself meanwhile.

        Random words are those of the texts, or of `y`, drawn as often as their number to the power of 0.75 says.
        """
        object.__setattr__(self, "_epochs", epochs)
        if self.is_text(x):
            batch_size = batch_size or BATCH
        elif y is not None:
            self.check_batch(x, y, kwargs.get("sample_weight"))
            self.count(np.bincount(np.asarray(y, "int64").ravel(), minlength=self.noise.shape[0]))
        return super().fit(x, y, batch_size, epochs, *args, **kwargs)

    def count(self, counts):
        """Draw random words from now on as these counts, (vocabulary_size,), say."""
        self.noise.assign(noise(counts))

    def read(self, x, y=None, sample_weight=None, batch_size=32, shuffle=False, seed=None, initial_epoch=0):
        """Texts as batches of centres with the words around them; `fit` gives a seed, and learns the counts, too.

        Raises:
            ValueError: There are labels or weights, a text is empty, or none holds two words that are known.
        """
        if y is not None or sample_weight is not None:
            raise ValueError(
                f"{self.name} learns from texts alone: it takes no y and no sample_weight with them."
            )
        texts = check_texts("x", x, words=self.tokenizer.kind == "given")
        sequences = self.tokenizer.encode_many(texts)
        for text, sequence in zip(texts, sequences, strict=True):
            if not len(sequence):
                raise ValueError(f"x[{texts.index(text)}] is empty: there is nothing to read in {text!r}.")
        found = Contexts(
            [sequence[sequence != self.tokenizer.unknown] for sequence in sequences],
            self.window,
            self.noise.shape[0],
            self.subsample,
            None if seed is None else self._epochs,
            batch_size,
            shuffle,
            seed or 0,
            initial_epoch,
        )
        if seed is not None:
            self.count(found.counts)
        return found

    def answers(self, x, predict, batch_size=None):
        """As of `Reading`: what belongs among the words of each text, 2 * window of them at most."""
        return predict(padded(self.encode(x), self.fixed_length))

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse what are not words around centres, and centres."""
        if y is None:
            raise ValueError(
                f"{self.name} learns from {prefix}x, the words around, and {prefix}y, those in the middle; there is no "
                f"{prefix}y. From texts, it learns alone."
            )
        super().check_batch(x, y, sample_weight, prefix)
        y = checks.array(y)
        checks.check_labels(f"{prefix}y", y, len(y), self.noise.shape[0])
        if y.min() < 1:
            raise ValueError(f"{prefix}y must hold words, numbered from 1, got {y.min():g}: 0 is for none.")

    def check_inputs(self, x, prefix=""):
        """Refuse what are not numbers of words around a centre."""
        super().check_inputs(x, prefix)
        checks.check_tokens(f"{prefix}x", checks.array(x), self.noise.shape[0], self.name)

    # What has been learned.

    @property
    def words(self):
        """The words that have a vector, without what the tokenizer keeps for itself: a list of strings."""
        return self.tokens[len(SPECIALS) :]

    @property
    def vectors(self):
        """Their vectors, in the same order: (words, embed_dim), float32 NumPy array."""
        first = len(self.tokens) - len(self.words)
        return np.array(ops.convert_to_numpy(self.neighbours))[first:]

    @property
    def tokens(self):
        if self.tokenizer is None:
            raise ValueError(
                f"{self.name} was built without a vocabulary and knows no words, only numbers: "
                "keraszoo.build(..., vocabulary=keraszoo.text.Tokenizer.learn(texts))."
            )
        return self.tokenizer.tokens

    def place(self, name, word):
        """Where a word is among `words`.

        Raises:
            ValueError: It is not known; the message gives the nearest spelling.
        """
        words = self.words
        if not isinstance(word, str):
            raise ValueError(f"{name} must be a word, got {word!r}.")
        numbers = self.tokenizer.encode([word] if self.tokenizer.kind == "given" else word)
        if len(numbers) != 1 or numbers[0] < len(SPECIALS):
            hint = registry.nearest(word, words, f"model.words, {len(words)} of them")
            raise ValueError(f"{name}={word!r} is no word that {self.name} knows. {hint}")
        return numbers[0] - len(SPECIALS)

    def similarity(self, a, b):
        """The cosine between the vectors of two words, in [-1, 1]."""
        unit = directions(self.vectors[[self.place("a", a), self.place("b", b)]])
        return float(unit[0] @ unit[1])

    def nearest(self, word, count=10):
        """The words whose vectors lie nearest to that of a word: a list of (word, cosine), the nearest first."""
        place = self.place("word", word)
        unit = directions(self.vectors)
        return self.best(unit, unit[place], [place], count)

    def analogy(self, a, b, c, count=5):
        """What is to `c` as `b` is to `a`: the words nearest to b - a + c, a list of (word, cosine).

        Vectors are brought to length one first. `a`, `b` and `c` are no answers.

        >>> model.analogy("man", "king", "woman", count=1)
        [('queen', 0.93)]
        """
        places = [self.place(name, word) for name, word in (("a", a), ("b", b), ("c", c))]
        unit = directions(self.vectors)
        wanted = unit[places[1]] - unit[places[0]] + unit[places[2]]
        return self.best(unit, directions(wanted[None])[0], places, count)

    def best(self, unit, wanted, places, count):
        """The words nearest to a direction, but for those at `places`."""
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"count must be a whole number from 1, got {count!r}.")
        scores, words = unit @ wanted, self.words
        scores[places] = -np.inf
        order = np.argsort(-scores, kind="stable")[: min(count, len(words) - len(set(places)))]
        return [(words[i], float(scores[i])) for i in order]


class Pairs(NamedTuple):
    """The pairs of a batch: `b` centres, each with `h` vectors that guess it and `n` random words.

    `h` counts neighbours, or is 1 for their mean; and where each pair has random words of its own, it stands alone:
    `b` counts pairs. With random words for a whole batch, these have no axis `b`.
    """

    contexts: object  # (b, neighbours)
    centres: object  # (b,)
    negatives: object  # (b, n) or (n,)
    axes: str  # of `drawn`
    there: object  # (b, neighbours), 1 or 0
    hidden: object  # (b, h, d)
    centre: object  # (b, d)
    drawn: object  # (b, n, d) or (n, d)
    right: object  # (b, h), scores of the pairs
    wrong: object  # (b, h, n), scores of the random ones
    counts: object  # (b, h), 1, or 0 where there is no pair
    shares: object  # (b, h, n), how much a random word counts; nothing if it is the centre itself


def mean_of(vectors, there):
    """The mean of those vectors that are there: (batch, features), zero if none is.

    Args:
        vectors: (batch, count, features).
        there: (batch, count), 1 or 0, of the same dtype.
    """
    total = ops.einsum("bcd,bc->bd", vectors, there)
    return total / ops.maximum(ops.sum(there, axis=1, keepdims=True), 1.0)


def directions(vectors):
    """Vectors, (count, features), brought to length one; those of length zero stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
