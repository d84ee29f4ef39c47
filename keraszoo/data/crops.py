"""Pieces of images with what belongs to their pixels, cut at random places and turned at random."""

import keras
import numpy as np

from keraszoo.training.batches import Shuffled, as_array, cut, each


class Crops(Shuffled):
    """Random crops of images and of their labels, the same of both, each turned or mirrored at random.

    A layer at a model's front can vary the images only; where each pixel has a label, the labels must go
    along. Epoch `e` of a seed always has the same crops. All eight ways to turn and mirror a square are
    equally likely; what is not square is mirrored only.

    Args:
        x: (count, height, width, channels) array of images.
        y: Their labels, (count, height, width) or (count, height, width, channels), or a dict of such.
        sample_weight: Weights of the pixels, in the same forms, or None.
        size: (height, width) of a crop in pixels; None for whole images.
        turns: Turn and mirror; if False, only cut.
        repeat: Crops of each image in an epoch: several, where images are few and large.
        batch_size, shuffle, seed, initial_epoch: As of `Batches`.

    Raises:
        ValueError: A crop is larger than the images, or labels have other sides than the images.

    >>> model.fit(Crops(images, masks, size=(128, 128), batch_size=16, shuffle=True, seed=0), epochs=20)
    """

    def __init__(self, x, y, sample_weight=None, size=None, turns=True, repeat=1, **order):
        self.data = each(as_array, keras.utils.pack_x_y_sample_weight(x, y, sample_weight))
        arrays = [v for v in keras.tree.flatten(self.data) if v is not None]
        self.sides = arrays[0].shape[1:3]
        for array in arrays:
            if array.shape[:3] != arrays[0].shape[:3]:
                raise ValueError(
                    f"Labels and weights must have the sides of the images, {arrays[0].shape[:3]}, got "
                    f"{array.shape}."
                )
        self.size = tuple(size or self.sides)
        if any(a > b for a, b in zip(self.size, self.sides, strict=True)):
            raise ValueError(f"size must fit into images of {self.sides}, got {self.size}.")
        self.turns = turns
        super().__init__(len(arrays[0]) * repeat, **order)
        self.repeat = repeat

    def take(self, rows):
        rows = np.arange(self.count)[rows]
        rng = np.random.default_rng((self.seed, self.epoch, *rows[:1]))
        rows = rows // self.repeat
        corners = rng.integers(0, np.subtract(self.sides, self.size) + 1, size=(len(rows), 2))
        turns = rng.integers(0, 2, size=(len(rows), 3)) * self.turns
        turns[:, 2] *= self.size[0] == self.size[1]

        def piece(array, row, corner, turn):
            (top, left), (height, width) = corner, self.size
            part = array[row, top : top + height, left : left + width]
            part = part[:: 1 - 2 * turn[0], :: 1 - 2 * turn[1]]
            return part.swapaxes(0, 1) if turn[2] else part

        def pieces(array):
            found = [piece(array, *one) for one in zip(rows, corners, turns, strict=True)]
            return cut(np.stack(found), slice(None))

        return each(pieces, self.data)
