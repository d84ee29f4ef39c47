"""Recursive networks over trees, many nodes at a time; and what scores them."""

import keras
from keras import ops

from keraszoo.backend import kernels
from keraszoo.backend.levels import climb

COMPOSITIONS = ("binary", "child_sum")


class Recursive(keras.layers.Layer):
    """Compute the state of each node of a tree from those of its children. A subclass says how.

    A tree is a table of two lists, of its words and of its inner nodes, as `keraszoo.text.flatten` writes it.
    Rows of inner nodes fall into levels of `width`; one level of all trees is computed at a time, from the last to
    the first. The shapes alone say how many levels there are, so that all batches of one shape share one program.

    Args:
        units: Features of a node.
        width: Inner nodes to a level.

    Shapes:
        vectors: (batch, rows, features), floating: of the words.
        joins:   (batch, rows, columns), integers: where the children of each inner node are. See
            `keraszoo.text.trees.Flat`. `width` divides the number of rows.
        returns: (batch, rows, 2, units), floating: row by row of words and of inner nodes.
    """

    heads = False  # whether the first column of `joins` is the number of the node's own word

    def __init__(self, units, width=2, **kwargs):
        super().__init__(**kwargs)
        if units < 1 or width < 1:
            raise ValueError(f"units and width must be at least 1, got {units=}, {width=}.")
        self.units = units
        self.width = width

    def leaves(self, vectors):
        """States of words, (batch, rows, size of a state), and what inner nodes take of their own words, or None."""
        raise NotImplementedError

    def compose(self, children, own, only):
        """States of nodes.

        Args:
            children: (nodes, children, size of a state).
            own: (nodes, size), what `leaves` gave for their own words, zeros where there is none; or None.
            only: (nodes, 1), bool: whether there is no child but the first.

        Returns:
            (nodes, size of a state).
        """
        raise NotImplementedError

    def visible(self, states):
        """The features of nodes, the last `units` of their states."""
        return states[..., -self.units :]

    def call(self, vectors, joins):
        words, table = self.leaves(vectors)
        joins = ops.cast(joins, "int32")
        batch, rows, columns = ops.shape(joins)
        size = words.shape[-1]
        levels, nodes = rows // self.width, self.width * batch

        # As (levels, nodes, columns): the last level first; a level runs through the batch.
        joins = ops.moveaxis(ops.reshape(joins, (batch, levels, self.width, columns)), 0, 2)
        joins = ops.reshape(ops.flip(joins, 0), (levels, nodes, columns))
        tree = ops.reshape(ops.tile(ops.arange(batch), (self.width,)), (1, nodes, 1))
        own, children = None, joins
        if self.heads:
            own, children = pick(table, tree, joins[..., 0]), joins[..., 1:]
        from_words = pick(words, tree, ops.maximum(children, 0))  # zeros for what is no word
        # Where inner nodes stand among all that are computed, in that order; behind them is a row of zeros.
        inner = ops.maximum(-children - 1, 0)
        place = (levels - 1 - inner // self.width) * nodes + inner % self.width * batch + tree
        place = ops.where(children < 0, place, levels * nodes)
        only = children[..., 1:2] == 0 if children.shape[-1] > 1 else ops.ones_like(children) > 0

        def step(known, words, own, only):
            return self.compose(words + known, own, only)

        dtype = keras.backend.standardize_dtype(words.dtype)
        states = climb(step, place, [from_words, own, only], size, dtype)
        states = ops.reshape(ops.flip(states, 0), (levels, self.width, batch, size))
        inner = ops.reshape(ops.moveaxis(self.visible(states), 2, 0), (batch, rows, self.units))
        return ops.stack([self.visible(words), inner], axis=2)

    def compute_output_shape(self, vectors_shape, joins_shape):
        return *vectors_shape[:2], 2, self.units

    def get_config(self):
        return {**super().get_config(), "units": self.units, "width": self.width}


def pick(table, tree, numbers):
    """Rows of a table by number, from 1; zeros for number 0.

    Args:
        table: (batch, rows, size), floating.
        tree: Integers, broadcastable to `numbers`: in which sample of the batch to look.
        numbers: (levels, nodes) or (levels, nodes, children), integers.

    Returns:
        The shape of `numbers`, and `size`.
    """
    batch, rows, size = ops.shape(table)
    tree = ops.reshape(tree, (1, -1) + (1,) * (len(numbers.shape) - 2))
    table = ops.concatenate([ops.zeros((1, size), table.dtype), ops.reshape(table, (batch * rows, size))])
    return ops.take(table, ops.where(numbers > 0, numbers + tree * rows, 0), axis=0)


@keras.saving.register_keras_serializable("keraszoo")
class TreeRNN(Recursive):
    """The recursive network: a node is `tanh(W [left; right] + b)`, a word is its vector.

    Socher et al. 2013, https://aclanthology.org/D13-1170, section 4.1 ("RNN: Recursive Neural Network"). A node with
    one child is that child.

    Args:
        units: Features of a node, and of a word.
        width: Inner nodes to a level.
    """

    def build(self, vectors_shape, joins_shape):
        if vectors_shape[-1] != self.units:
            raise ValueError(f"A word has {vectors_shape[-1]} features, and must have units={self.units}.")
        self.kernel = self.add_weight((2 * self.units, self.units), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((self.units,), "zeros", name="bias")

    def leaves(self, vectors):
        return vectors, None

    def compose(self, children, own, only):
        left = children[:, 0]
        pair = ops.reshape(children, (-1, 2 * self.units))
        return ops.where(only, left, ops.tanh(kernels.dense(pair, self.kernel, self.bias)))


@keras.saving.register_keras_serializable("keraszoo")
class TreeLSTM(Recursive):
    """A Tree-LSTM: a memory cell for each node, and a forget gate for each of its children.

    Tai, Socher, Manning 2015, https://arxiv.org/abs/1503.00075. "binary" is section 3.2 with N = 2, as its code has
    it: inner nodes see their children alone, and a word is `c = W x + b`, `h = sigmoid(W_o x + b_o) * tanh(c)`. A
    node with one child is that child. "child_sum" is section 3.1: the gates see the sum of the children's `h`, but
    each child has a forget gate of its own.

    Args:
        units: Features of a node.
        composition: "binary" or "child_sum".
        two_biases: Give each gate two biases, which are added, as the published code does. One would do.
        width: Inner nodes to a level.

    Raises:
        ValueError: There is no such composition.
    """

    def __init__(self, units, composition="binary", two_biases=False, width=2, **kwargs):
        super().__init__(units, width, **kwargs)
        if composition not in COMPOSITIONS:
            raise ValueError(
                f"composition must be one of {', '.join(map(repr, COMPOSITIONS))}, got {composition!r}."
            )
        self.composition = composition
        self.two_biases = two_biases
        self.heads = composition == "child_sum"

    def build(self, vectors_shape, joins_shape):
        features, units = vectors_shape[-1], self.units
        # In the order i, o, then u: what is squashed alike lies side by side. Forget gates come first.
        if self.heads:
            shapes = {"word": (features, 4 * units), "forget": (units, units), "sum": (units, 3 * units)}
            biases = {"bias": 4 * units}
        else:
            shapes = {"word": (features, 2 * units), "kernel": (2 * units, 5 * units)}
            biases = {"word_bias": 2 * units, "bias": 5 * units}
        if self.two_biases:
            biases |= {"second_bias": biases["bias"]}
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape, Gates(units), name=name))
        for name, size in biases.items():
            setattr(self, name, self.add_weight((size,), "zeros", name=name))

    def whole_bias(self):
        """The bias of all gates, or the sum of the two."""
        bias = ops.convert_to_tensor(self.bias)
        return bias + ops.convert_to_tensor(self.second_bias) if self.two_biases else bias

    def leaves(self, vectors):
        if self.heads:
            own = kernels.dense(vectors, self.word)
            return self.gated(own[..., self.units :] + self.whole_bias()[self.units :]), own
        c, o = ops.split(kernels.dense(vectors, self.word, self.word_bias), 2, axis=-1)
        return ops.concatenate([c, ops.sigmoid(o) * ops.tanh(c)], axis=-1), None

    def compose(self, children, own, only):
        if self.heads:
            c, h = ops.split(children, 2, axis=-1)
            forget, gates = ops.split(own + self.whole_bias(), [self.units], axis=-1)
            forget = ops.expand_dims(forget, 1) + kernels.dense(h, self.forget)
            kept = ops.sum(ops.sigmoid(forget) * c, axis=1)
            return self.gated(gates + kernels.dense(ops.sum(h, axis=1), self.sum), kept)
        left, right = ops.unstack(children, axis=1)
        (left_c, left_h), (right_c, right_h) = (ops.split(child, 2, axis=-1) for child in (left, right))
        gates = kernels.dense(ops.concatenate([left_h, right_h], axis=-1), self.kernel, self.whole_bias())
        left_f, right_f, gates = ops.split(gates, [self.units, 2 * self.units], axis=-1)
        kept = ops.sigmoid(left_f) * left_c + ops.sigmoid(right_f) * right_c
        return ops.where(only, left, self.gated(gates, kept))

    def gated(self, gates, kept=0.0):
        """The state, c and h side by side, of what goes into the gates i, o and u and what is kept of the children's c."""
        i, o, u = ops.split(gates, 3, axis=-1)
        c = ops.sigmoid(i) * ops.tanh(u) + kept
        return ops.concatenate([c, ops.sigmoid(o) * ops.tanh(c)], axis=-1)

    def get_config(self):
        return {**super().get_config(), "composition": self.composition, "two_biases": self.two_biases}


