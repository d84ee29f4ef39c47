"""What the first training steps cost, in a process of their own (Linux).

That is memory above the built model, and the time in which the first step is compiled: its processor
time less that of a later one.

    python -m benchmarks.memory torch resnet50 keraszoo
    python -m benchmarks.memory torch resnet50 '{"layout": "last"}' WEIGHTS.npz

The first form measures our model, the second native code, with weights that were saved before, so
that nothing of ours is in its process. Prints JSON: megabytes of resident memory, and seconds.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cases import CASES


def first(backend, case):
    """Costs of ours, and of each native side, by label: dicts of "memory, MB" and, but on torch, "compiling, s"."""
    run = [sys.executable, "-m", "benchmarks.memory", backend, case]
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "weights.npz")
        found = {"keraszoo": measured([*run, "keraszoo", weights])}
        for options in CASES[case].ways[backend]:
            label = " ".join([backend, *(f"{key}={value}" for key, value in options.items())])
            found[label] = measured([*run, json.dumps(options), weights])
    return found


def measured(command):
    """What a process of this file says."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def status(key):
    """A line of /proc/self/status, in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {key}: memory is measured on Linux only.")


def main(backend, name, side, weights):
    import numpy as np

    from benchmarks.cases import named_weights
    from benchmarks.sides import Ours, Theirs

    case = CASES[name]
    if side == "keraszoo":
        it = Ours(case)
        flat = {f"{layer}/{i}": w for layer, ws in named_weights(it.model).items() for i, w in enumerate(ws)}
        np.savez(weights, **flat)
        del flat
    else:
        held = {}
        with np.load(weights) as file:
            for key in file.files:
                held.setdefault(key.split("/")[0], []).append(file[key])
        it = Theirs(backend, case, held, **json.loads(side))
        held.clear()
    batch = [part[: case.batch_size] for part in case.data()]
    built = status("VmRSS")
    taken = []
    for turn in range(5):
        if turn == 2:  # compiled, and the optimizer's state is made
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        start = time.process_time()
        it.step(*batch)
        taken.append(time.process_time() - start)
    found = {"memory, MB": status("VmHWM") - built}
    if backend != "torch":  # which compiles nothing
        found["compiling, s"] = taken[0] - min(taken)
    print(json.dumps(found))


if __name__ == "__main__":
    from benchmarks.__main__ import alone

    alone(sys.argv[1])
    main(*sys.argv[1:])
