"""The short ways through a layer and through a step do all that Keras' long ways do."""

import contextlib
import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers, ops

import keraszoo
from keraszoo.backend import kernels
from keraszoo.backend.autodiff import value_and_grad
from keraszoo.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    InstanceNormalization,
    MaxPooling2D,
)
from keraszoo.layers.quick import straight
from keraszoo.training import optimizers
from keraszoo.training.scores import SparseCategoricalAccuracy, SparseCategoricalCrossentropy
from keraszoo.training.step import Step

STOCK = dict(Conv2D=layers.Conv2D, Dense=layers.Dense, BatchNormalization=layers.BatchNormalization)
QUICK = dict(Conv2D=Conv2D, Dense=Dense, BatchNormalization=BatchNormalization)


def tensor(*shape, dtype="float32"):
    return ops.convert_to_tensor(np.random.default_rng(0).normal(size=shape).astype(dtype))


def test_a_layer_is_called_straight_once_nothing_else_is_to_be_done():
    x = tensor(2, 6, 6, 3)
    for layer in (Conv2D(4, 3), BatchNormalization(), MaxPooling2D(), Flatten(), Dense(2)):
        assert not straight(layer, x) or layer.built
        layer(x)
        assert straight(layer, x) == kernels.EAGER
        assert not straight(layer, keras.Input((6, 6, 3)))
        assert not straight(layer, ops.cast(x, "float16"))  # wants a cast


def test_a_layer_is_not_called_straight_when_there_is_more_to_do():
    x = tensor(2, 3)
    regularized, quantized = Dense(2, activity_regularizer="l2"), Dense(2)
    with keras.RematScope(mode="full"):
        rematerialised = Dense(2)
    for layer in (regularized, quantized, rematerialised):
        layer(x)
    quantized.quantize("int8")
    assert not any(straight(layer, x) for layer in (regularized, quantized, rematerialised))
    masked = layers.Masking()(tensor(2, 4, 3))
    dense = Dense(2)
    dense.build(masked.shape)
    assert not straight(dense, masked)


def test_a_dense_layer_can_be_quantized():
    x = tensor(2, 3)
    results = []
    for kind in (Dense, layers.Dense):
        keras.utils.set_random_seed(0)
        dense = kind(4)
        dense(x)
        dense.quantize("int8")
        results.append(ops.convert_to_numpy(dense(x)))
    np.testing.assert_allclose(*results, atol=1e-6)


def test_torch_hooks_are_called():
    called = []
    dense = Dense(2)
    x = tensor(2, 3)
    dense(x)
    if kernels.EAGER:  # other backends have no hooks
        dense.register_forward_hook(lambda *args: called.append("after"))
        dense.register_forward_pre_hook(lambda *args: called.append("before"))
        assert not straight(dense, x)
    dense(x)
    assert called == (["before", "after"] if kernels.EAGER else [])


def test_a_mask_travels_through():
    tokens = np.array([[3, 7, 1, 0, 0], [2, 0, 0, 0, 0]])
    results = []
    for kind in (QUICK, STOCK):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                layers.Embedding(9, 4, mask_zero=True),
                kind["Dense"](3),
                kind["BatchNormalization"](),
                layers.GlobalAveragePooling1D(),
            ]
        )
        results.append([ops.convert_to_numpy(model(tokens, training=training)) for training in (True, False)])
    np.testing.assert_allclose(*results, atol=1e-6)
    padded = np.concatenate([tokens, np.zeros_like(tokens)], axis=1)
    np.testing.assert_allclose(ops.convert_to_numpy(model(padded)), results[1][1], atol=1e-6)


def test_a_layer_of_full_precision_in_a_model_of_half_precision():
    results = []
    for kind in (QUICK, STOCK):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            x = image = keras.Input((6, 6, 3))
            x = kind["Conv2D"](4, 3)(x)
            x = kind["BatchNormalization"]()(x)
            x = layers.Flatten()(x)
            model = keras.Model(image, kind["Dense"](2, dtype="float32")(x))
        finally:
            keras.config.set_dtype_policy("float32")
        for _ in range(2):
            y = model(tensor(2, 6, 6, 3), training=False)
        assert keras.backend.standardize_dtype(y.dtype) == "float32"
        results.append(ops.convert_to_numpy(y))
    np.testing.assert_allclose(*results, atol=1e-2)


