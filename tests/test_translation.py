"""What is true of translating images into images, and of nothing else."""

import keras
import numpy as np
import pytest
from keras import ops

from keraszoo.layers import Conv2DTranspose, InstanceNormalization, ReflectionPadding2D

BACKEND = keras.backend.backend()


def arrays(variables):
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


# --- layers -----------------------------------------------------------------------------------------------------


def slopes(layer, x):
    """What a layer makes of `x`, and the gradients of a weighted sum of that, for `x` and the weights."""
    from keraszoo.backend.autodiff import gradient, value_and_grad

    y = layer(ops.convert_to_tensor(x))
    weights = noise(*y.shape, seed=1)

    def total(v):
        return ops.sum(ops.multiply(layer(v), weights))

    at_x = gradient(total)(ops.convert_to_tensor(x))
    _, at_weights = value_and_grad(lambda: total(ops.convert_to_tensor(x)), layer.trainable_variables)
    return [ops.convert_to_numpy(v) for v in (y, at_x, *at_weights)]


@pytest.mark.parametrize(
    "config",
    [
        dict(kernel_size=4, strides=2, padding="same"),
        dict(kernel_size=(4, 6), strides=2, padding="same", use_bias=False),
        dict(kernel_size=3, strides=2, padding="valid", activation="relu"),
        dict(kernel_size=3, strides=2, padding="same"),  # from here on as Keras does it
        dict(kernel_size=2, strides=3, padding="valid"),
        dict(kernel_size=3, strides=2, padding="same", output_padding=0),
        dict(kernel_size=3, padding="valid", dilation_rate=2),
    ],
    ids=str,
)
def test_transposed_convolution_equals_keras(config):
    x = noise(2, 5, 6, 3)
    ours, keras_own = Conv2DTranspose(4, **config), keras.layers.Conv2DTranspose(4, **config)
    for layer in (ours, keras_own):
        layer.build(x.shape)
    keras_own.set_weights([noise(*w.shape, seed=i) for i, w in enumerate(keras_own.get_weights())])
    ours.set_weights(keras_own.get_weights())
    for a, b in zip(slopes(ours, x), slopes(keras_own, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert tuple(ours(x).shape) == tuple(ours.compute_output_shape(x.shape))
    assert ours.get_config() | {"name": 0} == keras_own.get_config() | {"name": 0}


def test_transposed_convolution_is_the_gradient_of_a_convolution():
    from keraszoo.backend.autodiff import gradient

    layer = Conv2DTranspose(3, 4, strides=2, padding="same", use_bias=False)
    small, large = noise(2, 4, 5, 2), noise(2, 8, 10, 3)
    spread = ops.convert_to_numpy(layer(small))
    pull = ops.convert_to_tensor(small)
    slope = ops.convert_to_numpy(
        gradient(lambda x: ops.sum(ops.conv(x, layer.kernel, 2, "same", "channels_last") * pull))(
            ops.convert_to_tensor(large)
        )
    )
    np.testing.assert_allclose(spread, slope, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_reflection_padding_equals_numpy(padding):
    x = noise(2, 5, 4, 3)
    layer = ReflectionPadding2D(padding)
    y, at_x = slopes(layer, x)
    around = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    np.testing.assert_array_equal(y, np.pad(x, around, mode="reflect"))
    places = np.pad(np.arange(x.size).reshape(x.shape), around, mode="reflect")
    added = np.bincount(places.ravel(), noise(*y.shape, seed=1).ravel(), x.size).reshape(x.shape)
    np.testing.assert_allclose(at_x, added, atol=1e-5)  # each pixel gets what its images get
    assert tuple(y.shape) == layer.compute_output_shape(x.shape)
    with pytest.raises(ValueError, match="of more than 5 pixels a side"):
        ReflectionPadding2D(5)(x)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("affine", [False, True])
def test_instance_normalization_equals_torch(count, affine):
    import torch

    x = noise(count, 5, 4, 3) * 3 + 1
    layer = InstanceNormalization(affine=affine)
    layer.build(x.shape)
    scale, shift = noise(3, seed=2), noise(3, seed=3)
    layer.set_weights([scale, shift] if affine else [])
    found = slopes(layer, x)

    given = [torch.tensor(v, requires_grad=True) for v in (x, *([scale, shift] if affine else []))]
    turned = given[0].permute(0, 3, 1, 2).contiguous()
    y = torch.nn.functional.instance_norm(turned, None, None, *given[1:], eps=1e-5)
    weights = torch.tensor(noise(*x.shape, seed=1)).permute(0, 3, 1, 2).contiguous()
    wanted = torch.autograd.grad((y * weights).sum(), given)
    y = y.permute(0, 2, 3, 1)
    for a, b in zip(found, (y, *wanted), strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_instance_normalization_forgets_contrast_and_brightness():
    x = noise(2, 8, 8, 3)
    layer = InstanceNormalization(epsilon=1e-9)
    y = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(5 * x - 2)), y, atol=1e-4)
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((1, 2)), 1, atol=1e-4)
    again = InstanceNormalization.from_config(layer.get_config())
    assert again.epsilon == 1e-9 and not again.affine
