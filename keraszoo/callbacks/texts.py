"""What a model says, epoch by epoch, and where it looks as it says it."""

import keras
import numpy as np

from keraszoo.callbacks import pictures


class TextTranslations(keras.callbacks.Callback):
    """Prints the translations of a few sentences at the end of each epoch.

    Args:
        texts: List of strings, as `model.translate` takes them.
        references: What they should become, strings, printed once; or None.
        every: Print only each so many epochs, and the last.
        file: A file to which it is written as well, or None.
        show: What prints a line.

    Attributes:
        said: For each epoch that was printed, counted from 1, the list of translations.

    Raises:
        ValueError: There are not as many references as texts, `every` is below 1, or the model does not translate.
    """

    def __init__(self, texts, references=None, every=1, file=None, show=print):
        super().__init__()
        if references is not None and len(references) != len(texts):
            raise ValueError(f"references must be as many as texts, {len(texts)}, got {len(references)}.")
        if every < 1:
            raise ValueError(f"every must be a whole number from 1, got {every!r}.")
        self.texts, self.references = list(texts), references
        self.every, self.file, self.show = every, file, show
        self.said = {}

    def on_train_begin(self, logs=None):
        if not callable(getattr(self.model, "translate", None)):
            raise ValueError(
                f"TextTranslations needs a model that has a method `translate`; {self.model.name} has none."
            )
        self.done = 0
        if self.references is not None:
            pairs = zip(self.texts, self.references, strict=True)
            self.tell(["to be translated:", *(f"  {text} -> {right}" for text, right in pairs)])

    def on_epoch_end(self, epoch, logs=None):
        self.done = epoch + 1
        if self.done % self.every == 0:
            self.say()

    def on_train_end(self, logs=None):
        if self.done and self.done not in self.said:
            self.say()

    def say(self):
        """Print what the sentences become now."""
        found = self.said[self.done] = self.model.translate(self.texts)
        pairs = zip(self.texts, found, strict=True)
        self.tell([f"after epoch {self.done}:", *(f"  {text} -> {said}" for text, said in pairs)])

    def tell(self, lines):
        for line in lines:
            self.show(line)
        if self.file is not None:
            with open(self.file, "a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")


def alignments(path, found, title=""):
    """Where a translator looked: a panel for each sentence, rows are what it wrote, columns what it read.

    Args:
        path: The PNG file.
        found: A list of `Alignment`s, as `attention_of` of a translator gives them.
        title: Above all of them.
    """
    rows, columns = (max(len(each[i]) for each in found) for i in (1, 0))
    figure, panels = pictures.sheet(
        len(found), width=1.6 + 0.38 * columns, height=1.2 + 0.3 * rows, columns=2 if len(found) > 1 else 1
    )
    for panel, (source, target, weights) in zip(panels, found, strict=True):
        picture = panel.imshow(weights, vmin=0, vmax=1, cmap="Blues", interpolation="nearest", aspect="auto")
        panel.set_xticks(np.arange(len(source)), [pictures.short(word, 14) for word in source], fontsize=8)
        panel.set_yticks(np.arange(len(target)), [pictures.short(word, 14) for word in target], fontsize=8)
        panel.xaxis.tick_top()
        panel.tick_params(length=0)
        if max(map(len, source)) > 2:
            for label in panel.get_xticklabels():
                label.set(rotation=60, ha="left", rotation_mode="anchor")
    figure.colorbar(picture, ax=list(panels), fraction=0.03, label="weight")
    figure.suptitle(title, fontsize=10)
    pictures.save(figure, path)
