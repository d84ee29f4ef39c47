"""The fused kernels compute what Keras' own layers and optimizers compute, on every backend."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keraszoo.backend.kernels import products
from keraszoo.layers import AveragePooling2D, BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D
from keraszoo.training import optimizers

TOLERANCE = {"float32": 1e-5, "float64": 1e-5, "mixed_bfloat16": 2e-2, "mixed_float16": 2e-3}


class Held(keras.layers.Layer):
    """Gives the tensor that it holds as a weight, so that its gradient can be seen."""

    def __init__(self, value):
        super().__init__(dtype="float32")
        self.value = self.add_weight(shape=value.shape, name="value")
        self.value.assign(value)

    def call(self, ignored):
        return ops.convert_to_tensor(self.value)


class Harness(keras.Model):
    """Runs `layer` on a held input; its loss is a fixed random functional of the output."""

    def __init__(self, layer, x, **call):
        super().__init__()
        self.held, self.layer, self.arguments = Held(x), layer, call

    def call(self, ignored, training=False):
        y = ops.cast(self.layer(self.held(ignored), training=training, **self.arguments), "float32")
        toward = np.random.default_rng(1).normal(size=y.shape).astype("float32")
        return ops.sum(ops.multiply(y, toward))[None]


def learn(layer, x, **call):
    """What one step shows of a layer: gradients of the input and the weights, statistics, outputs."""
    values = {w.path.split("/")[-1]: ops.convert_to_numpy(w) for w in layer.weights}
    harness = Harness(layer, x, **call)
    nothing = np.zeros((1, 1), "float32")
    eagerly = keras.backend.backend() == "tensorflow"
    # In a TensorFlow graph an update may overtake a gradient that reads the same weight, in Keras' layer too.
    harness.compile(optimizer=keras.optimizers.SGD(1.0), loss=lambda _, y: ops.sum(y), run_eagerly=eagerly)
    harness.train_on_batch(nothing, nothing)
    seen = {"x": x - ops.convert_to_numpy(harness.held.value)}
    for weight in layer.weights:  # trainable ones have moved by their gradient, statistics by the batch
        name = weight.path.split("/")[-1]
        seen[name] = ops.convert_to_numpy(weight) - (values[name] if weight.trainable else 0)
    for training in (True, False):
        y = layer(ops.convert_to_tensor(x), training=training, **call)
        seen[f"{training=} dtype"] = keras.backend.standardize_dtype(y.dtype)
        seen[f"{training=}"] = ops.convert_to_numpy(ops.cast(y, "float32"))
    return seen


def same(kind, shape, policy="float32", trainable=True, call=None, **config):
    """Assert that our layer and Keras' of that name show the same, given the same odd weights."""
    x = np.random.default_rng(0).normal(1.5, 2, size=shape).astype("float32")
    results = []
    for made in (kind, getattr(keras.layers, kind.__name__)):
        layer = made(dtype=policy, **config)
        layer.build(shape)
        rng = np.random.default_rng(2)
        layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.weights])
        layer.trainable = trainable
        results.append(learn(layer, x, **(call or {})))
    ours, theirs = results
    assert ours.keys() == theirs.keys()
    for key in ours:
        if isinstance(ours[key], str):
            assert ours[key] == theirs[key], key
            continue
        atol = TOLERANCE[policy] * max(1, np.abs(theirs[key]).max())
        np.testing.assert_allclose(ours[key], theirs[key], rtol=0, atol=atol, err_msg=key)


@pytest.mark.parametrize(
    "shape, config",
    [
        ((6, 5), {}),
        ((4, 5, 6), {}),
        ((4, 6, 5, 3), {"momentum": 0.9, "epsilon": 1e-5}),
        ((4, 6, 5, 3), {"axis": 1}),
        ((4, 6, 5, 3), {"axis": 2}),
        ((4, 6, 5, 3), {"axis": -2}),
        ((2, 3, 4, 5, 2), {}),
        ((2, 3, 4, 5, 2), {"axis": 1}),
        ((4, 6, 5, 3), {"scale": False}),
        ((4, 6, 5, 3), {"center": False}),
        ((4, 6, 5, 3), {"trainable": False}),
        ((1, 6, 5, 3), {}),
        ((1, 3), {}),  # one sample: its variance is zero
        ((4, 6, 5, 3), {"renorm": True, "renorm_clipping": {"rmax": 3, "rmin": 0.3, "dmax": 2}}),
    ],
    ids=str,
)
def test_batch_normalization_equals_keras(shape, config):
    same(BatchNormalization, shape, **config)


