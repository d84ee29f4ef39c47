"""How a model fills in blanks, epoch by epoch."""

from keraszoo.callbacks.told import Told


class Filled(Told):
    """Prints what a model puts into the blanks of texts, and keeps it in a file.

    Args:
        file: The file; see `Told`.
        texts: Strings with "[MASK]" for each blank.
        k: Guesses for each blank.
        every, show: As of `Told`.

    Raises:
        ValueError: `every` is below 1, or the model fills in no blanks.
    """

    method = "fill"

    def __init__(self, file, texts, k=3, every=1, show=print):
        super().__init__(every, file, show)
        self.texts, self.k = list(texts), k

    def lines(self):
        return [f"  {text}: {told(self.model.fill(text, self.k))}" for text in self.texts]


def told(blanks):
    """Guesses in words: "cat 40 %, dog 20 %; mat 70 %"."""
    return "; ".join(
        ", ".join(f"{guess.text} {guess.probability:.0%}" for guess in blank) for blank in blanks
    )
