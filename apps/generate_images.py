"""Teach a generative adversarial network to make images like those of a data set, and watch it learn.

    KERAS_BACKEND=jax python apps/generate_images.py --model dcgan --data digits

Leaves a folder with the model, a film of its images, and the losses of its two players. A classifier
that knows the data tells how good and how varied the images are, beside what noise and real images get.
"""

import argparse
from pathlib import Path

import numpy as np

import keraszoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="dcgan", choices=["dcgan", "wgan_gp", "conditional_gan"])
    parser.add_argument("--data", default="digits", help="a set of images of keraszoo.data, or a folder")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--classifier", type=Path, help="else saved_models/lenet5_DATA.keras, if it is there")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--filters", type=int, default=16, help="nearest the image; papers have 64")
    parser.add_argument("--learning-rate", type=float, help="else 1e-3, for wgan_gp 5e-4: for narrow nets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/generate_images"))
    return parser.parse_args()


def tell(epoch, logs):
    """A line for an epoch; the shares of classes are in the history."""
    print(f"epoch {epoch + 1}:", *(f"{k} {v:.3g}" for k, v in logs.items() if "share" not in k), flush=True)


def main():
    options = parse()
    data = keraszoo.data.load(options.data, data_dir=options.data_dir)
    print(data)
    images, labels = data.train
    images = images / np.float32(127.5) - 1

    import keras

    from keraszoo import diagnostics
    from keraszoo.callbacks import History, Losses, Samples, Variety

    options.out.mkdir(parents=True, exist_ok=True)
    config, grid, x = {"filters": options.filters}, {}, (images,)
    if options.model == "conditional_gan":
        config["class_names"], x = data.class_names, (images, labels)
        grid = dict(labels=np.repeat(np.arange(data.num_classes), 8), count=8 * data.num_classes, columns=8)
    model = keraszoo.build(options.model, seed=options.seed, input_shape=data.input_shape, **config)
    model.optimizer.learning_rate = options.learning_rate or (5e-4 if options.model == "wgan_gp" else 1e-3)

    file = options.classifier or Path(__file__).parents[1] / f"saved_models/lenet5_{options.data}.keras"
    judge = diagnostics.Judge(keraszoo.load(file)) if options.classifier or file.exists() else None
    callbacks = [
        *([Variety(judge)] if judge else []),  # first, for the others to see what it finds
        Samples(options.out / "images", seed=options.seed, every=max(1, options.epochs // 60), **grid),
        Losses(options.out / "losses.png"),
        History(options.out / "history.csv"),
        keras.callbacks.LambdaCallback(on_epoch_end=tell),
    ]
    model.fit(*x, batch_size=options.batch_size, epochs=options.epochs, callbacks=callbacks, verbose=0)
    model.save(options.out / "model.keras")

    if judge:
        print(diagnostics.table(diagnostics.report(model, images, judge, count=1000, seed=options.seed)))
    if judge and grid:
        said = judge(model.sample(500, seed=options.seed))[1].argmax(axis=1)
        asked = np.arange(500) % data.num_classes  # each class in turn, where none is named
        print(f"the classifier sees the class that was asked for in {(said == asked).mean():.1%} of images")
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
