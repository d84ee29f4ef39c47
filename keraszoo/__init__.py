"""keraszoo: the architectures of a deep-learning course, written once for TensorFlow, JAX and PyTorch.

>>> model = keraszoo.build("lenet5", preprocessing="unit")
>>> model.fit(images, labels)

`import keraszoo` is light: Keras is imported when it is first needed. `KERAS_BACKEND` chooses the
backend, as everywhere in Keras.
"""

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

from keraszoo.backend import quiet

__version__ = "0.1.0"
__all__ = ["build", "data", "describe", "list_models", "load"]

HOMES = {"build": "front", "describe": "front", "load": "front"}  # fetched on first use
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
        return getattr(importlib.import_module(f"keraszoo.{HOMES[name]}"), name)
    if name == "data":
        return importlib.import_module("keraszoo.data")
    raise AttributeError(f"module 'keraszoo' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])


def choose_backend():
    """Where nothing says which backend and Keras' own default is missing, take one that is installed."""
    if "KERAS_BACKEND" in os.environ or "keras" in sys.modules:
        return
    file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    default = "tensorflow"
    if file.is_file():
        default = json.loads(file.read_text(encoding="utf-8")).get("backend", default)
    if installed(default):
        return
    found = next(filter(installed, BACKENDS), None)
    if found is None:
        raise ImportError(
            'keraszoo needs a backend: pip install "keraszoo[jax]" (or [torch], or [tensorflow]).'
        )
    os.environ["KERAS_BACKEND"] = found
    print(
        f"keraszoo: KERAS_BACKEND is not set and {default} is not installed; using {found}.", file=sys.stderr
    )


def installed(package):
    """Whether `package` can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


choose_backend()
quiet.install()
