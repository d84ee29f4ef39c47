"""What translators have in common: they learn from pairs of texts, and write token by token.

In training, a translator sees the right words so far and foretells the next (teacher forcing: Williams, Zipser 1989,
https://doi.org/10.1162/neco.1989.1.2.270); afterwards it sees its own.
"""

import functools
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keraszoo.backend import kernels, recurrent
from keraszoo.backend.compiled import compiled
from keraszoo.text.generation import generate
from keraszoo.text.sequences import padded
from keraszoo.text.tokenizer import END, PAD, SPECIALS, START, check_texts
from keraszoo.training import checks
from keraszoo.training.bucketed import Bucketed
from keraszoo.training.game import MultiPlayerModel, Player

PAD, START, END = map(SPECIALS.index, (PAD, START, END))  # the same numbers in every vocabulary
NEVER = (PAD, START)  # written


class Alignment(NamedTuple):
    """Where a translator looked as it wrote: what `attention_of` gives."""

    source: list  # tokens, str
    target: list  # tokens, str, with the end token
    weights: np.ndarray  # (target, source), or (layers, heads, target, source), float32, rows sum to 1

    def of(self, layer=None, head=None):
        """The `Alignment` of one head of one layer; the mean of all of them for None."""
        weights = self.weights
        for axis, number in ((1, head), (0, layer)):
            weights = weights.mean(axis) if number is None else weights.take(number, axis)
        return self._replace(weights=weights)


class Pairs(Bucketed):
    """Pairs of sequences in batches `(source, target)` or `(source, target, weight)`, both of the length of a bucket.

    Args:
        x, y: Lists of int32 arrays: sources and targets.
        sample_weight, **batching: As of `Bucketed`.
        fixed: Steps of all sources, if the model takes only so many.
    """

    def __init__(self, x, y, sample_weight=None, fixed=None, **batching):
        self.fixed = fixed
        super().__init__(x, y, sample_weight, **batching)

    def take(self, rows):
        source, *rest = super().take(rows)
        if self.fixed:
            source = padded([self.x[i] for i in rows], self.fixed)
        return source, *rest


