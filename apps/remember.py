"""The reason for gates: what recurrent nets still know of what they saw long ago. At most 15 minutes on two cores.

    KERAS_BACKEND=jax python apps/remember.py

adding   two numbers of a long sequence of noise are marked: what is their sum? Hochreiter, Schmidhuber 1997,
         https://doi.org/10.1162/neco.1997.9.8.1735, section 5.4. Whoever always says 1 errs by 0.167.
copying  a few symbols, then nothing for long: what were they? Arjovsky, Shah, Bengio 2016,
         https://arxiv.org/abs/1511.06464, section 5.1. Whoever guesses is right once in eight times.

Every net has as many units, and sees as many sequences, each of them once, until it has learned. Gated nets
learn to add over 200 steps, where simple ones fail at 50 already. For copying 2000 updates teach them too little;
there connections that span 10 steps do best, while the lag is a multiple of that.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import keraszoo

NETS = ("simple_rnn", "leaky_rnn", "skip_rnn", "gru", "lstm")
SYMBOLS, RECALLED = 8, 5


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--lags", type=int, nargs="+", default=[10, 50, 100, 200])
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2000, help="updates, at most")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/remember"))
    return parser.parse_args()


class Adding:
    """Sequences of (value, mark), two of them marked, one in each half; the answer is the sum of these two values."""

    features, goal, chance = 2, 0.005, 1 / 6
    built = dict(num_values=1)
    says = "mean squared error"

    @staticmethod
    def draw(count, lag, rng):
        values, marks, rows = rng.random((count, lag)), np.zeros((count, lag)), np.arange(count)
        for low, high in ((0, lag // 2), (lag // 2, lag)):
            marks[rows, rng.integers(low, high, count)] = 1
        return np.stack([values, marks], axis=-1), (values * marks).sum(axis=1, keepdims=True)

    @staticmethod
    def score(said, y):
        return float(np.mean((said - y) ** 2))

    @classmethod
    def done(cls, score):
        return score < cls.goal


class Copying:
    """Some symbols, `lag` blanks, a signal at the last of them, and blanks, at which the symbols are to be said again."""

    features, goal, chance = SYMBOLS + 2, 0.99, 1 / SYMBOLS
    built = dict(num_classes=SYMBOLS, return_sequences=True)
    says = "share of symbols recalled"

    @staticmethod
    def draw(count, lag, rng):
        blank = np.full((count, lag + 2 * RECALLED), SYMBOLS)
        symbols = rng.integers(0, SYMBOLS, (count, RECALLED))
        seen, answers, counts = blank.copy(), np.zeros_like(blank), np.zeros(blank.shape)
        seen[:, :RECALLED] = answers[:, -RECALLED:] = symbols
        seen[:, -RECALLED - 1] = SYMBOLS + 1
        counts[:, -RECALLED:] = 1
        return np.eye(SYMBOLS + 2)[seen], answers, counts

    @staticmethod
    def score(said, y):
        return float(np.mean(said[:, -RECALLED:].argmax(-1) == y[:, -RECALLED:]))

    @classmethod
    def done(cls, score):
        return score > cls.goal


PROBLEMS = {"adding": Adding, "copying": Copying}


def learn(net, name, lag, options):
    """How the score of one net changed: a list of (updates, score)."""
    problem, rng = PROBLEMS[name], np.random.default_rng(options.seed)
    delay = {"delay": max(2, min(10, lag // 5))} if net == "skip_rnn" else {}
    model = keraszoo.build(
        net,
        seed=options.seed,
        input_shape=(None, problem.features),
        units=options.units,
        **delay,
        **problem.built,
    )
    model.optimizer.learning_rate = options.learning_rate
    x_test, y_test, *_ = problem.draw(500, lag, np.random.default_rng(options.seed + 1))
    found, each, start = [], min(100, options.steps), time.monotonic()
    for updates in range(each, options.steps + 1, each):
        drawn = problem.draw(each * options.batch_size, lag, rng)
        x, y, *counts = (part.astype("int32" if part.dtype == int else "float32") for part in drawn)
        model.fit(x, y, sample_weight=counts[0] if counts else None, batch_size=options.batch_size, verbose=0)
        said = model.predict(x_test.astype("float32"), batch_size=500, verbose=0)
        found.append((updates, problem.score(said, y_test)))
        if problem.done(found[-1][1]):
            break
    updates, score = found[-1]
    seconds = time.monotonic() - start
    print(
        f"{name:>8}, lag {lag:3}: {net:10} {problem.says} {score:.3f} after {updates} updates, {seconds:.0f} s",
        flush=True,
    )
    return found


def draw(path, histories, options):
    """The last scores against the lag, and below them how those of the longest lag up to 100 came about."""
    from keraszoo.callbacks import pictures

    count = len(options.problems)
    shown = max([lag for lag in options.lags if lag <= 100] or options.lags)
    figure, panels = pictures.sheet(2 * count, width=5, height=3.6, columns=count)
    for above, below, name in zip(panels[:count], panels[count:], options.problems, strict=True):
        problem = PROBLEMS[name]
        for net in options.nets:
            scores = [histories[name, net, lag][-1][1] for lag in options.lags]
            above.plot(options.lags, scores, marker="o", label=net)
            below.plot(*zip(*histories[name, net, shown], strict=True), marker=".", label=net)
        for panel in (above, below):
            panel.axhline(problem.chance, color="black", linestyle=":", label="without memory")
            panel.set_ylabel(problem.says)
            panel.grid(alpha=0.3)
            if name == "adding":
                panel.set_yscale("log")
        above.set_title(name)
        above.set_xlabel("lag, in steps")
        below.set_xlabel(f"updates, at lag {shown}")
    panels[0].legend()
    pictures.save(figure, path)


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    histories, start = {}, time.monotonic()
    for name in options.problems:
        for lag in options.lags:
            for net in options.nets:
                histories[name, net, lag] = learn(net, name, lag, options)
    with (options.out / "remember.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["problem", "net", "lag", "updates", "score"])
        writer.writerows([*key, *row] for key, rows in histories.items() for row in rows)
    draw(options.out / "remember.png", histories, options)
    print(f"{(time.monotonic() - start) / 60:.1f} minutes; pictures and numbers: {options.out}")


if __name__ == "__main__":
    main()
