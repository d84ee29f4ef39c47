"""Build, describe and load: the top floor, where every room below may be reached."""

import inspect
import json
import math
import shutil
import tempfile
import textwrap
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import keras

from keraszoo import hub, registry
from keraszoo import weights as reference
from keraszoo.architecture import Network
from keraszoo.layers.preprocessing import preprocessing as prepare
from keraszoo.tasks import TASKS
from keraszoo.text.checkpoints import from_checkpoint
from keraszoo.text.tokenizer import Tokenizer
from keraszoo.training.fitting import Fitting, portable


def build(
    name,
    *,
    weights=None,
    seed=None,
    task=None,
    preprocessing=None,
    class_names=None,
    vocabulary=None,
    max_length=None,
    too_long="truncate",
    **config,
):
    """Build an architecture, compiled with the defaults of its task, ready for `.fit`.

    Args:
        name: One of `keraszoo.list_models()`; or "hub:" and a preset of keras-hub, see `keraszoo.hub.build`.
        weights: A `.keras` or `.weights.h5` file of ours, or the folder or Hub id of a reference
            checkpoint (safetensors with its `config.json`, which fixes the sizes not given here).
        seed: Makes the initial weights, dropout and the order of data in `fit` repeatable: calls
            `keras.utils.set_random_seed`.
        task: What the model is for, where it can serve more than its usual task, or that of the checkpoint in
            `weights`: "multi_label_classification" for a classifier, "text_classification" for BERT.
        preprocessing: A layer at the model's front, saved with it: "unit" takes raw images from
            0..255 to [0, 1], "centred" to [-1, 1], "imagenet" to ImageNet's mean 0 and deviation
            1; or a Keras layer, or a list of these. By default the model takes prepared floats.
        class_names: Names of the classes, kept in the saved file; fixes `num_classes`. By default those of the checkpoint
            in `weights`, if it names them.
        vocabulary: A `keraszoo.text.Tokenizer`, or several for models that read in one language and write in another:
            `fit`, `evaluate` and `predict` then take text. It is kept in the saved file, and fixes `vocabulary_size`.
            By default that of the checkpoint in `weights`, if there is one.
        max_length: Tokens of a text that are read at most; any number by default.
        too_long: "truncate" cuts longer texts off, with a warning; "refuse" raises a ValueError.
        **config: Anything the builder accepts; wins over what the name fixes.

    Returns:
        A compiled, built `keras.Model`.

    Raises:
        ValueError: `name` is unknown, an argument has a value that the architecture cannot take,
            or `weights` do not fit.
        TypeError: The builder has no such argument; the message names the nearest ones.

    >>> keraszoo.build("lenet5", input_shape=(32, 32, 3), num_classes=5).output_shape
    (None, 5)
    """
    if str(name).startswith(hub.PREFIX):
        return hub.build(
            name,
            weights=weights,
            seed=seed,
            task=task,
            preprocessing=preprocessing,
            class_names=class_names,
            vocabulary=vocabulary,
            max_length=max_length,
            too_long=too_long,
            **config,
        )
    found = registry.entry(name)
    folder = None
    if weights is not None and not str(weights).endswith((".keras", ".h5")):
        folder = reference.locate(weights)
        own = reference.task(found.family, folder)
        task = task or own
        if class_names is None and task == own:
            class_names = reference.class_names(found.family, folder)
        vocabulary = own_or_given(folder, vocabulary)
    purpose = chosen_task(found, task)
    if class_names is not None:
        class_names = [str(c) for c in class_names]
        if config.setdefault("num_classes", len(class_names)) != len(class_names):
            raise ValueError(
                f"class_names has {len(class_names)} names, but num_classes is {config['num_classes']}."
            )
    tokenizers = readers(vocabulary, config, exact=folder is None)
    if too_long not in ("truncate", "refuse"):
        raise ValueError(f'too_long must be "truncate" or "refuse", got {too_long!r}.')
    builder, arguments = found.load(), {**found.size, **config}
    check_arguments(name, builder, arguments)
    if folder is not None:
        size = {**found.size, **reference.defaults(found.family, folder)}
        arguments = merge(reference.arguments(found.family, folder), size, config, folder, builder)
        check_arguments(name, builder, arguments)
        check_room(tokenizers, arguments, folder)
    if found.tasks:
        arguments["task"] = task or found.task
    arguments = {**special_tokens(builder, tokenizers), **arguments}
    if seed is not None:
        keras.utils.set_random_seed(seed)

    model = builder(**{"name": name, **arguments})
    if not isinstance(model, Fitting):
        model = Network(model.input, model.output, name=model.name)
    if folder is not None:
        reference.load(model, found.family, folder)
    if preprocessing is not None:
        model = with_front(model, preprocessing)
    model.card = dict(
        architecture=name,
        task=task or found.task,
        images=isinstance(model.input_shape, tuple) and len(model.input_shape) == 4,
        preprocessing=preprocessing is not None,
        class_names=class_names,
    )
    whole = {**defaults(builder), **arguments}
    if size := whole.get("vocabulary_size"):
        context = whole.get("context")
        most = min(filter(None, (max_length, context)), default=None)
        model.card |= dict(tokens=as_plain(size), max_length=most, too_long=too_long)
        model.card |= dict(context=context) if context else {}
    model.tokenizers = tokenizers
    recipe = found.recipe if task in (None, found.task) else plain(found.recipe)
    model.compile(**purpose.scoring(whole, **recipe))
    if weights is not None and folder is None:
        load_own_weights(model, Path(weights))
    return model


