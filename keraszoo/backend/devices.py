"""What a backend finds to compute on, asked by using it.

    KERAS_BACKEND=torch python -m keraszoo.backend.devices

Run it in a process of its own: a broken installation may raise anything, or end the process.
"""

import json


def devices():
    """Names of the devices that the backend in use can compute on, the one it prefers first."""
    import keras

    keras.ops.convert_to_numpy(keras.ops.matmul(keras.ops.ones((8, 8)), keras.ops.ones((8, 8))))
    return {"jax": _jax, "torch": _torch, "tensorflow": _tensorflow}[keras.backend.backend()]()


def _jax():
    import jax

    return [f"{device.platform} {device.id}: {device.device_kind}" for device in jax.devices()]


def _torch():
    import torch

    found = [f"cuda {i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def _tensorflow():
    import tensorflow as tf

    found = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices()]
    return sorted(found, key=lambda name: name.startswith("CPU"))


def built_for_cuda():
    """The CUDA version that the installed torch was built for, or None."""
    import torch

    return torch.version.cuda


if __name__ == "__main__":
    import os

    found = {"devices": devices()}
    if os.environ.get("KERAS_BACKEND") == "torch":
        found["cuda"] = built_for_cuda()
    print(json.dumps(found))
