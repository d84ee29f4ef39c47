"""What is true of a U-Net and of nothing else."""

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo.front import abstract, trainable
from keraszoo.models.unet import unet
from keraszoo.training.optimizers import SGD


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def small(**config):
    return keraszoo.build("unet", seed=0, **{"input_shape": (16, 16, 1), "filters": (2, 3), **config})


# --- shapes and sizes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding, side, out", [("same", 256, 256), ("valid", 572, 388)])
def test_paper_size(padding, side, out):
    model = abstract(unet, dict(input_shape=(side, side, 1), padding=padding))
    assert trainable(model) == 31_030_658  # the published table, with one input channel and two classes
    assert model.output_shape == (None, out, out, 2)
    assert 2 * model.margin == side - out


def test_size_with_batch_normalization():
    model = abstract(unet, dict(batch_normalization=True))
    assert trainable(model) == 31_037_698  # github.com/milesial/Pytorch-UNet, three channels and two classes


@pytest.mark.parametrize("filters", [(3,), (2, 3), (2, 2, 3, 5)])
@pytest.mark.parametrize("skips", [True, False])
def test_any_depth_and_width(filters, skips):
    step = 2 ** (len(filters) - 1)
    same = abstract(unet, dict(input_shape=(3 * step, 5 * step, 2), filters=filters, skips=skips))
    assert same.output_shape == (None, 3 * step, 5 * step, 2)
    sides = {}
    for side in range(1, 130):
        config = dict(input_shape=(side, side, 1), filters=filters, skips=skips, padding="valid")
        try:
            sides[side] = abstract(unet, config).output_shape[1]
        except ValueError as error:
            assert "would fit" in str(error)
        if len(sides) == 2:
            break
    a, b = sides
    assert b - a == step  # the smallest that fit are as far apart as images are halved
    assert sides[a] == a - 2 * (6 * step - 4) and 0 < sides[a] <= max(step, 4)


def test_without_skips_fewer_weights_see_less():
    count = {skips: trainable(unet((8, 8, 1), filters=(2, 4), skips=skips)) for skips in (True, False)}
    assert (
        count[True] - count[False] == 3 * 3 * 2 * 2
    )  # the first convolution on the way up takes 2 + 2 channels


# --- what it computes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding, side, filters", [("same", 8, (2, 3)), ("valid", 44, (2, 3, 4))])
def test_equals_a_plain_one_in_answer_and_gradient(padding, side, filters):
    import torch

    from tests import native_unet

    model = small(input_shape=(side, side, 1), filters=filters, padding=padding, dropout=0.0, num_classes=3)
    images = noise(2, side, side, 1)
    size = side - 2 * model.margin
    labels = np.random.default_rng(1).integers(0, 3, (2, size, size)).astype("int32")
    before = [ops.convert_to_numpy(w).copy() for w in model.weights]
    weights = native_unet.tensors(before)
    logits = native_unet.forward(
        weights, torch.tensor(images.transpose(0, 3, 1, 2)), model.depth, int(padding == "same")
    )
    np.testing.assert_allclose(
        model.predict(images, verbose=0), logits.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-5
    )
    torch.nn.functional.cross_entropy(logits, torch.tensor(labels).long()).backward()
    model.compile(SGD(1.0), loss=model.loss)
    model.fit(images, labels, batch_size=2, verbose=0)
    for weight, old, native in zip(model.weights, before, weights, strict=True):
        slope = native.grad.numpy()
        moved = old - ops.convert_to_numpy(weight)
        expected = slope.transpose(2, 3, 1, 0) if slope.ndim == 4 else slope
        np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-5, err_msg=weight.path)
        assert np.abs(moved).max() > 0