def test_low_rank_adaptation_is_heeded():
    x = tensor(2, 6, 6, 3)
    for layer in (Conv2D(4, 3), Dense(2)):
        before = ops.convert_to_numpy(layer(x))
        layer.enable_lora(2)
        np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), before, atol=1e-6)
        layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
        assert np.abs(ops.convert_to_numpy(layer(x)) - before).max() > 1e-3


@keras.saving.register_keras_serializable("tests")
class Stepped(Step, keras.Model):
    """A functional model that learns by our step."""


class Penalty(layers.Layer):
    """Adds a loss of its own."""

    def call(self, x):
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


def network(kind, frozen=False):
    keras.utils.set_random_seed(1)
    x = image = keras.Input((8, 8, 2), name="image")
    x = Conv2D(4, 3, kernel_regularizer="l2", name="conv")(x)
    x = BatchNormalization(name="norm")(x)
    x = Penalty(name="penalty")(MaxPooling2D(name="pool")(x))
    x = Flatten(name="flat")(x)
    x = Dense(6, activation="relu", activity_regularizer="l2", name="hidden")(x)
    model = kind(image, {"label": Dense(3, name="label")(x), "size": Dense(1, name="size")(x)})
    model.get_layer("hidden").trainable = not frozen
    return model


def learn(kind, frozen=False, optimizer=None, **compiled):
    model = network(kind, frozen)
    model.compile(
        optimizer=optimizer() if optimizer else optimizers.Adam(0.01),
        **{
            "loss": {"label": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"},
            "metrics": {"label": ["accuracy"], "size": ["mae"]},
            **compiled,
        },
    )
    rng = np.random.default_rng(0)
    logs = []
    for _ in range(4):
        x = rng.normal(size=(5, 8, 8, 2)).astype("float32")
        y = {"label": rng.integers(0, 3, 5), "size": rng.normal(size=(5, 1)).astype("float32")}
        weight = {
            "label": rng.uniform(0, 2, 5).astype("float32"),
            "size": rng.uniform(0, 2, 5).astype("float32"),
        }
        logs.append(model.train_on_batch(x, y, sample_weight=weight, return_dict=True))
    logs.append({"loss": model.evaluate(x, y, verbose=0)[0]})
    return logs, [ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"frozen": True},
        {"loss_weights": {"label": 1.0, "size": 0.3}, "weighted_metrics": {"label": ["accuracy"]}},
        {"optimizer": lambda: optimizers.Adam(0.01, clipnorm=0.1, weight_decay=0.1)},
        {"optimizer": lambda: optimizers.SGD(0.01, momentum=0.9, gradient_accumulation_steps=2)},
        {"optimizer": lambda: keras.optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=4.0)},
    ],
    ids=["plain", "frozen", "weights", "clipped", "accumulated", "scaled"],
)
def test_a_step_does_all_that_keras_does(config):
    ours, theirs = learn(Stepped, **config), learn(keras.Model, **config)
    for mine, stock in zip(ours[0], theirs[0], strict=True):
        assert mine.keys() == stock.keys()
        np.testing.assert_allclose(list(mine.values()), list(stock.values()), atol=1e-6, rtol=1e-6)
    assert len({log["loss"] for log in ours[0]}) == 5
    for mine, stock in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(mine, stock, atol=1e-6)


def test_a_weight_without_a_gradient_stays_and_is_named():
    class Idle(layers.Layer):
        def build(self, shape):
            self.idle = self.add_weight((), "ones", name="idle")

        def call(self, x):
            return x

    x = keras.Input((3,))
    model = Stepped(x, Idle()(Dense(1)(x)))
    model.compile(optimizer=optimizers.SGD(0.1), loss="mse")
    with pytest.warns(UserWarning, match="idle") if keras.backend.backend() != "jax" else nothing():
        model.train_on_batch(np.ones((2, 3)), np.zeros((2, 1)))
    assert float(model.get_weights()[2]) == 1


