"""Every test runs on the backend that KERAS_BACKEND names; `make test` runs them all three times."""

import gc
import os
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[1] / ".cache" / "jax"
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(CACHE)
)  # the same tiny nets are compiled again and again
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import keraszoo  # noqa: E402  (chooses the backend before Keras is imported)


def pytest_report_header():
    import keras

    return f"keraszoo {keraszoo.__version__}, keras {keras.__version__}, backend {keras.backend.backend()}"


def pytest_collection_modifyitems(config, items):
    """Tests that need a graphics processor are deselected where there is none; the summary counts them."""
    from keraszoo.backend.devices import devices

    if any(not name.lower().startswith("cpu") for name in devices()):
        return
    kept = [item for item in items if "gpu" not in item.keywords]
    config.hook.pytest_deselected(items=[item for item in items if "gpu" in item.keywords])
    items[:] = kept


@pytest.fixture(scope="module", autouse=True)
def programs_are_given_back():
    """JAX keeps every program that it has compiled, mapped into memory: of such maps the system allows so many."""
    yield
    import keras

    if keras.backend.backend() == "jax":
        import jax

        gc.collect()
        jax.clear_caches()
