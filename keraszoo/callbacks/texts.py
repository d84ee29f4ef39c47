"""What a model says, epoch by epoch, and where it looks as it says it."""

import numpy as np

from keraszoo.callbacks import pictures
from keraszoo.callbacks.told import Told


class TextTranslations(Told):
    """Prints the translations of a few sentences at the end of each epoch.

    Args:
        texts: List of strings, as `model.translate` takes them.
        references: What they should become, strings, told once; or None.
        every, file, show: As of `Told`.

    Attributes:
        said: For each epoch that was told of, counted from 1, the list of translations.

    Raises:
        ValueError: There are not as many references as texts, `every` is below 1, or the model does not translate.
    """

    method = "translate"

    def __init__(self, texts, references=None, every=1, file=None, show=print):
        super().__init__(every, file, show)
        if references is not None and len(references) != len(texts):
            raise ValueError(f"references must be as many as texts, {len(texts)}, got {len(references)}.")
        self.texts, self.references = list(texts), references
        self.said = {}

    def heading(self):
        return [] if self.references is None else ["to be translated:", *self.pairs(self.references)]

    def lines(self):
        found = self.said[self.done] = self.model.translate(self.texts)
        return self.pairs(found)

    def pairs(self, translations):
        """A line for each text and what it becomes."""
        return [f"  {text} -> {other}" for text, other in zip(self.texts, translations, strict=True)]


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


def attention_maps(path, found, title=""):
    """Where each head of each block looked: a row of panels for each block, a column for each head.

    Args:
        path: The PNG file.
        found: An `Alignment` with weights (layers, heads, target, source), as `attention_of` of a Transformer gives it.
        title: Above all of them.
    """
    source, target, weights = found
    layers, heads = weights.shape[:2]
    size = dict(width=1.1 + 0.28 * len(source), height=0.9 + 0.24 * len(target))
    figure, panels = pictures.sheet(layers * heads, columns=heads, **size)
    for panel, (layer, head) in zip(panels, np.ndindex(layers, heads), strict=True):
        picture = panel.imshow(
            weights[layer, head], vmin=0, vmax=1, cmap="Blues", interpolation="nearest", aspect="auto"
        )
        panel.set_title(f"block {layer + 1}, head {head + 1}", fontsize=8)
        words = (pictures.short(word, 10) for word in source), (pictures.short(word, 10) for word in target)
        panel.set_xticks(np.arange(len(source)), list(words[0]), fontsize=6, rotation=90)
        panel.set_yticks(np.arange(len(target)), list(words[1]), fontsize=6)
        panel.tick_params(length=0)
    figure.colorbar(picture, ax=list(panels), fraction=0.03, label="weight")
    figure.suptitle(title, fontsize=10)
    pictures.save(figure, path)
