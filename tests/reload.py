"""In a process of its own: reload every model saved under a folder and compare it with what is stored beside it.

    python -m tests.reload FOLDER [BACKEND]

With a BACKEND, only that one can be imported, and only predictions are compared, to 1e-5, before
`fit` goes on; without, everything a file keeps is compared.
"""

import importlib.abc
import os
import sys
from pathlib import Path


class Hiding(importlib.abc.MetaPathFinder):
    """A finder that cannot find some packages, as if they were not installed."""

    def __init__(self, finder, names):
        self.finder, self.names = finder, names

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in self.names else self.finder.find_spec(name, path, target)


def hide(*names):
    """Make packages impossible to import in this process."""
    sys.meta_path[:] = [Hiding(finder, names) for finder in sys.meta_path]


if __name__ == "__main__":
    folder, alone = Path(sys.argv[1]), sys.argv[2:]
    if alone:
        os.environ["KERAS_BACKEND"] = alone[0]
        hide(*{"tensorflow", "torch", "jax"} - set(alone))

    import numpy as np

    import keraszoo
    from tests import test_contract

    files = sorted(folder.glob("*/model.keras"))
    assert files, f"no models under {folder}"
    for file in files:
        with np.load(file.parent / "data.npz") as data, np.load(file.parent / "expected.npz") as held:
            x, y, expected = data["x"], data.get("y"), dict(held)
        model = keraszoo.load(file)
        inputs = test_contract.asked(model.card["architecture"], model, x)
        if alone:
            np.testing.assert_allclose(
                test_contract.predict(model, inputs)[0],
                expected["predictions"],
                rtol=1e-4,
                atol=1e-5,
                err_msg=str(file),
            )
            assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0]), file
        else:
            test_contract.assert_same(test_contract.state(model, inputs, x, y), expected)
    print(f"{len(files)} models reloaded")
