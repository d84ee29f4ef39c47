"""What is true of the callbacks that watch a game, whatever the backend."""

import keras
import numpy as np
import pytest
from PIL import Image

import keraszoo
from keraszoo import callbacks
from keraszoo.callbacks import Balance, History, Losses, Samples, Scatter, Variety, pictures
from keraszoo.diagnostics import frechet_distance
from tests.game import Line

SMALL = dict(input_shape=(16, 16, 1), latent_dim=4, filters=4)
BLUE, ORANGE, RED = (31, 119, 180), (255, 127, 14), (214, 39, 40)


def images(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 16, 16, 1)).astype("float32")


def classifier():
    """Knows nothing, but says all kinds of things, and the same on every backend."""
    names, rng = ["one", "two", "three"], np.random.default_rng(0)
    arguments = dict(input_shape=(16, 16, 1), units=(8, 5), preprocessing="centred")
    model = keraszoo.build("mlp", class_names=names, **arguments)
    model.set_weights([rng.normal(size=w.shape) / 4 for w in model.get_weights()])
    return model


def arrays(model):
    """Weights, slots of the optimizers and seeds."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in (*model.variables, *model.optimizer.variables)]


def told(callback, *rows, model=None):
    """A callback that was given these logs, epoch by epoch, as `fit` would; and the logs."""
    callback.set_model(model or Told())
    callback.on_train_begin()
    for epoch, logs in enumerate(rows):
        callback.on_epoch_end(epoch, logs)
        if callback.model.stop_training:
            break
    callback.on_train_end()
    return callback


class Told:
    """Stands in for a model: makes the images it is told to, one set after the other."""

    name = "told"

    def __init__(self, *made):
        self.made = list(made)
        self.stop_training = False
        self.asked = []

    def sample(self, count, seed=None):
        self.asked.append((count, seed))
        return self.made.pop(0)


def colours(path):
    """The colours of a PNG file, as a set of triples, and its (width, height)."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        return set(map(tuple, np.unique(pixels, axis=0).tolist())), picture.size


