"""What is true of histories, run folders and pictures, whatever the backend."""

import keras
import numpy as np
import pytest
from PIL import Image

import keraszoo
from keraszoo.callbacks import Curves, History, Neighbours, RunFolder, TextTranslations, Written, pictures
from keraszoo.callbacks.files import whole
from keraszoo.callbacks.history import read, write
from keraszoo.callbacks.told import Told
from keraszoo.layers import RandomAffine
from keraszoo.training.batches import Batches


def images(count, seed=0):
    """Noise, brighter for each class in turn."""
    labels = np.arange(count) % 3
    noise = np.random.default_rng(seed).integers(0, 100, (count, 6, 6, 1))
    return (noise + 70 * labels[:, None, None, None]).astype("uint8"), labels.astype("int32")


def classifier(**config):
    """A tiny net in which everything is random that can be: weights, dropout, augmentation."""
    keras.utils.set_random_seed(3)
    front = [RandomAffine(degrees=20, translation=0.2), "unit"]
    arguments = dict(input_shape=(6, 6, 1), num_classes=3, units=(8,), dropout=0.3, **config)
    return keraszoo.build("mlp", seed=3, preprocessing=front, **arguments)


def fit(model, epochs, callbacks, done=0):
    batches = Batches(*images(25), batch_size=4, shuffle=True, seed=5, initial_epoch=done)
    model.fit(
        batches,
        validation_data=Batches(*images(10, seed=1)),
        epochs=epochs,
        initial_epoch=done,
        callbacks=callbacks,
        verbose=0,
    )


