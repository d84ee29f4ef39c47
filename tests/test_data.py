"""What is true of batches and of data sets, whatever the backend."""

import dataclasses
import os
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

import keraszoo.data
from keraszoo.data import directory
from keraszoo.data.embedded import drawn
from keraszoo.data.images import resized
from keraszoo.training.batches import Batches

# Batches


@keras.saving.register_keras_serializable("keraszoo_tests")
class StepNumber(keras.optimizers.schedules.LearningRateSchedule):
    """1, 2, 3 ..."""

    def __call__(self, step):
        return ops.cast(step, "float32") + 1

    def get_config(self):
        return {}


def steps(batches, epochs, initial_epoch=0, **options):
    """Fit on one-hot samples, and tell for each epoch in which step each sample was seen.

    Sample `i` moves weight `i` alone, by the learning rate, which is the number of the step. Two
    visits, or none, would show as a number that is no step of that epoch.
    """
    model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)])
    model.compile(keras.optimizers.SGD(StepNumber()), loss=lambda y, p: ops.sum(p))
    totals = [np.zeros(batches.count)]
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: totals.append(-model.get_weights()[0][:, 0])
    )
    model.fit(batches, epochs=epochs, initial_epoch=initial_epoch, callbacks=[look], verbose=0, **options)
    return np.diff(totals, axis=0).round().astype(int).tolist()


def numbered(count=11, batch_size=2, **options):
    return Batches(np.eye(count), np.zeros(count), batch_size=batch_size, shuffle=True, seed=5, **options)


def promised(count, batch_size, epochs):
    """What `steps` must answer for these epochs, by the definition of the order."""
    rows, first = [], 1
    for epoch in epochs:
        row = np.empty(count, int)
        row[np.random.default_rng((5, epoch)).permutation(count)] = first + np.arange(count) // batch_size
        rows.append(row.tolist())
        first += -(-count // batch_size)
    return rows


@pytest.mark.parametrize("batch_size", [2, 6])  # six batches, and two: some are asked for in advance
@pytest.mark.parametrize("shuffle", [True, False])  # of `fit`: must not matter
def test_fit_sees_each_sample_once_in_the_order_of_the_epoch(shuffle, batch_size):
    batches = numbered(batch_size=batch_size)
    assert steps(batches, 3, shuffle=shuffle) == promised(11, batch_size, [0, 1, 2])
    assert batches.epoch == 3


def test_a_resumed_run_sees_the_orders_it_would_have_seen():
    assert steps(numbered(initial_epoch=2), 4, initial_epoch=2) == promised(11, 2, [2, 3])


def test_fit_called_twice_goes_on_with_the_next_epoch():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    batches = numbered(8, 8)  # one batch: building the model asks for all there is
    for epoch in (2, 3):
        model.fit(batches, epochs=2 if epoch == 2 else 1, verbose=0)
        assert batches.epoch == epoch
    x, _ = batches[0]
    np.testing.assert_array_equal(x.argmax(1), np.random.default_rng((5, 3)).permutation(8))


def test_short_epochs_see_each_sample_once_in_a_pass():
    count, batch_size, short = 12, 2, 2
    seen = np.array(steps(numbered(count, batch_size), 6, steps_per_epoch=short))
    for three in (seen[:3], seen[3:]):  # three short epochs of two batches make a pass
        assert ((three > 0).sum(0) == 1).all()
        assert ((three > 0).sum(1) == short * batch_size).all()


def test_epochs_and_seeds_differ():
    batches = numbered()
    first = [x.argmax(1).tolist() for x, _ in batches]
    assert first == [x.argmax(1).tolist() for x, _ in batches]
    batches.epoch = 1
    assert first != [x.argmax(1).tolist() for x, _ in batches]
    random.seed(1)  # as `keras.utils.set_random_seed` does
    seed = Batches(np.eye(9), shuffle=True).seed
    assert seed != Batches(np.eye(9), shuffle=True).seed
    random.seed(1)
    assert seed == Batches(np.eye(9), shuffle=True).seed


def test_any_structure_of_arrays_becomes_batches():
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(7, 3)), "b": [rng.integers(0, 9, (7, 2)), ops.ones((7, 1))]}
    y, weight = rng.normal(size=7).astype("float32"), np.arange(7.0)
    batches = Batches(x, y, weight, batch_size=4, shuffle=True, seed=0)
    batch, answers, weights = batches[1]
    rows = np.random.default_rng((0, 0)).permutation(7)[4:]
    np.testing.assert_allclose(batch["a"], x["a"][rows], rtol=1e-6)
    np.testing.assert_array_equal(batch["b"][0], x["b"][0][rows])
    assert batch["a"].dtype == "float32" and batch["b"][0].dtype == x["b"][0].dtype
    np.testing.assert_array_equal(answers, y[rows])
    np.testing.assert_array_equal(weights, weight[rows])


