"""What our models add to `fit`, `evaluate`, `predict` and `save`, the same on every backend."""

import json
import subprocess
import sys
import warnings
import zipfile

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo.backend import state
from keraszoo.training.batches import Batches


def net(**config):
    return keraszoo.build("mlp", input_shape=(4,), num_classes=3, units=(8,), seed=0, **config)


def data(count=24, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype("float32")
    return x, np.argmax(x[:, :3], axis=1)


def weights(model):
    return [w.copy() for w in model.get_weights()]


BAD = {  # what is given: what the message must say
    "too few features": (lambda x, y: (x[:, :3], y), r"x has shape \(24, 3\); mlp takes \(batch, 4\)"),
    "an image": (lambda x, y: (x[:, :, None, None], y), "mlp takes"),
    "empty": (lambda x, y: (x[:0], y[:0]), "x is empty"),
    "fewer labels": (lambda x, y: (x, y[:-1]), "x has 24, y has 23"),
    "NaN": (
        lambda x, y: (np.where(x == x[3, 1], np.nan, x), y),
        r"x holds NaN or infinity, first at sample 3",
    ),
    "text": (lambda x, y: (x.astype(str), y), "x must hold numbers"),
    "label too large": (lambda x, y: (x, y + 1), "class numbers from 0 to 2 .* got values from 1 to 3"),
    "label negative": (lambda x, y: (x, y - 1), "class numbers from 0 to 2 .* got values from -1 to 1"),
    "label between": (lambda x, y: (x, y + 0.5), "class numbers from 0 to 2"),
    "one-hot": (lambda x, y: (x, np.eye(3)[y]), "one-hot labels have, but the loss takes class numbers"),
    "labels of a wrong shape": (lambda x, y: (x, np.stack([y, y, y, y], 1)), r"y has shape \(24, 4\)"),
    "NaN label": (lambda x, y: (x, np.where(y == 1, np.nan, y)), "y holds NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_get_one_clear_message_before_the_first_step(case):
    spoil, message = BAD[case]
    model = net()
    before = weights(model)
    x, y = spoil(*data())
    for attempt in (
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.train_on_batch(x, y),
        lambda: model.fit(*data(), validation_data=(x, y), verbose=0),
        lambda: model.fit(Spoilt(x, y), verbose=0),
    ):
        with pytest.raises(ValueError, match=message):
            attempt()
    for a, b in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(*data(), verbose=0)  # and the model is none the worse for it


class Spoilt(keras.utils.PyDataset):
    """One batch of bad data, as a data set of the user's own."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.x, self.y


def test_labels_follow_the_loss_that_is_compiled():
    x, y = data()
    model = net()
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="to_categorical"):
        model.fit(x, y, verbose=0)
    model.fit(x, np.eye(3)[y], verbose=0)
    model.compile("sgd", "mse")  # any loss, any target of its shape
    model.fit(x, np.eye(3)[y] * 5 - 2, verbose=0)


def test_several_labels_at_once():
    x, y = data()
    model = net(task="multi_label_classification")
    labels = (x[:, :3] > 0).astype("float32")
    with pytest.raises(ValueError, match="0 or 1 for each of the classes"):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        model.fit(x, labels * 2, verbose=0)
    model.optimizer.learning_rate = 0.03
    model.fit(x, labels, epochs=60, verbose=0)
    assert model.evaluate(x, labels, verbose=0, return_dict=True)["accuracy"] > 0.95


def test_raw_images_are_noticed():
    images = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 1)).astype("uint8")
    config = dict(input_shape=(12, 12, 1), num_classes=3, filters=(2, 2), units=(4, 4))
    with pytest.warns(UserWarning, match='preprocessing="unit"'):
        keraszoo.build("lenet5", **config).predict(images, verbose=0)
    with pytest.warns(UserWarning, match="values up to 25"):
        keraszoo.build("perceptron", input_shape=(12, 12, 1)).fit(images, np.zeros(8), verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        keraszoo.build("lenet5", preprocessing="unit", **config).predict(images, verbose=0)
        keraszoo.build("lenet5", **config).predict(images / np.float32(255), verbose=0)


def orders(seed, epochs=3):
    """The order in which `fit` sees twelve samples: sample `i` alone moves the bias by 2 ** i / 4096."""
    biases = [0.0]

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            biases.append(float(ops.convert_to_numpy(self.model.get_layer("logits").bias)[0]))

    model = keraszoo.build("mlp", input_shape=(1,), num_classes=1, units=(), seed=seed)
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, prediction: ops.mean(y * prediction))
    x, y = np.zeros((12, 1), "float32"), 2.0 ** np.arange(12)[:, None] / 4096
    model.fit(x, y, batch_size=1, epochs=epochs, callbacks=[Look()], verbose=0)
    return np.log2(-np.diff(biases) * 4096).round().astype(int).reshape(epochs, 12).tolist()


def test_each_epoch_has_an_order_of_its_own_and_a_seed_repeats_them():
    first = orders(seed=1)
    assert all(sorted(epoch) == list(range(12)) for epoch in first)
    assert first[0] != first[1] != first[2]
    assert orders(seed=1) == first
    assert orders(seed=2) != first


@pytest.mark.parametrize("where", ["fit", "evaluate", "predict"])
def test_a_model_survives_an_exception(where):
    class Interruption(keras.callbacks.Callback):
        def __init__(self, at):
            super().__init__()
            self.at = at

        def stop(self, batch):
            if batch == self.at:
                raise KeyboardInterrupt

        def on_train_batch_begin(self, batch, logs=None):
            self.stop(batch)

        def on_test_batch_end(self, batch, logs=None):
            self.stop(batch)

        def on_predict_batch_end(self, batch, logs=None):
            self.stop(batch)

    x, y = data()
    for at in (0, 2):
        model = net()
        model.evaluate(x, y, verbose=0)
        before = weights(model)
        arguments = (x,) if where == "predict" else (x, y)
        with pytest.raises(KeyboardInterrupt):
            getattr(model, where)(*arguments, batch_size=4, callbacks=[Interruption(at)], verbose=0)
        if where != "fit" or at == 0:
            for a, b in zip(before, weights(model), strict=True):
                np.testing.assert_array_equal(a, b)
        assert np.isfinite(model.evaluate(x, y, verbose=0)).all()
        model.fit(x, y, verbose=0)
        assert np.isfinite(model.predict(x, verbose=0)).all()


def test_a_model_survives_a_batch_that_breaks_inside():
    x, y = data()
    model = net()
    before = weights(model)

    def broken():
        yield x, y
        raise RuntimeError("the disk is gone")

    with pytest.raises(Exception, match="the disk is gone"):
        model.evaluate(broken(), verbose=0)
    for a, b in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(model.predict(x, verbose=0)).all()


def test_keras_still_takes_the_values_out_of_its_variables_as_we_think():
    """`emptied` reads a private name of Keras: should it change, this fails."""
    variable = keras.Variable(np.ones(2, "float32"))
    assert state.emptied(variable) is False
    variable._value = None
    assert state.emptied(variable) is True


def test_validation_split_is_the_end_of_the_data():
    x, y = data()
    seen = []

    class Look(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            seen.append(True)

    history = net().fit(x, y, validation_split=0.25, callbacks=[Look()], verbose=0).history
    model = net()
    again = model.fit(x[:18], y[:18], validation_data=(x[18:], y[18:]), verbose=0).history
    assert seen and history == again
    with pytest.raises(ValueError, match="leaves one part empty"):
        net().fit(x[:1], y[:1], validation_split=0.1, verbose=0)


@pytest.mark.parametrize(
    ("sizes", "count"), [({"batch_size": 4}, 6), ({"validation_batch_size": 5}, 5), ({}, 1)]
)
def test_validation_comes_in_batches_of_the_size_that_is_asked_for(sizes, count):
    x, y = data()
    seen = []

    class Look(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            seen.append(batch)

    net().fit(x, y, validation_data=(x, y), callbacks=[Look()], verbose=0, **sizes)
    assert len(x) == 24 and len(seen) == count


def test_a_split_is_for_arrays():
    with pytest.raises(ValueError, match="validation_split=0.5 splits arrays"):
        net().fit(Batches(*data()), validation_split=0.5, verbose=0)


def test_sample_and_class_weights_count():
    x, y = data()
    ignored = np.where(y == 0, 0.0, 1.0).astype("float32")
    a = net(dropout=0.0).fit(x, y, sample_weight=ignored, verbose=0).history["loss"]
    b = net(dropout=0.0).fit(x, y, class_weight={0: 0.0, 1: 1.0, 2: 1.0}, verbose=0).history["loss"]
    c = net(dropout=0.0).fit(x, y, verbose=0).history["loss"]
    np.testing.assert_allclose(a, b, rtol=1e-5)
    assert abs(a[0] - c[0]) > 1e-3


def test_a_resumed_run_is_the_uninterrupted_run(tmp_path):
    x, y = data()

    def batches(start):
        return Batches(x, y, batch_size=5, shuffle=True, seed=3, initial_epoch=start)

    whole, half = net(dropout=0.3), net(dropout=0.3)
    whole.fit(batches(0), epochs=4, verbose=0)
    half.fit(batches(0), epochs=2, verbose=0)
    half.save(tmp_path / "half.keras")
    resumed = keraszoo.load(tmp_path / "half.keras")
    resumed.fit(batches(2), initial_epoch=2, epochs=4, verbose=0)
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    model = net()
    file = tmp_path / "model.keras"
    model.save(file)
    good = file.read_bytes()
    monkeypatch.setattr(model, "save_assets", lambda folder: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        model.save(file)
    assert file.read_bytes() == good
    assert list(tmp_path.iterdir()) == [file]


def test_a_saved_file_names_no_class_of_one_backend(tmp_path):
    for optimizer in ("adam", "sgd", "rmsprop", keras.optimizers.AdamW(1e-3)):
        model = net()
        model.compile(optimizer, model.loss)
        model.save(tmp_path / "model.keras")
        with zipfile.ZipFile(tmp_path / "model.keras") as archive:
            config = archive.read("config.json").decode()
        assert "keras.src.backend" not in config
        assert json.loads(config)["compile_config"]["jit_compile"] == "auto"  # not what it came to here
        model.compile(optimizer, model.loss, jit_compile=False)
        assert model.get_compile_config()["jit_compile"] is False


PLAIN = """
import sys, os
os.environ["KERAS_BACKEND"] = "torch"
import keras, numpy as np
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(np.ones((4, 4)), np.zeros(4), verbose=0)
model.save(sys.argv[1])
"""


def test_a_file_that_stock_keras_saved_on_torch_loads_and_trains_here(tmp_path):
    file = tmp_path / "plain.keras"
    subprocess.run([sys.executable, "-c", PLAIN, str(file)], check=True, capture_output=True)
    with zipfile.ZipFile(file) as archive:
        assert "keras.src.backend.torch" in archive.read("config.json").decode()  # the trap is still there
    model = keraszoo.load(file)
    assert int(model.optimizer.iterations) == 1
    assert np.isfinite(model.fit(np.ones((4, 4)), np.zeros(4), verbose=0).history["loss"]).all()


def test_damaged_and_missing_files(tmp_path):
    file = tmp_path / "model.keras"
    net().save(file)
    whole = file.read_bytes()
    for name, content in {
        "cut.keras": whole[: len(whole) // 2],
        "text.keras": b"not a model",
        "empty.keras": b"",
        "flipped.keras": whole[:2000] + bytes([whole[2000] ^ 255]) + whole[2001:],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}.*damaged"):
            keraszoo.load(tmp_path / name)
    with pytest.raises(ValueError, match="there is no such file"):
        keraszoo.load(tmp_path / "none.keras")


def test_code_in_a_file_is_not_run(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda v: v * 2)(inputs))
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match="holds no model that can be loaded"):
        keraszoo.load(tmp_path / "lambda.keras")


def test_class_names_and_card_travel_in_the_file(tmp_path):
    model = keraszoo.build("mlp", input_shape=(4,), units=(), class_names=["cat", "dog"])
    assert model.output_shape == (None, 2)
    model.save(tmp_path / "model.keras")
    card = keraszoo.load(tmp_path / "model.keras").card
    assert card == model.card and card["class_names"] == ["cat", "dog"] and card["architecture"] == "mlp"
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert json.loads(archive.read("assets/card.json")) == card
