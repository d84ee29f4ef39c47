"""The GAN family: equal to plain PyTorch for twenty steps, and each model's own truths."""

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo.training import game
from keraszoo.training.optimizers import Adam
from tests import native_gan as native

STEPS, BATCH, RATE = 20, 8, 2e-4
SMALL = dict(input_shape=(16, 16, 2), latent_dim=6, filters=4)


def arrays(variables):
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


def gan():
    model = keraszoo.build("gan", seed=3, dropout=0.0, generator_units=(16, 32), discriminator_units=(32, 16))
    theirs = native.Game(native.mlp([2, 16, 32, 2]), native.mlp([2, 32, 16, 1]), RATE, 0.5)
    return model, theirs


def convolutional(name, kind=native.Game, beta1=0.5, inputs=0, normalized=True, **more):
    arguments = {"every": dict(critic_steps=2), "classes": dict(num_classes=3)}
    extra = {k: v for key in more for k, v in arguments[key].items()}
    model = keraszoo.build(name, seed=3, **SMALL, **extra)
    theirs = kind(
        native.Generator(6 + inputs, 4, [8, 4], 2),
        native.Discriminator(4, [4, 8], 2 + inputs, normalized),
        RATE,
        beta1,
        0.9 if beta1 == 0 else 0.999,
        **more,
    )
    return model, theirs


GAMES = {
    "gan": gan,
    "dcgan": lambda: convolutional("dcgan"),
    "conditional_gan": lambda: convolutional("conditional_gan", native.Conditional, inputs=3, classes=3),
    "wgan_gp": lambda: convolutional("wgan_gp", native.Wasserstein, beta1=0.0, normalized=False, every=2),
}


def prepared(name):
    """Ours and theirs with the same weights; ours takes its noise from the data."""
    model, theirs = GAMES[name]()
    if name == "wgan_gp":
        model.compile(Adam(RATE, beta_1=0.0, beta_2=0.9))
    else:
        model.compile(Adam(RATE, beta_1=0.5))
    native.load(theirs.generator, arrays(model.generator.trainable_variables))
    native.load(theirs.discriminator, arrays(model.discriminator.trainable_variables))
    first, second = model.players()
    losses = {player: getattr(model, f"{player}_loss") for player in (first, second)}
    fed = {}

    def feeding(player, which):
        def loss(real, *rest, training):
            *given, noise, other, shares = rest[0] if isinstance(rest[0], (list, tuple)) else rest
            fed.update(noise=(noise, other)[which], shares=shares)
            return losses[player](real, *given, training=training)

        return loss

    for which, player in enumerate((first, second)):
        object.__setattr__(model, f"{player}_loss", feeding(player, which))
    object.__setattr__(model, "drawn", lambda like: fed["noise"])
    object.__setattr__(model, "shares", lambda like: fed["shares"])
    object.__setattr__(model, "check_batch", lambda *a, **k: None)
    return model, theirs


def batches(name, model):
    """Twenty batches: real samples, labels where there are any, and noise for everything that is drawn."""
    rng = np.random.default_rng(5)
    for _ in range(STEPS):
        real = rng.uniform(-1, 1, size=(BATCH, *model.sample_shape)).astype("float32")
        labels = [rng.integers(0, 3, BATCH).astype("int32")] if name == "conditional_gan" else []
        noise = [rng.normal(size=(BATCH, model.latent_dim)).astype("float32") for _ in range(2)]
        yield real, labels, noise, rng.uniform(size=(BATCH, 1, 1, 1)).astype("float32")


def played(name):
    """The losses of twenty steps on both sides, and the weights before and after."""
    model, theirs = prepared(name)
    start = arrays(model.trainable_variables)
    ours, others = [], []
    for real, labels, noise, shares in batches(name, model):
        logs = model.train_on_batch(real, (*labels, *noise, shares), return_dict=True)
        ours.append([logs[f"{player}_loss"] for player in model.players()])
        model.reset_metrics()
        extra = [native.tensor(shares)] if name == "wgan_gp" else []
        given = [native.tensor(v) for v in (*labels, *noise)]
        others.append(theirs.step(native.images(real), *given, *extra))
    found = arrays([*model.discriminator.trainable_variables, *model.generator.trainable_variables])
    expected = [*native.back(theirs.discriminator), *native.back(theirs.generator)]
    return np.array(ours), np.array(others), found, expected, start, arrays(model.trainable_variables)


