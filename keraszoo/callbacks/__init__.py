"""What to watch and what to keep while fitting."""

from keraszoo.callbacks.history import Curves, History
from keraszoo.callbacks.run import RunFolder

__all__ = ["Curves", "History", "RunFolder"]
