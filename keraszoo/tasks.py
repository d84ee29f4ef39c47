"""What a model is for: its loss, metrics and optimizer, and an example of its data."""

from dataclasses import dataclass, replace

import keras
import numpy as np

from keraszoo.layers.coding import BernoulliLoss
from keraszoo.layers.losses import CodeDistanceLoss, PerceptronLoss
from keraszoo.layers.segmentation import MeanIoU
from keraszoo.layers.tree import NodeAccuracy, NodeCrossentropy, RootAccuracy
from keraszoo.text.trees import Tree, flatten
from keraszoo.training.optimizers import SGD, Adam, AdamW
from keraszoo.training.schedules import Noam
from keraszoo.training.scores import (
    PeakSignalToNoiseRatio,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
)

OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": SGD}
LOSSES = {
    "categories": lambda: SparseCategoricalCrossentropy(from_logits=True),
    "labels": lambda: keras.losses.BinaryCrossentropy(from_logits=True),
    "perceptron": PerceptronLoss,
    "codes": CodeDistanceLoss,
    "values": keras.losses.MeanSquaredError,
    "pixels": BernoulliLoss,
}
METRICS = {
    "categories": lambda: SparseCategoricalAccuracy(name="accuracy"),
    "labels": lambda: keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),  # a logit's sign
    "values": lambda: keras.metrics.MeanSquaredError(name="mean_squared_error"),
}


@dataclass(frozen=True)
class Task:
    """Defaults for one purpose; every model of that purpose is compiled with them."""

    about: str  # one line for the reader
    targets: str  # what a label is: "categories" (one of several) or "labels" (any of several)
    stands_in_for: tuple[str, ...] = ()  # tasks whose models can be built for this one instead

    def scoring(self, config=None, optimizer="adam", loss=None, **arguments):
        """Arguments for `compile`: fresh objects each time.

        Args:
            config: What the model was built with, for tasks whose answers depend on it.
            optimizer: "adam", "adamw" or "sgd".
            loss: A key of `LOSSES`; the task's own by default.
            **arguments: Of the optimizer, such as `learning_rate` (0.001 by default).
        """
        return dict(
            optimizer=OPTIMIZERS[optimizer](**{"learning_rate": 1e-3, **arguments}),
            loss=LOSSES[loss or self.targets](),
            metrics=[METRICS[self.targets]()],
        )

    def example(self, count, *, input_shape, num_classes, **config):
        """A batch of random inputs with labels, for a model built with these arguments.

        Returns:
            x: (count, *input_shape), float32, standard normal.
            y: (count,), int32 categories; or (count, num_classes), float32, each 0 or 1.
        """
        rng = np.random.default_rng(count)
        x = rng.normal(size=(count, *input_shape)).astype("float32")
        if self.targets == "labels":
            return x, rng.integers(0, 2, (count, num_classes)).astype("float32")
        return x, (np.arange(count) % num_classes).astype("int32")

    def probabilities(self, outputs):
        """What the outputs (NumPy logits, classes last) say of each class: floats in [0, 1]."""
        outputs = np.asarray(outputs, "float64")
        if self.targets == "labels":
            return 1 / (1 + np.exp(-outputs))
        powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def inputs(self, model, x):
        """What `predict` takes, where `fit` takes `x`."""
        return x

    def memorises(self, model, x, y, epochs=400, least=3e-3):
        """Whether fitting one batch, at a learning rate of `least` or more, brings the loss below 5 % of where it started."""
        rate = float(model.optimizer.learning_rate)
        model.optimizer.learning_rate = max(rate, least)  # recipes for large sets are slow on four samples
        first = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
        for _ in range(0, epochs, 40):
            model.fit(x, y, epochs=40, batch_size=len(x), verbose=0)
            if model.evaluate(x, y, verbose=0, return_dict=True)["loss"] <= 0.05 * first:
                return True
        return False