def arrays(model):
    """Weights, slots of the optimizer and seeds."""
    return [keras.ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A folder with a run of four epochs, and the model at its end."""
    folder, model = RunFolder(tmp_path_factory.mktemp("run")), classifier()
    fit(model, 4, [folder, History(folder.folder / "table.csv"), Curves(folder.folder / "picture.png")])
    return folder, model


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(uninterrupted, tmp_path):
    whole_run, expected = uninterrupted
    fit(classifier(), 2, [RunFolder(tmp_path)])
    keras.utils.set_random_seed(99)  # nothing may hang on what the process drew before
    folder = RunFolder(tmp_path)
    model = keraszoo.load(folder.last)
    assert folder.resume(model) == 2
    fit(model, 4, [folder], done=2)
    assert read(tmp_path / "history.csv") == read(whole_run.folder / "history.csv")
    for found, value in zip(arrays(model), arrays(expected), strict=True):
        np.testing.assert_array_equal(found, value)
    assert folder.best_row == whole_run.best_row
    ours, theirs = keraszoo.load(folder.best), keraszoo.load(whole_run.best)
    assert ours.card["epochs"] == theirs.card["epochs"] == folder.best_row["epoch"]
    for found, value in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(found, value)


def test_a_run_that_died_between_two_files_repeats_the_epoch(uninterrupted, tmp_path):
    whole_run, _ = uninterrupted

    class Dies(RunFolder):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                self.last = tmp_path / "missing" / "last.keras"  # history and best are written, this fails
            super().on_epoch_end(epoch, logs)

    with pytest.raises(OSError):
        fit(classifier(), 4, [Dies(tmp_path)])
    assert len(read(tmp_path / "history.csv")) == 3
    folder = RunFolder(tmp_path)
    model = keraszoo.load(folder.last)
    assert folder.resume(model) == 2
    fit(model, 4, [folder], done=2)
    assert read(tmp_path / "history.csv") == read(whole_run.folder / "history.csv")


def test_a_history_is_what_fit_returned_to_the_last_digit(uninterrupted):
    folder, model = uninterrupted
    returned = model.history.history
    for rows in (read(folder.folder / "history.csv"), read(folder.folder / "table.csv"), folder.rows):
        assert [list(row) for row in rows] == [["epoch", "loss", "val_loss", "accuracy", "val_accuracy"]] * 4
        table = {key: [row[key] for row in rows] for key in ("epoch", *returned)}
        assert table == {"epoch": [1, 2, 3, 4], **returned}


def test_a_history_goes_on_where_fit_begins(tmp_path):
    path = tmp_path / "history.csv"
    model = classifier()
    fit(model, 2, [History(path)])
    first = read(path)
    fit(model, 3, [History(path)], done=1)  # the second epoch is done anew
    second = read(path)
    assert [row["epoch"] for row in second] == [1, 2, 3]
    assert second[0] == first[0] and second[1] != first[1]
    fit(model, 1, [History(path)])
    assert len(read(path)) == 1


def test_a_history_never_holds_half_a_line(tmp_path):
    path = tmp_path / "history.csv"
    write(path, [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 0.05, "val_loss": float("nan")}])
    before = path.read_text()
    with pytest.raises(KeyError):
        write(path, [{"epoch": 1, "loss": 0.1}, Broken()])
    assert path.read_text() == before and [f.name for f in tmp_path.iterdir()] == ["history.csv"]
    assert "val_loss" not in read(path)[0] and np.isnan(read(path)[1]["val_loss"])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="history.csv' is not a history"):
        read(path)


class Broken(dict):
    def __iter__(self):
        return iter(["loss"])

    def get(self, key, default=None):
        raise KeyError(key)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    for name in ("a.txt", "b"):
        with pytest.raises(RuntimeError), whole(tmp_path / name) as beside:
            beside.write_text("half")
            raise RuntimeError
        assert not list(tmp_path.iterdir())
    with whole(tmp_path / "a.txt") as beside:
        beside.write_text("all")
    assert (tmp_path / "a.txt").read_text() == "all"


@pytest.mark.parametrize(
    "losses, best, exhausted",
    [
        ([3.0, 2.0, 1.0], 3, False),
        ([1.0, 2.0, 0.5], 3, False),
        ([1.0, 2.0, 3.0], 1, True),
        ([1.0, 1.0, 1.0], 1, True),  # as good is not better
        ([float("nan"), 2.0, 3.0], 2, False),
        ([float("nan")] * 3, 1, True),
        ([], None, False),
    ],
)
def test_patience_and_the_best_follow_from_the_history(losses, best, exhausted, tmp_path):
    folder = RunFolder(tmp_path, patience=2)
    folder.rows = [{"epoch": i, "loss": 0.0, "val_loss": loss} for i, loss in enumerate(losses, 1)]
    assert (folder.best_row or {}).get("epoch") == best
    assert folder.exhausted is exhausted


def test_a_run_stops_when_patience_runs_out(tmp_path):
    model = classifier()
    model.optimizer.learning_rate = 0.0  # no epoch is better than the first
    folder = RunFolder(tmp_path, patience=2)
    fit(model, 9, [folder])
    assert len(folder.rows) == 3 and folder.best_row["epoch"] == 1


def test_a_loss_that_is_no_number_ends_the_run_and_spares_the_last_good_epoch(tmp_path):
    model, folder = classifier(), RunFolder(tmp_path)
    fit(model, 1, [folder])
    weights = keraszoo.load(folder.last).get_weights()
    model.set_weights([w * np.nan for w in weights])
    with pytest.raises(ValueError, match="nan in epoch 2. Try a smaller learning rate"):
        fit(model, 2, [folder], done=1)
    for found, value in zip(keraszoo.load(folder.last).get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, value)
    assert len(read(tmp_path / "history.csv")) == 1


def test_no_callback_looks_at_a_batch():
    """Reading a log in the middle of an epoch makes a GPU wait."""
    for callback in (Curves, History, RunFolder):
        for event in ("on_batch_end", "on_train_batch_end", "on_train_batch_begin", "on_test_batch_end"):
            assert getattr(callback, event) is getattr(keras.callbacks.Callback, event)


# Pictures


def colours(path):
    """The colours of a PNG file, as a set of triples, and its (width, height)."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        return set(map(tuple, np.unique(pixels, axis=0).tolist())), picture.size


def test_curves_are_drawn_for_every_metric(uninterrupted, tmp_path):
    blue, orange = (31, 119, 180), (255, 127, 14)
    found, (width, _) = colours(uninterrupted[0].folder / "curves.png")
    assert {blue, orange} <= found
    pictures.curves(tmp_path / "loss.png", [{"epoch": 1, "loss": 1.0}])
    found, (narrow, _) = colours(tmp_path / "loss.png")
    assert blue in found and orange not in found
    assert width == 2 * narrow  # loss and accuracy
    assert colours(uninterrupted[0].folder / "picture.png") == colours(uninterrupted[0].folder / "curves.png")


def test_a_perfect_classifier_has_a_dark_diagonal_and_nothing_else(tmp_path):
    truth = np.arange(30) % 3
    pictures.confusion_matrix(tmp_path / "perfect.png", truth, truth, ["a", "b", "c"])
    pictures.confusion_matrix(tmp_path / "wrong.png", truth, (truth + 1) % 3, ["a", "b", "c"])
    dark, light = (8, 48, 107), (247, 251, 255)
    for name, diagonal in (("perfect", dark), ("wrong", light)):
        with Image.open(tmp_path / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("RGB"))
        cells = (pixels == dark).all(-1) | (pixels == light).all(-1)
        rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.mean(0) > 0.2)
        top, left = rows[len(rows) // 20], columns[len(columns) // 20]  # inside the first cell
        assert tuple(pixels[top, left]) == diagonal
    with pytest.raises(IndexError):
        pictures.confusion_matrix(tmp_path / "bad.png", [3], [0], ["a", "b", "c"])
    pictures.confusion_matrix(tmp_path / "large.png", range(300), range(300), list(range(300)))


def test_what_is_worst_comes_first():
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.45, 0.55]]
    labels = [0, 0, 0, 1]
    assert pictures.ranking(labels, probabilities).tolist() == [1, 2, 3, 0]