def test_fit_evaluate_and_predict_agree_with_arrays():
    rng = np.random.default_rng(0)
    x, y, weight = {"a": rng.normal(size=(7, 3))}, rng.normal(size=(7, 1)), rng.uniform(size=7)
    a = keras.Input((3,), name="a")
    model = keras.Model({"a": a}, keras.layers.Dense(1)(a))
    model.compile("sgd", "mse", weighted_metrics=["mae"])
    assert model.evaluate(Batches(x, y, weight, batch_size=4), verbose=0) == pytest.approx(
        model.evaluate(x, y, sample_weight=weight, batch_size=4, verbose=0), rel=1e-5
    )
    np.testing.assert_allclose(
        model.predict(Batches(x, batch_size=4), verbose=0), model.predict(x, verbose=0), rtol=1e-5
    )
    start, ends = model.get_weights(), []
    for data in [
        dict(x=Batches(x, y, weight, batch_size=4)),
        dict(x=x, y=y, sample_weight=weight, batch_size=4),
    ]:
        model.set_weights(start)
        model.fit(**data, shuffle=False, verbose=0)
        ends.append(model.get_weights()[0])
    np.testing.assert_allclose(*ends, rtol=1e-5)
    assert not np.allclose(start[0], ends[0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(x=np.zeros((3, 1)), y=np.zeros(4)), "same number of samples"),
        (dict(x=np.zeros((0, 1))), "no samples"),
        (dict(x=np.float32(3)), "axis of samples"),
        (dict(x=np.zeros(3), sample_weight=np.zeros(3)), "without y"),
        (dict(x=np.zeros(3), batch_size=0), "batch_size"),
        (dict(x=np.zeros(3), shuffle=True, seed=-1), "seed"),
    ],
)
def test_batches_refuse_what_they_cannot_cut(arguments, message):
    with pytest.raises(ValueError, match=message):
        Batches(**arguments)


# Names and options


def test_importing_the_room_is_light():
    heavy = "{'keras', 'tensorflow', 'tensorflow_datasets', 'jax', 'torch', 'sklearn', 'PIL'}"
    code = f"import sys, keraszoo.data; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_are_sorted_and_load():
    names = keraszoo.data.list_datasets()
    assert names == sorted(names) and {"digits", "shapes", "nuclei"} < set(names)
    assert keraszoo.data.Batches is Batches


@pytest.mark.parametrize(
    "name, options, error, message",
    [
        ("digit", {}, ValueError, "'digits'"),
        ("no/such/folder", {}, ValueError, "no such folder"),
        ("digits", {"image_siz": (8, 8)}, TypeError, "'image_size'"),
        ("photographs", {"count": 3}, TypeError, "no option 'count'"),
        ("digits", {"validation": 1.0}, ValueError, "validation"),
        ("digits", {"validation": 0.001}, ValueError, "cannot be set apart"),
        ("digits", {"image_size": 28}, ValueError, "image_size"),
        ("shapes", {"labels": "boxes"}, ValueError, "labels"),
        ("shapes", {"image_size": (8, 8)}, ValueError, "16 pixels"),
    ],
)
def test_errors_name_what_is_wrong(name, options, error, message):
    with pytest.raises(error, match=message):
        keraszoo.data.load(name, **options)


