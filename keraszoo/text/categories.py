"""Names of classes to numbers and back."""

import difflib

import numpy as np


class Categories:
    """Names, and their numbers in that order.

    Args:
        names: Different strings.

    >>> Categories(["cat", "dog"]).encode(["dog", "cat"])
    array([1, 0], dtype=int32)
    """

    def __init__(self, names):
        self.names = tuple(map(str, names))
        if not self.names:
            raise ValueError("names is empty: there must be at least one category.")
        if len(set(self.names)) < len(self.names):
            twice = next(name for i, name in enumerate(self.names) if name in self.names[:i])
            raise ValueError(f"names must differ, but {twice!r} is there twice.")
        self.numbers = {name: i for i, name in enumerate(self.names)}

    @classmethod
    def learn(cls, labels):
        """The sorted names that occur among labels."""
        return cls(sorted(set(map(str, labels))))

    def __len__(self):
        return len(self.names)

    def encode(self, labels, name="y"):
        """Class numbers of labels, (count,) int32.

        Args:
            labels: Names.
            name: What they are called, for messages.

        Raises:
            ValueError: A label is none of the names; the message gives the nearest ones.
        """
        found = [self.numbers.get(str(label), -1) for label in labels]
        if -1 in found:
            at = found.index(-1)
            wrong = str(labels[at])
            near = difflib.get_close_matches(wrong, self.names) or self.names[:5]
            raise ValueError(
                f"{name}[{at}] is {wrong!r}, which is none of the {len(self)} classes. "
                f"Near it are {', '.join(map(repr, near))}."
            )
        return np.array(found, "int32")

    def one_hot(self, labels):
        """(count, classes) float32, 1 at each label's class and 0 elsewhere."""
        return np.eye(len(self), dtype="float32")[self.encode(labels)]

    def decode(self, numbers):
        """Names of class numbers, a list.

        Raises:
            ValueError: A number is not that of a class.
        """
        numbers = np.asarray(numbers)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= len(self)):
            raise ValueError(
                f"numbers must lie from 0 to {len(self) - 1}, got {numbers.min()} to {numbers.max()}."
            )
        return [self.names[int(n)] for n in numbers]