def own_or_given(folder, vocabulary):
    """The tokenizer of a checkpoint, or the one that was given for it.

    Raises:
        ValueError: There are both, and they differ.
    """
    own = from_checkpoint(folder)
    if own is None or vocabulary is None:
        return own if vocabulary is None else vocabulary
    given = vocabulary[0] if isinstance(vocabulary, (list, tuple)) else vocabulary
    if isinstance(given, Tokenizer) and given.tokens != own.tokens:
        raise ValueError(
            f"vocabulary has {len(given)} tokens, and is not the tokenizer of the checkpoint in {folder}, which has "
            f"{len(own)}: the weights know the numbers of their own only. Leave vocabulary out to take that."
        )
    return vocabulary


def check_room(tokenizers, arguments, folder):
    """Refuse a tokenizer with more tokens than a checkpoint has vectors for."""
    size = arguments.get("vocabulary_size")
    if tokenizers and isinstance(size, int) and len(tokenizers[0]) > size:
        raise ValueError(
            f"vocabulary has {len(tokenizers[0])} tokens, but the checkpoint in {folder} has vectors for {size}: "
            "tokenizer and weights do not belong together."
        )


def special_tokens(builder, tokenizers):
    """Builder arguments that a tokenizer fixes: the numbers of special tokens that the network looks for."""
    known = inspect.signature(builder).parameters
    roles = {"padding": "pad", "separator": "end"} if len(tokenizers) == 1 else {}
    return {word: getattr(tokenizers[0], role) for word, role in roles.items() if word in known}


def readers(vocabulary, config, exact=True):
    """The tokenizers in `vocabulary`; they fix the vocabulary size in `config`, unless a checkpoint does (not `exact`).

    Raises:
        ValueError: The size was given, too, and differs.
        TypeError: They are no tokenizers.
    """
    if vocabulary is None:
        return ()
    several = isinstance(vocabulary, (list, tuple))
    found = tuple(vocabulary) if several else (vocabulary,)
    for each in found:
        if not isinstance(each, Tokenizer):
            raise TypeError(
                f"vocabulary must be a keraszoo.text.Tokenizer, got {type(each).__name__}: "
                "keraszoo.text.Tokenizer.learn(texts) makes one."
            )
    size = tuple(map(len, found)) if several else len(vocabulary)
    if exact and config.setdefault("vocabulary_size", size) != size:
        raise ValueError(f"vocabulary has {size} tokens, but vocabulary_size is {config['vocabulary_size']}.")
    return found


def chosen_task(found, task):
    """The `Task` for an entry, its own or another that it can serve."""
    if task is None or task == found.task:
        return TASKS[found.task]
    if task in found.tasks:
        return TASKS[task]
    if task not in TASKS or found.task not in TASKS[task].stands_in_for:
        possible = [found.task, *found.tasks, *(t for t, v in TASKS.items() if found.task in v.stands_in_for)]
        raise ValueError(
            f"{found.name} cannot be built for task={task!r}; it serves {' or '.join(map(repr, possible))}."
        )
    return TASKS[task]


