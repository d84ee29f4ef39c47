"""The training step, written once for the three backends.

from keraszoo.training import MultiPlayerModel, Player, gradient
"""

import importlib

PUBLIC = {
    "Batches": "keraszoo.training.batches",
    "ImagePool": "keraszoo.training.pool",
    "LinearDecay": "keraszoo.training.schedules",
    "MultiPlayerModel": "keraszoo.training.game",
    "Noam": "keraszoo.training.schedules",
    "Player": "keraszoo.training.game",
    "PlayerOptimizers": "keraszoo.training.optimizers",
    "Unpaired": "keraszoo.training.batches",
    "follow": "keraszoo.training.game",
    "gradient": "keraszoo.backend.autodiff",
}


def __getattr__(name):  # at first use: a game is an `Architecture`, which stands on this room
    if name not in PUBLIC:
        raise AttributeError(f"keraszoo.training has no {name!r}; it has {', '.join(PUBLIC)}.")
    return getattr(importlib.import_module(PUBLIC[name]), name)


def __dir__():
    return sorted([*globals(), *PUBLIC])
