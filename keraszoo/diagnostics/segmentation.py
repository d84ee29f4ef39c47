"""How well things were found in each image, and where worst."""

import numpy as np


def overlaps(truth, found, num_classes=2):
    """The IoU of each class in each image: its pixels that were found, among those that are either.

    Args:
        truth, found: (count, height, width), integers from 0 to num_classes - 1.
        num_classes: Classes a pixel can belong to.

    Returns:
        (count, num_classes), float64, in [0, 1]; NaN where an image neither has the class nor is said to.

    Raises:
        ValueError: The shapes differ, or a class is out of range.
    """
    truth, found = np.asarray(truth), np.asarray(found)
    if truth.shape != found.shape or truth.ndim != 3:
        raise ValueError(
            f"truth and found must both be (count, height, width), got {truth.shape} and {found.shape}."
        )
    for name, classes in (("truth", truth), ("found", found)):
        if classes.size and not 0 <= classes.min() <= classes.max() < num_classes:
            raise ValueError(
                f"{name} must hold classes from 0 to {num_classes - 1}, got values from {classes.min()} to "
                f"{classes.max()}."
            )
    is_so, is_said = (np.arange(num_classes) == classes[..., None] for classes in (truth, found))
    both, either = (is_so & is_said).sum((1, 2)), (is_so | is_said).sum((1, 2))
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def worst(shares):
    """The images in the order in which to look at them: the least mean IoU of what is not background first.

    Args:
        shares: (count, num_classes), as `overlaps` gives them. An image with background only, rightly so, is last.

    Returns:
        order: (count,), integers.
        scores: (count,), floats: that mean, of each image in its own place.
    """
    there = ~np.isnan(shares[:, 1:])
    scores = np.where(there, shares[:, 1:], 0).sum(1) / np.maximum(there.sum(1), 1)
    scores = np.where(there.any(1), scores, 1.0)
    return np.argsort(scores, kind="stable"), scores
