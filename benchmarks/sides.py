"""The two sides of a comparison, and whether they compute the same."""

import numpy as np

from benchmarks.cases import named_weights


class Ours:
    """The model of `keraszoo.build`, used as anyone would: `fit`, `train_on_batch`, `predict`."""

    label = "keraszoo"

    def __init__(self, case):
        self.model, self.batch_size = case.build(), case.batch_size

    def step(self, x, y):
        """One step; the loss before it."""
        return self.model.train_on_batch(x, y)[0]

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


class Theirs:
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


OPTIONS = {  # every way of writing the native side; the fastest stands for all
    "torch": [{"layout": "last"}, {"layout": "first"}],
    "jax": [{}],
    "tensorflow": [{"compiled": False}, {"compiled": True}],
}


class Disagreement(AssertionError):
    """Two sides do not compute the same, so that a comparison of their speed says nothing."""


def agreed(backend, case, x, y, steps=3):
    """Ours, and every native side of a backend, after each has taken a few steps and agreed.

    Raises:
        Disagreement: A native side computes something else.
    """
    ours = Ours(case)
    start, weights = ours.model.get_weights(), named_weights(ours.model)
    natives = [Theirs(backend, case, weights, **options) for options in OPTIONS[backend]]
    for theirs in natives:
        ours.reset(start)
        mine, other = ours.predict(x), theirs.predict(x)
        if np.abs(mine - other).max() > 1e-4 * np.abs(mine).max():
            raise Disagreement(f"keraszoo and {theirs.label} predict {mine} and {other}.")
        agree(ours, theirs, x, y, steps)
    return ours, natives


def agree(ours, theirs, x, y, steps=3, tolerance=1e-4):
    """The losses before each of some steps, the same on both sides.

    Raises:
        Disagreement: The losses differ by more than `tolerance` of their size.
    """
    size = ours.batch_size
    batches = [(x[i : i + size], y[i : i + size]) for i in range(0, steps * size, size)]
    mine, other = [[float(side.step(*batch)) for batch in batches] for side in (ours, theirs)]
    if not np.allclose(mine, other, rtol=tolerance, atol=0):
        raise Disagreement(
            f"keraszoo and {theirs.label} have losses {mine} and {other}: they are not the same model."
        )
    return mine
