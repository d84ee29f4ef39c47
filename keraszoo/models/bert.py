"""BERT: read a text in both directions at once, and learn language by filling in blanks.

Devlin, Chang, Lee, Toutanova 2018, https://arxiv.org/abs/1810.04805; the sizes below base are those of Turc et al.
2019, https://arxiv.org/abs/1908.08962.

A text is read as `[start] a [end]`, a pair of texts as `[start] a [end] b [end]`; what the paper calls [CLS] and [SEP]
are the start and end tokens of the vocabulary. The network itself sees by the end tokens which of the two a token
belongs to.

Departures from the paper: blanks are drawn anew in each epoch, which the paper does ten times in all, and no special
token takes the place of a word; in pre-training, a pair is two sentences, not two runs of sentences as long as fit; GELU
is exact, as in the checkpoints that PyTorch's libraries hold (the paper's code approximates it by tanh); weights of
normalizations and biases decay like all others, Adam corrects its bias, and the learning rate stands still unless
it is given a schedule.
"""

import functools
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from keraszoo.architecture import Network
from keraszoo.backend.compiled import compiled
from keraszoo.layers import Dense, Dropout, LayerNormalization
from keraszoo.layers.transformer import TokenEmbedding, TransformerBlock
from keraszoo.registry import register
from keraszoo.tasks import TASKS
from keraszoo.text.generation import log_softmax
from keraszoo.training.spans import likeliest
from keraszoo.training.understanding import (
    CLASSES,
    ENCODING,
    MASKED,
    NEXT,
    SPANS,
    TAGS,
    TextUnderstanding,
    is_pair,
)

SIZES = {  # section 3; below base, table 1 of Turc et al.
    "bert_tiny": dict(embed_dim=128, depth=2, num_heads=2),
    "bert_mini": dict(embed_dim=256, depth=4, num_heads=4),
    "bert_small": dict(embed_dim=512, depth=4, num_heads=8),
    "bert_medium": dict(embed_dim=512, depth=8, num_heads=8),
    "bert_base": dict(embed_dim=768, depth=12, num_heads=12),
    "bert_large": dict(embed_dim=1024, depth=24, num_heads=16),
}
PARAMETERS = {  # with the head that fills in blanks, whose matrix is that of the embedding
    "bert_tiny": 4_416_698,
    "bert_mini": 11_201_594,
    "bert_small": 28_795_194,
    "bert_medium": 41_404_730,
    "bert_base": 109_514_298,
    "bert_large": 335_174_458,
}
RECIPE = dict(optimizer="adamw", learning_rate=1e-4, weight_decay=0.01, epsilon=1e-6)  # appendix A.2
PURPOSES = (MASKED, NEXT, CLASSES, TAGS, SPANS, ENCODING)
HEADS = ("classes", "tags", "span")  # layers that are of use for one purpose alone
BLANK = "[MASK]"  # in raw text, whatever the vocabulary calls it


class Attention(NamedTuple):
    """What `BERT.attention` gives."""

    tokens: list  # for each text a list of its tokens, str; token numbers, if the model has no vocabulary
    weights: (
        np.ndarray
    )  # (count, depth, heads, time, time), float32: rows look at columns and sum to 1; 0 at padding


class Guess(NamedTuple):
    """What may stand in a blank."""

    text: str
    probability: float


class Answer(NamedTuple):
    """What `BERT.answer` gives."""

    text: str
    probability: float  # of this very answer, by the model
    start: int  # the character of the context where it begins


