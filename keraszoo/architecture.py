"""The base classes: what a model of ours is, beyond a `keras.Model`."""

import keras

from keraszoo.training.fitting import Fitting


@keras.saving.register_keras_serializable("keraszoo")
class Network(Fitting, keras.Model):
    """A functional model: `Network(inputs, outputs, name=...)`.

    `keraszoo.build` makes one of every graph that a builder returns. Subclass it, without a
    constructor, when a graph has a verb of its own that is not `fit`, `predict` or `evaluate`.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable("keraszoo")(cls)


class Architecture(Fitting, keras.Model):
    """A model that is more than a graph: subclass this when it learns or speaks in its own way.

    Subclasses are saveable as they stand: keep constructor arguments plain (numbers, strings,
    booleans, None, and tuples or dicts of those) and `get_config` writes itself.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable("keraszoo")(cls)

    def __new__(cls, *args, **kwargs):
        # Step over `keras.Model.__new__`, which loses the arguments (Keras 3.15).
        return super(keras.Model, cls).__new__(cls, *args, **kwargs)
