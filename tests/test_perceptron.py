"""What is true of a perceptron, and of a stack of them."""

import math

import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo.layers import PerceptronLoss


def separable(count=200, gap=0.2, seed=0):
    """Points of the plane on two sides of a line, none nearer to it than `gap`."""
    x = np.random.default_rng(seed).uniform(-1, 1, (4 * count, 2)).astype("float32")
    side = (x @ [0.6, 0.8]) + 0.1
    keep = np.abs(side) > gap
    return x[keep][:count], (side[keep] > 0).astype("int32")[:count]


def test_separates_the_separable_and_reports_its_margin(tmp_path):
    x, y = separable()
    model = keraszoo.build("perceptron", input_shape=(2,), num_classes=2, seed=0)
    model.fit(x, y, batch_size=8, epochs=100, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == {"loss": 0.0, "accuracy": 1.0}
    margin = model.margin(x, y)
    assert 0 < margin <= 0.35

    w, b = model.get_weights()
    normal, offset = w[:, 1] - w[:, 0], b[1] - b[0]
    distances = (2 * y - 1) * (x @ normal + offset) / np.linalg.norm(normal)
    np.testing.assert_allclose(margin, distances.min(), rtol=1e-3)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keraszoo.load(tmp_path / "model.keras").margin(x, y), margin, rtol=1e-5)


def test_cannot_do_xor_and_its_margin_says_so():
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32"), np.array([0, 1, 1, 0])
    model = keraszoo.build("perceptron", input_shape=(2,), num_classes=2, seed=0)
    model.fit(x, y, batch_size=1, epochs=50, verbose=0)
    assert model.margin(x, y) <= 0
    hidden = keraszoo.build("mlp", input_shape=(2,), num_classes=2, units=(16,), dropout=0.0, seed=0)
    hidden.optimizer.learning_rate = 0.05
    hidden.fit(x, y, epochs=200, verbose=0)
    assert hidden.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] == 1.0


def test_loss_is_how_far_the_rival_leads():
    scores = np.array([[1.0, 3.0, 2.0], [5.0, 3.0, 2.0], [4.0, 4.0, 0.0]], "float32")
    found = ops.convert_to_numpy(PerceptronLoss(reduction="none")(np.array([0, 0, 0]), scores))
    np.testing.assert_allclose(found, [2.0, 0.0, 0.0])


def test_rosenblatts_rule():
    """A mistake adds the input to its class and takes it from the winner; a right answer moves nothing."""
    model = keraszoo.build("perceptron", input_shape=(2,), num_classes=3)
    start = np.array([[0, 1, 0], [0, 0, 1]], "float32")
    x = np.array([[2.0, 1.0]], "float32")  # scores 0, 2, 1
    for label, change in ((1, np.zeros((2, 3))), (0, np.array([[2, -2, 0], [1, -1, 0]]))):
        model.set_weights([start, np.zeros(3)])
        model.train_on_batch(x, np.array([label]))
        np.testing.assert_allclose(model.get_weights()[0] - start, change, atol=1e-6)


def test_sizes():
    assert keraszoo.describe("perceptron").parameters == 7_850
    for units, count in {
        (300,): 238_510,
        (300, 100): 266_610,
        (500, 150): 469_160,
        (512, 512): 669_706,
    }.items():
        model = keraszoo.build("mlp", units=units)
        assert sum(math.prod(v.shape) for v in model.trainable_variables) == count
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        keraszoo.build("perceptron", num_classes=1)