# Embedded sets


def test_digits_are_the_real_ones():
    from sklearn.datasets import load_digits

    digits = keraszoo.data.load("digits")
    assert digits.input_shape == (28, 28, 1) and digits.num_classes == 10
    assert [len(part[0]) for part in (digits.train, digits.test)] == [1437, 360]
    small = keraszoo.data.load("digits", image_size=(8, 8))
    x = np.concatenate([small.train[0], small.test[0]])
    pixels, labels = load_digits(return_X_y=True)
    real = np.round(pixels * 255 / 16).astype("uint8")
    assert sorted(x.reshape(-1, 64).tolist()) == sorted(real.tolist())
    where = {image.tobytes(): label for image, label in zip(real, labels, strict=True)}
    assert [where[image.tobytes()] for image in small.test[0]] == small.test[1].tolist()
    shares = np.bincount(small.test[1]) / np.bincount(labels)
    assert np.ptp(shares) < 0.02  # stratified
    mean = digits.train[0].astype(float).mean((1, 2, 3)) - small.train[0].astype(float).mean((1, 2, 3))
    assert np.abs(mean).max() < 8  # enlarged, and otherwise the same image in the same place


def test_validation_is_set_apart_from_the_training_part_alone():
    whole, parted = keraszoo.data.load("digits"), keraszoo.data.load("digits", validation=0.1)
    assert [len(part[0]) for part in (parted.train, parted.validation)] == [1293, 144]
    together = np.concatenate([parted.train[0], parted.validation[0]])
    assert sorted(i.tobytes() for i in together) == sorted(i.tobytes() for i in whole.train[0])
    np.testing.assert_array_equal(parted.test[0], whole.test[0])
    assert np.ptp(np.bincount(parted.validation[1])) <= 1
    again = keraszoo.data.load("digits", validation=0.1)
    np.testing.assert_array_equal(parted.validation[0], again.validation[0])


def test_photographs_are_two_colour_images():
    x, y = keraszoo.data.load("photographs").train
    assert x.shape == (2, 427, 640, 3) and x.dtype == "uint8" and y is None
    assert x.std((1, 2)).min() > 20
    assert keraszoo.data.load("photographs", image_size=(32, 48)).input_shape == (32, 48, 3)


def test_shapes_are_where_their_masks_are():
    shapes = keraszoo.data.load("shapes", image_size=(48, 64), count=60)
    x, masks = shapes.train
    assert x.shape == (60, 48, 64, 3) and x.dtype == "uint8" and len(shapes.test[0]) == 15
    assert masks.shape == (60, 48, 64) and masks.dtype == "int32" and set(np.unique(masks)) == {0, 1, 2, 3}
    for image, mask in zip(x.astype(float), masks, strict=True):
        for number in set(np.unique(mask)) - {0}:
            apart = image[mask == number].mean(0) - image[mask == 0].mean(0)
            assert np.abs(apart).min() > 30  # seen in every channel
    present = keraszoo.data.load("shapes", image_size=(48, 64), count=60, labels="presence")
    assert present.task == "multi_label_classification" and present.class_names == (
        "circle",
        "square",
        "triangle",
    )
    np.testing.assert_array_equal(present.train[0], x)
    expected = [[(mask == number).any() for number in (1, 2, 3)] for mask in masks]
    np.testing.assert_array_equal(present.train[1], np.array(expected, "float32"))
    other = keraszoo.data.load("shapes", image_size=(48, 64), count=30, seed=1)
    assert not np.array_equal(other.train[1], masks[:30])


