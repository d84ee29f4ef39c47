"""Autoencoders: the equations, what noise does and when, and the verbs."""

import functools

import imageio.v3 as imageio
import numpy as np
import pytest
from keras import ops
from scipy.special import expit, rel_entr
from sklearn.decomposition import PCA

import keraszoo
from keraszoo import front, registry
from keraszoo.callbacks import Reconstructions
from keraszoo.layers import BernoulliLoss, Corruption
from keraszoo.layers.coding import gaussian_divergence, sparsity_divergence
from keraszoo.training.optimizers import SGD

NAMES = registry.names(family="autoencoder")


def images(count, shape=(6, 6, 1), seed=0):
    """Images in [0, 1] that have some structure: (count, *shape), float32."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, 5)) @ rng.normal(size=(5, int(np.prod(shape))))
    return expit(mixed).reshape(count, *shape).astype("float32")


@functools.cache
def tiny(name):
    return keraszoo.build(name, seed=1, **registry.entry(name).tiny)


def pictures(name, count=7):
    return images(count, tiny(name).input_shape[1:])


def test_all_are_here():
    assert set(NAMES) == {
        *("autoencoder", "deep_autoencoder", "conv_autoencoder", "sparse_autoencoder"),
        *("denoising_autoencoder", "variational_autoencoder"),
    }


def test_hinton_s_net_has_hinton_s_size():
    """Figure 1 of Hinton, Salakhutdinov 2006, for MNIST with a code of 30."""
    found = registry.entry("deep_autoencoder")
    model = front.abstract(found.load(), dict(units=(1000, 500, 250), latent_dim=30))
    assert front.trainable(model) == 2_837_314


def test_a_convolutional_code_is_an_eighth_of_the_image():
    model = front.abstract(registry.entry("conv_autoencoder").load(), {})
    assert model.encoder.output_shape == (None, 4 * 4 * 8)


@pytest.mark.parametrize("name", NAMES)
def test_the_verbs_agree(name):
    model, x = tiny(name), pictures(name)
    codes = model.encode(x)
    assert codes.shape == (7, model.encoder.output_shape[-1] if name != "variational_autoencoder" else 2)
    there_and_back = model.decode(codes)
    assert there_and_back.shape == x.shape and there_and_back.dtype == codes.dtype == np.float32
    assert there_and_back.min() >= 0 and there_and_back.max() <= 1
    np.testing.assert_allclose(model.reconstruct(x), there_and_back, atol=1e-6)
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.reconstruct(x))


@pytest.mark.parametrize("name", ["autoencoder", "denoising_autoencoder", "variational_autoencoder"])
def test_an_image_is_its_own_label(name):
    """`fit(x)` is `fit(x, x)`, and another target is another thing."""
    x = pictures(name, 8)
    found = []
    for y in (None, x, x**2):
        model = keraszoo.build(name, seed=1, **registry.entry(name).tiny)
        found.append(model.fit(x, y, batch_size=4, epochs=2, verbose=0).history)
    assert found[0] == found[1]
    assert np.isfinite(
        model.fit(x[..., 0], epochs=1, verbose=0).history["loss"][0]
    )  # grey, without an axis for it
    assert abs(found[0]["loss"][-1] - found[2]["loss"][-1]) > 1e-4 * found[0]["loss"][-1]
    assert "mean_squared_error" in found[0]


def test_a_linear_autoencoder_does_what_principal_components_do():
    """Bourlard, Kamp 1988: with PCA's weights it is PCA; of itself it comes near that, and never below."""
    rng = np.random.default_rng(0)
    spread = np.diag([2, 2, 2, 0.3, 0.3, 0.3, 0.3, 0.2, 0.2])
    x = rng.normal(size=(64, 9)) @ spread @ np.linalg.qr(rng.normal(size=(9, 9)))[0]
    x = ((x - x.min()) / (x.max() - x.min())).astype("float32")
    pca = PCA(3).fit(x)
    best = pca.inverse_transform(pca.transform(x))
    least = ((best - x) ** 2).mean()

    linear = dict(activation="linear", output_activation="linear")
    model = keraszoo.build("autoencoder", seed=0, input_shape=(3, 3, 1), latent_dim=3, **linear)
    model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
    model.optimizer.learning_rate = 0.1
    logs = model.fit(x.reshape(-1, 3, 3, 1), epochs=40, batch_size=16, verbose=0).history
    model.optimizer.learning_rate = 0.01
    model.fit(x.reshape(-1, 3, 3, 1), epochs=15, batch_size=16, verbose=0)
    error = ((model.reconstruct(x.reshape(-1, 3, 3, 1)).reshape(-1, 9) - x) ** 2).mean()
    assert (1 - 1e-4) * least <= error < 2 * least  # two components err nine times as much
    assert logs["loss"][0] > 9 * least

    v = pca.components_
    model.set_weights([v.T, -pca.mean_ @ v.T, v, pca.mean_])
    np.testing.assert_allclose(model.encode(x.reshape(-1, 3, 3, 1)), pca.transform(x), atol=1e-5)
    np.testing.assert_allclose(model.reconstruct(x.reshape(-1, 3, 3, 1)).reshape(-1, 9), best, atol=1e-5)


