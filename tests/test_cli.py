"""What the command line promises: answers at once, runs that can be stopped and resumed, plain words for errors."""

import csv
import importlib
import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import keraszoo
from keraszoo import registry
from keraszoo.cli import main

doctor_module = importlib.import_module("keraszoo.cli.doctor")  # the package shows the command
BACKEND = keras.backend.backend()
OTHER = next(backend for backend in keraszoo.BACKENDS if backend != BACKEND)

# A process that hears Ctrl-C even if it was started in the background, where shells make it deaf.
KERASZOO = [
    sys.executable,
    "-c",
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from keraszoo.cli import main; main(prog_name='keraszoo')",
]
TRAIN = ["train", "mlp", "--data", "digits", "--set", "units=(16,)", "--set", "dropout=0.1", "--seed", "1"]
TRAIN += ["--batch-size", "16", "--epochs", "4", "--backend", BACKEND]


def start(*words, **environment):
    """A process that runs the command line; its output can be read."""
    return subprocess.Popen(
        [*KERASZOO, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def finish(process):
    """Exit status, output and errors."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def stop_at(process, line, number):
    """Send the signal `number` when the process prints a line that begins so; its exit status and errors."""
    for said in process.stdout:
        if said.startswith(line):
            process.send_signal(number)
    return process.wait(timeout=300), process.stderr.read()


def invoke(*words):
    """The command line in this very process: for what needs no process of its own."""
    return CliRunner().invoke(main, [str(word) for word in words])


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.reader(file))


# At once


@pytest.mark.parametrize("words", [["--help"], ["list"], ["train", "--help"], ["--version"]])
def test_answers_at_once_and_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom keraszoo.cli import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        "print({'keras', 'numpy', 'matplotlib', 'jax', 'torch', 'tensorflow'} & set(sys.modules), file=sys.stderr)"
    )
    taken = []
    for _ in range(3):  # the best of them: a machine may be busy, or meet these sources for the first time
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout and done.stderr == "set()\n"
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.5


def test_list_names_what_is_asked_for():
    names = sorted(registry.shelf())
    assert invoke("list").stdout.split() == names
    assert invoke("list", "lenet*").stdout.split() == ["lenet5", "lenet5_1998"]
    assert invoke("list", "lenet").stdout.split() == ["lenet5", "lenet5_1998"]
    classifiers = invoke("list", "--task", "classification").stdout.split()
    assert classifiers == keraszoo.list_models(task="classification") != names


def test_show_prints_the_card():
    assert invoke("show", "lenet5").stdout.strip() == str(keraszoo.describe("lenet5"))


def test_version_and_module():
    done = subprocess.run([sys.executable, "-m", "keraszoo", "--version"], capture_output=True, text=True)
    assert done.stdout == f"keraszoo {keraszoo.__version__}\n"


# Errors


@pytest.mark.parametrize(
    "words, message",
    [
        (["show", "lenet"], "No architecture is called 'lenet'. Did you mean 'lenet5'"),
        (["list", "nothing*"], "No architecture matches 'nothing*'"),
        (["list", "--task", "cooking"], "The tasks are: classification"),
        (["train", "lenet", "--data", "digits"], "Did you mean 'lenet5'"),
        (["train", "mlp"], "Missing --data NAME (or --resume RUN)"),
        (["train"], "Missing NAME"),
        (["train", "mlp", "--data", "digit"], "Did you mean 'digits'"),
        (
            ["train", "mlp", "--data", "digits", "--set", "unit=3"],
            "mlp has no argument 'unit'. Did you mean 'units'",
        ),
        (
            ["train", "mlp", "--data", "digits", "--set", "units=3"],
            "mlp cannot be built with units=3: 'int' object",
        ),
        (
            ["train", "mlp", "--data", "digits", "--set", "activation=no"],
            "mlp cannot be built with activation='no'",
        ),
        (["train", "mlp", "--data", "digits", "--set", "units"], "not of the form key=value"),
        (["train", "mlp", "--data", "digits", "--set", "units=(3"], "not a Python literal"),
        (["train", "mlp", "--data", "digits", "--set", "num_classes=3"], "--set cannot give num_classes"),
        (["train", "mlp", "--data", "digits", "--data-option", "siz=3"], "has no option 'siz'"),
        (["train", "mlp", "--data", "digits", "--image-size", "0x3"], "'0x3' is not a size"),
        (
            ["train", "mlp", "--data", "photographs"],
            "mlp is for classification; photographs holds data for images",
        ),
        (["train", "lenet5", "--data", "digits", "--image-size", "8"], "--image-size changes it"),
        (
            ["train", "mlp", "--data", "fashion_mnist", "--data-dir", "nowhere"],
            "fashion_mnist was looked for at",
        ),
        (["train", "mlp", "--data", "digits", "--out", os.path.dirname(__file__)], "exists already"),
        (["train", "mlp", "--data", "digits", "--out", f"{__file__}/run"], "cannot be made"),
        (["train", "mlp", "--resume", os.path.dirname(__file__)], "NAME cannot be given with --resume"),
        (["train", "--resume", os.path.dirname(__file__)], "there is no readable run.json"),
        (["predict", __file__, "a.png"], "is not a .keras file"),
        (["predict", "nothing.keras", "a.png"], "does not exist"),
    ],
)
def test_an_error_is_a_sentence_and_status_2(words, message, monkeypatch):
    monkeypatch.delenv("KERASZOO_DATA", raising=False)
    done = invoke(*words)
    assert done.exit_code == 2, done
    assert message in " ".join(done.stderr.split()) and "Traceback" not in done.output and not done.stdout


def test_a_backend_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(keraszoo, "installed", lambda package: False)
    done = invoke("show", "mlp", "--backend", BACKEND)
    assert done.exit_code == 2 and f'pip install "keraszoo[{BACKEND}]"' in done.stderr


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(keraszoo, "describe", lambda name: int(name))
    assert isinstance(invoke("show", "lenet5").exception, ValueError)


# Training


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same training twice: once in one go, once stopped and resumed, twice. What each process said, and folders."""
    folder = tmp_path_factory.mktemp("runs")
    said = {"straight": finish(start(*TRAIN, "--out", folder / "straight", KERAS_BACKEND=OTHER))}
    said["Ctrl-C"] = stop_at(start(*TRAIN, "--out", folder / "stopped"), "epoch 1/4", signal.SIGINT)
    resume = ["train", "--resume", folder / "stopped"]
    said["SIGTERM"] = stop_at(start(*resume), "epoch 2/4", signal.SIGTERM)
    said["resumed"] = finish(start(*resume, KERAS_BACKEND=OTHER))
    return said, folder / "straight", folder / "stopped"


def test_a_run_tells_of_its_epochs_and_scores_and_of_nothing_else(runs):
    status, out, err = runs[0]["straight"]
    assert (status, err) == (0, "")
    lines = [line.strip() for line in out.splitlines() if line.strip(" ─")]
    assert lines[0] == f"mlp: 12,730 trainable parameters, on {BACKEND}"
    assert lines[1] == "digits: 1,293 to train on, 144 to validate, 360 to test"
    number = r"\d\.\d{4}"
    for i in range(4):
        pattern = rf"epoch {i + 1}/4  [\d.]+ s  loss {number}  val_loss {number}  accuracy {number}  val_accuracy {number}"
        assert re.fullmatch(pattern, lines[3 + i])
    assert re.fullmatch(r"best epoch: \d of 4 +training +validation +test", lines[7])
    for line, name in zip(lines[8:10], ("loss", "accuracy"), strict=True):
        assert re.fullmatch(rf"{name} +{number} +{number} +{number}", line)
    assert lines[10].startswith("Try it: keraszoo predict") and len(lines) == 11


def test_a_run_leaves_a_folder(runs):
    _, folder, _ = runs
    names = {"best.keras", "curves.png", "history.csv", "last.keras", "run.json"}
    assert {file.name for file in folder.iterdir()} == names
    record = json.loads((folder / "run.json").read_text())
    assert record["commands"] == [["keraszoo", *TRAIN, "--out", str(folder)]]
    assert record["options"]["seed"] == 1 and record["options"]["settings"] == {"units": [16], "dropout": 0.1}
    assert record["options"]["backend"] == BACKEND and record["versions"]["keras"] == keras.version()
    assert {"keraszoo", "python", BACKEND} <= set(record["versions"])
    assert record["data"]["name"] == "digits" and record["data"]["licence"] == "CC BY 4.0"
    assert record["seconds"] > 0 and record["started"]
    digits = keraszoo.data.load("digits", validation=0.1)
    best = keraszoo.load(folder / "best.keras")
    assert best.card["class_names"] == list("0123456789") and best.card["preprocessing"]
    for part, data in (("validation", digits.validation), ("test", digits.test)):
        for key, score in best.evaluate(*data, verbose=0, return_dict=True).items():
            assert score == pytest.approx(record["scores"][part][key], rel=1e-4)
    assert record["scores"]["test"]["accuracy"] > 0.5


def test_a_stopped_run_says_what_it_kept(runs):
    said, _, folder = runs
    for cause, status in (("Ctrl-C", 130), ("SIGTERM", 143)):
        found, err = said[cause]
        assert found == status, err
        assert re.fullmatch(
            rf"\s*Stopped. Kept: .*last.keras.* Go on with: keraszoo train --resume {folder}\s*", err
        )


def test_a_resumed_run_equals_one_that_was_not_stopped(runs):
    said, straight, stopped = runs
    assert said["resumed"][0] == 0, said["resumed"]
    assert history(stopped) == history(straight)
    for name in ("last.keras", "best.keras"):
        ours, theirs = keraszoo.load(stopped / name), keraszoo.load(straight / name)
        for found, value in zip(
            [*ours.variables, *ours.optimizer.variables],
            [*theirs.variables, *theirs.optimizer.variables],
            strict=True,
        ):
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(found), keras.ops.convert_to_numpy(value), err_msg=found.path
            )
    records = [json.loads((folder / "run.json").read_text()) for folder in (straight, stopped)]
    assert records[0]["scores"] == records[1]["scores"]
    assert len(records[1]["commands"]) == 3


def test_a_finished_run_can_be_raised_and_runs_out_of_patience(runs, tmp_path):
    folder = tmp_path / "run"
    words = ["--set", "units=()", "--learning-rate", "1e-30", "--no-augment", "--backend", BACKEND]
    assert invoke("train", "mlp", "--data", "digits", "--epochs", 1, "--out", folder, *words).exit_code == 0
    again = invoke("train", "--resume", folder)
    assert again.exit_code == 0 and "All 1 epochs are done" in again.stdout
    more = invoke("train", "--resume", folder, "--epochs", 9, "--patience", 2)
    assert more.exit_code == 0 and "no better val_loss in 2 epochs" in more.stdout
    assert len(history(folder)) == 1 + 3
    record = json.loads((folder / "run.json").read_text())
    assert record["options"]["epochs"] == 9 and record["scores"]["best_epoch"] == 1


def test_smoke_takes_two_steps_of_everything_with_a_progress_bar_on_a_terminal(tmp_path):
    words = ["train", "lenet5", "--data", "digits", "--smoke", "--out", tmp_path / "run"]
    out, status = on_a_terminal(words)
    assert status == 0, out
    assert "2/2" in out and "━" in out and "val_loss" in out and "test" in out
    assert int(keraszoo.load(tmp_path / "run" / "last.keras").optimizer.iterations) == 2
    table, _ = on_a_terminal(["list", "lenet5"])
    assert "parameters" in table and "61,706" in table and "…" not in table


def on_a_terminal(words):
    """What a command prints where it thinks that someone is looking, and its exit status."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [*KERASZOO, *map(str, words)], stdout=there, stderr=subprocess.STDOUT, close_fds=True
    )
    os.close(there)
    said = b""
    while True:
        ready, _, _ = select.select([here], [], [], 0.2)
        try:
            chunk = os.read(here, 65536) if ready else b""
        except OSError:  # the other side is closed
            break
        said += chunk
        if not chunk and process.poll() is not None:
            break
    os.close(here)
    return said.decode(), process.wait()


def test_many_labels_at_once_and_another_size(tmp_path):
    words = [
        "train",
        "mlp",
        "--data",
        "shapes",
        "--data-option",
        "labels=presence",
        "--data-option",
        "count=40",
    ]
    done = invoke(
        *words, "--image-size", "16x20", "--preprocessing", "centred", "--smoke", "--out", tmp_path / "run"
    )
    assert done.exit_code == 0, done.output
    model = keraszoo.load(tmp_path / "run" / "best.keras")
    assert model.card["task"] == "multi_label_classification"
    assert model.input_shape == (None, 16, 20, 3)
    # Labels do not compete: their probabilities need not add up to one.
    Image.new("RGB", (20, 16), "red").save(tmp_path / "red.png")
    answer = json.loads(
        invoke("predict", tmp_path / "run" / "best.keras", tmp_path / "red.png", "--json").stdout
    )
    shares = {c["name"]: c["probability"] for c in answer[0]["classes"]}
    logits = model.predict(np.full((1, 16, 20, 3), [255, 0, 0], "uint8"), verbose=0)[0]
    expected = dict(zip(("circle", "square", "triangle"), 1 / (1 + np.exp(-logits)), strict=True))
    assert shares == pytest.approx(expected, abs=1e-5)


def test_a_folder_of_images_trains_a_classifier(tmp_path):
    rng = np.random.default_rng(0)
    for colour, level in (("dark", 20), ("light", 200)):
        (tmp_path / "photos" / colour).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(level, level + 50, (9, 8, 3)).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / colour / f"{i}.png")
    words = ["train", "mlp", "--data", tmp_path / "photos", "--set", "units=(8,)", "--learning-rate", "0.01"]
    done = invoke(*words, "--epochs", 3, "--batch-size", 8, "--seed", 1, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    answers = invoke("predict", tmp_path / "run" / "best.keras", tmp_path / "photos" / "light", "--json")
    names = [answer["classes"][0]["name"] for answer in json.loads(answers.stdout)]
    assert names == ["light"] * 20


# Predicting


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with a digit in many forms, and the digit."""
    folder = tmp_path_factory.mktemp("pictures")
    digit = keraszoo.data.load("digits").test[0][0]
    grey = Image.fromarray(digit[..., 0])
    grey.save(folder / "1_grey.png")
    grey.convert("RGB").save(folder / "2_colour.png")
    Image.fromarray(digit[..., 0].astype("uint16") * 257).save(folder / "3_deep.png")
    turned = Image.Exif()
    turned[0x0112] = 3  # the camera was upside down
    grey.rotate(180).save(folder / "4_turned.png", exif=turned)
    grey.resize((56, 56), Image.NEAREST).save(folder / "5_large.png")
    (folder / "notes.txt").write_text("not an image")
    return folder, digit


def test_predict_says_what_the_model_says(runs, pictures):
    best = runs[1] / "best.keras"
    folder, digit = pictures
    done = invoke("predict", best, folder, "--json", "--top", 3)
    assert done.exit_code == 0, done.output
    answers = json.loads(done.stdout)
    files = [f"{number}.png" for number in ("1_grey", "2_colour", "3_deep", "4_turned", "5_large")]
    assert [answer["input"] for answer in answers] == [str(folder / file) for file in files]
    logits = keraszoo.load(best).predict(digit[None], verbose=0)[0]
    shares = np.exp(logits) / np.exp(logits).sum()
    expected = [(str(i), shares[i]) for i in np.argsort(-shares)[:3]]
    for answer in answers[:4]:
        found = [(c["name"], c["probability"]) for c in answer["classes"]]
        assert [name for name, _ in found] == [name for name, _ in expected]
        np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], atol=1e-5)
    assert done.stderr.count("\n") == 2
    assert "Colours become grey" in done.stderr and "scaled and cut to 28x28" in done.stderr


