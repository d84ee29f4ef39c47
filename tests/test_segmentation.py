"""What is true of losses, metrics, weights and data for a class at every pixel."""

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.metrics import f1_score, jaccard_score

import keraszoo
from keraszoo.callbacks import Overlays
from keraszoo.callbacks.overlays import overlaid
from keraszoo.data import Crops, border_weights
from keraszoo.diagnostics import overlaps, worst
from keraszoo.layers import DiceCrossentropyLoss, DiceLoss, MeanDice, MeanIoU
from keraszoo.tasks import head


def answers(classes=3, shape=(2, 5, 6), seed=0):
    """Class numbers and logits."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, shape).astype("int32")
    return labels, rng.normal(size=(*shape, classes)).astype("float32")


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def dice(labels, logits, smooth=1.0):
    """Milletari's coefficient in NumPy, for each image and class."""
    p, g = softmax(logits), np.eye(logits.shape[-1])[labels]
    both, each = (p * g).sum((1, 2)), (p**2 + g**2).sum((1, 2))
    return (2 * both + smooth) / (each + smooth)


# --- losses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [False, True])
def test_dice_is_that_of_milletari(axis):
    labels, logits = answers()
    loss = DiceLoss(smooth=0.5, reduction=None)(labels[..., None] if axis else labels, logits)
    np.testing.assert_allclose(ops.convert_to_numpy(loss), 1 - dice(labels, logits, 0.5).mean(-1), rtol=1e-5)


def test_dice_of_the_truth_is_nothing_and_of_the_opposite_all():
    labels = np.arange(64).reshape(1, 8, 8) % 2
    sure = 50 * np.eye(2, dtype="float32")[labels]
    assert float(DiceLoss(smooth=1e-6)(labels, sure)) == pytest.approx(0, abs=1e-6)
    assert float(DiceLoss(smooth=1e-6)(1 - labels, sure)) == pytest.approx(1, abs=1e-6)


