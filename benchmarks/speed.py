"""Who is faster: rounds in which every side does the same work, one after the other."""

import numpy as np

from benchmarks.sides import agreed


def compare(rivals, case, rounds):
    """Time a case against the native code of some backends.

    Args:
        rivals: Backends whose native code takes part, as `sides.agreed` takes them.
        case: A `Case`.
        rounds: How often every side takes its turn.

    Returns:
        For "forward" and "training": a dict of labels to processor milliseconds per batch, an array
        with an entry for each round.
    """
    ours, natives = agreed(rivals, case)
    works = {"forward": ("predict", case.asked()), "training": ("fit", *case.data())}
    return {name: rounds_of(work, [ours, *natives], rounds, case.batches) for name, work in works.items()}


def rounds_of(work, sides, rounds, batches):
    """Every side in turn, each round beginning with another one."""
    taken = {side.label: [] for side in sides}
    for side in sides:
        side.timed(*work)  # compiles, and warms up
    for turn in range(rounds):
        first = turn % len(sides)
        for side in sides[first:] + sides[:first]:
            taken[side.label].append(side.timed(*work) / batches * 1e3)
    return {label: np.array(times) for label, times in taken.items()}


def summary(times, rival):
    """Ours beside the fastest native code of a rival.

    Args:
        times: Milliseconds for each label, as `compare` gives them for one kind of work.
        rival: Whose native code to compare with.

    Returns:
        A dict: `native`, the label of the fastest; `ours_ms`, `native_ms`, medians; `ratio`, the median
        of native time over ours in the same round (more than 1: ours is faster), and its `quartiles`.
    """
    labels = [label for label in times if label.split()[0] == rival]
    best = min(labels, key=lambda label: np.median(times[label]))
    ratios = times[best] / times["keraszoo"]
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return dict(
        native=best,
        ours_ms=float(np.median(times["keraszoo"])),
        native_ms=float(np.median(times[best])),
        ratio=float(middle),
        quartiles=[float(low), float(high)],
    )
