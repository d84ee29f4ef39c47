"""keras-hub behind the same door: `keraszoo.build("hub:PRESET_OR_FOLDER", task=...)`.

A preset is a folder that keras-hub's `save_to_preset` wrote, or the name of one that it can fetch. It holds a network
and how its inputs are prepared: a tokenizer, or the size and range of images. `PresetModel` puts the two behind the
`fit`, `evaluate`, `predict` and `save` of every model here: raw texts or images are prepared batch by batch in Python,
without a graph of TensorFlow, in an order that the seed fixes; data that cannot be learned from are refused first.

keras-hub is an extra, and imports TensorFlow where that is installed: nothing here imports it before a preset, or a
file that holds one, is asked for.
"""

import contextlib
import inspect
import random
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import ops

from keraszoo.architecture import Architecture
from keraszoo.registry import nearest
from keraszoo.tasks import LOSSES, METRICS, OPTIMIZERS
from keraszoo.text.tokenizer import check_texts
from keraszoo.training import checks
from keraszoo.training.batches import Shuffled

PREFIX = "hub:"


@dataclass(frozen=True)
class Purpose:
    """What keras-hub has for one of our tasks."""

    name: str  # of its base class, in `keras_hub.models`
    learning_rate: float  # its own default, for weights that have learned already
    reads: str  # "texts" or "images"


PURPOSES = {
    "text_classification": Purpose("TextClassifier", 5e-5, "texts"),
    "language_modeling": Purpose("CausalLM", 2e-5, "texts"),
    "masked_language_modeling": Purpose("MaskedLM", 5e-5, "texts"),
    "translation": Purpose("Seq2SeqLM", 2e-5, "texts"),
    "image_classification": Purpose("ImageClassifier", 5e-5, "images"),
    "image_segmentation": Purpose("ImageSegmenter", 5e-5, "images"),
}