@dataclass(frozen=True)
class Sequences(Task):
    """As `Task`, for models that read or write step by step; `num_values` of them are real numbers, not classes."""

    def scoring(self, config=None, optimizer="adam", loss=None, **arguments):
        """As of `Task`; where `config["num_values"]` is given, by the squared error."""
        kind = "values" if (config or {}).get("num_values") else self.targets
        return Task.scoring(replace(self, targets=kind), config, optimizer, loss, **arguments)

    def example(
        self,
        count,
        *,
        input_shape,
        num_classes=None,
        num_values=None,
        vocabulary_size=None,
        return_sequences=False,
        length=None,
        **config,
    ):
        """A batch of random sequences with labels, of 6 steps where any number will do.

        Returns:
            x: (count, time, features), float32, standard normal; (count, time), int32 from 1, of a vocabulary;
                or, with `length`, (count, features), float32, standard normal.
            y: (count,), int32 categories; with `return_sequences` or `length`, one for each step. With
                `num_values`, as many float32 in [-1, 1] instead.
        """
        rng = np.random.default_rng(count)
        shape = (count, *(6 if size is None else size for size in input_shape))
        if vocabulary_size:
            x = rng.integers(1, vocabulary_size, shape).astype("int32")
        else:
            x = rng.normal(size=shape).astype("float32")
        if length:
            steps = (x[:, :1] > 0) + np.arange(length)
        elif return_sequences:
            steps = x if vocabulary_size else x[..., 0] > 0
        else:
            steps = np.arange(count)
        if num_values:
            return x, np.sin(steps[..., None] + np.arange(num_values)).astype("float32")
        return x, (np.floor(steps) % num_classes).astype("int32")


@dataclass(frozen=True)
class Pixels(Task):
    """As `Task`, with an answer for each pixel; a model with several heads answers several questions at once."""

    verb: str = "predict_tiled(image)"

    def scoring(self, config=None, optimizer="adam", loss=None, **arguments):
        """As of `Task`, with the mean IoU of classes; `config["heads"]`, as `head` reads it, gives each head its own."""
        found = super().scoring(config, optimizer, loss, **arguments)
        config = config or {}
        if heads := config.get("heads"):
            kinds = {name: head(name, value) for name, value in heads.items()}
            found["loss"] = {name: LOSSES[kind]() for name, (kind, _) in kinds.items()}
            found["metrics"] = {name: pixel_metrics(*kind) for name, kind in kinds.items()}
        elif "num_classes" in config:
            found["metrics"] = pixel_metrics(self.targets, config["num_classes"])
        return found

    def example(self, count, *, input_shape, num_classes=None, heads=None, **config):
        """A batch of random images with labels for each of their pixels, which its brightness gives away.

        Returns:
            x: (count, height, width, channels), float32, in [-1, 1]: one of as many greys as there are classes.
            y: (count, height, width), int32 categories; with `heads`, a dict with an array for each.
        """
        rng = np.random.default_rng(count)
        height, width, channels = input_shape
        kinds = {name: head(name, value) for name, value in (heads or {}).items()}
        greys = num_classes or max([2, *(channels for _, channels in kinds.values())])
        grey = (rng.integers(0, greys, (count, height, width, 1)) + 0.5) / greys
        x = np.broadcast_to(2 * grey - 1, (count, height, width, channels)).astype("float32")

        def answers(kind, channels):
            if kind == "categories":
                return (grey[..., 0] * channels).astype("int32")
            if kind == "labels":
                return (grey > np.arange(1, channels + 1) / (channels + 1)).astype("float32")
            return np.cos(np.pi * (grey + np.arange(channels))).astype("float32")

        if not heads:
            return x, answers("categories", num_classes)
        return x, {name: answers(*kind) for name, kind in kinds.items()}


def pixel_metrics(kind, channels):
    """Metrics of answers of a kind, as `head` tells it, for each pixel."""
    return [METRICS[kind]()] + ([MeanIoU(channels)] if kind == "categories" else [])


def head(name, value):
    """What a head answers and in how many channels: a key of `LOSSES`, and a number.

    Args:
        name: Of the head, for messages.
        value: A number of classes, from 2; 1 for yes or no; or ("values", channels) for quantities,
            ("labels", channels) for several times yes or no, ("categories", classes).

    Raises:
        ValueError: `value` is none of these.
    """
    kind, channels = value if isinstance(value, (tuple, list)) and len(value) == 2 else (None, value)
    if isinstance(channels, int) and channels >= 1 and kind is None:
        return ("labels" if channels == 1 else "categories"), channels
    if isinstance(channels, int) and channels >= 1 + (kind == "categories") and kind in METRICS:
        return kind, channels
    raise ValueError(
        f"heads[{name!r}] must be a number of classes, 1 for yes or no, or a pair of what it gives "
        f"({', '.join(map(repr, METRICS))}) and in how many channels, got {value!r}: without it there is no loss for the head."
    )


