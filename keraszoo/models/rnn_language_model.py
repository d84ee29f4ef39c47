"""The recurrent language model: a state that has read all words so far foretells the next.

Zaremba, Sutskever, Vinyals 2014, https://arxiv.org/abs/1409.2329; the size is that of its small model, which has no
dropout. `rnn_language_model(units=650, dropout=0.5, init=0.05)` is the medium one, `(units=1500, dropout=0.65,
init=0.04)` the large one.

Departures from the paper: each window of a text is learned from a state of zeros (in `evaluate`, `perplexity` and
`generate` the state is carried on); Adam, with the paper's limit on the norm of gradients, instead of gradient descent
whose rate falls.
"""

import functools

import keras
import numpy as np
from keras import layers, ops

from keraszoo.architecture import Network
from keraszoo.backend.compiled import compiled
from keraszoo.layers import Dense, Dropout
from keraszoo.layers.recurrent import LSTM
from keraszoo.registry import register
from keraszoo.text.sequences import padded
from keraszoo.training.language import SIZE, LanguageModel, chosen


class RNNLanguageModel(LanguageModel, Network):
    """A recurrent language model, as `rnn_language_model` builds it. It carries its state through a text."""

    def read_on(self, tokens, states, mask=None):
        """Read tokens from a state on.

        Args:
            tokens: (batch, time), integers.
            states: Two tensors for each LSTM, (batch, units).
            mask: (batch, time), bool: which are real, or None for all.

        Returns:
            (batch, time, tokens) logits, and the states afterwards.
        """
        x, left, found = tokens, list(states), []
        for layer in self.layers[1:]:
            if isinstance(layer, layers.LSTM):
                x, *state = layer(x, initial_state=[left.pop(0), left.pop(0)], mask=mask)
                found += state
            else:
                x = layer(x, training=False) if isinstance(layer, layers.Dropout) else layer(x)
        return x, found

    @functools.cached_property
    def reader(self):
        return compiled(self.read_on, self.variables)

    def blank(self, count):
        """The states before anything was read."""
        units = [layer.units for layer in self.layers if isinstance(layer, layers.LSTM) for _ in range(2)]
        return [np.zeros((count, n), self.compute_dtype) for n in units]

    def begin(self, prompts):
        lengths = np.array([len(prompt) for prompt in prompts])
        tokens = padded(prompts, multiple=16)  # few lengths: each is compiled for itself
        mask = np.arange(tokens.shape[1]) < lengths[:, None]
        logits, states = self.reader(tokens, self.blank(len(tokens)), mask)
        return ops.convert_to_numpy(logits)[np.arange(len(tokens)), lengths - 1], states

    def step(self, tokens, state):
        logits, states = self.reader(np.asarray(tokens, "int32")[:, None], state)
        return ops.convert_to_numpy(logits)[:, 0], states

    def scores(self, numbers):
        known, next_ones, states = numbers[:-1], numbers[1:], self.blank(1)
        size, found = max(16, min(256, SIZE // self.output_shape[-1])), []
        for start in range(0, len(known), size):
            piece = known[start : start + size]
            logits, states = self.reader(padded([piece], size), states)
            logits = ops.convert_to_numpy(logits)[0, : len(piece)]
            found.append(chosen(logits, next_ones[start : start + size]))
        return np.concatenate(found)


@register(
    "rnn_language_model",
    task="language_modeling",
    paper="https://arxiv.org/abs/1409.2329",
    parameters=4_651_600,
    tiny=dict(input_shape=(6,), vocabulary_size=12, units=12, init=0.5),
    recipe=dict(learning_rate=2e-3, global_clipnorm=5.0),
)
def rnn_language_model(
    vocabulary_size=10_000,
    input_shape=(None,),
    units=200,
    depth=2,
    dropout=0.0,
    init=0.1,
    name="rnn_language_model",
):
    """Foretell the next token from all before it.

    Args:
        vocabulary_size: Tokens to know.
        input_shape: (time,); None for any number.
        units: Of each LSTM, and features of a token's vector.
        depth: LSTMs, one on top of the other.
        dropout: Probability of dropping a feature on its way up, in [0, 1); nothing is dropped on its way through time.
        init: Initial weights lie between this and its negative.
        name: Name of the model.

    Returns:
        An `RNNLanguageModel`, a `keras.Model`
        from (batch, time), integers: token numbers,
        to   (batch, time, vocabulary_size), float32 logits of the next token.
    """
    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    begun = functools.partial(keras.initializers.RandomUniform, -init, init)
    x = layers.Embedding(vocabulary_size, units, embeddings_initializer=begun(), name="embedding")(tokens)
    for i in range(depth):
        x = Dropout(dropout, name=f"drop_{i}")(x) if dropout else x
        x, *_ = LSTM(
            units,
            return_sequences=True,
            return_state=True,
            kernel_initializer=begun(),
            recurrent_initializer=begun(),
            bias_initializer=begun(),
            unit_forget_bias=False,
            name=f"lstm_{i}",
        )(x)
    x = Dropout(dropout, name="drop")(x) if dropout else x
    logits = Dense(
        vocabulary_size, kernel_initializer=begun(), bias_initializer=begun(), dtype="float32", name="logits"
    )(x)
    return RNNLanguageModel(tokens, logits, name=name)
