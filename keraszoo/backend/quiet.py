"""Import TensorFlow without the lines that it logs about its own start.

Keras imports TensorFlow, if it is installed, when it saves or loads a file, whatever the backend,
and TensorFlow then writes to standard error from C++, past its own `TF_CPP_MIN_LOG_LEVEL`. A finder
in `sys.meta_path` waits for that import; nothing is imported earlier than it would be.

Later it warns of Keras' steps that are traced often. It counts those of all models as one, and texts of other lengths,
which come in few: nothing is wrong.
"""

import contextlib
import importlib.abc
import importlib.util
import logging
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


class QuietTensorFlow(importlib.abc.MetaPathFinder):
    """Finds TensorFlow where it is, and imports it under `quiet`."""

    looking = False

    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow" or self.looking:
            return None
        self.looking = True  # the finders after this one do the work
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                with quiet():
                    execute(module)
                logging.getLogger("tensorflow").addFilter(concerns_someone)

            spec.loader.exec_module = exec_module
        return spec


def concerns_someone(record):
    """Whether a line that TensorFlow logs is other than that Keras' steps are traced often."""
    said = record.getMessage()
    return not ("triggered tf.function retracing" in said and "TensorFlowTrainer" in said)


@contextlib.contextmanager
def quiet():
    """Pass on whatever is written to standard error meanwhile, except the lines of a start."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong is also raised
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            said.seek(0)
            sys.stderr.writelines(line for line in said if not any(known in line for known in STARTUP))


def install():
    """Wait for the import of TensorFlow, unless it has happened."""
    if "tensorflow" not in sys.modules and not any(isinstance(f, QuietTensorFlow) for f in sys.meta_path):
        sys.meta_path.insert(0, QuietTensorFlow())
