"""Sequence to sequence: one recurrent net reads a sentence, another one writes its translation.

Sutskever, Vinyals, Le 2014, https://arxiv.org/abs/1409.3215 (two deep LSTMs, and the source reversed);
Bahdanau, Cho, Bengio 2014, https://arxiv.org/abs/1409.0473 (attention, and an encoder of both directions).

Departures from the paper: weights begin as Keras' do, and Adam takes the place of gradient descent at 0.7 (gradients are
clipped by their norm, as there); there is dropout, if it is asked for. With attention, the first layer of the decoder
looks back and the others see what it has found by its outputs only; the output layer sees this step's state (as in the
paper's equation 4, where its appendix has the one before). Bahdanau's GRU resets before the matrix product, ours after
it, as in Keras and torch. The decoder of an encoder of both directions begins with what a dense layer makes of the last
states of both, not of the backward one alone.
"""

import numpy as np
from keras import layers, ops

from keraszoo.layers import GRU, LSTM, Dense, Dropout
from keraszoo.layers.attention import CELLS, AttentiveRNN
from keraszoo.registry import register
from keraszoo.text.tokenizer import check_texts
from keraszoo.training.translating import END, PAD, START, Alignment, Translator

RECURRENT = {"lstm": LSTM, "gru": GRU}


