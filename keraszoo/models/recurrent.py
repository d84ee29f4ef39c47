"""Recurrent nets: read a sequence step by step, and answer at its end or at every step.

Elman 1990, https://doi.org/10.1207/s15516709cog1402_1 (simple units); Hochreiter, Schmidhuber 1997,
https://doi.org/10.1162/neco.1997.9.8.1735 (long short-term memory); Cho et al. 2014,
https://arxiv.org/abs/1406.1078 (gated units); Schuster, Paliwal 1997, https://doi.org/10.1109/78.650093
(both directions); Jaeger et al. 2007, https://doi.org/10.1016/j.neunet.2007.04.016 (leaky units); Lin et
al. 1996, https://doi.org/10.1109/72.548162 (delays). Goodfellow, Bengio, Courville 2016 treat them
together, in sections 10.2 to 10.10.

Departures from the paper: gradients come from the whole sequence, and are clipped by their norm, as in
Pascanu, Mikolov, Bengio 2013, https://arxiv.org/abs/1211.5063; the LSTM has a forget gate, whose bias
begins with 1; the weights of leaky units are learned, where an echo state network's stay as they are.
"""

import keras
from keras.layers import Bidirectional, Embedding, GlobalAveragePooling1D, Masking

from keraszoo.layers import GRU, LSTM, Dense, Dropout, LeakyRNN, SimpleRNN, SkipRNN
from keraszoo.registry import register

SIZES = {
    "simple_rnn": dict(cell="simple_rnn"),
    "lstm": dict(cell="lstm"),
    "gru": dict(cell="gru"),
}
CELLS = {"simple_rnn": SimpleRNN, "lstm": LSTM, "gru": GRU}


@register(
    SIZES,
    task="sequence_classification",
    paper="https://www.deeplearningbook.org/contents/rnn.html",
    tiny=dict(input_shape=(5, 3), units=16, num_classes=3),
    recipe=dict(global_clipnorm=1.0),
)
def rnn(
    cell,
    input_shape=None,
    num_classes=10,
    num_values=None,
    units=128,
    depth=1,
    bidirectional=False,
    return_sequences=False,
    vocabulary_size=None,
    embed_dim=128,
    mask_value=None,
    dropout=0.0,
    pooling="last",
    name="rnn",
):
    """Classify a sequence, or each of its steps; or say numbers instead.

    Args:
        cell: "simple_rnn", "lstm" or "gru".
        input_shape: (time, features) of a sequence; (time,) with `vocabulary_size`. Time may be None: any
            number of steps. By default (None, 1) or (None,).
        num_classes: Classes to choose from.
        num_values: Give so many real numbers instead: the next value of a series, for one.
        units: Units of each layer and direction.
        depth: Layers.
        bidirectional: Read from both ends, so that each step knows what comes after it.
        return_sequences: Answer at every step, not at the end alone.
        vocabulary_size: Take token numbers below this; 0 is padding.
        embed_dim: Features of a token.
        mask_value: A step at which all features have this value is padding.
        dropout: Probability of dropping a feature of a token, between layers and before the answer, in [0, 1):
            everywhere but through time, as Zaremba et al. 2014, https://arxiv.org/abs/1409.2329, figure 2.
        pooling: What a sequence is judged by: "last", the state after its last step; or "mean", the mean of all its
            states, which learns faster where sequences are long and what matters may stand anywhere.
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, time, features), floating, or (batch, time), integers,
        to   (batch, num_classes), float32 logits; or (batch, num_values), float32. With `return_sequences`,
        (batch, time, num_classes) or (batch, time, num_values).

    Raises:
        ValueError: `cell` is unknown, or `input_shape` does not fit `vocabulary_size`; `mask_value` is
            given with it.
    """
    x = inputs = sequence_input(input_shape, vocabulary_size)
    x = features(x, vocabulary_size, embed_dim, mask_value, dropout)
    x = stacked(one_of(cell), x, units, depth, bidirectional, return_sequences, dropout, pooling)
    return keras.Model(inputs, answer(x, num_classes, num_values), name=name)


