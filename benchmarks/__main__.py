"""The command line of the benchmarks: `python -m benchmarks --help`."""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

BACKENDS = ("torch", "jax", "tensorflow")
MODELS = (
    "lenet5",
    "resnet50",
    "resnet20",
    "dcgan",
    "cyclegan",
    "unet",
    "vit_small",
    "mae_vit_base",
    "lstm",
    "rnn_language_model",
    "seq2seq",
    "gpt2",
    "bert_base",
    "nerf_tiny",
    "nerf",
)


def alone(backend):
    """Choose the backend, and one thread for everything. Before Keras or a backend is imported."""
    os.environ["KERAS_BACKEND"] = backend
    for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "TF_NUM_INTRAOP", "TF_NUM_INTEROP"):
        os.environ[f"{name}_NUM_THREADS" if "TF" not in name else f"{name}_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + os.environ.get("XLA_FLAGS", "")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if hasattr(os, "sched_setaffinity"):  # pools of threads are as large as the processors they see
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def options():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare keraszoo with code written by hand for the same backend, and print a table. "
        "Both sides first agree in the loss of three steps. They then take turns in one process, on one "
        "thread; time is the processor's; a ratio is native time over ours, the median of the rounds, with "
        "its quartiles: above 1, ours is faster. A step of a game is a turn of every player. Memory is what "
        "training steps take above the built model, and compiling what the first takes longer than a later "
        "one, each side in a process of its own; there a ratio below 1 is better.",
    )
    parser.add_argument("--backend", choices=BACKENDS, default="torch", help="default: torch")
    parser.add_argument("--model", nargs="+", choices=MODELS, default=list(MODELS), help="default: all")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side; default: 9")
    parser.add_argument("--no-memory", action="store_true", help="leave memory and compiling out")
    parser.add_argument(
        "--together",
        action="store_true",
        help="on tensorflow and jax, also run native torch in the same process as ours, which slows it down",
    )
    parser.add_argument(
        "--imports", action="store_true", help="also time `import keraszoo` and the command line"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all that was measured to FILE as well"
    )
    return parser.parse_args()


def main():
    chosen = options()
    if chosen.rounds < 1:
        sys.exit(f"--rounds must be at least 1, got {chosen.rounds}.")
    alone(chosen.backend)

    from rich.console import Console

    from benchmarks import imports, memory, speed
    from benchmarks.cases import CASES
    from benchmarks.sides import TOGETHER

    console = Console(width=None if sys.stdout.isatty() else 110)
    results = dict(
        backend=chosen.backend,
        rounds=chosen.rounds,
        machine=dict(processor=processor(), python=platform.python_version(), **versions()),
        speed={},
        first={},
    )
    rivals = [chosen.backend] + ["torch"] * (chosen.backend == "tensorflow")
    if chosen.together and chosen.backend != "torch":
        rivals.append("torch" + TOGETHER)
    for name in chosen.model:
        with console.status(f"{name} on {chosen.backend}"):
            times = speed.compare(rivals, CASES[name], chosen.rounds)
            results["speed"][name] = {
                kind: {rival: speed.summary(sides, rival) for rival in rivals}
                for kind, sides in times.items()
            }
            if not chosen.no_memory:
                results["first"][name] = memory.first(chosen.backend, name)
    if chosen.imports:
        with console.status("imports"):
            results["imports"] = imports.compare(chosen.rounds)
    for table in tables(results):
        console.print(table)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def tables(results):
    """What was measured, as tables."""
    from rich.table import Table

    from benchmarks.cases import CASES

    table = Table(
        title=f"keraszoo on {results['backend']}, one thread of {results['machine']['processor']}, ms per batch",
        caption="; ".join(
            f"{name}: {CASES[name].batch_size} {CASES[name].samples} of {'x'.join(map(str, CASES[name].input_shape))}"
            for name in results["speed"]
        ),
    )
    for heading in ("model", "work", "ours", "native", "ratio", "quartiles", "against"):
        table.add_column(heading, justify="right" if heading in ("ours", "native", "ratio") else "left")
    for name, kinds in results["speed"].items():
        for kind, rivals in kinds.items():
            for found in rivals.values():
                table.add_row(
                    name,
                    kind,
                    f"{found['ours_ms']:.2f}",
                    f"{found['native_ms']:.2f}",
                    f"{found['ratio']:.2f}",
                    "{:.2f}-{:.2f}".format(*found["quartiles"]),
                    found["native"],
                )
    yield table
    if results["first"]:
        table = Table(
            title="memory of training steps above the built model, and seconds to compile the first"
        )
        for heading in ("model", "", "ours", "native", "ratio", "against"):
            table.add_column(heading, justify="right" if heading in ("ours", "native", "ratio") else "left")
        for name, sides in results["first"].items():
            for label, native in list(sides.items())[1:]:
                for what, ours in sides["keraszoo"].items():
                    numbers = f"{ours:.1f}", f"{native[what]:.1f}", f"{ours / native[what]:.2f}"
                    table.add_row(name, what, *numbers, label)
        yield table
    if "imports" in results:
        table = Table(title="starting")
        for heading in ("command", "seconds", "processor seconds"):
            table.add_column(heading, justify="left" if heading == "command" else "right")
        for name, (wall, worked) in results["imports"].items():
            table.add_row(name, f"{wall:.2f}", f"{worked:.2f}")
        yield table


def processor():
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def versions():
    """The versions of what takes part."""
    found = {}
    for package in ("keras", "torch", "jax", "tensorflow", "tensorflow-cpu"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