def test_shapes_have_the_areas_of_their_kind():
    _, masks = drawn(128, 128, 150, np.random.default_rng(0))
    for number, area in {1: np.pi, 2: 2, 3: 3 * np.sqrt(3) / 4}.items():
        areas = [
            (mask == number).sum() / ((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2).max()
            for mask in masks
            if (mask == number).sum() > 600
            for rows, columns in [np.nonzero(mask == number)]
        ]  # in units of the squared radius of the circle around it
        assert np.mean(areas) == pytest.approx(area, rel=0.06)  # corners lose a pixel


# A directory


@pytest.fixture(scope="module")
def own_files(tmp_path_factory):
    """Files of the known layouts, with few random images in them."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def pixels(*shape, top=256):
        return rng.integers(0, top, shape).astype("uint8")

    def classes(count):
        return np.array([f"class {i}" for i in range(count)])

    held = {
        name: dict(
            x_train=pixels(40, *size),
            y_train=np.arange(40, dtype="uint8") % 10,
            x_test=pixels(20, *size),
            y_test=np.arange(20, dtype="uint8") % 10,
            class_names=classes(10),
        )
        for name, size in {"fashion_mnist": (28, 28), "cifar10_subset": (32, 32, 3)}.items()
    }
    held["caltech_faces"] = dict(images=pixels(60, 64, 64, 3))
    held["emoji_styles"] = {
        f"{style}_{part}": pixels(6, 64, 64, 3)
        for style in ("noto", "emojione")
        for part in ("train", "test")
    }
    held["omniglot"] = dict(
        images=pixels(60, 105, 105, top=2),
        character=np.repeat(np.arange(3, dtype="uint16"), 20),
        drawer=np.tile(np.arange(1, 21, dtype="uint8"), 3),
        character_names=classes(3),
    )
    held["nuclei"] = dict(
        image_train=pixels(4, 256, 256),
        instance_train=pixels(4, 256, 256, top=9).astype("uint16"),
        image_test=pixels(2, 256, 256),
        instance_test=pixels(2, 256, 256, top=9).astype("uint16"),
    )
    held["neuron_em"] = dict(
        image=pixels(12, 512, 512), label=pixels(12, 512, 512, top=5), class_names=classes(5)
    )
    for name, file in directory.FILES.items():
        (folder / name).mkdir()
        np.savez(folder / file.path, **held[name])
    return folder


@pytest.mark.parametrize("name", directory.FILES)
def test_sets_of_a_directory_keep_their_promises(name, own_files):
    dataset = keraszoo.data.load(name, data_dir=own_files, check=False)
    for x, y in (dataset.train, dataset.test):
        assert x.ndim == 4 and x.dtype == "uint8" and x.max() > 200
        if dataset.task == "image_classification":
            assert y.shape == (len(x),) and y.dtype == "int32" and y.max() < dataset.num_classes
        if dataset.task == "image_segmentation":
            assert y.shape == x.shape[:3] and y.dtype == "int32" and y.max() < dataset.num_classes
    assert dataset.licence and dataset.source and dataset.citation and dataset.name == name
    assert ("commercial" in dataset.licence) == (name in ("cifar10_subset", "neuron_em"))
    small = keraszoo.data.load(name, data_dir=own_files, check=False, image_size=(20, 24), validation=0.25)
    assert small.input_shape[:2] == (20, 24)
    assert len(small.train[0]) + len(small.validation[0]) == len(dataset.train[0])


def test_details_of_the_sets_of_a_directory(own_files, monkeypatch):
    monkeypatch.setenv("KERASZOO_DATA", str(own_files))
    omniglot = keraszoo.data.load("omniglot", check=False)
    assert [len(part[0]) for part in (omniglot.train, omniglot.test)] == [48, 12]  # 16 and 4 people
    assert set(np.unique(omniglot.train[0])) == {0, 255}
    instances = keraszoo.data.load("nuclei", check=False, labels="instances").test[1]
    np.testing.assert_array_equal(keraszoo.data.load("nuclei", check=False).test[1], instances > 0)
    whole = keraszoo.data.load("neuron_em", check=False)
    tiled = keraszoo.data.load("neuron_em", check=False, tile=(256, 128))
    assert len(tiled.train[0]) == 9 * 8 and tiled.input_shape == (256, 128, 1)
    np.testing.assert_array_equal(tiled.test[1][5], whole.test[1][0, 256:, 128:256])
    with pytest.raises(ValueError, match="tile"):
        keraszoo.data.load("neuron_em", check=False, tile=(100, 128))
    faces = keraszoo.data.load("caltech_faces", check=False)
    assert len(faces.train[0]) == 10 and faces.train[1] is None


def test_a_missing_directory_or_file_says_how_to_put_it_there(tmp_path, monkeypatch):
    monkeypatch.delenv("KERASZOO_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"data_dir= or .* KERASZOO_DATA.*x_train.*SHA-256"):
        keraszoo.data.load("fashion_mnist")
    with pytest.raises(FileNotFoundError, match=r"fashion_mnist.npz.*no such file.*by hand"):
        keraszoo.data.load("fashion_mnist", data_dir=tmp_path)


def test_a_file_is_known_by_its_digest(own_files, monkeypatch):
    import hashlib

    file = directory.FILES["caltech_faces"]
    with pytest.raises(ValueError, match=rf"damaged.*SHA-256.*{file.sha256}.*check=False"):
        keraszoo.data.load("caltech_faces", data_dir=own_files)
    digest = hashlib.sha256((own_files / file.path).read_bytes()).hexdigest()
    monkeypatch.setitem(directory.FILES, "caltech_faces", dataclasses.replace(file, sha256=digest))
    assert keraszoo.data.load("caltech_faces", data_dir=own_files).input_shape == (64, 64, 3)


def test_a_file_of_another_kind_is_refused(tmp_path):
    file = tmp_path / directory.FILES["caltech_faces"].path
    file.parent.mkdir()
    file.write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"cannot be read.*images \(count, 64, 64, 3\)"):
        keraszoo.data.load("caltech_faces", data_dir=tmp_path, check=False)
    np.savez(file, pictures=np.zeros(3))
    with pytest.raises(ValueError, match="no array called 'images'"):
        keraszoo.data.load("caltech_faces", data_dir=tmp_path, check=False)


def test_masks_are_resized_to_nearest_labels():
    mask = np.arange(16, dtype="uint16").reshape(1, 4, 4) * 4000
    np.testing.assert_array_equal(resized(mask, (8, 12), smooth=False), mask.repeat(2, 1).repeat(3, 2))
    np.testing.assert_array_equal(resized(mask, (2, 2), smooth=False), mask[:, 1::2, 1::2])


# A folder of images


def write_images(folder, counts, mode="RGB", size=(10, 8), ending=".png"):
    """Uniform images, whose first channel tells which image of all it is."""
    number = 0
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new(mode, size, (number,) * len(mode.strip("A"))).save(folder / name / f"{i:02}{ending}")
            number += 1


def test_folder_without_parts_is_divided(tmp_path):
    write_images(tmp_path, {"cat": 10, "dog": 20, ".hidden": 1})
    dataset = keraszoo.data.load(tmp_path, batch_size=4, seed=3)
    assert dataset.class_names == ("cat", "dog") and dataset.input_shape == (8, 10, 3)
    assert dataset.validation is None and len(dataset.train) == 6 and dataset.test.count == 6
    x, y = (np.concatenate(part) for part in zip(*dataset.train, strict=True))
    assert x.dtype == "uint8" and y.dtype == "int32" and np.bincount(y).tolist() == [8, 16]
    number = x[:, 0, 0, 0]
    np.testing.assert_array_equal(y, number >= 10)
    test = np.concatenate([x[:, 0, 0, 0] for x, _ in dataset.test])
    assert sorted([*number, *test]) == list(range(30))
    assert test.tolist() == sorted(test)  # the test part keeps its order
    dataset.train.epoch = 1
    assert number.tolist() != [x[0, 0, 0] for batch, _ in dataset.train for x in batch]
    parted = keraszoo.data.load(tmp_path, validation=0.25)
    assert [part.count for part in (parted.train, parted.validation, parted.test)] == [18, 6, 6]


def test_folder_with_parts_trains_a_model(tmp_path):
    write_images(tmp_path / "train", {"a": 6, "b": 5}, mode="L", ending=".jpg")
    write_images(tmp_path / "val", {"a": 2, "b": 1}, mode="L")
    write_images(tmp_path / "test", {"b": 3}, mode="RGBA", size=(30, 30))
    dataset = keraszoo.data.load(tmp_path, image_size=(6, 6), batch_size=4)
    assert dataset.input_shape == (6, 6, 1)
    assert [part.count for part in (dataset.train, dataset.validation, dataset.test)] == [11, 3, 3]
    assert np.concatenate([y for _, y in dataset.test]).tolist() == [1, 1, 1]
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(dataset.train, validation_data=dataset.validation, epochs=2, verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()
    assert dataset.train.epoch == 2
    with pytest.raises(ValueError, match="validation part of its own"):
        keraszoo.data.load(tmp_path, validation=0.1)


def test_large_images_are_cut_and_turned_as_one_sees_them(tmp_path):
    write_images(tmp_path, {"a": 4, "b": 4})
    halves = Image.new("RGB", (40, 20))
    halves.paste((255, 0, 0), (10, 0, 30, 20))  # the middle half is red: what a square cut keeps
    orientation = halves.getexif()
    orientation[0x0112] = 3  # upside down
    for i in range(4):
        halves.save(tmp_path / "a" / f"{i:02}.jpg", exif=orientation)
        (tmp_path / "a" / f"{i:02}.png").unlink()
    x, y = keraszoo.data.load(tmp_path, image_size=(10, 10), channels=3, batch_size=8).train[0]
    red = x[y == 0].astype(int)
    assert (red[:, 1:-1, 1:-1, 0] > 200).all() and (red[:, 1:-1, 1:-1, 1] < 50).all()


def test_folder_errors_name_the_place(tmp_path):
    with pytest.raises(ValueError, match="holds no images"):
        keraszoo.data.load(tmp_path)
    write_images(tmp_path / "train", {"a": 2, "b": 2})
    write_images(tmp_path / "test", {"c": 2})
    with pytest.raises(ValueError, match="classes that the training part lacks: c"):
        keraszoo.data.load(tmp_path)
    (tmp_path / "test" / "c").rename(tmp_path / "test" / "b")
    (tmp_path / "test" / "b" / "00.png").write_text("no image")
    with pytest.raises(ValueError, match=r"00\.png cannot be read"):
        keraszoo.data.load(tmp_path).test[0]


# TensorFlow Datasets

PREPARE = """
import os, sys
import numpy as np
import tensorflow_datasets as tfds
import keraszoo.data

class Tiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    counts = {"train": 20, "test": 6}
    broken = False

    def _info(self):
        features = tfds.features.FeaturesDict({
            "image": tfds.features.Image(shape=(8, 6, 1)),
            "label": tfds.features.ClassLabel(names=["even", "odd"]),
        })
        return tfds.core.DatasetInfo(
            builder=self, features=features, supervised_keys=("image", "label"), license="CC0"
        )

    def _split_generators(self, downloads):
        return {part: self.numbered(count) for part, count in self.counts.items()}

    def numbered(self, count):
        for i in range(count):
            if self.broken and i == 5:
                raise ConnectionError("the line went dead")
            yield i, {"image": np.full((8, 6, 1), i, "uint8"), "label": i % 2}

    def _generate_examples(self):
        raise NotImplementedError

class TinyParts(Tiny):
    VERSION = tfds.core.Version("1.0.0")
    counts = {"train": 20, "validation": 4, "test": 6}

class Broken(Tiny):
    VERSION = tfds.core.Version("1.0.0")
    broken = True

folder = sys.argv[1]
Tiny(data_dir=folder, file_format="array_record").download_and_prepare()
keraszoo.data.load("tfds:tiny_parts", data_dir=folder, download=True)
Tiny(data_dir=folder + "/old").download_and_prepare()  # the form that only TensorFlow reads
try:
    keraszoo.data.load("tfds:broken", data_dir=folder, download=True)
except RuntimeError as error:
    assert "the line went dead" in str(error) and "--file_format=array_record" in str(error), error
else:
    raise AssertionError("a broken download went unnoticed")
left = [file for at, _, files in os.walk(folder + "/broken") for file in files]
assert not left, left
"""

READ = """
import sys

class Without:  # a finder that does not see TensorFlow
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *args):
        return None if name.split(".")[0] == "tensorflow" else self.finder.find_spec(name, *args)