def test_a_dot_stays_within_reach():
    model = small(input_shape=(64, 64, 1), filters=(2, 3, 3))
    assert model.reach == 23
    blank, dots = noise(1, 64, 64, 1), [(32, 32), (35, 33), (34, 35)]
    pictures = np.repeat(blank, 1 + len(dots), axis=0)
    for i, (row, column) in enumerate(dots):
        pictures[1 + i, row, column] += 9
    plain, *dotted = model.predict(pictures, verbose=0)
    farthest = 0
    for (row, column), answer in zip(dots, dotted, strict=True):
        rows, columns = np.nonzero((answer != plain).any(-1))
        assert len(rows)
        farthest = max(farthest, *abs(rows - row), *abs(columns - column))
    assert 12 < farthest <= model.reach


def test_with_skips_the_dot_gets_through_a_bottom_that_is_blind():
    images = noise(1, 8, 8, 1)
    for skips in (True, False):
        model = small(input_shape=(8, 8, 1), filters=(4, 4), skips=skips)
        bottom = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][2]
        bottom.kernel.assign(ops.zeros(bottom.kernel.shape))
        assert (np.ptp(model.predict(images, verbose=0), axis=(1, 2)) > 1e-3).any() == skips


# --- any size, in tiles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding, tile", [("same", 40), ("valid", 44)])
def test_tiles_equal_one_pass_away_from_the_border(padding, tile):
    model = small(input_shape=(None, None, 1), filters=(2, 3, 3), padding=padding, num_classes=3)
    if padding == "valid":  # a pass over the mirrored image, which is as wide as the valid one takes
        image = noise(52, 60, 1)
        whole = model.predict(
            np.pad(image, ((20, 20 + 4), (20, 20 + 4), (0, 0)), "reflect")[None], verbose=0
        )[0]
        inside = np.s_[:, :]
    else:
        image = noise(60, 68, 1)
        whole = model.predict(image[None], verbose=0)[0]
        inside = np.s_[model.reach : -model.reach, model.reach : -model.reach]
    tiled = model.predict_tiled(
        image, tile=tile if padding == "valid" else 64, overlap=model.reach, batch_size=3
    )
    assert tiled.shape == (*image.shape[:2], 3) and tiled.dtype == "float32"
    np.testing.assert_allclose(tiled[inside], whole[: image.shape[0], : image.shape[1]][inside], atol=1e-5)


def test_tiles_of_a_fixed_size_of_images_of_any_size():
    model = small(heads={"mask": 2, "edges": 1})
    images = noise(2, 21, 9, 1)
    found = model.predict_tiled(images, overlap=4)
    assert {key: value.shape for key, value in found.items()} == {
        "mask": (2, 21, 9, 2),
        "edges": (2, 21, 9, 1),
    }
    for answer, one in zip(found["mask"], images, strict=True):
        np.testing.assert_allclose(answer, model.predict_tiled(one)["mask"], atol=1e-5)
    corner = np.pad(images[:1], ((0, 0), (4, 0), (4, 3), (0, 0)), "reflect")[:, :16]
    first = model.predict(corner, verbose=0)
    np.testing.assert_allclose(found["mask"][0, :8, :8], first["mask"][0, 4:12, 4:12], atol=1e-5)


def test_tiles_say_what_does_not_fit():
    fixed, free = small(), small(input_shape=(None, None, 1))
    image = noise(20, 20, 1)
    with pytest.raises(ValueError, match=r"images has shape \(20, 20\); unet takes"):
        fixed.predict_tiled(image[..., 0])
    with pytest.raises(ValueError, match=r"tile must be \(16, 16\).*got 32"):
        fixed.predict_tiled(image, tile=32)
    with pytest.raises(ValueError, match="tile must have sides that are divisible by 2.*14 or 16 would fit"):
        free.predict_tiled(image, tile=15)
    with pytest.raises(ValueError, match="tile is too small"):
        free.predict_tiled(image, tile=16, overlap=8)
    with pytest.raises(ValueError, match="overlap must not be negative, got -1"):
        free.predict_tiled(image, tile=16, overlap=-1)
    with pytest.raises(ValueError, match="images holds NaN"):
        free.predict_tiled(np.full_like(image, np.nan))


# --- heads ------------------------------------------------------------------------------------------------------

HEADS = {"mask": 3, "edges": 1, "distance": ("values", 2)}


