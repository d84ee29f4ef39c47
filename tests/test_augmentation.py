"""What is true of augmentation and of contrast normalization: geometry, statistics, and who is left alone."""

import keras
import numpy as np
import pytest
from keras import ops

from keraszoo.layers.augmentation import (
    PaddedRandomCrop,
    PCAColorShift,
    RandomAffine,
    TenCrop,
    affine,
    color_covariance,
)
from keraszoo.layers.contrast import GlobalContrastNormalization, LocalContrastNormalization

COVARIANCE = [[0.08, 0.06, 0.05], [0.06, 0.07, 0.06], [0.05, 0.06, 0.09]]
RANDOM = {
    "affine": lambda seed: RandomAffine(degrees=20, translation=0.1, zoom=0.2, seed=seed),
    "crop": lambda seed: PaddedRandomCrop(4, seed=seed),
    "color": lambda seed: PCAColorShift(COVARIANCE, deviation=0.5, value_range=[0, 255], seed=seed),
}
every_random_layer = pytest.mark.parametrize("name", RANDOM)


def images(count=5, height=12, width=10, channels=3, dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels)).astype(dtype)


class Applied(keras.layers.Layer):
    """A function of images, compiled as a model is."""

    def __init__(self, function, **options):
        super().__init__(autocast=False)
        self.function = function  # where this is a layer, its seed is tracked
        self.options = options

    def call(self, x):
        return self.function(x, **self.options)


def run(function, x, **options):
    model = keras.Sequential([keras.Input(x.shape[1:], dtype=x.dtype), Applied(function, **options)])
    return model.predict_on_batch(x)


# Every random layer


@every_random_layer
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_leaves_images_alone_at_inference_and_keeps_their_dtype(name, dtype):
    layer, x = RANDOM[name](0), images(dtype=dtype)
    np.testing.assert_array_equal(run(layer, x, training=False), x)
    y = run(layer, x, training=True)
    assert y.shape == x.shape and y.dtype == x.dtype and not np.array_equal(y, x)


@every_random_layer
def test_draws_for_each_image_by_its_seed(name):
    x = np.repeat(images(1), 40, axis=0)
    layer, twin, other = RANDOM[name](3), RANDOM[name](3), RANDOM[name](4)
    first = run(layer, x, training=True)
    assert len({image.tobytes() for image in first}) > 20  # a crop has only 81 places
    np.testing.assert_array_equal(run(twin, x, training=True), first)
    assert not np.array_equal(run(layer, x, training=True), first)
    assert not np.array_equal(run(other, x, training=True), first)


