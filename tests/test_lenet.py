"""What is true of LeNet-5 and of nothing else."""

import math

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo.layers import CodeDistanceLoss
from keraszoo.models.lenet import TABLE, TableConv2D, TrainableSubsampling, scaled_tanh


def count(layer):
    return sum(math.prod(v.shape) for v in layer.trainable_variables)


def test_the_paper_counts_layer_by_layer():
    net = keraszoo.build("lenet5_1998")
    published = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164, "logits": 0}
    assert {name: count(net.get_layer(name)) for name in published} == published
    assert net.get_layer("c5").input.shape[1] == 400  # 16 maps of 5x5


def test_table_one():
    assert [len(row) for row in TABLE] == [3] * 6 + [4] * 9 + [6]
    assert [sum(i in row for row in TABLE) for i in range(6)] == [10] * 6


def test_a_map_is_blind_to_what_the_table_denies_it():
    layer = TableConv2D(TABLE, 5)
    image = np.random.default_rng(0).normal(size=(1, 9, 9, 6)).astype("float32")
    base = ops.convert_to_numpy(layer(image))
    for i in range(6):
        changed = image.copy()
        changed[..., i] += 1
        moved = np.abs(ops.convert_to_numpy(layer(changed)) - base).max(axis=(0, 1, 2)) > 1e-6
        assert [j for j in range(16) if moved[j]] == [j for j, row in enumerate(TABLE) if i in row]


def test_subsampling_is_its_formula():
    layer = TrainableSubsampling()
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype("float32")
    layer.build(x.shape)
    layer.coefficient.assign([0.5, -1.0, 2.0])
    layer.bias.assign([0.1, 0.0, -0.2])
    total = x.reshape(2, 2, 2, 3, 2, 3).sum(axis=(2, 4))
    expected = 1.7159 * np.tanh(2 / 3 * (total * [0.5, -1.0, 2.0] + [0.1, 0.0, -0.2]))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-5, atol=1e-6)


def test_squashing_keeps_plus_and_minus_one():
    np.testing.assert_allclose(scaled_tanh(np.array([-1.0, 0.0, 1.0], "float32")), [-1, 0, 1], atol=1e-4)


def test_logits_are_minus_squared_distances_to_codes_of_plus_and_minus_one():
    net = keraszoo.build("lenet5_1998", num_classes=5)
    layer = net.get_layer("logits")
    assert set(np.unique(layer.codes)) == {-1.0, 1.0} and layer.codes.shape == (84, 5)
    x = np.random.default_rng(0).normal(size=(3, 84)).astype("float32")
    expected = -((x[:, :, None] - layer.codes[None]) ** 2).sum(axis=1)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(layer.codes.T)).diagonal(), 0, atol=1e-4)


def test_free_sizes_and_refusals():
    assert keraszoo.build("lenet5", input_shape=(20, 31, 3), num_classes=4).output_shape == (None, 4)
    assert keraszoo.build("lenet5_1998", input_shape=(28, 40, 2)).output_shape == (None, 10)
    for name in ("lenet5", "lenet5_1998"):
        with pytest.raises(ValueError, match="input_shape must be .* at least"):
            keraszoo.build(name, input_shape=(8, 8, 1))


def test_initialisation_is_an_argument():
    he = keraszoo.build("lenet5", seed=0, units=(2000, 84)).get_layer("f6").kernel
    xavier = keraszoo.build(
        "lenet5", seed=0, units=(2000, 84), kernel_initializer="glorot_uniform", activation="tanh"
    )
    np.testing.assert_allclose(np.std(ops.convert_to_numpy(he)), math.sqrt(2 / 2000), rtol=0.05)
    np.testing.assert_allclose(
        np.std(ops.convert_to_numpy(xavier.get_layer("f6").kernel)), math.sqrt(2 / 2084), rtol=0.05
    )
    assert xavier.get_layer("c1").activation is keras.activations.tanh


def test_the_loss_is_equation_nine():
    distances = np.random.default_rng(0).uniform(0, 9, (4, 3)).astype("float32")
    right = np.array([0, 2, 1, 1])
    own = distances[np.arange(4), right]
    expected = own + np.log(np.exp(-5.0) + np.exp(-distances).sum(axis=1))
    loss = CodeDistanceLoss(j=5.0, reduction="none")
    np.testing.assert_allclose(ops.convert_to_numpy(loss(right, -distances)), expected, rtol=1e-5)
    assert keras.losses.deserialize(keras.losses.serialize(loss)).j == 5.0
    assert isinstance(keraszoo.build("lenet5_1998").loss, CodeDistanceLoss)
