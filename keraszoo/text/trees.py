"""Bracketed trees, such as those of the Penn Treebank, and what a network takes instead of them."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

PIECES = re.compile(r"[()]|[^ \t\r\n()]+")  # a word may hold a space that does not break
NUMBER = re.compile(r"-?\d+")


@dataclass(eq=False, repr=False, slots=True)
class Tree:
    """A node and what hangs below it.

    Attributes:
        label: Class number, or None.
        word: Of a leaf; or of the head, in trees whose inner nodes are words as well; or None.
        children: Tuple of `Tree`s, empty for a leaf.
    """

    label: int | None
    word: str | None
    children: tuple = ()

    @classmethod
    def parse(cls, text, classes=None, name="tree"):
        """Read a tree.

        Each bracket holds a label, then a word or further brackets: `(3 (2 It) (4 works))`. An inner node may
        have a word, too, as in dependency trees: `(3 works (2 It))`. If the outermost bracket does not begin
        with a label, the tree has none, and words need no brackets: `(It (works well))`.

        Args:
            text: One tree.
            classes: How many classes there are, or their names, which may then stand for the numbers.
            name: What the text is called, for messages, "line 7" for example.

        Raises:
            ValueError: The text is no such tree, or a label no such class; the message says where.

        >>> Tree.parse("(3 (2 It) (4 works))").words()
        ['It', 'works']
        """
        if not isinstance(text, str):
            raise ValueError(f"{name} must be a text with a tree in brackets, got {type(text).__name__}.")
        names = [] if classes is None or isinstance(classes, int) else list(map(str, classes))
        most = len(names) or classes
        open_nodes, root, labelled = [], None, None
        for found in PIECES.finditer(text):
            piece = found.group()
            if root is not None:
                raise wrong(
                    name, found.start(), f"{piece!r} stands behind the end of the tree: brackets do not match"
                )
            if piece == "(":
                open_nodes.append((found.start(), [], []))
            elif not open_nodes:
                raise wrong(name, found.start(), f"a tree begins with an opening bracket, not with {piece!r}")
            elif piece == ")":
                node = closed(cls, *open_nodes.pop(), labelled, most, names, name)
                if open_nodes:
                    open_nodes[-1][2].append(node)
                else:
                    root = node
            else:
                if labelled is None:
                    labelled = piece in names or NUMBER.fullmatch(piece) is not None
                if labelled:
                    open_nodes[-1][1].append(piece)
                else:
                    open_nodes[-1][2].append(cls(None, piece))
        if root is None and open_nodes:
            raise wrong(name, open_nodes[-1][0], "this bracket is never closed")
        if root is None:
            raise ValueError(f"{name} is empty: there is no tree in it.")
        return root

    def nodes(self):
        """The node itself and all below it, in the order of their opening brackets."""
        found, waiting = [], [self]
        while waiting:
            found.append(waiting.pop())
            waiting.extend(reversed(found[-1].children))
        return found

    def words(self):
        """All words, in the order of their brackets."""
        return [node.word for node in self.nodes() if node.word is not None]

    def __repr__(self):
        return f"<Tree: {self}>"

    def __str__(self):
        parts, waiting = [], [self]
        while waiting:
            node = waiting.pop()
            if isinstance(node, str):
                parts.append(node)
                continue
            held = [str(v) for v in (node.label, node.word) if v is not None]
            parts.append(" (" + " ".join(held))
            waiting += [")", *reversed(node.children)]
        return "".join(parts).strip().replace("( (", "((")


def wrong(name, at, what):
    """The error of a text that is no tree."""
    return ValueError(f"{name}, character {at + 1}: {what}.")


def closed(cls, at, atoms, children, labelled, most, names, name):
    """The `Tree` that a bracket holds.

    Args:
        cls: `Tree`.
        at: Where the bracket was opened.
        atoms: A label and a word, as far as they are there; none in trees without labels.
        children: `Tree`s.
        labelled: Whether trees have labels.
        most: How many classes there are, or None.
        names: Of the classes, or none.
        name: What the text is called.
    """
    if not atoms and not children:
        raise wrong(name, at, "this bracket is empty")
    if not labelled:
        alone = len(children) == 1 and not children[0].children
        return children[0] if alone else cls(None, None, tuple(children))
    if not atoms:
        raise wrong(name, at, "this bracket has no label")
    label, *words = atoms
    if len(words) > 1:
        raise wrong(name, at, f"this bracket holds several words, {words}; each needs a bracket of its own")
    if not words and not children:
        raise wrong(name, at, f"this bracket holds a label, {label}, and no word")
    if label in names:
        label = names.index(label)
    elif not NUMBER.fullmatch(label) or int(label) < 0 or (most and int(label) >= most):
        expected = f"a number from 0 to {most - 1}" if most else "a number from 0"
        known = f" or one of {', '.join(names)}" if names else ""
        raise wrong(name, at, f"the label of this bracket must be {expected}{known}, not {label!r}")
    return cls(int(label), words[0] if words else None, tuple(children))


class Flat(NamedTuple):
    """A tree as a table: two lists, of its words and of its inner nodes, side by side.

    Attributes:
        words: List of str.
        joins: (rows, columns), int32. Row `i` tells of inner node `i` where its children are: `k` is word number
            `k`, from 1, `-k` is inner node number `k`, from 1, and 0 is nothing. The root comes first. With
            heads, the first column is the number of the node's own word, or 0.
        places: (nodes, 2), integers: for each node, in the order of the opening brackets, its row, and 0 if it is
            in the list of words, or 1 in that of inner nodes.
    """

    words: list
    joins: np.ndarray
    places: np.ndarray


def flatten(tree, width=1, most=2, heads=False, name="tree"):
    """A tree as a table of numbers, from which networks compute many nodes at once.

    Rows fall into levels, of `width` rows each: every child is in a later level than its parent, so that a level
    can be computed as a whole once those behind it are known. There are as few levels as possible: each takes, of the
    nodes whose parents have their place, those with the longest way down (Hu 1961,
    https://doi.org/10.1287/opre.9.6.841). Rows that are left over are zeros. A tree of a single word has one
    inner node, the root, whose only child is the word.

    Args:
        tree: A `Tree`.
        width: Inner nodes to a level.
        most: Children that a node may have.
        heads: Whether inner nodes may have a word of their own.
        name: What the tree is called, for messages.

    Returns:
        A `Flat`. It has as many rows as words or as levels need, whichever is more: a multiple of `width`.

    Raises:
        ValueError: A node has more children than `most`, or a word besides children without `heads`.
    """
    nodes = tree.nodes()
    number = {node: i for i, node in enumerate(nodes)}
    if len(number) < len(nodes):
        raise ValueError(f"{name} holds the same node in two places: make a Tree for each.")
    words, word_of = [], {}
    for i, node in enumerate(nodes):
        if len(node.children) > most:
            raise ValueError(f"A node of {name} has {len(node.children)} children; {most} is the most.")
        if node.children and node.word is not None and not heads:
            raise ValueError(
                f"A node of {name} has children and a word, {node.word!r}: only a child-sum takes both."
            )
        if node.word is not None:
            words.append(node.word)
            word_of[i] = len(words)
    way_down = [0] * len(nodes)
    for i in reversed(range(len(nodes))):  # children come after their parents
        way_down[i] = 1 + max((way_down[number[child]] for child in nodes[i].children), default=-1)
    row_of, ready, level = {}, [0], 0
    while ready:
        ready.sort(key=lambda i: -way_down[i])
        chosen, ready = ready[:width], ready[width:]
        row_of.update({i: level * width + k for k, i in enumerate(chosen)})
        ready += [number[c] for i in chosen for c in nodes[i].children if c.children]
        level += 1
    rows = -(-max(len(words), level * width) // width) * width
    joins = np.zeros((rows, heads + most), "int32")
    for i, row in row_of.items():
        children = [number[c] for c in nodes[i].children]
        found = [-1 - row_of[c] if c in row_of else word_of[c] for c in children]
        if heads:
            joins[row, 0] = word_of.get(i, 0)
        elif not children:
            found = [word_of[i]]
        joins[row, heads : heads + len(found)] = found
    places = [(row_of[i], 1) if i in row_of else (word_of[i] - 1, 0) for i in range(len(nodes))]
    return Flat(words, joins, np.array(places))