def test_divergences_are_those_of_the_distributions():
    """Against SciPy's entropies of coins, and a numerical integral over the normal distribution."""
    rates, target = np.array([0.02, 0.05, 0.3, 0.9]), 0.05
    by_hand = rel_entr(target, rates) + rel_entr(1 - target, 1 - rates)
    found = sparsity_divergence(ops.convert_to_tensor(rates.astype("float32")), target)
    np.testing.assert_allclose(ops.convert_to_numpy(found), by_hand.sum(), rtol=1e-5)
    assert np.isfinite(ops.convert_to_numpy(sparsity_divergence(ops.convert_to_tensor([0.0, 1.0]), 0.05)))

    z = np.linspace(-12, 12, 20001)
    means, variances = np.array([[0.5, -1.0]]), np.array([[0.3, 1.7]])
    by_hand = 0
    for m, v in zip(means[0], variances[0], strict=True):
        q = np.exp(-((z - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
        by_hand += np.trapezoid(q * (-((z - m) ** 2) / (2 * v) - 0.5 * np.log(v) + z**2 / 2), z)
    found = gaussian_divergence(
        *(ops.convert_to_tensor(a.astype("float32")) for a in (means, np.log(variances)))
    )
    np.testing.assert_allclose(ops.convert_to_numpy(found), [by_hand], rtol=1e-5)


def test_the_sparse_loss_is_ng_s():
    """Half the squared error summed over pixels, and three times the divergences, over half the pixels."""
    model, x = keraszoo.build("sparse_autoencoder", seed=1, input_shape=(6, 6, 1), latent_dim=9), images(8)
    code, back = model.encode(x).astype("float64"), model.reconstruct(x)
    rates = code.mean(axis=0)
    divergence = (rel_entr(0.05, rates) + rel_entr(0.95, 1 - rates)).sum()
    objective = 0.5 * ((back - x) ** 2).sum() / 8 + 3 * divergence
    logs = model.evaluate(x, batch_size=8, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], objective / 18, rtol=1e-5)
    np.testing.assert_allclose(logs["mean_activation"], code.mean(), rtol=1e-5)

    model = keraszoo.build(
        "sparse_autoencoder", seed=1, input_shape=(6, 6, 1), latent_dim=9, sparsity="l1", weight=0.5
    )
    objective = 0.5 * ((model.reconstruct(x) - x) ** 2).sum() / 8 + 0.5 * model.encode(x).sum() / 8
    np.testing.assert_allclose(model.evaluate(x, batch_size=8, verbose=0)[0], objective / 18, rtol=1e-5)


def test_units_are_active_as_often_as_they_are_to_be():
    x = keraszoo.data.load("digits", image_size=(8, 8)).train[0][:256] / np.float32(255)
    model = keraszoo.build("sparse_autoencoder", seed=0, input_shape=(8, 8, 1), latent_dim=25, target=0.1)
    model.optimizer.learning_rate = 3e-2
    logs = model.fit(x, batch_size=64, epochs=40, verbose=0).history
    rates = model.encode(x).mean(axis=0)
    np.testing.assert_allclose(rates, 0.1, atol=0.04)
    np.testing.assert_allclose(logs["mean_activation"][-1], rates.mean(), atol=0.01)
    assert logs["mean_activation"][0] > 0.15  # before that, it was not so
    assert logs["mean_squared_error"][-1] < 0.8 * x.var(axis=0).mean()  # and it has not forgotten the images


def test_the_variational_loss_is_minus_the_bound():
    """Kingma, Welling 2013, equation 10 with one sample; sums over pixels and codes, mean over images."""
    model, x = tiny("variational_autoencoder"), pictures("variational_autoencoder", 8)
    noise = np.random.default_rng(3).normal(size=(8, 2)).astype("float32")
    object.__setattr__(model, "drawn", lambda like: ops.convert_to_tensor(noise))
    try:
        logs = model.evaluate(x, batch_size=8, verbose=0, return_dict=True)
    finally:
        del model.__dict__["drawn"]
        model.test_function = None
    mean, log_variance = model.encoder.predict(x, verbose=0)
    p = model.decode(mean + np.exp(log_variance / 2) * noise).astype("float64")
    crossentropy = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum() / 8
    divergence = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum() / 8
    np.testing.assert_allclose(logs["loss"], crossentropy + divergence, rtol=1e-5)
    np.testing.assert_allclose(logs["kl"], divergence, rtol=1e-4)
    np.testing.assert_allclose(
        logs["mean_squared_error"], ((model.reconstruct(x) - x) ** 2).mean(), rtol=1e-4
    )


def test_the_bernoulli_loss_sums_over_pixels():
    x, p = images(3, (4, 5, 2)), images(3, (4, 5, 2), seed=1)
    by_hand = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=(1, 2, 3)).mean()
    np.testing.assert_allclose(ops.convert_to_numpy(BernoulliLoss()(x, p)), by_hand, rtol=1e-5)


def test_codes_are_drawn_while_learning_only():
    model, x = tiny("variational_autoencoder"), pictures("variational_autoencoder")
    x = ops.convert_to_tensor(x)
    (first, _), (second, _) = model(x, training=True), model(x, training=True)
    assert np.abs(ops.convert_to_numpy(first - second)).max() > 1e-4
    np.testing.assert_array_equal(*(ops.convert_to_numpy(model(x)) for _ in range(2)))


def test_samples_repeat_with_their_seed():
    model = tiny("variational_autoencoder")
    a, b, c = (model.sample(5, seed=s) for s in (1, 1, 2))
    assert a.shape == (5, 24, 24, 1)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    with pytest.raises(ValueError, match="count must be a whole number from 1, got 0"):
        model.sample(0)


def test_twenty_steps_of_the_variational_autoencoder_are_those_of_plain_pytorch():
    """The same weights and the same noise: losses and weights agree after twenty steps of descent."""
    import torch
    from torch.nn import functional as F

    model = keraszoo.build("variational_autoencoder", seed=5, input_shape=(6, 6, 1), units=16, latent_dim=3)
    model.compile(SGD(0.01), BernoulliLoss())
    start = [np.array(ops.convert_to_numpy(v)) for v in model.trainable_variables]
    names = [v.path.rsplit("/", 2)[-2] + "/" + v.name for v in model.trainable_variables]
    theirs = [torch.tensor(v, requires_grad=True) for v in start]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = theirs
    assert "mean" in names[2] and "log_variance" in names[4]
    optimizer = torch.optim.SGD(theirs, lr=0.01)
    x = images(8)
    noise = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    object.__setattr__(model, "drawn", lambda like: ops.convert_to_tensor(noise))
    ours, others = [], []
    flat = torch.tensor(x.reshape(8, -1))
    for _ in range(20):
        ours.append(float(model.train_on_batch(x)[0]))
        model.reset_metrics()
        hidden = torch.tanh(flat @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * torch.tensor(noise)
        p = torch.sigmoid(torch.tanh(code @ w2 + b2) @ w3 + b3)
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
        loss = (F.binary_cross_entropy(p, flat, reduction="sum") + kl) / 8
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        others.append(loss.item())
    np.testing.assert_allclose(ours, others, rtol=1e-5)
    for variable, before, reference in zip(model.trainable_variables, start, theirs, strict=True):
        value = ops.convert_to_numpy(variable)
        np.testing.assert_allclose(value, reference.detach().numpy(), atol=2e-6)
        assert np.abs(value - before).max() > 1e-3


def test_noise_is_of_the_kind_and_level_that_was_asked_for():
    grey = np.full((20, 30, 30, 1), 0.5, "float32")

    def spoilt(noise, level):
        return ops.convert_to_numpy(Corruption(noise, level, seed=0)(grey, training=True))

    noisy = spoilt("gaussian", 0.1) - grey
    assert abs(noisy.mean()) < 0.005 and abs(noisy.std() - 0.1) < 0.005
    loud = spoilt("gaussian", 1.0)
    assert loud.min() == 0 and loud.max() == 1  # stays an image
    masked = spoilt("masking", 0.3)
    assert set(np.unique(masked)) == {0, np.float32(0.5)} and abs((masked == 0).mean() - 0.3) < 0.02
    peppered = spoilt("salt_and_pepper", 0.3)
    assert set(np.unique(peppered)) == {0, np.float32(0.5), 1}
    assert abs((peppered == 0).mean() - 0.15) < 0.015 and abs((peppered == 1).mean() - 0.15) < 0.015
    for noise in ("gaussian", "masking", "salt_and_pepper"):
        layer = Corruption(noise, 0.3)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(grey)), grey)
        first, second = (ops.convert_to_numpy(layer(grey, training=True)) for _ in range(2))
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(spoilt(noise, 0.0), grey)