class BERT(TextUnderstanding, Network):
    """A BERT, as `bert` builds it.

    `fit`, `evaluate` and `predict` take texts, or pairs of them as tuples, if the model was built with a vocabulary;
    or token numbers, (count, time), with the tokens around the texts in place. What `y` is depends on the task:

        masked_language_modeling   none: blanks are drawn in every batch; or the tokens that belong there, (count, time)
        next_sentence_prediction   none, and `x` is a list of documents, each a list of sentences; or 0 for each pair
                                   whose second text follows the first, and 1 for the others
        text_classification        a class for each text or pair
        token_classification       a class for each word; `x` is lists of words
        question_answering         for each pair (question, context), the character where the answer begins and the
                                   answer, or None where there is none
        text_encoding              nothing: such a model is not there to be fitted
    """

    def __call__(self, inputs, *args, **kwargs):
        """Keras' method. Of tokens and places, (batch, blanks), it gives the logits of these places only: the others are of no use."""
        if is_pair(inputs):  # which Keras' own would refuse
            return self.call(inputs, *args, **kwargs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=None, mask=None, **kwargs):
        """Keras' method, as above."""
        if is_pair(inputs):
            return self.filling(list(inputs), training=training)
        return super().call(inputs, training=training, mask=mask, **kwargs)

    @property
    def output_shape(self):
        """Of the answer, or a dict of those of all heads."""
        return keras.tree.map_structure(lambda output: output.shape, self.output)

    def fill(self, text, k=5):
        """What may stand in the blanks of a text.

        Args:
            text: A string, with "[MASK]" for each blank.
            k: Guesses for each blank.

        Returns:
            For each blank a list of `k` `Guess`es, the likeliest first. Special tokens are never guessed.

        Raises:
            ValueError: There is no blank, the text is too long, or the model was built for another task.
        """
        self.refuse_unless("fill", MASKED, NEXT)
        reader, (start, end) = self.tokenizer, self.around
        if not isinstance(text, str) or BLANK not in text or reader.mask is None:
            raise ValueError(
                f"text must be a string with {BLANK} where something is missing, got {text!r:.60}."
            )
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"k must be a whole number from 1, got {k!r}.")
        parts = reader.encode_many(text.split(BLANK))
        tokens = [v for part in parts for v in ([reader.mask], part)][1:]
        tokens = np.concatenate([[start], *tokens, [end]]).astype("int32")
        if len(tokens) > self.most_tokens:
            raise ValueError(f"text has {len(tokens)} tokens; {self.name} reads {self.most_tokens} at most.")
        (said,) = self.asked([tokens], self.filler)
        shares = np.exp(log_softmax(said[np.flatnonzero(tokens == reader.mask)].astype("float64")))
        never = [n for n in (reader.pad, reader.unknown, start, end, reader.mask) if n is not None]
        order = np.delete(np.arange(len(reader)), never)
        best = [order[np.argsort(-row[order], kind="stable")[:k]] for row in shares]
        return [
            [Guess(reader.readable(n), float(row[n])) for n in found]
            for row, found in zip(shares, best, strict=True)
        ]

    def answer(self, question, context, longest=30):
        """The part of a context that answers a question.

        Args:
            question, context: Strings, or two lists of them. A context that is longer than what the model reads falls
                into windows that overlap by half, and the likeliest answer in any of them is taken.
            longest: Tokens of an answer, at most.

        Returns:
            An `Answer`, or a list of them.

        Raises:
            ValueError: A text is empty, a question leaves no room for a context, or the model was built for another task.
        """
        self.refuse_unless("answer", SPANS)
        single = isinstance(question, str)
        questions, contexts = ([question], [context]) if single else (question, context)
        if len(questions) != len(contexts):
            raise ValueError(
                f"There must be a context for each question, got {len(questions)} questions and {len(contexts)} contexts."
            )
        asked = self.windows(list(zip(questions, contexts, strict=True)), "pair")
        every = [window for pieces, _ in asked for window in pieces]
        said = self.said([window.tokens for window in every], lambda x: self.predict(x, verbose=0))
        found, at = [], 0
        for text, (pieces, spans) in zip(contexts, asked, strict=True):
            both = zip(pieces, *(said[head][at : at + len(pieces)] for head in ("start", "end")), strict=True)
            probability, first, last = max(likeliest(*each, longest) for each in both)
            start, stop = spans[first][0], spans[last][1]
            begun = text[start:stop].lstrip()
            found.append(Answer(begun.rstrip(), probability, int(stop) - len(begun)))
            at += len(pieces)
        return found[0] if single else found

    def attention(self, texts, batch_size=32):
        """Where each token looks, in every block and head.

        Args:
            texts: As `predict` takes them.
            batch_size: Texts at once.

        Returns:
            An `Attention`.
        """
        sequences = self.sequences(texts, "texts")
        found = self.asked(sequences, self.looker, batch_size)
        longest = max(map(len, sequences))
        weights = np.zeros((len(found), *found[0].shape[:2], longest, longest), "float32")
        for whole, part, sequence in zip(weights, found, sequences, strict=True):
            real = (..., slice(len(sequence)), slice(len(sequence)))
            whole[real] = part[real]
        return Attention([self.tokens_of(sequence) for sequence in sequences], weights)

    def features(self, texts, batch_size=32):
        """What the last block says of each token.

        Args:
            texts: As `predict` takes them.
            batch_size: Texts at once.

        Returns:
            For each text a float32 array, (tokens, embed_dim); the first row is that of the start token.
        """
        sequences = self.sequences(texts, "texts")
        found = self.asked(sequences, self.teller, batch_size)
        return [row[: len(sequence)] for row, sequence in zip(found, sequences, strict=True)]

    def for_task(self, task, class_names=None, num_classes=None, **config):
        """A model for another task that begins where this one has ended: all but what a task has for itself is copied.

        Args:
            task: See the class.
            class_names: Names of the classes, kept in the saved file.
            num_classes: Classes to choose from; by default as many as there are names.
            **config: Further arguments of `bert` that change no weights, such as `dropout`.

        Returns:
            A compiled `BERT` with the same vocabulary.

        Raises:
            ValueError: There is no such task, or `num_classes` and `class_names` contradict each other.
        """
        if class_names is not None:
            class_names = [str(name) for name in class_names]
            if num_classes not in (None, len(class_names)):
                raise ValueError(
                    f"class_names has {len(class_names)} names, but num_classes is {num_classes}."
                )
            num_classes = len(class_names)
        config = {**self.size, **config, "task": task}
        config |= dict(num_classes=num_classes) if num_classes else {}
        model = bert(**config, name=self.name)
        known = {layer.name: layer for layer in self.layers if layer.weights and layer.name not in HEADS}
        for layer in model.layers:
            if layer.name in known:
                layer.set_weights(known[layer.name].get_weights())
        model.card = {**self.card, "task": task, "class_names": class_names}
        model.tokenizers = self.tokenizers
        model.compile(**TASKS[task].scoring(config, **RECIPE))
        return model

    @property
    def size(self):
        """The arguments of `bert` that this network was built with, but for those of its task."""
        embedding, marks, block = (self.get_layer(name) for name in ("embedding", "marks", "block_0"))
        tokens, embed_dim = embedding.size
        return dict(
            embed_dim=embed_dim,
            depth=len(self.blocks),
            num_heads=block.attention.num_heads,
            vocabulary_size=tokens,
            input_shape=self.input_shape[1:],
            context=embedding.max_length,
            mlp_ratio=block.hidden.units / embed_dim,
            dropout=block.drop.rate,
            epsilon=block.norm1.epsilon,
            padding=marks.padding,
            separator=marks.separator,
        )

    @property
    def blocks(self):
        return [layer for layer in self.layers if isinstance(layer, TransformerBlock)]

    # Parts of the network, compiled

    @functools.cached_property
    def teller(self):
        inner = keras.Function(self.input, self.blocks[-1].output)
        return compiled(lambda tokens: ops.cast(inner(tokens), "float32"), self.variables)

    @functools.cached_property
    def looker(self):
        """From tokens to attention weights, (batch, depth, heads, time, time)."""
        blocks = self.blocks
        before = keras.Function(self.input, [block.input[0] for block in blocks])

        def look(tokens):
            mask = ops.not_equal(tokens, self.padding)
            pairs = zip(blocks, before(tokens), strict=True)
            return ops.stack([block.attention_weights(x, mask) for block, x in pairs], axis=1)

        return compiled(look, self.variables)

    @functools.cached_property
    def filling(self):
        """The network with logits at some places only."""
        places = keras.Input((None,), dtype="int32", name="places")
        x = ops.take_along_axis(self.blocks[-1].output, ops.expand_dims(places, -1), axis=1)
        x = self.get_layer("transform_norm")(self.get_layer("transform")(x))
        logits = self.get_layer("offset")(self.get_layer("embedding")(x, reverse=True))
        outputs = {**self.output, "tokens": logits} if self.task == NEXT else logits
        return keras.Model([self.input, places], outputs)

    @functools.cached_property
    def filler(self):
        """From tokens to the logits of what stands at each place."""
        outputs = self.output["tokens"] if self.task == NEXT else self.output
        inner = keras.Function(self.input, outputs)
        return compiled(lambda tokens: inner(tokens), self.variables)


