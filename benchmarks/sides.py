"""The two sides of a comparison, and whether they compute the same."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from benchmarks.cases import named_weights

OPTIONS = {  # every way of writing the native side; the fastest stands for all
    "torch": [{"layout": "last"}, {"layout": "first"}],
    "jax": [{}],
    "tensorflow": [{"compiled": False}, {"compiled": True}],
}


class Side:
    """What takes part in a comparison: `step`, `fit` and `predict` on NumPy arrays."""

    def timed(self, work, x, y):
        """Processor seconds for "forward" or "training" on all data."""
        start = time.process_time()
        if work == "forward":
            self.predict(x)
        else:
            self.fit(x, y)
        return time.process_time() - start


class Ours(Side):
    """The model of `keraszoo.build`, used as anyone would."""

    label = "keraszoo"

    def __init__(self, case):
        self.model, self.batch_size = case.build(), case.batch_size

    def step(self, x, y):
        """One step; the loss before it."""
        return float(self.model.train_on_batch(x, y)[0])

    def fit(self, x, y):
        """An epoch, shuffled."""
        self.model.fit(x, y, batch_size=self.batch_size, epochs=1, verbose=0)

    def predict(self, x):
        """Logits of all images."""
        return self.model.predict(x, batch_size=self.batch_size, verbose=0)

    def reset(self, weights):
        """Back to where the model was before its first step."""
        self.model.set_weights(weights)
        for variable in self.model.optimizer.variables[2:]:  # after the counter and the learning rate
            variable.assign(np.zeros(variable.shape))
        self.model.optimizer.iterations.assign(0)


class Theirs(Side):
    """A native model in the loop that one writes around it: shuffle, step, add up the loss."""

    def __init__(self, backend, case, weights, **options):
        if backend == "torch":
            from benchmarks.native_torch import Native
        elif backend == "jax":
            from benchmarks.native_jax import Native
        else:
            from benchmarks.native_tensorflow import Native
        words = " ".join(f"{key}={value}" for key, value in options.items())
        self.label = f"{backend} {words}".strip()
        self.native = Native(case.name, weights, case.learning_rate, **options)
        self.batch_size, self.rng = case.batch_size, np.random.default_rng(0)

    def step(self, x, y):
        """One step; the loss before it."""
        return float(self.native.step(x, y))

    def fit(self, x, y):
        """An epoch, shuffled."""
        order = self.rng.permutation(len(x))
        total = 0.0
        for start in range(0, len(x), self.batch_size):
            rows = order[start : start + self.batch_size]
            total = total + self.native.step(x[rows], y[rows])
        return float(total)

    def predict(self, x):
        """Logits of all images."""
        return self.native.predict(x, self.batch_size)


class Apart:
    """`Theirs` in a process of its own, for another backend than Keras'.

    In one process with TensorFlow, torch is slower by half: it spends that time on getting memory
    from the system which TensorFlow's use of the allocator has made it give back.
    """

    def __init__(self, *arguments, **options):
        self.process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.label = self.process.submit(settle, arguments, options).result()

    def step(self, *arguments):
        return self.process.submit(ask, "step", *arguments).result()

    def predict(self, *arguments):
        return self.process.submit(ask, "predict", *arguments).result()

    def timed(self, *arguments):
        return self.process.submit(ask, "timed", *arguments).result()


def settle(arguments, options):
    """In a process of `Apart`: make the side that lives there."""
    global settler
    settler = Theirs(*arguments, **options)
    return settler.label


def ask(method, *arguments):
    """In a process of `Apart`: what its side answers."""
    return getattr(settler, method)(*arguments)


class Disagreement(AssertionError):
    """Two sides do not compute the same, so that a comparison of their speed says nothing."""


def agreed(backends, case, x, y):
    """Ours, and every native side of some backends, after each has agreed with ours.

    Args:
        backends: Names; the first is Keras' own.
        case: A `Case`.
        x, y: Its data.

    Raises:
        Disagreement: A native side computes something else.
    """
    ours = Ours(case)
    start, weights = ours.model.get_weights(), named_weights(ours.model)
    natives = [
        (Theirs if backend == backends[0] else Apart)(backend, case, weights, **options)
        for backend in backends
        for options in OPTIONS[backend]
    ]
    for theirs in natives:
        ours.reset(start)
        mine, other = ours.predict(x), theirs.predict(x)
        if np.abs(mine - other).max() > 1e-4 * np.abs(mine).max():
            raise Disagreement(f"keraszoo and {theirs.label} predict {mine} and {other}.")
        agree(ours, theirs, x, y)
    return ours, natives


def agree(ours, theirs, x, y, steps=3, tolerance=1e-4):
    """Take some steps on both sides.

    Raises:
        Disagreement: The losses before the steps differ by more than `tolerance` of their size.
    """
    size = ours.batch_size
    batches = [(x[i : i + size], y[i : i + size]) for i in range(0, steps * size, size)]
    mine, other = [[side.step(*batch) for batch in batches] for side in (ours, theirs)]
    if not np.allclose(mine, other, rtol=tolerance, atol=0):
        raise Disagreement(
            f"keraszoo and {theirs.label} have losses {mine} and {other}: they are not the same model."
        )
