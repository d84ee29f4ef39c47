"""The neural n-gram model: the last few words as vectors, from which a small network foretells the next.

Bengio, Ducharme, Vincent, Jauvin 2003, https://www.jmlr.org/papers/v3/bengio03a.html, section 2.

Departures from the paper: all places of a window are foretold at once; places before its start hold the padding
token, which has a vector like any other. Adam and no weight decay instead of gradient descent with both. The paper's
best results are those of a mixture with a trigram.
"""

import keras
from keras import layers, ops

from keraszoo.architecture import Network
from keraszoo.layers import Dense
from keraszoo.registry import register
from keraszoo.training.language import LanguageModel


class NeuralNGram(LanguageModel, Network):
    """A neural n-gram model, as `neural_ngram` builds it."""

    @property
    def memory(self):
        return self.get_layer("context").count


@keras.saving.register_keras_serializable("keraszoo")
class LastTokens(layers.Layer):
    """The last `count` tokens at each place, in their order; 0 before the start.

    Shapes:
        tokens:  (batch, time), integers.
        returns: (batch, time, count), integers.
    """

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def call(self, tokens):
        time = ops.shape(tokens)[1]
        padded = ops.pad(tokens, ((0, 0), (self.count - 1, 0)))
        return ops.stack([padded[:, i : i + time] for i in range(self.count)], axis=-1)


@register(
    "neural_ngram",
    task="language_modeling",
    paper="https://www.jmlr.org/papers/v3/bengio03a.html",
    parameters=5_762_483,
    tiny=dict(input_shape=(6,), vocabulary_size=12, order=3, embed_dim=16, units=16),
)
def neural_ngram(
    vocabulary_size=16_383,
    input_shape=(None,),
    order=5,
    embed_dim=60,
    units=50,
    direct=True,
    name="neural_ngram",
):
    """Foretell the next token from the `order - 1` before it.

    Args:
        vocabulary_size: Tokens to know, padding among them; the paper's, `|V|`, is that of the Brown corpus.
        input_shape: (time,); None for any number.
        order: `n`, at least 2.
        embed_dim: Features of a token's vector, `m`.
        units: Of the hidden layer, `h`.
        direct: Whether the vectors also act on the logits without the hidden layer between, by `W`.
        name: Name of the model.

    Returns:
        A `NeuralNGram`, a `keras.Model`
        from (batch, time), integers: token numbers,
        to   (batch, time, vocabulary_size), float32 logits of the next token.

    Raises:
        ValueError: `order` is below 2.
    """
    if order < 2:
        raise ValueError(f"order must be at least 2, got {order!r}.")
    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    context = LastTokens(order - 1, name="context")(tokens)
    x = layers.Embedding(vocabulary_size, embed_dim, name="embedding")(context)  # C
    x = layers.Reshape((-1, (order - 1) * embed_dim), name="vectors")(x)
    hidden = Dense(units, activation="tanh", name="hidden")(x)  # tanh(d + Hx)
    logits = Dense(vocabulary_size, dtype="float32", name="logits")(hidden)  # b + U tanh(d + Hx)
    if direct:
        logits = layers.Add(dtype="float32", name="sum")(
            [logits, Dense(vocabulary_size, use_bias=False, dtype="float32", name="direct")(x)]
        )
    return NeuralNGram(tokens, logits, name=name)
