"""GPT-2: a stack of causal Transformer blocks that foretells the next token.

Radford et al. 2019, "Language models are unsupervised multitask learners",
https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf; its code,
https://github.com/openai/gpt-2, says what the paper leaves open.

Departures from the paper: none in the four published sizes, whose numbers of parameters are those of the released
weights (the paper's "117M" and "345M" are wrong). `gpt2_nano` is ours. The optimizer's numbers, which the paper does not
tell, are those of https://github.com/karpathy/nanoGPT.
"""

import functools
import warnings

import keras
import numpy as np
from keras import ops

from keraszoo.architecture import Network
from keraszoo.backend.compiled import compiled
from keraszoo.backend.kernels import EAGER
from keraszoo.layers import Dense, Dropout, LayerNormalization, TransformerBlock
from keraszoo.layers.transformer import TokenEmbedding, blank
from keraszoo.registry import register
from keraszoo.training.language import LanguageModel

SIZES = {  # table 2 of the paper
    "gpt2_nano": dict(embed_dim=128, depth=4, num_heads=4, vocabulary_size=256, context=128, dropout=0.0),
    "gpt2": dict(embed_dim=768, depth=12, num_heads=12),
    "gpt2_medium": dict(embed_dim=1024, depth=24, num_heads=16),
    "gpt2_large": dict(embed_dim=1280, depth=36, num_heads=20),
    "gpt2_xl": dict(embed_dim=1600, depth=48, num_heads=25),
}
PARAMETERS = {
    "gpt2_nano": None,
    "gpt2": 124_439_808,
    "gpt2_medium": 354_823_168,
    "gpt2_large": 774_030_080,
    "gpt2_xl": 1_557_611_200,
}
CHUNK = 64  # tokens of a prompt that are read at a time, where each number of them must be compiled


