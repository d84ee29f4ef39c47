"""The whole suite on all three backends, each in a process of its own, two at a time.

python -m tests [PYTEST ARGUMENT ...]
"""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

BACKENDS = ("jax", "tensorflow", "torch")  # the slowest first
print_one = threading.Lock()


def say(backend, line):
    with print_one:
        print(f"{backend:>10} | {line}", flush=True)


def run(backend):
    """The exit status of pytest under one backend; its lines appear as they come."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "OMP_NUM_THREADS": "1",  # two suites share two cores
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "--durations=5", *sys.argv[1:]]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            say(backend, line.rstrip())
    say(backend, f"exit status {process.returncode} after {time.monotonic() - start:.0f} s")
    return process.returncode


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as pool:
        statuses = dict(zip(BACKENDS, pool.map(run, BACKENDS), strict=True))
    failed = [backend for backend, status in statuses.items() if status]
    sys.exit(f"failed on {', '.join(failed)}" if failed else 0)