def test_predict_goes_on_after_a_bad_file(runs, pictures, tmp_path):
    best = runs[1] / "best.keras"
    folder, digit = pictures
    np.save(tmp_path / "digits.npy", np.stack([digit, digit]))
    np.save(tmp_path / "wrong.npy", np.zeros((2, 3)))
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes((folder / "1_grey.png").read_bytes()[:60])
    bad = [tmp_path / "missing.png", tmp_path / "broken.png", folder / "notes.txt", tmp_path / "wrong.npy"]
    process = start(
        "predict", best, *bad, tmp_path / "empty", tmp_path / "digits.npy", folder / "1_grey.png", "--top", 2
    )
    status, out, err = finish(process)
    assert status == 1
    lines = err.splitlines()
    assert len(lines) == 5
    for line, file in zip(lines, [*bad, tmp_path / "empty"], strict=True):
        assert line.startswith(f"{file}: ")
    blocks = [out.splitlines()[i : i + 3] for i in (0, 3, 6)]
    assert [block[0] for block in blocks] == [f"{tmp_path}/digits.npy[{i}]" for i in (0, 1)] + [
        str(folder / "1_grey.png")
    ]
    assert blocks[0][1:] == blocks[1][1:] == blocks[2][1:]
    assert re.fullmatch(r" +\d+\.\d\d%  \d", blocks[0][1]) and len(out.splitlines()) == 9


