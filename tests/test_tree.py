"""What is true of networks over trees, and of nothing else."""

import gzip
import math

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from benchmarks import trees as benchmark
from keraszoo import front, registry
from keraszoo.backend.autodiff import value_and_grad
from keraszoo.callbacks import pictures
from keraszoo.layers import NodeAccuracy, NodeCrossentropy, RootAccuracy, TreeLSTM, TreeRNN
from keraszoo.text import Tokenizer, Tree, flatten
from tests.test_contract import TASKS

SENTENCE = "(3 (2 It) (4 (2 really) (4 works)))"
LAYERS = {
    "rnn": dict(layer=lambda **more: TreeRNN(6, **more), most=2, heads=False),
    "binary": dict(layer=lambda **more: TreeLSTM(5, two_biases=True, **more), most=2, heads=False),
    "child_sum": dict(
        layer=lambda **more: TreeLSTM(5, "child_sum", two_biases=True, **more), most=3, heads=True
    ),
}


def random_tree(rng, words, most=2, heads=False):
    """A tree of so many words; with heads, inner nodes are words as well."""
    if words == 1:
        return Tree(int(rng.integers(5)), f"w{rng.integers(9)}")
    below = words - heads
    count = int(rng.integers(1 if heads else 2, min(most, below) + 1))
    cuts = np.sort(rng.choice(np.arange(1, below), count - 1, replace=False))
    sizes = np.diff([0, *cuts, below])
    children = tuple(random_tree(rng, int(size), most, heads) for size in sizes)
    return Tree(int(rng.integers(5)), f"w{rng.integers(9)}" if heads else None, children)


def forest(kind, sizes, width=2):
    """Random trees, their joins as one array (padded), and their places."""
    how = {key: LAYERS[kind][key] for key in ("most", "heads")}
    rng = np.random.default_rng(0)
    trees = [random_tree(rng, size, **how) for size in sizes]
    flat = [flatten(tree, width, **how) for tree in trees]
    joins = np.zeros((len(trees), max(len(f.joins) for f in flat) + width, flat[0].joins.shape[1]), "int32")
    for row, f in zip(joins, flat, strict=True):
        row[: len(f.joins)] = f.joins
    return trees, joins, [f.places for f in flat]


def vectors(joins, features):
    return np.random.default_rng(1).normal(size=(*joins.shape[:2], features)).astype("float32")


def awake(layer):
    """The layer, with biases that are not zero."""
    for weight in layer.weights:
        weight.assign(weight + 0.3 * np.random.default_rng(2).normal(size=weight.shape).astype("float32"))
    return layer


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(layer, tree, words):
    """The features of all nodes, in the order of their brackets, one after the other by the papers' equations."""
    w = {weight.name: ops.convert_to_numpy(weight).astype("float64") for weight in layer.weights}
    words = iter(words.astype("float64"))
    units, found = layer.units, []

    def gates(x):
        i, o, u = x[:units], x[units : 2 * units], x[2 * units :]
        return sigmoid(i), sigmoid(o), np.tanh(u)

    def state(node):
        found.append(None)
        at = len(found) - 1
        own = next(words) if node.word is not None else None
        below = [state(child) for child in node.children]
        if isinstance(layer, TreeRNN):
            c, h = (
                None,
                own
                if own is not None
                else np.tanh(np.concatenate([h for _, h in below]) @ w["kernel"] + w["bias"]),
            )
        elif layer.composition == "child_sum":
            x = (own @ w["word"] if own is not None else 0) + w["bias"] + w["second_bias"]
            i, o, u = gates(x[units:] + sum(h for _, h in below) @ w["sum"] if below else x[units:])
            c = i * u + sum(sigmoid(x[:units] + h @ w["forget"]) * c for c, h in below)
            h = o * np.tanh(c)
        elif own is not None:
            c, o = np.split(own @ w["word"] + w["word_bias"], 2)
            h = sigmoid(o) * np.tanh(c)
        else:
            x = np.concatenate([h for _, h in below]) @ w["kernel"] + w["bias"] + w["second_bias"]
            i, o, u = gates(x[2 * units :])
            c = i * u + sigmoid(x[:units]) * below[0][0] + sigmoid(x[units : 2 * units]) * below[1][0]
            h = o * np.tanh(c)
        found[at] = h
        return c, h

    state(tree)
    return np.array(found)