def nothing():
    """JAX's gradients of unused weights are zeros, of which nobody need be warned."""
    return contextlib.nullcontext()


def test_a_model_without_weights_learns_nothing_and_says_so():
    x = keras.Input((3,))
    model = Stepped(x, Flatten()(x))
    model.compile(optimizer=optimizers.SGD(0.1), loss="mse")
    if keras.backend.backend() == "torch":
        assert model.train_on_batch(np.ones((2, 3)), np.zeros((2, 3))) == 1.0


def test_fit_evaluates_and_reports_the_mean_of_its_batches():
    x = keras.Input((3,))
    model = Stepped(x, Dense(1)(x))
    model.compile(optimizer=optimizers.SGD(0.0), loss="mse")
    data = np.random.default_rng(0).normal(size=(10, 3)), np.ones((10, 1))
    history = model.fit(*data, batch_size=4, epochs=2, verbose=0, validation_data=data)
    np.testing.assert_allclose(history.history["loss"], history.history["val_loss"], rtol=1e-5)
    np.testing.assert_allclose(history.history["loss"][0], model.evaluate(*data, verbose=0), rtol=1e-5)


class Split(layers.Layer):
    """Gives two tensors."""

    def call(self, x, training=False):
        return [x * 2, x + (1 if training else 0)]


def branching(kind):
    """A graph with all that a graph can have: shared layers, several outputs, arguments that are no tensors."""
    keras.utils.set_random_seed(3)
    x = keras.Input((6, 6, 2))
    shared = Conv2D(2, 3, padding="same")
    y = shared(shared(x))
    y = ops.add(y, x) * 2 - 1
    z = layers.Concatenate()([y, x, BatchNormalization()(y, training=False)])
    two = Split()(z)
    inner = keras.Sequential([layers.Conv2D(3, 1), layers.Dropout(0.0), BatchNormalization()])
    outputs = {
        "a": ops.mean(two[0], axis=(1, 2)),
        "b": [ops.where(two[1] > 0, two[1], 0.0), x],
        "c": inner(two[1]),
    }
    return kind(x, outputs)


def test_a_graph_computes_what_keras_computes():
    x = tensor(3, 6, 6, 2)
    ours, theirs = branching(Stepped), branching(keras.Model)
    for training in (True, False, None):
        mine, other = ours(x, training=training), theirs(x, training=training)
        keras.tree.assert_same_structure(mine, other)
        for a, b in zip(keras.tree.flatten(mine), keras.tree.flatten(other), strict=True):
            np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(ours.predict(x, verbose=0)["a"], theirs.predict(x, verbose=0)["a"], atol=1e-5)


@pytest.mark.parametrize("form", [lambda y: y, lambda y: [y], lambda y: (y,), lambda y: {"y": y}])
def test_a_graph_gives_what_it_was_built_to_give(form):
    x = keras.Input((3,))
    y = Dense(2)(x)
    mine, other = Stepped(x, form(y))(tensor(2, 3)), keras.Model(x, form(y))(tensor(2, 3))
    assert type(mine) is type(other)
    keras.tree.assert_same_structure(mine, other)


def test_a_graph_lets_go_of_what_is_used_up():
    alive, seen = [], []

    class Watch(layers.Layer):
        def call(self, x):
            gc.collect()
            alive[:] = [each for each in alive if each() is not None]
            seen.append(len(alive))
            y = x + 1
            if not isinstance(y, keras.KerasTensor):
                alive.append(weakref.ref(y))
            return y

    y = x = keras.Input((3,))
    for _ in range(5):
        y = Watch()(y)
    model = Stepped(x, y)
    seen.clear()
    model(tensor(2, 3))
    assert len(seen) == 5
    if kernels.EAGER:  # elsewhere a compiler sees to it
        assert seen == [0, 1, 1, 1, 1]