@keras.saving.register_keras_serializable("keraszoo")
class Gates(keras.initializers.Initializer):
    """Glorot's uniform values for each gate by itself, though the matrices of several lie side by side.

    Args:
        units: Columns of a gate.
        seed: Of the draws.
    """

    def __init__(self, units, seed=None):
        self.units = units
        self.uniform = keras.initializers.GlorotUniform(seed)

    def __call__(self, shape, dtype=None):
        rows, columns = shape
        # Glorot's limit is sqrt(6 / (rows + columns)), and each gate has `units` columns only.
        return self.uniform(shape, dtype) * ((rows + columns) / (rows + self.units)) ** 0.5

    def get_config(self):
        return {"units": self.units, "seed": self.uniform.seed}


@keras.saving.register_keras_serializable("keraszoo")
class NodeCrossentropy(keras.losses.Loss):
    """Cross-entropy, from logits: the mean over all nodes of all trees that have a label.

    Shapes:
        y_true:  (batch, rows, 2), integers: class numbers, -1 where there is no label; or (batch,), of roots alone.
        y_pred:  (batch, rows, 2, classes), floating: logits; a root is the second in the first row.
        sample_weight: (batch,), floating. Optional.
        returns: Scalar.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = nodes(y_true, y_pred)
        there = ops.cast(y_true >= 0, "float32")
        each = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        right = ops.one_hot(ops.maximum(y_true, 0), y_pred.shape[-1], dtype="float32")
        each = -ops.sum(each * right, axis=-1) * there
        if sample_weight is not None:
            weight = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
            each = each * ops.reshape(weight, (-1,) + (1,) * (len(each.shape) - 1))
        return ops.sum(each) / ops.maximum(ops.sum(there), 1)

    def call(self, y_true, y_pred):
        return self(y_true, y_pred)


@keras.saving.register_keras_serializable("keraszoo")
class NodeAccuracy(keras.metrics.Mean):
    """The share of labelled nodes whose largest logit is their label's. Shapes as of `NodeCrossentropy`."""

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = nodes(y_true, y_pred)
        self.count_in(ops.cast(ops.argmax(y_pred, axis=-1), "int32") == y_true, y_true >= 0)

    def count_in(self, right, there):
        """Count nodes that are right among those that are there; both bool, of one shape."""
        super().update_state(ops.cast(right, "float32"), ops.cast(there, "float32"))


