"""What the commands share: the choice of a backend, and errors as one sentence."""

import linecache
import os
import sys
from pathlib import Path

import click

import keraszoo

HERE = str(Path(keraszoo.__file__).parent)

backend_option = click.option(
    "--backend",
    type=click.Choice(keraszoo.BACKENDS),
    help="Framework to run on; by default what KERAS_BACKEND or Keras' own configuration says.",
)


def use_backend(backend):
    """Choose the backend, before Keras is imported; None leaves the choice as it is."""
    if backend is None:
        return
    if not keraszoo.installed(backend):
        raise ImportError(f'{backend} is not installed: pip install "keraszoo[{backend}]".')
    os.environ["KERAS_BACKEND"] = backend


def note(text):
    """Tell the user something that is not the answer: on standard error."""
    click.echo(text, err=True)


class Refusal(click.ClickException):
    """One sentence on standard error, and exit status 2."""

    exit_code = 2


class Commands(click.Group):
    """A group of commands that answers what keraszoo refuses with one sentence, not with a traceback."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ValueError, TypeError, ImportError, FileNotFoundError) as error:
            if not deliberate(error):
                raise
            raise Refusal(str(error)) from error
        except KeyboardInterrupt:
            note("Interrupted.")
            sys.exit(130)


def deliberate(error):
    """Whether `error` comes from a `raise` in keraszoo, as opposed to a mistake there or anywhere else."""
    frame = error.__traceback__
    while frame.tb_next:
        frame = frame.tb_next
    file = frame.tb_frame.f_code.co_filename
    return file.startswith(HERE) and linecache.getline(file, frame.tb_lineno).lstrip().startswith("raise")
