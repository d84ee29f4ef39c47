"""The command line: `keraszoo list | show | train | predict | doctor`.

Files here import neither Keras nor a backend at their top, so that `--help` and `list` answer at
once; a command imports what it needs when it runs.
"""

import sys

import click

import keraszoo
from keraszoo import registry
from keraszoo.cli.common import Commands, backend_option, use_backend
from keraszoo.cli.doctor import doctor
from keraszoo.cli.predict import predict
from keraszoo.cli.train import train


@click.group(cls=Commands, context_settings=dict(help_option_names=["-h", "--help"]))
@click.version_option(keraszoo.__version__, prog_name="keraszoo", message="%(prog)s %(version)s")
def main():
    """The architectures of a deep-learning course, on TensorFlow, JAX and PyTorch alike."""


@main.command("list")
@click.argument("pattern", required=False)
@click.option("--task", help="Only those for this task, such as image_classification.")
def list_models(pattern, task):
    """List the architectures, or those whose names match PATTERN.

    PATTERN takes wildcards, such as "resnet*"; without one it matches any part of a name.
    """
    tasks = sorted({entry.task for entry in registry.shelf().values()})
    if task is not None and task not in tasks:
        raise ValueError(f"No architecture is for the task {task!r}. The tasks are: {', '.join(tasks)}.")
    if pattern and not set(pattern) & set("*?["):
        pattern = f"*{pattern}*"
    names = registry.names(pattern, task)
    if not names:
        raise ValueError(f"No architecture matches {pattern!r}. `keraszoo list` shows them all.")
    if not sys.stdout.isatty():
        click.echo("\n".join(names))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "family", "task", "parameters", "paper", box=None, header_style="bold")
    for column in table.columns[:4]:
        column.no_wrap = True
    table.columns[3].justify, table.columns[4].overflow = "right", "fold"
    for entry in map(registry.entry, names):
        count = f"{entry.parameters:,}" if entry.parameters else ""
        table.add_row(entry.name, entry.family, entry.task, count, entry.paper)
    Console().print(table)


@main.command()
@click.argument("name")
@backend_option
def show(name, backend):
    """Describe the architecture NAME: its task, paper, size and arguments."""
    registry.entry(name)  # a wrong name is refused before anything heavy is imported
    use_backend(backend)
    click.echo(keraszoo.describe(name))


for command in (train, predict, doctor):
    main.add_command(command)
