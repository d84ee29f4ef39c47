"""What is true of the figures by which generated samples are judged, whatever the backend."""

import keras
import numpy as np
import pytest

import keraszoo
from keraszoo import diagnostics
from keraszoo.diagnostics import coverage, curve_error, frechet_distance, precision_recall


def normal(count, features=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, features))


def exactly(mean, covariance, count=500):
    """Samples whose mean and covariance are these to the last digits."""
    x = normal(count, len(mean))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ np.linalg.cholesky(covariance).T + mean


# The curve


def test_the_sine_curve_is_one():
    curve = keraszoo.data.load("sine_curve")
    (x, y), (test, _) = curve.train, curve.test
    assert x.shape == (1024, 2) and test.shape == (256, 2) and x.dtype == test.dtype == "float32"
    assert y is None and curve.input_shape == (2,) and curve.task == "points"
    assert curve_error(x) < 1e-6 and coverage(x) == 1
    low, high = curve.value_range
    assert low <= x.min() and x.max() <= high
    assert np.abs(np.histogram(x[:, 0], 8, (0, 2 * np.pi))[0] / 128 - 1).max() < 0.3  # evenly spread
    other = keraszoo.data.load("sine_curve", count=8, seed=1)
    assert len(other.train[0]) == 8 and not np.isin(other.train[0], x).any()
    np.testing.assert_array_equal(keraszoo.data.load("sine_curve", count=1024).test[0], test)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        keraszoo.data.load("sine_curve", count=0)


def test_error_and_coverage_of_a_curve():
    x = np.linspace(0, 2 * np.pi, 1000)
    assert curve_error(np.stack([x, np.sin(x) + 0.25], 1)) == pytest.approx(0.25)
    assert curve_error([[0, 0.5], [np.pi / 2, 0]]) == pytest.approx(0.75)
    assert coverage(np.stack([x[:500], 0 * x[:500]], 1)) == pytest.approx(0.5)
    assert coverage([[1.0, 0.0]] * 9) == pytest.approx(1 / 50)
    assert coverage([[-1.0, 0.0], [7.0, 0.0]], bins=4) == 0  # beyond the wave
    for function in (curve_error, coverage):
        with pytest.raises(ValueError, match=r"shape \(count, 2\) with a count from 1, got \(3,\)"):
            function(np.zeros(3))
        with pytest.raises(ValueError, match="finite"):
            function([[0.0, np.nan]])
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        coverage([[0.0, 0.0]], bins=0)


# The Fréchet distance


def test_frechet_distance_has_the_closed_form_of_normal_distributions():
    rng = np.random.default_rng(1)
    a, b = (m @ m.T + np.eye(3) for m in rng.normal(size=(2, 3, 3)))
    mean = np.array([1.0, -2.0, 0.5])
    assert frechet_distance(exactly(mean, a), exactly(0 * mean, a)) == pytest.approx(mean @ mean)
    # Covariances that share their axes: the squared differences of deviations.
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    wide, thin = np.array([3.0, 2.0, 1.0]), np.array([0.5, 2.0, 4.0])
    one, other = (axes * wide**2 @ axes.T, axes * thin**2 @ axes.T)
    expected = mean @ mean + ((wide - thin) ** 2).sum()
    assert frechet_distance(exactly(mean, one), exactly(0 * mean, other)) == pytest.approx(expected)
    # Any covariances, against the equation of the paper word by word.
    from scipy.linalg import sqrtm

    expected = mean @ mean + np.trace(a + b - 2 * sqrtm(a @ b)).real
    assert frechet_distance(exactly(mean, a), exactly(0 * mean, b)) == pytest.approx(expected)


def test_frechet_distance_is_a_squared_distance():
    a, b, c = normal(300), 2 * normal(200, seed=1) + 1, normal(400, seed=2) - 1
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) > 1 and frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))
    roots = [np.sqrt(frechet_distance(*two)) for two in ((a, b), (b, c), (a, c))]
    assert 2 * max(roots) <= sum(roots)  # the triangle
    turn = np.linalg.qr(normal(4))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b))
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * frechet_distance(a, b))


def test_frechet_distance_bears_singular_covariances():
    flat = normal(300) @ np.diag([1.0, 1.0, 0.0, 0.0]) + 1e3  # rectified features are often all zero
    assert frechet_distance(flat, flat) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(flat, np.full((300, 4), 1e3)) == pytest.approx(
        np.trace(np.cov(flat, rowvar=False)) + ((flat.mean(0) - 1e3) ** 2).sum()
    )


@pytest.mark.parametrize(
    "a, b, message",
    [
        (normal(4), normal(9), "a must hold more samples than features, got 4 of 4"),
        (normal(9), normal(3), "b must hold more samples than features, got 3 of 4"),
        (normal(9), normal(9, 3), r"a and b must have as many features, got \(9, 4\) and \(9, 3\)"),
        (normal(9) * np.nan, normal(9), "a must be finite"),
        (normal(9), normal(9) * np.inf, "b must be finite"),
        (normal(9)[0], normal(9), r"a must have shape \(count, features\), got \(4,\)"),
    ],
)
def test_frechet_distance_says_what_it_cannot_take(a, b, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)


# Precision and recall


