"""Reference checkpoints into our models: safetensors files as `transformers` writes them.

Every other file in this room is the table of one family. It holds

- `MODEL_TYPE` and `ARCHITECTURES`: what `config.json` must say;
- `arguments(config)`: the builder's arguments that `config.json` fixes, as a dict;
- `rows(config, model)`: for each weight `(ours, theirs, transform)`: the path of our weight, the name
  of the checkpoint's tensor (or a tuple of names), and the function that makes our array of theirs.
  A row whose `ours` is None names a tensor that is not a weight; it may be absent. A row whose `theirs` is None
  names a weight that begins anew, such as that of a head that the checkpoint has not.
- `defaults(config)`, if there are any: arguments that `config.json` suggests and does not fix.
- `task(config)`, if checkpoints of the family are made for several: the name of the task.
- `class_names(config)`, if checkpoints name the classes that they choose from: a list of names, or None.
- `name(tensor)`, if some checkpoints call a tensor otherwise: what `rows` calls it.

Our paths are those of `variable.path`, so a layer inside a layer needs a name of its own.
"""

import contextlib
import importlib
import json
import pkgutil
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors

ONE_FILE = "model.safetensors"
MANY_FILES = "model.safetensors.index.json"
FLOATS = ("F64", "F32", "F16", "BF16")


def locate(weights):
    """The folder of a checkpoint, fetched from the Hugging Face Hub where it is not a local one.

    Args:
        weights: A folder that holds `config.json` and `model.safetensors` (or the parts of a large
            one and `model.safetensors.index.json`), or a repository "organisation/name" of the Hub.

    Raises:
        ValueError: There is no such folder, or the Hub does not answer or has no such repository.
    """
    folder = Path(weights).expanduser()
    if folder.is_dir():
        return folder
    missing = f"weights={str(weights)!r}: there is no such folder"
    if folder.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(weights)):
        raise ValueError(
            f"{missing}, and it is no repository of the Hugging Face Hub, which has the form 'organisation/name'. "
            f"Give the folder that holds config.json and {ONE_FILE}."
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                str(weights),
                allow_patterns=["*.json", "vocab.txt", "merges.txt", ONE_FILE, "model-*.safetensors"],
            )
        )
    except Exception as error:  # the client lets its transport's errors through, which differ by release
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{missing}, and https://huggingface.co/{weights} could not be fetched. Download config.json and "
            f"{ONE_FILE} by hand into a folder, and give that folder. (The Hub's client says: {reason})"
        ) from error


def arguments(family, folder):
    """The builder's arguments that a checkpoint's `config.json` fixes.

    Sizes that the file leaves open are None inside a tuple: `input_shape=(None, None, 3)` fixes
    the channels only.

    Args:
        family: A family of models, the name of its file in `keraszoo/models`.
        folder: A folder as `locate` returns it.

    Raises:
        ValueError: Checkpoints of this family cannot be read, `config.json` is missing or damaged, or
            it describes something that this family is not.
    """
    return table(family).arguments(configuration(family, folder))


def defaults(family, folder):
    """The builder's arguments that a checkpoint suggests, for those that are not given; as `arguments`."""
    found = getattr(table(family), "defaults", None)
    return found(configuration(family, folder)) if found else {}


def task(family, folder):
    """What a checkpoint was made for, or None where its family serves one purpose only; as `arguments`."""
    found = getattr(table(family), "task", None)
    return found(configuration(family, folder)) if found else None


def class_names(family, folder):
    """Names of the classes that a checkpoint chooses from, or None; as `arguments`."""
    found = getattr(table(family), "class_names", None)
    return found(configuration(family, folder)) if found else None


def load(model, family, folder):
    """Assign every weight of a model from a checkpoint.

    All names, shapes and dtypes are checked before anything is assigned. Tensors are read one by
    one, from safetensors files only.

    Args:
        model: A built `keras.Model` of the family.
        family, folder: As in `arguments`.

    Raises:
        ValueError: A file is missing or damaged, or model and checkpoint do not correspond; the
            message names the first tensor or weight that differs.
    """
    config, ours = configuration(family, folder), weights_by_path(model)
    with contextlib.ExitStack() as files:
        theirs = tensors(Path(folder), files, getattr(table(family), "name", same))
        config.tensors = frozenset(theirs)
        rows = list(table(family).rows(config, model))
        check(rows, ours, theirs, f"{model.name} does not fit the checkpoint in {folder}:")
        for path, names, transform in rows:
            if path is not None and names is not None:
                arrays = [theirs[name].array() for name in names_of(names)]
                ours[path].assign(transform(*arrays))


def table(family):
    """The module with a family's table."""
    known = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if family not in known:
        raise ValueError(
            f"Reference checkpoints cannot be read for the family {family!r}; they can for: {', '.join(known)}."
        )
    return importlib.import_module(f"{__name__}.{family}")


class Configuration(dict):
    """The content of `config.json`; what it must say and does not is an error.

    Attributes:
        tensors: Names of the tensors that the checkpoint holds, once they are known.
    """

    tensors = frozenset()

    def __missing__(self, key):
        raise ValueError(f"config.json does not say {key!r}.")


