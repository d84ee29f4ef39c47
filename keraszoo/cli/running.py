"""What `keraszoo train` does once its options are known: data, model, fit, best model, scores."""

import dataclasses
import json
import platform
import signal
import sys
import time

import click
import keras
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

import keraszoo
from keraszoo import data as sets
from keraszoo import front, registry
from keraszoo.callbacks import RunFolder
from keraszoo.callbacks.files import whole
from keraszoo.callbacks.history import ordered
from keraszoo.cli.common import deliberate, note
from keraszoo.tasks import TASKS, Game

SHARE = 0.1  # of the training part, for validation, where the set has no such part


class Terminated(BaseException):
    """SIGTERM has come."""


def run(record, folder, resumed):
    """Train, keep everything in `folder`, and print the scores.

    Args:
        record: What `run.json` says, with the options that hold now.
        folder: The run's folder; new, or begun by an earlier run.
        resumed: Whether to go on from the folder's `last.keras`.
    """
    options = record["options"]
    purpose = TASKS[registry.entry(options["name"]).task]
    loaded = load_data(options, purpose)
    game = plays(purpose, loaded)
    keeper = RunFolder(folder, None, None) if game else RunFolder(folder, options["patience"] or None)
    if resumed:
        model = front.load(keeper.last)
        done = keeper.resume(model)
    else:
        model, done = build(options, loaded, purpose), 0
        make(folder)
    record |= dict(
        versions=versions(),
        data=dict(name=loaded.name, source=loaded.source, licence=loaded.licence),
        started=record.get("started") or time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
    options["backend"] = keras.backend.backend()
    save(record, folder)
    if not resumed:
        model.save(keeper.last)

    kind = model.read if loaded.value_range is None else model.batches
    train = batches(loaded.train, options, kind, shuffle=True)
    validation, test = (batches(part, options, kind) for part in (loaded.validation, loaded.test))
    sizes = ", ".join(
        f"{part.count:,} to {verb}"
        for part, verb in ((train, "train on"), (validation, "validate"), (test, "test"))
        if part is not None
    )
    click.echo(
        f"{options['name']}: {front.trainable(model):,} trainable parameters, on {options['backend']}\n"
        f"{loaded.name}: {sizes}\n{folder}: the run's folder"
    )
    begun = time.monotonic()
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        if done < options["epochs"] and not keeper.exhausted:
            fit(model, train, validation, keeper, options, done)
        elif not keeper.exhausted:
            click.echo(f"All {options['epochs']} epochs are done; --epochs takes a larger number.")
        if keeper.exhausted:
            click.echo(f"Stopped: no better {keeper.monitor} in {options['patience']} epochs (--patience).")
        record["scores"] = scores(keeper, test)
        record["seconds"] += time.monotonic() - begun
        save(record, folder)
        show(record["scores"], keeper, game, loaded, purpose)
    except (KeyboardInterrupt, Terminated) as stop:
        record["seconds"] += time.monotonic() - begun
        save(record, folder)
        note(f"\nStopped. {kept(keeper)} Go on with: keraszoo train --resume {folder}")
        sys.exit(130 if isinstance(stop, KeyboardInterrupt) else 143)
    finally:
        signal.signal(signal.SIGTERM, before)


def terminate(signum, frame):
    raise Terminated


def load_data(options, purpose):
    """The record of the data set as the model takes it, with a validation part unless it plays a game.

    That is the set's own, or a tenth of the training part. What a task `gives` its models to fit on is
    prepared for them: images in the range they take, and labels only where they are used.

    Raises:
        ValueError: The set does not hold what the task asks for.
    """
    more = asked(options)
    loaded = sets.load(options["data"], **more)
    if not plays(purpose, loaded) and loaded.validation is None:
        loaded = sets.load(options["data"], validation=SHARE, **more)
    if loaded.value_range is None or not hasattr(purpose, "gives"):
        return loaded
    images = loaded.task in ("images", "image_classification") and isinstance(loaded.train, tuple)
    fits = {
        "points": loaded.task == "points",
        "images": images,
        "labelled images": images and loaded.task == "image_classification",
        "pairs": loaded.task == "image_translation",
        "domains": loaded.task in ("image_translation", "unpaired_image_translation"),
        "cameras and images": loaded.task == "view_synthesis",
    }.get(purpose.gives, False)
    if not fits:
        raise ValueError(
            f"{options['name']} learns from {purpose.gives}; {loaded.name} holds data for {loaded.task}."
        )

    def prepared(part):
        if part is None or purpose.gives == "points":
            return part
        if purpose.gives == "cameras and images":
            return part.rays()
        x, y = (scaled(v, loaded.value_range, purpose.value_range) if np.ndim(v) == 4 else v for v in part)
        return x, (None if purpose.gives == "images" else y)

    parts = {name: prepared(getattr(loaded, name)) for name in ("train", "validation", "test")}
    return dataclasses.replace(loaded, **parts)


def plays(purpose, loaded):
    """Whether several players learn, so that no single loss tells the best epoch."""
    return isinstance(purpose, Game) and loaded.value_range is not None


def scaled(images, old, new):
    """Images with values in the range `old`, in the range `new`, float32."""
    share = (np.asarray(images, "float32") - old[0]) / np.float32(old[1] - old[0])
    return share * np.float32(new[1] - new[0]) + np.float32(new[0])


def asked(options):
    """The options of the data set, as `keraszoo.data.load` takes them."""
    more = dict(options["data_options"], data_dir=options["data_dir"])
    if options["image_size"] is not None:
        more["image_size"] = tuple(options["image_size"])
    return more


def batches(part, options, kind, shuffle=False):
    """A part of the data as `fit` takes it, in an order that seed and epoch fix; of a trial, only two steps."""
    if part is None:
        return None
    if isinstance(part, tuple):
        part = kind(*part, shuffle=shuffle)
    part.batch_size, part.seed = options["batch_size"], options["seed"]
    if options["smoke"]:
        part.count = min(part.count, 2 * part.batch_size)
    part.epoch = 0
    return part


def build(options, loaded, purpose):
    """A new model for the data, compiled."""
    keras.utils.set_random_seed(options["seed"])  # of what augmentation draws
    if loaded.value_range is None:
        return reader(options, loaded)
    ready = hasattr(purpose, "gives")  # the data are as the model takes them
    layers = [] if options["no_augment"] or ready else list(loaded.augmentation())
    choice = options["preprocessing"] or ("unit" if loaded.value_range == (0, 255) and not ready else None)
    if choice is not None:
        layers.append(choice)
    try:
        model = front.build(
            options["name"],
            seed=options["seed"],
            task=None if ready else task(registry.entry(options["name"]), loaded),
            preprocessing=layers or None,
            class_names=None if ready and purpose.gives != "labelled images" else loaded.class_names,
            input_shape=loaded.input_shape,
            **{**getattr(loaded, "arguments", {}), **options["settings"]},
        )
    except (ValueError, TypeError) as error:
        if deliberate(error):
            hint = f" (The data have the shape {loaded.input_shape}; --image-size changes it.)"
            raise type(error)(f"{error}{hint if 'input_shape' in str(error) else ''}") from error
        if given := ", ".join(f"{key}={value!r}" for key, value in options["settings"].items()):
            raise ValueError(f"{options['name']} cannot be built with {given}: {error}") from error
        raise
    set_rate(model, options["learning_rate"])
    return model


def set_rate(model, rate):
    """Let a model learn at another rate than it was compiled with, be that a number or a schedule; None leaves it."""
    optimizer = model.optimizer
    if rate is None:
        return
    scheduled = [
        isinstance(each.get_config()["learning_rate"], dict)
        for each in getattr(optimizer, "optimizers", [optimizer])
    ]
    if not any(scheduled):
        optimizer.learning_rate = rate
        return
    found = model.get_compile_config()
    replace_rates(found["optimizer"], rate)
    model.compile_from_config(found)


def replace_rates(config, rate):
    """Put a rate in place of every learning rate in the configuration of an optimizer, or of several."""
    for key, value in config.items():
        if key == "learning_rate":
            config[key] = rate
        elif isinstance(value, dict):
            replace_rates(value, rate)


TEXTS = {  # what a model for texts of a task is for, and what its builder must be told
    "text_classification": ("sequence_classification", {}),
    "text_tagging": ("sequence_classification", {"return_sequences": True}),
    "language_modeling": ("language_modeling", {}),
    "translation": ("translation", {}),
    "summarization": ("translation", {"task": "summarization"}),
}


def reader(options, loaded):
    """A new model that reads texts, compiled."""
    entry = registry.entry(options["name"])
    purpose, config = TEXTS.get(loaded.task, (loaded.task, {}))
    if entry.task != purpose:
        raise ValueError(f"{entry.name} is for {entry.task}; {loaded.name} holds texts for {loaded.task}.")
    model = front.build(
        entry.name,
        seed=options["seed"],
        vocabulary=loaded.vocabulary(options["vocabulary"]),
        max_length=options["max_length"],
        class_names=loaded.class_names,
        **{**config, **options["settings"]},
    )
    set_rate(model, options["learning_rate"])
    return model


def task(entry, loaded):
    """The task to build for; None for the architecture's own.

    Raises:
        ValueError: The architecture does not do what the data ask for.
    """
    if loaded.task in TASKS and entry.task in TASKS[loaded.task].stands_in_for:
        return loaded.task
    if loaded.task != entry.task and (entry.task, loaded.task) != ("classification", "image_classification"):
        raise ValueError(f"{entry.name} is for {entry.task}; {loaded.name} holds data for {loaded.task}.")
    return None


def make(folder):
    """Make the run's folder.

    Raises:
        ValueError: It cannot be made, or another run is in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"The run's folder {folder} cannot be made: {error.strerror}.") from error
    if any(folder.iterdir()):  # begun since the options were read
        raise ValueError(f"Another run is in {folder}; give a folder by --out.")


def fit(model, train, validation, keeper, options, done):
    """Train from epoch `done` on."""
    live = sys.stdout.isatty()
    train.epoch = done
    model.fit(
        train,
        validation_data=validation,
        initial_epoch=done,
        epochs=options["epochs"],
        callbacks=[keeper] if live else [Lines(options["epochs"]), keeper],
        verbose=1 if live else 0,
    )


class Lines(keras.callbacks.Callback):
    """One line for each epoch, where no progress bar can be drawn."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in ordered(logs).items())
        click.echo(f"epoch {epoch + 1}/{self.epochs}  {time.monotonic() - self.begun:.1f} s  {numbers}")


def scores(keeper, test):
    """What the best model reached: in the epoch it comes from, and on the test part."""
    best = keeper.best_row
    found = {part: {} for part in ("training", "validation", "test")}
    for key, value in best.items():
        if key != "epoch":
            part = "validation" if key.startswith("val_") else "training"
            found[part][key.removeprefix("val_")] = value
    if test is not None:
        model = front.load(keeper.best)
        found["test"] = model.evaluate(test, verbose=0, return_dict=True)
    return {"epochs": len(keeper.rows), "best_epoch": best["epoch"], **found}


def show(found, keeper, game, loaded, purpose):
    """Print the scores as a table, and where the files are."""
    parts = [part for part in ("training", "validation", "test") if found[part]]
    which = "last" if game else "best"
    table = Table(f"{which} epoch: {found['best_epoch']} of {found['epochs']}", *parts, box=SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in found["training"]:
        numbers = (found[part].get(name) for part in parts)
        table.add_row(name.replace("_", " "), *("" if n is None else f"{n:.4f}" for n in numbers))
    Console().print(table)
    if hasattr(purpose, "verb") and loaded.value_range is not None:
        click.echo(f'Try it, in Python: keraszoo.load("{keeper.best}").{purpose.verb}')
    else:
        click.echo(f"Try it: keraszoo predict {keeper.best} INPUT")


def kept(keeper):
    """What a stopped run leaves, in a sentence or two."""
    if not keeper.rows:
        return f"Kept: {keeper.last}, from before the first epoch."
    best, last = keeper.best_row["epoch"], len(keeper.rows)
    return f"Kept: {keeper.best} of epoch {best}, {keeper.last} of epoch {last}."


def versions():
    """Versions of what the run depends on."""
    backend = keras.backend.backend()
    return dict(
        keraszoo=keraszoo.__version__,
        keras=keras.version(),
        **{backend: sys.modules[backend].__version__},
        numpy=np.__version__,
        python=platform.python_version(),
    )


def save(record, folder):
    """Write `run.json`."""
    with whole(folder / "run.json") as beside:
        beside.write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
