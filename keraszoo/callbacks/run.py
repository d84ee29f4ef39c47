"""All that a run leaves behind, kept so that it can be stopped at any moment and resumed."""

import math
from pathlib import Path

from keraszoo.callbacks.history import Rows, read, write
from keraszoo.callbacks.pictures import curves


class RunFolder(Rows):
    """Keeps a folder with the best model, the last one, the history and its curves; stops in good time.

    After each epoch it writes `history.csv`, `curves.png`, `best.keras` if no epoch was better, and
    `last.keras`. Each appears whole or not at all. Everything it decides follows from the history
    alone, so a resumed run decides as an uninterrupted one would:

        folder = RunFolder("run", patience=5)
        model = keraszoo.load(folder.last)
        model.fit(..., initial_epoch=folder.resume(model), epochs=50, callbacks=[folder])

    Args:
        folder: The folder; it is made if it does not exist.
        patience: Stop after so many epochs in a row without a better one; None never stops.
        monitor: What is to become small: a key of the logs of `fit`. None where no number says which
            epoch is best, as in a game: the last one is.

    Raises:
        ValueError: The loss becomes NaN or infinite. Files then hold the epoch before.
    """

    def __init__(self, folder, patience=None, monitor="val_loss"):
        super().__init__()
        self.folder = Path(folder)
        self.patience = patience
        self.monitor = monitor
        self.best = self.folder / "best.keras"
        self.last = self.folder / "last.keras"

    def resume(self, model):
        """Take up the history that led to `model`, loaded from `last`; returns the epochs it has behind it."""
        done = model.card.get("epochs", 0)
        file = self.folder / "history.csv"
        self.rows = read(file)[:done] if file.exists() else []
        if len(self.rows) != done:
            raise ValueError(
                f"{file} tells of {len(self.rows)} epochs, but {self.last} has {done} behind it."
            )
        return done

    @property
    def best_row(self):
        """The row of the best epoch so far, the earliest of equals; None before the first."""
        return min(self.rows, key=self.cost, default=None)

    def cost(self, row):
        if self.monitor is None:
            return -row["epoch"]
        return math.inf if math.isnan(row[self.monitor]) else row[self.monitor]

    @property
    def exhausted(self):
        """Whether patience has run out."""
        return (
            self.patience is not None
            and bool(self.rows)
            and len(self.rows) - self.best_row["epoch"] >= self.patience
        )

    def on_train_begin(self, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise ValueError(
                f"The loss became {float(logs['loss'])} in epoch {epoch + 1}. Try a smaller learning rate."
            )
        super().on_epoch_end(epoch, logs)
        self.model.card = {**self.model.card, "epochs": epoch + 1}
        write(self.folder / "history.csv", self.rows)
        curves(self.folder / "curves.png", self.rows)
        if self.best_row is self.rows[-1]:
            self.model.save(self.best)
        self.model.save(self.last)  # the last to be written: a run that dies in between repeats the epoch
        if self.exhausted:
            self.model.stop_training = True
