"""`keraszoo train`: its options. What they set going is in `keraszoo.cli.running`."""

import ast
import json
import random
import re
import sys
import time
from pathlib import Path

import click

from keraszoo import registry
from keraszoo.cli.common import backend_option, use_backend

WITH_RESUME = ("backend", "data_dir", "epochs", "patience")  # may differ from what the run was begun with
BUILT_FROM_DATA = {
    "class_names",
    "input_shape",
    "name",
    "num_classes",
    "preprocessing",
    "seed",
    "task",
    "vocabulary",
}


class Setting(click.ParamType):
    """`key=value`, the value a Python literal or a bare word."""

    name = "key=value"

    def convert(self, value, param, ctx):
        key, equals, text = value.partition("=")
        if not (equals and key.isidentifier()):
            self.fail(f"{value!r} is not of the form key=value.", param, ctx)
        try:
            return key, ast.literal_eval(text)
        except (ValueError, SyntaxError):
            if not re.fullmatch(r"[A-Za-z][\w.-]*", text):
                self.fail(f"{text!r}, given for {key}, is not a Python literal.", param, ctx)
            return key, text


class Size(click.ParamType):
    """`32` or `32x48`: height and width."""

    name = "pixels"

    def convert(self, value, param, ctx):
        if not (found := re.fullmatch(r"(\d+)(?:x(\d+))?", value)) or not all(map(int, found.groups("1"))):
            self.fail(f"{value!r} is not a size such as 32 or 32x48 (height x width).", param, ctx)
        height, width = found.groups()
        return int(height), int(width or height)


@click.command()
@click.argument("name", required=False)
@click.option("--data", help="The data set: a name that keraszoo.data.load knows.")
@click.option(
    "--data-option",
    "data_options",
    type=Setting(),
    multiple=True,
    help="An option of the data set: key=value.",
)
@click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Folder with data sets; else KERASZOO_DATA."
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training data.  [default: 10]")
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Samples in a step."
)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Else the architecture's own.")
@backend_option
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), help="Makes the run repeatable; drawn if not given."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/NAME-DATA-TIME]"
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Stop after so many epochs without a better validation loss; 0 never stops.",
)
@click.option("--image-size", type=Size(), help="Resize the images, to 32 or 32x48 (height x width).")
@click.option(
    "--preprocessing",
    type=click.Choice(["unit", "centred", "imagenet"]),
    help='What the model does to raw images first.  [default: "unit" for images from 0 to 255]',
)
@click.option("--vocabulary", type=click.IntRange(5), help="Tokens of text that are known; else all.")
@click.option("--max-length", type=click.IntRange(1), help="Tokens of a text that are read; else all.")
@click.option("--no-augment", is_flag=True, help="Leave out the random changes that suit the data set.")
@click.option(
    "--set",
    "settings",
    type=Setting(),
    multiple=True,
    help="An argument of the architecture, such as units=(16,); may be given several times.",
)
@click.option("--smoke", is_flag=True, help="Only try it: two steps of everything.")
@click.option(
    "--resume",
    metavar="RUN",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Go on with the run in this folder, as if it had not been stopped; --epochs may be raised.",
)
@click.pass_context
def train(ctx, name, data, out, resume, **options):
    """Train the architecture NAME on a data set.

    The run's folder then holds best.keras and last.keras, history.csv, curves.png and run.json.
    """
    given = {
        key for key in ctx.params if ctx.get_parameter_source(key) is click.core.ParameterSource.COMMANDLINE
    }
    if resume:
        if extra := given - {"resume", *WITH_RESUME}:
            words = ", ".join("NAME" if key == "name" else option_name(ctx, key) for key in sorted(extra))
            raise click.UsageError(f"A resumed run keeps its options; {words} cannot be given with --resume.")
        folder, record = resume, recorded(resume)
        record["options"] |= {key: options[key] for key in given - {"resume"}}
    else:
        if name is None or data is None:
            missing = "--data NAME" if name else "NAME, the architecture"
            raise click.UsageError(f"Missing {missing} (or --resume RUN).")
        registry.entry(name)
        if fixed := sorted({key for key, _ in options["settings"]} & BUILT_FROM_DATA):
            raise click.UsageError(f"--set cannot give {', '.join(fixed)}: the data and other options do.")
        if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise click.UsageError(f"--out {out} exists already; give another folder, or --resume {out}.")
        options = dict(name=name, data=data) | options
        options |= {key: dict(options[key]) for key in ("settings", "data_options")}
        options["epochs"] = options["epochs"] or (1 if options["smoke"] else 10)
        options["seed"] = random.randrange(2**31) if options["seed"] is None else options["seed"]
        short = re.sub(r"[^\w.-]", "-", Path(data).name)  # of a folder, or of "tfds:mnist"
        folder = out or Path("runs") / f"{name}-{short}-{time.strftime('%Y%m%d-%H%M%S')}"
        record = dict(commands=[], options=options, seconds=0.0, scores=None)
    record["commands"].append(["keraszoo", *sys.argv[1:]])
    use_backend(record["options"]["backend"])
    from keraszoo.cli import running

    running.run(record, folder, resume is not None)


def option_name(ctx, key):
    """How an option is written on the command line."""
    return next(p.opts[0] for p in ctx.command.params if p.name == key)


def recorded(folder):
    """What `run.json` in a run's folder says."""
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--resume {folder}: there is no readable run.json ({error}).") from error