class Translator(MultiPlayerModel):
    """Subclass this, and write `vocabulary_size`, `input_shape`, `length`, `networks` and the three methods below.

    `fit(texts, translations)` takes lists of strings if the model was built with two vocabularies; `fit(x, y)` takes
    token numbers, both (count, time), 0 for padding at the end; `y` ends with the end token, 3. The logs hold the mean
    cross-entropy of a token of the targets (padding left out), and the share of tokens foretold right.

    `predict` on token numbers gives the logits of a free run, (count, length, target tokens), zeros after the end, so
    that `argmax` gives the greedy translation, padded; on texts it gives their translations.

    A subclass has

        vocabulary_size  (source tokens, target tokens)
        input_shape      (None, time)
        length           steps of a free run, at most
        networks()       list of what learns

    Attributes:
        accuracy: The metric.
        label_smoothing: Share of the target that is spread over all tokens while training, in [0, 1).
    """

    label_smoothing = 0.0

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.accuracy = keras.metrics.Mean(name="accuracy")

    def taught(self, source, target, training=False):
        """Logits of each next token, given the right ones before it.

        Args:
            source: (batch, source time), int32.
            target: (batch, target time), int32, with the start token in front.

        Returns:
            (batch, target time, target tokens), float32.
        """
        raise NotImplementedError

    def remember(self, source, room):
        """The state in which writing begins: a structure of tensors whose first axis is the batch.

        Args:
            source: (batch, source time), int32.
            room: Tokens that will be written at most.
        """
        raise NotImplementedError

    def following(self, tokens, state):
        """Logits of what follows `tokens`, (batch,) int32: (batch, target tokens), float32; and the next state."""
        raise NotImplementedError

    def networks(self):
        raise NotImplementedError

    @property
    def inputs(self):
        return [keras.KerasTensor(self.input_shape, "int32", name="source")]

    @property
    def output_shape(self):
        return None, self.length, self.vocabulary_size[1]

    def players(self):
        return {"translator": Player(self.networks(), self.translator_loss)}

    def translator_loss(self, source, target, sample_weight=None, training=False):
        """The mean cross-entropy of the target's tokens, padding left out.

        With `label_smoothing`, in training, the divergence from what is then the target, as much above zero as can be
        learned: Vaswani et al. 2017, section 5.4; Szegedy et al. 2015, https://arxiv.org/abs/1512.00567, section 7.
        """
        target = ops.cast(target, "int32")
        start = ops.full_like(target[:, :1], START)
        logits = self.taught(source, ops.concatenate([start, target[:, :-1]], axis=1), training=training)
        real = ops.cast(ops.not_equal(target, PAD), "float32")
        count = ops.sum(real)
        smoothing = self.label_smoothing if training else 0.0
        losses, right = kernels.judged(target, logits, smoothing)
        losses = losses - entropy(smoothing, self.vocabulary_size[1])
        kernels.include(self.accuracy, ops.sum(real * right), count)
        losses = real * losses
        if sample_weight is not None:
            losses = losses * ops.cast(ops.reshape(sample_weight, (-1, 1)), "float32")
        return ops.sum(losses) / count

    def call(self, inputs, training=False):
        """Source tokens to the logits of a free run; a pair of sources and targets to those under teacher forcing."""
        if isinstance(inputs, (list, tuple)):
            return self.taught(*inputs, training=training)
        return self.free_run(inputs)

    def free_run(self, source):
        """Logits of a greedy translation, (batch, length, target tokens), float32, zeros after its end."""
        state = self.remember(source, self.length)
        batch, tokens = ops.shape(source)[0], self.vocabulary_size[1]
        barred = ops.convert_to_tensor([-1e30 if i in NEVER else 0.0 for i in range(tokens)], "float32")

        def step(_, before):
            _, token, over, *state_now = before
            logits, state_next = self.following(token, keras.tree.pack_sequence_as(state, state_now))
            token = ops.cast(ops.argmax(logits + barred, axis=-1), "int32")
            shown = ops.where(ops.expand_dims(over, -1), 0.0, logits)
            return [shown, token, ops.logical_or(over, token == END), *keras.tree.flatten(state_next)]

        first = [ops.zeros((batch, tokens)), ops.full((batch,), START, "int32"), ops.zeros((batch,), "bool")]
        clock = ops.zeros((batch, self.length, 1))  # the loop is over steps alone
        logits, _ = recurrent.scan(step, clock, [*first, *keras.tree.flatten(state)], ops.ones((1, 1)))
        return logits

    def check_inputs(self, x, prefix=""):
        """Refuse what are not source tokens, or a pair of those and target tokens."""
        source, target = x if isinstance(x, (list, tuple)) and len(x) == 2 else (x, None)
        checks.check_inputs(self, source, prefix)
        self.check_sentences(f"{prefix}x", source, 0)
        if target is not None:
            self.check_sentences(f"{prefix}y", target, 1)
            if len(source) != len(target):
                raise ValueError(
                    f"{prefix}x and {prefix}y must have as many samples: x has {len(source)}, y has {len(target)}."
                )

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse what are not pairs of sentences."""
        if y is None:
            raise ValueError(
                f"{prefix}y is missing: {self.name} learns from pairs, sources x and translations y."
            )
        self.check_inputs((x, y), prefix)
        if sample_weight is not None:
            weight = checks.array(sample_weight)
            checks.check_numbers(f"{prefix}sample_weight", weight)
            if weight.reshape(len(weight), -1).shape != (len(x), 1):
                raise ValueError(
                    f"{prefix}x and {prefix}sample_weight must have as many samples: x has {len(x)}, one weight for "
                    f"each; sample_weight has shape {weight.shape}."
                )

    def check_sentences(self, name, value, side):
        """Refuse what are not token numbers of a vocabulary, or rows in which padding comes before a token."""
        value = checks.array(value)
        checks.check_numbers(name, value)
        if value.ndim != 2:
            raise ValueError(
                f"{name} must hold token numbers, (count, time), got an array of shape {value.shape}."
            )
        checks.check_tokens(name, value, self.vocabulary_size[side], self.name)
        real = value != PAD
        if not real[:, 0].all():
            at = int(np.argmin(real[:, 0]))
            what = "begins with padding" if real[at].any() else "is empty: it holds padding only"
            raise ValueError(f"{name}[{at}] {what}; padding (0) may only follow the tokens.")
        if (real[:, 1:] & ~real[:, :-1]).any():
            at = int(np.argmax((real[:, 1:] & ~real[:, :-1]).any(axis=1)))
            raise ValueError(
                f"{name}[{at}] has padding between its tokens; padding (0) may only follow them."
            )

    @property
    def languages(self):
        """The tokenizers of source and target; one may serve both.

        Raises:
            ValueError: The model was built without them, or with those of other special tokens.
        """
        if len(self.tokenizers) not in (1, 2):
            raise ValueError(
                f"{self.name} was built without vocabularies: keraszoo.build(..., vocabulary=(source, target)) with "
                "keraszoo.text.Tokenizer.learn(texts) of each language."
            )
        for tokenizer in self.tokenizers:
            if (tokenizer.pad, tokenizer.start, tokenizer.end) != (PAD, START, END):
                raise ValueError(
                    f"{self.name} needs vocabularies in which padding, start and end have the numbers {PAD}, {START} and "
                    f"{END}, as of keraszoo.text.Tokenizer.learn; got {tokenizer.pad}, {tokenizer.start} and {tokenizer.end}."
                )
        return self.tokenizers[0], self.tokenizers[-1]

    def read(self, x, y=None, sample_weight=None, **batching):
        """Pairs of texts as batches for `fit`.

        Args:
            x, y: Lists of strings: texts and their translations.
            sample_weight: (count,), or None.
            **batching: Of `Bucketed`: `batch_size`, `shuffle`, `seed` and so on.

        Returns:
            A `Pairs` data set.

        Raises:
            ValueError: There are not as many translations as texts, one of them is empty, or no token of any of them
                is known.
        """
        _, language = self.languages
        if y is None:
            raise ValueError(f"y is missing: {self.name} learns from pairs, texts x and translations y.")
        x, y = check_texts("x", x), check_texts("y", y)
        if len(x) != len(y):
            raise ValueError(f"x and y must have as many samples: x has {len(x)}, y has {len(y)}.")
        sources, targets = self.encode(x), self.encode(y, "y", language)
        targets = [np.append(target, np.int32(END)) for target in targets]
        return Pairs(sources, targets, sample_weight, self.fixed_length, **batching)

    def answers(self, x, predict, batch_size=None):
        """What `predict` gives of texts: their greedy translations."""
        return self.translate(x, batch_size=batch_size or 64)

    def translate(self, texts, beams=1, length=None, temperature=0.0, seed=None, batch_size=64, **generation):
        """The translations of texts.

        Args:
            texts: List of strings.
            beams: Above 1, look for the likeliest translation among so many at a time.
            length: Tokens of a translation, at most; by default those of a free run.
            temperature: 0 takes the likeliest token at each step; above, tokens are drawn.
            seed: Of what is drawn.
            batch_size: Texts at a time.
            **generation: Of `keraszoo.text.generate`: `top_k`, `top_p`, `length_penalty`.

        Returns:
            List of strings.

        Raises:
            ValueError: The model has no vocabularies, a text is empty, or an argument is out of its range.
        """
        _, language = self.languages
        sequences = self.encode(texts, "texts")
        found = self.written(
            sequences,
            batch_size,
            length=length or self.length,
            beams=beams,
            temperature=temperature,
            seed=seed,
            **generation,
        )
        return [language.decode(row) for row in found]

    def summarise(self, texts, **arguments):
        """The summaries of texts, if that is what it has learned to write; arguments and results as of `translate`."""
        return self.translate(texts, **arguments)

    def written(self, sequences, batch_size=64, *, length, **generation):
        """The tokens of translations, a list of int32 arrays without the end token; arguments as of `translate`."""
        data = Bucketed(sequences, batch_size=batch_size, length=self.fixed_length)
        found = [None] * data.count
        for rows in data.plan:
            made = generate(
                partial(self.begin, length=data.length(rows), room=max(length, self.length)),
                self.ask("following"),
                [sequences[i] for i in rows],
                length,
                end=END,
                forbidden=NEVER,
                **generation,
            )
            for i, tokens in zip(rows, np.stack(list(made), axis=1), strict=True):
                found[i] = tokens[: np.argmax(tokens == END)] if END in tokens else tokens
        return found

    def begin(self, sources, length, room):
        """Logits of the first token, and the state, of sources padded to a length, for `keraszoo.text.generate`."""
        state = self.ask("remember", room)(padded(sources, length))
        return self.ask("following")(np.full(len(sources), START, "int32"), state)

    @functools.cached_property
    def asked(self):
        """What `ask` has compiled."""
        return {}

    def ask(self, method, *fixed):
        """A method, compiled, with what is `fixed` of its last arguments; logits to choose from come as NumPy arrays."""
        if (method, fixed) not in self.asked:
            asking = getattr(self, method)
            self.asked[method, fixed] = compiled(lambda *given: asking(*given, *fixed), self.variables)
        found = self.asked[method, fixed]
        if method != "following":
            return found

        def following(*arguments):
            logits, state = found(*arguments)
            return ops.convert_to_numpy(logits), state

        return following


def entropy(smoothing, tokens):
    """Of what `label_smoothing` makes of a target among so many tokens, in nats: no loss falls below it."""
    shares = np.array([1 - smoothing + smoothing / tokens, *[smoothing / tokens] * (tokens - 1)])
    return float(-(shares * np.log(np.where(shares > 0, shares, 1))).sum())