def labels(count=4, side=8):
    rng = np.random.default_rng(0)
    return {
        "mask": rng.integers(0, 3, (count, side, side)),
        "edges": rng.integers(0, 2, (count, side, side, 1)),
        "distance": rng.normal(size=(count, side, side, 2)),
    }


@pytest.fixture(scope="module")
def headed():
    return small(input_shape=(8, 8, 1), heads=HEADS, dropout=0.0)


def test_each_head_has_its_loss_and_their_sum_is_trained(headed):
    x, y = noise(4, 8, 8, 1), labels()
    said = headed.predict(x, verbose=0)
    assert {name: value.shape for name, value in said.items()} == {
        "mask": (4, 8, 8, 3),
        "edges": (4, 8, 8, 1),
        "distance": (4, 8, 8, 2),
    }
    assert all(value.dtype == "float32" for value in said.values())
    found = headed.evaluate(x, y, verbose=0, return_dict=True)
    likely = said["mask"] - np.log(np.exp(said["mask"]).sum(-1, keepdims=True))
    mask = -np.take_along_axis(likely, y["mask"][..., None], -1).mean()
    edges = np.logaddexp(0, np.where(y["edges"], -1, 1) * said["edges"]).mean()
    distance = ((said["distance"] - y["distance"]) ** 2).mean()
    assert found["loss"] == pytest.approx(mask + edges + distance, rel=1e-4)
    assert {"mask_accuracy", "mask_mean_iou", "edges_accuracy"} <= found.keys()


def test_labels_of_heads_are_checked(headed):
    x, y = noise(4, 8, 8, 1), labels()
    wrong = [
        ({**y, "mask": y["mask"] + 1}, r"y\['mask'\] must hold class numbers from 0 to 2 .* from 1 to 3"),
        ({**y, "mask": y["mask"][:, :7]}, r"y\['mask'\] has shape \(4, 7, 8\); expected \(batch, 8, 8\)"),
        ({**y, "edges": y["edges"] * 2}, r"y\['edges'\] must lie in \[0, 1\], got values from 0 to 2"),
        ({**y, "distance": y["distance"][..., :1]}, r"y\['distance'\] has shape \(4, 8, 8, 1\); expected"),
        (
            {"mask": y["mask"], "edges": y["edges"]},
            "no labels for the head 'distance' .*only for 'mask', 'edges'",
        ),
        ({**y, "depth": y["edges"]}, "y has labels for 'depth', but the heads of unet are 'mask', 'edges'"),
        (y["mask"], "y must be a dict with labels for each head"),
    ]
    for bad, message in wrong:
        with pytest.raises(ValueError, match=message):
            headed.fit(x, bad, verbose=0)
    with pytest.raises(ValueError, match=r"validation y\['mask'\]"):
        headed.fit(x, y, validation_data=(x, wrong[0][0]), verbose=0)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_head_without_a_loss_is_refused_and_one_that_is_not_to_learn_is_not(headed):
    loss = dict(headed.loss)
    with pytest.raises(ValueError, match=r"heads\['depth'\] must be .* there is no loss for the head"):
        small(heads={"depth": "metres"})
    with pytest.raises(ValueError, match="there is none for 'edges'"):
        headed.compile("sgd", loss={"mask": loss["mask"], "distance": "mse"})
    with pytest.raises(ValueError, match="no head is 'depth'"):
        headed.compile("sgd", loss={**loss, "depth": "mse"})
    frozen = small(input_shape=(8, 8, 1), heads={"mask": 3, "edges": 1})
    frozen.compile("sgd", loss={"mask": loss["mask"], "edges": None})
    kernel = frozen.get_layer("edges_head").kernel
    before = ops.convert_to_numpy(kernel).copy()
    frozen.fit(noise(4, 8, 8, 1), {name: labels()[name] for name in ("mask", "edges")}, verbose=0)
    np.testing.assert_array_equal(kernel, before)