def test_a_graph_takes_what_keras_takes():
    x = keras.Input((3,), name="x")
    model = Stepped(x, Dense(2)(x))
    y = ops.convert_to_numpy(model(tensor(2, 3)))
    for same in (np.array(tensor(2, 3)), {"x": tensor(2, 3)}, [tensor(2, 3)], tensor(2, 3, dtype="float64")):
        np.testing.assert_allclose(ops.convert_to_numpy(model(same)), y, atol=1e-6)
    with pytest.raises(ValueError, match="incompatible"):
        model(tensor(2, 4))


@pytest.mark.parametrize(
    "config",
    [
        {"from_logits": True},
        {},
        {"from_logits": True, "ignore_class": 1},
        {"from_logits": True, "reduction": "sum"},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_those_of_keras(config, shape, weighted):
    rng = np.random.default_rng(0)
    labels = ops.convert_to_tensor(rng.integers(0, 3, shape).astype("int32"))
    logits = tensor(*(shape if shape[-1] != 1 else shape[:1]), 3)
    if not config:
        logits = ops.softmax(logits)
    weights = rng.uniform(0, 2, shape).astype("float32")

    def weight():  # a fresh one each time: Keras on torch multiplies it by the mask in place
        return ops.convert_to_tensor(weights.copy()) if weighted else None

    mine, other = (
        SparseCategoricalCrossentropy(**config),
        keras.losses.SparseCategoricalCrossentropy(**config),
    )
    assert mine.get_config() == other.get_config()
    np.testing.assert_allclose(
        float(mine(labels, logits, weight())), float(other(labels, logits, weight())), rtol=1e-5, atol=1e-6
    )
    mine, other = SparseCategoricalAccuracy("accuracy"), keras.metrics.SparseCategoricalAccuracy("accuracy")
    for metric in (mine, other):
        metric.update_state(labels, logits, weight())
        metric.update_state(labels[:2], logits[:2])
    np.testing.assert_allclose(float(mine.result()), float(other.result()), rtol=1e-6)
    assert mine.get_config() == other.get_config()


def test_scores_carry_a_gradient_and_heed_a_mask():
    logits = tensor(4, 3)
    labels = ops.convert_to_tensor(np.array([0, 1, 2, 1]))
    whole = float(SparseCategoricalCrossentropy(from_logits=True)(labels, logits))
    x = keras.Input((4,), dtype="int32")
    y = layers.GlobalAveragePooling1D()(layers.Embedding(9, 3, mask_zero=True)(x))
    model = Stepped(x, y)
    model.compile(optimizer=optimizers.SGD(1.0), loss=SparseCategoricalCrossentropy(from_logits=True))
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    losses = [model.train_on_batch(tokens, np.array([0, 2])) for _ in range(3)]
    assert losses[0] > losses[1] > losses[2] and whole > 0
    masked = layers.Masking()(
        ops.stack([logits, ops.zeros_like(logits)], axis=1)
    )  # every second step does not count
    doubled = ops.stack([labels, labels], axis=1)
    for kind in (SparseCategoricalCrossentropy, keras.losses.SparseCategoricalCrossentropy):
        np.testing.assert_allclose(float(kind(from_logits=True)(doubled, masked)), whole, rtol=1e-5)


def test_a_model_of_quick_layers_is_called_like_any_other():
    def build(kind):
        keras.utils.set_random_seed(0)
        x = keras.Input((6, 6, 2))
        return kind(x, Dense(3)(Flatten()(BatchNormalization()(Conv2D(4, 3)(x)))))

    ours, theirs = build(Stepped), build(keras.Model)
    x = tensor(2, 6, 6, 2)
    for training in ({"training": True}, {"training": False}, {"training": None}, {}):
        mine, other = ours(x, **training), theirs(x, **training)
        np.testing.assert_allclose(ops.convert_to_numpy(mine), ops.convert_to_numpy(other), atol=1e-5)
    for wrong in (tensor(2, 6, 6, 3), tensor(2, 5, 6, 2), tensor(2, 6)):
        with pytest.raises(ValueError):
            ours(wrong)
    if kernels.EAGER:
        called = []
        ours.register_forward_hook(lambda *args: called.append(1))
        ours(x)
        assert called


def test_layers_of_keras_without_weights_are_called_straight_in_a_graph(monkeypatch):
    def build(kind):
        keras.utils.set_random_seed(0)
        x = keras.Input((4, 4, 2))
        y = layers.ReLU()(BatchNormalization()(Conv2D(3, 3)(layers.ZeroPadding2D(1)(x))))
        z = layers.Cropping2D(1)(layers.Concatenate()([layers.LeakyReLU(0.2)(x), layers.Add()([y, y])]))
        return kind(x, layers.Activation("tanh", name="end")(layers.Reshape((20,))(z)))

    ours, theirs = build(Stepped), build(keras.Model)
    x = tensor(2, 4, 4, 2)
    for training in (True, False):
        mine, other = ours(x, training=training), theirs(x, training=training)
        np.testing.assert_allclose(ops.convert_to_numpy(mine), ops.convert_to_numpy(other), atol=1e-6)
    called, true = [], layers.Layer.__call__
    monkeypatch.setattr(
        layers.Layer, "__call__", lambda self, *a, **k: called.append(self) or true(self, *a, **k)
    )
    if kernels.EAGER:
        ours(x, training=True)
        assert not called
        end = ours.get_layer("end")
        end.register_forward_hook(lambda *args: called.append("hook"))
        ours(x, training=True)
        assert called == [end, "hook"]


def test_a_rectifier_writes_over_what_nobody_reads_again():
    def build(kind, rectifier):
        keras.utils.set_random_seed(0)
        x = keras.Input((4, 4, 2))
        a = rectifier(Conv2D(3, 3, padding="same")(x))
        b = rectifier(InstanceNormalization()(Conv2DTranspose(3, 4, strides=2, padding="same")(a)))
        c = BatchNormalization()(Conv2D(3, 2, strides=2)(b))  # is read twice
        return kind(x, [layers.Add()([c, rectifier(c), a]), rectifier(BatchNormalization()(a))])

    x, wanted = tensor(2, 4, 4, 2), tensor(2, 4, 4, 3)
    for rectifier in (layers.ReLU(), layers.ReLU(negative_slope=0.1), layers.LeakyReLU(0.3)):
        found = []
        for kind in (Stepped, keras.Model):
            model = build(kind, rectifier)

            def loss(model=model):
                return sum(ops.sum(y * wanted) for y in model(x, training=True))

            found.append(value_and_grad(loss, model.trainable_variables))
        for mine, other in zip(found[0][1], found[1][1], strict=True):
            np.testing.assert_allclose(ops.convert_to_numpy(mine), ops.convert_to_numpy(other), atol=1e-4)
        np.testing.assert_allclose(float(found[0][0]), float(found[1][0]), rtol=1e-5)


def test_a_rectifier_leaves_alone_what_a_hook_has_seen():
    x = keras.Input((4, 4, 2))
    convolution = Conv2D(3, 3)
    model, seen = Stepped(x, layers.ReLU()(convolution(x))), []
    assert ops.min(model(tensor(2, 4, 4, 2))) == 0
    if kernels.EAGER:
        convolution.register_forward_hook(lambda layer, taken, given: seen.append(given))
        model(tensor(2, 4, 4, 2), training=True)
        assert seen[0].min() < 0


def test_stock_metrics_leave_the_weights_of_samples_as_they_are():
    """They multiply weights by a mask, which the gradient of the loss needs as they were."""
    found = []
    for metrics in ([], [keras.metrics.SparseCategoricalAccuracy()]):
        model = keraszoo.build(
            "gru", vocabulary_size=9, num_classes=3, units=4, embed_dim=4, return_sequences=True, seed=1
        )
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), weighted_metrics=metrics
        )
        x = np.array([[3, 4, 5, 0], [6, 7, 0, 0]], "int32")
        model.train_on_batch(x, x % 3, np.full((2, 4), 0.5, "float32"))
        found.append(np.concatenate([keras.ops.convert_to_numpy(w).ravel() for w in model.trainable_weights]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
