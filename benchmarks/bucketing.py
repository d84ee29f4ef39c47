"""What it saves that sequences of like length are batched together.

    python -m benchmarks.bucketing torch 3

An LSTM of 128 units, in both directions, learns from 2,000 sequences of 64 features, whose lengths are those of film
reviews: most are short, a few are long (log-normal, median 60, at most 400 steps). An epoch in which all are padded
to the longest takes turns with one in which there are four buckets. Prints the share of steps that is padding and
processor seconds for an epoch of each kind, medians of so many rounds (3 by default), after one that compiles.
"""

import sys
import time

from benchmarks.__main__ import alone

BUCKETS = {"all padded to the longest": 1, "four buckets": 4}


def sequences(count=2000, vocabulary=1000, seed=0):
    """Token numbers, and a class for each."""
    import numpy as np

    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(np.log(60), 0.7, count), 4, 400).astype(int)
    return [rng.integers(1, vocabulary, n).astype("int32") for n in lengths], rng.integers(0, 2, count)


def main(backend, rounds="3"):
    import numpy as np

    import keraszoo
    from keraszoo.training.bucketed import Bucketed

    x, y = sequences()
    model = keraszoo.build(
        "lstm", vocabulary_size=1000, embed_dim=64, units=128, bidirectional=True, num_classes=2, seed=0
    )
    data = {
        name: Bucketed(x, y, batch_size=64, shuffle=True, seed=0, buckets=buckets)
        for name, buckets in BUCKETS.items()
    }
    taken = {name: [] for name in data}
    for _ in range(int(rounds) + 1):
        for name, batches in data.items():
            start = time.process_time()
            model.fit(batches, verbose=0)
            taken[name].append(time.process_time() - start)
    print(f"an LSTM of 128 units in both directions on {backend}, {len(x)} sequences:")
    for name, batches in data.items():
        print(f"  {name:<28}{batches.padding():6.1%} padding  {np.median(taken[name][1:]):7.2f} s")
    first, second = (np.array(times[1:]) for times in taken.values())
    print(f"  buckets are {np.median(first / second):.2f} times as fast")


if __name__ == "__main__":
    alone(sys.argv[1])
    main(*sys.argv[1:])
