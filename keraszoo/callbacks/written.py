"""What a language model writes, epoch by epoch."""

from pathlib import Path

import keras

from keraszoo.callbacks.files import whole


class Written(keras.callbacks.Callback):
    """Prints how the model goes on with a text, and keeps what it wrote after each epoch in a file.

    Args:
        path: The file. A `fit` with `initial_epoch=k` adds to it; one from the beginning starts anew.
        prompts: What to go on with: a string, or a list of strings.
        length: Tokens to write, at most.
        every: Write only after each so many epochs, and the last.
        show: Whether to print as well.
        seed: Of what is drawn, the same after each epoch; None draws anew each time.
        **drawing: Further arguments of `generate`, such as `temperature=0.8`.

    Raises:
        ValueError: `every` is below 1, or the model writes no text.
    """

    def __init__(self, path, prompts, length=200, every=1, show=True, seed=0, **drawing):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be a whole number from 1, got {every!r}.")
        self.path = Path(path)
        self.prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        self.every, self.show = every, show
        self.drawing = dict(length=length, seed=seed, **drawing)

    def on_train_begin(self, logs=None):
        if not callable(getattr(self.model, "generate", None)) or not getattr(self.model, "tokenizer", None):
            raise ValueError(
                f"Written needs a model that has a method `generate`, and a vocabulary; {self.model.name} lacks one."
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.done = self.told = 0

    def on_epoch_end(self, epoch, logs=None):
        self.done = epoch + 1
        if self.done % self.every == 0:
            self.tell()

    def on_train_end(self, logs=None):
        if self.done > self.told:
            self.tell()

    def tell(self):
        """Write, after epoch `done`."""
        self.told = self.done
        texts = self.model.generate(self.prompts, **self.drawing)
        told = "\n".join(prompt + text for prompt, text in zip(self.prompts, texts, strict=True))
        told = f"--- epoch {self.done}\n{told}\n"
        if self.show:
            print(f"\n{told}", end="", flush=True)
        earlier = (
            self.path.read_text(encoding="utf-8") if self.path.exists() and self.done > self.every else ""
        )
        with whole(self.path) as beside:
            beside.write_text(earlier + told, encoding="utf-8")
