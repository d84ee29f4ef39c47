"""Data sets as arrays, and what describes them.

>>> digits = keraszoo.data.load("digits", validation=0.1)
>>> model.fit(*digits.train, validation_data=digits.validation)
"""

from keraszoo.data.borders import border_weights as border_weights
from keraszoo.data.catalogue import list_datasets as list_datasets
from keraszoo.data.catalogue import load as load
from keraszoo.data.dataset import Dataset as Dataset
from keraszoo.data.scenes import Scene as Scene
from keraszoo.data.scenes import Views as Views


def __getattr__(name):
    if name == "Batches":  # needs Keras, which takes seconds to import
        from keraszoo.training.batches import Batches

        return Batches
    if name == "Crops":
        from keraszoo.data.crops import Crops

        return Crops
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
