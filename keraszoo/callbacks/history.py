"""What each epoch came to: as a table that a later run continues, and as curves."""

import csv
from pathlib import Path

import keras

from keraszoo.callbacks.files import whole
from keraszoo.callbacks.pictures import curves


class Rows(keras.callbacks.Callback):
    """Keeps a row for each epoch: a dict with `epoch`, counted from 1, and what `fit` logs, as floats.

    A `fit` with `initial_epoch=k` goes on after row `k`; one from the beginning starts anew.
    """

    def __init__(self):
        super().__init__()
        self.rows = []

    def on_epoch_end(self, epoch, logs=None):
        self.rows = self.rows[:epoch]
        self.rows.append({"epoch": epoch + 1, **ordered(logs)})


class History(Rows):
    """Writes a CSV file with a line for each epoch. It never holds half a line, whatever happens.

    Numbers are written so that they read back exactly.

    Args:
        path: The file. A `fit` with `initial_epoch=k` keeps its first `k` epochs and goes on from there.
    """

    def __init__(self, path):
        super().__init__()
        self.path = Path(path)

    def on_train_begin(self, logs=None):
        if self.path.exists():
            self.rows = read(self.path)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        write(self.path, self.rows)


class Curves(Rows):
    """Draws the loss and every metric, in training and in validation, anew after each epoch.

    Args:
        path: The PNG file.
    """

    def __init__(self, path):
        super().__init__()
        self.path = Path(path)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        curves(self.path, self.rows)


def ordered(logs):
    """The logs of an epoch as floats, each followed by its validation; the loss comes first."""
    names = dict.fromkeys(key.removeprefix("val_") for key in sorted(logs, key=lambda k: k != "loss"))
    pairs = [key for name in names for key in (name, f"val_{name}")]
    return {key: float(logs[key]) for key in pairs if key in logs}


def write(path, rows):
    """Rows as a CSV file, with a column for each key that any of them has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with whole(path) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)


def read(path):
    """The rows of a file that `write` made.

    Raises:
        ValueError: The file is not such a table.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [
                {"epoch": int(row.pop("epoch")), **{key: float(cell) for key, cell in row.items() if cell}}
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} is not a history of epochs: {error}.") from error
