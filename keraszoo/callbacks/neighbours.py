"""What words come to mean: their nearest neighbours epoch by epoch, and a map of them."""

import numpy as np

from keraszoo.callbacks import pictures
from keraszoo.callbacks.told import Told


class Neighbours(Told):
    """Prints the words nearest to a few words, and answers to questions, at the end of each epoch.

    Args:
        words: List of words, as `model.nearest` takes them.
        questions: List of (a, b, c): what is to `c` as `b` is to `a`?
        count: Neighbours of a word.
        every, file, show: As of `Told`.

    Raises:
        ValueError: `every` is below 1, or the model has no vectors of words.
    """

    method = "nearest"

    def __init__(self, words, questions=(), every=1, count=5, show=print, file=None):
        super().__init__(every, file, show)
        self.words, self.questions = list(words), list(questions)
        self.count = count

    def lines(self):
        found = [f"  loss {self.logs.get('loss', np.nan):.3f}"]
        for word in self.words:
            near = self.model.nearest(word, self.count)
            found.append(f"  {word}: " + ", ".join(f"{other} {cosine:.2f}" for other, cosine in near))
        for a, b, c in self.questions:
            (answer, cosine), *_ = self.model.analogy(a, b, c, 1)
            found.append(f"  {a} is to {b} as {c} is to {answer} ({cosine:.2f})")
        return found


def word_map(path, vectors, groups, title=""):
    """Words in the plane, those of like direction side by side, coloured by group.

    By t-SNE (van der Maaten, Hinton 2008, https://www.jmlr.org/papers/v9/vandermaaten08a.html): who is near to whom is
    told, distances between heaps are not.

    Args:
        path: The PNG file.
        vectors: A dict from words to vectors of one length.
        groups: A dict from names of groups to lists of words; words without a vector are left out.
        title: Above it.

    Raises:
        ValueError: Fewer than three of the words have a vector.
    """
    from sklearn.manifold import TSNE

    known = [
        (word, number) for number, group in enumerate(groups.values()) for word in group if word in vectors
    ]
    if len(known) < 3:
        raise ValueError(f"A map needs three words that have a vector, got {[word for word, _ in known]}.")
    rows = np.array([vectors[word] for word, _ in known])
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    near = min(15.0, (len(rows) - 1) / 3)
    spots = TSNE(metric="cosine", perplexity=near, init="random", random_state=0).fit_transform(rows)
    figure, (panel,) = pictures.sheet(1, width=9, height=7, columns=1)
    for number, name in enumerate(groups):
        mine = [i for i, (_, group) in enumerate(known) if group == number]
        panel.plot(*spots[mine].T, ".", color=f"C{number % 10}", label=name)
        for i in mine:
            panel.annotate(
                known[i][0], spots[i], (3, 2), textcoords="offset points", color=f"C{number % 10}", fontsize=8
            )
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_title(title, fontsize=10)
    figure.legend(loc="outside lower center", ncols=6, fontsize=8)
    pictures.save(figure, path)