@register(
    "leaky_rnn",
    task="sequence_classification",
    paper="https://doi.org/10.1016/j.neunet.2007.04.016",
    tiny=dict(input_shape=(4,), vocabulary_size=9, embed_dim=8, units=16, num_classes=3, leak=(1.0, 0.5)),
    recipe=dict(global_clipnorm=1.0),
)
def leaky_rnn(
    leak=(1.0, 0.3, 0.1, 0.03),
    input_shape=None,
    num_classes=10,
    num_values=None,
    units=128,
    depth=1,
    bidirectional=False,
    return_sequences=False,
    vocabulary_size=None,
    embed_dim=128,
    mask_value=None,
    dropout=0.0,
    pooling="last",
    name="leaky_rnn",
):
    """Classify a sequence with units that forget at several rates.

    Args:
        leak: The part of its state that a unit forgets at a step, in (0, 1]; several for as many groups
            of units.
        input_shape, num_classes, num_values, units, depth, bidirectional, return_sequences: As of `rnn`.
        vocabulary_size, embed_dim, mask_value, dropout, pooling, name: As of `rnn`.

    Returns:
        A `keras.Model`, as of `rnn`.

    Raises:
        ValueError: As of `rnn`, or a rate is out of range.
    """

    def layer(units, **options):
        return LeakyRNN(units, leak=leak, **options)

    x = inputs = sequence_input(input_shape, vocabulary_size)
    x = features(x, vocabulary_size, embed_dim, mask_value, dropout)
    x = stacked(layer, x, units, depth, bidirectional, return_sequences, dropout, pooling)
    return keras.Model(inputs, answer(x, num_classes, num_values), name=name)


@register(
    "skip_rnn",
    task="sequence_classification",
    paper="https://doi.org/10.1109/72.548162",
    tiny=dict(input_shape=(5, 3), delay=2, units=16, num_classes=3),
    recipe=dict(global_clipnorm=1.0),
)
def skip_rnn(
    delay=10,
    input_shape=None,
    num_classes=10,
    num_values=None,
    units=128,
    depth=1,
    bidirectional=False,
    return_sequences=False,
    vocabulary_size=None,
    embed_dim=128,
    mask_value=None,
    dropout=0.0,
    pooling="last",
    name="skip_rnn",
):
    """Classify a sequence with units that also see what they were some steps ago.

    Args:
        delay: How many steps ago, from 2.
        input_shape, num_classes, num_values, units, depth, bidirectional, return_sequences: As of `rnn`.
        vocabulary_size, embed_dim, mask_value, dropout, pooling, name: As of `rnn`.

    Returns:
        A `keras.Model`, as of `rnn`.

    Raises:
        ValueError: As of `rnn`, or `delay` is below 2.
    """

    def layer(units, **options):
        return SkipRNN(units, delay=delay, **options)

    x = inputs = sequence_input(input_shape, vocabulary_size)
    x = features(x, vocabulary_size, embed_dim, mask_value, dropout)
    x = stacked(layer, x, units, depth, bidirectional, return_sequences, dropout, pooling)
    return keras.Model(inputs, answer(x, num_classes, num_values), name=name)


def one_of(cell):
    """The layer that is called `cell`."""
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(map(repr, CELLS))}, got {cell!r}.")
    return CELLS[cell]


def sequence_input(input_shape, vocabulary_size):
    """Where token numbers or features come in, step by step; shapes as of `rnn`."""
    rank = 1 if vocabulary_size else 2
    shape = input_shape or (None, 1)[:rank]
    if len(shape) != rank:
        expected = "(time,) with vocabulary_size" if vocabulary_size else "(time, features)"
        raise ValueError(f"input_shape must be {expected}, got {tuple(shape)}.")
    return keras.Input(shape, name="sequence", dtype="int32" if vocabulary_size else None)


def features(x, vocabulary_size, embed_dim, mask_value, dropout=0.0):
    """A vector for each step, and the mask of what is no padding."""
    if vocabulary_size and mask_value is not None:
        raise ValueError(f"Token 0 is padding: mask_value is for features, got {mask_value} with tokens.")
    if vocabulary_size:
        x = Embedding(vocabulary_size, embed_dim, mask_zero=True, name="embedding")(x)
        return Dropout(dropout, name="dropout0")(x) if dropout else x
    return x if mask_value is None else Masking(mask_value, name="masking")(x)


def stacked(layer, x, units, depth, bidirectional, return_sequences, dropout, pooling="last"):
    """Recurrent layers on top of each other."""
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}.")
    if pooling not in ("last", "mean"):
        raise ValueError(f'pooling must be "last" or "mean", got {pooling!r}.')
    mean = pooling == "mean" and not return_sequences
    for i in range(1, depth + 1):
        name = f"recurrent{i}"
        one = layer(units, return_sequences=return_sequences or mean or i < depth, name=name)
        x = Bidirectional(one, name=f"{name}_both")(x) if bidirectional else one(x)
        if dropout and i < depth:
            x = Dropout(dropout, name=f"dropout{i}")(x)
    x = GlobalAveragePooling1D(name="mean")(x) if mean else x
    return Dropout(dropout, name="dropout")(x) if dropout else x


def answer(x, num_classes, num_values):
    """Logits of classes, or values."""
    if num_values:
        return Dense(num_values, dtype="float32", name="values")(x)
    return Dense(num_classes, dtype="float32", name="logits")(x)