folder, backend = sys.argv[1:]
if backend != "tensorflow":
    sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]

import numpy as np
import keraszoo.data

tiny = keraszoo.data.load("tfds:tiny", data_dir=folder, validation=0.2)
assert tiny.class_names == ("even", "odd") and tiny.input_shape == (8, 6, 1) and tiny.licence == "CC0"
x, y = map(np.concatenate, zip(tiny.train, tiny.validation))
assert x.dtype == "uint8" and sorted(x[:, 0, 0, 0]) == list(range(20))
assert y.dtype == "int32" and (y == x[:, 0, 0, 0] % 2).all() and len(tiny.validation[1]) == 4
assert len(tiny.test[1]) == 6
parts = keraszoo.data.load("tfds:tiny_parts", data_dir=folder, keys=("image", None), image_size=(3, 3))
assert len(parts.validation[0]) == 4 and parts.train[1] is None and parts.input_shape == (3, 3, 1)

import keras

assert keras.config.backend() == backend
stream = keraszoo.data.load("tfds:tiny", data_dir=folder, arrays=False, batch_size=8, validation=0.25)
assert [part.count for part in (stream.train, stream.validation, stream.test)] == [15, 5, 6]
model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(stream.train, validation_data=stream.validation, epochs=2, verbose=0)
assert stream.train.epoch == 2