def test_noise_is_for_learning_only():
    """What is asked for is the clean image; what is judged and restored is the image as it comes."""
    name = "denoising_autoencoder"
    model, x = tiny(name), pictures(name, 64)
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(x, verbose=0))
    error = model.evaluate(x, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(error, ((model.reconstruct(x) - x) ** 2).mean(), rtol=1e-4)
    x = ops.convert_to_tensor(x)
    assert np.abs(ops.convert_to_numpy(model(x, training=True) - model(x))).max() > 1e-3

    spoilt = model.corrupt(x, seed=1)
    assert spoilt.dtype == np.float32 and 0 <= spoilt.min() and spoilt.max() <= 1
    assert np.abs(spoilt - ops.convert_to_numpy(x)).mean() > 0.1
    np.testing.assert_array_equal(spoilt, model.corrupt(x, seed=1))
    assert not np.array_equal(spoilt, model.corrupt(x, seed=2))


@pytest.mark.parametrize("shape", [(7, 5, 3), (12, 9, 1)])
def test_convolutions_take_images_of_any_size(shape):
    model = keraszoo.build("conv_autoencoder", input_shape=shape, filters=(2, 3))
    assert model.reconstruct(images(2, shape)).shape == (2, *shape)
    assert model.encode(images(2, shape)).shape == (2, -(-shape[0] // 4) * -(-shape[1] // 4) * 3)


def test_what_is_no_image_is_refused():
    model, x = tiny("autoencoder"), pictures("autoencoder")
    for verb in (model.fit, model.evaluate, model.predict, model.encode, model.reconstruct):
        with pytest.raises(ValueError, match=r"must hold images in \[0, 1\].*from 0 to 200.*images / 255"):
            verb(np.where(x == x.max(), 200, 0))
    with pytest.raises(ValueError, match=r"y must hold images in \[0, 1\]"):
        model.fit(x, x - 0.5)
    with pytest.raises(ValueError, match="as many samples: x has 7, y has 6"):
        model.fit(x, x[:-1])
    with pytest.raises(ValueError, match="validation y has shape"):
        model.fit(x, x, validation_data=(x, x[:, 1:]))
    with pytest.raises(ValueError, match="takes no sample_weight"):
        model.fit(x, x, sample_weight=np.ones(7))
    with pytest.raises(ValueError, match=r"codes has shape \(7, 15\); autoencoder takes \(batch, 16\)"):
        model.decode(np.zeros((7, 15)))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("autoencoder", dict(latent_dim=0), "latent_dim must be a whole number from 1, got 0"),
        ("autoencoder", dict(input_shape=(28, 28)), r"input_shape must be \(height, width, channels\)"),
        ("deep_autoencoder", dict(units=(8, 0)), r"units\[1\] must be a whole number from 1, got 0"),
        ("conv_autoencoder", dict(filters=(8, 2.5)), r"filters\[1\] must be a whole number from 1, got 2.5"),
        ("sparse_autoencoder", dict(sparsity="l2"), 'sparsity must be "kl" or "l1", got \'l2\''),
        ("sparse_autoencoder", dict(target=1.0), "target must lie between 0 and 1, got 1.0"),
        (
            "denoising_autoencoder",
            dict(noise="snow"),
            "noise must be one of 'gaussian', 'masking', 'salt_and_",
        ),
        (
            "denoising_autoencoder",
            dict(noise="masking", level=1.5),
            "level must not be negative, and a share",
        ),
        ("face_swap_autoencoder", dict(input_shape=(27, 28, 1)), "even sides of at least 8"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        keraszoo.build(name, **arguments)


@functools.cache
def swapper():
    return keraszoo.build("face_swap_autoencoder", seed=1, input_shape=(8, 8, 1), filters=4, latent_dim=6)


def test_two_decoders_share_an_encoder():
    """A step of one player moves the encoder and its own decoder, and not the other's."""
    model = swapper()
    a, b = (2 * images(n, (8, 8, 1), seed=n) - 1 for n in (6, 4))

    def values():
        parts = (model.encoder, model.decoder_a, model.decoder_b)
        return [
            np.concatenate([ops.convert_to_numpy(v).ravel() for v in p.trainable_variables]) for p in parts
        ]

    before = values()
    model.fit(a, b, batch_size=4, verbose=0, only=["a"])  # six of one set, four of the other
    moved = [not np.array_equal(x, y) for x, y in zip(before, values(), strict=True)]
    assert moved == [True, True, False]
    before = values()
    logs = model.fit(a, b, batch_size=4, verbose=0).history
    assert all(not np.array_equal(x, y) for x, y in zip(before, values(), strict=True))
    expected = ((model.reconstruct(b, "b") - b) ** 2).mean()
    np.testing.assert_allclose(
        model.evaluate(b, b, verbose=0, return_dict=True)["b_loss"], expected, rtol=1e-4
    )
    assert logs.keys() >= {"loss", "a_loss", "b_loss"}


def test_a_swap_is_the_other_s_decoder():
    model, x = swapper(), 2 * images(5, (8, 8, 1)) - 1
    codes = model.encode(x)
    assert codes.shape == (5, 6)
    np.testing.assert_array_equal(model.translate(x), model.decode(codes, "b"))
    np.testing.assert_array_equal(model.translate(x, "b_to_a"), model.reconstruct(x, "a"))
    np.testing.assert_allclose(model.predict(x, verbose=0), model.translate(x), atol=1e-6)
    assert np.abs(model.reconstruct(x, "a") - model.reconstruct(x, "b")).max() > 1e-3
    with pytest.raises(ValueError, match='who must be "a" or "b", got \'c\''):
        model.decode(codes, "c")
    with pytest.raises(ValueError, match='direction must be "a_to_b" or "b_to_a"'):
        model.translate(x, "swap")
    with pytest.raises(ValueError, match="learns from two sets of images"):
        model.fit(x)
    with pytest.raises(ValueError, match=r"y must hold images in \[-1, 1\]"):
        model.fit(x, 255 * x)


def test_pictures_of_reconstructions(tmp_path):
    model, x = tiny("autoencoder"), pictures("autoencoder", 3)
    watch = Reconstructions(tmp_path / "seen", x, targets=x)
    model.fit(x, epochs=2, verbose=0, callbacks=[watch])
    first, second = (imageio.imread(tmp_path / f"seen/epoch_000{n}.png") for n in (1, 2))
    assert first.shape == second.shape and (first != second).any()
    assert imageio.imread(tmp_path / "seen/film.gif", index=None).shape[0] >= 2
    with pytest.raises(
        ValueError, match="needs a model that has a method `reconstruct`; perceptron has none"
    ):
        keraszoo.build("perceptron", input_shape=(6, 6, 1)).fit(
            x, np.zeros(3, "int32"), callbacks=[Reconstructions(tmp_path, x)]
        )
