"""How long it takes to import the package, and to ask the command line for help."""

import os
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "import keras": ["-c", "import keras"],
    "import keraszoo": ["-c", "import keraszoo"],
    "import keraszoo, then build": ["-c", "import keraszoo; keraszoo.build"],
    "keraszoo --help": ["-m", "keraszoo", "--help"],
    "keraszoo list": ["-m", "keraszoo", "list"],
}


def compare(rounds):
    """Seconds of wall clock and of processor time, medians of the rounds, by name of command."""
    taken = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, words in COMMANDS.items():
            before, start = os.times(), time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            after = os.times()
            worked = (
                after.children_user + after.children_system - before.children_user - before.children_system
            )
            taken[name].append((time.perf_counter() - start, worked))
    return {
        name: [statistics.median(column) for column in zip(*times, strict=True)]
        for name, times in taken.items()
    }
