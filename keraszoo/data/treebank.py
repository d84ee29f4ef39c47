"""Sentences as trees, with the sentiment of every part: read from a folder of one's own, or made on the spot."""

import numpy as np

from keraszoo.data.dataset import Dataset
from keraszoo.data.directory import File, located
from keraszoo.text.files import read
from keraszoo.text.tokenizer import Tokenizer
from keraszoo.text.trees import Tree

SENTIMENTS = ("very negative", "negative", "neutral", "positive", "very positive")
FILES = {
    "train": File(
        "sst_trees/train.txt.gz",
        "738d2cb612c2af8d6987a4716117843cdb42ad31b7cc9f7d90d25ca491192958",
        "a tree in brackets a line",
    ),
    "test": File(
        "sst_trees/dev.txt.gz",
        "c4291b72eac00c32ac3e3abeaf1808f579b88c28ea8c245070b367f4cf95a27e",
        "a tree in brackets a line",
    ),
}


class Treebank(Dataset):
    """A data set of bracketed trees, which hold their labels: `x` is a list of strings, `y` is None."""

    def vocabulary(self, size=None, least=2):
        """A tokenizer of the words in the training trees.

        Args:
            size: Tokens at most; all by default.
            least: How often a word must occur to be known: with 2, the model learns what to make of unknown ones.
        """
        words = [Tree.parse(text).words() for text in self.train[0]]
        return Tokenizer.learn(words, kind="given", size=size, least=least)


def sst_trees(data_dir=None, check=True):
    """8,544 and 1,101 sentences from reviews of films, as binary trees with the sentiment of every phrase.

    The trees to test on are the development part of the Stanford Sentiment Treebank.

    Args:
        data_dir: Folder that holds sst_trees/train.txt.gz and dev.txt.gz.
        check: Compare the files' SHA-256.
    """
    return Treebank(
        name="sst_trees",
        task="tree_classification",
        **{part: (trees(file, data_dir, check), None) for part, file in FILES.items()},
        class_names=SENTIMENTS,
        value_range=None,
        source="Stanford Sentiment Treebank: training and development parts, as in github.com/munikarmanish/RNTN",
        licence="none stated by the authors: research material, whether commercial use is allowed is unclear",
        citation="R. Socher et al.: Recursive deep models for semantic compositionality, 2013, "
        "https://aclanthology.org/D13-1170",
        note="Labels are in the trees, at every node. Round brackets in the text are written -LRB- and -RRB-.",
    )


def trees(file, data_dir, check):
    """The lines of a file, each of which is a tree.

    Raises:
        FileNotFoundError: No folder was named, or the file is not in it.
        ValueError: The file is not the one we know, or a line is no tree; the message gives its number.
    """
    lines = read(located("sst_trees", file, data_dir, check)[0]).rstrip("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        Tree.parse(line, len(SENTIMENTS), f"{file.path}, line {number}")
    return lines


THINGS = "film plot cast story music script ending director".split()
QUALITIES = {0: "awful horrible", 1: "bad weak dull", 2: "long new", 3: "good funny fresh", 4: "great superb"}
LEAVES = {**dict.fromkeys(THINGS, 2), **{word: k for k, held in QUALITIES.items() for word in held.split()}}


def sentiment_trees(count=400, seed=0):
    """Sentences about films, made on the spot, as binary trees whose sentiment at every node follows rules.

    "not" turns a quality around and makes it weaker, "very" makes it stronger, "and" joins two of one kind, and of
    "but" only what comes behind counts. Who only counts words cannot know.

    Args:
        count: Training trees; a quarter as many test trees come on top, at least one. No tree is in both.
        seed: A non-negative integer.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}.")
    rng = np.random.default_rng(seed)
    found = {}
    while len(found) < count + max(1, count // 4):
        found[str(sentence(rng))] = None
    found = list(found)
    return Treebank(
        name="sentiment_trees",
        task="tree_classification",
        train=(found[:count], None),
        test=(found[count:], None),
        class_names=SENTIMENTS,
        value_range=None,
        source=f"generated, seed {seed}",
        licence="none needed",
    )


def sentence(rng):
    """Something, and what it is like: "the film is not very good"."""
    thing = Tree(2, None, (Tree(2, "the"), Tree(2, str(rng.choice(THINGS)))))
    said = clause(rng, depth=3)
    return Tree(said.label, None, (thing, Tree(said.label, None, (Tree(2, "is"), said))))


def clause(rng, depth):
    """A quality, or two of them joined."""
    if depth == 0 or rng.random() < 0.5:
        return quality(rng)
    first, second = clause(rng, depth - 1), clause(rng, depth - 1)
    word = "and" if (first.label - 2) * (second.label - 2) > 0 else "but"
    label = joined(first.label, second.label) if word == "and" else second.label
    return Tree(label, None, (first, Tree(second.label, None, (Tree(2, word), second))))


def joined(first, second):
    """The sentiment of two that point the same way: the stronger one's."""
    return max(first, second, key=lambda label: abs(label - 2))


def quality(rng):
    """An adjective, with "very" and "not" before it or without."""
    word = str(rng.choice([word for word in LEAVES if word not in THINGS]))
    found = Tree(LEAVES[word], word)
    for modifier in ("very", "not"):
        if rng.random() < 0.4:
            label = stronger(found.label) if modifier == "very" else turned(found.label)
            found = Tree(label, None, (Tree(2, modifier), found))
    return found


def stronger(label):
    """One step away from neutral."""
    return label if label == 2 else 0 if label < 2 else 4


def turned(label):
    """What it is not, mildly: neither "not great" nor "not good" is very negative."""
    return label if label == 2 else 1 if label > 2 else 3
