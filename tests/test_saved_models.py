"""The trained models in saved_models/ say on every backend what they said when they were made."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import keraszoo

FOLDER = Path(__file__).parents[1] / "saved_models"
FILES = sorted(FOLDER.glob("*.keras"))


def test_there_are_some_and_they_are_small():
    assert FILES
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 5e6


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_repeats_its_answers(file):
    model = keraszoo.load(file)
    with np.load(file.with_suffix(".npz")) as held:
        x, y, expected = held["x"], held["y"], held["predictions"]
    found = model.predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4)
    assert (found.argmax(axis=1) == y).mean() > 0.6
    assert len(model.card["class_names"]) == expected.shape[1]
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()


def test_the_table_tells_what_was_noted():
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    assert set(make.RECIPES) == {file.stem for file in FILES}
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == make.table()
    for file in FILES:
        assert json.loads(file.with_suffix(".json").read_text())["accuracy"] > 0.8
