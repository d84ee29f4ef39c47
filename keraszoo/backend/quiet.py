"""Import TensorFlow without the lines that it logs about its own start.

Keras imports TensorFlow under every backend when it saves or loads a file, if it is installed, and
TensorFlow then writes to standard error from C++, past its own `TF_CPP_MIN_LOG_LEVEL`.
"""

import importlib.util
import os
import sys
import tempfile

STARTUP = (  # what a start says that is no one's concern
    "All log messages before absl::InitializeLog",
    "oneDNN custom operations are on",
    "This TensorFlow binary is optimized",
    "To enable the following instructions",
    "Could not find cuda drivers",
    "could not open file to read NUMA node",
)


def import_tensorflow():
    """Import TensorFlow, if it is installed; pass on whatever it writes but the lines of its start."""
    if "tensorflow" in sys.modules or not installed():
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            said.seek(0)
            for line in said:
                if not any(known in line for known in STARTUP):
                    sys.stderr.write(line)


def installed():
    """Whether TensorFlow could be imported."""
    try:
        return importlib.util.find_spec("tensorflow") is not None
    except ImportError:
        return False


if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" and "keras" not in sys.modules:
    import_tensorflow()  # `import keras` is about to