@pytest.mark.parametrize("kind", LAYERS)
def test_many_at_a_time_are_as_one_after_the_other(kind):
    for width in (1, 2, 3):
        trees, joins, places = forest(kind, (1, 2, 7, 12), width)
        x = vectors(joins, 6)
        layer = LAYERS[kind]["layer"](width=width)
        layer.build(x.shape, joins.shape)
        found = ops.convert_to_numpy(awake(layer)(x, joins))
        for tree, at, words, answer in zip(trees, places, x, found, strict=True):
            np.testing.assert_allclose(answer[tuple(at.T)], by_hand(layer, tree, words), atol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_those_of_one_node_after_the_other(kind):
    trees, joins, places = forest(kind, (1, 5, 8))
    x = vectors(joins, 6)
    layer = LAYERS[kind]["layer"]()
    layer.build(x.shape, joins.shape)
    awake(layer)
    weigh = np.random.default_rng(3).normal(size=(*joins.shape[:2], 2, layer.units)).astype("float32")
    there = np.zeros(weigh.shape[:3] + (1,), "float32")
    for row, at in zip(there, places, strict=True):
        row[tuple(at.T)] = 1

    def at_once():
        return ops.sum(layer(x, joins) * ops.convert_to_tensor(weigh * there))

    def in_turn():
        total = 0.0
        for i, (tree, at) in enumerate(zip(trees, places, strict=True)):
            states = one_by_one(layer, tree, x[i])
            total = total + ops.sum(layer.visible(states) * ops.convert_to_tensor(weigh[i][tuple(at.T)]))
        return total

    (first, ours), (second, plain) = (
        value_and_grad(f, layer.trainable_variables) for f in (at_once, in_turn)
    )
    first, second = map(ops.convert_to_numpy, (first, second))
    np.testing.assert_allclose(first, second, rtol=1e-5)
    for weight, a, b in zip(layer.trainable_variables, ours, plain, strict=True):
        a, b = ops.convert_to_numpy(a), ops.convert_to_numpy(b)
        assert np.abs(b).max() > 1e-3
        np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-4, err_msg=weight.path)


def one_by_one(layer, tree, words):
    """States of all nodes, in the order of their brackets, by the layer's own equations for one node."""
    nodes = tree.nodes()
    numbers = [i for i, node in enumerate(nodes) if node.word is not None]
    leaves, table = layer.leaves(ops.convert_to_tensor(words[: len(numbers)]))
    states, at = [None] * len(nodes), {node: i for i, node in enumerate(nodes)}
    for i in reversed(range(len(nodes))):
        place = numbers.index(i) if i in numbers else None
        if not nodes[i].children:
            states[i] = leaves[place : place + 1]
            continue
        children = ops.stack([states[at[child]] for child in nodes[i].children], axis=1)
        own = None if table is None else table[place : place + 1] if place is not None else 0 * table[:1]
        states[i] = layer.compose(children, own, ops.zeros((1, 1), "bool"))
    return ops.concatenate(states)


def test_a_child_sum_along_a_chain_is_an_lstm():
    chain = Tree(0, "first")
    for word in ("second", "third", "fourth"):
        chain = Tree(0, word, (chain,))
    flat = flatten(chain, 2, 1, heads=True)
    assert flat.words == ["fourth", "third", "second", "first"]
    x = vectors(flat.joins[None], 6)
    layer, lstm = TreeLSTM(5, "child_sum"), keras.layers.LSTM(5, use_bias=True)
    layer.build(x.shape, (1, *flat.joins.shape))
    awake(layer)
    w = {
        weight.name: np.split(ops.convert_to_numpy(weight), [5, 10, 15], axis=-1) for weight in layer.weights
    }
    forget, i, o, u = w["word"]
    (forget_h,), (i_h, o_h, u_h) = w["forget"][:1], w["sum"][:3]
    bias = w["bias"]
    lstm.build((1, 4, 6))
    lstm.set_weights(
        [
            np.concatenate([i, forget, u, o], axis=1),  # as Keras orders its gates
            np.concatenate([i_h, forget_h, u_h, o_h], axis=1),
            np.concatenate([bias[1], bias[0], bias[3], bias[2]]),
        ]
    )
    root = ops.convert_to_numpy(layer(x, flat.joins[None]))[0, 0, 1]
    np.testing.assert_allclose(root, ops.convert_to_numpy(lstm(x[:, 3::-1]))[0], atol=1e-6)