def test_heads_survive_a_trip_to_disk(tmp_path):
    model = small(input_shape=(None, None, 1), heads=HEADS, padding="valid", filters=(2, 2))
    x, y = noise(4, 20, 20, 1), labels(side=4)
    model.save(tmp_path / "model.keras")
    again = keraszoo.load(tmp_path / "model.keras")
    assert type(again) is type(model) and (again.margin, again.reach) == (model.margin, model.reach) == (8, 9)
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


def test_one_head_takes_an_array():
    model = small(input_shape=(8, 8, 1), heads={"mask": 3})
    x, y = noise(4, 8, 8, 1), labels()["mask"]
    assert model.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, {"mask": y}, verbose=0))
    with pytest.raises(ValueError, match="class numbers from 0 to 2"):
        model.fit(x, y + 1, verbose=0)


# --- what does not fit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config, message",
    [
        (
            dict(input_shape=(100, 96, 3)),
            r"divisible by 16: .* Got \(100, 96\); 96 or 112 would fit instead of 100",
        ),
        (
            dict(input_shape=(572, 570, 3), padding="valid"),
            r"when 4 is added.*556 or 572 would fit instead of 570",
        ),
        (dict(input_shape=(100, 100, 3), padding="valid"), r"above 184.*188 would fit instead of 100"),
        (dict(input_shape=(64, 64)), "input_shape must be"),
        (dict(filters=()), "filters must be positive integers"),
        (dict(filters=(4, 0)), "filters must be positive integers"),
        (dict(padding="full"), "padding must be 'same' or 'valid', got 'full'"),
        (dict(num_classes=1), "num_classes must be at least 2, got 1"),
    ],
    ids=str,
)
def test_refuses_sizes_that_cannot_be(config, message):
    with pytest.raises(ValueError, match=message):
        unet(**config)


def test_labels_and_weights_of_pixels_are_checked():
    model = small(input_shape=(None, None, 1))
    x, y = noise(2, 8, 8, 1), np.zeros((2, 8, 8), "int32")
    with pytest.raises(ValueError, match="divisible by 2.*6 or 8 would fit instead of 7"):
        model.predict(x[:, :7], verbose=0)
    with pytest.raises(ValueError, match=r"y must have the height and width of the answer, \(8, 8\), got"):
        model.fit(x, y[:, :6], verbose=0)
    with pytest.raises(ValueError, match="class numbers from 0 to 1"):
        model.fit(x, y + 2, verbose=0)
    with pytest.raises(ValueError, match=r"sample_weight must have the height and width of the answer"):
        model.fit(x, y, sample_weight=np.ones((2, 8, 6)), verbose=0)
    with pytest.raises(ValueError, match=r"as one-hot labels have"):
        model.fit(x, np.eye(2)[y], verbose=0)


def test_weights_of_pixels_weigh_cross_entropy_and_its_gradient():
    x, y = noise(2, 8, 8, 1), np.random.default_rng(1).integers(0, 2, (2, 8, 8))
    weights = np.random.default_rng(2).uniform(0, 3, (2, 8, 8)).astype("float32")
    model = small(input_shape=(8, 8, 1), dropout=0.0)
    said = model.predict(x, verbose=0)
    likely = np.take_along_axis(said - np.log(np.exp(said).sum(-1, keepdims=True)), y[..., None], -1)[..., 0]
    slope = np.exp(said[..., 1] - np.logaddexp(*np.moveaxis(said, -1, 0))) - (y == 1)  # of each pixel's loss
    expected = -(weights * likely).mean()
    assert abs(expected + likely.mean()) > 1e-3
    model.compile(SGD(1.0), loss=model.loss)
    bias = model.get_layer("logits").bias
    before = ops.convert_to_numpy(bias).copy()
    assert model.evaluate(x, y, sample_weight=weights, verbose=0) == pytest.approx(expected, rel=1e-4)
    model.fit(x, y, sample_weight=weights, batch_size=2, verbose=0)
    moved = before - ops.convert_to_numpy(bias)
    assert moved[1] == pytest.approx((weights * slope).mean(), abs=1e-5)