@register(
    SIZES,
    task="masked_language_modeling",
    tasks=(
        "next_sentence_prediction",
        "text_classification",
        "token_classification",
        "question_answering",
        "text_encoding",
    ),
    paper="https://arxiv.org/abs/1810.04805",
    parameters=PARAMETERS,
    tiny=dict(
        input_shape=(6,),
        vocabulary_size=12,
        embed_dim=16,
        depth=2,
        num_heads=2,
        context=8,
        separator=3,
        num_classes=3,
    ),
    recipe=RECIPE,
)
def bert(
    embed_dim,
    depth,
    num_heads,
    task="masked_language_modeling",
    vocabulary_size=30_522,
    input_shape=(None,),
    context=512,
    num_classes=2,
    mlp_ratio=4,
    dropout=0.1,
    epsilon=1e-12,
    padding=0,
    separator=102,
    name="bert",
):
    """Understand a text: fill in its blanks, or say what is asked of it.

    Args:
        embed_dim, depth, num_heads: Size of the Transformer; see `SIZES`.
        task: What the network says of a text, see below.
        vocabulary_size: Tokens to know.
        input_shape: (time,); None for any number.
        context: Places to know: the most tokens of a text, or a pair, with those around them.
        num_classes: Classes of a text, or of a token, to choose from.
        mlp_ratio: Hidden features of a block's MLP, as a multiple of `embed_dim`.
        dropout: Probability of dropping a feature after the embedding, after each branch and before the classes, and of
            dropping an attention weight, in [0, 1).
        epsilon: Added to the variance in each normalization.
        padding: The number of the padding token; by default that of the vocabulary in use.
        separator: The number of the end token, behind each text; by default that of the vocabulary in use.
        name: Name of the model.

    Returns:
        A `BERT`, a `keras.Model`
        from (batch, time), integers: token numbers,
        to what `task` asks for, float32:
            "masked_language_modeling"  (batch, time, vocabulary_size), logits of the token at each place;
            "next_sentence_prediction"  a dict: "tokens", the same; "next", (batch, 2), logits of 0 if the second text of
                                        a pair follows the first, and of 1 if not;
            "text_classification"       (batch, num_classes), logits;
            "token_classification"      (batch, time, num_classes), logits;
            "question_answering"        a dict: "start" and "end", (batch, time), logits of the places where the answer
                                        begins and ends, -1e9 at padding;
            "text_encoding"             a dict: "features", (batch, time, embed_dim), of each token; "pooled",
                                        (batch, embed_dim), in [-1, 1], of the whole.

    Raises:
        ValueError: `num_heads` does not divide `embed_dim`, `padding` and `separator` are no two tokens, `input_shape` is
            longer than `context`, or `task` is unknown.
    """
    check(task, vocabulary_size, input_shape, context, num_classes, dropout, padding, separator)
    # As words: each weight then draws for itself, which weights with one initializer in common do not.
    begun = dict(class_name="TruncatedNormal", config=dict(stddev=0.02))
    dense = functools.partial(Dense, kernel_initializer=begun)
    embedding = TokenEmbedding(
        vocabulary_size, embed_dim, context, segments=2, initializer=begun, name="embedding"
    )

    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    real, segments = Marks(padding, separator, name="marks")(tokens)
    x = embedding(tokens, segments)
    x = LayerNormalization(epsilon=epsilon, name="norm")(x)
    x = Dropout(dropout, name="drop")(x)
    for i in range(depth):
        block = TransformerBlock(
            embed_dim,
            num_heads,
            mlp_ratio,
            dropout,
            dropout,
            epsilon,
            norm_first=False,
            kernel_initializer=begun,
            name=f"block_{i}",
        )
        x = block(x, mask=real)

    def pooled():
        return dense(embed_dim, activation="tanh", name="pooler")(x[:, 0])

    def blanks():
        y = dense(embed_dim, activation="gelu", name="transform")(x)
        y = LayerNormalization(epsilon=epsilon, name="transform_norm")(y)
        return Offset(dtype="float32", name="offset")(embedding(y, reverse=True))

    def logits(y, count, name, rate=dropout):
        return dense(count, dtype="float32", name=name)(Dropout(rate, name="head_drop")(y) if rate else y)

    if task == MASKED:
        outputs = blanks()
    elif task == NEXT:
        outputs = {"tokens": blanks(), "next": logits(pooled(), 2, "next", 0)}
    elif task == CLASSES:
        outputs = logits(pooled(), num_classes, "classes")
    elif task == TAGS:
        outputs = logits(x, num_classes, "tags")
    elif task == SPANS:
        both = logits(x, 2, "span", 0)
        outputs = {head: ops.where(real, both[..., i], -1e9) for i, head in enumerate(("start", "end"))}
    else:
        outputs = {"features": ops.cast(x, "float32"), "pooled": ops.cast(pooled(), "float32")}
    return BERT(tokens, outputs, name=name)