def configuration(family, folder):
    """The content of `config.json`, if it is one of the family's."""
    file = Path(folder) / "config.json"
    if not file.is_file():
        raise ValueError(
            f"There is no config.json in {folder}, so this is not a checkpoint of `transformers`."
        )
    try:
        config = Configuration(json.loads(file.read_text(encoding="utf-8")))
        found, classes = config["model_type"], config.get("architectures") or []
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} is damaged, or does not describe a model: {error}") from error
    expected = table(family)
    if found != expected.MODEL_TYPE:
        raise ValueError(f"{file} must have model_type {expected.MODEL_TYPE!r} for {family}, got {found!r}.")
    if classes and not set(classes) & set(expected.ARCHITECTURES):
        raise ValueError(
            f"{folder} holds a {' and '.join(classes)}; {family} reads the weights of "
            f"{' or '.join(expected.ARCHITECTURES)}, which has every layer of ours."
        )
    return config


class Tensor(NamedTuple):
    """A tensor in an open file."""

    file: object
    name: str

    def array(self):
        return self.file.get_tensor(self.name).astype("float32")

    def dtype_and_shape(self):
        about = self.file.get_slice(self.name)
        return about.get_dtype(), tuple(about.get_shape())


def tensors(folder, files, rename):
    """{name of a tensor, renamed: `Tensor`}; `files` closes the files that hold them."""
    index = folder / MANY_FILES
    parts = [ONE_FILE]
    if not (folder / ONE_FILE).is_file():
        if not index.is_file():
            raise ValueError(
                f"There is neither {ONE_FILE} nor {MANY_FILES} in {folder}. Pickled weights (.bin, .pt) are "
                "never read, because they can run code; `save_pretrained` of `transformers` writes safetensors."
            )
        try:
            parts = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{index} is damaged: {error!r}.") from error
    found = {}
    for part in parts:
        file = folder / Path(part).name  # parts lie beside their index, whatever it says
        if not file.is_file():
            raise ValueError(f"{file} is missing; {MANY_FILES} names it.")
        try:
            opened = files.enter_context(safetensors.safe_open(file, framework="numpy"))
        except safetensors.SafetensorError as error:
            raise ValueError(f"{file} is damaged or no safetensors file: {error}.") from error
        found.update({rename(name): Tensor(opened, name) for name in opened.keys()})
    return found


def weights_by_path(model):
    """{path: variable} of a model's weights, without the model's own name where it comes first."""
    found = {}
    for weight in model.weights:
        path = weight.path.removeprefix(f"{model.name}/")
        if path in found:
            raise ValueError(
                f"{model.name} has two weights called {path}: the layers that hold them need names."
            )
        found[path] = weight
    return found


def check(rows, ours, theirs, sentence):
    """Refuse the first row whose two sides differ, then what no row names."""
    named_ours, named_theirs = set(), set()
    for path, names, transform in rows:
        named_theirs.update(names_of(names))
        if path is None:
            continue
        named_ours.add(path)
        if path not in ours:
            raise ValueError(f"{sentence} it has no weight {path}, which should become {names}.")
        if names is None:
            continue
        shapes = []
        for name in names_of(names):
            if name not in theirs:
                raise ValueError(f"{sentence} there is no tensor {name}, which should become {path}.")
            dtype, shape = theirs[name].dtype_and_shape()
            if dtype not in FLOATS:
                raise ValueError(f"{sentence} {name} must be one of {', '.join(FLOATS)}, got {dtype}.")
            shapes.append(shape)
        came = transformed(transform, shapes)
        if came != tuple(ours[path].shape):
            raise ValueError(
                f"{sentence} {names} has the shape {', '.join(map(str, shapes))}, which becomes {came}; "
                f"{path} has {tuple(ours[path].shape)}."
            )
    if left := sorted(set(theirs) - named_theirs):
        raise ValueError(f"{sentence} nothing here takes the tensor {left[0]} ({len(left)} in all).")
    if left := sorted(set(ours) - named_ours):
        raise ValueError(f"{sentence} no tensor is meant for the weight {left[0]} ({len(left)} in all).")


def transformed(transform, shapes):
    """The shape that arrays of these shapes become, or None where the transform does not take them."""
    try:
        return transform(*(np.broadcast_to(np.float32(0), shape) for shape in shapes)).shape
    except ValueError:
        return None


def names_of(names):
    return (names,) if isinstance(names, str) else names or ()


# What the tables are made of: rows for the layers of torch, by the layers of Keras.


def same(array):
    """As it is."""
    return array


def convolution(ours, theirs, bias=False):
    """Rows of a convolution: torch keeps (out, in, height, width), Keras (height, width, in, out)."""
    yield f"{ours}/kernel", f"{theirs}.weight", lambda kernel: kernel.transpose(2, 3, 1, 0)
    if bias:
        yield f"{ours}/bias", f"{theirs}.bias", same


def dense(ours, theirs):
    """Rows of a dense layer: torch keeps (out, in), Keras (in, out)."""
    yield f"{ours}/kernel", f"{theirs}.weight", np.transpose
    yield f"{ours}/bias", f"{theirs}.bias", same


def layer_normalization(ours, theirs):
    """Rows of a layer normalization."""
    yield f"{ours}/gamma", f"{theirs}.weight", same
    yield f"{ours}/beta", f"{theirs}.bias", same


def batch_normalization(ours, theirs):
    """Rows of a batch normalization. Torch also counts the batches it has seen; Keras has no use for that."""
    yield f"{ours}/gamma", f"{theirs}.weight", same
    yield f"{ours}/beta", f"{theirs}.bias", same
    yield f"{ours}/moving_mean", f"{theirs}.running_mean", same
    yield f"{ours}/moving_variance", f"{theirs}.running_var", same
    yield None, f"{theirs}.num_batches_tracked", None
