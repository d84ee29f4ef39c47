"""The front door: build, list_models, describe, load, and what `import keraszoo` costs and chooses."""

import inspect
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keraszoo
from keraszoo import registry
from keraszoo.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD, preprocessing
from keraszoo.tasks import TASKS
from tests.shelf import every_name

TINY = dict(input_shape=(12, 12, 1), num_classes=3, filters=(2, 3), units=(6, 5))


def python(code, **environment):
    """What a new process prints, on standard output and on standard error."""
    kept = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KERAS_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=kept | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


def test_names_are_sorted_and_can_be_chosen():
    names = keraszoo.list_models()
    assert names == sorted(names) and "lenet5" in names
    assert keraszoo.list_models("vgg*") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    assert keraszoo.list_models(family="perceptron") == ["perceptron"]
    assert keraszoo.list_models(task="classification") == ["mlp", "perceptron"]
    assert keraszoo.list_models("nothing*") == []


def test_an_unknown_name_meets_its_nearest():
    with pytest.raises(ValueError, match="No architecture is called 'resnet5'. Did you mean .*'resnet50'"):
        keraszoo.build("resnet5")
    with pytest.raises(ValueError, match="No architecture is called 'lenet'. Did you mean 'lenet5'"):
        keraszoo.describe("lenet")
    with pytest.raises(ValueError, match=r"See keraszoo.list_models\(\)"):
        keraszoo.build("zzzzzz")


def test_a_misspelt_argument_meets_its_nearest():
    with pytest.raises(TypeError, match="lenet5 has no argument 'input_shap'. Did you mean 'input_shape'"):
        keraszoo.build("lenet5", input_shap=(28, 28, 1))


@every_name
def test_a_card_tells_what_the_registry_knows(name):
    card, entry = keraszoo.describe(name), registry.entry(name)
    assert (card.name, card.family, card.task, card.tiny) == (name, entry.family, entry.task, entry.tiny)
    assert entry.parameters in (None, card.parameters)
    text = str(card)
    assert card.paper in text and f"{card.parameters:,}" in text and "input_shape=" in text
    module = inspect.getmodule(entry.load()).__doc__
    assert ("Departures" in module) == (card.departures is not None)
    assert (card.departures or "") in text.replace("\n" + " " * 14, " ")


def test_seed_repeats_weights_dropout_and_order():
    x = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
    y = np.arange(40) % 3

    def run(seed):
        model = keraszoo.build("mlp", input_shape=(6,), num_classes=3, units=(8,), dropout=0.5, seed=seed)
        return model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_preprocessing_is_what_it_says():
    raw = np.array([0, 255, 128], "uint8").reshape(1, 1, 3, 1)
    np.testing.assert_allclose(preprocessing("unit", 1)(raw), raw / 255, atol=1e-6)
    np.testing.assert_allclose(preprocessing("centred", 1)(raw), raw / 127.5 - 1, atol=1e-6)
    rgb = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 3)).astype("uint8")
    expected = (rgb / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    np.testing.assert_allclose(preprocessing("imagenet", 3)(rgb), expected, atol=1e-5)
    with pytest.raises(ValueError, match="3 channels, got 1"):
        keraszoo.build("lenet5", preprocessing="imagenet")
    with pytest.raises(ValueError, match='must be "unit", "centred", "imagenet"'):
        keraszoo.build("lenet5", preprocessing="units")


def test_preprocessing_is_part_of_the_network_and_of_its_file(tmp_path):
    raw = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 1)).astype("uint8")
    bare = keraszoo.build("lenet5", seed=1, **TINY)
    prepared = keraszoo.build(
        "lenet5", seed=1, preprocessing=[keras.layers.RandomFlip(seed=1), "unit"], **TINY
    )
    expected = bare.predict(raw / np.float32(255), verbose=0)
    np.testing.assert_allclose(prepared.predict(raw, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert [layer.name for layer in prepared.layers][-len(bare.layers) + 1 :] == [
        layer.name for layer in bare.layers
    ][1:]
    prepared.save(tmp_path / "model.keras")
    again = keraszoo.load(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(raw, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_a_task_must_suit_the_model():
    with pytest.raises(ValueError, match="lenet5 cannot be built for task='translation'; it serves"):
        keraszoo.build("lenet5", task="translation")
    with pytest.raises(ValueError, match="class_names has 2 names, but num_classes is 3"):
        keraszoo.build("lenet5", class_names=["a", "b"], num_classes=3)


def test_probabilities():
    logits = np.array([[1000.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(
        TASKS["image_classification"].probabilities(logits), [[1, 0, 0], [1 / 3] * 3], atol=1e-12
    )
    np.testing.assert_allclose(
        TASKS["multi_label_classification"].probabilities(np.zeros((1, 2))), [[0.5, 0.5]]
    )


def test_own_weights(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 12, 12, 1)).astype("float32")
    source = keraszoo.build("lenet5", seed=3, **TINY)
    source.save(tmp_path / "whole.keras")
    source.save_weights(tmp_path / "only.weights.h5")
    for file in ("whole.keras", "only.weights.h5"):
        model = keraszoo.build("lenet5", weights=tmp_path / file, **TINY)
        np.testing.assert_allclose(model.predict(x, verbose=0), source.predict(x, verbose=0), atol=1e-6)
        with pytest.raises(ValueError, match="do not fit lenet5"):
            keraszoo.build("lenet5", weights=tmp_path / file, **{**TINY, "units": (7, 5)})
    (tmp_path / "bad.weights.h5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="bad.weights.h5"):
        keraszoo.build("lenet5", weights=tmp_path / "bad.weights.h5", **TINY)
    with pytest.raises(ValueError, match="there is no such file"):
        keraszoo.build("lenet5", weights=tmp_path / "none.keras", **TINY)


def test_importing_is_light_and_lists_without_keras():
    out, err = python(
        "import sys, keraszoo; names = keraszoo.list_models()\n"
        "print(len(names), sorted({'keras', 'numpy', 'jax', 'torch', 'tensorflow', 'matplotlib'} & set(sys.modules)))"
    )
    assert out == f"{len(registry.shelf())} []" and err == ""


CHOICE = """
from tests.reload import hide
hide({hidden})
import keraszoo, keras
print(keras.backend.backend())
"""


def test_the_backend_is_the_one_asked_for_or_the_first_that_is_there(tmp_path):
    backend = keras.backend.backend()
    others = sorted({"jax", "torch", "tensorflow"} - {backend})
    alone = CHOICE.format(hidden=", ".join(map(repr, others)))
    out, err = python(alone, KERAS_HOME=str(tmp_path))
    assert out == backend
    said = f"KERAS_BACKEND is not set and tensorflow is not installed; using {backend}"
    assert (said in err) == (backend != "tensorflow")
    out, err = python(alone, KERAS_BACKEND=backend)
    assert (out, err) == (backend, "")


def test_no_backend_at_all_says_what_to_install(tmp_path):
    code = (
        "from tests.reload import hide\nhide('jax', 'torch', 'tensorflow')\n"
        "import keraszoo\ntry:\n    keraszoo.build('lenet5')\nexcept ImportError as error:\n    print(error)"
    )
    out, _ = python(code, KERAS_HOME=str(tmp_path))
    assert 'pip install "keraszoo[jax]"' in out
