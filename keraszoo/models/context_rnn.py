"""From one vector to a sequence: what is given conditions every step.

Goodfellow, Bengio, Courville 2016, section 10.2.4, figure 10.9; Vinyals et al. 2014,
https://arxiv.org/abs/1411.4555, make sentences of images this way.

Departures from the paper: the length is fixed, and no output is fed back: the steps differ by the state
alone, and are answered independently of each other.
"""

import keras
from keras.layers import RepeatVector

from keraszoo.models.recurrent import answer, one_of, stacked
from keraszoo.registry import register


@register(
    "context_rnn",
    task="sequence_generation",
    paper="https://www.deeplearningbook.org/contents/rnn.html",
    tiny=dict(input_shape=(3,), length=3, units=32, num_classes=3),
    recipe=dict(global_clipnorm=1.0),
)
def context_rnn(
    input_shape=(16,),
    length=20,
    num_classes=10,
    num_values=None,
    cell="lstm",
    units=128,
    depth=1,
    dropout=0.0,
    name="context_rnn",
):
    """Make a sequence out of a vector.

    Args:
        input_shape: (features,) of the vector; a class is given as a one-hot vector.
        length: Steps of the sequence.
        num_classes: Classes to choose from at each step.
        num_values: Give so many real numbers at each step instead.
        cell: "simple_rnn", "lstm" or "gru".
        units: Units of each layer.
        depth: Layers.
        dropout: Probability of dropping a feature between layers, in [0, 1).
        name: Name of the model.

    Returns:
        A `keras.Model`
        from (batch, features), floating,
        to   (batch, length, num_classes), float32 logits; or (batch, length, num_values), float32.

    Raises:
        ValueError: `cell` is unknown, `length` or `depth` is below 1, or the input is no vector.
    """
    if len(input_shape) != 1:
        raise ValueError(f"input_shape must be (features,), got {tuple(input_shape)}.")
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}.")
    context = keras.Input(input_shape, name="context")
    x = RepeatVector(length, name="repeated")(context)
    x = stacked(one_of(cell), x, units, depth, False, True, dropout)
    return keras.Model(context, answer(x, num_classes, num_values), name=name)
