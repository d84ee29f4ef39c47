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


# --- networks ---------------------------------------------------------------------------------------------------


def count(build):
    from keraszoo import front

    return front.trainable(front.abstract(build, {}))


@pytest.mark.parametrize("side, parameters", [(256, 54_413_955), (128, 41_828_995), (512, 54_413_955)])
def test_u_net_has_the_published_size(side, parameters):
    from keraszoo.models import pix2pix

    assert count(lambda: pix2pix.u_net((side, side, 3), 3, 64, 0.5)) == parameters


def test_discriminators_have_the_published_size_and_see_70_pixels():
    from keraszoo.models import pix2pix

    deep = count(lambda: pix2pix.patch_discriminator((256, 256, 6), 64, pix2pix.batch_norm))
    assert deep == 2_768_705
    judge = pix2pix.patch_discriminator((128, 128, 3), 2, InstanceNormalization, use_bias=True)
    assert judge.output_shape == (None, 14, 14, 1)
    rows = 1  # of the image that one logit depends on, counted backwards: kernel 4, strides 1, 1, 2, 2, 2
    for stride in (1, 1, 2, 2, 2):
        rows = (rows - 1) * stride + 4
    assert rows == 70
    wide = 2_764_737
    assert count(lambda: pix2pix.patch_discriminator((64, 64, 3), 64, InstanceNormalization, True)) == wide


@pytest.mark.parametrize("blocks, parameters", [(9, 11_378_179), (6, 7_837_699)])
def test_residual_generators_have_the_published_size(blocks, parameters):
    from keraszoo.models import cyclegan

    assert count(lambda: cyclegan.resnet((64, 64, 3), 64, blocks, "a_to_b")) == parameters


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(28, 28), (24, 40), (36, 64)])
def test_any_size_that_can_be_halved_twice(name, size):
    model = keraszoo.build(name, input_shape=(*size, 1), filters=2)
    assert model.output_shape == (None, *size, 1)
    assert model.predict(noise(1, *size, 1), verbose=0).shape == (1, *size, 1)
    for wrong in ((size[0] + 2, size[1], 1), (20, 20, 1)):
        with pytest.raises(ValueError, match="divisible by 4 and at least 24, got .*"):
            keraszoo.build(name, input_shape=wrong)


# --- verbs ------------------------------------------------------------------------------------------------------


def test_pix2pix_translates_with_noise_and_leaves_no_trace():
    model = keraszoo.build("pix2pix", seed=1, input_shape=(32, 32, 1), output_channels=3, filters=4)
    images = noise(3, 32, 32, 1)
    before = arrays(model.variables)
    first, second = (model.translate(images, noise=True, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (3, 32, 32, 3) and first.dtype == "float32"
    assert np.abs(model.translate(images, noise=True, seed=6) - first).max() > 1e-4
    np.testing.assert_array_equal(model.translate(images[1:2], noise=True, seed=5).shape, (1, 32, 32, 3))
    np.testing.assert_array_equal(model.translate(images), model.predict(images, verbose=0))
    for a, b in zip(before, arrays(model.variables), strict=True):
        np.testing.assert_array_equal(a, b)


def test_cyclegan_translates_both_ways():
    model = keraszoo.build("cyclegan", seed=1, input_shape=(24, 24, 1), filters=2, blocks=1)
    images = noise(2, 24, 24, 1)
    there = model.translate(images)
    np.testing.assert_array_equal(there, model.predict(images, verbose=0))
    np.testing.assert_array_equal(model.reconstruct(images), model.translate(there, "b_to_a"))
    assert np.abs(model.translate(images, "b_to_a") - there).max() > 1e-4
    with pytest.raises(ValueError, match='direction must be "a_to_b" or "b_to_a"'):
        model.translate(images, "backwards")


def test_says_what_is_wrong_with_the_images():
    pairs = keraszoo.build("pix2pix", input_shape=(24, 24, 1), filters=2)
    domains = keraszoo.build("cyclegan", input_shape=(24, 24, 1), filters=2, blocks=1)
    x = noise(3, 24, 24, 1)
    for model in (pairs, domains):
        with pytest.raises(ValueError, match=r"x must hold images in \[-1, 1\]"):
            model.fit(x * 100, x)
        with pytest.raises(ValueError, match=f"y has shape .*; {model.name} takes"):
            model.fit(x, noise(3, 32, 32, 1))
        with pytest.raises(ValueError, match="learns from"):
            model.fit(x)
    with pytest.raises(ValueError, match="as many samples"):
        pairs.fit(x, x[:2])


# --- two heaps of images ----------------------------------------------------------------------------------------


def test_unpaired_shows_all_of_the_larger_and_the_smaller_evenly():
    from keraszoo.training import Unpaired

    a, b = np.arange(7.0), np.arange(100.0, 103.0)
    batches = Unpaired(a, b, batch_size=2, shuffle=True, seed=3)
    seen = [np.concatenate(column) for column in zip(*batches, strict=True)]
    assert sorted(seen[0]) == list(a)
    assert sorted(np.unique(seen[1], return_counts=True)[1]) == [2, 2, 3]
    again = Unpaired(a, b, batch_size=2, shuffle=True, seed=3, initial_epoch=1)
    later = [np.concatenate(column) for column in zip(*again, strict=True)]
    assert list(later[0]) != list(seen[0])
    batches.epoch = 1
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), later[0])
    with pytest.raises(ValueError, match="Both sets must hold samples"):
        Unpaired(a, b[:0])


