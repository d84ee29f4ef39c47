"""What is true of residual networks."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keraszoo.front import abstract
from keraszoo.models.alexnet import alexnet
from keraszoo.models.resnet import PARAMETERS, SIZES, SMALL_PARAMETERS, SMALL_SIZES, resnet, small_resnet
from keraszoo.models.vgg import vgg

BASIC = dict(
    depths=(2, 1), block="basic", filters=(4, 8), stem_filters=4, input_shape=(20, 24, 3), num_classes=3
)
BOTTLENECK = dict(BASIC, block="bottleneck", filters=(8, 16), stem_filters=8)
SMALL = dict(depth=14, shortcut=True, filters=(4, 4, 8), input_shape=(8, 12, 3), num_classes=3)


def count(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


@pytest.mark.parametrize("name", SIZES)
def test_published_size(name):
    model = abstract(resnet, SIZES[name])
    assert count(model) == PARAMETERS[name]
    assert model.output_shape == (None, 1000)
    assert model.get_layer("pool").input.shape[1:3] == (7, 7)
    branches = [layer for layer in model.layers if "_conv" in layer.name and hasattr(layer, "kernel")]
    assert len(branches) + 2 == int(name.removeprefix("resnet"))  # and conv1, and the logits


@pytest.mark.parametrize("name", SMALL_SIZES)
def test_published_size_for_small_images(name):
    model = abstract(small_resnet, SMALL_SIZES[name])
    assert count(model) == SMALL_PARAMETERS[name]
    assert model.output_shape == (None, 10)
    assert model.get_layer("pool").input.shape == (None, 8, 8, 64)


def blocks(model, first, second):
    """The part of a model from the input of one block to the input of the other."""
    return keras.Model(model.get_layer(f"{first}_conv1").input, model.get_layer(f"{second}_conv1").input)


def silence(model):
    """Let every kernel be zero."""
    for weight in model.trainable_variables:
        if weight.name == "kernel":
            weight.assign(np.zeros(weight.shape))


@pytest.mark.parametrize("config", [BASIC, BOTTLENECK], ids=lambda c: c["block"])
def test_a_block_without_weights_is_the_identity(config):
    model = resnet(**config)
    silence(model)
    block = blocks(model, "stage2_block1", "stage2_block2")
    x = np.random.default_rng(0).uniform(size=(2, *block.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(block.predict(x, verbose=0), x)


def test_a_small_block_without_weights_keeps_every_other_pixel_and_adds_channels_of_zeros():
    model = small_resnet(**SMALL)
    silence(model)
    block = keras.Model(
        model.get_layer("stage3_block1_conv1_pad").input, model.get_layer("stage3_block2_conv1").input
    )
    x = np.random.default_rng(0).uniform(size=(2, 4, 6, 4)).astype("float32")
    y = block.predict(x, verbose=0)
    np.testing.assert_array_equal(y[..., :4], x[:, ::2, ::2])
    np.testing.assert_array_equal(y[..., 4:], np.zeros((2, 2, 3, 4)))


def test_a_plain_block_without_weights_forgets_its_input():
    model = small_resnet(**{**SMALL, "shortcut": False})
    silence(model)
    block = blocks(model, "stage1_block1", "stage1_block2")
    assert not block.predict(np.ones((1, 8, 12, 4), "float32"), verbose=0).any()


def test_plain_twins_have_no_shortcut_and_are_equally_large():
    residual, plain = small_resnet(**SMALL), small_resnet(**{**SMALL, "shortcut": False})
    additions = [
        sum(type(step).__name__ == "Add" for step in model.operations) for model in (residual, plain)
    ]
    assert additions == [6, 0]
    assert [w.path for w in plain.weights] == [w.path for w in residual.weights]
    assert [w.shape for w in plain.weights] == [w.shape for w in residual.weights]


def test_the_place_of_the_stride_changes_the_output_and_not_the_size():
    keras.utils.set_random_seed(0)  # of so few filters, all may be silent by chance
    late, early = resnet(**BOTTLENECK), resnet(**BOTTLENECK, stride_in="1x1")
    early.set_weights(late.get_weights())
    assert late.get_layer("stage3_block1_conv1").output.shape == (None, 5, 6, 4)
    assert early.get_layer("stage3_block1_conv1").output.shape == (None, 3, 3, 4)
    x = np.random.default_rng(0).normal(size=(2, 20, 24, 3)).astype("float32")
    assert not np.allclose(late.predict(x, verbose=0), early.predict(x, verbose=0), atol=1e-3)


def test_the_first_stage_can_halve_the_image_too():
    assert resnet(**BASIC).get_layer("pool").input.shape == (None, 3, 3, 8)
    assert resnet(**BASIC, first_stride=2).get_layer("pool").input.shape == (None, 2, 2, 8)


def test_a_mirrored_network_sees_the_mirrored_image():
    """Padding is alike on both sides, which Keras' own "same" is not where it halves an image."""
    model = resnet(**{**BASIC, "input_shape": (33, 33, 3)})
    x = np.random.default_rng(0).normal(size=(2, 33, 33, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    for weight in model.trainable_variables:
        if weight.name == "kernel" and len(weight.shape) == 4:
            weight.assign(ops.flip(weight, axis=1))
    np.testing.assert_allclose(model.predict(x[:, :, ::-1], verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 18])
def test_any_size_of_image_works(size):
    assert resnet(**{**BASIC, "input_shape": (size, 32, 3)}).output_shape == (None, 3)
    assert small_resnet(**{**SMALL, "input_shape": (size, 9, 3)}).output_shape == (None, 3)


@pytest.mark.parametrize(
    "builder, config",
    [
        (alexnet, dict(input_shape=(67, 67, 3), filters=(4, 4, 4, 4, 4), units=4, num_classes=3)),
        (vgg, dict(depths=(1, 1), filters=(4, 4), units=4, input_shape=(4, 4, 3), num_classes=3)),
        (resnet, BASIC),
        (small_resnet, SMALL),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_weight_decay_shrinks_kernels_and_nothing_else(builder, config):
    assert not builder(**config, weight_decay=0).losses
    model = builder(**config, weight_decay=0.2)
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss=lambda y, scores: 0 * ops.sum(scores))
    before = {w.path: ops.convert_to_numpy(w) for w in model.trainable_variables}
    model.train_on_batch(np.ones((1, *config["input_shape"]), "float32"), np.zeros((1, 3), "float32"))
    for weight in model.trainable_variables:
        factor = 1 - 0.5 * 0.2 if weight.name == "kernel" else 1
        np.testing.assert_allclose(
            ops.convert_to_numpy(weight), factor * before[weight.path], rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(block="wide"), "block must be 'basic' or 'bottleneck', got block='wide'"),
        (dict(stride_in="5x5"), "stride_in must be '3x3' or '1x1'"),
        (dict(filters=(8,)), "filters must have one entry for each of depths="),
        (dict(filters=(8, 10)), "filters must be divisible by 4"),
    ],
)
def test_refuses_what_it_cannot_build(change, message):
    with pytest.raises(ValueError, match=message):
        resnet(**{**BOTTLENECK, **change})


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(depth=21), "depth must be 2 plus a multiple of 6, got depth=21"),
        (dict(depth=2), "depth must be 2 plus a multiple of 6"),
        (dict(filters=(8, 4, 2)), "filters must not decrease"),
    ],
)
def test_refuses_a_small_network_it_cannot_build(change, message):
    with pytest.raises(ValueError, match=message):
        small_resnet(**{**SMALL, **change})
