"""Low-rank adaptation: what is true of it in any model, and in its files."""

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo import registry
from keraszoo.layers import Dense
from keraszoo.tasks import TASKS
from keraszoo.training.lora import adapt, counts, every_layer, merge

NAMES = {"gpt2_nano": "qkv", "bert_tiny": "hidden"}


def values(model):
    return {w.path: np.array(ops.convert_to_numpy(w)) for w in model.weights}


def predict(model, x):
    return keras.tree.flatten(model.predict(x, verbose=0))[0]


def tiny(name, task=None):
    entry = registry.entry(name)
    model = keraszoo.build(name, seed=3, task=task, **entry.tiny)
    return model, *TASKS[task or entry.task].example(4, **{**entry.tiny, "num_classes": 3})


def shaken(model):
    """Weights of the adaptation as if it had learned."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "lora" in weight.path:
            weight.assign(rng.normal(0, 0.3, weight.shape))


@pytest.mark.parametrize("name", NAMES)
def test_what_learns_and_what_does_not(name):
    model, x, y = tiny(name)
    before, said, total = values(model), predict(model, x), counts(model)
    learned, targets = [w.path for w in model.trainable_weights], (NAMES[name],)
    found = adapt(model, rank=2, targets=targets)
    np.testing.assert_array_equal(predict(model, x), said)  # nothing is learned yet
    layers = [layer for layer in every_layer(model) if layer.name == NAMES[name]]
    narrow = sum(2 * sum(layer._kernel.shape) for layer in layers)
    heads = [layer for layer in model.layers if isinstance(layer, Dense)]
    rest = sum(np.prod(w.shape, dtype=int) for layer in heads for w in layer.weights)
    assert found == counts(model) == (narrow + rest, total.total + narrow)
    assert str(found).startswith(f"{narrow + rest:,} of ") and str(found).endswith("%)")
    slots = sum(np.prod(v.shape, dtype=int) for v in model.optimizer.variables)
    assert slots < 2 * found.trainable + 10  # two for each weight that learns, and the steps
    model.fit(x, y, epochs=2, verbose=0)
    moved = {path for path, value in values(model).items() if not np.array_equal(value, before.get(path))}
    learning = {w.path for w in model.trainable_weights}
    assert moved == learning and all(
        "lora" in path or path.split("/")[-2] in {h.name for h in heads} for path in moved
    )
    said, kernels = predict(model, x), {layer.path: values(model)[layer._kernel.path] for layer in layers}
    by_hand = {layer.path: np.array(ops.convert_to_numpy(layer.kernel)) for layer in layers}
    merge(model)
    assert counts(model) == total and model.adapter is None
    np.testing.assert_allclose(predict(model, x), said, atol=1e-5)
    for layer in layers:
        now = values(model)[layer._kernel.path]
        np.testing.assert_allclose(now, by_hand[layer.path], atol=1e-6)
        assert np.linalg.matrix_rank(now - kernels[layer.path], tol=1e-6) <= 2
    assert [w.path for w in model.trainable_weights] == learned
    model.fit(x, y, verbose=0)


def test_what_was_compiled_before_is_forgotten():
    model, x, _ = tiny("transformer_tiny")

    def first():
        """Logits of the first token, as `translate` has them; those of `predict` are the same."""
        found, _ = model.begin(list(x), length=x.shape[1], room=6)
        np.testing.assert_allclose(predict(model, x)[:, 0], found, atol=1e-5)
        return found

    before = first()
    adapt(model, rank=2, targets=["qkv", "hidden", "output"])
    shaken(model)
    after = first()
    merge(model)
    np.testing.assert_allclose(first(), after, atol=1e-5)
    assert np.abs(after - before).max() > 1e-2


def test_it_computes_what_keras_does():
    """Keras adds to the kernel, ours goes beside it: the same numbers, gradients among them, and the same weights."""
    rng, x = np.random.default_rng(0), np.random.default_rng(1).normal(size=(5, 3, 6)).astype("float32")
    found = []
    for kind in (Dense, keras.layers.Dense):
        layer = kind(4, activation="tanh")
        model = keras.Sequential([keras.Input((3, 6)), layer])
        layer.enable_lora(2, lora_alpha=3)
        model.set_weights(
            [rng.normal(size=w.shape) for w in model.get_weights()] if not found else found[0][0]
        )
        start = model.get_weights()
        model.compile(keras.optimizers.SGD(0.5), "mse")
        loss = model.train_on_batch(x, np.zeros((5, 3, 4), "float32"))
        found.append((start, loss, model.get_weights(), predict(model, x)))
    for ours, theirs in zip(found[0][2], found[1][2], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5)
    np.testing.assert_allclose(found[0][3], found[1][3], atol=1e-5)


def test_a_file_goes_on_where_it_was(tmp_path):
    """Weights, slots and what learns; and a model that is not adapted takes them merged."""
    model, x, y = tiny("bert_tiny", "text_classification")
    adapt(model, rank=2, alpha=4, targets=["qkv", "classes"], heads="pooler")
    shaken(model)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    again = keraszoo.load(tmp_path / "model.keras")
    assert again.adapter == model.adapter and counts(again) == counts(model)
    assert [w.path for w in again.trainable_weights] == [w.path for w in model.trainable_weights]
    np.testing.assert_allclose(predict(again, x), predict(model, x), atol=1e-6)
    for ours, theirs in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs), rtol=1e-6)
    losses = [m.fit(x, y, shuffle=False, verbose=0).history["loss"] for m in (model, again)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    plain, *_ = tiny("bert_tiny", "text_classification")
    saved = keraszoo.load(tmp_path / "model.keras")
    plain.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(predict(plain, x), predict(saved, x), atol=1e-5)
    adapt(plain, rank=2)
    said = predict(plain, x)
    plain.save_weights(tmp_path / "plain.weights.h5")
    shaken(plain)
    plain.load_weights(tmp_path / "plain.weights.h5")
    np.testing.assert_allclose(predict(plain, x), said, atol=1e-6)


def test_in_half_precision_the_adaptation_is_in_full():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, x, y = tiny("vit_tiny")
        adapt(model, rank=2)
        model.fit(x, y, verbose=0)
        assert {w.dtype for w in model.trainable_weights} == {"float32"}
        said = predict(model, x)
        merge(model)
        np.testing.assert_allclose(predict(model, x), said, atol=0.05)
    finally:
        keras.config.set_dtype_policy("float32")


def test_says_what_cannot_be():
    model, *_ = tiny("vit_tiny")
    for wrong, arguments in {
        r"targets=\['querry'\] names no dense layer of vit_tiny; it has \['hidden', 'logits'": dict(
            targets="querry"
        ),
        "rank must be a whole number from 1, got 0": dict(rank=0),
        "heads names 'head', but vit_tiny has no such layer": dict(heads=["head"]),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            adapt(model, **arguments)
    with pytest.raises(ValueError, match="not adapted: there is nothing to merge"):
        merge(model)
    adapt(model)
    with pytest.raises(ValueError, match="adapted already: merge"):
        adapt(model)