def test_cyclegan_learns_from_sets_of_different_size_and_resumes_exactly(tmp_path):
    a, b = noise(5, 24, 24, 1), noise(3, 24, 24, 1, seed=1)
    model = keraszoo.build("cyclegan", seed=1, input_shape=(24, 24, 1), filters=2, blocks=1, pool_size=2)
    history = model.fit(a, b, batch_size=2, validation_split=0.4, epochs=2, verbose=0).history
    assert {"generators_loss", "discriminators_loss", "cycle", "val_cycle"} <= set(history)
    model.save(tmp_path / "model.keras")
    again = keraszoo.load(tmp_path / "model.keras")
    assert np.abs(arrays([again.pool_a.images])[0]).max() > 0
    for one in (model, again):  # the second must find the pools, the draws and the optimizers as they were
        for step in range(3):
            one.train_on_batch(noise(2, 24, 24, 1, seed=step), noise(2, 24, 24, 1, seed=9 + step))
    for left, right in zip(arrays(model.variables), arrays(again.variables), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_evaluate_leaves_the_pools_alone():
    model = keraszoo.build("cyclegan", seed=1, input_shape=(24, 24, 1), filters=2, blocks=1, pool_size=2)
    a = noise(3, 24, 24, 1)
    assert model.evaluate(a, a[:2], verbose=0, return_dict=True)["discriminators_loss"] > 0
    assert int(model.pool_a.count) == 0
    model.fit(a, a[:2], verbose=0, only=["discriminators"])
    assert int(model.pool_a.count) == 2


def test_a_pool_hands_out_what_it_took_in():
    from keraszoo.training import ImagePool

    pool = ImagePool(4, (1, 1, 1), seed=0)

    def handed(*values):
        images = np.array(values, "float32").reshape(-1, 1, 1, 1)
        return list(ops.convert_to_numpy(pool(ops.convert_to_tensor(images))).ravel())

    assert handed(1, 2, 3) == [1, 2, 3] and handed(4) == [4]  # while it fills
    known, old = {1, 2, 3, 4}, 0
    for value in range(5, 205):
        (out,) = handed(value)
        known.add(value)
        assert out in known
        old += out != value
        if out != value:
            known.remove(out)  # it has left the pool
        else:
            known.remove(value)
        assert known == set(arrays([pool.images])[0].ravel())
    assert 70 < old < 130  # one in two
    assert len(set(handed(*range(300, 306)))) == 6


def test_linear_decay():
    from keraszoo.training import LinearDecay

    rate = LinearDecay(2e-4, steps=100)
    found = [float(rate(step)) for step in (0, 50, 75, 100, 120)]
    np.testing.assert_allclose(found, [2e-4, 2e-4, 1e-4, 0, 0], atol=1e-10)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
    assert float(again(75)) == float(rate(75))
    with pytest.raises(ValueError, match="steps must be at least 1"):
        LinearDecay(1.0, 0)


# --- data and pictures ------------------------------------------------------------------------------------------


def test_edges_are_where_brightness_changes():
    from keraszoo.data.images import edges

    square = np.zeros((1, 20, 20, 3), "uint8")
    square[:, 5:15, 5:15] = 200
    lines = edges(square)[0, :, :, 0] == 0
    rows, columns = np.nonzero(lines)
    assert {rows.min(), columns.min()} <= {4, 5} and {rows.max(), columns.max()} <= {14, 15}
    assert not lines[7:13, 7:13].any() and 28 <= lines.sum() <= 44
    assert (edges(square * 0 + 9) == 255).all()


@pytest.mark.parametrize("source, size, channels", [("digits", 28, 1), ("photographs", 64, 3)])
def test_outlines_belong_to_their_images(source, size, channels):
    from keraszoo.data.images import edges

    data = keraszoo.data.load("edges_to_photos", source=source)
    assert data.task == "image_translation" and data.input_shape == (size, size, 1)
    for x, y in (data.train, data.test):
        assert x.dtype == y.dtype == "uint8" and y.shape == (len(x), size, size, channels)
        np.testing.assert_array_equal(edges(y[:3]), x[:3])
    with pytest.raises(ValueError, match="source must be one of digits"):
        keraszoo.data.load("edges_to_photos", source="paintings")


def test_translations_are_drawn_each_epoch(tmp_path):
    from keraszoo.callbacks import Translations

    model = keraszoo.build("cyclegan", seed=1, input_shape=(24, 24, 1), filters=2, blocks=1)
    images = noise(2, 24, 24, 1)
    model.fit(images, images, epochs=2, verbose=0, callbacks=[Translations(tmp_path, images, images)])
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "epoch_0001.png",
        "epoch_0002.png",
        "film.gif",
    ]
    with pytest.raises(ValueError, match="as many as images, 2, got 1"):
        Translations(tmp_path, images, images[:1])
    with pytest.raises(ValueError, match="a method `translate`; gan has none"):
        points = keraszoo.build("gan")
        points.fit(noise(4, 2), verbose=0, callbacks=[Translations(tmp_path, images)])
