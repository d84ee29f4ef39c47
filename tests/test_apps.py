"""The apps run as their first lines say, in small."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RUNS = {
    "adapt.py": (
        ["--embed-dim", "8", "--pretrain-epochs", "1", "--epochs", "1", "--test", "20"],
        ["in_full.keras", "rank_4.keras", "checkpoint/model.keras", "comparison.csv"],
        "rank 4: 292 of",
    ),
    "recognise_digits.py": (["--epochs", "2"], ["lenet5.keras", "predictions.png"], "test accuracy"),
    "classify_images.py": (
        ["--model", "mlp", "--data", "digits", "--epochs", "1"],
        ["best.keras", "curves.png", "confusion.png", "mistakes.png"],
        "test accuracy",
    ),
    "classify_text.py": (
        ["--count", "64", "--units", "4", "--epochs", "1", "--model", "gru"],
        ["model.keras", "curves.png", "history.csv", "confusion.png"],
        "logistic regression on counts",
    ),
    "degradation.py": (
        ["--depths", "8", "14", "--filters", "2", "2", "4", "--epochs", "2", "--count", "128"],
        ["degradation.png", "degradation.csv"],
        "training error",
    ),
    "compress_images.py": (
        [
            *("--models", "variational_autoencoder", "denoising_autoencoder", "face_swap_autoencoder"),
            *("--count", "96", "--epochs", "1", "--filters", "2", "--code", "4"),
        ],
        [
            *("reconstructions.png", "codes.png", "denoised.png", "swapped.png", "samples.png"),
            *("variational_autoencoder.keras", "face_swap_autoencoder.keras"),
        ],
        "noisy images",
    ),
    "fill_the_blank.py": (
        ["--count", "60", "--embed-dim", "8", "--epochs", "1", "--labels", "8", "--tune-epochs", "1"]
        + ["--tasks", "apples", "wishes"],
        [
            *("model.keras", "filled.txt", "curves.png", "history.csv", "comparison.png", "comparison.csv"),
            *("apples.keras", "wishes.keras"),
        ],
        "from scratch",
    ),
    "generate_images.py": (
        ["--model", "conditional_gan", "--filters", "2", "--batch-size", "512", "--epochs", "2"],
        ["model.keras", "losses.png", "images/film.gif", "history.csv"],
        "real against real",
    ),
    "remember.py": (
        ["--nets", "simple_rnn", "--problems", "copying", "--lags", "4", "--steps", "4"],
        ["remember.png", "remember.csv"],
        "share of symbols recalled",
    ),
    "forecast.py": (
        ["--window", "6", "--units", "4", "--epochs", "1", "--model", "simple_rnn"],
        ["model.keras", "forecast.png"],
        "the last value: mean absolute error",
    ),
    "learn_a_curve.py": (
        ["--ahead", "1", "--epochs", "2", "--every", "1", "--balance", "5"],
        ["model.keras", "losses.png", "points/film.gif"],
        "mean |y - sin x|",
    ),
    "masked_autoencoder.py": (
        ["--depth", "1", "--patch-size", "7", "--count", "64", "--labels", "20", "--epochs", "2"]
        + ["--tune-epochs", "2"],
        ["model.keras", "comparison.png", "comparison.csv", "hidden_75_seed_0/film.gif"],
        "from scratch: test accuracy",
    ),
    "model_language.py": (
        ["--count", "4000", "--orders", "3", "--units", "4", "--epochs", "1", "--length", "9"],
        [
            *("perplexities.png", "perplexities.csv", "samples.txt", "neural_ngram/curves.png"),
            *("neural_ngram/model.keras", "rnn_language_model/model.keras"),
        ],
        "3-gram, kneser ney",
    ),
    "read_trees.py": (
        ["--count", "64", "--units", "8", "--epochs", "2"],
        ["model.keras", "curves.png", "sentence.png"],
        "bag of words",
    ),
    "reconstruct_scene.py": (
        ["--image-size", "16", "16", "--units", "16", "--samples", "6", "6", "--epochs", "1", "--frames", "3"]
        + ["--resolution", "16", "--threshold", "0.01"],
        [
            *("cameras.png", "views/epoch_0001.png", "held_out.png", "orbit.gif", "orbit.mp4", "depth.mp4"),
            *("mesh.ply", "mesh.obj", "model.keras", "history.csv", "curves.png"),
        ],
        "Chamfer distance from the true surface",
    ),
    "show_attention.py": (["--epochs", "1", "--count", "2"], ["model.keras", "attention.png"], "image 2:"),
    "segment_images.py": (
        ["--filters", "2", "4", "--count", "32", "--epochs", "2"],
        ["unet/model.keras", "unet/curves.png", "unet/history.csv", "overlays/film.gif", "worst.png"],
        "IoU of circle",
    ),
    "summarise.py": (
        ["--count", "64", "--test", "10", "--embed-dim", "8", "--epochs", "1", "--beams", "2"],
        ["model.keras", "curves.png", "history.csv", "said.txt", "comparison.csv", "attention.png"],
        "first sentence",
    ),
    "tag_words.py": (
        ["--count", "48", "--units", "4", "--epochs", "2", "--model", "gru"],
        ["tags.png", "in_both_directions/model.keras", "from_left_to_right/curves.png"],
        "each word's most frequent tag",
    ),
    "translate.py": (
        ["--model", "transformer_tiny", "--count", "200", "--test", "20", "--units", "16", "--epochs", "1"]
        + ["--beams", "2"],
        [
            *("attention.png", "heads_cross.png", "heads_source.png", "heads_target.png", "comparison.csv"),
            *("with_attention/model.keras", "without_attention/curves.png", "with_attention/said.txt"),
            *("transformer_tiny/model.keras", "transformer_tiny/history.csv"),
        ],
        "with attention",
    ),
    "word_vectors.py": (
        ["--count", "600", "--epochs", "2", "--every", "2", "--embed-dim", "8"],
        ["model.keras", "curves.png", "map.png"],
        "analogies:",
    ),
    "write_text.py": (
        ["--count", "4000", "--embed-dim", "12", "--depth", "1", "--context", "16", "--epochs", "2"]
        + ["--kind", "bpe", "--length", "9"],
        ["model.keras", "curves.png", "written.txt"],
        "nats per character",
    ),
    "translate_images.py": (
        ["--model", "cyclegan", "--filters", "2", "--count", "64", "--batch-size", "32", "--epochs", "2"],
        ["model.keras", "losses.png", "translations.png", "translations/film.gif", "history.csv"],
        "of doing nothing",
    ),
}


def test_every_app_is_run_here():
    assert {file.name for file in (ROOT / "apps").glob("*.py")} == set(RUNS)


@pytest.mark.parametrize("app", RUNS)
def test_app(app, tmp_path):
    arguments, files, said = RUNS[app]
    done = subprocess.run(
        [sys.executable, str(ROOT / "apps" / app), *arguments, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout
    assert done.stderr == "", "a normal run prints no framework's log lines"
    for name in files:
        assert (tmp_path / "out" / name).stat().st_size > 1000 or name.endswith((".csv", ".txt"))


def test_help_helps():
    for app in RUNS:
        done = subprocess.run(
            [sys.executable, str(ROOT / "apps" / app), "--help"], capture_output=True, text=True
        )
        assert done.returncode == 0 and "--out" in done.stdout


def test_what_is_not_installed_is_named_before_anything_is_learned(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'sacrebleu' else found(name, *rest)\n"
    )
    done = subprocess.run(
        [sys.executable, str(ROOT / "apps" / "translate.py"), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1 and done.stdout == "" and not (tmp_path / "out").exists()
    assert done.stderr == "BLEU needs sacrebleu, which is not installed: pip install keraszoo[demo]\n"
