"""An end to training that is set by the clock."""

import time

import keras


class Budget(keras.callbacks.Callback):
    """Ends `fit` after the batch in which the time is up, so that models can be compared at equal cost.

    Args:
        minutes: From the beginning of `fit`, compilation and validation included; above 0.

    Raises:
        ValueError: `minutes` is not above 0.
    """

    def __init__(self, minutes):
        super().__init__()
        if not minutes > 0:
            raise ValueError(f"minutes must be above 0, got {minutes!r}.")
        self.minutes = minutes

    def on_train_begin(self, logs=None):
        self.begun = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self.begun > 60 * self.minutes:
            self.model.stop_training = True
