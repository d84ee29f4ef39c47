"""What is true of VGG."""

import math

import keras
import numpy as np
import pytest

from keraszoo.front import abstract
from keraszoo.models.vgg import PARAMETERS, SIZES, vgg

SMALL = dict(depths=(1, 2), filters=(2, 4), units=6, input_shape=(8, 9, 3), num_classes=5)


@pytest.mark.parametrize("name", SIZES)
def test_published_size(name):
    model = abstract(vgg, SIZES[name])
    assert sum(math.prod(v.shape) for v in model.trainable_variables) == PARAMETERS[name]
    assert model.output_shape == (None, 1000)
    convolutions = [layer for layer in model.layers if layer.name.startswith("conv")]
    assert len(convolutions) + 3 == int(name.removeprefix("vgg"))  # three dense layers


def test_every_resolution_halves_the_image():
    model = vgg(**SMALL)
    assert model.get_layer("conv2_2").output.shape == (None, 4, 4, 4)
    assert model.get_layer("pool2").output.shape == (None, 2, 2, 4)
    assert model.output_shape == (None, 5)


def test_convolutions_see_the_whole_image():
    """Two 3x3 convolutions around a pooling: a dot in one corner reaches its neighbourhood only."""
    keras.utils.set_random_seed(0)  # so few filters may all be silent by chance
    model = vgg(**{**SMALL, "input_shape": (16, 16, 3)})
    features = keras.Model(model.input, model.get_layer("conv2_1").output)
    blank = np.zeros((1, 16, 16, 3), "float32")
    dotted = blank.copy()
    dotted[0, 0, 0] = 1
    change = np.abs(features.predict(dotted, verbose=0) - features.predict(blank, verbose=0)).max(axis=(0, 3))
    assert change[:2, :2].max() > 0
    assert change[2:].max() == change[:, 2:].max() == 0


@pytest.mark.parametrize("name, variance", [("he_normal", 2 / 9 / 32), ("glorot_uniform", 2 / 9 / (32 + 64))])
def test_initial_weights_are_a_choice(name, variance):
    model = vgg(**{**SMALL, "filters": (32, 64)}, kernel_initializer=name)
    kernel = model.get_layer("conv2_1").get_weights()[0]  # 3x3 from 32 to 64 channels
    assert kernel.var() == pytest.approx(variance, rel=0.05)
    layers = [model.get_layer(n).get_weights()[0] for n in ("dense1", "dense2")]
    assert not np.array_equal(layers[0][:6], layers[1])


def test_refuses_an_image_it_cannot_halve():
    with pytest.raises(ValueError, match="input_shape must have .* at least 32 pixels.*31, 32, 3"):
        vgg(**SIZES["vgg11"], input_shape=(31, 32, 3))
    with pytest.raises(ValueError, match="at least 4 .*None"):
        vgg(**{**SMALL, "input_shape": (None, 8, 3)})


def test_refuses_stages_without_filters():
    with pytest.raises(ValueError, match="filters must have one entry"):
        vgg(**{**SMALL, "filters": (2, 4, 8)})