@keras.saving.register_keras_serializable("keraszoo")
class Marks(layers.Layer):
    """Which places of a text are real, and of which of two texts each token is.

    Args:
        padding: The number of the padding token.
        separator: The number of the token behind each text.

    Shapes:
        tokens:  (batch, time), integers.
        returns: (batch, time), bool, False at padding; and (batch, time), int32: 1 behind the first separator, else 0.
    """

    def __init__(self, padding, separator, **kwargs):
        super().__init__(**kwargs)
        self.padding, self.separator = padding, separator

    def call(self, tokens):
        real = ops.not_equal(tokens, self.padding)
        ends = ops.cast(ops.equal(tokens, self.separator), "int32")
        behind = ops.greater(ops.cumsum(ends, axis=1), ends)
        return real, ops.cast(ops.logical_and(behind, real), "int32")


@keras.saving.register_keras_serializable("keraszoo")
class Offset(layers.Layer):
    """A number for each feature, learned and added: (..., features) to the same."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, shape):
        self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros")

    def call(self, x):
        return x + self.bias


def check(task, vocabulary_size, input_shape, context, num_classes, dropout, padding, separator):
    """Refuse arguments of which no network can be made."""
    if task not in PURPOSES:
        raise ValueError(f"task must be one of {', '.join(map(repr, PURPOSES))}, got {task!r}.")
    if padding == separator or not all(
        isinstance(n, int) and 0 <= n < vocabulary_size for n in (padding, separator)
    ):
        raise ValueError(
            f"padding and separator must be the numbers of two of the {vocabulary_size} tokens, got {padding} and "
            f"{separator}: give vocabulary=, whose they are by default, or the numbers."
        )
    if input_shape[0] is not None and input_shape[0] > context:
        raise ValueError(f"input_shape must not be longer than context, got {input_shape} and {context}.")
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(f"num_classes must be a whole number from 1, got {num_classes!r}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}.")