@pytest.mark.parametrize("policy", ["float64", "mixed_bfloat16", "mixed_float16"])
def test_batch_normalization_equals_keras_in_other_precisions(policy):
    same(BatchNormalization, (4, 6, 5, 3), policy)


def test_batch_normalization_heeds_a_mask():
    mask = np.random.default_rng(3).random((4, 6)) < 0.7
    same(BatchNormalization, (4, 6, 3), call={"mask": ops.convert_to_tensor(mask)})


def test_batch_normalization_takes_any_memory_layout():
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 5)).astype("float32")
    ours, theirs = BatchNormalization(), keras.layers.BatchNormalization()
    turned = ops.transpose(ops.convert_to_tensor(x), (0, 2, 3, 1))  # channels first in memory
    y, z = ours(turned, training=True), theirs(turned, training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(y), ops.convert_to_numpy(z), atol=1e-5)


def test_batch_normalization_is_saved_as_a_layer_of_ours():
    layer = BatchNormalization(momentum=0.9, name="norm")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == "keraszoo>BatchNormalization"
    assert config["config"] == keras.layers.BatchNormalization(momentum=0.9, name="norm").get_config()
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is BatchNormalization and again.get_config() == layer.get_config()


def test_half_precision_does_not_overflow():
    x = np.random.default_rng(0).normal(0, 1e4, size=(64, 8)).astype("float16")
    y = BatchNormalization(dtype="mixed_float16")(ops.convert_to_tensor(x), training=True)
    assert abs(ops.convert_to_numpy(y).astype("float32").std() - 1) < 0.01


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"padding": "same"},
        {"strides": 2, "padding": "same"},
        {"strides": (2, 3), "padding": "same", "kernel_size": (2, 4)},  # zeros on one side only
        {"kernel_size": 1, "strides": 2, "use_bias": False},
        {"dilation_rate": 2, "padding": "same", "activation": "relu"},
        {"groups": 2},
        {"padding": "same", "data_format": "channels_first"},
    ],
    ids=str,
)
def test_convolution_equals_keras(config):
    shape = (2, 4, 7, 8) if config.get("data_format") else (2, 7, 8, 4)
    same(Conv2D, shape, filters=6, **{"kernel_size": 3, **config})


@pytest.mark.parametrize("kind", [MaxPooling2D, AveragePooling2D])
@pytest.mark.parametrize("config", [{}, {"pool_size": (3, 2), "strides": 2}, {"padding": "same"}], ids=str)
def test_pooling_equals_keras(kind, config):
    same(kind, (2, 7, 8, 3), **{"pool_size": 2, **config})


@pytest.mark.parametrize("shape", [(4, 5), (4, 3, 5), (2, 4, 3, 5)])
@pytest.mark.parametrize("config", [{}, {"use_bias": False, "activation": "tanh"}], ids=str)
def test_dense_equals_keras(shape, config):
    same(Dense, shape, units=3, **config)
    same(Flatten, shape)


@pytest.mark.parametrize("shape", [(1, 5), (3, 1, 5), (3, 3, 5)])
def test_products_are_those_of_rows_and_vectors(shape):
    rng = np.random.default_rng(0)
    x, vectors = rng.normal(size=shape).astype("float32"), rng.normal(size=(7, 5)).astype("float32")
    found = products(*map(ops.convert_to_tensor, (x, vectors)))
    np.testing.assert_allclose(ops.convert_to_numpy(found), np.inner(x, vectors), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_layers_equal_keras_in_half_precision(policy):
    same(Conv2D, (2, 7, 8, 3), policy, filters=4, kernel_size=3, padding="same")
    same(MaxPooling2D, (2, 7, 8, 3), policy, pool_size=2)
    same(AveragePooling2D, (2, 7, 8, 3), policy, pool_size=2)
    same(Dense, (4, 5), policy, units=3)


def test_layers_of_ours_are_keras_layers_to_a_reader():
    for kind, config in (
        (Conv2D, {"filters": 3, "kernel_size": 2}),
        (Dense, {"units": 3}),
        (MaxPooling2D, {}),
    ):
        stock = getattr(keras.layers, kind.__name__)
        made = []
        for each in (kind, stock):
            keras.utils.set_random_seed(0)
            layer = each(name="x", **config)
            layer.build((2, 6, 6, 2))
            made.append(layer)
        ours, theirs = made
        assert ours.get_config() == theirs.get_config()
        assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def grown(optimizer, steps=20):
    """Weights and optimizer state after `steps` updates along the same random gradients."""
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape).astype("float32") for shape in ((3, 4), (4,), (2, 3, 2))]
    values.append(ops.transpose(values[0]))  # as an orthogonal initializer leaves it: by columns in memory
    weights = [keras.Variable(value) for value in values]
    optimizer.build(weights)
    for _ in range(steps):
        gradients = [ops.cast(rng.normal(size=w.shape[::-1]), "float32") for w in weights]
        optimizer.apply([ops.transpose(g) for g in gradients], weights)  # by columns, too
    return [ops.convert_to_numpy(v) for v in (*weights, *optimizer.variables)]


