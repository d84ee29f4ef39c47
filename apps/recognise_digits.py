"""Teach LeNet-5 to read handwritten digits, keep it in a file, and read with it in a new process.

    KERAS_BACKEND=jax python apps/recognise_digits.py

Half a minute on a laptop, offline: the digits come with scikit-learn.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import keraszoo


def train(file, epochs):
    """Fit on 1,437 digits, shifted and turned a little each time they are seen."""
    import keras

    digits = keraszoo.data.load("digits")
    lenet = keraszoo.build(
        "lenet5",
        seed=0,
        preprocessing=[*digits.augmentation(), "unit"],
        class_names=digits.class_names,
    )
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-len(digits.train[0]) // 64))
    lenet.compile(keras.optimizers.Adam(schedule), lenet.loss, metrics=["accuracy"])
    lenet.fit(*digits.train, batch_size=64, epochs=epochs, verbose=2)
    lenet.save(file)
    print(f"saved {file}")


def read(file, picture):
    """Load the file, read the 360 digits that it has never seen, and draw what it says."""
    from keraszoo.callbacks import pictures
    from keraszoo.tasks import TASKS

    digits = keraszoo.data.load("digits")
    images, labels = digits.test
    lenet = keraszoo.load(file)
    probabilities = TASKS[lenet.card["task"]].probabilities(lenet.predict(images, verbose=0))
    pictures.predictions(picture, images, labels, probabilities, digits.class_names, worst_first=True)
    print(f"wrote {picture}, the hardest first")
    print(f"test accuracy {(probabilities.argmax(1) == labels).mean():.2%} on {len(labels)} digits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the model and the picture")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--read", action="store_true", help="only load the model and read with it")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "lenet5.keras"
    if options.read:
        read(file, options.out / "predictions.png")
    else:
        train(file, options.epochs)
        sys.exit(subprocess.call([sys.executable, __file__, "--read", "--out", str(options.out)]))
