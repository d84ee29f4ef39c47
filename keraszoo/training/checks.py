"""What `fit`, `evaluate` and `predict` refuse, in one sentence, before the first step.

The frameworks differ here: a label beyond the last class is an unreadable error on TensorFlow,
another on torch, and on JAX training goes on with a loss of 0.0.
"""

import warnings

import keras
import numpy as np

RAW = 32.0  # a value that prepared images (unit range, standardised) never reach and bytes soon do


def arrays(data):
    """`data` with its tensors, frames and series as NumPy arrays; None stays None."""
    return keras.tree.map_structure(array, data, none_is_leaf=False)


def array(value):
    if keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value)
    return np.asarray(value)


def check_batch(model, x, y=None, sample_weight=None, prefix=""):
    """Raise a ValueError for data that `model` cannot learn from or predict on.

    Args:
        model: A built model; its `card`, loss and output shape say what fits.
        x, y, sample_weight: Arrays or nested structures of arrays.
        prefix: Put before the argument's name in messages: "validation " for example.
    """
    check_inputs(model, x, prefix)
    flat_x = [v for v in keras.tree.flatten(x) if v is not None]
    for name, data in (("y", y), ("sample_weight", sample_weight)):
        for value in keras.tree.flatten(data):
            if value is not None and np.shape(value)[:1] != np.shape(flat_x[0])[:1]:
                raise ValueError(
                    f"{prefix}x and {prefix}{name} must have as many samples: x has {len(flat_x[0])}, "
                    f"{name} has {len(value) if np.ndim(value) else 'no axis at all'}."
                )
    if y is not None:
        check_targets(model, y, prefix)
        if model.card.get("task") == "sequence_classification" and len(model.output_shape) == 3:
            check_steps(x, y, prefix)
    for value in keras.tree.flatten(sample_weight):
        if value is not None:
            check_numbers(f"{prefix}sample_weight", array(value))


def check_inputs(model, x, prefix=""):
    """Refuse inputs of the wrong shape, kind or value; warn of bytes where prepared images belong."""
    values = [array(v) for v in keras.tree.flatten(x) if v is not None]
    if not values:
        raise ValueError(f"{prefix}x is missing.")
    for value in values:
        check_numbers(f"{prefix}x", value)
    takes = getattr(model, "input_shape", None)
    if len(values) == 1 and isinstance(takes, tuple) and not fits(values[0].shape, takes):
        raise ValueError(
            f"{prefix}x has shape {shown(values[0].shape)}; {model.name} takes {shown((None, *takes[1:]))}."
        )
    card = getattr(model, "card", {})
    if (most := card.get("context")) and values[0].ndim > 1 and values[0].shape[1] > most:
        raise ValueError(
            f"{prefix}x has {values[0].shape[1]} tokens in a row; {model.name} takes {most} at most: its context."
        )
    if tokens := card.get("tokens"):
        limits = tokens if isinstance(tokens, (list, tuple)) else [tokens] * len(values)
        for value, limit in zip(values, limits, strict=False):
            check_tokens(f"{prefix}x", value, limit, model.name)
    if card.get("images") and not card.get("preprocessing") and values[0].max() > RAW:
        warnings.warn(
            f"{prefix}x holds values up to {values[0].max():g}, as raw images do, but {model.name} was built "
            'without preprocessing and takes prepared floats: build it with preprocessing="unit" '
            '(or "centred", "imagenet"), or scale the images first.',
            stacklevel=4,
        )


def check_tokens(name, value, count, reader):
    """Refuse what is no token number of a model that knows `count` tokens."""
    low, high = value.min(), value.max()
    if low < 0 or high >= count or (value.dtype.kind == "f" and (value != np.floor(value)).any()):
        raise ValueError(
            f"{name} must hold token numbers from 0 to {count - 1} ({reader} knows {count} tokens), got values from "
            f"{low:g} to {high:g}."
        )


def check_distribution(count, batch_size):
    """Refuse what cannot work on several devices, where Keras would ignore it or fail in the middle.

    Args:
        count: Samples in an epoch, or None where it is not known.
        batch_size: Samples in a batch.

    Raises:
        ValueError: There is a `keras.distribution` on a backend that knows none, or batches do not divide.
    """
    spread = keras.distribution.distribution()
    if spread is None:
        return
    if keras.backend.backend() != "jax":
        instead = {
            "tensorflow": "build and compile the model inside `tf.distribute.MirroredStrategy().scope()`",
            "torch": "train on one device, or choose JAX by KERAS_BACKEND=jax",
        }[keras.backend.backend()]
        raise ValueError(f"keras.distribution works on JAX only; on {keras.backend.backend()}, {instead}.")
    devices = spread.device_mesh.shape[0]
    if batch_size % devices or (count is not None and count % batch_size % devices):
        raise ValueError(
            f"Each batch is shared out to {devices} devices: batch_size, and what is left for the last batch, must be "
            f"a multiple of {devices}; got {batch_size=}"
            + (f" and {count} samples." if count is not None else ".")
        )


