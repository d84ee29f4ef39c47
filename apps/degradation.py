"""The claim for which residual networks were made: plain nets get worse with depth, residual ones do not.

    KERAS_BACKEND=jax python apps/degradation.py --data cifar10_subset

He et al. 2015, https://arxiv.org/abs/1512.03385, figure 6, in small: 20 and 56 layers of each, narrow
enough for two cores, on the same real images from the same seed. What counts is the *training* loss:
the deep plain net does not overfit, it cannot even be fitted.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

import keraszoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="digits", help="a set of keraszoo.data; digits needs no files")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--depths", type=int, nargs="+", default=[20, 56], help="6n + 2 layers each")
    parser.add_argument("--filters", type=int, nargs=3, default=[8, 16, 32], help="the paper has 16 32 64")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--count", type=int, default=3000, help="training images, at most")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.02, help="of SGD with momentum 0.9")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/degradation"))
    return parser.parse_args()


def train(kind, depth, data, options):
    """The history of one net, and its accuracy on the test part."""
    import keras

    net = keraszoo.build(
        f"{kind}net20",
        depth=depth,
        seed=options.seed,
        input_shape=data.input_shape,
        num_classes=data.num_classes,
        filters=tuple(options.filters),
        preprocessing=[*data.augmentation(), "centred"],
    )
    x, y = (part[: options.count] for part in data.train)
    schedule = keras.optimizers.schedules.CosineDecay(
        options.learning_rate, options.epochs * -(-len(x) // options.batch_size)
    )
    net.compile(keras.optimizers.SGD(schedule, momentum=0.9), net.loss, metrics=["accuracy"])
    print(f"{kind}net{depth}: {net.count_params():,} parameters")
    history = net.fit(x, y, batch_size=options.batch_size, epochs=options.epochs, verbose=2).history
    return {**history, "test": net.evaluate(*data.test, verbose=0, return_dict=True)["accuracy"]}


def draw(path, runs, shallowest):
    """The training curves of all nets: the loss, and the share of errors; dashed for the deeper ones."""
    from keraszoo.callbacks import pictures

    figure, panels = pictures.sheet(2, width=5, height=4, columns=2)
    for name, run in runs.items():
        colour = "tab:blue" if name.startswith("resnet") else "tab:orange"
        style = "-" if name.endswith(str(shallowest)) else "--"
        epochs = np.arange(1, len(run["loss"]) + 1)
        panels[0].plot(epochs, run["loss"], style, color=colour, label=name)
        panels[1].plot(epochs, 100 * (1 - np.array(run["accuracy"])), style, color=colour, label=name)
    for panel, title in zip(panels, ("training loss", "training error in %"), strict=True):
        panel.set_title(title)
        panel.set_xlabel("epoch")
        panel.grid(alpha=0.3)
        panel.legend()
    pictures.save(figure, path)


def main():
    options = parse()
    where = {} if options.data_dir is None else {"data_dir": options.data_dir}
    data = keraszoo.data.load(options.data, **where)
    print(data)
    runs = {
        f"{kind}net{depth}": train(kind, depth, data, options)
        for kind in ("plain", "res")
        for depth in options.depths
    }

    options.out.mkdir(parents=True, exist_ok=True)
    draw(options.out / "degradation.png", runs, min(options.depths))
    rows = [
        (name, r["loss"][-1], 100 * (1 - r["accuracy"][-1]), 100 * (1 - r["test"]))
        for name, r in runs.items()
    ]
    with open(options.out / "degradation.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("net", "training loss", "training error", "test error"), *rows])
    print(f"\n{'net':<12}{'training loss':>15}{'training error':>16}{'test error':>12}")
    for name, loss, training, test in rows:
        print(f"{name:<12}{loss:>15.3f}{training:>15.1f}%{test:>11.1f}%")
    print(f"see {options.out / 'degradation.png'}")


if __name__ == "__main__":
    main()
