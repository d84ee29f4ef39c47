"""Rows of a large table, changed in place: a table of word vectors is too large to be gone through at each step."""

import keras
from keras import ops

BACKEND = keras.backend.backend()

if BACKEND == "torch":
    import torch
elif BACKEND == "tensorflow":
    import tensorflow as tf


def add_to_rows(table, rows, values):
    """Add vectors to rows of a table; a row that is named several times gets them all.

    Args:
        table: Keras variable, (rows, features), floating.
        rows: (count,), integer tensor.
        values: (count, features), of the dtype of `table`.
    """
    if BACKEND == "torch":
        with torch.no_grad():
            table.value.index_add_(0, rows, values)
    elif BACKEND == "tensorflow":
        tf.raw_ops.ResourceScatterAdd(resource=table.value.handle, indices=rows, updates=values)
    else:  # in place, where the step may overwrite what it was given, as in Keras' trainer
        table.assign(ops.scatter_update(table, rows[:, None], values, reduction="add"))
