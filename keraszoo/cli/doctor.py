"""`keraszoo doctor`: what is installed, what runs, and what stands in the way."""

import contextlib
import importlib.metadata as metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import click

import keraszoo

OLDEST_KERAS = (3, 15, 1)
PACKAGES = {  # under which names a backend may be installed
    "jax": ["jax"],
    "torch": ["torch"],
    "tensorflow": ["tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly", "tf-nightly-cpu"],
}
COLOURS = {"ok": "green", "note": "yellow", "broken": "red"}
PATIENCE = 120  # seconds for a backend to start


@click.command()
def doctor():
    """Check this installation; the exit status is 1 if something is broken."""
    broken = False
    for level, subject, text in findings():
        click.echo(f"{click.style(f'{level:<7}', fg=COLOURS[level])} {subject:<13} {text}")
        broken |= level == "broken"
    sys.exit(int(broken))


def findings():
    """What there is to say: level ("ok", "note" or "broken"), subject, and a sentence."""
    yield "ok", "python", f"{platform.python_version()}, {sys.executable}"
    yield "ok", "keraszoo", f"{keraszoo.__version__}, {Path(keraszoo.__file__).parent}"
    yield from keras_findings()
    yield from backend_findings()
    yield from data_findings()
    yield from extras_findings()


def keras_findings():
    found = version("keras")
    if found is None or numbers(found) < OLDEST_KERAS:
        oldest = ".".join(map(str, OLDEST_KERAS))
        yield (
            "broken",
            "keras",
            f"{found or 'not installed'}; {oldest} or later is needed: pip install -U keras",
        )
    else:
        yield "ok", "keras", found
    if version("tf-keras") or os.environ.get("TF_USE_LEGACY_KERAS", "0") not in ("", "0", "False"):
        yield (
            "note",
            "tf-keras",
            "Keras 2 (tf-keras, TF_USE_LEGACY_KERAS) is about. keraszoo uses Keras 3; `tf.keras` may mean the other: "
            "pip uninstall tf-keras, and unset TF_USE_LEGACY_KERAS, unless something else needs them.",
        )


def backend_findings():
    installed = {}
    for backend, packages in PACKAGES.items():
        if found := [f"{p} {version(p)}" for p in packages if version(p)]:
            installed[backend] = found
            yield "ok", backend, ", ".join(found)
        else:
            yield "note", backend, f'not installed; pip install "keraszoo[{backend}]" would add it'
        if len(found) > 1:
            yield (
                "broken",
                backend,
                f"{' and '.join(found)} overwrite each other's files: pip uninstall -y "
                f"{' '.join(f.split()[0] for f in found)}, then pip install one of them",
            )
    if "jax" in installed and version("jaxlib") != version("jax"):
        level = "broken" if version("jaxlib") is None else "note"
        text = (
            f"jax {version('jax')} with jaxlib {version('jaxlib')}: pip install -U jax jaxlib makes them fit"
        )
        yield level, "jaxlib", text
    chosen, why = choice()
    if chosen not in keraszoo.BACKENDS:
        known = ", ".join(keraszoo.BACKENDS)
        yield "broken", "backend", f"{chosen} ({why}) is none of {known}: set KERAS_BACKEND to one of them"
    elif chosen not in installed:
        yield (
            "broken",
            "backend",
            f'{chosen} ({why}), which is not installed: pip install "keraszoo[{chosen}]"',
        )
    else:
        yield "ok", "backend", f"{chosen} ({why})"
        yield from device_findings(chosen)


def choice():
    """The backend that Keras takes, and who chose it."""
    file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    default = "tensorflow"
    with contextlib.suppress(OSError, ValueError):
        default = json.loads(file.read_text(encoding="utf-8")).get("backend", default)
    return os.environ.get("KERAS_BACKEND", default), keraszoo.CHOSEN_BY


def device_findings(backend):
    """What the backend computes on: asked in a process of its own, which may die."""
    try:
        asked = subprocess.run(
            [sys.executable, "-m", "keraszoo.backend.devices"],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        yield "broken", "devices", f"{backend} did not start in {PATIENCE} seconds"
        return
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["without a word"])[-1]
        yield (
            "broken",
            "devices",
            f'{backend} does not run: {last}. Try: pip install -U "keraszoo[{backend}]"',
        )
        return
    answer = json.loads(asked.stdout.splitlines()[-1])
    yield "ok", "devices", "; ".join(answer["devices"])
    if answer.get("cuda") and answer["devices"] == ["cpu"]:
        yield (
            "note",
            "devices",
            f"torch is built for CUDA {answer['cuda']} but finds no GPU, so it runs on the CPU; if there is a GPU, "
            "check its driver with nvidia-smi",
        )


def data_findings():
    where = os.environ.get("KERASZOO_DATA")
    if not where:
        yield "note", "data", "KERASZOO_DATA is not set: only embedded and downloaded data sets are found"
    elif not Path(where).is_dir():
        yield "broken", "data", f"KERASZOO_DATA={where} is no folder: make it, or unset the variable"
    else:
        sets = sorted(folder.name for folder in Path(where).iterdir() if folder.is_dir())
        yield "ok", "data", f"{where}: {', '.join(sets) or 'no data sets'}"


def extras_findings():
    """Which optional parts of keraszoo have all that they need."""
    try:
        about = metadata.metadata("keraszoo")
    except metadata.PackageNotFoundError:
        yield "note", "extras", "keraszoo runs from its source, not from an installation"
        return
    needs = {
        extra: []
        for extra in about.get_all("Provides-Extra") or []
        if extra not in ("tensorflow-cpu", *PACKAGES)
    }
    for requirement in metadata.requires("keraszoo") or []:
        package, extra = re.match(r"[\w.-]+", requirement), re.search(r'extra == "([\w.-]+)"', requirement)
        if extra and extra[1] in needs and not version(package[0]):
            needs[extra[1]].append(package[0])
    for extra, missing in sorted(needs.items()):
        if missing:
            text = f'without {", ".join(missing)}: pip install "keraszoo[{extra}]" adds what is missing'
            yield "note", f"[{extra}]", text
        else:
            yield "ok", f"[{extra}]", "complete"


def version(package):
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def numbers(text):
    """'3.15.1' as (3, 15, 1); what follows the numbers is dropped."""
    return tuple(int(n) for n in re.match(r"\d+(\.\d+)*", text)[0].split("."))