def test_precision_and_recall_of_the_extremes():
    a, far = normal(200), normal(200, seed=1) + 100
    assert precision_recall(a, a) == (1, 1)
    assert precision_recall(a, far) == (0, 0)
    assert precision_recall(np.repeat(a[:9], 9, 0), np.repeat(a[:9], 9, 0)) == (1, 1)  # reaches are points
    precision, recall = precision_recall(normal(500), normal(500, seed=1))
    assert min(precision, recall) > 0.8
    collapsed = normal(200)[:1] + 0.01 * normal(200, seed=1)
    precision, recall = precision_recall(a, collapsed)
    assert precision == 1 and recall < 0.05
    scattered = 20 * normal(200, seed=1)
    precision, recall = precision_recall(a, scattered)
    assert precision < 0.05 and recall > 0.9
    assert precision_recall(scattered, a) == (recall, precision)


def test_precision_and_recall_follow_their_definition():
    real, fake, k = normal(30, 2), 1.5 * normal(40, 2, seed=1), 3

    def reached(members, samples):
        hits = 0
        for s in samples:
            for m in members:
                radius = sorted(np.linalg.norm(members - m, axis=1))[k]
                if np.linalg.norm(s - m) <= radius:
                    hits += 1
                    break
        return hits / len(samples)

    expected = (reached(real, fake), reached(fake, real))
    assert precision_recall(real, fake, k) == pytest.approx(expected) and 0.2 < expected[0] < 1
    for wrong in (0, 30):
        with pytest.raises(
            ValueError, match=f"k must be from 1 to the 30 samples of real less one, got {wrong}"
        ):
            precision_recall(real, fake, wrong)
    with pytest.raises(ValueError, match="as many features"):
        precision_recall(real, fake[:, :1])


# What a classifier sees


@pytest.fixture(scope="module")
def classifier():
    """Knows nothing, but its features and logits are some function of an image."""
    return keraszoo.build(
        "mlp", seed=0, input_shape=(6, 6, 1), num_classes=3, units=(8, 5), preprocessing="unit"
    )


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 1)).astype("uint8")


def test_features_are_what_the_last_layer_is_given(classifier):
    x = images(9)
    features, probabilities = diagnostics.features(classifier, x)
    assert features.shape == (9, 5) and features.dtype == probabilities.dtype == "float32"
    kernel, bias = classifier.layers[-1].get_weights()
    logits = classifier.predict(x, verbose=0)
    np.testing.assert_allclose(features @ kernel + bias, logits, atol=1e-5)
    powers = np.exp(logits)
    np.testing.assert_allclose(probabilities, powers / powers.sum(1, keepdims=True), atol=1e-5)
    generated, _ = diagnostics.features(diagnostics.Judge(classifier), x / 127.5 - 1.0)
    np.testing.assert_allclose(generated, features, atol=1e-4)


def test_images_that_a_classifier_cannot_see_are_refused(classifier):
    with pytest.raises(ValueError, match=r"takes images of shape \(6, 6, 1\), got \(5, 6, 1\)"):
        diagnostics.features(classifier, images(2)[:, :5])
    for wrong in (images(2).astype("float32"), np.full((2, 6, 6, 1), np.nan)):
        with pytest.raises(ValueError, match=r"bytes, or floats in \[-1, 1\]"):
            diagnostics.features(classifier, wrong)
    for wrong in (3, keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])):
        with pytest.raises(ValueError, match="classifier must be a model from images"):
            diagnostics.Judge(wrong)


def test_shares_of_classes():
    probabilities = np.eye(4)[[0] * 90 + [1] * 9 + [2]] * 0.7 + 0.05
    shares = diagnostics.class_shares(probabilities)
    np.testing.assert_allclose(shares, [0.9, 0.09, 0.01, 0])
    assert diagnostics.classes_seen(shares) == 2  # a fifth of a quarter is the least that counts
    assert diagnostics.classes_seen([0.25] * 4) == 4
    with pytest.raises(ValueError, match="count from 1"):
        diagnostics.class_shares(np.zeros((0, 4)))


class Noise:
    """Stands in for a model: makes what it is told to."""

    def __init__(self, level=0):
        self.level = level

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def sample(self, count, seed=None):
        noise = np.random.default_rng((seed, 9)).uniform(-1, 1, (count, 6, 6, 1))
        return (noise * self.level).astype("float32")


def test_a_report_sets_a_model_between_noise_and_real_images(classifier):
    real = images(240)
    rows = diagnostics.report(Noise(1.0), real, classifier, seed=1)
    assert list(rows) == ["untrained", "model", "real against real"]
    model, best = rows["model"], rows["real against real"]
    assert model["precision"] > 0.8 and best["precision"] > 0.8 and best["classes_seen"] >= 1
    assert rows["untrained"]["recall"] == 0 and rows["untrained"]["classes_seen"] == 1
    assert rows["untrained"]["frechet_distance"] > 5 * max(
        best["frechet_distance"], model["frechet_distance"]
    )
    assert rows == diagnostics.report(Noise(1.0), real, classifier, seed=1)
    assert rows != diagnostics.report(Noise(1.0), real, classifier, count=50, seed=1)
    given = diagnostics.report({"model": Noise(1.0).sample(120, 1)}, real, classifier, seed=1)
    assert given == {name: rows[name] for name in ("model", "real against real")}
    lines = diagnostics.table(rows).splitlines()
    assert lines[0].split() == ["frechet", "distance", "precision", "recall", "classes", "seen"]
    assert [line[:9].strip() for line in lines[1:]] == ["untrained", "model", "real agai"]
    assert f"{model['frechet_distance']:.3f}" in lines[2] and len({len(line) for line in lines}) == 1
