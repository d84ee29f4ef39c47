"""How well points keep to the curve (x, sin x), and how much of one wave they reach."""

import numpy as np


def curve_error(points):
    """Mean of |y - sin x|, a float from 0.

    Args:
        points: (count, 2), floating: x and y of each.

    Raises:
        ValueError: `points` has another shape, holds nothing, or holds NaN or infinity.
    """
    x, y = checked(points).T
    return float(np.abs(y - np.sin(x)).mean())


def coverage(points, bins=50):
    """Share of equal parts of [0, 2 pi] in which the x of some point lies, a float in [0, 1].

    How far points are from the curve does not matter here; see `curve_error`.

    Args:
        points: (count, 2), floating: x and y of each.
        bins: Number of parts.

    Raises:
        ValueError: As of `curve_error`; or `bins` is below 1.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}.")
    counts, _ = np.histogram(checked(points)[:, 0], bins=bins, range=(0, 2 * np.pi))
    return float((counts > 0).mean())


def checked(points):
    """The points in float64, after a look at whether they are points."""
    points = np.asarray(points, "float64")
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"points must have shape (count, 2) with a count from 1, got {points.shape}.")
    if not np.isfinite(points).all():
        raise ValueError("points must be finite, but some are NaN or infinite.")
    return points
