"""What is true of batches and of data sets, whatever the backend."""

import keras
import numpy as np
import pytest
from keras import ops

from keraszoo.training.batches import Batches

# Batches


@keras.saving.register_keras_serializable("keraszoo_tests")
class StepNumber(keras.optimizers.schedules.LearningRateSchedule):
    """1, 2, 3 ..."""

    def __call__(self, step):
        return ops.cast(step, "float32") + 1

    def get_config(self):
        return {}


def steps(batches, epochs, initial_epoch=0, **options):
    """Fit on one-hot samples, and tell for each epoch in which step each sample was seen.

    Sample `i` moves weight `i` alone, by the learning rate, which is the number of the step. Two
    visits, or none, would show as a number that is no step of that epoch.
    """
    model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)])
    model.compile(keras.optimizers.SGD(StepNumber()), loss=lambda y, p: ops.sum(p))
    totals = [np.zeros(batches.count)]
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: totals.append(-model.get_weights()[0][:, 0])
    )
    model.fit(batches, epochs=epochs, initial_epoch=initial_epoch, callbacks=[look], verbose=0, **options)
    return np.diff(totals, axis=0).round().astype(int).tolist()


def numbered(count=11, batch_size=2, **options):
    return Batches(np.eye(count), np.zeros(count), batch_size=batch_size, shuffle=True, seed=5, **options)


def promised(count, batch_size, epochs):
    """What `steps` must answer for these epochs, by the definition of the order."""
    rows, first = [], 1
    for epoch in epochs:
        row = np.empty(count, int)
        row[np.random.default_rng((5, epoch)).permutation(count)] = first + np.arange(count) // batch_size
        rows.append(row.tolist())
        first += -(-count // batch_size)
    return rows


@pytest.mark.parametrize("batch_size", [2, 6])  # six batches, and two: some are asked for in advance
@pytest.mark.parametrize("shuffle", [True, False])  # of `fit`: must not matter
def test_fit_sees_each_sample_once_in_the_order_of_the_epoch(shuffle, batch_size):
    batches = numbered(batch_size=batch_size)
    assert steps(batches, 3, shuffle=shuffle) == promised(11, batch_size, [0, 1, 2])
    assert batches.epoch == 3


def test_a_resumed_run_sees_the_orders_it_would_have_seen():
    assert steps(numbered(initial_epoch=2), 4, initial_epoch=2) == promised(11, 2, [2, 3])


def test_fit_called_twice_goes_on_with_the_next_epoch():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    batches = numbered(8, 8)  # one batch: building the model asks for all there is
    for epoch in (2, 3):
        model.fit(batches, epochs=2 if epoch == 2 else 1, verbose=0)
        assert batches.epoch == epoch
    x, _ = batches[0]
    np.testing.assert_array_equal(x.argmax(1), np.random.default_rng((5, 3)).permutation(8))


def test_short_epochs_see_each_sample_once_in_a_pass():
    count, batch_size, short = 12, 2, 2
    seen = np.array(steps(numbered(count, batch_size), 6, steps_per_epoch=short))
    for three in (seen[:3], seen[3:]):  # three short epochs of two batches make a pass
        assert ((three > 0).sum(0) == 1).all()
        assert ((three > 0).sum(1) == short * batch_size).all()


def test_epochs_and_seeds_differ():
    batches = numbered()
    first = [x.argmax(1).tolist() for x, _ in batches]
    assert first == [x.argmax(1).tolist() for x, _ in batches]
    batches.epoch = 1
    assert first != [x.argmax(1).tolist() for x, _ in batches]
    keras.utils.set_random_seed(1)
    drawn = Batches(np.eye(9), shuffle=True).seed
    assert drawn != Batches(np.eye(9), shuffle=True).seed
    keras.utils.set_random_seed(1)
    assert drawn == Batches(np.eye(9), shuffle=True).seed


def test_any_structure_of_arrays_becomes_batches():
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(7, 3)), "b": [rng.integers(0, 9, (7, 2)), ops.ones((7, 1))]}
    y, weight = rng.normal(size=7).astype("float32"), np.arange(7.0)
    batches = Batches(x, y, weight, batch_size=4, shuffle=True, seed=0)
    batch, answers, weights = batches[1]
    rows = np.random.default_rng((0, 0)).permutation(7)[4:]
    np.testing.assert_allclose(batch["a"], x["a"][rows], rtol=1e-6)
    np.testing.assert_array_equal(batch["b"][0], x["b"][0][rows])
    assert batch["a"].dtype == "float32" and batch["b"][0].dtype == x["b"][0].dtype
    np.testing.assert_array_equal(answers, y[rows])
    np.testing.assert_array_equal(weights, weight[rows])


def test_fit_evaluate_and_predict_agree_with_arrays():
    rng = np.random.default_rng(0)
    x, y, weight = {"a": rng.normal(size=(7, 3))}, rng.normal(size=(7, 1)), rng.uniform(size=7)
    a = keras.Input((3,), name="a")
    model = keras.Model({"a": a}, keras.layers.Dense(1)(a))
    model.compile("sgd", "mse", weighted_metrics=["mae"])
    assert model.evaluate(Batches(x, y, weight, batch_size=4), verbose=0) == pytest.approx(
        model.evaluate(x, y, sample_weight=weight, batch_size=4, verbose=0), rel=1e-5
    )
    np.testing.assert_allclose(
        model.predict(Batches(x, batch_size=4), verbose=0), model.predict(x, verbose=0), rtol=1e-5
    )
    start, ends = model.get_weights(), []
    for data in [
        dict(x=Batches(x, y, weight, batch_size=4)),
        dict(x=x, y=y, sample_weight=weight, batch_size=4),
    ]:
        model.set_weights(start)
        model.fit(**data, shuffle=False, verbose=0)
        ends.append(model.get_weights()[0])
    np.testing.assert_allclose(*ends, rtol=1e-5)
    assert not np.allclose(start[0], ends[0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(x=np.zeros((3, 1)), y=np.zeros(4)), "same number of samples"),
        (dict(x=np.zeros((0, 1))), "no samples"),
        (dict(x=np.float32(3)), "axis of samples"),
        (dict(x=np.zeros(3), sample_weight=np.zeros(3)), "without y"),
        (dict(x=np.zeros(3), batch_size=0), "batch_size"),
        (dict(x=np.zeros(3), shuffle=True, seed=-1), "seed"),
    ],
)
def test_batches_refuse_what_they_cannot_cut(arguments, message):
    with pytest.raises(ValueError, match=message):
        Batches(**arguments)
