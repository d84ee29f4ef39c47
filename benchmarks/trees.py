"""What it saves that networks over trees compute a level of all trees at a time.

    python -m benchmarks.trees torch 5

A step of a Tree-LSTM on 32 random binary trees of 20 words takes turns with the same network, with the same
weights, node after node in Keras' operations: forward alone, and with gradients (ours updates the weights as well).
Both must first agree, to 1e-5. Prints processor seconds, medians of so many rounds (3 by default), and the median
ratio. Node by node nothing is compiled: every tree has a form of its own, and would be compiled anew.
"""

import sys
import time

from benchmarks.__main__ import alone


def node_by_node(layer, dense, tree, vectors):
    """Logits of all nodes of a binary tree, in the order of their brackets: (nodes, classes).

    Args:
        layer: A built `TreeLSTM` or `TreeRNN`.
        dense: What makes logits of the features of a node.
        tree: A `keraszoo.text.Tree`.
        vectors: (words, features), of the words of the tree.
    """
    from keras import ops

    nodes = tree.nodes()
    place = {node: i for i, node in enumerate(nodes)}
    words = iter(range(len(nodes)))
    word = {i: next(words) for i, node in enumerate(nodes) if node.word is not None}
    states, several = [None] * len(nodes), ops.zeros((1, 1), "bool")
    for i in reversed(range(len(nodes))):
        if nodes[i].children:
            children = ops.stack([states[place[child]] for child in nodes[i].children], axis=1)
            states[i] = layer.compose(children, None, several)
        else:
            states[i] = layer.leaves(vectors[word[i] : word[i] + 1])[0]
    return ops.concatenate([dense(layer.visible(state)) for state in states])


def compare(count=32, words=20, units=150, rounds=3):
    """Processor seconds of both ways.

    Args:
        count: Trees in the batch.
        words: Words of a tree.
        units: Features of a node.
        rounds: How often each way takes its turn, after one that compiles.

    Returns:
        A dict from "forward" and "step" to pairs of lists of `rounds` numbers: ours, and node by node.

    Raises:
        AssertionError: They do not agree.
    """
    import numpy as np
    from keras import ops

    import keraszoo
    from keraszoo.backend.autodiff import value_and_grad
    from keraszoo.text import Tokenizer, Tree

    rng = np.random.default_rng(0)
    trees = []
    for _ in range(count):
        parts = [Tree(int(rng.integers(5)), f"w{rng.integers(50)}") for _ in range(words)]
        while len(parts) > 1:
            at = int(rng.integers(len(parts) - 1))
            parts[at : at + 2] = [Tree(int(rng.integers(5)), None, tuple(parts[at : at + 2]))]
        trees.append(parts[0])
    vocabulary = Tokenizer.learn([tree.words() for tree in trees], kind="given")
    sizes = dict(embed_dim=2 * units, units=units, dropout=0.0, seed=0)
    model = keraszoo.build("tree_lstm", vocabulary=vocabulary, **sizes)
    model.optimizer.learning_rate = 0.0  # the weights stay the same
    x, y = model.read([str(tree) for tree in trees], batch_size=count)[0]
    embedding, layer, dense = (model.get_layer(name) for name in ("words", "tree", "logits"))
    tokens = [vocabulary.encode(tree.words()) for tree in trees]
    labels = np.concatenate([[node.label for node in tree.nodes()] for tree in trees])
    right = np.eye(5, dtype="float32")[labels]

    def forward():
        vectors = [embedding(np.array(numbers)) for numbers in tokens]
        each = [node_by_node(layer, dense, tree, v) for tree, v in zip(trees, vectors, strict=True)]
        return ops.concatenate(each)

    def loss():
        return -ops.mean(ops.sum(ops.log_softmax(forward()) * ops.convert_to_tensor(right), axis=-1))

    def step():
        value, gradients = value_and_grad(loss, model.trainable_variables)
        return ops.convert_to_numpy(value), [ops.convert_to_numpy(g) for g in gradients]

    ways = {
        "forward": (lambda: model.predict_on_batch(x), lambda: ops.convert_to_numpy(forward())),
        "step": (lambda: model.train_on_batch(x, y), step),
    }
    found = np.concatenate(model.label([str(tree) for tree in trees]))
    plain = ops.convert_to_numpy(ops.softmax(forward()))
    np.testing.assert_allclose(found, plain, atol=1e-5)
    np.testing.assert_allclose(model.train_on_batch(x, y)[0], step()[0], rtol=1e-5)
    taken = {name: ([], []) for name in ways}
    for turn in range(rounds + 1):
        for name, pair in ways.items():
            for way, times in zip(pair, taken[name], strict=True):
                start = time.process_time()
                way()
                if turn:
                    times.append(time.process_time() - start)
    return taken


def main(backend, rounds="3"):
    import numpy as np

    for name, (ours, plain) in compare(rounds=int(rounds)).items():
        ours, plain = np.array(ours), np.array(plain)
        print(
            f"{name} on {backend}: {np.median(ours):.4f} s by levels, {np.median(plain):.3f} s node by node; "
            f"{np.median(plain / ours):.1f} times as fast"
        )


if __name__ == "__main__":
    alone(sys.argv[1])
    main(*sys.argv[1:])
