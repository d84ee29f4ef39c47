"""Who is winning a game of several players, and when nobody is."""

import time
from pathlib import Path

import keras

from keraszoo.callbacks.history import Rows
from keraszoo.callbacks.pictures import players


class Losses(Rows):
    """Draws the losses of all players in one panel, and beside it the accuracies, where logs hold any.

    It draws after an epoch if `seconds` have passed since the last time, and when `fit` ends.

    Args:
        path: The PNG file.
        seconds: The least time between two drawings: short epochs are not to wait for their picture.

    Raises:
        ValueError: The logs hold no `NAME_loss`, for the model is no game.
    """

    def __init__(self, path, seconds=10):
        super().__init__()
        self.path = Path(path)
        self.seconds = seconds
        self.drawn = -float("inf")

    def on_epoch_end(self, epoch, logs=None):
        if not any(key.endswith("_loss") and key != "val_loss" for key in logs):
            raise ValueError(f"Losses needs the losses of players in the logs, got {', '.join(logs)}.")
        super().on_epoch_end(epoch, logs)
        if time.monotonic() - self.drawn >= self.seconds:
            self.draw()

    def on_train_end(self, logs=None):
        if self.rows:
            self.draw()

    def draw(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        players(self.path, self.rows)
        self.drawn = time.monotonic()


class Balance(keras.callbacks.Callback):
    """Ends `fit` when the discriminator has known neither real nor generated samples for a while.

    Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, proposition 1: where the generated
    samples are distributed as the real ones, the best discriminator can only guess. The reverse does
    not hold: one that has not learned yet guesses, too. See `start_from_epoch`.

    Args:
        target: The accuracy of one who guesses.
        tolerance: How far `real_accuracy` and `fake_accuracy` may both be from it.
        patience: For how many epochs in a row.
        start_from_epoch: Epochs at the beginning that do not count.

    Attributes:
        held: Epochs in a row that are in balance so far.

    Raises:
        ValueError: An argument is out of range, or the logs hold no `real_accuracy` and `fake_accuracy`.
    """

    def __init__(self, target=0.5, tolerance=0.1, patience=5, start_from_epoch=0):
        super().__init__()
        if not 0 <= target <= 1:
            raise ValueError(f"target must lie in [0, 1], got {target!r}.")
        if tolerance < 0:
            raise ValueError(f"tolerance must not be negative, got {tolerance!r}.")
        if patience < 1:
            raise ValueError(f"patience must be a whole number from 1, got {patience!r}.")
        self.target = target
        self.tolerance = tolerance
        self.patience = patience
        self.start_from_epoch = start_from_epoch
        self.held = 0

    def on_train_begin(self, logs=None):
        self.held = 0

    def on_epoch_end(self, epoch, logs=None):
        names = ("real_accuracy", "fake_accuracy")
        if missing := [name for name in names if name not in logs]:
            raise ValueError(
                f"Balance needs {' and '.join(missing)} in the logs, got {', '.join(logs)}. "
                "A critic that gives no probabilities has no accuracy."
            )
        near = all(abs(float(logs[name]) - self.target) <= self.tolerance for name in names)
        self.held = self.held + 1 if near and epoch >= self.start_from_epoch else 0
        if self.held >= self.patience:
            self.model.stop_training = True
            found = ", ".join(f"{name} {float(logs[name]):.3f}" for name in names)
            print(f"Epoch {epoch + 1}: in balance for {self.held} epochs ({found}).")