@dataclass(frozen=True)
class Reconstruction(Task):
    """As `Task`, for models that give their input back; `fit` needs no `y`."""

    gives: str = "images"  # to fit on
    value_range: tuple[int, int] = (0, 1)
    verb: str = "reconstruct(images)"

    def example(self, count, *, input_shape, **config):
        """A batch of random images, each pixel black or white, and None.

        Returns:
            x: (count, *input_shape), float32, each 0 or 1.
            y: None.
        """
        rng = np.random.default_rng(count)
        return rng.integers(0, 2, (count, *input_shape)).astype("float32"), None


@dataclass(frozen=True)
class Language(Task):
    """As `Task`, for models that foretell the next token at each place of a text."""

    gives: str = "text"  # to fit on
    verb: str = "generate(prompt)"

    def scoring(self, config=None, **arguments):
        """As of `Task`; the logs hold the perplexity, which follows from the loss."""
        return {**super().scoring(config, **arguments), "metrics": []}

    def example(self, count, *, input_shape, vocabulary_size, **config):
        """A batch of pieces of a text in which each token always follows the same one.

        Returns:
            x, y: (count, time), int32, from 1; `y` is what follows `x`.
        """
        (time,) = input_shape
        places = 3 * np.arange(count)[:, None] + np.arange(time + 1)
        text = (1 + places % (vocabulary_size - 1)).astype("int32")
        return text[:, :-1], text[:, 1:]