def decay(step=0.01):
    return keras.optimizers.schedules.ExponentialDecay(step, decay_steps=5, decay_rate=0.5)


OPTIMIZERS = [
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-2}),
    ("Adam", {"amsgrad": True}),
    ("Adam", {"learning_rate": decay}),
    ("Adam", {"clipnorm": 0.5}),
    ("Adam", {"clipvalue": 0.1}),
    ("Adam", {"global_clipnorm": 0.5}),
    ("Adam", {"weight_decay": 0.1}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7}),
    ("Adam", {"gradient_accumulation_steps": 3}),
    ("Adam", {"loss_scale_factor": 8.0}),
    ("AdamW", {"weight_decay": 0.1}),
    ("AdamW", {"weight_decay": 0.1, "learning_rate": decay}),
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "learning_rate": decay}),
]


@pytest.mark.parametrize("name, config", OPTIMIZERS, ids=str)
def test_optimizer_equals_keras(name, config):
    config = {key: value() if callable(value) else value for key, value in config.items()}
    steps = 6 if "gradient_accumulation_steps" in config else 20  # slow outside a graph
    ours = grown(getattr(optimizers, name)(**config), steps)
    theirs = grown(getattr(keras.optimizers, name)(**config), steps)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_gradients_of_half_precision_are_widened(name):
    gradient = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    moved = []
    for dtype in ("float32", "bfloat16"):
        weight = keras.Variable(np.ones((3, 4), "float32"))
        rounded = ops.cast(ops.cast(gradient, "bfloat16"), dtype)
        getattr(optimizers, name)(0.1).apply([rounded], [weight])
        moved.append(ops.convert_to_numpy(weight))
    np.testing.assert_array_equal(*moved)
    assert np.abs(moved[0] - 1).min() > 1e-3


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_optimizer_is_saved_under_our_name_on_every_backend(name):
    optimizer = getattr(optimizers, name)(learning_rate=decay(0.25), clipnorm=2.0)
    config = keras.saving.serialize_keras_object(optimizer)
    assert config["module"] == "keraszoo.training.optimizers"
    assert config["registered_name"] == f"keraszoo>{name}"
    assert "keras.src.backend" not in json.dumps(config)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is getattr(optimizers, name) and again.get_config() == optimizer.get_config()
    stock = getattr(keras.optimizers, name)(learning_rate=decay(0.25), clipnorm=2.0)
    assert optimizer.get_config().keys() == stock.get_config().keys()


@pytest.mark.parametrize("name, slots", [("Adam", 2), ("AdamW", 2), ("SGD", 1)])
def test_keras_calls_our_update_once_a_step(name, slots, monkeypatch):
    """The hook is private in Keras: this fails when it is renamed or bypassed."""
    calls = []
    optimizer = getattr(optimizers, name)(**({"momentum": 0.9} if name == "SGD" else {}))
    update = optimizer._backend_update_step
    monkeypatch.setattr(optimizer, "_backend_update_step", lambda *args: (calls.append(1), update(*args)))
    values = grown(optimizer, steps=3)
    assert len(calls) == 3 and int(optimizer.iterations) == 3
    assert len(values) == 4 + 4 * slots + 2  # weights, slots, iteration counter and learning rate


def test_loss_scaling_skips_an_overflow_and_then_updates():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_initializer="ones")])
    scaled = keras.optimizers.LossScaleOptimizer(optimizers.Adam(0.1), initial_scale=4.0)
    model.compile(optimizer=scaled, loss=lambda target, y: target * y)  # the target is the gradient
    x, target = np.ones((1, 3), "float32"), np.full((1, 2), np.inf, "float32")
    model.train_on_batch(x, target)
    np.testing.assert_array_equal(ops.convert_to_numpy(model.weights[0]), 1)
    model.train_on_batch(x, np.ones_like(target))
    np.testing.assert_allclose(ops.convert_to_numpy(model.weights[0]), 0.9, atol=1e-5)