@every_random_layer
def test_trains_inside_a_model_and_survives_a_file(name, tmp_path):
    image = keras.Input((12, 10, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(RANDOM[name](0)(image))
    model = keras.Model(image, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    model.compile("sgd", "mse")
    x = images()
    model.fit(x, np.zeros((5, 1)), batch_size=2, epochs=2, verbose=0)  # two batches of two, one of one
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert str(again.layers[1].get_config()) == str(model.layers[1].get_config())
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
    again.fit(x, np.zeros((5, 1)), batch_size=2, verbose=0)


@every_random_layer
def test_keeps_float32_under_a_policy_of_half_precision(name):
    x = images(dtype="float32")
    full, half = (
        RANDOM[name](3),
        type(RANDOM[name](3)).from_config(RANDOM[name](3).get_config() | {"dtype": "mixed_bfloat16"}),
    )
    y = run(half, x, training=True)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, run(full, x, training=True))


# Geometry


def bend(x, turn=0.0, down=0.0, right=0.0, zoom=1.0, **options):
    def function(x):
        numbers = (ops.full((ops.shape(x)[0],), value, "float32") for value in (turn, down, right, zoom))
        return affine(x, *numbers, **options)

    return run(function, x)


def test_quarter_turn_is_a_permutation():
    x = images(2, 9, 9)
    np.testing.assert_array_equal(bend(x, turn=np.pi / 2), np.rot90(x, axes=(1, 2)))


def test_whole_shift_moves_pixels_and_fills():
    x = images(2)
    y = bend(x, down=2, right=-3, fill_value=7)
    np.testing.assert_array_equal(y[:, 2:, :-3], x[:, :-2, 3:])
    assert (y[:, :2] == 7).all() and (y[:, :, -3:] == 7).all()


def test_half_shift_is_the_mean_of_neighbours():
    x = images(2, dtype="float32")
    np.testing.assert_allclose(bend(x, down=0.5)[:, 1:], (x[:, 1:] + x[:, :-1]) / 2, rtol=1e-5)


def test_a_plane_stays_a_plane():
    rows, columns = np.mgrid[:21, :17].astype("float32") - np.array([10, 8]).reshape(2, 1, 1)
    plane = (3 * rows - 2 * columns)[None, :, :, None]
    turn, zoom = 0.3, 1.25
    cos, sin = np.cos(turn) / zoom, np.sin(turn) / zoom
    expected = 3 * (cos * (rows - 1) + sin * (columns - 2)) - 2 * (cos * (columns - 2) - sin * (rows - 1))
    y = bend(plane, turn=turn, down=1, right=2, zoom=zoom)[0, :, :, 0]
    np.testing.assert_allclose(y[6:-6, 6:-6], expected[6:-6, 6:-6], atol=1e-4)


def test_affine_layer_stays_within_its_limits():
    rows, columns = np.mgrid[:31, :31].astype("float32") - 15
    planes = np.repeat(np.stack([rows, columns], axis=-1)[None], 200, axis=0)
    y = run(RandomAffine(degrees=20, translation=0.1, zoom=0.2, seed=0), planes, training=True)
    slope = y[:, 16, 15] - y[:, 15, 15]  # cos(turn) / zoom, -sin(turn) / zoom
    turn = np.rad2deg(np.arctan2(-slope[:, 1], slope[:, 0]))
    zoom = 1 / np.hypot(*slope.T)
    cos, sin = slope[:, 0] * zoom, -slope[:, 1] * zoom
    y, x = -y[:, 15, 15].T  # where the shift took the centre, seen through turn and zoom
    shift = np.array([cos * y - sin * x, sin * y + cos * x]) * zoom / 31
    for value, limit in [(turn, 20), (zoom - 1, 0.2), (shift, 0.1)]:
        assert np.abs(value).max() <= limit * 1.01
        assert value.min() < -0.8 * limit and value.max() > 0.8 * limit


def test_crop_is_a_window_of_the_padded_image():
    x = np.repeat(images(1), 200, axis=0)
    frame = np.pad(x[0], ((2, 2), (2, 2), (0, 0)), constant_values=9)
    windows = {frame[i : i + 12, j : j + 10].tobytes() for i in range(5) for j in range(5)}
    cut = {image.tobytes() for image in run(PaddedRandomCrop(2, fill_value=9, seed=0), x, training=True)}
    assert cut == windows


def test_ten_crops_are_corners_centre_and_mirrors():
    x = images(2, 6, 7)
    y = run(TenCrop(4, 5), x)
    places = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
    for k, (i, j) in enumerate(places):
        np.testing.assert_array_equal(y[:, k], x[:, i : i + 4, j : j + 5])
        np.testing.assert_array_equal(y[:, k + 5], x[:, i : i + 4, j : j + 5][:, :, ::-1])
    with pytest.raises(ValueError, match="does not fit"):
        run(TenCrop(8, 5), x)


# Colour


def test_color_shift_varies_as_the_paper_says():
    count, deviation = 4000, 0.1
    grey = np.full((count, 2, 2, 3), 0.5, "float32")
    layer = PCAColorShift(COVARIANCE, deviation, value_range=(0, 1), seed=0)
    shift = run(layer, grey, training=True) - grey
    np.testing.assert_allclose(shift - shift[:, :1, :1], 0, atol=1e-6)  # one shift for all pixels of an image
    values, vectors = np.linalg.eigh(COVARIANCE)
    alpha = shift[:, 0, 0] @ vectors / values  # back to what was drawn
    np.testing.assert_allclose(np.cov(alpha.T), deviation**2 * np.eye(3), atol=0.1 * deviation**2)


def test_color_shift_scales_with_the_value_range():
    x = np.full((3, 2, 2, 3), 0.5, "float32")
    small = run(PCAColorShift(COVARIANCE, value_range=(0, 1), seed=0), x, training=True) - 0.5
    large = run(PCAColorShift(COVARIANCE, value_range=(0, 255), seed=0), 255 * x, training=True) - 127.5
    np.testing.assert_allclose(large, 255 * small, rtol=1e-3, atol=1e-3)


def test_color_covariance_is_that_of_all_pixels():
    x = images()
    np.testing.assert_allclose(color_covariance(x), np.cov(x.reshape(-1, 3).T / 255, bias=True), rtol=1e-9)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: RandomAffine(zoom=1.0), "zoom"),
        (lambda: RandomAffine(degrees=-1), "degrees"),
        (lambda: PaddedRandomCrop(0), "padding"),
        (lambda: PCAColorShift([[1, 2], [3, 4]]), "symmetric"),
        (lambda: LocalContrastNormalization(size=4), "odd"),
        (lambda: GlobalContrastNormalization(epsilon=0), "epsilon"),
    ],
)
def test_refuses_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Contrast