def test_predict_scales_pixels_for_a_model_without_preprocessing(pictures, tmp_path):
    folder, digit = pictures
    model = keraszoo.build("mlp", units=(4,), seed=0)
    model.save(tmp_path / "bare.keras")
    done = invoke("predict", tmp_path / "bare.keras", folder / "1_grey.png", "--json", "--top", 10)
    assert "scaled from 0..255 to [0, 1]" in done.stderr
    logits = model.predict(digit[None] / 255, verbose=0)[0]
    found = {c["name"]: c["probability"] for c in json.loads(done.stdout)[0]["classes"]}
    shares = np.exp(logits) / np.exp(logits).sum()
    assert found == pytest.approx({str(i): shares[i] for i in range(10)}, abs=1e-5)
    flat = keraszoo.build("mlp", input_shape=(3,), units=(), num_classes=2)
    flat.save(tmp_path / "flat.keras")
    done = invoke("predict", tmp_path / "flat.keras", folder / "1_grey.png")
    assert done.exit_code == 1 and "takes (batch, 3), no images" in done.stderr
    stock = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    stock.save(tmp_path / "stock.keras")
    done = invoke("predict", tmp_path / "stock.keras", folder / "1_grey.png")
    assert done.exit_code == 2 and "does not hold a classifier made by keraszoo.build" in done.stderr


