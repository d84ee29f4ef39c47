"""What every model of ours adds to `fit`, `evaluate`, `predict` and `save`, on every backend alike.

- Data that cannot be learned from is refused with one sentence before the first step (`checks`).
- Shuffling gives a new order each epoch and the same orders for the same seed, the same on the
  three backends. (After `keras.utils.set_random_seed`, stock Keras on TensorFlow repeats one order.)
- A model survives an exception raised in the middle (`keraszoo.backend.state`).
- A model that was built with a vocabulary takes text (`reading`).
- A saved file holds the state of the seed generators, the vocabulary and the model's card (its architecture, task
  and class names), and names no class of one backend, so that it loads and trains on all of them.
"""

import json
import os
from pathlib import Path

import keras
import numpy as np

from keraszoo.backend.state import surviving
from keraszoo.training import checks, lora
from keraszoo.training.batches import Batches, Shuffled
from keraszoo.training.reading import Reading, in_three
from keraszoo.training.step import Step

CARD = "card.json"


class Fitting(Reading, Step):
    """A mixin to put in front of `keras.Model`.

    Attributes:
        card: What the model says of itself in its file: a dict with `architecture`, `task`,
            `class_names`, `preprocessing` (whether a layer at its front takes raw images) and
            `images` (whether its inputs are images). Empty for a model that `build` did not make.
        adapter: How it is adapted by low rank (see `keraszoo.training.lora`), a dict; None if it is not.
        batches: The class that makes batches of arrays, called as `Batches`; `Unpaired` for a model
            that learns from two sets of different size.
    """

    batches = Batches

    @property
    def card(self):
        return self.__dict__.get("_card", {})

    @card.setter
    def card(self, card):
        object.__setattr__(self, "_card", card)  # plain data: not for Keras to track

    @property
    def adapter(self):
        return self.__dict__.get("_adapter")

    @adapter.setter
    def adapter(self, adapter):
        object.__setattr__(self, "_adapter", adapter)  # plain data, as well

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        **kwargs,
    ):
        """`keras.Model.compile`, except that metrics which are not asked for again are gone.

        Keras keeps those of the last time, and they break on the labels of another loss.
        """
        if metrics is None and weighted_metrics is None and loss is not None:
            metrics = []
        self.jit_choice = jit_compile
        super().compile(
            optimizer,
            loss,
            loss_weights,
            metrics,
            weighted_metrics,
            run_eagerly,
            steps_per_execution,
            jit_compile,
            **kwargs,
        )

    def compile_from_config(self, config):
        """Compile as `get_compile_config` says, and adapt before; called when a file is loaded."""
        config = dict(config)
        if (adapter := config.pop("adapter", None)) and not self.adapter:
            lora.apply(self, **adapter)
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_batch_size=None,
        **kwargs,
    ):
        """`keras.Model.fit`, with its arguments; see this file's first lines for what is added.

        Raises:
            ValueError: The data do not fit the model: an empty or mismatched array, a wrong shape,
                a label out of range, one-hot labels against a loss that takes class numbers, NaN;
                or `validation_split` is to split what is not arrays.
        """
        self._assert_compile_called("fit")
        if self.is_text(x):
            if validation_split and validation_data is None:
                (x, y, sample_weight), validation_data = texts_split(x, y, sample_weight, validation_split)
            x = self.read(
                x,
                y,
                sample_weight,
                batch_size=batch_size or 32,
                shuffle=bool(shuffle),
                seed=int(np.random.randint(2**31)),
                initial_epoch=initial_epoch,
            )
            y = sample_weight = None
        checks.check_distribution(*sizes(x, batch_size))
        if is_array_like(x):
            self.check_batch(x, y, sample_weight)
            data = (x, y, sample_weight)
            if validation_split and validation_data is None:
                data, validation_data = self.batches.split(data, validation_split)
            x = self.batches(
                *data,
                batch_size=batch_size or 32,
                shuffle=bool(shuffle),
                seed=int(np.random.randint(2**31)),  # repeatable after keras.utils.set_random_seed
                initial_epoch=initial_epoch,
            )
            y = sample_weight = None
        elif validation_split and validation_data is None:
            raise ValueError(
                f"{validation_split=} splits arrays; split a data set, and give validation_data."
            )
        else:
            x = self.checked(x)
        validation_data = self.checked(validation_data, "validation ", validation_batch_size or batch_size)
        with surviving(self):
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_data=validation_data,
                shuffle=shuffle and not isinstance(x, Shuffled),
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_batch_size=validation_batch_size,
                **kwargs,
            )

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        """`keras.Model.evaluate`, on checked data."""
        if not kwargs.get("_use_cached_eval_dataset"):  # Keras' own call from `fit`, checked there
            if self.is_text(x):
                x = self.read(x, y, sample_weight, batch_size=batch_size or 32)
                y = sample_weight = None
            elif is_array_like(x):
                self.check_batch(x, y, sample_weight)
                x = self.batches(x, y, sample_weight, batch_size=batch_size or 32)
                y = sample_weight = None
            else:
                x = self.checked(x)
        with surviving(self):
            return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """`keras.Model.predict`, on checked data; of texts, see `Reading.answers`."""
        if self.is_text(x):
            return self.answers(x, lambda x: self.predict(x, batch_size, verbose, **kwargs), batch_size)
        if is_array_like(x):
            self.check_inputs(x)
        with surviving(self):
            return super().predict(x, batch_size, verbose, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """`keras.Model.train_on_batch`, on checked data."""
        if self.is_text(x):
            x, y, sample_weight = in_three(self.read(x, y, sample_weight, batch_size=len(x))[0])
        self.check_batch(x, y, sample_weight)
        with surviving(self):
            return super().train_on_batch(x, y, sample_weight, **kwargs)

    def test_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """`keras.Model.test_on_batch`, on checked data."""
        if self.is_text(x):
            x, y, sample_weight = in_three(self.read(x, y, sample_weight, batch_size=len(x))[0])
        self.check_batch(x, y, sample_weight)
        with surviving(self):
            return super().test_on_batch(x, y, sample_weight, **kwargs)

    def predict_on_batch(self, x):
        """`keras.Model.predict_on_batch`, on checked data."""
        self.check_inputs(x)
        with surviving(self):
            return super().predict_on_batch(x)

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Raise a ValueError for data that the model cannot learn from; `prefix` says where they come from."""
        checks.check_batch(self, x, y, sample_weight, prefix)

    def check_inputs(self, x, prefix=""):
        """Raise a ValueError for data that the model cannot predict on."""
        checks.check_inputs(self, x, prefix)

    def checked(self, data, prefix="", batch_size=None):
        """`data` as Keras takes it, refused if it does not fit: a data set, or `(x, y)`, which becomes one."""
        if isinstance(data, keras.utils.PyDataset) and not isinstance(data, checks.Checked):
            if data.num_batches == 0:
                raise ValueError(f"{prefix}data set {type(data).__name__} is empty: it has no batches.")
            if isinstance(data, self.batches):  # all of it is at hand
                self.check_batch(*keras.utils.unpack_x_y_sample_weight(data.data), prefix=prefix)
                return data
            if isinstance(first := data[0], tuple):
                self.check_batch(*first, prefix=prefix)
            if data.use_multiprocessing or isinstance(data, Shuffled):
                return data
            return checks.Checked(data, self, prefix)
        if isinstance(data, (tuple, list)) and len(data) and self.is_text(data[0]):
            return self.read(*data, batch_size=batch_size or 32)
        if isinstance(data, (tuple, list)) and is_array_like(data):
            self.check_batch(*data, prefix=prefix)
            return self.batches(*data, batch_size=batch_size or 32)
        return data

    def save(self, filepath, overwrite=True, **kwargs):
        """`keras.Model.save`; the file appears whole or not at all."""
        path = Path(filepath)
        if path.exists() and not overwrite:
            raise ValueError(f"filepath={str(path)!r} exists already, and overwrite is False.")
        beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        try:
            super().save(beside, **kwargs)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)

    def get_compile_config(self):
        """Keras' configuration of the compiled parts, with nothing in it that belongs to one backend.

        Keras writes what "auto" came to for `jit_compile`: True under JAX, which on torch would hand
        the model to `torch.compile`.
        """
        config = portable(super().get_compile_config())
        adapter = {"adapter": self.adapter} if self.adapter else {}
        return {**config, "jit_compile": self.jit_choice, **adapter} if config else config

    def save_own_variables(self, store):
        """Keras' own variables, and the state of the seed generators, which Keras leaves out."""
        super().save_own_variables(store)
        if seeds := self.seeds():
            store["seeds"] = np.stack([keras.ops.convert_to_numpy(s) for s in seeds])

    def load_own_variables(self, store):
        """Read back what `save_own_variables` wrote."""
        held = {key: store[key] for key in store.keys()}
        states = held.pop("seeds", ())
        seeds = self.seeds()
        if len(states) and len(states) != len(seeds):
            raise ValueError(f"The file holds {len(states)} seed generators, {self.name} has {len(seeds)}.")
        for seed, value in zip(seeds, states, strict=False):
            seed.assign(np.asarray(value))
        super().load_own_variables(held)

    def seeds(self):
        """The state variables of all seed generators, in a fixed order."""
        known = {id(v) for v in self.weights}
        return [v for v in self.variables if id(v) not in known]

    def save_assets(self, folder):
        """Write the card and the vocabulary into the file."""
        (Path(folder) / CARD).write_text(json.dumps(self.card), encoding="utf-8")
        self.save_tokenizers(folder)

    def load_assets(self, folder):
        """Read the card and the vocabulary from the file."""
        self.card = json.loads((Path(folder) / CARD).read_text(encoding="utf-8"))
        self.load_tokenizers(folder)


def is_array_like(data):
    """Whether `data` is an array or tensor, or a structure of those."""
    leaves = [v for v in keras.tree.flatten(data) if v is not None]
    return bool(leaves) and all(hasattr(v, "shape") and hasattr(v, "dtype") for v in leaves)


def texts_split(x, y, sample_weight, share):
    """The first `1 - share` of texts and what belongs to them, and the rest."""
    rows, _ = Batches.split(np.arange(len(x)), share)
    parts = [
        (v[: len(rows)], v[len(rows) :]) if v is not None else (None, None) for v in (x, y, sample_weight)
    ]
    return tuple(zip(*parts, strict=True))


def sizes(x, batch_size):
    """How many samples there are in an epoch, as far as it is known, and in a batch."""
    if is_array_like(x):
        return len(next(v for v in keras.tree.flatten(x) if v is not None)), batch_size or 32
    return getattr(x, "count", None), getattr(x, "batch_size", None) or batch_size or 32


def portable(config):
    """`config` with torch's own optimizer classes called by the names that every backend knows."""
    if isinstance(config, dict):
        config = {key: portable(value) for key, value in config.items()}
        if str(config.get("module", "")).startswith("keras.src.backend.torch.optimizers"):
            config |= {"module": "keras.optimizers", "registered_name": None}
        return config
    return [portable(value) for value in config] if isinstance(config, list) else config
