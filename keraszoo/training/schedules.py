"""Learning rates that change as training goes on."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keraszoo")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant learning rate, and then a straight line down to zero.

    Zhu et al. 2017, https://arxiv.org/abs/1703.10593, section 4: the second half of the training.

    Args:
        initial_learning_rate: The rate until the line begins.
        steps: Steps until it has come to zero, where it stays: epochs times batches.
        constant: Share of the steps before the line begins, in [0, 1].

    >>> rate = LinearDecay(2e-4, steps=200 * len(batches))
    >>> model.compile(Adam(rate, beta_1=0.5))
    """

    def __init__(self, initial_learning_rate, steps, constant=0.5):
        if steps < 1 or not 0 <= constant <= 1:
            raise ValueError(
                f"steps must be at least 1 and constant lie in [0, 1], got {steps=}, {constant=}."
            )
        self.initial_learning_rate = initial_learning_rate
        self.steps = steps
        self.constant = constant

    def __call__(self, step):
        way = (1 - self.constant) * self.steps
        left = (self.steps - ops.cast(step, "float32")) / max(way, 1e-7)
        return self.initial_learning_rate * ops.clip(left, 0.0, 1.0)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "steps": self.steps,
            "constant": self.constant,
        }


@keras.saving.register_keras_serializable("keraszoo")
class Noam(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in a straight line, and then falls with the root of the steps.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 5.3, equation 3. It is at its highest after `warmup`
    steps: `factor / sqrt(embed_dim * warmup)`.

    Args:
        embed_dim: Features of the model.
        warmup: Steps that it rises.
        factor: Multiplies all of it.

    >>> rate = Noam(512, warmup=4000)
    >>> model.compile(Adam(rate, beta_2=0.98, epsilon=1e-9))
    """

    def __init__(self, embed_dim, warmup=4000, factor=1.0):
        if embed_dim < 1 or warmup < 1 or factor <= 0:
            raise ValueError(
                f"embed_dim and warmup must be at least 1 and factor above 0, got {embed_dim=}, {warmup=}, {factor=}."
            )
        self.embed_dim = embed_dim
        self.warmup = warmup
        self.factor = factor

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0  # the first one has number 1
        slow = self.factor * self.embed_dim**-0.5
        return slow * ops.minimum(ops.rsqrt(step), step * self.warmup**-1.5)

    def get_config(self):
        return {"embed_dim": self.embed_dim, "warmup": self.warmup, "factor": self.factor}