def test_global_contrast_is_the_equation():
    x = images(dtype="float64") / 255
    mean = x.mean((1, 2, 3), keepdims=True)
    variance = x.var((1, 2, 3), keepdims=True)
    plain = run(GlobalContrastNormalization(), x.astype("float32"))
    np.testing.assert_allclose(plain, (x - mean) / np.sqrt(variance), atol=1e-4)
    softened = run(GlobalContrastNormalization(2, regularization=10), images())
    np.testing.assert_allclose(softened, 2 * 255 * (x - mean) / np.sqrt(10 + 255**2 * variance), atol=1e-4)
    assert (run(GlobalContrastNormalization(), np.full((1, 8, 8, 3), 200, "uint8")) == 0).all()


def test_local_contrast_is_the_equation():
    x = images(2, 11, 13, dtype="float64") / 255
    w = np.exp(-0.5 * ((np.arange(5) - 2) / 1.25) ** 2)

    def mean(x):
        """Weighted mean over the part of each window that lies inside the image, and over channels."""
        result = np.zeros((*x.shape[:3], 1))
        for n, j, k in np.ndindex(result.shape[:3]):
            rows, columns = np.arange(j - 2, j + 3), np.arange(k - 2, k + 3)
            keep = np.ix_((0 <= rows) & (rows < 11), (0 <= columns) & (columns < 13))
            part = x[n, max(j - 2, 0) : j + 3, max(k - 2, 0) : k + 3].mean(-1)
            result[n, j, k] = (np.outer(w, w)[keep] * part).sum() / np.outer(w, w)[keep].sum()
        return result

    v = x - mean(x)
    s = np.sqrt(mean(v**2))
    expected = v / np.maximum(s.mean((1, 2, 3), keepdims=True), s)
    np.testing.assert_allclose(run(LocalContrastNormalization(5), x.astype("float32")), expected, atol=1e-4)


def test_local_contrast_knows_neither_brightness_nor_strength():
    x = images(2, 20, 20, dtype="float32")
    layer = LocalContrastNormalization()
    np.testing.assert_allclose(run(layer, 3 * x + 100), run(layer, x), atol=1e-3)
    assert (run(layer, np.full((1, 20, 20, 3), 200, "uint8")) == 0).all()


@pytest.mark.parametrize("make", [GlobalContrastNormalization, LocalContrastNormalization])
def test_contrast_layers_work_in_a_saved_model(make, tmp_path):
    image = keras.Input((12, 10, 3), dtype="uint8")
    model = keras.Model(image, make()(image))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(images(), verbose=0), model.predict(images(), verbose=0))
    assert again.output.dtype == "float32"