def test_wrong_answers_are_red_and_right_ones_green(tmp_path):
    x = images(12)[0]
    sure = np.eye(3)[np.arange(12) % 3]
    red, green = (214, 39, 40), (44, 160, 44)
    for name, labels, present in (
        ("right", np.arange(12) % 3, {green}),
        ("wrong", (np.arange(12) + 1) % 3, {red}),
        ("unknown", None, set()),
    ):
        pictures.predictions(tmp_path / f"{name}.png", x, labels, sure, ["a", "b", "a very long name indeed"])
        found, _ = colours(tmp_path / f"{name}.png")
        assert found & {red, green} == present
    colour = np.random.default_rng(0).normal(size=(3, 5, 5, 3))  # floats of any range
    pictures.predictions(tmp_path / "colour.png", colour, None, sure[:3], list("abc"), worst_first=True)
    with pytest.raises(ValueError, match="same number of samples"):
        pictures.predictions(tmp_path / "bad.png", x, [0], sure, list("abc"))


class Losses(Told):
    """Tells the loss."""

    method = "predict"

    def heading(self):
        return ["losses:"]

    def lines(self):
        return [f"{self.logs['loss']:.9f}"]


def test_what_is_told_after_each_epoch_and_the_last_is_kept_whole(tmp_path, monkeypatch):
    file, shown = tmp_path / "new" / "told.txt", []
    model, told = classifier(), Losses(every=2, file=file, show=shown.append)

    def epochs():
        return [line for line in file.read_text().splitlines() if line.startswith("after")]

    fit(model, 3, [told])
    assert shown == file.read_text().splitlines() and shown[:3] == ["losses:", "", "after epoch 2:"]
    assert epochs() == ["after epoch 2:", "after epoch 3:"]
    fit(model, 5, [told], done=3)  # goes on
    assert epochs() == [f"after epoch {i}:" for i in (2, 3, 4, 5)]
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(model, "stop_training", True))
    fit(model, 4, [told, stop])  # begins anew, and ends where nobody had planned it
    assert epochs() == ["after epoch 1:"]
    before = file.read_text()
    monkeypatch.setattr("os.replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(model, 5, [Losses(file=file, show=None)], done=4)
    assert file.read_text() == before and [f.name for f in file.parent.iterdir()] == ["told.txt"]


def test_what_cannot_be_told_is_refused():
    with pytest.raises(ValueError, match="every must be a whole number from 1, got 0"):
        Losses(every=0)
    for kind in (TextTranslations(["a"]), Written("w.txt", "a"), Neighbours(["a"])):
        with pytest.raises(
            ValueError, match=f"{type(kind).__name__} needs a model that has a method `{kind.method}`"
        ):
            fit(classifier(), 1, [kind])