def test_siblings_have_an_order_but_not_in_a_sum():
    words = ["a", "b", "c"]
    x = vectors(np.zeros((1, 4, 2)), 6)
    for kind, ordered in (("binary", True), ("rnn", True), ("child_sum", False)):
        how = {key: LAYERS[kind][key] for key in ("most", "heads")}
        roots = []
        for order in ([0, 1, 2], [2, 1, 0]):
            leaves = [Tree(0, words[i]) for i in order]
            inner = Tree(0, None, tuple(leaves[:2])) if ordered else None
            tree = Tree(0, None, (inner, leaves[2]) if ordered else tuple(leaves))
            flat = flatten(tree, 2, **how)
            layer = LAYERS[kind]["layer"]()
            keras.utils.set_random_seed(0)
            layer.build((1, 4, 6), (1, *flat.joins.shape))
            own = x[:, [*order, 3]][:, : len(flat.joins)]
            roots.append(ops.convert_to_numpy(layer(own, flat.joins[None]))[0, 0, 1])
        assert np.allclose(*roots, atol=1e-6) != ordered, kind


def size(layer, features, columns):
    layer.build((1, 4, features), (1, 4, columns))
    return sum(math.prod(v.shape) for v in layer.trainable_variables)


def test_as_large_as_published():
    assert size(TreeLSTM(150, two_biases=True), 300, 2) == 316_800
    assert size(TreeLSTM(150, "child_sum", two_biases=True), 300, 3) == 271_200
    assert size(TreeLSTM(150), 300, 2) == 316_800 - 5 * 150
    assert size(TreeRNN(30), 30, 2) == 2 * 30 * 30 + 30
    entry = registry.entry("tree_lstm")
    count = front.trainable(front.abstract(entry.load(), {"two_biases": True, "vocabulary_size": 10}))
    assert count == 316_800 + 10 * 300 + 150 * 5 + 5


