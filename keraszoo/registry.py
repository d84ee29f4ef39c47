"""Names to architectures. The one place that knows which models exist.

The arguments of `@register` are literals (numbers, strings, tuples, `dict(...)`, and module-level
constants made of those), so the whole shelf can be read from the source with `ast`: listing the
models imports neither Keras nor a backend.
"""

import ast
import difflib
import fnmatch
import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Entry:
    """One name on the shelf, as its file declares it."""

    name: str
    family: str  # the file in keraszoo/models that holds it
    builder: str  # the function or class in that file
    size: dict  # what the name fixes: {"embed_dim": 768, ...} for "vit_base"
    task: str  # a key of keraszoo.tasks.TASKS
    paper: str
    tiny: dict  # shrinks sizes, never structure: every code path is still walked
    parameters: int | None  # trainable parameters of the reference, where there is one
    recipe: dict  # what the paper's training changes in the task's optimizer
    tasks: tuple[str, ...] = ()  # what else the builder makes models for, by its argument `task`

    def load(self) -> Callable:
        """Import the family's file and return the builder."""
        return getattr(importlib.import_module(f"keraszoo.models.{self.family}"), self.builder)


def register(names, *, task, paper, tiny, parameters=None, recipe=None, tasks=()):
    """Decorator: put a builder on the shelf, under one name or a dict of named sizes.

    Args:
        names: A name, or a dict from names to the arguments that each name fixes.
        task: What the model is for: a key of `keraszoo.tasks.TASKS`.
        paper: Address of the paper.
        tiny: Arguments of the smallest honest version: they shrink sizes, never structure.
        parameters: Trainable parameters of the reference with the default arguments: a number, or
            a dict from names to numbers. None where the literature leaves the size open.
        recipe: Arguments of the optimizer that differ from the task's, such as `learning_rate`.
        tasks: Further tasks, if the builder has an argument `task`.
    """

    def shelve(builder):
        # Nothing is stored: `shelf()` reads these very arguments from the source.
        builder.__registered__ = dict(
            names=names,
            task=task,
            paper=paper,
            tiny=tiny,
            parameters=parameters,
            recipe=recipe,
            tasks=tasks,
        )
        return builder

    return shelve


@functools.cache
def shelf() -> dict[str, Entry]:
    """Every registered name and its `Entry`, read from the sources without importing them."""
    found = {}
    for file in sorted(MODELS.glob("*.py")):
        for entry in read(file):
            if entry.name in found:
                raise ValueError(
                    f"{entry.name!r} is registered twice: in {found[entry.name].family}.py and in {file.name}."
                )
            found[entry.name] = entry
    return found


def read(file):
    """The entries that one file of models declares."""
    constants = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                constants[node.targets[0].id] = literal(node.value, constants)
            except ValueError:
                pass  # a constant that is computed: `@register` cannot use it, and says so below
        for call in getattr(node, "decorator_list", []):
            if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "register":
                yield from entries(call, file.stem, node.name, constants)


def entries(call, family, builder, constants):
    """The entries of one `@register(...)`."""
    names = literal(call.args[0], constants)
    given = {keyword.arg: literal(keyword.value, constants) for keyword in call.keywords}
    sizes = names if isinstance(names, dict) else {names: {}}
    counts = given.pop("parameters", None)
    recipe = given.pop("recipe", None) or {}
    for name, size in sizes.items():
        count = counts[name] if isinstance(counts, dict) else counts
        yield Entry(name, family, builder, size, parameters=count, recipe=recipe, **given)


def literal(node, constants):
    """The value of an expression made of literals, `dict(...)` and constants of its module."""
    match node:
        case ast.Name(id=name) if name in constants:
            return constants[name]
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            return {k.arg: literal(k.value, constants) for k in keywords}
        case ast.Dict(keys=keys, values=values):
            return {literal(k, constants): literal(v, constants) for k, v in zip(keys, values, strict=True)}
        case ast.Tuple(elts=items):
            return tuple(literal(item, constants) for item in items)
        case _:
            return ast.literal_eval(node)  # ValueError for anything that is computed


def names(pattern=None, task=None, family=None):
    """Sorted names of the shelf; see `keraszoo.list_models`."""
    return sorted(
        entry.name
        for entry in shelf().values()
        if (pattern is None or fnmatch.fnmatchcase(entry.name, pattern))
        and (task is None or task in (entry.task, *entry.tasks))
        and (family is None or entry.family == family)
    )


def entry(name):
    """The `Entry` called `name`.

    Raises:
        ValueError: No architecture has that name; the message gives the nearest ones.
    """
    if name not in shelf():
        raise ValueError(
            f"No architecture is called {name!r}. {nearest(name, shelf(), 'keraszoo.list_models()')}"
        )
    return shelf()[name]


def nearest(word, known, otherwise):
    """'Did you mean ...?' for a misspelt `word`; where nothing is near, where to look."""
    near = difflib.get_close_matches(str(word), list(known))
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else f"See {otherwise}."
