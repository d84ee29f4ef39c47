"""Train the small models that lie in this folder, and write the table that says how each was made.

    KERAS_BACKEND=jax python saved_models/make.py                    # all of them
    KERAS_BACKEND=jax python saved_models/make.py lenet5_digits      # one

Beside each `NAME.keras` lies `NAME.npz`: sixteen test images as raw bytes, their labels, and the model's
answers to them, which every backend must repeat. `NAME.json` says how it was made and what it scores.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np

import keraszoo

HERE = Path(__file__).parent
INK = keras.layers.Rescaling(1.275 / 255, offset=-0.1)  # background -0.1, ink 1.175, as in 1998
RECIPES = {
    "perceptron_digits": dict(model="perceptron", data="digits", epochs=40, learning_rate=0.05),
    "lenet5_digits": dict(model="lenet5", data="digits", epochs=30, learning_rate=3e-3),
    "lenet5_1998_digits": dict(
        model="lenet5_1998", data="digits", epochs=60, learning_rate=2e-3, options=dict(image_size=(32, 32))
    ),
    "lenet5_fashion_mnist": dict(model="lenet5", data="fashion_mnist", epochs=12, learning_rate=2e-3),
    "resnet20_fashion_mnist": dict(
        model="resnet20", data="fashion_mnist", epochs=5, learning_rate=3e-3, config=dict(filters=(8, 16, 32))
    ),
}


def make(name, model, data, epochs, learning_rate, config=None, options=None, seed=0):
    """Train one model, save it without its optimizer, and note what it scores on the test part."""
    sets = keraszoo.data.load(data, **(options or {}))
    net = keraszoo.build(
        model,
        **{"input_shape": sets.input_shape, **(config or {})},
        seed=seed,
        preprocessing=[*sets.augmentation(), INK if model == "lenet5_1998" else "unit"],
        class_names=sets.class_names,
    )
    steps = epochs * -(-len(sets.train[0]) // 64)
    net.optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    start = time.monotonic()
    net.fit(*sets.train, batch_size=64, epochs=epochs, verbose=2)
    seconds = time.monotonic() - start
    score = net.evaluate(*sets.test, verbose=0, return_dict=True)
    net.compile(type(net.optimizer)(1e-3), net.loss, metrics=["accuracy"])  # a new one: no slots to store
    net.save(HERE / f"{name}.keras")

    x, y = sets.test[0][:16], sets.test[1][:16]
    np.savez_compressed(HERE / f"{name}.npz", x=x, y=y, predictions=net.predict(x, verbose=0))
    made = dict(
        model=model,
        config=config or {},
        data=data,
        licence=sets.licence,
        trained_on=len(sets.train[0]),
        tested_on=len(sets.test[0]),
        epochs=epochs,
        seconds=round(seconds),
        parameters=net.count_params(),
        accuracy=round(score["accuracy"], 4),
        backend=keras.backend.backend(),
        keras=keras.__version__,
    )
    (HERE / f"{name}.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: test accuracy {score['accuracy']:.2%}")


def table():
    """The folder's README: a line for each model, from what was noted when it was made."""
    lines = [
        "# Saved models",
        "",
        "Small trained models, ready for `keraszoo.load`. They take raw images (bytes from 0 to 255) of the shape",
        "shown, and know their class names. Each was made by `KERAS_BACKEND=... python saved_models/make.py NAME`;",
        "the accuracy is that on the test part of its data. Each lies beside its answers to sixteen images, which",
        "every backend repeats.",
        "",
        "| file | architecture | data (licence) | trained on | epochs | made on | test accuracy |",
        "| --- | --- | --- | ---: | ---: | --- | ---: |",
    ]
    for name in RECIPES:
        made = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
        arguments = "".join(
            f", {k}={tuple(v) if isinstance(v, list) else v}" for k, v in made["config"].items()
        )
        lines.append(
            f"| `{name}.keras` | `{made['model']}{arguments}`, {made['parameters']:,} parameters "
            f"| {made['data']} ({made['licence']}) | {made['trained_on']:,} | {made['epochs']} "
            f"| {made['backend']}, Keras {made['keras']}, {made['seconds']} s "
            f"| {made['accuracy']:.2%} of {made['tested_on']:,} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:] or RECIPES:
        make(name, **RECIPES[name])
    (HERE / "README.md").write_text(table(), encoding="utf-8")
