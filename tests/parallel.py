"""In a process of its own: a game on several devices that are not really there, and on one.

    KERAS_BACKEND=jax python -m tests.parallel

Prints by how much losses and weights differ after twenty steps.
"""

import os
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

from keraszoo.training.optimizers import Adam  # noqa: E402
from tests.game import Line  # noqa: E402


def made(**more):
    keras.utils.set_random_seed(0)
    model = Line(repeat=2, **more)
    model.compile({"critic": Adam(1e-2, clipnorm=1e3), "generator": keras.optimizers.SGD(0.05)})
    return model


def trained(model):
    rng = np.random.default_rng(0)
    data = {key: rng.normal(size=(160, 2)).astype("float32") for key in ("points", "noise")}
    history = model.fit(data, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    evaluated = model.evaluate(data, batch_size=16, verbose=0, return_dict=True)
    return [*history["critic_loss"], *history["generator_loss"], evaluated["loss"]], [
        ops.convert_to_numpy(v) for v in model.trainable_variables
    ]


def several():
    """The model, made for several devices, and how many there are."""
    if keras.backend.backend() == "jax":
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        return made(), 4
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        return made(), strategy.num_replicas_in_sync


if __name__ == "__main__":
    model, devices = several()
    losses, weights = trained(model)
    if keras.backend.backend() == "jax":
        assert len(model.trainable_variables[0].value.sharding.device_set) == devices
        for batch, wanted in ((10, "a multiple of 4"), (64, "a multiple of 4")):  # 160 = 2 * 64 + 32
            try:
                model.fit(np.zeros((162, 2), "float32"), batch_size=batch, verbose=0)
                sys.exit("a batch that does not divide was taken")
            except ValueError as error:
                assert wanted in str(error), error
        keras.distribution.set_distribution(None)
    else:
        with model.distribute_strategy.scope():
            lazy = made(every=2)
        try:
            trained(lazy)
            sys.exit("a branch on two replicas was taken")
        except NotImplementedError as error:
            assert "Use `repeat`" in str(error), error
    alone_losses, alone = trained(made())
    apart = max(
        np.abs(np.subtract(losses, alone_losses)).max(),
        *(np.abs(a - b).max() for a, b in zip(weights, alone, strict=True)),
    )
    print(f"{devices} devices differ from one by {apart:.1e}")
    sys.exit(int(apart > 1e-6))