class GPT2(LanguageModel, Network):
    """A GPT-2 that writes, as `gpt2` builds it. It keeps the keys and values of what it has read.

    A text may grow beyond the context. Whenever it has filled that, its last half is read anew, from the first place
    on, and what came before is forgotten.
    """

    @property
    def context(self):
        """Tokens that it looks at, at most."""
        return self.get_layer("embedding").max_length

    @functools.cached_property
    def window(self):
        """Tokens of a piece to learn from."""
        return self.context

    @property
    def reach(self):
        """As of `LanguageModel`: each token is foretold from half the context at least, or all there is before it."""
        size = self.fixed_length or self.context
        return size, size - size // 2

    def prompts(self, prompts):
        """As of `LanguageModel`; of a prompt that is longer than the context, the last part is kept.

        Raises:
            ValueError: One is, and the model was built with `too_long="refuse"`.
        """
        given, text, single = super().prompts(prompts)
        for i, prompt in enumerate(given):
            if len(prompt) <= self.context:
                continue
            if self.card.get("too_long") == "refuse":
                raise ValueError(
                    f"prompts[{i}] has {len(prompt)} tokens; {self.name} looks at {self.context} at most, and was "
                    'built with too_long="refuse".'
                )
            warnings.warn(
                f"prompts[{i}] has {len(prompt)} tokens; {self.name} looks at the last {self.context} of them.",
                stacklevel=3,
            )
            given[i] = prompt[-self.context :]
        return given, text, single

    @functools.cached_property
    def blocks(self):
        """The blocks of the Transformer, the first one first."""
        return [layer for layer in self.layers if isinstance(layer, TransformerBlock)]

    def read_on(self, tokens, past, at, first):
        """What follows, when more has been read.

        Args:
            tokens: (batch, new), integers.
            past: Keys and values of what was read before, for each block. They may be written over.
            at: (batch,), integers, all alike: the place of the first new token.
            first: (batch,), integers: the place of each row's first real token; padding is before it.

        Returns:
            Logits, (batch, tokens), float32, of what follows the last token; and keys and values with the new ones.
        """
        embedding, norm = self.get_layer("embedding"), self.get_layer("norm")
        places = ops.expand_dims(at - first, 1) + ops.arange(tokens.shape[1], dtype="int32")
        x = embedding.call(tokens, positions=ops.maximum(places, 0))
        after = []
        for block, held in zip(self.blocks, past, strict=True):
            x, held = block.go_on(x, held, at, first)
            after.append(held)
        return embedding.call(norm(x[:, -1:]), reverse=True)[:, 0], after

    @functools.cached_property
    def reader(self):
        return compiled(self.read_on, self.variables, spent=(1,))

    def begin(self, prompts):
        """As of `LanguageModel`; the state is used up by the step that takes it.

        Prompts are padded on the left, so that all end at the same place, and read a chunk at a time: whatever their
        lengths, there is one function to compile for chunks, and one for a single token. The state holds keys and
        values, the tokens themselves, and how many of these are padding.
        """
        lengths = np.array([len(prompt) for prompt in prompts], "int32")
        chunk = lengths.max() if EAGER else min(CHUNK, self.context)
        time = -(-lengths.max() // chunk) * chunk
        tokens = np.stack([np.pad(prompt, (time - len(prompt), 0)) for prompt in prompts]).astype("int32")
        first = time - lengths
        places = time + CHUNK if EAGER else self.context + chunk  # of a prompt, less than a chunk is padding
        past = blank(self.blocks, len(prompts), places, self.compute_dtype)
        for at in range(0, time, chunk):
            logits, past = self.reader(tokens[:, at : at + chunk], past, np.full_like(first, at), first)
        return ops.convert_to_numpy(logits), (past, tokens, first)

    def step(self, tokens, state):
        past, before, first = state
        before, first = ops.convert_to_numpy(before), ops.convert_to_numpy(first)
        at, tokens = before.shape[1], np.asarray(tokens, "int32")[:, None]
        known = np.concatenate([before, tokens], axis=1)
        full = at - first == self.context
        if full.any():
            starts = np.where(full, at + 1 - self.context // 2, first)
            return self.begin([row[start:] for row, start in zip(known, starts, strict=True)])
        logits, past = self.reader(tokens, past, np.full_like(first, at), first)
        return ops.convert_to_numpy(logits), (past, known, first)


@register(
    SIZES,
    task="language_modeling",
    tasks=("text_classification",),
    paper="https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
    parameters=PARAMETERS,
    tiny=dict(
        input_shape=(6,),
        vocabulary_size=12,
        context=8,
        embed_dim=16,
        depth=2,
        num_heads=2,
        num_classes=3,
        dropout=0.1,
    ),
    recipe=dict(optimizer="adamw", learning_rate=6e-4, weight_decay=0.1, beta_2=0.95, global_clipnorm=1.0),
)
def gpt2(
    embed_dim,
    depth,
    num_heads,
    vocabulary_size=50_257,
    input_shape=(None,),
    context=1024,
    num_classes=2,
    padding=0,
    mlp_ratio=4,
    dropout=0.1,
    attention_dropout=None,
    epsilon=1e-5,
    task="language_modeling",
    name="gpt2",
):
    """Foretell the next token from all before it; or classify a text by what it comes to.

    Args:
        embed_dim, depth, num_heads: Size of the Transformer; see `SIZES`.
        vocabulary_size: Tokens to know.
        input_shape: (time,), not above `context`; None for any number.
        context: Tokens that it looks at, at most.
        num_classes: Classes to choose from, for "text_classification".
        padding: Number of the token that fills up a text at its end, for "text_classification".
        mlp_ratio: Hidden features of a block's MLP, as a multiple of `embed_dim`.
        dropout: Probability of dropping a feature after the embedding and each branch, in [0, 1).
        attention_dropout: Probability of dropping an attention weight; as `dropout` by default.
        epsilon: Added to the variance in each normalization.
        task: "language_modeling", or "text_classification": by the state at the last real token.
        name: Name of the model.

    Returns:
        A `GPT2`, a `keras.Model`
        from (batch, time), integers: token numbers,
        to   (batch, time, vocabulary_size), float32 logits of the next token;
        or, for "text_classification", a `Network` to (batch, num_classes), float32 logits.

    Raises:
        ValueError: `input_shape` is longer than `context`, or `num_heads` does not divide `embed_dim`.
    """
    if input_shape[0] and input_shape[0] > context:
        raise ValueError(f"input_shape must not be longer than context, got {input_shape=}, {context=}.")
    embedding = TokenEmbedding(
        vocabulary_size,
        embed_dim,
        context,
        initializer=normal(0.02),
        positions_initializer=normal(0.01),
        name="embedding",
    )
    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    x = embedding(tokens)
    x = Dropout(dropout, name="drop")(x) if dropout else x
    for i in range(depth):
        x = TransformerBlock(
            embed_dim,
            num_heads,
            mlp_ratio,
            dropout,
            attention_dropout=dropout if attention_dropout is None else attention_dropout,
            epsilon=epsilon,
            causal=True,
            activation="gelu_tanh",
            kernel_initializer=normal(0.02),
            projection_initializer=normal(
                0.02 / (2 * depth) ** 0.5
            ),  # so that the sum of all branches is no larger
            name=f"block_{i}",
        )(x)
    x = LayerNormalization(epsilon=epsilon, name="norm")(x)
    if task == "language_modeling":
        return GPT2(tokens, embedding(x, reverse=True), name=name)
    x = ops.squeeze(ops.take_along_axis(x, last(tokens, padding), axis=1), 1)
    head = Dense(num_classes, use_bias=False, kernel_initializer=normal(0.02), dtype="float32", name="logits")
    return Network(tokens, head(x), name=name)


def last(tokens, padding):
    """Where the last token is that is not padding: (batch, 1, 1), integers."""
    real = ops.cast(ops.not_equal(tokens, padding), "int32")
    return ops.reshape(ops.argmax(ops.cumsum(ops.ones_like(real), axis=1) * real, axis=1), (-1, 1, 1))


def normal(deviation):
    """A normal distribution around 0. As words: each weight then draws for itself, and the layer can be saved."""
    return dict(class_name="RandomNormal", config=dict(stddev=deviation))
