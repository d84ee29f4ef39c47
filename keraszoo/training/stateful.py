"""Models that learn by a step of their own, written as if variables were simply assigned."""

import numpy as np
from keras import ops

from keraszoo.backend.autodiff import transact


class Stateful:
    """A mixin in front of `Architecture`. A subclass writes two functions of a batch, which return the logs so far:

    learn(data)   one update
    judge(data)   the losses; nothing is learned
    """

    def learn(self, data):
        raise NotImplementedError

    def judge(self, data):
        raise NotImplementedError

    def train_step(self, *arguments):
        """One update on a batch; called by `fit` in the manner of the backend."""
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        return transact(self.learn, groups, *arguments)

    def test_step(self, *arguments):
        """The losses on a batch; called by `evaluate` in the manner of the backend."""
        groups = (self.trainable_variables, self.non_trainable_variables, self.metrics_variables)
        return transact(self.judge, groups, *arguments)

    def evaluate(self, *args, **kwargs):
        """`keras.Model.evaluate`. Leaves the seed generators as they were."""
        held = [np.array(ops.convert_to_numpy(seed)) for seed in self.seeds()]
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            for seed, value in zip(self.seeds(), held, strict=True):
                seed.assign(value)