def library():
    """The module `keras_hub`.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import keras_hub
    except ModuleNotFoundError as error:
        if error.name != "keras_hub":
            raise
        raise ImportError('keras-hub is not installed: pip install "keraszoo[hub]"') from error
    return keras_hub


def build(
    name,
    *,
    weights=None,
    seed=None,
    task=None,
    preprocessing=None,
    class_names=None,
    vocabulary=None,
    max_length=None,
    too_long="truncate",
    **config,
):
    """A model from a preset of keras-hub, compiled, ready for `.fit` on raw texts or images.

    Args:
        name: "hub:" and a folder that keras-hub's `save_to_preset` wrote, or what else its `from_preset` takes: the
            name of a preset of its own, "kaggle://..." or "hf://...", which are downloaded.
        seed: Makes new weights, dropout and the order of data in `fit` repeatable.
        task: What the model is for: one of `PURPOSES`.
        class_names: Names of the classes; where the preset holds no classifier, a new one gets as many classes.
        max_length: Tokens of a text that are read at most; by default as the preset says. What is longer is cut off.
        weights, preprocessing, vocabulary, too_long: Arguments of other models, which a preset does not take.
        **config: Anything that keras-hub's `from_preset` takes; `num_classes` makes a new classifier.

    Returns:
        A compiled `PresetModel`.

    Raises:
        ImportError: keras-hub is not installed.
        ValueError: There is no such preset, it cannot be fetched or serve the task, or an argument does not fit.
        TypeError: keras-hub's model has no such argument.
    """
    given = dict(weights=weights, preprocessing=preprocessing, vocabulary=vocabulary)
    for word, value in given.items():
        if value is not None:
            raise ValueError(f"{name} takes no {word}: a preset of keras-hub brings its own.")
    if too_long != "truncate":
        raise ValueError(f'{name} can only be built with too_long="truncate", got {too_long!r}.')
    if task not in PURPOSES:
        raise ValueError(f"task must be one of {', '.join(map(repr, PURPOSES))} for {name}, got {task!r}.")
    purpose = PURPOSES[task]
    if seed is not None:
        keras.utils.set_random_seed(seed)
    inner = fetch(name, task, class_names, config)
    shorten(inner, name, max_length)
    model = (Writer if hasattr(inner, "generate") else PresetModel)(inner)
    model.card = dict(
        architecture=name,
        task=task,
        images=purpose.reads == "images",
        preprocessing=True,
        class_names=class_names and [str(c) for c in class_names],
    )
    model.compile(
        optimizer=OPTIMIZERS["adam"](learning_rate=purpose.learning_rate),
        loss=LOSSES["categories"](),
        weighted_metrics=[METRICS["categories"]()],
    )
    return model


def fetch(name, task, class_names, config):
    """keras-hub's own model, not compiled.

    Raises:
        ValueError: As of `build`.
    """
    models, preset = library().models, name.removeprefix(PREFIX)
    own = models.Backbone.presets
    fetched = "://" in preset or preset in own
    if not fetched:
        preset = preset and str(Path(preset).expanduser())
        if not preset or not Path(preset).is_dir():
            hint = nearest(preset, own, "keras_hub.models.Backbone.presets")
            raise ValueError(
                f"name={name!r}: there is no folder {preset!r}, and keras-hub has no preset of that name. {hint}"
            )
    given = dict(config)
    kind = getattr(models, PURPOSES[task].name)
    try:
        try:
            inner = kind.from_preset(preset, compile=False, **given)
        except TypeError as error:
            if "'num_classes'" not in str(error) or "num_classes" in given:
                raise
            if class_names is None:
                raise ValueError(
                    "the preset holds no classifier: num_classes or class_names make a new one"
                ) from error
            inner = kind.from_preset(preset, compile=False, num_classes=len(class_names), **given)
    except Exception as error:  # of files, of downloads, of three libraries
        asked = "".join(f", {word}={value!r}" for word, value in config.items())
        said = " ".join(str(error).split()) or type(error).__name__
        if fetched:
            said += " Without a network, give the folder of a preset that was saved by save_to_preset."
        raise ValueError(f"name={name!r} with task={task!r}{asked} cannot be built: {said}") from error
    known = [*inspect.signature(type(inner)).parameters, "load_weights", "dtype", "image_shape"]
    for word in config:
        if word not in known:
            raise TypeError(
                f"{name} has no argument {word!r}. {nearest(word, known, 'keras_hub.models.' + type(inner).__name__)}"
            )
    if inner.preprocessor is None:
        raise ValueError(
            f"name={name!r} with task={task!r}: the preset does not say how inputs are prepared."
        )
    if class_names is not None and getattr(inner, "num_classes", None) != len(class_names):
        found = getattr(inner, "num_classes", None)
        raise ValueError(
            f"class_names has {len(class_names)} names, but {name} has "
            + (
                f"{found} classes; num_classes={len(class_names)} makes a new classifier."
                if found
                else "no classes."
            )
        )
    return inner


def shorten(inner, name, max_length):
    """Have a model read `max_length` tokens of a text at most, and no more than it has places for.

    Raises:
        ValueError: It reads no text, or has places for fewer.
    """
    most = getattr(inner.backbone, "max_sequence_length", None)
    held = lengths(inner)
    if max_length is not None and not (held and 1 <= max_length <= (most or max_length)):
        takes = f"up to {most or 'any number of'} tokens" if held else "no texts"
        raise ValueError(f"{max_length=} does not fit: {name} reads {takes}.")
    for word, length in held.items():
        setattr(inner.preprocessor, word, min(filter(None, (max_length or length, most)), default=None))


def lengths(inner):
    """How many tokens a model's preprocessor makes of a text, by the names that keras-hub has for it."""
    words = ("sequence_length", "encoder_sequence_length", "decoder_sequence_length")
    return {word: getattr(inner.preprocessor, word) for word in words if hasattr(inner.preprocessor, word)}