def plain(recipe):
    """A recipe without the loss that belongs to the usual task."""
    return {key: value for key, value in recipe.items() if key != "loss"}


def check_arguments(name, builder, arguments):
    """Refuse arguments that the builder does not have."""
    known = {
        word: p for word, p in inspect.signature(builder).parameters.items() if p.kind is not p.VAR_KEYWORD
    }
    for word in arguments:
        if word not in (*known, "name"):
            hint = registry.nearest(word, known, f"keraszoo.describe({name!r})")
            raise TypeError(f"{name} has no argument {word!r}. {hint} It takes: {', '.join(known)}.")


def merge(fixed, size, config, folder, builder):
    """Builder arguments from a checkpoint's configuration and from the caller, who may not contradict it.

    None inside a tuple of the checkpoint's is open: `(None, None, 3)` fixes the channels of an image.
    """
    usually = defaults(builder)
    merged = {**size, **config}
    for word, value in fixed.items():
        if isinstance(value, tuple) and None in value:
            usual = config.get(word, size.get(word, usually.get(word)))
            value = tuple(u if v is None else v for v, u in zip(value, usual, strict=True))
        if word in config and as_plain(config[word]) != as_plain(value):
            raise ValueError(
                f"{word}={config[word]!r} contradicts the checkpoint in {folder}, which has {word}={fixed[word]!r}."
            )
        merged[word] = value
    return merged


def defaults(builder):
    """What a builder's arguments are where they are not given; those that must be are left out."""
    known = inspect.signature(builder).parameters.values()
    return {p.name: p.default for p in known if p.default is not p.empty}


def as_plain(value):
    return [as_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def with_front(model, choice):
    """The same network with a preprocessing layer before its first."""
    if not isinstance(model, Network) or not isinstance(model.input_shape, tuple):
        raise ValueError(f"{model.name} is not a network of one input, so it takes no preprocessing.")
    *_, channels = model.input_shape
    image = keras.Input(model.input_shape[1:], name=model.inputs[0].name)
    outputs = keras.Function(model.input, model.output).call(prepare(choice, channels)(image))
    return type(model)(image, outputs, name=model.name)


def load_own_weights(model, path):
    """Weights from a file of ours; from a whole model, everything but the optimizer."""
    if not path.is_file():
        raise ValueError(f"weights={str(path)!r}: there is no such file.")
    try:
        if path.suffix == ".keras":
            model.set_weights(load(path).get_weights())
        else:
            model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"weights={str(path)!r} do not fit {model.name}: {error}") from error


@dataclass(frozen=True)
class Card:
    """What is known of one registered name; prints as a readable card."""

    name: str
    family: str
    task: str
    paper: str
    summary: str
    departures: str | None
    parameters: int  # trainable, with the default arguments
    reference_parameters: int | None  # of the reference, where there is one
    input: str
    output: str
    signature: str
    size: dict  # what the name fixes
    recipe: dict
    tiny: dict

    def __str__(self):
        count = f"{self.parameters:,} trainable"
        if self.reference_parameters is not None:
            count += f" (reference: {self.reference_parameters:,})"
        lines = [
            f"{self.name}: {self.summary}",
            f"  task        {self.task}",
            f"  paper       {self.paper}",
            f"  parameters  {count}",
            f"  input       {self.input}",
            f"  output      {self.output}",
            f"  build       keraszoo.build({self.name!r}, ...) takes {self.signature}",
        ]
        if self.departures:
            lines.append("  departures  " + textwrap.fill(self.departures, 96, subsequent_indent=" " * 14))
        return "\n".join(lines)


def describe(name):
    """What is known of the architecture called `name`, as a `Card`: `print` it to read it.

    Nothing is allocated: the default configuration is built without its weights.

    Raises:
        ValueError: `name` is unknown.
    """
    found = registry.entry(name)
    builder = found.load()
    model = abstract(builder, found.size)
    return Card(
        name=name,
        family=found.family,
        task=found.task,
        paper=found.paper,
        summary=inspect.getdoc(builder).splitlines()[0],
        departures=departures(inspect.getdoc(inspect.getmodule(builder))),
        parameters=trainable(model),
        reference_parameters=found.parameters,
        input=takes(model),
        output=f"{outputs(model)}, float32",
        signature=signature(builder, found.size),
        size=found.size,
        recipe=found.recipe,
        tiny=found.tiny,
    )