def film(path):
    """Frames of a film: (frames, height, width, 3), uint8."""
    import imageio.v3 as imageio

    return imageio.imread(path, plugin="FFMPEG" if path.suffix == ".mp4" else "pillow")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Three epochs of a `dcgan` with all that can watch it, and the folder; and the same without."""
    folder, ends = tmp_path_factory.mktemp("run"), []
    for look in (True, False):
        model = keraszoo.build("dcgan", seed=4, **SMALL)
        watchers = [
            Variety(classifier(), count=24, real=images(20)),
            Samples(folder / "images", count=5),
            Losses(folder / "losses.png"),
            Balance(tolerance=0.0),
            History(folder / "history.csv"),
        ]
        model.fit(images(12), batch_size=4, epochs=3, callbacks=watchers if look else None, verbose=0)
        ends.append(model)
    return folder, *ends


def test_to_watch_a_game_does_not_change_it(watched):
    _, seen, unseen = watched
    for found, expected in zip(arrays(seen), arrays(unseen), strict=True):
        np.testing.assert_array_equal(found, expected)
    for key, values in unseen.history.history.items():
        assert seen.history.history[key] == values


def test_variety_and_distance_are_in_the_history(watched):
    folder, model, _ = watched
    history = model.history.history
    shares = np.array([history[f"share_of_{i}"] for i in range(3)])
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    np.testing.assert_array_equal(history["classes_seen"], (shares >= 1 / 15).sum(axis=0))
    assert len(history["frechet_distance"]) == 3 and min(history["frechet_distance"]) > 0
    table = callbacks.history.read(folder / "history.csv")
    assert [row["frechet_distance"] for row in table] == history["frechet_distance"]


def test_pictures_of_samples_become_a_film(watched):
    folder, model, _ = watched
    files = sorted(file.name for file in (folder / "images").iterdir())
    assert files == ["epoch_0001.png", "epoch_0002.png", "epoch_0003.png", "film.gif"]
    frames = film(folder / "images" / "film.gif")
    assert len(frames) == 3
    with Image.open(folder / "images" / "epoch_0003.png") as last:
        assert frames.shape[1:3] == last.size[::-1]
        apart = np.abs(np.asarray(last.convert("L"), float) - frames[-1].mean(-1))
        assert apart.mean() < 8
    pictures.grid(folder / "again.png", model.sample(5, seed=0), "epoch 3")  # the same noise each time
    assert (folder / "again.png").read_bytes() == (folder / "images" / "epoch_0003.png").read_bytes()


def test_losses_of_all_players_are_in_one_picture(watched, tmp_path):
    found, (width, height) = colours(watched[0] / "losses.png")
    assert {BLUE, ORANGE, RED} <= found  # two losses, two accuracies
    rows = [
        {"epoch": i, "a_loss": 1.0 + i, "b_loss": 2.0 + i, "loss": 3.0, "val_a_loss": 1.5} for i in range(3)
    ]
    pictures.players(tmp_path / "losses.png", rows)
    found, (alone, same) = colours(tmp_path / "losses.png")
    assert {BLUE, ORANGE} <= found and RED not in found and (2 * alone, same) == (width, height)
    line = Line()
    line.compile("adam")
    points = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    line.fit(points, epochs=2, callbacks=[Losses(tmp_path / "line.png")], verbose=0)
    assert {BLUE, ORANGE} <= colours(tmp_path / "line.png")[0]


def test_losses_are_drawn_now_and_then_and_at_the_end(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(callbacks.balance, "players", lambda path, rows: drawn.append(len(rows)))
    rows = [{"a_loss": 1.0}] * 4
    told(Losses(tmp_path / "a.png", seconds=1000), *rows)
    assert drawn == [1, 4]
    told(Losses(tmp_path / "a.png", seconds=0), *rows)
    assert drawn == [1, 4, 1, 2, 3, 4, 4]
    with pytest.raises(
        ValueError, match="Losses needs the losses of players in the logs, got loss, val_loss"
    ):
        told(Losses(tmp_path / "a.png"), {"loss": 1.0, "val_loss": 1.0})


def test_a_player_who_goes_ahead_is_drawn_before_the_others(tmp_path):
    line, losses = Line(), Losses(tmp_path / "line.png")
    line.compile("adam")
    points = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    line.fit(points, epochs=2, only=["critic"], callbacks=[losses], verbose=0)
    line.fit(points, initial_epoch=2, epochs=3, callbacks=[losses], verbose=0)
    assert ["generator_loss" in row for row in losses.rows] == [False, False, True]
    assert [row["epoch"] for row in losses.rows] == [1, 2, 3] and all(
        "critic_loss" in row for row in losses.rows
    )


# Points and labels


def test_scatter_shows_what_is_real_and_what_is_made(tmp_path):
    model = keraszoo.build("gan", seed=0, generator_units=(4,), discriminator_units=(4,))
    points = keraszoo.data.load("sine_curve", count=64).train[0]
    scatter = Scatter(tmp_path, points, count=20, every=2, film="film.mp4")
    model.fit(points, epochs=5, callbacks=[scatter], verbose=0)
    pngs = sorted(file.name for file in tmp_path.glob("*.png"))
    assert pngs == ["epoch_0002.png", "epoch_0004.png", "epoch_0005.png"]  # and the last
    found, _ = colours(tmp_path / "epoch_0005.png")
    assert {BLUE, (191, 191, 191)} <= found
    frames = film(tmp_path / "film.mp4")
    assert 3 <= len(frames) <= 3 + 10 and not frames.shape[1] % 2 and not frames.shape[2] % 2
    with pytest.raises(ValueError, match=r"data must have shape \(samples, 2\), got \(3,\)"):
        Scatter(tmp_path, np.zeros(3))


def test_a_conditional_model_is_asked_for_its_labels(tmp_path):
    model = keraszoo.build("conditional_gan", seed=0, class_names=["a", "b", "c"], **SMALL)
    asked, sample = [], model.sample
    object.__setattr__(
        model, "sample", lambda count, **more: asked.append((count, more)) or sample(count, **more)
    )
    labels = [2, 2, 0, 1]
    callback = Samples(tmp_path, count=4, labels=labels, columns=2, film=None)
    model.fit(images(4), np.arange(4) % 3, epochs=1, callbacks=[callback], verbose=0)
    assert asked == [(4, dict(seed=0, labels=labels))]
    assert [file.name for file in tmp_path.iterdir()] == ["epoch_0001.png"]
    with pytest.raises(ValueError, match="labels must be as many as count=25, got 4"):
        Samples(tmp_path, labels=labels)


def test_a_grid_shows_each_image_in_its_place(tmp_path):
    levels = np.linspace(-1, 1, 6).reshape(6, 1, 1, 1) * np.ones((1, 8, 8, 1))
    pictures.grid(tmp_path / "grey.png", levels, columns=3)
    found, (width, height) = colours(tmp_path / "grey.png")
    greys = ((levels[:, 0, 0, 0] + 1) * 127.5).astype("uint8")
    assert {(g, g, g) for g in greys.tolist()} <= found and width > height
    red = np.zeros((2, 8, 8, 3), "uint8") + np.array([200, 0, 0], "uint8")
    pictures.grid(tmp_path / "red.png", red, "two", captions=["a", "b"])
    assert (200, 0, 0) in colours(tmp_path / "red.png")[0]


def test_films_have_their_frames_in_order(tmp_path):
    files = []
    for i in range(7):
        Image.new("RGB", (21, 13), (30 * i, 30 * i, 30 * i)).save(tmp_path / f"{i}.png")
        files.append(tmp_path / f"{i}.png")
    for name in ("a.gif", "a.mp4"):
        pictures.animation(tmp_path / name, files, seconds=0.5)
        frames = film(tmp_path / name)
        assert frames.shape[1:3] == (14, 22)
        means = frames.mean((1, 2, 3))[:7]
        np.testing.assert_allclose(means, 30 * np.arange(7), atol=9)  # a GIF has sixteen greys
    pictures.animation(tmp_path / "few.gif", files, most=3)
    np.testing.assert_allclose(film(tmp_path / "few.gif").mean((1, 2, 3)), [0, 90, 180], atol=9)
    with pytest.raises(ValueError, match="path must end in .gif or .mp4"):
        pictures.animation(tmp_path / "a.avi", files)


# Balance and variety


def accuracies(*pairs):
    return [dict(real_accuracy=real, fake_accuracy=fake) for real, fake in pairs]


@pytest.mark.parametrize(
    "pairs, options, stops",
    [
        ([(0.5, 0.5)] * 9, {}, 3),
        ([(0.5, 0.5), (0.5, 0.5), (0.5, 0.7), (0.5, 0.5)], {}, None),  # not in a row
        ([(0.45, 0.55)] * 3, {}, 3),
        ([(0.9, 0.5)] * 9, {}, None),  # both of them
        ([(0.5, 0.9)] * 9, {}, None),
        ([(0.9, 0.9)] * 9, dict(target=0.85), 3),
        ([(0.5, 0.5)] * 9, dict(start_from_epoch=4), 7),
    ],
)
def test_balance_ends_the_game_where_it_should(pairs, options, stops, capsys):
    balance = told(Balance(patience=3, **options), *accuracies(*pairs))
    assert balance.model.stop_training is (stops is not None)
    said = capsys.readouterr().out
    assert f"Epoch {stops}: in balance for 3 epochs (real_accuracy" in said if stops else said == ""


def test_balance_ends_a_real_fit_and_begins_anew(capsys):
    model = keraszoo.build("gan", seed=0, generator_units=(4,), discriminator_units=(4,))
    points = keraszoo.data.load("sine_curve", count=32).train[0]
    balance = Balance(tolerance=1.0, patience=2)
    for _ in range(2):
        assert len(model.fit(points, epochs=9, callbacks=[balance], verbose=0).epoch) == 2


def test_balance_says_what_is_missing():
    with pytest.raises(
        ValueError, match="Balance needs real_accuracy and fake_accuracy in the logs, got loss"
    ):
        told(Balance(), {"loss": 1.0})
    for options in (dict(target=2), dict(tolerance=-1), dict(patience=0)):
        with pytest.raises(ValueError, match=next(iter(options))):
            Balance(**options)


def test_a_class_that_vanishes_is_told(capsys):
    judge = callbacks.variety.Judge(classifier())
    pool = images(400)
    found = judge(pool)[1].argmax(axis=1)
    here, there = np.argsort(np.bincount(found, minlength=3))[1:]
    one, other = (np.repeat(pool[found == number][:1], 10, 0) for number in (here, there))
    one, both = np.concatenate([one, one]), np.concatenate([one, other])
    rows = [{}, {}, {}, {}]
    model = Told(one, both, one, one)
    told(Variety(judge, count=20, seed=7), *rows, model=model)
    assert [row["classes_seen"] for row in rows] == [1, 2, 1, 1]
    assert (
        capsys.readouterr().out
        == f"Epoch 3: the classifier hardly sees {judge.class_names[there]} any more.\n"
    )
    assert model.asked == [(20, 7)] * 4 and "frechet_distance" not in rows[0]
    rows = [{}, {}, {}, {}]
    told(Variety(judge, every=2, real=pool), *rows, model=Told(pool[::2], pool))
    assert [*map(bool, rows)] == [False, True, False, True]
    expected = frechet_distance(judge(pool)[0], judge(pool[::2])[0])
    assert rows[1]["frechet_distance"] == pytest.approx(expected)
    assert rows[3]["frechet_distance"] == pytest.approx(0, abs=1e-6 * expected + 1e-6)


def test_what_makes_no_samples_is_refused(tmp_path):
    model = classifier()
    for callback in (Samples(tmp_path), Scatter(tmp_path, np.zeros((3, 2))), Variety(model)):
        callback.set_model(model)
        with pytest.raises(
            ValueError, match=f"{type(callback).__name__} needs a model that has a method `sample`"
        ):
            callback.on_train_begin()
    for wrong in (dict(every=0), dict(film="film.avi")):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Samples(tmp_path, **wrong)


def test_no_callback_looks_at_a_batch():
    """Reading a log in the middle of an epoch makes a GPU wait."""
    for callback in (Balance, Losses, Samples, Scatter, Variety):
        for event in ("on_batch_end", "on_train_batch_end", "on_train_batch_begin", "on_test_batch_end"):
            assert getattr(callback, event) is getattr(keras.callbacks.Callback, event)
