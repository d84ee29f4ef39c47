"""A small game for tests: a line that learns where points lie, and a critic that says whether it does."""

import keras
from keras import ops

from keraszoo.training import MultiPlayerModel, Player, follow


def dense(units, **more):
    return keras.layers.Dense(units, **more)


class Line(MultiPlayerModel):
    """Learns from points (batch, 2); noise comes with them, as a second input, where parity is wanted."""

    def __init__(self, repeat=1, split=False, every=1, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.plan = (repeat, split, every)
        self.noise = keras.random.SeedGenerator(seed)
        self.generator = keras.Sequential(
            [keras.Input((2,)), dense(8, activation="relu"), dense(2)], name="generator"
        )
        self.average = keras.models.clone_model(self.generator)
        self.average.trainable = False
        self.critic = keras.Sequential(
            [keras.Input((2,)), dense(8, activation="tanh"), dense(1)], name="critic"
        )
        self.reals = keras.metrics.Mean(name="reals")

    def players(self):
        repeat, split, every = self.plan
        return {
            "critic": Player([self.critic], self.critic_loss, repeat=repeat, split=split),
            "generator": Player([self.generator], self.generator_loss, every=every),
        }

    def after_step(self):
        follow(self.average, self.generator, 0.9)

    def call(self, noise, training=False):
        return self.generator(noise, training=training)

    def drawn(self, data):
        if isinstance(data, dict):
            return data["points"], data["noise"]
        return data, keras.random.normal(ops.shape(data), seed=self.noise)

    def critic_loss(self, data, training):
        points, noise = self.drawn(data)
        real, fake = self.critic(points), self.critic(self.generator(noise))
        self.reals.update_state(ops.cast(real > 0, "float32"))
        return ops.mean(ops.softplus(-real) + ops.softplus(fake))

    def generator_loss(self, data, training):
        _, noise = self.drawn(data)
        return ops.mean(ops.softplus(-self.critic(self.generator(noise))))
