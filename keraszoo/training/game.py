"""A model in which several players learn, each with a loss and an optimizer of its own.

Generator and discriminator (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661) are the best
known: a `MultiPlayerModel` says who plays; `fit` lets them take turns, in one compiled step, on every
backend alike. All that differs between backends is in `keraszoo.backend.autodiff`.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from keras import ops

from keraszoo import registry
from keraszoo.architecture import Architecture
from keraszoo.backend import kernels
from keraszoo.backend.autodiff import apply_gradients, value_and_grad, when
from keraszoo.backend.devices import devices
from keraszoo.training.optimizers import PlayerOptimizers
from keraszoo.training.stateful import Stateful


@dataclass(frozen=True)
class Player:
    """Whom a loss trains, and how often.

    Args:
        networks: Layers or models, built; their trainable weights are this player's.
        loss: Called with what `fit` was given, `x` or `x, y` or `x, y, sample_weight`, and `training=`;
            returns a scalar tensor. What its networks' regularizers ask of weights is added.
        repeat: Updates in a step. Each sees the same batch, and noise of its own.
        split: Let each of the updates see its own part of the batch instead.
        every: Take turns only in every so many steps, beginning with step number `every`; alone, in each.

    Raises:
        TypeError: `networks` are no layers, or `loss` cannot be called.
        ValueError: `repeat` or `every` is below 1.
    """

    networks: Sequence[keras.layers.Layer]
    loss: Callable
    repeat: int = 1
    split: bool = False
    every: int = 1

    def __post_init__(self):
        if not (isinstance(self.networks, (list, tuple)) and self.networks) or not all(
            isinstance(network, keras.layers.Layer) for network in self.networks
        ):
            raise TypeError(f"networks must be a list of Keras layers or models, got {self.networks!r}.")
        if not callable(self.loss):
            raise TypeError(f"loss must be a function, got {self.loss!r}.")
        for word, value in (("repeat", self.repeat), ("every", self.every)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{word} must be a whole number from 1, got {value!r}.")


class MultiPlayerModel(Stateful, Architecture):
    """Subclass this, and say in `players()` who learns what; `fit` then works as for any Keras model.

        class Line(MultiPlayerModel):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
                self.critic = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

            def players(self):
                return {
                    "critic": Player([self.critic], self.critic_loss, repeat=5),
                    "generator": Player([self.generator], self.generator_loss),
                }
            ...

        model = Line()
        model.compile(optimizer={"critic": "adam", "generator": keras.optimizers.Adam(1e-4)})
        model.fit(x, epochs=10).history["generator_loss"]

    A step lets the players take their turns, one after the other, each on the weights that the one
    before has left; then it calls `after_step`. Logs hold a mean loss for each player, `NAME_loss`, and
    their sum, `loss`, which says little of who is winning, but where Keras' callbacks look first.
    Attributes that are Keras metrics are logged, too; losses may update them.

    A loss that is not finite ends `fit` with a `FloatingPointError` that names the player, a batch
    later at most, and nothing is saved from then on, so that the last good file remains.
    (`keras.callbacks.TerminateOnNaN` ends it without an error.)
    """

    speaker = None  # name of the network that `call` speaks through: its inputs and outputs are the model's
    active = None  # names of those who play; None for all
    watch = property(lambda self: self.__dict__.get("_watch") or Watch())

    @property
    def spoken_through(self):
        """The network that is called `speaker`."""
        if self.speaker is None:
            raise AttributeError(f"{type(self).__name__} does not say which of its networks is its speaker.")
        return getattr(self, self.speaker)

    @property
    def inputs(self):
        return self.spoken_through.inputs

    @property
    def input_shape(self):
        return self.spoken_through.input_shape

    @property
    def output_shape(self):
        return self.spoken_through.output_shape

    def players(self):
        """A dict from names to `Player`s, in order of play."""
        raise NotImplementedError(f"{type(self).__name__} must say in players() who learns what.")

    def after_step(self):
        """Called after all turns of a step: for moving averages (see `follow`) and the like."""

    def build(self, input_shape=None):
        """Nothing is left to make: networks are built where they are constructed."""
        self.built = True

    def compile(
        self,
        optimizer="adam",
        loss=None,
        metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        **kwargs,
    ):
        """Give each player an optimizer; compiling anew begins with new ones.

        Args:
            optimizer: A Keras optimizer or its name, of which each player gets a copy; or a dict with
                one for each player.
            loss, metrics: Not for games: losses belong to players, metrics are attributes of the model.
            run_eagerly, steps_per_execution, jit_compile: As of `keras.Model.compile`.

        Raises:
            ValueError: A player is missing or unknown; a network is not built; a trainable weight
                belongs to no player; or `loss` or `metrics` are given.
        """
        if loss is not None or metrics:
            raise ValueError(
                f"The players of {self.name} have losses of their own: compile takes no loss and no metrics. "
                "A metric is an attribute of the model that a loss updates."
            )
        trained = self.trained()
        if isinstance(optimizer, PlayerOptimizers):
            optimizer = optimizer.players
        optimizers = PlayerOptimizers(self.shared_out(optimizer, list(trained)))
        optimizers.assign_players(trained)
        optimizers.build(self.trainable_variables)
        self.build()
        # Not for Keras to track: it would keep those of an earlier call.
        object.__setattr__(self, "_trackers", {n: keras.metrics.Mean(name=f"{n}_loss") for n in trained})
        super().compile(
            optimizer=optimizers,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=False,
            **kwargs,
        )

    @property
    def trackers(self):
        """The mean losses of the players who play, by name."""
        held = self.__dict__.get("_trackers", {})
        return {n: m for n, m in held.items() if self.active is None or n in self.active}

    def trained(self):
        """The weights that each player trains, by name, after a look at whether all is in order."""
        players = self.players()
        if not isinstance(players, dict) or not all(isinstance(p, Player) for p in players.values()):
            raise ValueError(f"players() must return a dict from names to Players, got {players!r}.")
        for name, player in players.items():
            for network in player.networks:
                if not network.built or not all(layer.built for layer in parts(network)):
                    raise ValueError(
                        f"{network.name}, a network of player {name!r}, is not built: "
                        "give it an Input, or call it once, before compile."
                    )
        trained = {
            name: unique(v for network in player.networks for v in network.trainable_variables)
            for name, player in players.items()
        }
        for name, variables in trained.items():
            if not variables:
                raise ValueError(f"The networks of player {name!r} have no trainable weights.")
        known = {id(v) for variables in trained.values() for v in variables}
        if lost := [v.path for v in self.trainable_variables if id(v) not in known]:
            raise ValueError(
                f"No player trains {', '.join(lost[:5])}{' and others' if lost[5:] else ''}: add the network to a "
                "Player, or set its trainable to False."
            )
        return trained

    def shared_out(self, given, names):
        """One optimizer for each player, as `compile` was asked."""
        if isinstance(given, dict) and "class_name" not in given:
            for name in given:
                if name not in names:
                    raise ValueError(
                        f"optimizer names {name!r}, who does not play. "
                        f"{registry.nearest(name, names, f'the players: {names}')}"
                    )
            if missing := [name for name in names if name not in given]:
                raise ValueError(
                    f"optimizer has nothing for {' and '.join(map(repr, missing))}; it has {[*given]}."
                )
            found = {name: keras.optimizers.get(given[name]) for name in names}
            if len({id(o) for o in found.values()}) < len(found):
                raise ValueError("Each player needs an optimizer of its own; one of them was given to two.")
        else:
            one = keras.optimizers.get(given)
            found = {name: type(one).from_config(one.get_config()) for name in names}
        if self.dtype_policy.name == "mixed_float16":
            scaled = keras.optimizers.LossScaleOptimizer
            found = {n: o if isinstance(o, scaled) else scaled(o) for n, o in found.items()}
        return found

    @property
    def metrics(self):
        found = super().metrics  # of a compiled model, the sum comes first
        return [*found[:1], *self.trackers.values(), *found[1:]] if self.compiled else found

    def get_metrics_result(self):
        """The results of all metrics, by name."""
        found = super().get_metrics_result()
        found["loss"] = sum(found[tracker.name] for tracker in self.trackers.values())
        return found

    def learn(self, data):
        """One step in stateful style: players take turns on a batch."""
        data = unpacked(data)
        players, step = self.players(), self.optimizer.iterations
        for name in self.trackers:
            turns = partial(self.take_turns, name, players[name], data)
            if players[name].every == 1 or len(self.trackers) == 1:
                turns()
            else:
                when(ops.equal((step + 1) % players[name].every, 0), turns)
        self.after_step()
        step.assign(step + 1)
        return self.get_metrics_result()

    def take_turns(self, name, player, data):
        """All updates of one player in one step."""
        optimizer, variables = self.optimizer[name], self.optimizer.trained[name]
        for turn in range(player.repeat):
            batch = share(data, turn, player.repeat) if player.split else data
            scale = optimizer.scale_loss(1.0)
            scaled, gradients = value_and_grad(
                lambda batch=batch, scale=scale: self.loss_of(name, player, batch, True) * scale,
                variables,
                idle=self.optimizer.idle[name],
            )
            apply_gradients(optimizer, gradients, variables)
            self.note(self.trackers[name], scaled / scale, batch)

    def judge(self, data):
        """The losses on a batch; nobody learns."""
        data, players = unpacked(data), self.players()
        for name in self.trackers:
            self.note(self.trackers[name], self.loss_of(name, players[name], data, False), data)
        return self.get_metrics_result()

    def loss_of(self, name, player, batch, training):
        """The scalar that a player makes smaller, float32."""
        loss = ops.cast(player.loss(*batch, training=training), "float32")
        if len(loss.shape):
            raise ValueError(
                f"The loss of player {name!r} must be a scalar, got one of shape {tuple(loss.shape)}."
            )
        for variable in self.optimizer.trained[name]:
            if variable.regularizer is not None:
                loss += variable.regularizer(variable)
        return loss

    def note(self, metric, mean, like):
        """Add the mean over a batch to a `keras.metrics.Mean`; `like` is as long as the batch."""
        count = ops.shape(next(v for v in keras.tree.flatten(like) if v is not None))[0]
        kernels.include(metric, mean * ops.cast(count, mean.dtype), count)

    def fit(self, x=None, *args, callbacks=None, only=None, **kwargs):
        """`keras.Model.fit`, with its arguments.

        Args:
            only: Names of the players who learn; the others wait. None for all. A discriminator that
                is to be ahead of its generator trains for some steps with `only=["discriminator"]`.

        Raises:
            FloatingPointError: A player's loss became NaN or infinite.
        """
        given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
        silent = any(isinstance(callback, keras.callbacks.TerminateOnNaN) for callback in given)
        watch = Watch(list(self.players()), raises=not silent)
        object.__setattr__(self, "_watch", watch)
        with self.playing(only):
            return super().fit(x, *args, callbacks=[watch, *given], **kwargs)

    @contextlib.contextmanager
    def playing(self, names):
        """Inside, only these players take turns; all of them for None."""
        if names is None:
            yield
            return
        everyone = list(self.players())
        if not names or set(names) - set(everyone):
            raise ValueError(f"only must name some of the players {everyone}, got {names!r}.")
        self.active, self.train_function = tuple(names), None
        try:
            yield
        finally:
            self.active = self.train_function = None

    def save(self, *args, **kwargs):
        """`keras.Model.save`; refused once a loss is not finite."""
        self.watch.look()
        super().save(*args, **kwargs)

    def save_weights(self, *args, **kwargs):
        """`keras.Model.save_weights`; refused once a loss is not finite."""
        self.watch.look()
        super().save_weights(*args, **kwargs)


class Watch(keras.callbacks.Callback):
    """Ends a game in which a loss is not finite any more.

    It looks at the losses of a batch when the next one is on its way; on an accelerator, which would have
    to wait for that, only every tenth time.
    """

    def __init__(self, players=(), raises=True):
        super().__init__()
        self.names = [f"{player}_loss" for player in players]
        self.raises = raises
        self.logs, self.where = {}, ""

    def on_train_begin(self, logs=None):
        self.stride = 1 if devices()[0].lower().startswith("cpu") else 10

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.logs = epoch, {}

    def on_train_batch_end(self, batch, logs=None):
        if batch % self.stride == 0:
            self.look()
        self.logs, self.where = logs or {}, f"epoch {self.epoch + 1}, batch {batch + 1}"

    def on_epoch_end(self, epoch, logs=None):
        self.look()

    def look(self):
        """Raise an error if a loss of the last batch that was seen is not finite."""
        for name in self.names:
            if self.raises and not np.isfinite(float(self.logs.get(name, 0.0))):
                player = name.removesuffix("_loss")
                raise FloatingPointError(
                    f"The loss of player {player!r} is no finite number any more, since {self.where}. The model's "
                    "weights are lost; go on from the last file that was saved, with a lower learning rate, "
                    "clipped gradients (clipnorm=1.0), or data that are checked for outliers."
                )


def follow(copy, network, momentum=0.999):
    """Move the weights of a copy towards those of a network: a moving average, for `after_step`.

    Args:
        copy: A layer or model like `network`; its `trainable` should be False.
        network: The one that learns.
        momentum: Part of the copy that is kept, in [0, 1].
    """
    for slow, fast in zip(copy.weights, network.weights, strict=True):
        slow.assign(momentum * slow + (1.0 - momentum) * fast)


def unpacked(data):
    """What a loss is called with: `(x,)`, `(x, y)` or `(x, y, sample_weight)`."""
    tensors = keras.tree.map_structure(lambda v: None if v is None else ops.convert_to_tensor(v), data)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tensors)
    return (x, y, sample_weight) if sample_weight is not None else (x,) if y is None else (x, y)


def share(data, turn, turns):
    """The part of a batch for one of several turns. It is never empty; parts of a small batch overlap."""

    def part(v):
        count = ops.shape(v)[0]
        return v[turn * count // turns : -(-(turn + 1) * count // turns)]

    return keras.tree.map_structure(lambda v: None if v is None else part(v), data)


def parts(layer):
    """A layer and all layers in it."""
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from parts(inner)


def unique(variables):
    """The variables in order, each of them once."""
    return list({id(v): v for v in variables}.values())
