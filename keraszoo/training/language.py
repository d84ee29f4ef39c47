"""What every model adds that foretells the next token of a text: fit on running text, go on with it, weigh it."""

import functools

import numpy as np
from keras import ops

from keraszoo.backend.compiled import compiled
from keraszoo.text.generation import generate, log_softmax
from keraszoo.text.sequences import padded, windows
from keraszoo.text.tokenizer import check_texts
from keraszoo.training.batches import Batches
from keraszoo.training.checks import check_tokens

SIZE = 2**23  # logits computed at a time, where there may be many


class LanguageModel:
    """A mixin in front of `Network` or `Architecture`, for a model
    from (batch, time), token numbers,
    to   (batch, time, tokens), logits: at each place, of the token that follows there.

    `fit` and `evaluate` take running text: a string, or a list of strings, which are joined by the end token; or
    its token numbers, (tokens,); or arrays `x, y`, both (count, length), as `keraszoo.text.windows` gives them.

    A model that reads no more than its last `memory` tokens needs to say no more than that. Another overrides
    `begin` and `step`, and `reach` or `scores`.

    Attributes:
        window: Tokens of a piece to learn from, where the model takes any number.
        memory: How many tokens before a place it looks at, the one at the place among them.
    """

    window = 35
    memory = 35

    # Learning

    def is_text(self, x):
        """Whether `x` is text, as of `Reading`.

        Raises:
            ValueError: It is bytes; or it is text, and the model cannot read.
        """
        if isinstance(x, bytes):
            raise ValueError("x holds bytes: decode them, as text.decode('utf-8').")
        return super().is_text(x)

    def is_running(self, x, y=None):
        """Whether `x` is running text: strings, or, without `y`, the numbers of its tokens in an array."""
        return self.is_text(x) or (y is None and isinstance(x, np.ndarray) and x.ndim == 1)

    def fit(self, x=None, y=None, *args, validation_split=0.0, validation_data=None, **kwargs):
        """`keras.Model.fit`, on running text or arrays. Text falls into windows; `validation_split` cuts off its end.

        Raises:
            ValueError: As of `keraszoo.training.fitting.Fitting.fit`; or a text is shorter than a window.
        """
        if self.is_running(x, y):
            if y is not None:
                raise ValueError("A text is its own answer: give no y with it.")
            parts = [self.running(x)]
            if validation_split and validation_data is None:
                parts = Batches.split(parts[0], validation_split)
            (x, y), *rest = (windows(part, self.piece) for part in parts)
            validation_data = rest[0] if rest else validation_data
            validation_split = 0.0
        return super().fit(
            x, y, *args, validation_split=validation_split, validation_data=validation_data, **kwargs
        )

    def read(self, x, y=None, sample_weight=None, batch_size=32, **batching):
        """Running text as batches of windows."""
        if y is not None or sample_weight is not None:
            raise ValueError("A text is its own answer: give no y and no sample_weight with it.")
        x, y = windows(self.running(x), self.piece)
        return self.batches(x, y, batch_size=batch_size, **batching)

    def checked(self, data, prefix="", batch_size=None):
        """As of `Fitting`; a text, or a text and None, is read."""
        if (
            isinstance(data, tuple)
            and data
            and isinstance(data[0], (str, list))
            and all(part is None for part in data[1:])
        ):
            data = data[0]
        if self.is_running(data):
            return self.read(data, batch_size=batch_size or 32)
        return super().checked(data, prefix, batch_size)

    @property
    def piece(self):
        """Tokens of a piece of text to learn from."""
        return self.fixed_length or self.window

    def running(self, text, name="x"):
        """The token numbers of a text, (tokens,) int32.

        Args:
            text: A string; a list of strings, each of which ends with the end token; or token numbers, which stay.
            name: What it is called, for messages.

        Raises:
            ValueError: It is no text, or empty, or holds no token that the model knows.
        """
        if not self.is_text(text):
            numbers = np.asarray(text)
            if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
                raise ValueError(
                    f"{name} must be a text, or (tokens,) token numbers, got shape {numbers.shape}, "
                    f"dtype {numbers.dtype}."
                )
            check_tokens(name, numbers, self.output_shape[-1], self.name)
            return numbers.astype("int32")
        if isinstance(text, str):
            return self.whole([text], name)[0]
        end = [self.tokenizer.end]
        return np.concatenate([part for numbers in self.whole(text, name) for part in (numbers, end)]).astype(
            "int32"
        )

    def whole(self, texts, name):
        """Token numbers of texts, a list of int32 arrays. However long, they are not cut off."""
        return self.encode(texts, name, tokenizer=self.tokenizer)

    def get_metrics_result(self):
        """Keras' logs, and the perplexity: `exp` of the loss, if that is in nats per token."""
        logs = super().get_metrics_result()
        return {**logs, "perplexity": ops.exp(logs["loss"])} if "loss" in logs else logs

    # Weighing

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        """`keras.Model.evaluate`, on arrays or text. Each token of a text but the first is foretold from all before it.

        Returns:
            Mean nats per token and the perplexity; with `return_dict=True`, a dict.
        """
        if kwargs.get("_use_cached_eval_dataset") or not self.is_running(x, y):
            return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)
        loss = -self.log_probabilities(x).mean()
        found = {"loss": float(loss), "perplexity": float(np.exp(loss))}
        return found if kwargs.get("return_dict") else list(found.values())

    def perplexity(self, text):
        """Among how many tokens, equally likely, the model hesitates: `exp` of the mean nats per token of a text."""
        return float(np.exp(-self.log_probabilities(text).mean()))

    def log_probabilities(self, text):
        """How likely the model takes each token of a text to be, given those before it.

        Args:
            text: A string; a list of strings, joined by the end token; or (tokens,) token numbers.

        Returns:
            (tokens - 1,) float64, natural logarithms. The first token follows nothing and is not among them.

        Raises:
            ValueError: The text has fewer than two tokens.
        """
        numbers = self.running(text, "text")
        if len(numbers) < 2:
            raise ValueError("text must have at least two tokens: the first is there to begin with.")
        return self.scores(numbers)

    @property
    def reach(self):
        """Tokens of a piece that `scores` reads at a time, and how many are new there: seen with enough before them."""
        size = self.fixed_length or self.memory + min(self.memory * 4, 256)
        return size, size - min(self.memory, size) + 1

    def scores(self, numbers):
        """`log_probabilities` of token numbers: pieces that overlap by what the model looks back."""
        known, next_ones = numbers[:-1], numbers[1:]
        size, new = self.reach
        if not self.fixed_length:
            size = min(size, -(-len(known) // 64) * 64)  # few lengths: each is compiled for itself
        pieces = padded([known[:size]], size) if len(known) < size else None
        starts = np.zeros(1, int)
        if pieces is None:
            starts = np.unique(np.append(np.arange(0, len(known) - size, new), len(known) - size))
            pieces = known[starts[:, None] + np.arange(size)]
        found, done = np.empty(len(known)), 0
        at_once = max(1, SIZE // (size * self.output_shape[-1]))
        for i in range(0, len(pieces), at_once):
            logits = self.foretell(pieces[i : i + at_once])
            for start, row in zip(starts[i : i + at_once], logits, strict=True):
                stop = min(start + size, len(known))
                found[done:stop] = chosen(row[done - start : stop - start], next_ones[done:stop])
                done = stop
        return found

    # Going on

    def generate(
        self,
        prompts,
        length=100,
        temperature=1.0,
        top_k=None,
        top_p=None,
        beams=1,
        length_penalty=1.0,
        end=None,
        seed=None,
        mask=None,
    ):
        """Go on with a text, or with several at once.

        Args:
            prompts: A string, or a list of strings; or token numbers, (tokens,), or a list of those.
            length, temperature, top_k, top_p, beams, length_penalty, seed: As of `keraszoo.text.generate`.
            end: The number of the token to stop at. By default that of the tokenizer, if there is one; -1 for none.
            mask: For an array of prompts, (count, time), that are padded on either side: which of their tokens are
                real, (count, time), bool.

        Returns:
            What comes after the prompt, up to the end token and without it: a string for a string, a list for a list;
            int32 arrays for token numbers. Padding, unknown tokens and start tokens are never written.

        Raises:
            ValueError: A prompt is empty or unknown to the model, or an argument is out of its range.
        """
        given, text, single = self.prompts(prompts if mask is None else unpadded(prompts, mask))
        end = self.end if end is None else end
        drawn = self.draw(given, length, temperature, top_k, top_p, beams, length_penalty, end, seed)
        found = [until(row, end) for row in np.stack(list(drawn), axis=1)]
        if text:
            found = [
                "".join(pieces(self.tokenizer, prompt, row)) for prompt, row in zip(given, found, strict=True)
            ]
        return found[0] if single else found

    def stream(self, prompt, length=100, temperature=1.0, top_k=None, top_p=None, end=None, seed=None):
        """An iterator over pieces of what `generate` gives, each as soon as it is known.

        Args:
            prompt: A string, or (tokens,) token numbers.
            length, temperature, top_k, top_p, end, seed: As of `generate`.
        """
        given, text, single = self.prompts(prompt)
        if not single:
            raise ValueError("prompt must be one text: generate takes several.")
        end = self.end if end is None else end
        drawn = self.draw(given, length, temperature, top_k, top_p, 1, 1.0, end, seed)
        tokens = before(drawn, end)
        return pieces(self.tokenizer, given[0], tokens) if text else tokens

    @property
    def end(self):
        """The number of the token that ends a text, or None."""
        return self.tokenizer.end if self.tokenizer else None

    def prompts(self, prompts):
        """Prompts as a list of token numbers, whether they were text, and whether there was one only."""
        text = self.is_text(prompts)
        if text:
            single = isinstance(prompts, str)
            given = check_texts("prompts", [prompts] if single else prompts)
            if "" in given:
                raise ValueError(f"prompts[{given.index('')}] is empty: there is nothing to go on with.")
            return self.whole(given, "prompts"), True, single
        single = len(prompts) and np.ndim(prompts[0]) == 0
        given = [prompts] if single else list(prompts)
        return [self.running(p, f"prompts[{i}]") for i, p in enumerate(given)], False, single

    def draw(self, prompts, length, temperature, top_k, top_p, beams, length_penalty, end, seed):
        """`keraszoo.text.generate` with this model."""
        special = ()
        if reader := self.tokenizer:  # a checkpoint's may have one token for several of these
            special = {reader.pad, reader.unknown, reader.start, reader.mask} - {reader.end, None}
        return generate(
            self.begin,
            self.step,
            prompts,
            length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            beams=beams,
            length_penalty=length_penalty,
            end=end,
            forbidden=tuple(special),
            seed=seed,
        )

    def begin(self, prompts):
        """What follows prompts, and what to remember of them; see `keraszoo.text.generate`.

        Args:
            prompts: List of int32 arrays of different lengths.

        Returns:
            Logits, (count, tokens), float32 NumPy array; and a state, whose arrays have an axis of `count` in front.
        """
        size = self.fixed_length or self.memory
        rows = np.zeros((len(prompts), size), "int32")
        for row, prompt in zip(rows, prompts, strict=True):
            last = prompt[-size:]
            row[size - len(last) :] = last
        return self.foretell(rows)[:, -1], rows

    def step(self, tokens, state):
        """What follows when tokens, (count,) int32, have come after what is remembered."""
        rows = np.concatenate([ops.convert_to_numpy(state)[:, 1:], tokens[:, None]], axis=1)
        return self.foretell(rows)[:, -1], rows

    def foretell(self, tokens):
        """Logits, (count, time, tokens), float32 NumPy array, of token numbers (count, time)."""
        return ops.convert_to_numpy(self.foreteller(tokens))

    @functools.cached_property
    def foreteller(self):
        return compiled(lambda tokens: self(tokens, training=False), self.variables)


def chosen(logits, tokens):
    """Log-probabilities of tokens, (count,) float64, by their logits, (count, all tokens)."""
    return log_softmax(np.asarray(logits, "float64"))[np.arange(len(tokens)), tokens]


def unpadded(rows, mask):
    """The real tokens of each row, a list of arrays.

    Raises:
        ValueError: There is not one entry in `mask` for each token.
    """
    rows, mask = np.asarray(rows), np.asarray(mask, bool)
    if rows.shape != mask.shape or rows.ndim != 2:
        raise ValueError(f"prompts and mask must both be (count, time), got {rows.shape} and {mask.shape}.")
    return [row[real] for row, real in zip(rows, mask, strict=True)]


def until(tokens, end):
    """Tokens up to the first `end`, which is left out."""
    places = np.flatnonzero(tokens == end) if end is not None else ()
    return tokens[: places[0]] if len(places) else tokens


def before(drawn, end):
    """The only token of each array, up to the first `end`."""
    for (token,) in drawn:
        if token == end:
            return
        yield token


def pieces(tokenizer, prompt, tokens):
    """Text of tokens as they come after a prompt. Joined, the pieces are what belongs behind the prompt.

    How a token is written may depend on the one before it, and a character may take several tokens.
    """
    known, told, start = list(prompt), len(prompt), 0
    for token in tokens:
        known.append(token)
        text, new = tokenizer.decode(known[start:told]), tokenizer.decode(known[start:])
        if len(new) > len(text) and not new.endswith("\N{REPLACEMENT CHARACTER}"):
            yield new[len(text) :]
            start, told = told, len(known)
    text, new = tokenizer.decode(known[start:told]), tokenizer.decode(known[start:])
    if len(new) > len(text):
        yield new[len(text) :]
