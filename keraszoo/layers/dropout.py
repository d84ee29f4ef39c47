"""Dropout whose random state is saved with the model."""

import random

import keras


@keras.saving.register_keras_serializable("keraszoo")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` that always owns its random state.

    Without a seed, Keras' layer draws from torch's global generator on torch, which no file
    keeps. Here a seed is drawn once, from Python's `random` (so `keraszoo.build(seed=...)` fixes
    it), and a resumed run continues with the very same masks on every backend.

    Args:
        rate: Probability of dropping a feature, in [0, 1).
        noise_shape, seed: As in `keras.layers.Dropout`.
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        seed = random.randrange(2**31) if seed is None else seed
        super().__init__(rate, noise_shape=noise_shape, seed=seed, **kwargs)
