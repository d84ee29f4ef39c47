"""keraszoo: the architectures of a deep-learning course, written once for TensorFlow, JAX and PyTorch.

>>> model = keraszoo.build("lenet5", preprocessing="unit")
>>> model.fit(images, labels)

`import keraszoo` is light: Keras is imported when it is first needed. `KERAS_BACKEND` chooses the
backend, as everywhere in Keras.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

from keraszoo.backend import quiet

__version__ = "0.1.0"
__all__ = ["build", "data", "describe", "list_models", "load", "text"]

HOMES = {"build": "front", "describe": "front", "load": "front"}  # fetched on first use, with Keras
BACKENDS = ("jax", "torch", "tensorflow")  # in order of choice


def list_models(pattern=None, task=None, family=None):
    """Sorted names of the architectures.

    Args:
        pattern: Keep the names that match, with wildcards: "resnet*".
        task: Keep those of a task: "image_classification".
        family: Keep those of a family, the name of a file in keraszoo/models: "vgg".

    >>> keraszoo.list_models("lenet*")
    ['lenet5', 'lenet5_1998']
    """
    from keraszoo import registry

    return registry.names(pattern, task, family)


def __getattr__(name):
    if name in HOMES:
        if not any(map(installed, BACKENDS)):
            raise ImportError(
                'keraszoo needs a backend: pip install "keraszoo[jax]" (or [torch], or [tensorflow]).'
            )
        return getattr(importlib.import_module(f"keraszoo.{HOMES[name]}"), name)
    if name in ("data", "text"):
        return importlib.import_module(f"keraszoo.{name}")
    raise AttributeError(f"module 'keraszoo' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])


def choose_backend():
    """Where nothing says which backend and Keras' own default is missing, take one that is installed.

    Returns:
        A sentence that says who chose, for `keraszoo doctor`.
    """
    if "KERAS_BACKEND" in os.environ:
        return "the environment variable KERAS_BACKEND"
    if "keras" in sys.modules:
        return "Keras, which was imported first"
    file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    default, chooser = "tensorflow", "Keras' own default"
    with contextlib.suppress(
        OSError, ValueError, KeyError
    ):  # Keras reads it, too, and says what is wrong with it
        default, chooser = json.loads(file.read_text(encoding="utf-8"))["backend"], str(file)
    found = next(filter(installed, BACKENDS), None)
    if installed(default) or found is None:
        return chooser
    os.environ["KERAS_BACKEND"] = found
    if Path(sys.argv[0]).stem != "keraszoo" and sys.orig_argv[1:3] != [
        "-m",
        "keraszoo",
    ]:  # it speaks for itself
        print(
            f"keraszoo: KERAS_BACKEND is not set and {default} is not installed; using {found}.",
            file=sys.stderr,
        )
    return f"keraszoo: KERAS_BACKEND is not set, {default} is not installed, and {found} is the first that is"


def installed(package):
    """Whether `package` can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


CHOSEN_BY = choose_backend()
quiet.install()