class PresetModel(Architecture):
    """A model of keras-hub that takes raw data: texts, or images with values from 0 to 255.

    Args:
        inner: keras-hub's own model, with its preprocessor. Its weights are this model's.

    Shapes:
        x:       What the preprocessor takes: a list of texts; a tuple of lists, for several segments of each text;
                 (batch, height, width, channels) images; or a dict of these. Or what it makes of that.
        y:       (batch,), class numbers or names; for segmentation (batch, height, width); for language modeling none.
        returns: What keras-hub's own model gives, as float32 logits: (batch, num_classes) of classifiers. Of a masked
                 language model, for the tokens that its preprocessor hides, which are the same ones each time.
    """

    def __init__(self, inner, **kwargs):
        super().__init__(**{"name": inner.name, **kwargs})
        self.inner = inner
        self.built = True

    def call(self, x, training=None):
        outputs = ops.cast(self.inner(x, training=training), "float32")
        if getattr(self.inner, "activation", None) in ("softmax", keras.activations.softmax):
            outputs = ops.log(ops.maximum(outputs, 1e-30))  # logits, as all classifiers here give
        return outputs

    def build(self, input_shape=None):
        self.built = True

    @property
    def input_shape(self):
        return self.inner.input_shape

    @property
    def output_shape(self):
        return self.inner.output_shape

    @property
    def tokenizers(self):
        """keras-hub's tokenizer, of a model that says something of a whole text."""
        reads = self.card["task"] in ("text_classification", "language_modeling", "translation")
        return (self.inner.preprocessor.tokenizer,) if reads else ()

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        inner["config"]["compile"] = False
        return {"name": self.name, "inner": inner, "lengths": lengths(self.inner)}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config["inner"])
        for word, length in config["lengths"].items():  # not all of keras-hub's preprocessors keep them
            setattr(inner.preprocessor, word, length)
        return cls(inner, name=config["name"])

    @property
    def labelled(self):
        """With what it learns, beside `x`; None for models that learn from texts alone."""
        task = self.card["task"]
        if task in ("language_modeling", "masked_language_modeling"):
            return None
        return "their translations" if task == "translation" else "their class numbers or names"

    def save_tokenizers(self, folder):
        """Nothing: keras-hub's tokenizers write their own files."""

    def load_tokenizers(self, folder):
        """Nothing: keras-hub's tokenizers read their own files."""

    def is_text(self, x):
        """Whether `x` is raw, for the preprocessor: anything but a data set and what the preprocessor makes."""
        if x is None or isinstance(x, keras.utils.PyDataset):
            return False
        takes = self.input_shape
        return not (isinstance(x, dict) and isinstance(takes, dict) and set(takes) <= set(x))

    def read(self, x, y=None, sample_weight=None, seed=0, **batching):
        """Raw data as batches for `fit`, a `Prepared`.

        Raises:
            ValueError: There are none, they are no texts or no images, or labels do not fit or are missing.
        """
        whole = self.card["task"] == "translation" and isinstance(x, dict)
        if (y is None) == bool(self.labelled and not whole):
            raise ValueError(
                f"y is missing: {self.name} learns from samples with {self.labelled}."
                if y is None
                else f"y must be left out: {self.name} learns from what x holds alone."
            )
        x, y = self.raw("x", x, y)
        y = None if y is None else self.labels(y, None)
        count = len(next(leaves(x)))
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None and len(value) != count:
                raise ValueError(
                    f"x and {name} must have as many samples: x has {count}, {name} has {len(value)}."
                )
        if y is not None:
            checks.check_targets(self, y)
        return Prepared(self, x, y, sample_weight, seed=seed, **batching)

    def raw(self, name, x, y=None):
        """Raw data, checked, as nested lists of texts and arrays; and what is left of `y`."""
        if isinstance(x, dict):
            return {key: self.raw(f"{name}[{key!r}]", value)[0] for key, value in x.items()}, y
        if self.card["images"]:
            x = checks.array(x)
            checks.check_numbers(name, x)
            if x.ndim != 4:
                raise ValueError(
                    f"{name} must hold images, (batch, height, width, channels), got shape {x.shape}."
                )
            return x, y
        if isinstance(x, tuple) and x and not isinstance(x[0], (str, bytes)):
            return tuple(self.raw(f"{name}[{i}]", part)[0] for i, part in enumerate(x)), y
        x = check_texts(name, x)
        if self.card["task"] == "translation":
            return {
                "encoder_text": x,
                "decoder_text": [""] * len(x) if y is None else check_texts("y", y),
            }, None
        return x, y

    def prepared(self, x, y=None, sample_weight=None):
        """A batch as the network takes it: NumPy arrays `x`, `(x, y)` or `(x, y, sample_weight)`."""
        return checks.arrays(self.inner.preprocess_samples(x, y, sample_weight))

    def checked(self, data, prefix="", batch_size=None):
        """As of `Fitting`; the batches of a data set may be raw."""
        if isinstance(data, keras.utils.PyDataset) and not isinstance(data, (Prepared, PreparedBatches)):
            return PreparedBatches(data, self, prefix)
        return super().checked(data, prefix, batch_size)

    def fit(self, x=None, y=None, *args, validation_split=0.0, validation_data=None, **kwargs):
        """As of `Fitting`, on raw data."""
        if validation_split and validation_data is None and isinstance(x, (tuple, dict)):
            raise ValueError(f"{validation_split=} splits one list of samples; give validation_data.")
        with warnings.catch_warnings():
            # Of a backbone a task may use a part: a masked language model leaves out what pools the text.
            warnings.filterwarnings("ignore", "Gradients do not exist for variables")
            return super().fit(
                x, y, *args, validation_split=validation_split, validation_data=validation_data, **kwargs
            )

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """As of `Fitting`, of raw data."""
        if self.is_text(x):
            x = Prepared(self, self.raw("x", x)[0], seed=0, batch_size=batch_size or 32)
        return super().predict(self.checked(x), batch_size, verbose, **kwargs)


