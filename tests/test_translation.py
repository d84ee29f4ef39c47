"""What is true of translating images into images, and of nothing else."""

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo.layers import Conv2DTranspose, InstanceNormalization, ReflectionPadding2D
from keraszoo.training import game
from keraszoo.training.optimizers import Adam
from tests import native_translation

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


# --- parity with a loop in plain PyTorch ------------------------------------------------------------------------

STEPS = 20
PACE = {  # learning rate and epsilon: so slow that rounding does not grow, so fast that every weight moves
    "pix2pix": (3e-4, 1e-4),
    "cyclegan": (3e-5, 1e-4),
}
NETWORKS = {
    "pix2pix": ("generator", "discriminator"),
    "cyclegan": ("a_to_b", "b_to_a", "on_a", "on_b"),
}
SMALL = {
    "pix2pix": dict(input_shape=(32, 32, 3), filters=4, dropout=0.0),
    "cyclegan": dict(input_shape=(32, 32, 3), filters=4, blocks=1, pool_size=0),
}


def as_torch(network):
    """The parameters of a network in torch's shapes: of kernels, (out, in, rows, columns)."""
    import torch

    values = [w.transpose(3, 2, 0, 1) if w.ndim == 4 else w for w in arrays(network.trainable_variables)]
    return [torch.tensor(np.ascontiguousarray(v), requires_grad=True) for v in values]


def play_beside_torch(name):
    """Play the same steps on both sides: the model, losses of each, and each weight's path, before, after, and torch's."""
    import torch

    model = keraszoo.build(name, seed=3, **SMALL[name])
    rate, epsilon = PACE[name]
    model.compile(Adam(rate, beta_1=0.5, epsilon=epsilon))
    networks = [getattr(model, network) for network in NETWORKS[name]]
    weights = [as_torch(network) for network in networks]
    native = {
        "pix2pix": lambda: native_translation.Pix2Pix(*weights, depth=5, rate=rate, epsilon=epsilon),
        "cyclegan": lambda: native_translation.CycleGAN(*weights, blocks=1, rate=rate, epsilon=epsilon),
    }[name]()
    before = [w.detach().clone() for row in weights for w in row]
    losses = []
    for step in range(STEPS):
        x, y = noise(2, 2, 32, 32, 3, seed=step)
        model.reset_metrics()
        logs = model.train_on_batch(x, y, return_dict=True)
        ours = [float(logs[f"{player}_loss"]) for player in model.players()]
        theirs = native.step(*(torch.tensor(v.transpose(0, 3, 1, 2).copy()) for v in (x, y)))
        losses.append((ours, theirs))
    paths = [v.path for network in networks for v in network.trainable_variables]
    after = [w for network in networks for w in as_torch(network)]
    rows = zip(paths, before, after, [w for row in weights for w in row], strict=True)
    return model, np.array(losses), [(path, *(v.detach().numpy() for v in row)) for path, *row in rows]


def assert_parity(name):
    model, losses, weights = play_beside_torch(name)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=5e-6)
    asleep = []
    for path, before, ours, theirs in weights:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4, err_msg=path)
        if np.abs(theirs - before).max() <= 1e-3 * max(np.abs(before).max(), 1e-3):
            asleep.append(path)
    return asleep, model


def dead(model):
    """Biases of convolutions that an instance normalization follows, which takes them out again."""
    found = []
    for network in NETWORKS["cyclegan"]:
        paths = [v.path for v in getattr(model, network).trainable_variables if v.path.endswith("bias")]
        found += paths[:-1] if network in ("a_to_b", "b_to_a") else paths[1:-1]
    return found


def test_pix2pix_equals_plain_torch():
    asleep, _ = assert_parity("pix2pix")
    assert asleep == []


def test_cyclegan_equals_plain_torch():
    asleep, model = assert_parity("cyclegan")
    assert sorted(asleep) == sorted(dead(model))  # the reference has these biases, and nothing moves them


@pytest.mark.parametrize("name", NETWORKS)
def test_a_broken_gradient_is_noticed(name, monkeypatch):
    whole = game.value_and_grad

    def broken(fn, variables, idle=()):
        value, gradients = whole(fn, variables, idle=idle)
        return value, [-gradients[0], *gradients[1:]]

    monkeypatch.setattr(game, "value_and_grad", broken)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_parity(name)
