"""Series of numbers, cut into windows, each with the value that follows it."""

import numpy as np

from keraszoo.data.dataset import Dataset
from keraszoo.data.directory import File, located
from keraszoo.registry import nearest

NAB = File(
    "nab_timeseries/nab_timeseries.npz",
    "b511fe4c3f5fdc49e58602a54f1db680ffc25b663c8a43afadf1d453daf92270",
    "the array names (27,) text; and for each name the arrays NAME__t (time,) int64, seconds, NAME__x (time,) float64, "
    "NAME__y (time,) uint8, 1 where it is unusual",
)


def windows(values, window, test_share):
    """The parts of a data set: the series' beginning to learn from, its end to test on.

    Args:
        values: (time,), numbers.
        window: How many values are seen.
        test_share: Part of the series at its end, in (0, 1).

    Returns:
        Two pairs: windows, (count, window, 1), float32, and what follows each, (count, 1), float32. What
        is to be foretold in the test part lies in no window of the training part.

    Raises:
        ValueError: An option is out of range, or the series too short for it.
    """
    values = np.asarray(values, "float32")[:, None]
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must lie between 0 and 1, got {test_share!r}.")
    edge = round(len(values) * (1 - test_share))
    if not 1 <= window < min(edge, len(values) - 1):
        raise ValueError(
            f"window must be from 1 to {min(edge, len(values) - 1) - 1}, for a series of {len(values)}, got {window!r}."
        )
    seen = np.lib.stride_tricks.sliding_window_view(values[:-1], window, axis=0).swapaxes(1, 2)
    follows = values[window:]
    first = edge - window  # of the pairs whose answer is in the test part
    return (seen[:first], follows[:first]), (seen[first:], follows[first:])


def tides(window=48, count=4000, test_share=0.2, seed=0):
    """The level of the sea at a harbour, made up: an hour a step, the four strongest tides, and weather.

    Args:
        window: Hours that are seen.
        count: Hours in all.
        test_share: Part at the end that is to test on.
        seed: Of the weather, a non-negative integer.
    """
    hours, rng = np.arange(count), np.random.default_rng(seed)
    level = np.zeros(count)
    for period, height in ((12.42, 1.2), (12.0, 0.4), (23.93, 0.2), (25.82, 0.15)):  # M2, S2, K1, O1; metres
        level += height * np.cos(2 * np.pi * hours / period)
    surge = np.zeros(count)
    for t in range(1, count):  # a gale lasts about a day
        surge[t] = 0.96 * surge[t - 1] + rng.normal(0, 0.03)
    train, test = windows(level + surge, window, test_share)
    return Dataset(
        name="tides",
        task="forecasting",
        train=train,
        test=test,
        value_range=(-4, 4),
        source="generated: the tides M2, S2, K1 and O1, with their periods, and an autoregressive surge",
        licence="none needed",
        citation="periods of tides: A. T. Doodson, 1921",
        note="metres, an hour a step",
    )


def nab_timeseries(series="realKnownCause__nyc_taxi", window=48, test_share=0.2, data_dir=None, check=True):
    """27 series of machines, traffic and the like, each with moments at which something unusual happens.

    Args:
        series: Name of one of them.
        window: Steps that are seen.
        test_share: Part at the end that is to test on.
        data_dir: Folder that holds nab_timeseries/nab_timeseries.npz.
        check: Compare the file's SHA-256.
    """
    path, by_hand = located("nab_timeseries", NAB, data_dir, check)
    with np.load(path, allow_pickle=False) as held:
        if "names" not in held:
            raise ValueError(f"{path} holds no array called 'names'. {by_hand}")
        names = held["names"].tolist()
        if series not in names:
            raise ValueError(f"No series is called {series!r}. {nearest(series, names, ', '.join(names))}")
        values = held[f"{series}__x"]
    train, test = windows(values, window, test_share)
    return Dataset(
        name="nab_timeseries",
        task="forecasting",
        train=train,
        test=test,
        value_range=(float(values.min()), float(values.max())),
        source="github.com/numenta/NAB",
        licence="MIT",
        citation="A. Lavin, S. Ahmad: Evaluating real-time anomaly detection algorithms, 2015",
        note=f"series {series}",
    )