def refused(error, words, name, **options):
    try:
        keraszoo.data.load(name, data_dir=folder, **options)
    except error as caught:
        assert words in str(caught), caught
    else:
        raise AssertionError(name)

refused(ValueError, "'mnist'", "tfds:mnis")
refused(FileNotFoundError, "--file_format=array_record", "tfds:mnist")
refused(ValueError, "validation part of its own", "tfds:tiny_parts", validation=0.1)
refused(ValueError, "image (Image)", "tfds:tiny", keys=("label", "image"))
folder += "/old"
refused(ValueError, "only TensorFlow reads", "tfds:tiny")
assert ("tensorflow" in sys.modules) == (backend == "tensorflow")
"""


def test_tensorflow_datasets_are_read_without_tensorflow(tmp_path):
    backend = keras.config.backend()
    for code, backend_there in [(PREPARE, "tensorflow"), (READ, backend)]:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), backend],
            env=os.environ | {"KERAS_BACKEND": backend_there, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"keraszoo\[tfds\]"):
        keraszoo.data.load("tfds:mnist")


# The record


def test_record_is_frozen_and_prints_as_a_card():
    digits = keraszoo.data.load("digits", validation=0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        digits.train = None
    card = str(digits)
    for words in ("digits: image classification", "1293 samples", "(28, 28, 1)", "0 to 255", "CC BY 4.0"):
        assert words in card


def test_augmentation_suits_the_set(own_files):
    digits = keraszoo.data.load("digits")
    first, second = digits.augmentation(), digits.augmentation()
    assert first and first[0] is not second[0]
    x = digits.train[0][:8]
    y = ops.convert_to_numpy(
        keras.Sequential([keras.Input((28, 28, 1), dtype="uint8"), *first])(x, training=True)
    )
    assert y.dtype == "uint8" and not np.array_equal(x, y)
    assert abs(y.mean() / x.mean() - 1) < 0.2  # no ink is lost
    small = keraszoo.data.load("cifar10_subset", data_dir=own_files, check=False)
    assert [type(layer).__name__ for layer in small.augmentation()] == ["PaddedRandomCrop", "RandomFlip"]
    assert keraszoo.data.load("photographs").augmentation() == []
