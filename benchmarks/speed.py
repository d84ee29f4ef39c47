"""Who is faster: rounds in which every side does the same work, one after the other."""

import time

import numpy as np

from benchmarks.sides import agreed

WORK = {
    "forward": lambda side, x, y: side.predict(x),
    "training": lambda side, x, y: side.fit(x, y),
}


def compare(backends, case, rounds):
    """Time a case against the native code of some backends.

    Args:
        backends: Backends whose native code takes part; the first is Keras' own.
        case: A `Case`.
        rounds: How often every side takes its turn.

    Returns:
        For each kind of work: a dict of labels to processor milliseconds per batch, an array with an
        entry for each round.
    """
    x, y = case.data()
    ours, natives = agreed(backends[0], case, x, y)
    for backend in backends[1:]:
        natives += agreed(backend, case, x, y)[1]
    sides = [ours, *natives]
    taken = {kind: {side.label: [] for side in sides} for kind in WORK}
    for kind, work in WORK.items():
        for side in sides:
            work(side, x, y)  # compile, and warm up
        for turn in range(rounds):
            first = turn % len(sides)
            for side in sides[first:] + sides[:first]:
                start = time.process_time()
                work(side, x, y)
                taken[kind][side.label].append((time.process_time() - start) / case.batches * 1e3)
    return {kind: {label: np.array(times) for label, times in sides.items()} for kind, sides in taken.items()}


def summary(times, backend):
    """Ours beside the fastest native code of a backend.

    Args:
        times: Milliseconds for each label, as `compare` gives them for one kind of work.
        backend: Whose native code to compare with.

    Returns:
        A dict: `native`, the label of the fastest; `ours_ms`, `native_ms`, medians; `ratio`, the median
        of native time over ours in the same round (more than 1: ours is faster), and its `quartiles`.
    """
    labels = [label for label in times if label.split()[0] == backend]
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