def test_dice_does_not_ask_how_large_a_thing_is_and_cross_entropy_does():
    def half_found(side):
        """A thing of side x side pixels in 32 x 32, of which the left half is found."""
        labels = np.zeros((1, 32, 32), "int32")
        labels[:, :side, :side] = 1
        found = labels.copy()
        found[:, :, side // 2 :] = 0
        return labels, 20 * np.eye(2, dtype="float32")[found]

    def thing(loss, side):
        return 1 - dice(*half_found(side), smooth=1e-6)[0, 1], float(loss(*half_found(side)))

    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    (small, small_entropy), (large, large_entropy) = thing(entropy, 4), thing(entropy, 16)
    assert small == pytest.approx(large) == pytest.approx(1 / 3, abs=1e-6)
    assert large_entropy == pytest.approx(16 * small_entropy, rel=1e-4)


def test_the_sum_is_the_sum():
    labels, logits = answers()
    entropy = -np.log(np.take_along_axis(softmax(logits), labels[..., None], -1)).mean()
    loss = DiceCrossentropyLoss()(labels, logits)
    assert float(loss) == pytest.approx(entropy + (1 - dice(labels, logits)).mean(), rel=1e-5)


def test_losses_are_saved_with_what_they_were_given():
    for loss in (DiceLoss(smooth=3.0), DiceCrossentropyLoss(smooth=3.0)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert type(again) is type(loss) and again.get_config() == loss.get_config()
    with pytest.raises(ValueError, match="smooth must be positive, got 0"):
        DiceLoss(smooth=0)


# --- metrics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metric, reference", [(MeanIoU, jaccard_score), (MeanDice, f1_score)], ids=["iou", "dice"]
)
def test_metrics_equal_scikit_learn_over_batches(metric, reference):
    metric = metric(5)  # of which one is never there
    batches = [answers(4, seed=seed) for seed in (0, 1)]
    truth = np.concatenate([labels.ravel() for labels, _ in batches])
    taken = np.concatenate([logits.argmax(-1).ravel() for _, logits in batches])
    for labels, logits in batches:
        metric.update_state(labels, np.pad(logits, ((0, 0),) * 3 + ((0, 1),), constant_values=-9))
    assert float(metric.result()) == pytest.approx(reference(truth, taken, average="macro"), rel=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_mean_iou_is_that_of_keras_with_weights():
    labels, logits = answers()
    weights = np.random.default_rng(2).integers(0, 3, labels.shape)
    ours, theirs = MeanIoU(3), keras.metrics.MeanIoU(3, dtype="float32")
    ours.update_state(labels, logits, weights)
    theirs.update_state(labels, logits.argmax(-1), weights.astype("float32"))
    assert float(ours.result()) == pytest.approx(float(theirs.result()), rel=1e-6)


# --- weights ----------------------------------------------------------------------------------------------------


def test_border_weights_are_equation_2():
    instances = np.zeros((1, 9), int)
    instances[0, :2], instances[0, 6:] = 1, 2  # background is 2, 3, 4, 5
    weights = border_weights(instances, w0=10, sigma=5)
    balance = np.where(instances > 0, 0.5 / (5 / 9), 0.5 / (4 / 9))
    gap = np.zeros((1, 9))
    for pixel in range(2, 6):
        near, far = sorted((pixel - 1, 6 - pixel))
        gap[0, pixel] = 10 * np.exp(-((near + far) ** 2) / 50)
    np.testing.assert_allclose(weights, balance + gap, rtol=1e-6)
    assert weights.dtype == "float32" and weights.shape == instances.shape


def test_border_weights_look_for_the_second_nearest_thing():
    instances = np.zeros((12, 12), int)
    instances[0, 0], instances[0, 11], instances[11, 0] = 3, 1, 2
    weights = border_weights(instances, w0=1, sigma=10) - border_weights(instances, w0=0)
    far = sorted(np.hypot(*np.subtract((4, 7), place)) for place in ((0, 0), (0, 11), (11, 0)))
    assert weights[4, 7] == pytest.approx(np.exp(-((far[0] + far[1]) ** 2) / 200), rel=1e-4)


def test_border_weights_of_one_thing_and_of_none_only_balance():
    instances = np.zeros((2, 4, 4), int)
    instances[0, :2, :2] = 7
    weights = border_weights(instances)
    assert set(np.unique(weights[0])) == {np.float32(2), np.float32(0.5 / 0.75)}
    assert (weights[1] == 1).all() and weights.mean() == pytest.approx(1)
    for wrong in (np.zeros((4, 4)), np.full((4, 4), -1), np.zeros(4, int)):
        with pytest.raises(ValueError, match="instances must be"):
            border_weights(wrong)
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        border_weights(instances, sigma=0)


# --- crops ------------------------------------------------------------------------------------------------------


def test_labels_go_along_with_their_images():
    x = np.arange(3 * 8 * 8).reshape(3, 8, 8, 1).astype("float32")
    crops = Crops(x, {"same": x[..., 0], "other": -x}, 2 * x[..., 0], size=(4, 4), batch_size=2, seed=3)
    seen = []
    for epoch in range(30):
        crops.epoch = epoch
        for images, labels, weights in (crops[0], crops[1]):
            assert images.shape[1:] == (4, 4, 1)
            np.testing.assert_array_equal(images[..., 0], labels["same"])
            np.testing.assert_array_equal(images, -labels["other"])
            np.testing.assert_array_equal(2 * images[..., 0], weights)
            seen += [image[..., 0] for image in images]
    steps = {(int(image[0, 1] - image[0, 0]), int(image[1, 0] - image[0, 0])) for image in seen}
    assert steps == {(a * s, b * t) for a, b in ((1, 8), (8, 1)) for s in (1, -1) for t in (1, -1)}
    crops.epoch = 2
    again = crops[0][0]
    crops.epoch = 3
    assert not np.array_equal(again, crops[0][0])
    crops.epoch = 2
    np.testing.assert_array_equal(again, crops[0][0])


def test_crops_refuse_what_is_too_large_or_does_not_fit():
    x = np.zeros((2, 8, 6, 1), "float32")
    assert Crops(x, x[..., 0])[0][0].shape == (2, 8, 6, 1)  # mirrored, not turned
    with pytest.raises(ValueError, match=r"size must fit into images of \(8, 6\), got \(8, 8\)"):
        Crops(x, x[..., 0], size=(8, 8))
    with pytest.raises(ValueError, match="Labels and weights must have the sides"):
        Crops(x, x[:, :7, :, 0])


# --- what is wrong, and where --------------------------------------------------------------------------------------


def test_overlaps_of_each_image():
    truth, found = np.zeros((2, 3, 4, 4), int)
    truth[0, :2], found[0, 1:3] = 1, 1  # 8 pixels each, 4 in common
    truth[1, 0], found[1, 0] = 2, 2
    shares = overlaps(truth, found, 3)
    expected = [[4 / 12, 4 / 12, np.nan], [1, np.nan, 1], [1, np.nan, np.nan]]
    expected[0][0] = (16 - 12) / (16 - 4)
    np.testing.assert_allclose(shares, expected)
    order, scores = worst(shares)
    np.testing.assert_array_equal(order, [0, 1, 2])
    np.testing.assert_allclose(scores, [1 / 3, 1, 1])
    with pytest.raises(ValueError, match="truth and found must both be"):
        overlaps(truth, found[:, :2])
    with pytest.raises(ValueError, match="found must hold classes from 0 to 1, got values from 0 to 2"):
        overlaps(np.minimum(truth, 1), found, 2)


def test_overlays_paint_what_is_found(tmp_path):
    model = keraszoo.build("unet", input_shape=(16, 16, 1), filters=(2,), heads={"mask": 2, "edges": 1})
    images = np.zeros((2, 16, 16, 1), "float32")
    truth = np.zeros((2, 16, 16), "int32")
    truth[:, 4:9, 4:9] = 1
    y = {"mask": truth, "edges": truth[..., None]}
    watch = [
        Overlays(tmp_path / "mask", images, truth, head="mask"),
        Overlays(tmp_path / "e", images, truth, "edges"),
    ]
    model.fit(images, y, epochs=2, verbose=0, callbacks=watch)
    for folder in ("mask", "e"):
        assert {file.name for file in (tmp_path / folder).iterdir()} == {
            "epoch_0001.png",
            "epoch_0002.png",
            "film.gif",
        }
    painted = overlaid(images[0], truth[0])
    assert (painted[0, 0] == 0).all() and painted[6, 6, 0] > 0 and not painted[6, 6, 1:].any()  # red
    assert (painted[4, 4:9] == (255, 255, 0)).all()  # its outline
    with pytest.raises(ValueError, match="head must be one of 'mask', 'edges', got None"):
        model.fit(images, y, verbose=0, callbacks=[Overlays(tmp_path, images, truth)])
    with pytest.raises(ValueError, match=r"labels must be one for each pixel of images, \(2, 16, 16\)"):
        Overlays(tmp_path, images, truth[:1])


# --- heads ------------------------------------------------------------------------------------------------------


def test_what_heads_answer():
    assert head("mask", 2) == ("categories", 2) and head("edges", 1) == ("labels", 1)
    assert head("distance", ("values", 3)) == ("values", 3)
    for wrong in (0, 2.5, "two", ("colours", 3), ("categories", 1), None):
        with pytest.raises(ValueError, match=r"heads\['mask'\] must be a number of classes.*no loss"):
            head("mask", wrong)


def test_metrics_of_the_task():
    model = keraszoo.build("unet", input_shape=(4, 4, 1), filters=(2,), heads={"mask": 3, "edges": 1})
    found = {(metric.name) for metric in model._compile_metrics._user_metrics["mask"]}
    assert found == {"accuracy", "mean_iou"}