@dataclass(frozen=True)
class Texts(Task):
    """As `Task`, for models that understand a text, or two, as token numbers with the tokens around them in place."""

    heads: tuple[str, ...] = ()  # names of the outputs, if there are several
    by_token: bool = False  # whether each token has an answer, and a weight of its own

    def scoring(self, config=None, **arguments):
        """As of `Task`. Answers for each token are averaged by their weights."""
        found = super().scoring(config, **arguments)
        if not (self.heads or self.by_token):
            return found
        loss, metrics = (
            {head: made() for head in self.heads or [""]}
            for made in (lambda: weighted_mean(self.targets), lambda: [METRICS[self.targets]()])
        )
        del found["metrics"]
        return found | dict(loss=loss.get("", loss), weighted_metrics=metrics.get("", metrics))

    def example(
        self, count, *, input_shape, vocabulary_size, separator, num_classes=None, padding=0, **config
    ):
        """A batch of pairs of random texts of different lengths, with labels.

        Returns:
            x: (count, time), int32: a start token, a text, a separator, another text, a separator, padding.
            y: Random int32: (count,), or (count, time) with an answer for each token; a dict of those with `heads`.
        """
        rng = np.random.default_rng(count)
        time = input_shape[0] or 8
        x = rng.integers(separator + 1, vocabulary_size, (count, time)).astype("int32")
        ends = time - np.arange(count) % min(3, time // 2)
        x[:, 0], x[:, time // 2], x[np.arange(count), ends - 1] = separator - 1, separator, separator
        x[np.arange(time) >= ends[:, None]] = padding
        whole = (np.arange(count) % (num_classes or 2)).astype("int32")
        each = rng.integers(0, num_classes or vocabulary_size, (count, time)).astype("int32")
        made = {"tokens": each, "next": whole % 2, "start": whole % 2, "end": 1 + whole % 2}
        if self.heads:
            return x, {head: made[head] for head in self.heads}
        return x, each if self.by_token else whole


def weighted_mean(targets):
    """The loss of a kind of targets, averaged by their weights: what has none does not count at all."""
    loss = LOSSES[targets]()
    loss.reduction = "mean_with_sample_weight"
    return loss


@dataclass(frozen=True)
class Encoding(Texts):
    """As `Texts`, for models that learn nothing: others go on with what they know."""

    def scoring(self, config=None, optimizer="adam", loss=None, **arguments):
        """Arguments for `compile`: an optimizer."""
        return dict(optimizer=OPTIMIZERS[optimizer](**{"learning_rate": 1e-3, **arguments}))


@dataclass(frozen=True)
class Trees(Task):
    """As `Task`, with an answer for each node of a tree."""

    verb: str = "label(trees)"

    def scoring(self, config=None, optimizer="adam", loss=None, **arguments):
        """As of `Task`, with the accuracy of all labelled nodes and that of roots; gradients are clipped by norm."""
        found = super().scoring(config, optimizer, **{"clipnorm": 5.0, **arguments})
        return found | dict(loss=NodeCrossentropy(), metrics=[NodeAccuracy(), RootAccuracy()])

    def example(
        self, count, *, input_shape, num_classes, vocabulary_size, width=2, composition=None, **config
    ):
        """A batch of random binary trees, as tables; a node's class is the sum of its children's.

        Returns:
            x: (count, rows, columns), int32; see `keraszoo.text.trees.Flat`, before which stand the words.
            y: (count, rows, 2), int32: classes of words and of inner nodes, -1 where there are none.
        """
        rng = np.random.default_rng(count)
        rows, columns = input_shape[0] or 12, input_shape[1]
        heads = composition == "child_sum"
        x, y = np.zeros((count, rows, columns), "int32"), np.full((count, rows, 2), -1, "int32")
        for i in range(count):
            tokens = rng.integers(1, vocabulary_size, rows // width + 1)  # as many fit, whatever the tree
            parts = [Tree(int(token % num_classes), str(token)) for token in tokens]
            while len(parts) > 1:
                at = int(rng.integers(len(parts) - 1))
                pair = tuple(parts[at : at + 2])
                parts[at : at + 2] = [Tree(sum(p.label for p in pair) % num_classes, None, pair)]
            flat = flatten(parts[0], width, columns - 1 - heads, heads)
            x[i, : len(flat.words), 0] = [int(word) for word in flat.words]
            x[i, : len(flat.joins), 1:] = flat.joins
            y[i][tuple(flat.places.T)] = [node.label for node in parts[0].nodes()]
        return x, y


@dataclass(frozen=True)
class Views(Task):
    """As `Task`, for models that say what is seen along rays of light."""

    gives: str = "cameras and images"  # to fit on
    verb: str = "render(camera)"

    def scoring(self, config=None, optimizer="adam", learning_rate=1e-3, decay_steps=None, **arguments):
        """As of `Task`; the learning rate falls to a tenth in each `decay_steps`, if they are given."""
        if decay_steps:
            learning_rate = keras.optimizers.schedules.ExponentialDecay(learning_rate, decay_steps, 0.1)
        return dict(
            optimizer=OPTIMIZERS[optimizer](learning_rate=learning_rate, **arguments),
            loss={name: LOSSES[self.targets]() for name in ("coarse", "color")},
            metrics={"color": [PeakSignalToNoiseRatio(name="psnr")]},
        )

    def example(self, count, **config):
        """A batch of rays from around the middle of the scene, with colours.

        Returns:
            x: (count, 6), float32: origins four units away, and directions to the middle or near it.
            y: (count, 3), float32, in [0, 1].
        """
        rng = np.random.default_rng(count)
        outward = rng.normal(size=(count, 3))
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        inward = 0.1 * rng.normal(size=(count, 3)) - outward
        return np.concatenate([4 * outward, inward], axis=1).astype("float32"), rng.random(
            (count, 3), "float32"
        )

    def memorises(self, model, x, y, epochs=400):
        """As of `Task`, at a rate that suits four rays, whatever schedule the model was built with."""
        model.compile(**self.scoring(learning_rate=3e-3))
        return super().memorises(model, x, y, epochs)


@dataclass(frozen=True)
class Game:
    """As `Task`, for models in which several players learn, each with a loss of its own."""

    about: str
    gives: (
        str  # to fit on: "points", "images", "labelled images", "pairs" of images, or two "domains" of them
    )
    verb: str = "sample(25)"  # what to do with a model that has learned
    value_range: tuple[int, int] = (-1, 1)  # of images
    stands_in_for: tuple[str, ...] = ()

    def scoring(self, config=None, optimizer="adam", **arguments):
        """Arguments for `compile`: an optimizer of which each player gets a copy."""
        return dict(optimizer=OPTIMIZERS[optimizer](**{"learning_rate": 2e-4, **arguments}))

    def example(self, count, *, input_shape, num_classes=None, **config):
        """A batch of random data to fit a model on that was built with these arguments.

        Returns:
            x: (count, *input_shape), float32; images lie in [-1, 1].
            y: None for points and images; (count,), int32 categories; or another set of images.
        """
        rng = np.random.default_rng(count)
        if self.gives == "points":
            return rng.normal(4, 1, size=(count, *input_shape)).astype("float32"), None  # not where noise is
        x, other = (ramps(rng, count, *input_shape) for _ in range(2))
        if self.gives == "labelled images":
            return x, (np.arange(count) % num_classes).astype("int32")
        return x, (other if self.gives in ("pairs", "domains") else None)

    def inputs(self, model, x):
        """What `predict` takes: what the model's inputs ask for, as much of it as there is of `x`."""
        if self.gives in ("pairs", "domains"):
            return x
        rng = np.random.default_rng(len(x))
        shapes = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
        found = [rng.normal(size=(len(x), *shape[1:])).astype("float32") for shape in shapes]
        if self.gives == "labelled images":
            found[1] = (np.arange(len(x)) % model.num_classes).astype("int32")
        return found if len(found) > 1 else found[0]

    def memorises(self, model, x, y, epochs=400):
        """Whether each player in turn, against the others standing still, brings its loss below 5 % on one batch."""
        return all(self.wins(model, player, x, y, epochs) for player in model.players())

    def wins(self, model, player, x, y, epochs):
        """Whether a player brings its own loss below 5 % of where it started."""
        name = f"{player}_loss"

        def losses(epochs):
            return model.fit(x, y, epochs=epochs, batch_size=len(x), verbose=0, only=[player]).history[name]

        first = abs(losses(1)[0])
        for turn in range(epochs // 40):
            model.optimizer.learning_rate = 3e-3 * 0.5 ** max(0, turn - 4)  # or the last steps are too long
            last = np.mean(losses(40)[-5:])  # with dropout and the batch's own statistics, or without:
            if min(last, model.evaluate(x, y, verbose=0, return_dict=True)[name]) <= 0.05 * first:
                return True
        return False


@dataclass(frozen=True)
class WordVectors:
    """As `Task`, for models that learn from words and the words around them."""

    about: str
    verb: str = "nearest(word)"
    stands_in_for: tuple[str, ...] = ()

    def scoring(self, config=None, optimizer="sgd", learning_rate=None, **arguments):
        """Arguments for `compile`: the rates that word2vec.c begins with."""
        usual = 0.05 if (config or {}).get("kind") == "cbow" else 0.025
        return dict(optimizer=OPTIMIZERS[optimizer](learning_rate=learning_rate or usual, **arguments))

    def example(self, count, *, input_shape, vocabulary_size, **config):
        """Words, no two of them alike, around centres that differ, too.

        Returns:
            x: (count, *input_shape), int32, from 1.
            y: (count,), int32, from 1.
        """
        rng = np.random.default_rng(count)
        x = 1 + rng.permutation(vocabulary_size - 1)[: count * input_shape[0]].reshape(count, -1)
        return x.astype("int32"), (1 + np.arange(count)).astype("int32")

    def inputs(self, model, x):
        """What `predict` takes: the words around a gap."""
        return x

    def memorises(self, model, x, y, epochs=400):
        """As of `Task`, in long steps."""
        return Task.memorises(self, model, x, y, epochs, least=0.2)


@dataclass(frozen=True)
class Translation(Game):
    """As `Game`, for models that write a sentence for a sentence: one player, and a loss of its own."""

    verb: str = "translate(texts)"

    def scoring(self, config=None, optimizer="adam", warmup=None, **arguments):
        """Arguments for `compile`; `optimizer` and its arguments as of `Task.scoring`.

        With `warmup`, a number of steps, the learning rate is that of the Transformer, for `config["embed_dim"]`.
        """
        rate = Noam(config["embed_dim"], warmup) if warmup else 1e-3
        return super().scoring(config, optimizer, **{"learning_rate": rate, **arguments})

    def memorises(self, model, x, y, epochs=400):
        """As of `Game`, at a rate that suits four sentences, whatever schedule the model was built with."""
        model.compile(**self.scoring(global_clipnorm=1.0))
        return super().memorises(model, x, y, epochs)

    def example(self, count, *, input_shape, vocabulary_size, **config):
        """A batch of random sentences of different lengths, with the end token after the targets.

        Returns:
            x, y: (count, time), int32: token numbers, 0 for padding at the end.
        """
        rng = np.random.default_rng(count)
        time = input_shape[0] or 8
        sizes = (vocabulary_size,) * 2 if isinstance(vocabulary_size, int) else vocabulary_size
        x, y = (rng.integers(4, size, (count, time)).astype("int32") for size in sizes)
        ends = time - np.arange(count) % min(3, time)  # the first is as long as can be
        x[np.arange(time) >= ends[:, None]] = 0
        y[np.arange(time) >= ends[:, None]] = 0
        y[np.arange(count), ends - 1] = 3
        return x, y

    def inputs(self, model, x):
        """What `predict` takes: the sentences."""
        return x


@dataclass(frozen=True)
class Feedback(Game):
    """As `Game`, for models that learn from labelled steps, with what came before at hand."""

    def scoring(self, config=None, **arguments):
        """Arguments for `compile`: an optimizer."""
        return super().scoring(config, **{"learning_rate": 1e-3, **arguments})

    def example(self, count, **config):
        """As of `Sequences`, with a label for each step."""
        return TASKS["sequence_classification"].example(count, **config, return_sequences=True)

    def inputs(self, model, x):
        """What `predict` takes."""
        return x

    def memorises(self, model, x, y, epochs=400):
        """As of `Task`, when it runs freely."""
        return Task.memorises(self, model, x, y, epochs)


def ramps(rng, count, height, width, channels):
    """Images whose colours change evenly in some direction: (count, height, width, channels), in [-0.5, 0.5].

    All have the same mean and contrast, which networks with instance normalization cannot see.
    """
    angle = rng.uniform(0, 2 * np.pi, size=(count, 1, 1, channels))
    rows, columns = np.linspace(-1, 1, height)[:, None, None], np.linspace(-1, 1, width)[:, None]
    return ((np.sin(angle) * rows + np.cos(angle) * columns) / np.sqrt(8)).astype("float32")


TASKS = {
    "classification": Task("one of several classes, for inputs of any shape", "categories"),
    "image_classification": Task("one of several classes for an image", "categories"),
    "multi_label_classification": Task(
        "any of several labels at once",
        "labels",
        stands_in_for=("classification", "image_classification"),
    ),
    "sequence_classification": Sequences("a class or numbers for a sequence, or for each step", "categories"),
    "sequence_generation": Sequences("a class or numbers for each step, of one vector", "categories"),
    "sequence_feedback": Feedback(
        "a class or numbers for each step, by way of those before", "labelled steps", verb="predict(x)"
    ),
    "text_classification": Sequences("one of several classes for a text", "categories"),
    "token_classification": Texts("a class for each word of a text", "categories", by_token=True),
    "masked_language_modeling": Texts(
        "what is hidden of a text, from what is before and behind it", "categories", by_token=True
    ),
    "next_sentence_prediction": Texts(
        "what is hidden of two texts, and whether one follows the other",
        "categories",
        heads=("tokens", "next"),
    ),
    "question_answering": Texts(
        "where in a text the answer to a question begins and ends", "categories", heads=("start", "end")
    ),
    "text_encoding": Encoding("features of a text and of each of its tokens", "values"),
    "tree_classification": Trees("one of several classes for each node of a tree", "categories"),
    "image_segmentation": Pixels("a class for every pixel, or several answers at once", "categories"),
    "language_modeling": Language("the token that comes next, at each place of a text", "categories"),
    "image_reconstruction": Reconstruction("the image itself, by way of a code", "values"),
    "view_synthesis": Views("a scene from elsewhere, learned from photographs of it", "values"),
    "masked_image_modeling": Game(
        "what is hidden of an image, from what is visible", "images", verb="reconstruct(images)"
    ),
    "point_generation": Game("points like those it was fitted on", "points"),
    "word_vectors": WordVectors("a vector for each word, learned from texts"),
    "image_generation": Game("images like those it was fitted on", "images"),
    "conditional_image_generation": Game("images of a class that is asked for", "labelled images"),
    "image_translation": Game(
        "what belongs to an image, learned from pairs", "pairs", verb="translate(images)"
    ),
    "translation": Translation("a sentence for a sentence, in another language", "pairs of sentences"),
    "summarization": Translation(
        "a short text for a long one",
        "pairs of texts",
        verb="summarise(texts)",
        stands_in_for=("translation",),
    ),
    "unpaired_image_translation": Game(
        "an image in another style, learned from two heaps of images", "domains"
    ),
}
