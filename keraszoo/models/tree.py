"""Recursive networks: the meaning of a sentence, put together from its parts as its tree says.

Socher et al. 2013, https://aclanthology.org/D13-1170 (the recursive network);
Tai, Socher, Manning 2015, https://arxiv.org/abs/1503.00075 (the Tree-LSTM).

Departures from the paper: word vectors begin at random, not with GloVe's; Adam in place of AdaGrad, and dropout
in place of a penalty on the weights. In binary trees a node with one child is that child. The published code
gives each gate two biases, which are added: with `two_biases` it is as large (316,800 weights from 300 features to
150 units, 271,200 for a child-sum), without it one bias does the same. Its binary Tree-LSTM has no forget gates
or output gates that see words, and so it is here.
"""

import keras
import numpy as np

from keraszoo.architecture import Network
from keraszoo.layers import Dense, Dropout
from keraszoo.layers.tree import Recursive, TreeLSTM, TreeRNN
from keraszoo.registry import register
from keraszoo.text.tokenizer import check_texts
from keraszoo.text.trees import Tree, flatten
from keraszoo.training import checks
from keraszoo.training.bucketed import Bucketed


class Forest(Bucketed):
    """Trees in batches, those of like size together: `Bucketed`, with sizes that are the same for all data.

    These are 8, 12, 16, 24, 32, 48 and so on, so that a compiled step for one set of trees serves another.

    Args:
        x: List of (rows, columns), integers: tables of trees.
        y: List of (rows, 2), integers, -1 where there is no label; or an array (count,); or None.
        sample_weight: (count,), or None.
        width: Rows are a multiple of this.
        length: Rows of all tables, for a model that takes one size only.
        **batching: `batch_size`, `shuffle`, `seed` and `initial_epoch`, as of `Batches`.
    """

    def __init__(self, x, y=None, sample_weight=None, width=1, length=None, **batching):
        y = [labels + 1 for labels in y] if isinstance(y, list) else y  # what is filled up becomes 0
        super().__init__(x, y, sample_weight, length=length, **batching)
        steps = [size * 2**k for k in range(3, 32) for size in (1, 1.5)]
        rows = [steps[np.searchsorted(steps, most)] for most in self.lengths]
        self.bounds = np.array([length]) if length else np.unique(-(-np.array(rows, int) // width) * width)
        self.epoch = self.epoch  # make batches anew

    def take(self, rows):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(super().take(rows))
        return keras.utils.pack_x_y_sample_weight(x, y - 1 if self.ragged else y, weight)


class TreeNetwork(Network):
    """A recursive network, as `tree_rnn` and `tree_lstm` build it: it reads bracketed trees.

    Built with a vocabulary of kind "given", it is fitted on trees with a label at each node, or on trees and labels
    of their roots:

        model.fit(["(3 (2 It) (4 works))", ...])
        model.fit(["(It works)", ...], [3, ...])
        model.predict(["(It works)"])      # logits of the root, (1, classes)
        model.label(["(It works)"])        # probabilities of each node

    Without one it takes tables of numbers; `table` tells what these are.
    """

    @property
    def output_shape(self):
        """Of what `predict` gives: logits of the roots."""
        return None, self.outputs[0].shape[-1]

    @property
    def recursive(self):
        """The layer that goes up the trees."""
        return next(layer for layer in self.layers if isinstance(layer, Recursive))

    @property
    def classes(self):
        """Names of the classes, or their number."""
        return self.card.get("class_names") or self.output_shape[-1]

    def trees(self, texts, name="x"):
        """Texts as `Tree`s.

        Raises:
            ValueError: One is no tree, or has a label that is no class; the message says which, and where.
        """
        texts = check_texts(name, texts)
        return [Tree.parse(text, self.classes, f"{name}[{i}]") for i, text in enumerate(texts)]

    def table(self, trees, name="x"):
        """What the model takes instead of trees.

        Returns:
            A list of (rows, columns), int32: in row `i` the token of word `i`, and where the children of inner node
            `i` are, as `keraszoo.text.flatten` has it; and a list of its `places`.

        Raises:
            ValueError: A tree has nodes that the model cannot compute, or too many.
        """
        if self.tokenizer.kind != "given":
            raise ValueError(
                f"Trees are made of words: the vocabulary of {self.name} must be of kind 'given', got "
                f"{self.tokenizer.kind!r}. Tokenizer.learn([Tree.parse(text).words() for text in texts], kind='given')"
            )
        heads, width = self.recursive.heads, self.recursive.width
        most = self.input_shape[-1] - 1 - heads
        found, places = [], []
        tokens = self.tokenizer.encode_many([tree.words() for tree in trees])
        for i, (tree, numbers) in enumerate(zip(trees, tokens, strict=True)):
            flat = flatten(tree, width, most, heads, f"{name}[{i}]")
            if self.most_tokens and len(flat.joins) > self.most_tokens:
                raise ValueError(
                    f"{name}[{i}] needs {len(flat.joins)} rows; {self.name} takes {self.most_tokens} at most, and a tree "
                    "cannot be cut off."
                )
            table = np.zeros((self.fixed_length or len(flat.joins), 1 + flat.joins.shape[1]), "int32")
            table[: len(numbers), 0] = numbers
            table[: len(flat.joins), 1:] = flat.joins
            found.append(table)
            places.append(flat.places)
        return found, places

    def encode(self, texts, name="x"):
        return self.table(self.trees(texts, name), name)[0]

    def read(self, x, y=None, sample_weight=None, **batching):
        """Trees, and labels of their roots or None for those in the trees, as a `Forest`.

        Raises:
            ValueError: A tree is none, or lacks a label that it should have, or is too large; or a label is no class.
        """
        trees = self.trees(x)
        found, places = self.table(trees)
        if y is None:
            y = []
            for i, (tree, table, place) in enumerate(zip(trees, found, places, strict=True)):
                if tree.label is None:
                    raise ValueError(f"x[{i}] has no labels at its nodes: give labels of the roots as y.")
                labels = np.full((len(table), 2), -1, "int32")
                labels[place[:, 0], place[:, 1]] = [node.label for node in tree.nodes()]
                y.append(labels)
        else:
            y = self.labels(y, None)
        forest = Forest(found, y, sample_weight, self.recursive.width, self.fixed_length, **batching)
        for start in range(0, forest.count, 256):
            self.check_batch(
                *keras.utils.unpack_x_y_sample_weight(
                    forest.take(np.arange(start, min(start + 256, forest.count)))
                )
            )
        return forest

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """Logits of the roots: (count, classes), float32. `x` are trees, or tables of one size."""
        found = super().predict(x, batch_size, verbose, **kwargs)
        return found if self.is_text(x) else found[:, 0, 1]

    def predict_on_batch(self, x):
        """Logits of the roots of one batch of tables."""
        return super().predict_on_batch(x)[:, 0, 1]

    def label(self, texts, batch_size=32):
        """What the model says of each node of trees; labels that the trees have are not looked at.

        Args:
            texts: Trees.
            batch_size: Trees at once.

        Returns:
            A list of (nodes, classes), float32 NumPy arrays: probabilities, in the order of the opening brackets
            (that of `Tree.nodes`).
        """
        _, places = self.table(self.trees(texts))
        logits = self.answers(texts, super().predict_on_batch, batch_size)
        logits = [found[place[:, 0], place[:, 1]] for found, place in zip(logits, places, strict=True)]
        powers = [np.exp(each - each.max(axis=-1, keepdims=True)) for each in logits]
        return [each / each.sum(axis=-1, keepdims=True) for each in powers]

    def check_inputs(self, x, prefix=""):
        """Refuse what are no tables of trees."""
        x = checks.array(x)
        checks.check_numbers(f"{prefix}x", x)
        if not checks.fits(x.shape, self.input_shape):
            raise ValueError(
                f"{prefix}x has shape {checks.shown(x.shape)}; {self.name} takes "
                f"{checks.shown((None, *self.input_shape[1:]))}."
            )
        size = self.card.get("tokens")
        if size:
            checks.check_tokens(f"{prefix}x[..., 0]", x[..., 0], size, self.name)
        rows, width, heads = x.shape[1], self.recursive.width, self.recursive.heads
        if rows % width:
            raise ValueError(f"{prefix}x must have a multiple of width={width} rows, got {rows}.")
        level = np.arange(rows)[:, None] // width
        joins = x[..., 1:]
        wrong = (abs(joins) > rows) | ((joins < 0) & ((-joins - 1) // width <= level))
        wrong[..., : int(heads)] |= joins[..., : int(heads)] < 0
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            raise ValueError(
                f"{prefix}x[{at[0]}] is no tree: row {at[1]} says {joins[at]:g}; words have the numbers 1 to {rows}, and an "
                f"inner node with a minus must be in a later level of {width} than its parent."
            )

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse tables, labels and weights that do not fit."""
        self.check_inputs(x, prefix)
        count, rows = np.shape(x)[:2]
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None and len(value) != count:
                raise ValueError(
                    f"{prefix}x and {prefix}{name} must have as many samples: x has {count}, {name} has {len(value)}."
                )
        if y is None:
            return
        y, classes = checks.array(y), self.output_shape[-1]
        checks.check_numbers(f"{prefix}y", y)
        if y.ndim == 3 and y.shape[1:] != (rows, 2) or y.ndim not in (1, 3) and y.shape != (count, 1):
            raise ValueError(
                f"{prefix}y must hold a label for each root, ({count},), or for each word and inner node, "
                f"({count}, {rows}, 2), got shape {y.shape}."
            )
        least = -1 if y.ndim == 3 else 0
        if y.min() < least or y.max() >= classes or (y != np.floor(y)).any():
            raise ValueError(
                f"{prefix}y must hold class numbers from 0 to {classes - 1}{', or -1 for none' if least else ''}, "
                f"got values from {y.min():g} to {y.max():g}."
            )


def network(recursive, input_shape, vocabulary_size, num_classes, embed_dim, dropout, name):
    """A `TreeNetwork`: vectors for words, a layer that goes up the trees, and a softmax classifier at every node."""
    rows, columns = input_shape
    least = 2 + recursive.heads
    if columns < least or (not recursive.heads and columns != 3) or (rows or 0) % recursive.width:
        kind = "3" if not recursive.heads else "2 and a number of children"
        raise ValueError(
            f"input_shape must be (rows, columns): rows None or a multiple of width={recursive.width}, columns {kind}; "
            f"got {tuple(input_shape)}."
        )
    table = keras.Input((rows, columns), dtype="int32", name="trees")
    vectors = keras.layers.Embedding(vocabulary_size, embed_dim, name="words")(table[..., 0])
    vectors = Dropout(dropout, name="drop_words")(vectors) if dropout else vectors
    states = recursive(vectors, table[..., 1:])
    states = Dropout(dropout, name="drop")(states) if dropout else states
    logits = Dense(num_classes, dtype="float32", name="logits")(states)
    return TreeNetwork(table, logits, name=name)


@register(
    "tree_rnn",
    task="tree_classification",
    paper="https://aclanthology.org/D13-1170",
    tiny=dict(input_shape=(6, 3), vocabulary_size=8, num_classes=3, units=12),
    recipe=dict(learning_rate=1e-3),
)
def tree_rnn(
    input_shape=(None, 3),
    vocabulary_size=20_000,
    num_classes=5,
    units=30,
    dropout=0.0,
    width=2,
    name="tree_rnn",
):
    """Classify every node of binary trees: a node is `tanh(W [left; right] + b)`.

    Args:
        input_shape: (rows, 3) of a tree as a table, see `TreeNetwork.table`; rows may be None, for any number.
        vocabulary_size: Tokens that are known, the special ones among them.
        num_classes: Classes of a node.
        units: Features of a node and of a word.
        dropout: Probability of dropping a feature of a word, and of a node before the classifier, in [0, 1).
        width: Inner nodes of a tree that are computed at once, at most.
        name: Name of the model.

    Returns:
        A `TreeNetwork`, a `keras.Model`
        from (batch, rows, 3), int32,
        to   (batch, rows, 2, num_classes), float32 logits of words and inner nodes, of which `predict` gives those of
        the root.

    Raises:
        ValueError: `input_shape` has not 3 columns, or its rows are no multiple of `width`.
    """
    return network(
        TreeRNN(units, width, name="tree"), input_shape, vocabulary_size, num_classes, units, dropout, name
    )


@register(
    "tree_lstm",
    task="tree_classification",
    paper="https://arxiv.org/abs/1503.00075",
    tiny=dict(input_shape=(6, 3), vocabulary_size=8, num_classes=3, embed_dim=8, units=12),
    recipe=dict(learning_rate=1e-3),
)
def tree_lstm(
    input_shape=(None, 3),
    vocabulary_size=20_000,
    num_classes=5,
    embed_dim=300,
    units=150,
    composition="binary",
    two_biases=False,
    dropout=0.5,
    width=2,
    name="tree_lstm",
):
    """Classify every node of trees with an LSTM that has a forget gate for each child.

    Args:
        input_shape: (rows, columns) of a tree as a table, see `TreeNetwork.table`; rows may be None, for any number.
            Columns are 3; for a child-sum, 2 and the most children that a node may have.
        vocabulary_size: Tokens that are known, the special ones among them.
        num_classes: Classes of a node.
        embed_dim: Features of a word.
        units: Features of a node.
        composition: "binary", or "child_sum": any number of children, and inner nodes may be words as well.
        two_biases: Give each gate two biases, which are added, as the published code does.
        dropout: Probability of dropping a feature of a word, and of a node before the classifier, in [0, 1).
        width: Inner nodes of a tree that are computed at once, at most.
        name: Name of the model.

    Returns:
        A `TreeNetwork`, a `keras.Model`
        from (batch, rows, columns), int32,
        to   (batch, rows, 2, num_classes), float32 logits of words and inner nodes, of which `predict` gives those of
        the root.

    Raises:
        ValueError: There is no such composition, or `input_shape` does not fit it.
    """
    layer = TreeLSTM(units, composition, two_biases, width, name="tree")
    return network(layer, input_shape, vocabulary_size, num_classes, embed_dim, dropout, name)
