"""The floor plan, checked. Each room may lean on the rooms below it and on nothing above."""

import ast
import importlib
from pathlib import Path

import pytest

from keraszoo import registry

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "keraszoo"
FLOORS = [
    {"backend"},
    {"layers", "text"},
    {"architecture", "training", "tasks", "registry"},
    {"data", "models"},
    {"weights", "callbacks", "diagnostics"},
    {"front", "hub"},
    {"cli", "__main__"},
]

FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FILES = [f for f in HOUSE.rglob("*.py") if f.parent != HOUSE or f.stem != "__init__"]


def imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(HOUSE)))
def test_leans_only_on_lower_floors(file):
    here = FLOOR[file.relative_to(HOUSE).parts[0].removesuffix(".py")]
    for name in imports(file):
        if here > 0:  # only the ground floor, backend/, may import one
            assert name.split(".")[0] not in {"tensorflow", "torch", "jax"}, f"{name}: a backend indoors"
            assert not name.startswith("keras.src"), f"{name}: private to Keras"
        if name.startswith("keraszoo."):
            assert FLOOR[name.split(".")[1]] <= here, f"{name} is upstairs"


@pytest.mark.parametrize("file", sorted((HOUSE / "models").glob("[!_]*.py")), ids=lambda f: f.stem)
def test_the_shelf_read_from_source_is_the_shelf_that_python_sees(file):
    module = importlib.import_module(f"keraszoo.models.{file.stem}")
    entries = [e for e in registry.shelf().values() if e.family == file.stem]
    assert entries, f"{file.name} registers nothing"
    for entry in entries:
        builder = entry.load()
        said = builder.__registered__
        sizes = said["names"] if isinstance(said["names"], dict) else {said["names"]: {}}
        counts = said["parameters"]
        assert builder is getattr(module, entry.builder)
        assert entry.size == sizes[entry.name]
        assert entry.parameters == (counts[entry.name] if isinstance(counts, dict) else counts)
        assert (entry.task, entry.paper, entry.tiny, entry.recipe) == (
            said["task"],
            said["paper"],
            said["tiny"],
            said["recipe"] or {},
        )
    registered = {b for b in vars(module).values() if hasattr(b, "__registered__")}
    assert {e.load() for e in entries} >= {b for b in registered if b.__module__ == module.__name__}
