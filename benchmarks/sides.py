"""The two sides of a comparison, and whether they compute the same."""

import contextlib
import importlib
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from benchmarks.cases import named_weights

TOGETHER = "-together"  # ends the name of a backend whose native code runs in this process, beside Keras'


class Side:
    """What takes part in a comparison: `step`, `fit` and `predict` on NumPy arrays."""

    def timed(self, work, *data):
        """Processor seconds for `work`, "predict" or "fit", on all data."""
        start = time.process_time()
        getattr(self, work)(*data)
        return time.process_time() - start


class Ours(Side):
    """The model of `keraszoo.build`, used as anyone would."""

    label = "keraszoo"

    def __init__(self, case):
        self.model, self.batch_size = case.build(), case.batch_size

    def step(self, *batch, noise=()):
        """One step; the losses before it, one for each player where there are several. Noise: see `fed`."""
        logs = self.model.train_on_batch(*batch, *([tuple(noise)] if noise else []), return_dict=True)
        players = self.model.players() if hasattr(self.model, "players") else ()
        return [logs[f"{player}_loss"] for player in players] or [logs["loss"]]

    def fit(self, *data):
        """An epoch, shuffled."""
        self.model.fit(*data, batch_size=self.batch_size, epochs=1, verbose=0)

    def predict(self, x):
        """Outputs for all inputs."""
        return self.model.predict(x, batch_size=self.batch_size, verbose=0)

    def reset(self, weights):
        """Back to where the model was before its first step."""
        self.model.set_weights(weights)
        for variable in self.model.optimizer.variables:
            if variable.name != "learning_rate":
                variable.assign(np.zeros(variable.shape))

    @contextlib.contextmanager
    def fed(self):
        """Inside, a game takes the noise of a step from its data, where it otherwise draws it."""
        model, learn = self.model, self.model.learn

        def fed(data):
            *batch, noise, _ = data
            left = list(noise)
            object.__setattr__(model, "drawn", lambda like: left.pop(0))
            return learn(tuple(batch))

        object.__setattr__(model, "learn", fed)
        object.__setattr__(model, "check_batch", lambda *arguments: None)
        model.train_function = None
        try:
            yield
        finally:
            for name in ("learn", "check_batch", "drawn"):
                object.__delattr__(model, name)
            model.train_function = None


class Theirs(Side):
    """A native model in the loop that one writes around it: shuffle, step, add up the loss."""

    def __init__(self, rival, case, weights, **options):
        backend = rival.removesuffix(TOGETHER)
        native = importlib.import_module(f"benchmarks.{case.native}_{backend}").Native
        words = " ".join(f"{key}={value}" for key, value in options.items())
        self.label = f"{rival} {words}".strip()
        self.native = native(case.name, weights, case.learning_rate, **case.facts, **options)
        self.batch_size, self.rng = case.batch_size, np.random.default_rng(0)

    def step(self, *batch, noise=()):
        """One step; the losses before it, one for each player where there are several."""
        return [float(loss) for loss in self.native.step(*batch, *noise)]

    def fit(self, *data):
        """An epoch, shuffled."""
        order = self.rng.permutation(len(data[0]))
        totals = 0.0
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            losses = self.native.step(*(part[rows] for part in data))
            totals = losses if not start else [a + b for a, b in zip(totals, losses, strict=True)]
        return [float(total) for total in totals]

    def predict(self, x):
        """Outputs for all inputs."""
        return self.native.predict(x, self.batch_size)


class Apart:
    """`Theirs` in a process of its own, for another backend than Keras'.

    In one process with TensorFlow, torch is slower by half: it spends that time on getting memory
    from the system which TensorFlow's use of the allocator has made it give back.
    """

    def __init__(self, *arguments, **options):
        self.process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.label = self.process.submit(settle, arguments, options).result()

    def step(self, *arguments, **noise):
        return self.process.submit(ask, "step", *arguments, **noise).result()

    def predict(self, *arguments):
        return self.process.submit(ask, "predict", *arguments).result()

    def timed(self, *arguments):
        return self.process.submit(ask, "timed", *arguments).result()


def settle(arguments, options):
    """In a process of `Apart`: make the side that lives there."""
    global settler
    settler = Theirs(*arguments, **options)
    return settler.label


def ask(method, *arguments, **noise):
    """In a process of `Apart`: what its side answers."""
    return getattr(settler, method)(*arguments, **noise)


class Disagreement(AssertionError):
    """Two sides do not compute the same, so that a comparison of their speed says nothing."""


def agreed(rivals, case):
    """Ours, and every native side of some backends, after each has agreed with ours.

    Args:
        rivals: Names of backends; the first is Keras' own. Another one runs in a process of its own,
            unless its name ends with `TOGETHER`.
        case: A `Case`.

    Raises:
        Disagreement: A native side computes something else.
    """
    ours = Ours(case)
    start, weights = ours.model.get_weights(), named_weights(ours.model)
    natives = [
        (Theirs if rival == rivals[0] or rival.endswith(TOGETHER) else Apart)(rival, case, weights, **options)
        for rival in rivals
        for options in case.ways[rival.removesuffix(TOGETHER)]
    ]
    for theirs in natives:
        ours.reset(start)
        mine, other = case.compared(ours.predict(case.asked())), theirs.predict(case.asked())
        apart = np.abs(mine - other).max() / np.abs(mine).max()
        if not apart < case.rounding:
            raise Disagreement(
                f"What keraszoo and {theirs.label} predict lies apart by {apart:g} of its size."
            )
        agree(ours, theirs, case)
    return ours, natives


def agree(ours, theirs, case, steps=3, tolerance=1e-4):
    """Take some steps on both sides.

    Raises:
        Disagreement: The losses before the steps differ by more than `tolerance` of their size.
    """
    size, data = case.batch_size, case.data()
    batches = [[part[i * size : (i + 1) * size] for part in data] for i in range(steps)]
    draws = [case.noise(seed) for seed in range(steps)]
    mine, told = [], []
    with ours.fed() if draws[0] else contextlib.nullcontext():
        for batch, noise in zip(batches, draws, strict=True):
            told.append(noise or case.drawn(ours.model))
            mine.append(ours.step(*batch, noise=noise))
    other = [theirs.step(*batch, noise=noise) for batch, noise in zip(batches, told, strict=True)]
    if not np.allclose(mine, other, rtol=tolerance, atol=0):
        raise Disagreement(
            f"keraszoo and {theirs.label} have losses {mine} and {other}: they are not the same model."
        )
