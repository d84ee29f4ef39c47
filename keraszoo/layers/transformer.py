"""Attention, and the Transformer block, once, for every model that needs them."""

import keras
from keras import layers, ops

from keraszoo.backend import kernels
from keraszoo.layers.dense import Dense
from keraszoo.layers.dropout import Dropout
from keraszoo.layers.normalization import LayerNormalization


@keras.saving.register_keras_serializable("keraszoo")
def gelu_tanh(x):
    """GELU, its normal distribution approximated by tanh, as in GPT-2. Hendrycks, Gimpel 2016, section 2."""
    return keras.activations.gelu(x, approximate=True)


ACTIVATIONS = {"gelu_tanh": gelu_tanh}  # by names that Keras does not know


@keras.saving.register_keras_serializable("keraszoo")
class MultiHeadAttention(layers.Layer):
    """Let each position take what it needs from all others, in several ways at once.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.2, each position attending to
    its own sequence. One matrix product makes queries, keys and values; on torch, and on a
    graphics processor under JAX, one kernel does the rest.

    Args:
        embed_dim: Features per position.
        num_heads: Attention heads; divides `embed_dim`.
        dropout: Probability of dropping an attention weight while training, in [0, 1).
        causal: Let position `t` attend to positions `<= t` only.
        kernel_initializer: Initial matrices of queries, keys and values.
        projection_initializer: That of the matrix behind them.

    Shapes:
        x:       (batch, time, embed_dim), floating.
        mask:    (batch, time), bool, True at real positions; each sequence has one. Optional.
        returns: (batch, time, embed_dim), floating.
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        causal=False,
        kernel_initializer="glorot_uniform",
        projection_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if embed_dim % num_heads:
            raise ValueError(f"num_heads must divide embed_dim, got {num_heads=}, {embed_dim=}.")
        self.num_heads = num_heads
        self.causal = causal
        self.supports_masking = True
        self.drop = Dropout(dropout)
        self.make(embed_dim, kernel_initializer)
        self.projection = Dense(embed_dim, kernel_initializer=projection_initializer, name="projection")

    def make(self, embed_dim, initializer):
        """The layer that makes queries, keys and values."""
        self.qkv = Dense(3 * embed_dim, kernel_initializer=initializer, name="qkv")

    def build(self, shape):
        self.qkv.build(shape)
        self.projection.build(shape)

    def call(self, x, mask=None, training=None):
        return self.attend(*self.heads(x), mask, training)

    def attend(self, query, key, value, mask=None, training=None):
        """What the queries take of the values, (batch, time, embed_dim); `mask` is that of the keys."""
        mask = None if mask is None else mask[:, None, None, :]  # the same for every head and query
        if training and self.drop.rate:
            shares = self.drop(kernels.attention_weights(query, key, mask, self.causal), training=True)
            y = ops.matmul(ops.cast(shares, value.dtype), value)
        else:
            y = kernels.attention(query, key, value, mask, self.causal)
        return self.projection(joined(y))

    def heads(self, x):
        """Queries, keys and values of `x`, each (batch, heads, time, features)."""
        return split(self.qkv(x), 3, self.num_heads)

    def weights_of(self, x, mask=None):
        """How much each position takes of each other: (batch, heads, time, time), float32, rows sum to 1."""
        query, key, _ = self.heads(x)
        mask = None if mask is None else mask[:, None, None, :]
        return kernels.attention_weights(query, key, mask, self.causal)

    def go_on(self, x, past, at, first):
        """Attend to what was read before, too: for models that read or write token by token.

        Args:
            x: (batch, new, embed_dim), floating: the next positions.
            past: Keys and values of all positions before, as of `keraszoo.layers.transformer.blank`. They may be
                overwritten: keep none of them.
            at: (batch,), integers, all alike: the place of the first new position.
            first: (batch,), integers: the place of each row's first real position; padding is before it.

        Returns:
            (batch, new, embed_dim), floating; and the keys and values with the new ones among them.
        """
        query, key, value = self.heads(x)
        y, past = kernels.attention_onward(query, key, value, past, at, first)
        return self.projection(joined(y)), past

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable("keraszoo")
class CrossAttention(MultiHeadAttention):
    """Let each position take what it needs from another sequence, the memory.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.3, first point. Arguments as of
    `MultiHeadAttention`.

    Shapes:
        x:       (batch, time, embed_dim), floating.
        memory:  What `prepare` makes of a sequence, (batch, other time, embed_dim).
        memory_mask: (batch, other time), bool, True at real positions of the memory. Optional.
        returns: (batch, time, embed_dim), floating.
    """

    def make(self, embed_dim, initializer):
        self.query = Dense(embed_dim, kernel_initializer=initializer, name="query")
        self.key_value = Dense(2 * embed_dim, kernel_initializer=initializer, name="key_value")

    def build(self, shape):
        for layer in (self.query, self.key_value, self.projection):
            layer.build(shape)

    def prepare(self, memory):
        """Keys and values of a sequence, (batch, 2, heads, other time, features): made once, used at every step."""
        return ops.stack(split(self.key_value(memory), 2, self.num_heads), axis=1)

    def call(self, x, memory, memory_mask=None, training=None):
        (query,) = split(self.query(x), 1, self.num_heads)
        return self.attend(query, memory[:, 0], memory[:, 1], memory_mask, training)

    def weights_of(self, x, memory, memory_mask=None):
        """How much each position takes of the memory: (batch, heads, time, other time), float32, rows sum to 1."""
        (query,) = split(self.query(x), 1, self.num_heads)
        mask = None if memory_mask is None else memory_mask[:, None, None, :]
        return kernels.attention_weights(query, memory[:, 0], mask)


@keras.saving.register_keras_serializable("keraszoo")
class TransformerBlock(layers.Layer):
    """Attention, then MLP, each with what it was given added: `x + f(norm(x))`, or `norm(x + f(x))` as published.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.1; with the norms moved to the front of each
    branch as in Xiong et al. 2020, https://arxiv.org/abs/2002.04745, unless `norm_first` is False.

    Args:
        embed_dim: Features per position.
        num_heads: Attention heads; divides `embed_dim`.
        mlp_ratio: Hidden features of the MLP, as a multiple of `embed_dim`.
        dropout: Probability of dropping a feature after each branch, in [0, 1).
        attention_dropout: Probability of dropping an attention weight, in [0, 1).
        epsilon: Added to the variance in each normalization.
        causal: Let position `t` attend to positions `<= t` only.
        activation: Of the MLP's hidden features: a name that Keras knows, or "gelu_tanh".
        norm_first: Normalise what goes into a branch; False: the sum behind it.
        crossed: Between the two, attend to a memory as well: a decoder's block.
        kernel_initializer: Initial matrices: a name or a dict, as Keras writes initializers in files, from which
            each matrix is drawn for itself.
        projection_initializer: Those at a branch's end; as the others by default.

    Shapes:
        x:       (batch, time, embed_dim), floating.
        memory:  If `crossed`: what `prepare` makes of a sequence, (batch, other time, embed_dim).
        mask:    (batch, time), bool, True at real positions. Optional.
        memory_mask: (batch, other time), bool, True at real positions of the memory. Optional.
        returns: (batch, time, embed_dim), floating.
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        mlp_ratio=4,
        dropout=0.0,
        attention_dropout=0.0,
        epsilon=1e-6,
        causal=False,
        activation="gelu",
        norm_first=True,
        crossed=False,
        kernel_initializer="glorot_uniform",
        projection_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True  # hand the padding mask on to the next block
        self.norm_first = norm_first
        self.crossed = crossed
        ends = projection_initializer or kernel_initializer
        begun = dict(kernel_initializer=kernel_initializer, projection_initializer=ends)
        self.norm1 = LayerNormalization(epsilon=epsilon, name="norm1")
        self.attention = MultiHeadAttention(
            embed_dim, num_heads, attention_dropout, causal, name="attention", **begun
        )
        if crossed:
            self.norm_cross = LayerNormalization(epsilon=epsilon, name="norm_cross")
            self.cross_attention = CrossAttention(
                embed_dim, num_heads, attention_dropout, name="cross_attention", **begun
            )
        self.norm2 = LayerNormalization(epsilon=epsilon, name="norm2")
        self.hidden = Dense(
            round(mlp_ratio * embed_dim),
            activation=ACTIVATIONS.get(activation, activation),
            kernel_initializer=kernel_initializer,
            name="hidden",
        )
        self.output_ = Dense(embed_dim, kernel_initializer=ends, name="output")
        self.drop = Dropout(dropout)

    def build(self, shape):
        crossing = (self.norm_cross, self.cross_attention) if self.crossed else ()
        for layer in (self.norm1, self.attention, *crossing, self.norm2, self.hidden):
            layer.build(shape)
        self.output_.build((*shape[:-1], self.hidden.units))

    def call(self, x, memory=None, mask=None, memory_mask=None, training=None):
        x = self.branch(x, self.norm1, lambda x: self.attention(x, mask=mask, training=training), training)
        return self.rest(x, memory, memory_mask, training)

    def branch(self, x, norm, f, training=None):
        """What `f` makes of `x`, added to it and normalised."""
        y = f(norm(x)) if self.norm_first else f(x)
        y = x + (self.drop(y, training=True) if training and self.drop.rate else y)
        return y if self.norm_first else norm(y)

    def rest(self, x, memory=None, memory_mask=None, training=None):
        """All branches but the first."""
        if self.crossed:

            def cross(x):
                return self.cross_attention(x, memory, memory_mask=memory_mask, training=training)

            x = self.branch(x, self.norm_cross, cross, training)
        return self.branch(x, self.norm2, lambda x: self.output_(self.hidden(x)), training)

    def prepare(self, memory):
        """Keys and values of a sequence, for a block that is `crossed`; see `CrossAttention.prepare`."""
        return self.cross_attention.prepare(memory)

    def go_on(self, x, past, at, first, memory=None, memory_mask=None):
        """Go on with sequences; arguments and results as of `MultiHeadAttention.go_on`."""
        found = []

        def attend(x):
            y, after = self.attention.go_on(x, past, at, first)
            found.append(after)
            return y

        x = self.branch(x, self.norm1, attend)
        return self.rest(x, memory, memory_mask), found[0]

    def attention_weights(self, x, mask=None):
        """How much each position takes of each other: (batch, heads, time, time), float32, rows sum to 1."""
        return self.attention.weights_of(self.norm1(x) if self.norm_first else x, mask)

    def cross_attention_weights(self, x, memory, mask=None, memory_mask=None):
        """How much each position takes of the memory: (batch, heads, time, other time), float32, rows sum to 1."""
        x = self.branch(x, self.norm1, lambda x: self.attention(x, mask=mask))
        return self.cross_attention.weights_of(
            self.norm_cross(x) if self.norm_first else x, memory, memory_mask
        )

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable("keraszoo")
class TokenEmbedding(layers.Layer):
    """A vector for each token, with one for its place added; and back, to the logits of tokens.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, sections 3.4 and 3.5; the matrix is tied to that of the
    output as in Press, Wolf 2016, https://arxiv.org/abs/1608.05859.

    Args:
        vocabulary_size: Tokens to know.
        embed_dim: Features of a vector.
        max_length: Places to know; None for any number, with "sine" positions.
        positions: "learned", or "sine": fixed, sines and cosines in turn.
        segments: Kinds of text to tell apart, as first and second sentence; 0 for none.
        scale: Multiply the vectors of tokens by the root of `embed_dim`.
        initializer, positions_initializer: Initial vectors of tokens and segments, and of places.

    Shapes:
        tokens:    (batch, time), integers; with `reverse`, (batch, time, embed_dim), floating.
        segments:  (batch, time), integers: the kind of text at each place. 0 by default.
        positions: (batch, time), integers: the place of each token. In order, from 0, by default.
        returns:   (batch, time, embed_dim), floating; with `reverse`, (batch, time, vocabulary_size), float32 logits.

    Raises:
        ValueError: `positions` is unknown, or learned and without `max_length`.
    """

    def __init__(
        self,
        vocabulary_size,
        embed_dim,
        max_length=None,
        positions="learned",
        segments=0,
        scale=False,
        initializer="uniform",
        positions_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if positions not in ("learned", "sine"):
            raise ValueError(f"positions must be 'learned' or 'sine', got {positions!r}.")
        if positions == "learned" and not max_length:
            raise ValueError("max_length must be given for learned positions.")
        self.supports_masking = True
        self.size = vocabulary_size, embed_dim
        self.max_length = max_length
        self.kind = positions
        self.kinds = segments
        self.scale = scale
        self.initializer = keras.initializers.get(initializer)
        self.positions_initializer = keras.initializers.get(positions_initializer or initializer)

    def build(self, shape):
        _, embed_dim = self.size

        def vectors(name, count, initializer):
            shape = (count, embed_dim)
            return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

        self.embeddings = vectors("tokens", self.size[0], self.initializer)
        if self.kind == "learned":
            self.places = vectors("positions", self.max_length, self.positions_initializer)
        if self.kinds:
            self.sorts = vectors("segments", self.kinds, self.initializer.clone())

    def call(self, tokens, segments=None, positions=None, reverse=False):
        if reverse:
            x = ops.cast(tokens, "float32")
            return kernels.products(x, ops.cast(self.embeddings, "float32"))
        x = ops.take(self.embeddings, ops.cast(tokens, "int32"), axis=0)
        x = x * float(self.size[1] ** 0.5) if self.scale else x
        x = x + self.place(positions, ops.shape(tokens)[1])
        if self.kinds:
            x = x + (self.sorts[0] if segments is None else ops.take(self.sorts, segments, axis=0))
        return ops.cast(x, self.compute_dtype)

    def place(self, positions, time):
        """The vectors of places, or of the first ones."""
        if self.kind == "learned":
            return self.places[:time] if positions is None else ops.take(self.places, positions, axis=0)
        positions = ops.arange(time) if positions is None else positions
        return sines(positions, self.size[1])

    def compute_output_shape(self, shape, reverse=False):
        return (*shape[:-1], self.size[0]) if reverse else (*shape, self.size[1])

    def compute_output_spec(self, tokens, segments=None, positions=None, reverse=False):
        dtype = "float32" if reverse else self.compute_dtype
        return keras.KerasTensor(self.compute_output_shape(tokens.shape, reverse), dtype)


def sines(positions, embed_dim):
    """Sines and cosines in turn, of waves from 2 pi to nearly 20,000 pi long: (..., embed_dim), float32. Section 3.5."""
    waves = 10_000.0 ** (-ops.arange(0, embed_dim, 2, dtype="float32") / embed_dim)
    angles = ops.expand_dims(ops.cast(positions, "float32"), -1) * waves
    both = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
    return ops.reshape(both, (*ops.shape(angles)[:-1], -1))[..., :embed_dim]


def split(x, parts, num_heads):
    """(batch, time, parts * embed_dim) as a list of `parts`, each (batch, heads, time, features)."""
    batch, time, width = ops.shape(x)
    if kernels.is_concrete(x):
        return x.view(batch, time, parts, num_heads, -1).permute(2, 0, 3, 1, 4).unbind()
    x = ops.reshape(x, (batch, time, parts, num_heads, width // parts // num_heads))
    return ops.unstack(ops.transpose(x, (2, 0, 3, 1, 4)))


def joined(y):
    """(batch, heads, time, features) as (batch, time, heads * features)."""
    batch, heads, time, features = ops.shape(y)
    if kernels.is_concrete(y):
        return y.transpose(1, 2).reshape(batch, time, heads * features)
    return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (batch, time, heads * features))


def blank(blocks, batch, places, dtype="float32"):
    """Keys and values of nothing, for `go_on` of each of `blocks`: pairs of (batch, heads, places, features)."""

    def one(block):
        heads = block.attention.num_heads
        return ops.zeros((batch, heads, places, block.attention.projection.units // heads), dtype)

    return [(one(block), one(block)) for block in blocks]
