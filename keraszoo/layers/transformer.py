"""Attention, and the Transformer block, once, for every model that needs them."""

import keras
from keras import layers, ops

from keraszoo.backend import kernels
from keraszoo.layers.dense import Dense
from keraszoo.layers.dropout import Dropout
from keraszoo.layers.normalization import LayerNormalization


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

    Shapes:
        x:       (batch, time, embed_dim), floating.
        mask:    (batch, time), bool, True at real positions; each sequence has one. Optional.
        returns: (batch, time, embed_dim), floating.
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, causal=False, **kwargs):
        super().__init__(**kwargs)
        if embed_dim % num_heads:
            raise ValueError(f"num_heads must divide embed_dim, got {num_heads=}, {embed_dim=}.")
        self.num_heads = num_heads
        self.causal = causal
        self.supports_masking = True
        self.qkv = Dense(3 * embed_dim, name="qkv")
        self.drop = Dropout(dropout)
        self.projection = Dense(embed_dim, name="projection")

    def build(self, shape):
        self.qkv.build(shape)
        self.projection.build(shape)

    def call(self, x, mask=None, training=None):
        query, key, value = self.heads(x)
        mask = None if mask is None else mask[:, None, None, :]  # the same for every head and query
        if training and self.drop.rate:
            shares = self.drop(kernels.attention_weights(query, key, mask, self.causal), training=True)
            y = ops.matmul(ops.cast(shares, value.dtype), value)
        else:
            y = kernels.attention(query, key, value, mask, self.causal)
        return self.projection(ops.reshape(ops.transpose(y, (0, 2, 1, 3)), ops.shape(x)))

    def heads(self, x):
        """Queries, keys and values of `x`, each (batch, heads, time, features)."""
        batch, time, embed_dim = ops.shape(x)
        x = ops.reshape(self.qkv(x), (batch, time, 3, self.num_heads, embed_dim // self.num_heads))
        return ops.unstack(ops.transpose(x, (2, 0, 3, 1, 4)))

    def weights_of(self, x, mask=None):
        """How much each position takes of each other: (batch, heads, time, time), float32, rows sum to 1."""
        query, key, _ = self.heads(x)
        mask = None if mask is None else mask[:, None, None, :]
        return kernels.attention_weights(query, key, mask, self.causal)

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable("keraszoo")
class TransformerBlock(layers.Layer):
    """Attention then MLP, each as `x + f(norm(x))`.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, with the norms moved to the front of
    each branch as in Xiong et al. 2020, https://arxiv.org/abs/2002.04745.

    Args:
        embed_dim: Features per position.
        num_heads: Attention heads; divides `embed_dim`.
        mlp_ratio: Hidden features of the MLP, as a multiple of `embed_dim`.
        dropout: Probability of dropping a feature after each branch, in [0, 1).
        attention_dropout: Probability of dropping an attention weight, in [0, 1).
        epsilon: Added to the variance in each normalization.
        causal: Let position `t` attend to positions `<= t` only.

    Shapes:
        x:       (batch, time, embed_dim), floating.
        mask:    (batch, time), bool, True at real positions. Optional.
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
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True  # hand the padding mask on to the next block
        self.norm1 = LayerNormalization(epsilon=epsilon, name="norm1")
        self.attention = MultiHeadAttention(embed_dim, num_heads, attention_dropout, causal, name="attention")
        self.norm2 = LayerNormalization(epsilon=epsilon, name="norm2")
        self.hidden = Dense(round(mlp_ratio * embed_dim), activation="gelu", name="hidden")
        self.output_ = Dense(embed_dim, name="output")
        self.drop = Dropout(dropout)

    def build(self, shape):
        for layer in (self.norm1, self.attention, self.norm2, self.hidden):
            layer.build(shape)
        self.output_.build((*shape[:-1], self.hidden.units))

    def call(self, x, mask=None, training=None):
        y = self.attention(self.norm1(x), mask=mask, training=training)
        x = x + self.drop(y, training=training)
        y = self.output_(self.hidden(self.norm2(x)))
        return x + self.drop(y, training=training)

    def attention_weights(self, x, mask=None):
        """How much each position takes of each other: (batch, heads, time, time), float32, rows sum to 1."""
        return self.attention.weights_of(self.norm1(x), mask)

    def compute_output_shape(self, shape):
        return shape