class Writer(PresetModel):
    """A `PresetModel` that writes: a language model goes on with texts, a translator answers them."""

    def __init__(self, inner, **kwargs):
        super().__init__(inner, **kwargs)
        self.draws_by("greedy")

    def draws_by(self, sampler):
        """Have keras-hub choose tokens by a sampler, as of `generate`."""
        samplers = library().samplers
        found = None
        with contextlib.suppress(ValueError, TypeError):
            found = samplers.get(sampler)
        if not isinstance(found, samplers.Sampler):
            raise ValueError(f"sampler must be a name or an object of keras_hub.samplers, got {sampler!r}.")
        self.inner.sampler = found
        self.inner.generate_function = None  # compiled for another sampler
        self.sampler = sampler

    def generate(self, texts, max_length=None, sampler="greedy"):
        """What the model writes.

        Args:
            texts: A string, or a list of strings.
            max_length: Tokens of prompt and answer together, at most; by default as many as the model reads.
            sampler: A name or an object of `keras_hub.samplers`: "greedy", "top_k", "top_p", "beam" ...

        Returns:
            What comes after each text, or answers it: a string for a string, a list for a list.

        Raises:
            ValueError: There is no text, or no such sampler.
        """
        single = isinstance(texts, str)
        texts = check_texts("texts", [texts] if single else texts)
        if sampler != self.sampler:
            self.draws_by(sampler)
        goes_on = self.card["task"] == "language_modeling"
        found = self.inner.generate(texts, max_length=max_length, strip_prompt=goes_on)
        return found[0] if single else found


class Prepared(Shuffled):
    """Raw samples in batches that are prepared as they are read.

    What a preprocessor draws at random, as which tokens it hides, follows from seed, epoch and batch.
    """

    def __init__(self, model, x, y=None, sample_weight=None, **batching):
        self.model, self.data = model, (x, y, sample_weight)
        super().__init__(len(next(leaves(x))), **batching)

    def take(self, rows):
        first = rows.start if isinstance(rows, slice) else rows[0]
        with drawing(f"{self.seed} {self.epoch} {first}"):
            return self.model.prepared(*(chosen(part, rows) for part in self.data))


class PreparedBatches(checks.Checked):
    """A data set whose raw batches are prepared as they are read."""

    def __getitem__(self, index):
        batch = self.dataset[index]
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        if self.model.is_text(x):
            batch = self.model.read(x, y, sample_weight, batch_size=len(next(leaves(x))))[0]
        return batch


@contextlib.contextmanager
def drawing(seed):
    """Python's `random` begins with a seed, and afterwards goes on as if it had not been asked."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def leaves(x):
    """The lists and arrays in nested tuples and dicts."""
    if isinstance(x, (tuple, dict)):
        for part in x.values() if isinstance(x, dict) else x:
            yield from leaves(part)
    else:
        yield x


def chosen(x, rows):
    """The samples `rows`, a slice or integers, of nested tuples and dicts of lists and arrays."""
    if x is None:
        return None
    if isinstance(x, dict):
        return {key: chosen(part, rows) for key, part in x.items()}
    if isinstance(x, tuple):
        return tuple(chosen(part, rows) for part in x)
    if isinstance(x, list) and not isinstance(rows, slice):
        return [x[i] for i in rows]
    return x[rows]