@keras.saving.register_keras_serializable("keraszoo")
class RootAccuracy(NodeAccuracy):
    """As `NodeAccuracy`, of roots alone.

    Args:
        neutral: Number of a class between those below it and those above. If given, what counts is whether a root is
            on the right side of it, by the sum of the probabilities there; roots of that class do not count.
    """

    def __init__(self, neutral=None, name="root_accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.neutral = neutral

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = nodes(y_true, y_pred)
        if len(y_true.shape) == 3:
            y_true, y_pred = y_true[:, 0, 1], y_pred[:, 0, 1]
        if self.neutral is None:
            self.count_in(ops.cast(ops.argmax(y_pred, axis=-1), "int32") == y_true, y_true >= 0)
            return
        shares = ops.softmax(ops.cast(y_pred, "float32"), axis=-1)
        above = ops.sum(shares[:, self.neutral + 1 :], axis=-1) > ops.sum(shares[:, : self.neutral], axis=-1)
        there = ops.logical_and(y_true >= 0, y_true != self.neutral)
        self.count_in(above == (y_true > self.neutral), there)

    def get_config(self):
        return {**super().get_config(), "neutral": self.neutral}


def nodes(y_true, y_pred):
    """Labels and logits of the same nodes: labels (batch,) or (batch, 1) are those of roots."""
    y_true = ops.cast(y_true, "int32")
    if len(y_true.shape) < 3:
        return ops.reshape(y_true, (-1,)), y_pred[:, 0, 1]
    return y_true, y_pred
