"""The whole suite on all three backends, two processes at a time.

python -m tests [PYTEST ARGUMENT ...]

Without arguments, each backend's files fall into several processes: what one compiles and never gives back
(JAX maps every program into memory, of which the system allows so many) is gone with it.
"""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BACKENDS = ("jax", "tensorflow", "torch")  # the slowest first
PARTS = 4
print_one = threading.Lock()


def say(job, line):
    with print_one:
        print(f"{job:>14} | {line}", flush=True)


def run(backend, job, arguments):
    """The exit status of pytest under one backend; its lines appear as they come."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "OMP_NUM_THREADS": "1",  # two processes share two cores
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "--durations=5", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            say(job, line.rstrip())
    say(job, f"exit status {process.returncode} after {time.monotonic() - start:.0f} s")
    return process.returncode


def jobs(arguments):
    """(backend, name, arguments of pytest) for each process."""
    for backend in BACKENDS:
        if arguments:
            yield backend, backend, arguments
            continue
        files = sorted(map(str, Path(__file__).parent.glob("test_*.py")))
        for part in range(PARTS):
            yield backend, f"{backend} {part + 1}/{PARTS}", files[part::PARTS]


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as pool:
        statuses = {job: pool.submit(run, backend, job, rest) for backend, job, rest in jobs(sys.argv[1:])}
    failed = [job for job, status in statuses.items() if status.result()]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
