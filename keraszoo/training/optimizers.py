"""Keras' optimizers under names that every backend can load, with one fused update on torch.

Keras stores the optimizer of a model trained on torch under the name of a class that the other
backends do not have. These are called the same everywhere, so that a saved file trains on anywhere.
Their arguments, variables and numbers are Keras' own.
"""

import keras
from keras import ops

from keraszoo.backend import kernels


class Fused:
    """Updates all variables in one call of `fused_update` where operations run as they come (torch)."""

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """The one place that leans on a private method of Keras (3.15): what `apply` calls, once a step.

        By now the gradients are unscaled, accumulated and clipped, and the weights have decayed;
        moving averages follow. Keras' own method loops over the public `update_step`.
        """
        if kernels.EAGER:
            self.fused_update(grads, trainable_variables, learning_rate)
        else:
            super()._backend_update_step(grads, trainable_variables, learning_rate)

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros"):
        """Keras' method; the new variable lies in memory in the order of the one it belongs to."""
        if kernels.EAGER and initializer == "zeros":
            return super().add_variable_from_reference(
                reference_variable, name, lambda shape, dtype: ops.zeros_like(reference_variable, dtype=dtype)
            )
        return super().add_variable_from_reference(reference_variable, name, initializer)

    def slots(self, store, variables):
        """The variables in `store`, one of which `build` made for each trainable variable."""
        return [store[self._get_variable_index(variable)] for variable in variables]


@keras.saving.register_keras_serializable("keraszoo")
class Adam(Fused, keras.optimizers.Adam):
    """`keras.optimizers.Adam`.

    Kingma, Ba 2014, https://arxiv.org/abs/1412.6980, in the form at the end of its section 2:
    epsilon stands outside the bias correction.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Keras' method, for one variable: on TensorFlow, a kernel of its own."""
        if self.amsgrad or not kernels.takes_adam(gradient):
            super().update_step(gradient, variable, learning_rate)
            return
        kernels.adam_of_one(
            gradient,
            variable,
            *self.slots(self._momentums, [variable]),
            *self.slots(self._velocities, [variable]),
            learning_rate=learning_rate,
            step=self.iterations + 1,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )

    def fused_update(self, gradients, variables, learning_rate):
        kernels.adam(
            gradients,
            variables,
            self.slots(self._momentums, variables),
            self.slots(self._velocities, variables),
            self.slots(self._velocity_hats, variables) if self.amsgrad else None,
            learning_rate=learning_rate,
            step=self.iterations + 1,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )


@keras.saving.register_keras_serializable("keraszoo")
class AdamW(Adam, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`: Adam, and weights that decay by `learning_rate * weight_decay` a step.

    Loshchilov, Hutter 2017, https://arxiv.org/abs/1711.05101.
    """


@keras.saving.register_keras_serializable("keraszoo")
class SGD(Fused, keras.optimizers.SGD):
    """`keras.optimizers.SGD`: gradient descent, with momentum (Nesterov's, if asked for)."""

    def fused_update(self, gradients, variables, learning_rate):
        kernels.sgd(
            gradients,
            variables,
            self.slots(self.momentums, variables) if self.momentum else None,
            learning_rate=learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )


@keras.saving.register_keras_serializable("keraszoo")
class PlayerOptimizers(keras.optimizers.Optimizer):
    """The optimizers of a game, one for each player, where Keras' trainers look for a single one.

    `compile` of a `keraszoo.training.MultiPlayerModel` makes it; `model.optimizer["generator"]` is the
    optimizer of one player, with its own learning rate, schedule, clipping and accumulation. Setting
    `learning_rate` sets all of them.

    Args:
        players: Dict from names of players to Keras optimizers, in order of play.
        name: Name of the whole.

    Attributes:
        optimizers: List of the optimizers, where Keras' callbacks look for learning rates.
        iterations: Steps of the game so far.
    """

    def __init__(self, players, name="players"):
        super().__init__(learning_rate=0.0, name=name)
        self.players = dict(players)
        for player, optimizer in self.players.items():
            getattr(optimizer, "inner_optimizer", optimizer).name = player  # as logs and saved files call it
            optimizer.name = player

    def __getitem__(self, player):
        return self.players[player]

    @property
    def optimizers(self):
        return list(self.players.values())

    @property
    def variables(self):
        return [*self._variables, *(v for optimizer in self.optimizers for v in optimizer.variables)]

    @property
    def iterations(self):
        return self._iterations

    @property
    def learning_rate(self):
        rates = {name: float(optimizer.learning_rate) for name, optimizer in self.players.items()}
        if len(set(rates.values())) > 1:
            raise AttributeError(f"Each player has a learning rate of its own: {rates}.")
        return next(iter(self.players.values())).learning_rate

    @learning_rate.setter
    def learning_rate(self, rate):
        for optimizer in self.optimizers:
            optimizer.learning_rate = rate

    def assign_players(self, trained):
        """Say who trains what, before `build`: a dict from names of players to lists of Keras variables."""
        ids = {name: {id(v) for v in variables} for name, variables in trained.items()}
        every = {id(v): v for variables in trained.values() for v in variables}
        idle = {name: [v for i, v in every.items() if i not in own] for name, own in ids.items()}
        # Not for Keras to track: it would count the weights among the optimizer's own variables.
        object.__setattr__(self, "trained", trained)
        object.__setattr__(self, "idle", idle)

    def build(self, variables):
        """Make the variables of each optimizer; called by `compile`."""
        if self.built:
            return
        for name, optimizer in self.players.items():
            if not optimizer.built:
                optimizer.build(self.trained[name])
        object.__setattr__(self, "_trainable_variables", list(variables))
        self.built = True

    def apply(self, gradients, variables=None):
        raise TypeError("The players of a game take turns: each has an optimizer of its own.")

    def finalize_variable_values(self, variables):
        """At the end of `fit`: the moving averages of optimizers that keep some become the weights."""
        for name, optimizer in self.players.items():
            optimizer.finalize_variable_values(self.trained[name])

    def save_own_variables(self, store):
        """The number of steps; Keras saves each of `optimizers` by itself."""
        store["iterations"] = ops.convert_to_numpy(self._iterations)

    def load_own_variables(self, store):
        self._iterations.assign(store["iterations"][()])

    def get_config(self):
        return dict(
            name=self.name,
            players={n: keras.saving.serialize_keras_object(o) for n, o in self.players.items()},
        )

    @classmethod
    def from_config(cls, config, custom_objects=None):
        players = {n: keras.saving.deserialize_keras_object(o) for n, o in config["players"].items()}
        return cls(players, config["name"])