# The doctor


def levels(found):
    return {(level, subject) for level, subject, _ in found}


def test_the_doctor_finds_this_installation_well(tmp_path):
    (tmp_path / "digits_of_mine").mkdir()
    status, out, err = finish(start("doctor", KERASZOO_DATA=tmp_path, KERAS_BACKEND=BACKEND))
    assert (status, err) == (0, ""), out
    assert re.search(rf"^ok +backend +{BACKEND} \(the environment variable KERAS_BACKEND\)$", out, re.M)
    assert re.search(rf"^ok +keras +{keras.version()}$", out, re.M)
    assert re.search("^ok +devices +.*cpu", out, re.M | re.I) and "digits_of_mine" in out


def test_the_doctor_names_what_is_broken(monkeypatch, tmp_path):
    versions = {
        "keras": "3.9.0",
        "tf-keras": "2.20",
        "jax": "0.10.2",
        "tensorflow": "2.21",
        "tensorflow-cpu": "2.21",
    }
    monkeypatch.setattr(doctor_module, "version", versions.get)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert levels(doctor_module.keras_findings()) == {("broken", "keras"), ("note", "tf-keras")}
    found = levels(doctor_module.backend_findings())
    assert {("broken", "tensorflow"), ("broken", "jaxlib"), ("broken", "backend"), ("note", "torch")} <= found
    versions["jaxlib"] = "0.10.1"
    assert ("note", "jaxlib") in levels(doctor_module.backend_findings())
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    assert ("broken", "backend") in levels(doctor_module.backend_findings())
    monkeypatch.setenv("KERASZOO_DATA", str(tmp_path / "missing"))
    assert levels(doctor_module.data_findings()) == {("broken", "data")}
    assert levels(doctor_module.extras_findings()) == {
        ("note", e) for e in ("[benchmark]", "[demo]", "[hub]", "[tensorboard]", "[test]", "[tfds]")
    }
    assert invoke("doctor").exit_code == 1


