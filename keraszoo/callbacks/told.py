"""What a model says, epoch by epoch: printed, and kept in a file."""

from pathlib import Path

import keras

from keraszoo.callbacks.files import whole


class Told(keras.callbacks.Callback):
    """Tells after epochs what a model makes of something. A subclass says what, in `lines`.

    Args:
        every: Tell only after each so many epochs, and after the last, be it that `fit` was stopped there.
        file: A text file in which it is kept as well, or None. A `fit` with `initial_epoch=k` adds to it; one from the
            beginning starts anew. It never holds half of what was told.
        show: What prints a line; None prints nothing.

    Attributes:
        method: Name of the method that the model must have.
        done: Epochs behind the model, counted from 1.
        logs: What `fit` logs of the last of them.

    Raises:
        ValueError: `every` is below 1, or the model lacks the method.
    """

    method = None

    def __init__(self, every=1, file=None, show=print):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be a whole number from 1, got {every!r}.")
        self.every, self.show = every, show
        self.file = None if file is None else Path(file)

    def lines(self):
        """What is to be told now: a list of strings."""
        raise NotImplementedError

    def heading(self):
        """What is told before the first epoch of a `fit`: a list of strings."""
        return []

    def on_train_begin(self, logs=None):
        if not callable(getattr(self.model, self.method, None)):
            raise ValueError(
                f"{type(self).__name__} needs a model that has a method `{self.method}`; {self.model.name} has none."
            )
        self.done = self.last = 0
        self.kept = None

    def on_epoch_begin(self, epoch, logs=None):
        if self.kept is not None:
            return
        self.kept = ""
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            if epoch and self.file.exists():
                self.kept = self.file.read_text(encoding="utf-8")
        if heading := self.heading():
            self.tell(heading)

    def on_epoch_end(self, epoch, logs=None):
        self.done, self.logs = epoch + 1, logs or {}
        if self.done % self.every == 0:
            self.say()

    def on_train_end(self, logs=None):
        if self.done > self.last:
            self.say()

    def say(self):
        """Tell what is to be told after epoch `done`."""
        self.last = self.done
        self.tell(
            ["", f"after epoch {self.done}:", *self.lines()]
        )  # below Keras' progress bar, not behind it

    def tell(self, lines):
        """Print lines, and keep them."""
        if self.show is not None:
            for line in lines:
                self.show(line)
        if self.file is not None:
            self.kept += "".join(f"{line}\n" for line in lines)
            with whole(self.file) as beside:
                beside.write_text(self.kept, encoding="utf-8")