def agree(ours, others, found, expected):
    return np.abs(ours - others).max() < 5e-6 and all(
        np.abs(a - b).max() < 1e-4 for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("name", GAMES)
def test_twenty_steps_are_those_of_plain_pytorch(name):
    ours, others, found, expected, start, end = played(name)
    np.testing.assert_allclose(ours, others, rtol=5e-6, atol=5e-6)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)
    for before, after in zip(start, end, strict=True):
        scale = max(np.abs(before).max(), 1e-2)
        assert np.abs(after - before).max() > 1e-3 * scale


@pytest.mark.parametrize("name", GAMES)
def test_a_broken_gradient_is_noticed(name, monkeypatch):
    true = game.value_and_grad

    def broken(fn, variables, idle=()):
        value, gradients = true(fn, variables, idle=idle)
        return value, [0.9 * gradients[0] + 0.1, *gradients[1:]]

    monkeypatch.setattr(game, "value_and_grad", broken)
    assert not agree(*played(name)[:4])


def test_counts_are_those_of_the_reference():
    """pytorch/examples at 64x64; the networks of the curve."""
    with keras.StatelessScope(initialize_variables=False):
        model = keraszoo.models.gan.DCGAN()
    sizes = [keraszoo.front.trainable(part) for part in (model.generator, model.discriminator)]
    assert sizes == [3_576_704, 2_765_568]


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3), (8, 8, 1), (40, 40, 2)])
def test_any_even_size_can_be_made(shape):
    model = keraszoo.build("dcgan", input_shape=shape, filters=2, latent_dim=3)
    images = model.sample(2, seed=0)
    assert images.shape == (2, *shape) and images.dtype == np.float32 and np.abs(images).max() <= 1
    assert model.discriminator(images).shape == (2, 1)


def test_sizes_that_cannot_be_made_are_refused():
    for shape in ((27, 28, 1), (6, 6, 1), (28, 28)):
        with pytest.raises(ValueError, match="input_shape"):
            keraszoo.build("dcgan", input_shape=shape)
    with pytest.raises(ValueError, match="latent_dim must be"):
        keraszoo.build("gan", latent_dim=0)
    with pytest.raises(ValueError, match=r"average must lie in \[0, 1\)"):
        keraszoo.build("gan", average=1.0)


@pytest.fixture(scope="module")
def tiny():
    """A small model of each kind of image game."""
    return {
        name: keraszoo.build(name, seed=1, input_shape=(8, 8, 1), filters=2, latent_dim=3)
        for name in ("dcgan", "wgan_gp", "conditional_gan")
    }


def test_samples_repeat_with_their_seed_and_leave_training_alone(tiny):
    for model in tiny.values():
        seeds = arrays(model.seeds())
        first, again, other = model.sample(5, seed=3), model.sample(5, seed=3), model.sample(5, seed=4)
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        for before, after in zip(seeds, arrays(model.seeds()), strict=True):
            np.testing.assert_array_equal(before, after)
        with pytest.raises(ValueError, match="count must be"):
            model.sample(0)


def test_a_way_between_two_noises_begins_and_ends_there(tiny):
    model = tiny["dcgan"]
    a, b = model.latent(2, seed=0)
    way = model.interpolate(a, b, steps=5)
    ends = model.predict(np.stack([a, b]), verbose=0)
    np.testing.assert_allclose(way[[0, -1]], ends, atol=1e-5)
    np.testing.assert_allclose(model.way(a, a, 3), [a, a, a], rtol=1e-6)
    unit = [v / np.linalg.norm(v) for v in (a, b)]
    np.testing.assert_allclose(
        np.linalg.norm(model.way(*unit, 7), axis=1), 1, rtol=1e-5
    )  # stays on the sphere
    with pytest.raises(ValueError, match="a and b must have shape"):
        model.interpolate(a[:2], b)
    assert tiny["conditional_gan"].interpolate(a, b, steps=4, label=2).shape == (4, 8, 8, 1)


