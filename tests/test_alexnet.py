"""What is true of AlexNet and of its normalization."""

import math

import keras
import numpy as np
import pytest
from keras import layers, ops

from keraszoo.front import abstract
from keraszoo.layers import LocalResponseNormalization
from keraszoo.models.alexnet import alexnet

SMALL = dict(input_shape=(67, 67, 3), filters=(4, 8, 6, 8, 4), units=6, num_classes=3)


def test_paper_size():
    model = abstract(alexnet, {})
    assert sum(math.prod(v.shape) for v in model.trainable_variables) == 60_965_224
    assert model.output_shape == (None, 1000)
    assert model.get_layer("conv1").output.shape == (None, 55, 55, 96)
    assert model.get_layer("pool5").output.shape == (None, 6, 6, 256)


def test_towers_are_the_groups_of_a_grouped_convolution():
    model = alexnet(**SMALL)
    towers = keras.Model(model.get_layer("conv3").output, model.get_layer("pool5").input)
    x = grouped = np.random.default_rng(0).normal(size=(2, 3, 3, 6)).astype("float32")
    for name, filters in ("conv4", 8), ("conv5", 4):
        one, two = model.get_layer(f"{name}_tower1"), model.get_layer(f"{name}_tower2")
        convolution = layers.Conv2D(filters, 3, padding="same", groups=2, activation="relu")
        convolution.build(grouped.shape)
        convolution.set_weights(
            [np.concatenate(p, -1) for p in zip(one.get_weights(), two.get_weights(), strict=True)]
        )
        grouped = convolution(grouped)
    np.testing.assert_allclose(ops.convert_to_numpy(towers(x)), ops.convert_to_numpy(grouped), atol=1e-5)


def test_starts_as_the_paper_says():
    model = alexnet(**{**SMALL, "units": 32})
    for name in "conv1", "conv3", "logits":
        assert np.all(model.get_layer(name).get_weights()[1] == 0)
    for name in "conv2_tower1", "conv4_tower2", "conv5_tower1", "dense6", "dense7":
        assert np.all(model.get_layer(name).get_weights()[1] == 1)
    assert model.get_layer("dense7").get_weights()[0].std() == pytest.approx(0.01, rel=0.15)
    one, two = model.get_layer("conv2_tower1"), model.get_layer("conv2_tower2")
    assert not np.array_equal(one.get_weights()[0], two.get_weights()[0])


def test_starts_otherwise_on_request():
    model = abstract(alexnet, dict(kernel_initializer="he_normal"))
    one, two = model.get_layer("conv2_tower1"), model.get_layer("conv2_tower2")
    assert isinstance(one.kernel_initializer, keras.initializers.HeNormal)
    assert one.kernel_initializer.seed != two.kernel_initializer.seed


def test_67_pixels_are_just_enough():
    assert alexnet(**SMALL).get_layer("pool5").output.shape == (None, 1, 1, 4)
    with pytest.raises(ValueError, match="input_shape must have .* at least 67 .*66, 67, 3"):
        alexnet(**{**SMALL, "input_shape": (66, 67, 3)})
    with pytest.raises(ValueError, match="at least 67 .*None"):
        alexnet(**{**SMALL, "input_shape": (None, None, 3)})


def test_refuses_filters_that_two_towers_cannot_share():
    with pytest.raises(ValueError, match="filters must be five even numbers"):
        alexnet(**{**SMALL, "filters": (4, 7, 6, 8, 4)})
    with pytest.raises(ValueError, match="filters must be five even numbers"):
        alexnet(**{**SMALL, "filters": (4, 8)})


def normalized(a, n, k, alpha, beta):
    """The formula of section 3.3, channel by channel."""
    b = np.empty_like(a)
    for i in range(a.shape[-1]):
        near = a[..., max(0, i - n // 2) : i + n // 2 + 1]
        b[..., i] = a[..., i] / (k + alpha * (near**2).sum(-1)) ** beta
    return b


@pytest.mark.parametrize(
    "constants", [(5, 2.0, 1e-4, 0.75), (3, 1.0, 0.5, 0.5), (1, 0.5, 1.0, 1.0), (21, 2.0, 1.0, 2.0)]
)
def test_normalization_is_the_formula(constants):
    a = np.random.default_rng(0).normal(scale=30, size=(2, 3, 4, 9))
    found = LocalResponseNormalization(*constants)(a.astype("float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(found), normalized(a, *constants), rtol=1e-4)


def test_normalization_in_short_floats():
    a = np.random.default_rng(0).normal(scale=300, size=(2, 4, 4, 8))  # squares overflow float16
    for dtype, exact in ("float16", 2e-3), ("bfloat16", 2e-2), ("mixed_bfloat16", 2e-2):
        found = LocalResponseNormalization(dtype=dtype)(ops.convert_to_tensor(a, "float32"))
        assert keras.backend.standardize_dtype(found.dtype) == dtype.removeprefix("mixed_")
        expected = normalized(a, 5, 2.0, 1e-4, 0.75)
        np.testing.assert_allclose(
            ops.convert_to_numpy(ops.cast(found, "float32")), expected, rtol=exact, atol=1e-3
        )


def test_normalization_refuses_what_the_formula_cannot_mean():
    with pytest.raises(ValueError, match="n must be a positive odd number.*n=4"):
        LocalResponseNormalization(n=4)
    with pytest.raises(ValueError, match="k must be positive.*k=0"):
        LocalResponseNormalization(k=0)
