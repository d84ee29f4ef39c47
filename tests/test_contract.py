"""What every architecture promises. A new model is tested here the moment it is registered."""

import functools
import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo import front, registry
from keraszoo.tasks import TASKS
from tests.shelf import every_name, every_structure, structures


def tiny(name, **more):
    """The smallest model called `name`, and a batch of four for it."""
    entry = registry.entry(name)
    config = {**entry.tiny, **more}
    return keraszoo.build(name, seed=7, **config), *TASKS[entry.task].example(4, **entry.tiny)


@functools.cache
def fitted(name):
    """One tiny model for all promises that leave it as it is, after a step of training."""
    model, x, y = tiny(name)
    model.fit(x, y, verbose=0)
    return model, x, y


def asked(name, model, x):
    """What `predict` takes, where `fit` takes `x`."""
    return TASKS[registry.entry(name).task].inputs(model, x)


def rows(inputs, where):
    """Some samples of an array, or of each of several."""
    return keras.tree.map_structure(lambda v: v[where], inputs)


def counts_instead(name):
    """Whether a model learns no weights by their gradients: it counts, and begins with nothing counted."""
    return getattr(registry.entry(name).load(), "counts_instead", False)


def values(model):
    return {w.path: ops.convert_to_numpy(w) for w in model.trainable_variables}


def predict(model, x):
    return keras.tree.flatten(model.predict(x, verbose=0))


@every_name
def test_default_size_is_the_reference(name):
    entry = registry.entry(name)
    count = front.trainable(front.abstract(entry.load(), entry.size))
    assert count == 0 if counts_instead(name) else count > 0
    if entry.parameters is not None:
        assert count == entry.parameters


@every_name
def test_card_is_complete(name):
    entry = registry.entry(name)
    assert entry.task in TASKS
    assert entry.paper.startswith("https://")
    parameters = {
        n for n, p in inspect.signature(entry.load()).parameters.items() if p.kind is not p.VAR_KEYWORD
    }
    assert {"input_shape"} | ({"num_classes"} & parameters) <= set(entry.tiny)
    assert set(entry.tiny) | set(entry.size) <= parameters
    doc = inspect.getdoc(entry.load())
    for word in parameters:
        assert word in doc, f"{name}: {word} is not in the docstring"


@every_structure
def test_a_gradient_reaches_every_weight_and_one_batch_is_memorised(name):
    undecayed = "weight_decay" in inspect.signature(registry.entry(name).load()).parameters
    model, x, y = tiny(name, **({"weight_decay": 0} if undecayed else {}))  # decay would move a weight, too
    before = values(model)
    model.fit(x, y, epochs=2, verbose=0)
    asleep = [path for path, value in values(model).items() if np.array_equal(value, before[path])]
    assert not asleep, f"no gradient reaches {asleep}"
    assert TASKS[registry.entry(name).task].memorises(model, x, y)


def state(model, inputs, x, y):
    """All that a file must keep: predictions, slots, seeds and card; and the loss of the step that follows."""
    found = {"predictions": predict(model, inputs)[0]}
    for i, slot in enumerate(model.optimizer.variables):
        found[f"slot{i}"] = ops.convert_to_numpy(slot)
    for i, seed in enumerate(model.seeds()):
        found[f"seed{i}"] = ops.convert_to_numpy(seed)
    found["card"] = np.array(repr(sorted(model.card.items())))
    found["next"] = np.array(model.train_on_batch(x, y)[0])
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if value.dtype.kind in "fc":
            np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-6, err_msg=key)
        else:
            np.testing.assert_array_equal(found[key], value, err_msg=key)


@every_structure
def test_same_seed_same_model(name):
    first, second = tiny(name)[0], tiny(name)[0]
    for a, b in zip(values(first).values(), values(second).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    drawn = [v.tobytes() for v in values(first).values() if len(np.unique(v)) > 2]
    assert len(set(drawn)) == len(drawn), "two weights draw the same numbers: they share an initializer"
    other = keraszoo.build(name, seed=8, **registry.entry(name).tiny)
    assert counts_instead(name) or any(
        not np.array_equal(a, b) for a, b in zip(values(first).values(), values(other).values(), strict=True)
    )


@every_structure
def test_a_batch_of_one_is_a_row_of_many(name):
    model, x, _ = fitted(name)
    inputs = asked(name, model, x)
    for many, one in zip(predict(model, inputs), predict(model, rows(inputs, slice(1, 2))), strict=True):
        np.testing.assert_allclose(one[0], many[1], rtol=1e-4, atol=1e-5)


@every_structure
def test_runs_in_half_precision_and_answers_in_full(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, x, y = tiny(name)
        model.fit(x, y, verbose=0)
        assert all(
            np.isfinite(v).all() and v.dtype == "float32" for v in predict(model, asked(name, model, x))
        )
    finally:
        keras.config.set_dtype_policy("float32")


@every_structure
def test_says_what_is_wrong_with_the_input(name):
    model, x, y = fitted(name)
    with pytest.raises(ValueError, match=f"{model.name} takes"):
        model.fit(x[:, :-1], y, verbose=0)
    inputs = asked(name, model, x)
    first = inputs[0] if isinstance(inputs, list) else inputs
    spoilt = np.where(first == first.max(), np.nan, first)
    with pytest.raises(ValueError, match="NaN"):
        model.predict([spoilt, *inputs[1:]] if isinstance(inputs, list) else spoilt, verbose=0)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(x == x.max(), np.nan, x), y, verbose=0)
    if y is not None and getattr(TASKS[registry.entry(name).task], "gives", None) != "domains":
        with pytest.raises(ValueError, match="as many samples"):
            model.fit(x, y[:-1], verbose=0)
    with pytest.raises(TypeError, match="no argument 'input_shap'.*'input_shape'"):
        keraszoo.build(name, input_shap=3)
    assert np.isfinite(predict(model, inputs)[0]).all()  # and is none the worse for it


@pytest.fixture(scope="session")
def shelf_on_disk(tmp_path_factory):
    """A folder with every structure, tiny, fitted and saved, and what it then says and holds."""
    folder = tmp_path_factory.mktemp("shelf")
    for name in structures():
        model, x, y = fitted(name)
        (folder / name).mkdir()
        model.save(folder / name / "model.keras")
        inputs = asked(name, model, x)
        np.savez(folder / name / "data.npz", x=x, **({} if y is None else {"y": y}))
        np.savez(folder / name / "expected.npz", **state(model, inputs, x, y))
    return folder


OTHERS = sorted({"jax", "tensorflow", "torch"} - {keras.backend.backend()})


@pytest.mark.parametrize("backend", ["this one", *OTHERS])
def test_survives_a_trip_to_another_process(backend, shelf_on_disk):
    """Here everything a file keeps is the same; on the others, each the only one installed, it predicts and trains."""
    alone = [] if backend == "this one" else [backend]
    done = subprocess.run(
        [sys.executable, "-m", "tests.reload", str(shelf_on_disk), *alone], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(structures())} models reloaded" in done.stdout


@pytest.mark.gpu
@every_structure
def test_trains_on_a_graphics_processor(name):
    model, x, y = fitted(name)
    assert TASKS[registry.entry(name).task].memorises(*tiny(name))
    devices = {str(getattr(v.value, "device", "")).lower() for v in model.trainable_variables}
    assert (devices or counts_instead(name)) and all("cpu" not in device for device in devices), devices
    assert np.isfinite(predict(model, asked(name, model, x))[0]).all()