def test_a_label_asks_for_a_class(tiny):
    model = tiny["conditional_gan"]
    noise = np.repeat(model.latent(1, seed=0), 10, axis=0)
    images = model.predict([noise, np.arange(10, dtype="int32")], verbose=0)
    assert len(np.unique(images.reshape(10, -1), axis=0)) == 10  # the same noise, ten classes
    np.testing.assert_array_equal(
        model.sample(4, labels=[2, 2, 2, 2], seed=1), model.sample(4, labels=2, seed=1)
    )
    with pytest.raises(ValueError, match="labels must hold class numbers from 0 to 9"):
        model.sample(2, labels=[0, 10])
    x = np.zeros((4, 8, 8, 1), "float32")
    with pytest.raises(ValueError, match="y must hold class numbers from 0 to 9"):
        model.fit(x, np.array([0, 1, 2, 10]))
    with pytest.raises(ValueError, match="y is missing"):
        model.fit(x)


def test_raw_images_are_refused(tiny):
    for name, model in tiny.items():
        y = np.zeros(4, "int32") if name == "conditional_gan" else None
        with pytest.raises(ValueError, match=r"must hold images in \[-1, 1\].*images / 127.5 - 1"):
            model.fit(np.full((4, 8, 8, 1), 200, "uint8"), y)
        with pytest.raises(ValueError, match="x has shape"):
            model.fit(np.zeros((4, 8, 9, 1)), y)
    with pytest.raises(ValueError, match="learns from samples alone"):
        tiny["dcgan"].fit(np.zeros((4, 8, 8, 1)), np.zeros(4))


def test_the_average_is_what_predicts():
    model = keraszoo.build("gan", seed=0, average=0.5)
    model.train_on_batch(np.ones((4, 2), "float32"))
    z = model.latent(3, seed=0)
    np.testing.assert_allclose(model.predict(z, verbose=0), ops.convert_to_numpy(model.average(z)), atol=1e-6)
    assert not np.allclose(model.predict(z, verbose=0), ops.convert_to_numpy(model.generator(z)), atol=1e-6)
    plain = keraszoo.build("gan", seed=0, average=None)
    np.testing.assert_allclose(
        plain.predict(z, verbose=0), ops.convert_to_numpy(plain.generator(z)), atol=1e-6
    )


def test_accuracies_say_who_is_winning():
    model = keraszoo.build("gan", seed=0, dropout=0.0)
    x = np.full((64, 2), 9, "float32") + np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    logs = model.fit(x, epochs=60, verbose=0, only=["discriminator"]).history
    assert logs["real_accuracy"][-1] == logs["fake_accuracy"][-1] == 1.0


def test_a_critic_learns_a_slope_of_one():
    model = keraszoo.build("wgan_gp", seed=0, input_shape=(8, 8, 1), filters=4, latent_dim=3)
    model.optimizer.learning_rate = 3e-3
    x = np.random.default_rng(0).uniform(-1, 1, size=(32, 8, 8, 1)).astype("float32")
    history = model.fit(x, epochs=60, batch_size=32, verbose=0, only=["critic"]).history
    assert history["critic_loss"][-1] < 0.5 * history["critic_loss"][0]
    from keraszoo.training import gradient

    fake = ops.convert_to_tensor(model.sample(32, seed=0))
    between = 0.5 * fake + 0.5 * ops.convert_to_tensor(x)
    slope = ops.convert_to_numpy(gradient(lambda image: model.discriminator(image))(between))
    np.testing.assert_allclose(np.sqrt((slope**2).sum((1, 2, 3))).mean(), 1.0, atol=0.3)