def test_levels_are_few_and_children_come_later():
    for kind in LAYERS:
        for width in (1, 2, 3, 50):
            trees, joins, _ = forest(kind, (2, 9, 20, 31), width)
            for table in joins[:, :, int(LAYERS[kind]["heads"]) :]:
                rows, columns = np.nonzero(table < 0)
                assert ((-table[rows, columns] - 1) // width > rows // width).all()
    chain, balanced = Tree(0, "w"), Tree(0, "w")
    for _ in range(6):
        chain = Tree(0, None, (chain, Tree(0, "w")))
        balanced = Tree(0, None, (balanced, Tree.parse(str(balanced))))
    assert len(flatten(chain, 1).joins) == 7  # six joins, seven words
    assert len(flatten(chain, 4).joins) == 24
    assert len(flatten(balanced, 2).joins) == 2 * (1 + 1 + 2 + 4 + 8 + 16)
    for width in (
        4,
        8,
    ):  # no schedule has fewer levels: they are as many as inner nodes need, or those near the root
        levels = max(k + -(-(63 - (2**k - 1)) // width) for k in range(7))
        assert len(flatten(balanced, width).joins) == max(64, width * levels)


def read(**more):
    """A small network, what it reads with, and 60 trees."""
    data = keraszoo.data.load("sentiment_trees", count=60)
    config = dict(vocabulary=data.vocabulary(), class_names=data.class_names, embed_dim=8, units=8)
    config["input_shape"] = (40, 3)  # one size, one compilation
    return keraszoo.build("tree_lstm", seed=0, **{**config, **more}), data


def test_steps_are_traced_once_for_each_size():
    model, data = read(input_shape=(None, 3))
    short = [text for text in data.train[0] if len(Tree.parse(text).words()) <= 10]
    batches = model.read(short, batch_size=6, shuffle=True, seed=0)
    shapes, traces = set(), []
    seen = model.recursive.compose
    object.__setattr__(model.recursive, "compose", lambda *a: traces.append(1) or seen(*a))
    for epoch in range(3):
        batches.epoch = epoch
        shapes |= {x.shape for x, _ in batches}
        assert {y.shape for _, y in batches} <= {(*shape[:2], 2) for shape in shapes}
    assert 1 < len(shapes) < 6 and {shape[1] for shape in shapes} <= {8, 12, 16}
    model.fit(batches, epochs=2, verbose=0)
    before = len(traces)
    model.fit(batches, epochs=2, verbose=0)
    if keras.backend.backend() != "torch":  # which runs each step as it comes
        assert len(traces) == before


def test_raw_trees_go_in_before_and_after_a_trip_to_disk(tmp_path):
    model, data = read()
    history = model.fit(*data.train, epochs=2, batch_size=15, validation_data=data.test, verbose=0).history
    assert history["loss"][1] < history["loss"][0] and "val_root_accuracy" in history
    texts = data.test[0][:3]
    expected = model.predict(texts, verbose=0)
    assert expected.shape == (3, 5)
    bare = [re_labelled(text) for text in texts]
    np.testing.assert_allclose(model.predict(bare, verbose=0), expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keraszoo.load(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(texts, verbose=0), expected, atol=1e-6)
    shares = again.label(texts)
    for text, each, root in zip(texts, shares, expected, strict=True):
        assert each.shape == (len(Tree.parse(text).nodes()), 5)
        np.testing.assert_allclose(each.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(each[0], np.exp(root) / np.exp(root).sum(), atol=1e-5)
    roots = [Tree.parse(text).label for text in texts]
    for y in (roots, np.array(roots), [data.class_names[k] for k in roots]):
        assert np.isfinite(again.fit(bare, y, verbose=0).history["loss"][0])
    loss = again.evaluate(texts, roots, verbose=0, return_dict=True)["loss"]
    likely = again.predict(texts, verbose=0)
    by_hand = np.mean([np.log(np.exp(z).sum()) - z[k] for z, k in zip(likely, roots, strict=True)])
    np.testing.assert_allclose(loss, by_hand, rtol=1e-5)
    one = again.train_on_batch(texts, roots, sample_weight=np.array([1.0, 0.0, 0.0]))
    assert np.isfinite(one[0])


def re_labelled(text):
    """A tree without its labels."""

    def bare(node):
        return node.word if not node.children else "(" + " ".join(map(bare, node.children)) + ")"

    return bare(Tree.parse(text))


def test_a_child_sum_reads_trees_of_words_with_many_children():
    texts = ["(4 works (2 It) (3 very) (4 well (2 here)))", "(1 fails (2 It))", "(2 It)"]
    words = Tokenizer.learn([Tree.parse(text).words() for text in texts], kind="given")
    model = keraszoo.build(
        "tree_lstm",
        vocabulary=words,
        composition="child_sum",
        input_shape=(None, 5),
        embed_dim=8,
        units=16,
        dropout=0.0,
        seed=0,
    )
    model.optimizer.learning_rate = 0.03
    model.fit(texts, epochs=60, verbose=0)
    assert model.evaluate(texts, verbose=0, return_dict=True)["accuracy"] == 1
    with pytest.raises(ValueError, match="has 4 children; 3 is the most"):
        model.predict(["(4 works (2 It) (3 very) (4 well) (2 here))"])


def test_learns_what_a_bag_of_words_cannot():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    data = keraszoo.data.load("sentiment_trees", count=1500)
    train, test = (
        [t for t in part[0] if len(Tree.parse(t).words()) <= 8] for part in (data.train, data.test)
    )
    bags = CountVectorizer(analyzer=lambda text: Tree.parse(text).words())
    labels = [[Tree.parse(t).label for t in part] for part in (train, test)]
    counting = LogisticRegression(max_iter=1000).fit(bags.fit_transform(train), labels[0])
    baseline = counting.score(bags.transform(test), labels[1])
    config = dict(input_shape=(14, 3), embed_dim=16, units=24, dropout=0.0)  # one size, one compilation
    model = keraszoo.build("tree_lstm", vocabulary=data.vocabulary(), seed=0, **config)
    model.optimizer.learning_rate = 0.01
    model.fit(train, batch_size=64, epochs=20, verbose=0)
    found = model.evaluate(test, batch_size=64, verbose=0, return_dict=True)
    assert found["root_accuracy"] > 0.93 > 0.8 > baseline, (found, baseline)


def test_rules_of_the_trees_that_are_made():
    data = keraszoo.data.load("sentiment_trees")
    again = keraszoo.data.load("sentiment_trees")
    assert data.train[0] == again.train[0] and not set(data.train[0]) & set(data.test[0])
    assert (len(data.train[0]), len(data.test[0])) == (400, 100)
    seen = set()
    for text in data.train[0]:
        for node in Tree.parse(text, data.class_names).nodes():
            if node.children:
                first, second = node.children
                seen.add(first.word)
                if first.word == "not":
                    assert node.label == {0: 3, 1: 3, 2: 2, 3: 1, 4: 1}[second.label]
                elif first.word == "very":
                    assert node.label == {0: 0, 1: 0, 2: 2, 3: 4, 4: 4}[second.label]
    assert {"not", "very", "but", "and", "is", "the"} <= seen


def test_scores_are_those_of_labelled_nodes():
    rng = np.random.default_rng(0)
    y = rng.integers(-1, 5, (3, 4, 2)).astype("int32")
    y[:, 0, 1] = [0, 4, 2]
    logits = rng.normal(size=(3, 4, 2, 5)).astype("float32")
    likely = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    each = [-likely[(*at, y[at])] for at in np.ndindex(y.shape) if y[at] >= 0]
    np.testing.assert_allclose(float(NodeCrossentropy()(y, logits)), np.mean(each), rtol=1e-5)
    right = [logits[at].argmax() == y[at] for at in np.ndindex(y.shape) if y[at] >= 0]
    metric = NodeAccuracy()
    metric.update_state(y, logits)
    np.testing.assert_allclose(float(metric.result()), np.mean(right), rtol=1e-6)
    for roots in (y, y[:, 0, 1]):
        logits[:, 0, 1] = np.log(
            [[0.3, 0.1, 0.4, 0.1, 0.1], [0.2, 0.2, 0.3, 0.15, 0.15], [0.1, 0.1, 0.6, 0.1, 0.1]]
        )
        for neutral, expected in ((None, 1 / 3), (2, 1 / 2)):  # 0 is on its side and 4 is not; 2 is neutral
            metric = RootAccuracy(neutral)
            metric.update_state(roots, logits)
            np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("It works", "character 1: a tree begins with an opening bracket, not with 'It'"),
        ("(3 (2 It) (4 works)", "character 1: this bracket is never closed"),
        ("(3 (2 It)) (4 works)", "character 12: '\\(' stands behind the end"),
        ("(3 (2 It) (4 works)))", "character 21: '\\)' stands behind the end"),
        ("(3 (2 It) ((4 works)))", "character 11: this bracket has no label"),
        (
            "(3 (2 It) (9 works))",
            "character 11: the label of this bracket must be a number from 0 to 4.*not '9'",
        ),
        ("(3 (2 It) (-1 works))", "a number from 0 to 4.*not '-1'"),
        ("(3 (2 It) (works well))", "a number from 0 to 4.*not 'works'"),
        ("(3 (2 It) (4))", "character 11: this bracket holds a label, 4, and no word"),
        ("(3 (2 It) ())", "character 11: this bracket is empty"),
        ("(3 (2 It works) (4 well))", "several words, \\['It', 'works'\\]"),
        ("(3 (2 It) (4 works) (4 well))", "has 3 children; 2 is the most"),
        ("(3 works (2 It) (4 well))", "children and a word, 'works'"),
        ("(It (works well))", "no labels at its nodes"),
    ],
)
def test_says_what_is_wrong_with_a_tree(text, said, small):
    with pytest.raises(ValueError, match=said) as caught:
        small.fit([SENTENCE, text], verbose=0)
    assert "x[1]" in str(caught.value)


@pytest.fixture(scope="module")
def small():
    words = Tokenizer.learn([Tree.parse(SENTENCE).words()], kind="given")
    names = ["awful", "bad", "so-so", "good", "great"]
    return keraszoo.build(
        "tree_lstm", vocabulary=words, class_names=names, embed_dim=4, units=4, input_shape=(8, 3)
    )


def test_reads_names_single_words_and_words_that_it_does_not_know(small):
    texts = ["(good (so-so It) (great (so-so never) (great works)))", "(great works)", "(3 (3 (2 It)))"]
    assert np.isfinite(small.fit(texts, verbose=0).history["loss"][0])
    assert [len(each) for each in small.label(texts)] == [5, 1, 3]
    one, same = small.label(["(3 (3 (2 It)))"])[0][[0, 2]]
    np.testing.assert_allclose(one, same, atol=1e-6)  # a node with one child is that child


def test_says_what_is_wrong_with_the_rest(small):
    long = "(2 w)"
    for _ in range(9):
        long = f"(2 {long} (2 w))"
    with pytest.raises(ValueError, match=r"x\[0\] needs 18 rows; tree_lstm takes 8"):
        small.predict([long])
    with pytest.raises(ValueError, match="as many samples"):
        small.fit([SENTENCE], [1, 2], verbose=0)
    with pytest.raises(ValueError, match="class numbers from 0 to 4"):
        small.fit([SENTENCE], [5], verbose=0)
    x, y = TASKS["tree_classification"].example(2, input_shape=(8, 3), num_classes=5, vocabulary_size=6)
    with pytest.raises(ValueError, match="label for each root"):
        small.fit(x, y[:, :, 0], verbose=0)
    joins = x.copy()
    joins[1, 0, 1] = -1
    with pytest.raises(ValueError, match=r"x\[1\] is no tree: row 0 says -1"):
        small.predict(joins, verbose=0)
    with pytest.raises(ValueError, match="token numbers from 0 to 6"):
        small.predict(np.where(x == x.max(), 70, x), verbose=0)
    with pytest.raises(ValueError, match="kind 'given'"):
        keraszoo.build("tree_rnn", vocabulary=Tokenizer.learn(["It works"])).predict([SENTENCE])
    with pytest.raises(ValueError, match="composition must be one of"):
        keraszoo.build("tree_lstm", composition="sum")
    for shape in ((None, 4), (7, 3)):
        with pytest.raises(ValueError, match="input_shape must be"):
            keraszoo.build("tree_lstm", input_shape=shape)


def test_a_line_that_is_no_tree_is_named(tmp_path):
    (tmp_path / "sst_trees").mkdir()
    for name, lines in (("train", [SENTENCE, "(3 (2 It) (4 works)"]), ("dev", [SENTENCE])):
        with gzip.open(tmp_path / "sst_trees" / f"{name}.txt.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match="line 2, character 1: this bracket is never closed"):
        keraszoo.data.load("sst_trees", data_dir=tmp_path, check=False)
    with pytest.raises(ValueError, match="SHA-256"):
        keraszoo.data.load("sst_trees", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="sst_trees/train.txt.gz"):
        keraszoo.data.load("sst_trees", data_dir=tmp_path / "nowhere")


def test_trees_read_and_written_are_the_same():
    for text in (SENTENCE, "(2 It)", "(3 works (2 It) (4 well))"):
        assert str(Tree.parse(text)) == text
    assert re_labelled(SENTENCE) == "(It (really works))"
    assert Tree.parse("(It (really works))").words() == Tree.parse(SENTENCE).words()
    deep = "(2 w)"
    for _ in range(3000):  # deeper than Python likes to call
        deep = f"(2 {deep} (2 w))"
    assert str(Tree.parse(deep)) == deep and len(flatten(Tree.parse(deep), 2).joins) == 6000


def test_a_tree_is_drawn(tmp_path):
    tree = Tree.parse(SENTENCE)
    shares = np.eye(5)[[node.label for node in tree.nodes()]]
    pictures.trees(
        tmp_path / "trees.png", tree, {"labels": shares, "guessed": np.full((5, 5), 0.2)}, list("abcde")
    )
    assert (tmp_path / "trees.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="5 nodes"):
        pictures.trees(tmp_path / "trees.png", tree, {"labels": shares[1:]}, list("abcde"))


def test_the_benchmark_compares_what_is_the_same():
    taken = benchmark.compare(count=2, words=4, units=4, rounds=1)
    assert {name: (len(ours), len(plain)) for name, (ours, plain) in taken.items()} == {
        "forward": (1, 1),
        "step": (1, 1),
    }
