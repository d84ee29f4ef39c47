"""Files that appear whole or not at all."""

import contextlib
import os
from pathlib import Path


@contextlib.contextmanager
def whole(path):
    """A path to write to, beside `path`; what was written takes the place of `path` at the end.

    If anything is raised inside, `path` stays as it was and nothing is left beside it.

    >>> with whole("run.json") as beside:
    ...     beside.write_text(text)
    """
    path = Path(path)
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