@register(
    "seq2seq",
    task="translation",
    paper="https://arxiv.org/abs/1409.3215",
    parameters=384_112_000,
    tiny=dict(
        input_shape=(6,),
        vocabulary_size=(9, 8),
        embed_dim=16,
        units=16,
        depth=2,
        attention=True,
        length=6,
    ),
    recipe=dict(global_clipnorm=1.0),
)
class Seq2Seq(Translator):
    """Fit on sentences and their translations; `translate(texts)` writes, `attention_of(text)` shows where it looked.

    Args:
        input_shape: (time,): tokens of a source sentence; (None,) takes any number.
        vocabulary_size: (source, target): tokens of both languages, with the four special ones.
        embed_dim: Features of a token's embedding.
        units: Units of each recurrent layer, in each direction.
        depth: Recurrent layers of the encoder and of the decoder.
        cell: "lstm" or "gru".
        bidirectional: Read in both directions, and join what is read.
        attention: Look back at the source before each word, instead of keeping it in mind as a whole.
        reverse: Read the source from its end.
        dropout: Probability of dropping a feature between layers while training, in [0, 1).
        length: Steps of a free run; a translation has so many tokens at most.

    Shapes:
        source:  (batch, time), int32: token numbers, 0 for padding at the end; or a pair of these and of
            target tokens with the start token (2) in front, which are then taken for what was said so far.
        returns: (batch, length, target tokens), float32 logits of a greedy translation, zeros after its end; of a
            pair, (batch, target time, target tokens).

    Raises:
        ValueError: `vocabulary_size` is no pair of sizes above 4, `cell` is unknown, or a size is below 1.
    """

    def __init__(
        self,
        input_shape=(None,),
        vocabulary_size=(160_000, 80_000),
        embed_dim=1000,
        units=1000,
        depth=4,
        cell="lstm",
        bidirectional=False,
        attention=False,
        reverse=True,
        dropout=0.0,
        length=50,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check(vocabulary_size, cell, dropout, embed_dim=embed_dim, units=units, depth=depth, length=length)
        self.steps = tuple(input_shape)
        self.vocabulary_size = tuple(vocabulary_size)
        self.length = length
        self.reverse = reverse
        sizes = dict(embed_dim=embed_dim, units=units, depth=depth, cell=cell, dropout=dropout)
        source, target = self.vocabulary_size
        self.encoder = Encoder(source, bidirectional=bidirectional, name="encoder", **sizes)
        self.decoder = Decoder(target, attention=attention, name="decoder", **sizes)
        self.encoder.build((None, None))
        self.decoder.build((None, None, self.encoder.features))

    @property
    def input_shape(self):
        return (None, *self.steps)

    def networks(self):
        return [self.encoder, self.decoder]

    def taught(self, source, target, training=False):
        memory, states = self.encoded(source, training)
        return self.decoder(ops.cast(target, "int32"), memory, states, training=training)[0]

    def encoded(self, source, training=False):
        """What the decoder looks at, and the states in which it begins."""
        source = ops.cast(source, "int32")
        mask = ops.not_equal(source, PAD)
        outputs, states = self.encoder(
            reversed_rows(source) if self.reverse else source, mask, training=training
        )
        return self.decoder.prepare(outputs, mask), states

    def remember(self, source, room):
        return self.encoded(source)

    def following(self, tokens, state):
        memory, states = state
        logits, _, states = self.decoder(ops.expand_dims(tokens, 1), memory, states)
        return logits[:, 0], (memory, states)

    def attention_of(self, text, translation=None):
        """Where the decoder looked as it wrote.

        Args:
            text: A source sentence, a string.
            translation: What it is to write, a string; by default the model's own greedy translation.

        Returns:
            An `Alignment`: source tokens, target tokens with the end token, and weights, (target, source).

        Raises:
            ValueError: The model has no attention or no vocabularies, or a text is empty.
        """
        if not self.decoder.attention:
            raise ValueError(f"{self.name} was built without attention: keraszoo.build(..., attention=True).")
        reader, writer = self.languages
        (source,) = self.encode(check_texts("text", [text]), "text")
        if translation is None:
            (target,) = self.written([source], length=self.length, temperature=0.0)
        else:
            (target,) = self.encode([translation], "translation", writer)
        given = np.concatenate([[START], target]).astype("int32")
        padded = np.zeros((1, self.fixed_length or len(source)), "int32")
        padded[0, : len(source)] = source
        memory, states = self.encoded(padded)
        weights = ops.convert_to_numpy(self.decoder(given[None], memory, states)[1])[0, :, : len(source)]
        return Alignment(
            [reader.readable(n) for n in source],
            [writer.readable(n) for n in (*target, END)],
            weights[:, ::-1] if self.reverse else weights,
        )


class Encoder(layers.Layer):
    """Reads a sentence: tokens to the outputs of the last layer, and to the states in which a decoder may begin.

    Shapes:
        tokens:  (batch, time), int32.
        mask:    (batch, time), bool, True at real tokens.
        returns: (batch, time, features), and a list of a list of states, (batch, units), for each layer.
    """

    def __init__(self, tokens, embed_dim, units, depth, cell, dropout, bidirectional, **kwargs):
        super().__init__(**kwargs)
        self.sizes = embed_dim, units
        self.features = 2 * units if bidirectional else units
        self.embedding = layers.Embedding(tokens, embed_dim, name="embedding")
        self.drop = Dropout(dropout)
        make, sequence = RECURRENT[cell], dict(return_sequences=True, return_state=True)
        self.onward = [make(units, name=f"onward_{i}", **sequence) for i in range(depth)]
        self.back, self.bridges = [], []
        if bidirectional:
            self.back = [make(units, go_backwards=True, name=f"back_{i}", **sequence) for i in range(depth)]
            count = 2 if cell == "lstm" else 1  # states of a layer
            self.bridges = [Dense(count * units, activation="tanh", name=f"bridge_{i}") for i in range(depth)]
        self.states = 2 if cell == "lstm" else 1
        self.supports_jit = self.onward[0].supports_jit

    def build(self, shape):
        embed_dim, _ = self.sizes
        self.embedding.build((None, None))
        for i in range(len(self.onward)):
            width = self.features if i else embed_dim
            for layer in (self.onward[i], *self.back[i : i + 1]):
                layer.build((None, None, width))
        for bridge in self.bridges:
            bridge.build((None, self.features))

    def call(self, tokens, mask, training=False):
        x = self.drop(self.embedding(tokens), training=training)
        states = []
        for i, layer in enumerate(self.onward):
            x = self.drop(x, training=training) if i else x
            y, *last = layer(x, mask=mask)
            if self.back:
                behind, other, *_ = self.back[i](x, mask=mask)
                y = ops.concatenate([y, ops.flip(behind, axis=1)], axis=-1)
                joined = self.bridges[i](ops.concatenate([last[0], other], axis=-1))
                last = ops.split(joined, self.states, axis=-1)
            x = y
            states.append(list(last))
        return x, states


class Decoder(layers.Layer):
    """Writes a sentence, a token at each step, given the one before.

    Shapes:
        tokens:  (batch, time), int32.
        memory:  What `prepare` makes of the encoder's outputs; an empty list without attention.
        states:  List of a list of states, (batch, units), for each layer.
        returns: Logits, (batch, time, tokens), float32; attention weights, (batch, time, source), or None; and
            the last states.
    """

    def __init__(self, tokens, embed_dim, units, depth, cell, dropout, attention, **kwargs):
        super().__init__(**kwargs)
        self.sizes = embed_dim, units
        self.attention = attention
        self.embedding = layers.Embedding(tokens, embed_dim, name="embedding")
        self.drop = Dropout(dropout)
        first = AttentiveRNN(units, cell, name="attentive") if attention else None
        plain = range(1 if attention else 0, depth)
        self.recurrent = [
            *([first] if attention else []),
            *(
                RECURRENT[cell](units, return_sequences=True, return_state=True, name=f"recurrent_{i}")
                for i in plain
            ),
        ]
        self.readout = Dense(2 * -(-units // 2), name="readout") if attention else None
        self.logits = Dense(tokens, dtype="float32", name="logits")
        self.supports_jit = self.recurrent[0].supports_jit

    def build(self, memory_shape):
        embed_dim, units = self.sizes
        self.embedding.build((None, None))
        for i, layer in enumerate(self.recurrent):
            shape = (None, None, units if i else embed_dim)
            layer.build(shape, memory_shape) if self.attention and not i else layer.build(shape)
        if self.attention:
            self.readout.build((None, None, units + memory_shape[-1] + embed_dim))
            units = -(-units // 2)
        self.logits.build((None, None, units))

    def prepare(self, memory, mask):
        """What is worked out once for a source sentence: (batch, time, features) and (batch, time), bool."""
        return self.recurrent[0].prepare(memory, mask) if self.attention else []

    def call(self, tokens, memory, states, training=False):
        x = embedded = self.drop(self.embedding(tokens), training=training)
        context, weights, after = None, None, []
        for i, (layer, before) in enumerate(zip(self.recurrent, states, strict=True)):
            x = self.drop(x, training=training) if i else x
            if self.attention and not i:
                x, context, weights, last = layer(x, memory, before)
            else:
                x, *last = layer(x, initial_state=before)
            after.append(list(last))
        if self.attention:  # a maxout layer, appendix A.2.2
            x = self.readout(ops.concatenate([x, context, embedded], axis=-1))
            x = ops.max(ops.reshape(x, (*ops.shape(x)[:-1], -1, 2)), axis=-1)
        return self.logits(self.drop(x, training=training)), weights, after


def reversed_rows(tokens):
    """The tokens of each row from the last to the first, (batch, time), and the padding behind them as it was."""
    steps = ops.arange(ops.shape(tokens)[1])
    last = ops.sum(ops.cast(ops.not_equal(tokens, PAD), "int32"), axis=1, keepdims=True) - 1
    return ops.take_along_axis(tokens, ops.where(steps <= last, last - steps, steps), axis=1)


def check(vocabulary_size, cell, dropout, **sizes):
    """Refuse arguments of which no network can be made."""
    pair = isinstance(vocabulary_size, (tuple, list)) and len(vocabulary_size) == 2
    if not pair or not all(isinstance(n, int) and n > 4 for n in vocabulary_size):
        raise ValueError(
            "vocabulary_size must be a pair of sizes above 4, (source, target), or vocabulary= a pair of tokenizers; "
            f"got {vocabulary_size!r}."
        )
    if cell not in CELLS:
        raise ValueError(f"cell must be {' or '.join(map(repr, CELLS))}, got {cell!r}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}.")
    for word, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{word} must be a whole number from 1, got {value!r}.")