def check_samples(model, name, value, shape):
    """Refuse an array that does not hold samples of one shape, or holds images outside [-1, 1].

    Args:
        model: For whom; its name is in the message.
        name: What the array is called.
        value: The array.
        shape: (height, width, channels) of an image, or the shape of another sample.

    Returns:
        The array, as NumPy's.
    """
    value = array(value)
    check_numbers(name, value)
    if not fits(value.shape, (None, *shape)):
        raise ValueError(
            f"{name} has shape {shown(value.shape)}; {model.name} takes {shown((None, *shape))}."
        )
    if len(shape) == 3 and (value.min() < -1.001 or value.max() > 1.001):
        raise ValueError(
            f"{name} must hold images in [-1, 1], got values from {value.min():g} to {value.max():g}. "
            "Images from 0 to 255 are taken there by images / 127.5 - 1."
        )
    return value


def check_labels(name, value, count, num_classes):
    """Refuse labels that are not one class number for each of `count` samples."""
    value = array(value)
    check_numbers(name, value)
    if value.ndim == 2 and value.shape[1] == 1:
        value = value[:, 0]
    if value.shape != (count,):
        raise ValueError(
            f"{name} must hold as many samples as x, {count} class numbers, got shape {value.shape}."
        )
    if value.min() < 0 or value.max() >= num_classes or (value != np.floor(value)).any():
        raise ValueError(
            f"{name} must hold class numbers from 0 to {num_classes - 1}, got values from {value.min():g} to "
            f"{value.max():g}."
        )


def check_numbers(name, value):
    """Refuse what is empty, not a number, or not finite."""
    if value.dtype == object or not (
        np.issubdtype(value.dtype, np.number)
        or value.dtype == bool
        or value.dtype.name in ("bfloat16", "float16")
    ):
        raise ValueError(f"{name} must hold numbers, got an array of dtype {value.dtype}.")
    if value.ndim == 0 or value.size == 0:
        raise ValueError(f"{name} is empty: its shape is {value.shape}.")
    if not np.issubdtype(value.dtype, np.integer) and value.dtype != bool:
        low, high = value.min(), value.max()  # both carry a NaN along
        if not (np.isfinite(low) and np.isfinite(high)):
            where = np.unravel_index(np.argmax(~np.isfinite(value.astype("float32"))), value.shape)
            raise ValueError(
                f"{name} holds NaN or infinity, first at sample {where[0]} (index {tuple(map(int, where))})."
            )


def fits(shape, takes):
    """Whether an array of `shape` goes into a model that takes `takes`, None meaning any size.

    Keras itself adds or drops a last axis of length one, so a grey image needs no channel axis.
    """
    if len(shape) + 1 == len(takes) and takes[-1] == 1:
        shape = (*shape, 1)
    return len(shape) == len(takes) and all(b in (None, a) for a, b in zip(shape[1:], takes[1:], strict=True))


def check_steps(x, y, prefix=""):
    """Refuse sequences that have not as many steps as their labels."""
    steps = np.shape(x)[1], np.shape(y)[1]
    if steps[0] != steps[1]:
        raise ValueError(
            f"{prefix}x and {prefix}y must have as many steps: x has {steps[0]}, y has {steps[1]}."
        )


def check_targets(model, y, prefix=""):
    """Refuse labels that the model's loss would misread."""
    loss = getattr(model, "loss", None)
    outputs = getattr(model, "output_shape", None)
    if isinstance(outputs, dict):
        for head, value in by_head(model, y, prefix).items():
            kind = target_kind(loss.get(head) if isinstance(loss, dict) else loss)
            check_target(model, f"{prefix}y[{head!r}]", array(value), kind, outputs[head])
    elif keras.tree.is_nested(y) or not isinstance(outputs, tuple):
        for value in keras.tree.flatten(y):
            check_numbers(f"{prefix}y", array(value))
    else:
        check_target(model, f"{prefix}y", array(y), target_kind(loss), outputs)


