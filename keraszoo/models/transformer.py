"""The Transformer: attention reads a sentence, attention writes another, and nothing recurs.

Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

Departures from the paper: a normalization adds 1e-5 to the variance, as torch's do. Linear layers begin as Glorot has
it, tokens from a normal distribution whose deviation is 1 / sqrt(embed_dim), as in the authors' program; the paper says
nothing of either. A free run is greedy; `translate(texts, beams=4, length_penalty=0.6)` is the paper's search, but
divides by the length to that power. Checkpoints are not averaged.
"""

import numpy as np
from keras import initializers, ops

from keraszoo.layers import Dropout
from keraszoo.layers.transformer import TokenEmbedding, TransformerBlock, blank
from keraszoo.registry import register
from keraszoo.text.tokenizer import check_texts
from keraszoo.training.translating import END, PAD, START, Alignment, Translator

SIZES = {  # Table 3 of the paper, and one for two cores
    "transformer_tiny": dict(embed_dim=128, depth=2, num_heads=4),
    "transformer_base": dict(embed_dim=512, depth=6, num_heads=8),
    "transformer_big": dict(embed_dim=1024, depth=6, num_heads=16, dropout=0.3),
}
MAPS = ("cross", "source", "target")  # of attention


@register(
    SIZES,
    task="translation",
    paper="https://arxiv.org/abs/1706.03762",
    parameters={"transformer_tiny": None, "transformer_base": 63_082_496, "transformer_big": 214_245_376},
    tiny=dict(
        input_shape=(6,),
        vocabulary_size=9,
        embed_dim=16,
        depth=1,
        num_heads=2,
        dropout=0.1,
        length=6,
    ),
    recipe=dict(warmup=4000, beta_2=0.98, epsilon=1e-9),
)
class Transformer(Translator):
    """Fit on sentences and their translations; `translate(texts)` writes, `attention_of(text)` shows where it looked.

    Args:
        embed_dim, depth, num_heads: Features per position, blocks of the encoder and of the decoder, and heads of each;
            see `SIZES`.
        input_shape: (time,): tokens of a source sentence; (None,) takes any number.
        vocabulary_size: Tokens that both languages share, with the four special ones: one matrix is the embedding of
            both and the output layer. Or a pair, (source, target): the output is tied to the target's embedding only.
        mlp_ratio: Hidden features of a block's MLP, as a multiple of `embed_dim`.
        dropout: Probability of dropping a feature after each branch and of an embedding while training, in [0, 1).
        label_smoothing: Share of the target in training that is spread over all tokens, in [0, 1).
        length: Steps of a free run; a translation has so many tokens at most, unless `translate` is told otherwise.

    Shapes:
        source:  (batch, time), int32: token numbers, 0 for padding at the end; or a pair of these and of
            target tokens with the start token (2) in front, which are then taken for what was said so far.
        returns: (batch, length, target tokens), float32 logits of a greedy translation, zeros after its end; of a
            pair, (batch, target time, target tokens).

    Raises:
        ValueError: `vocabulary_size` is no size above 4 and no pair of these, or a size or share is out of its range.
    """

    def __init__(
        self,
        embed_dim,
        depth,
        num_heads,
        input_shape=(None,),
        vocabulary_size=37_000,
        mlp_ratio=4,
        dropout=0.1,
        label_smoothing=0.1,
        length=100,
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = dict(embed_dim=embed_dim, depth=depth, num_heads=num_heads, length=length)
        check(vocabulary_size, dict(dropout=dropout, label_smoothing=label_smoothing), sizes)
        self.steps = tuple(input_shape)
        shared = isinstance(vocabulary_size, int)
        self.vocabulary_size = (vocabulary_size,) * 2 if shared else tuple(vocabulary_size)
        self.label_smoothing = label_smoothing
        self.length = length

        def embedding(tokens, name):
            begun = initializers.RandomNormal(stddev=embed_dim**-0.5)
            found = TokenEmbedding(
                tokens, embed_dim, positions="sine", scale=True, initializer=begun, name=name
            )
            found.build((None, None))
            return found

        def stack(name, **arguments):
            blocks = [
                TransformerBlock(
                    embed_dim,
                    num_heads,
                    mlp_ratio,
                    dropout,
                    epsilon=1e-5,
                    activation="relu",
                    norm_first=False,
                    name=f"{name}_{i}",
                    **arguments,
                )
                for i in range(depth)
            ]
            for block in blocks:
                block.build((None, None, embed_dim))
            return blocks

        self.embedding = embedding(self.vocabulary_size[1], "embedding")
        self.source_embedding = (
            self.embedding if shared else embedding(self.vocabulary_size[0], "source_embedding")
        )
        self.encoder = stack("encoder")
        self.decoder = stack("decoder", causal=True, crossed=True)
        self.drop = Dropout(dropout)

    @property
    def input_shape(self):
        return (None, *self.steps)

    def networks(self):
        return [self.source_embedding, self.embedding, *self.encoder, *self.decoder]

    def taught(self, source, target, training=False):
        memory, mask = self.encoded(source, training)
        x = self.drop(self.embedding(target), training=training)
        for block in self.decoder:  # padding at the end of a target lies in the future
            x = block(x, memory=block.prepare(memory), memory_mask=mask, training=training)
        return self.embedding(x, reverse=True)

    def encoded(self, source, training=False):
        """What was read, (batch, time, embed_dim), and where it is no padding, (batch, time), bool."""
        mask = ops.not_equal(source, PAD)
        x = self.drop(self.source_embedding(source), training=training)
        for block in self.encoder:
            x = block(x, mask=mask, training=training)
        return x, mask

    def remember(self, source, room):
        memory, mask = self.encoded(source)
        batch = ops.shape(source)[0]
        memories = [block.prepare(memory) for block in self.decoder]
        past = blank(self.decoder, batch, room, self.compute_dtype)
        return ops.zeros((batch,), "int32"), mask, memories, past

    def following(self, tokens, state):
        at, mask, memories, past = state
        x = self.embedding(ops.expand_dims(tokens, 1), positions=ops.expand_dims(at, 1))
        after = []
        for block, memory, before in zip(self.decoder, memories, past, strict=True):
            x, held = block.go_on(x, before, at, ops.zeros_like(at), memory, mask)
            after.append(held)
        return self.embedding(x, reverse=True)[:, 0], (at + 1, mask, memories, after)

    def attention_of(self, text, translation=None, kind="cross"):
        """Where each head of each block looked.

        Args:
            text: A source sentence, a string.
            translation: What it is to write, a string; by default the model's own greedy translation.
            kind: "cross", from what is written to the source; "source" or "target", from each to itself.

        Returns:
            An `Alignment` with weights (depth, heads, target, source), whose `of(layer, head)` is one map: where the
            decoder looked in the source as it wrote each token, and then the end. With "source", both axes are the
            source. With "target", rows are what was written, columns what was known so far, the start token first.

        Raises:
            ValueError: The model has no vocabularies, a text is empty, or `kind` is unknown.
        """
        if kind not in MAPS:
            raise ValueError(f"kind must be {', '.join(map(repr, MAPS[:-1]))} or {MAPS[-1]!r}, got {kind!r}.")
        reader, writer = self.languages
        (source,) = self.encode(check_texts("text", [text]), "text")
        if translation is None:
            (target,) = self.written([source], length=self.length, temperature=0.0)
        else:
            (target,) = self.encode([translation], "translation", writer)
        given = np.concatenate([[START], target]).astype("int32")
        read = [reader.readable(n) for n in source]
        known, said = ([writer.readable(n) for n in tokens] for tokens in (given, (*target, END)))
        columns, rows = {"cross": (read, said), "source": (read, read), "target": (known, said)}[kind]
        weights = self.ask("maps")(source[None], given[None])[kind]
        return Alignment(columns, rows, ops.convert_to_numpy(weights)[:, 0])

    def maps(self, source, target):
        """The weights of all attention, by kind: (depth, batch, heads, rows, columns), float32.

        Args:
            source, target: Token numbers, (batch, time) each, the target with the start token in front.
        """
        found = {kind: [] for kind in MAPS}
        mask = ops.not_equal(source, PAD)
        x = self.source_embedding(source)
        for block in self.encoder:
            found["source"].append(block.attention_weights(x, mask))
            x = block(x, mask=mask)
        y = self.embedding(target)
        for block in self.decoder:
            memory = block.prepare(x)
            found["target"].append(block.attention_weights(y))
            found["cross"].append(block.cross_attention_weights(y, memory, memory_mask=mask))
            y = block(y, memory=memory, memory_mask=mask)
        return {kind: ops.stack(maps) for kind, maps in found.items()}


def check(vocabulary_size, shares, sizes):
    """Refuse arguments of which no network can be made."""
    pair = isinstance(vocabulary_size, (tuple, list)) and len(vocabulary_size) == 2
    if not all(isinstance(n, int) and n > 4 for n in (vocabulary_size if pair else [vocabulary_size])):
        raise ValueError(
            "vocabulary_size must be a size above 4, or a pair of these, (source, target); or vocabulary= one tokenizer "
            f"or two; got {vocabulary_size!r}."
        )
    for word, value in shares.items():
        if not 0 <= value < 1:
            raise ValueError(f"{word} must lie in [0, 1), got {value}.")
    for word, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{word} must be a whole number from 1, got {value!r}.")