def test_the_doctor_survives_a_backend_that_does_not(monkeypatch, tmp_path):
    (tmp_path / f"{OTHER}.py").write_text("raise OSError('the driver is on fire')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ((level, subject, text),) = doctor_module.device_findings(OTHER)
    assert (level, subject) == ("broken", "devices") and "the driver is on fire" in text


def test_the_doctor_knows_why_a_backend_is_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delitem(sys.modules, "keras")

    def chosen():
        monkeypatch.setattr(keraszoo, "CHOSEN_BY", keraszoo.choose_backend())
        return doctor_module.choice()

    assert chosen() == ("tensorflow", "Keras' own default")
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert chosen() == ("torch", str(tmp_path / "keras.json"))
    (tmp_path / "keras.json").write_text("{")
    assert chosen() == ("tensorflow", "Keras' own default")
    monkeypatch.setattr(keraszoo, "installed", lambda package: package == "jax")
    backend, why = chosen()
    assert backend == "jax" and "tensorflow is not installed, and jax is the first that is" in why
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert chosen() == ("torch", "the environment variable KERAS_BACKEND")


def test_a_game_is_trained_like_anything_else(tmp_path):
    run = tmp_path / "run"
    done = invoke("train", "dcgan", "--data", "digits", "--smoke", "--set", "filters=2", "--out", run)
    assert done.exit_code == 0, done.output
    assert "generator loss" in done.output and "sample(25)" in done.output
    assert {"best.keras", "last.keras", "history.csv", "curves.png", "run.json"} <= {
        p.name for p in run.iterdir()
    }
    given_back = invoke("train", "autoencoder", "--data", "digits", "--smoke", "--out", tmp_path / "code")
    assert given_back.exit_code == 0, given_back.output
    assert "validation" in given_back.output and "reconstruct(images)" in given_back.output
    wrong = invoke("train", "gan", "--data", "digits", "--out", tmp_path / "other")
    assert wrong.exit_code == 2
    assert "gan learns from points; digits holds data for image_classification" in wrong.output


# Texts


def test_texts_are_trained_on_and_predicted_from(tmp_path):
    run, sizes = tmp_path / "run", ["--set", "units=8", "--set", "embed_dim=8", "--batch-size", 8]
    done = invoke("train", "gru", "--data", "requests", "--smoke", *sizes, "--vocabulary", 40, "--out", run)
    assert done.exit_code == 0, done.output
    assert len(keraszoo.load(run / "best.keras").tokenizer) == 40
    (tmp_path / "lines.txt").write_text("play some jazz\n\nwake me at six\n")
    done = invoke(
        "predict", run / "best.keras", "will it rain in Oslo", tmp_path / "lines.txt", "--json", "--top", 2
    )
    answers = json.loads(done.stdout)
    assert [a["input"] for a in answers] == ["will it rain in Oslo", "play some jazz", "wake me at six"]
    assert all(
        len(a["classes"]) == 2
        and {c["name"] for c in a["classes"]} < set(keraszoo.data.load("requests").class_names)
        for a in answers
    )
    (tmp_path / "latin.txt").write_bytes("Käse".encode("latin-1"))
    done = invoke("predict", run / "best.keras", tmp_path / "latin.txt")
    assert done.exit_code == 2 and "not written in utf-8" in done.stderr

    tags = tmp_path / "tags"
    done = invoke("train", "gru", "--data", "apples", "--smoke", *sizes, "--out", tags)
    assert done.exit_code == 0, done.output
    done = invoke("predict", tags / "best.keras", "I like eating apple")
    assert [line.split()[1] for line in done.stdout.splitlines()[1:]] == ["I", "like", "eating", "apple"]
    done = invoke("train", "mlp", "--data", "requests", "--out", tmp_path / "no")
    assert done.exit_code == 2 and "mlp is for classification; requests holds texts" in done.stderr


def test_translators_and_language_models_are_trained_and_asked(tmp_path):
    sizes = ["--set", "units=8", "--set", "depth=1", "--batch-size", 8]
    run = tmp_path / "numbers"
    small = ["--set", "embed_dim=8", "--set", "length=12"]
    done = invoke("train", "seq2seq", "--data", "number_words", "--smoke", *sizes, *small, "--out", run)
    assert done.exit_code == 0 and "best epoch: 1 of 1" in done.stdout, done.output
    done = invoke("predict", run / "best.keras", "105", "--json")
    (answer,) = json.loads(done.stdout)
    assert answer["input"] == "105" and set(answer["text"].split()) <= set(
        keraszoo.load(run / "best.keras").tokenizers[1].tokens
    )

    tokenizer = keraszoo.text.Tokenizer.learn(["to be or not to be"])
    speaker = keraszoo.build("rnn_language_model", vocabulary=tokenizer, units=8, depth=1)
    speaker.save(tmp_path / "speaker.keras")
    done = invoke("predict", tmp_path / "speaker.keras", "to be")
    assert (
        done.exit_code == 0 and done.stdout.splitlines()[0] == "to be" and len(done.stdout.splitlines()) == 2
    )


def test_predict_gives_numbers_neighbours_and_tags_of_a_net_that_hears_itself(tmp_path):
    words = keraszoo.text.Tokenizer.learn(["to be or not to be"])

    def asked(name, *inputs, **config):
        model = keraszoo.build(name, seed=0, **config)
        model.save(tmp_path / "model.keras")
        done = invoke("predict", tmp_path / "model.keras", *inputs, "--json", "--top", 2)
        assert done.exit_code == 0, done.output
        lines = invoke("predict", tmp_path / "model.keras", *inputs, "--top", 2).stdout.splitlines()
        assert lines[0] == json.loads(done.stdout)[0]["input"]
        return model, json.loads(done.stdout)[0], lines[1:]

    read = dict(vocabulary=words, embed_dim=4)
    model, answer, lines = asked("word2vec_cbow", "be", window=1, **read)
    near = [(said["word"], said["cosine"]) for said in answer["words"]]
    assert near == [(word, pytest.approx(cosine, abs=1e-6)) for word, cosine in model.nearest("be", 2)]
    assert [line.split()[1] for line in lines] == [word for word, _ in near]
    done = invoke("predict", tmp_path / "model.keras", "bee")
    assert done.exit_code == 2 and "word='bee' is no word that" in done.stderr

    model, answer, lines = asked("gru", "to be", input_shape=(None,), num_values=3, units=2, **read)
    np.testing.assert_allclose(answer["values"], model.predict(["to be"], verbose=0)[0], rtol=1e-5)
    np.testing.assert_allclose(np.array(lines[0].split(), float), answer["values"], rtol=1e-5)
    steps = dict(return_sequences=True, num_values=1, units=2)
    model, answer, lines = asked("gru", "to be", input_shape=(None,), **steps, **read)
    assert [step["token"] for step in answer["steps"]] == [line.split()[0] for line in lines] == ["to", "be"]
    said = [step["values"] for step in answer["steps"]]
    np.testing.assert_allclose(said, model.predict(["to be"], verbose=0)[0], rtol=1e-5)

    names = ["verb", "other"]
    model, answer, _ = asked("jordan_rnn", "to be", input_shape=(None,), class_names=names, units=2, **read)
    said = model.predict(["to be"], verbose=0)[0]
    assert [tag["tag"] for tag in answer["tags"]] == [names[i] for i in said.argmax(-1)]
    shares = np.exp(said.max(-1)) / np.exp(said).sum(-1)
    np.testing.assert_allclose([tag["probability"] for tag in answer["tags"]], shares, rtol=1e-5)

    np.save(tmp_path / "rows.npy", np.zeros((1, 4, 2), "float32"))
    model, answer, _ = asked("gru", tmp_path / "rows.npy", input_shape=(4, 2), num_values=3, units=2)
    said = model.predict(np.zeros((1, 4, 2), "float32"), verbose=0)[0]
    np.testing.assert_allclose(answer["values"], said, atol=1e-6)
    keraszoo.build("gan").save(tmp_path / "model.keras")
    done = invoke("predict", tmp_path / "model.keras", tmp_path / "rows.npy")
    assert done.exit_code == 2 and "does not hold a classifier" in done.stderr