def outputs(model):
    """What a model gives, for a reader: a shape, or one for each name."""
    found = model.output_shape
    if not isinstance(getattr(model, "output", None), dict):
        return shape(found)
    shapes = found.values() if isinstance(found, dict) else found
    return ", ".join(f"{name} {shape(each)}" for name, each in zip(model.output, shapes, strict=True))


def signature(builder, size):
    """How a builder is called, with what the name fixes as defaults."""
    known = inspect.signature(builder)
    fixed = [p.replace(default=size.get(p.name, p.default)) for p in known.parameters.values()]
    shown = [p for p in fixed if p.name != "name" and p.kind is not p.VAR_KEYWORD]
    return str(known.replace(parameters=shown))


def abstract(builder, arguments):
    """The model that `builder` makes, with shapes but without values.

    Keras keeps the variables without values in a list, one for each thread, and gives them values at the
    next opportunity: gigabytes, for a large net. A thread that ends takes its list along.
    """

    def make():
        with keras.StatelessScope(initialize_variables=False):
            return builder(**arguments)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(make).result()


def trainable(model):
    """Number of trainable parameters."""
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def takes(model):
    """Shapes and kinds of a model's inputs, for a reader."""
    tensors = getattr(model, "inputs", None)
    if not tensors:
        return f"{shape(model.input_shape)}, floating"
    kinds = ["integers" if "int" in tensor.dtype else "floating" for tensor in tensors]
    return " and ".join(f"{shape(t.shape)}, {kind}" for t, kind in zip(tensors, kinds, strict=True))


def shape(dimensions):
    """(None, 28, 28, 1) as a reader wants it."""
    sizes = ["any" if d is None else str(d) for d in dimensions[1:]]
    return f"({', '.join(['batch', *sizes])})"


def departures(docstring):
    """The paragraph of a module's docstring that begins 'Departures from the paper:'."""
    for paragraph in (docstring or "").split("\n\n"):
        if paragraph.startswith("Departures from the paper:"):
            return " ".join(paragraph.removeprefix("Departures from the paper:").split())
    return None


def load(path):
    """A model from a `.keras` file saved on any backend, ready to predict and to go on training.

    Code in the file is never run: Keras' safe mode is on, and classes come from Keras and keraszoo.

    Args:
        path: The file, as written by `model.save`.

    Raises:
        ValueError: The file does not exist, is damaged, or is not a `.keras` file.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path={str(path)!r}: there is no such file.")
    try:
        with zipfile.ZipFile(path) as archive:
            written = archive.read("config.json")
            config = json.loads(written)
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, EOFError, OSError) as error:
        raise ValueError(f"path={str(path)!r} is not a .keras file, or it is damaged: {error}.") from error
    if b"keras_hub" in written:
        hub.library()
    for entry in registry.shelf().values():
        entry.load()  # a model's own classes are registered where they are defined
    with tempfile.TemporaryDirectory() as folder:
        file = path
        repaired = portable(config)
        compiled = repaired.get("compile_config") or {}
        if compiled.get("jit_compile") is True and not str(config.get("module")).startswith("keraszoo"):
            compiled["jit_compile"] = "auto"  # stock Keras under JAX writes what "auto" came to there
        if repaired != config:  # saved by stock Keras
            file = Path(folder) / path.name
            rewrite(path, file, json.dumps(repaired))
        try:
            with warnings.catch_warnings():
                # A model that was never fitted was saved without its optimizer's slots: nothing is missing.
                warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
                return keras.saving.load_model(file)
        except (TypeError, ValueError, KeyError, OSError) as error:
            raise ValueError(f"path={str(path)!r} holds no model that can be loaded here: {error}") from error


def rewrite(source, target, config):
    """A copy of a `.keras` file with another configuration."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.infolist():
            if item.filename == "config.json":
                new.writestr("config.json", config)
            else:
                with old.open(item) as held, new.open(item, "w", force_zip64=True) as copy:
                    shutil.copyfileobj(held, copy)