def by_head(model, y, prefix=""):
    """The labels of each head of a model whose outputs have names.

    Raises:
        ValueError: `y` is no dict, a head's labels are missing, or there is no such head.
    """
    heads = ", ".join(map(repr, model.output_shape))
    if not isinstance(y, dict):
        if len(model.output_shape) == 1 and not keras.tree.is_nested(y):
            return {name: y for name in model.output_shape}
        raise ValueError(
            f"{prefix}y must be a dict with labels for each head of {model.name}, {heads}; got {type(y).__name__}."
        )
    for name in y:
        if name not in model.output_shape:
            raise ValueError(f"{prefix}y has labels for {name!r}, but the heads of {model.name} are {heads}.")
    for name in model.output_shape:
        if y.get(name) is None:
            held = ", ".join(map(repr, y)) or "none"
            raise ValueError(
                f"{prefix}y has no labels for the head {name!r} of {model.name}, only for {held}."
            )
    return y


def check_target(model, name, y, kind, shape):
    """Refuse labels of one output, of `shape`, that a loss of a kind, as of `target_kind`, would misread."""
    check_numbers(name, y)
    if kind == "categories":
        classes = shape[-1]
        spatial = (None, *shape[1:-1])  # one label per sample, or per pixel, step ...
        if len(shape) == y.ndim and classes > 1 and fits(y.shape, shape):
            raise ValueError(
                f"{name} has shape {shown(y.shape)}, as one-hot labels have, but the loss takes class numbers: "
                "give y.argmax(-1), or compile with loss=keras.losses.CategoricalCrossentropy(from_logits=True)."
            )
        if not fits(y.shape, spatial) and not fits(y.shape, (*spatial, 1)):
            raise ValueError(f"{name} has shape {shown(y.shape)}; expected {shown(spatial)}.")
        low, high = y.min(), y.max()
        if low < 0 or high >= classes or low != np.floor(low) or high != np.floor(high):
            raise ValueError(
                f"{name} must hold class numbers from 0 to {classes - 1} ({model.name} has {classes} classes), "
                f"got values from {low:g} to {high:g}."
            )
    elif kind and not fits(y.shape, shape):
        hint = ""
        if kind != "values" and (y.ndim < len(shape) or y.shape[-1] == 1):
            hint = (
                " Class numbers become one-hot with keras.utils.to_categorical(y, num_classes)."
                if kind == "one_hot"
                else " Several labels at once are given as 0 or 1 for each of the classes."
            )
        raise ValueError(f"{name} has shape {shown(y.shape)}; expected {shown((None, *shape[1:]))}.{hint}")
    elif kind in ("one_hot", "labels") and (y.min() < 0 or y.max() > 1):
        raise ValueError(f"{name} must lie in [0, 1], got values from {y.min():g} to {y.max():g}.")


def target_kind(loss):
    """What a loss reads as labels: "categories", "one_hot", "labels", "values", or None for anything else."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", None))
    name = type(loss).__name__ if isinstance(loss, keras.losses.Loss) else name
    return {
        "SparseCategoricalCrossentropy": "categories",
        "sparse_categorical_crossentropy": "categories",
        "PerceptronLoss": "categories",
        "CodeDistanceLoss": "categories",
        "DiceLoss": "categories",
        "DiceCrossentropyLoss": "categories",
        "CategoricalCrossentropy": "one_hot",
        "CategoricalFocalCrossentropy": "one_hot",
        "categorical_crossentropy": "one_hot",
        "categorical_focal_crossentropy": "one_hot",
        "BinaryCrossentropy": "labels",
        "BinaryFocalCrossentropy": "labels",
        "binary_crossentropy": "labels",
        "binary_focal_crossentropy": "labels",
        "MeanSquaredError": "values",
        "MeanAbsoluteError": "values",
        "mean_squared_error": "values",
        "mean_absolute_error": "values",
        "mse": "values",
        "mae": "values",
    }.get(name)


def shown(shape):
    """A shape for a reader: (batch, 28, 28, 1)."""
    first = "batch" if shape[0] is None else str(shape[0])
    return "(" + ", ".join([first, *(str(s) for s in shape[1:])]) + ("," if len(shape) == 1 else "") + ")"


class Checked(keras.utils.PyDataset):
    """A data set whose every batch is checked as it is read."""

    def __init__(self, dataset, model, prefix=""):
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=False,
            max_queue_size=dataset.max_queue_size,
        )
        self.dataset, self.model, self.prefix = dataset, model, prefix

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        batch = self.dataset[index]
        if isinstance(batch, tuple):
            self.model.check_batch(*batch, prefix=self.prefix)
        return batch

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()
