"""Teach a network to see without labels: hide most of each image, let it say what was there, then use it.

    KERAS_BACKEND=jax python apps/masked_autoencoder.py

Pre-trains a masked autoencoder, fine-tunes it on a few labels, and compares that with the same network
from scratch and with a linear classifier on what the pre-trained one sees. Leaves a folder with the model,
a film of originals, visible patches and reconstructions, and the curves of the comparison. With several
--mask-ratios it also draws how much is best hidden.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import keraszoo
from keraszoo.callbacks.files import whole
from keraszoo.callbacks.pictures import save, sheet

PRETRAINED, PROBE, SCRATCH = "pre-trained", "pre-trained, only the head learns", "from scratch"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--model", default="mae_vit_tiny", help="or mae_vit_base, mae_vit_large, mae_vit_huge"
    )
    parser.add_argument("--data", default="digits", help="a set of labelled images of keraszoo.data")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--depth", type=int, help="blocks of the encoder; else the model's own")
    parser.add_argument("--patch-size", type=int, default=4, help="in pixels; divides the image")
    parser.add_argument("--count", type=int, help="images to pre-train on; else all")
    parser.add_argument("--labels", type=int, default=100, help="labelled images to fine-tune on")
    parser.add_argument("--epochs", type=int, default=40, help="of pre-training")
    parser.add_argument("--tune-epochs", type=int, default=40, help="of fine-tuning")
    parser.add_argument("--batch-size", type=int, default=128, help="of pre-training")
    parser.add_argument("--mask-ratios", type=float, nargs="+", default=[0.75])
    parser.add_argument("--normalize-pixels", action="store_true", help="compare normalised patches")
    parser.add_argument("--seeds", type=int, default=1, help="repeat everything with so many seeds")
    parser.add_argument("--out", type=Path, default=Path("runs/masked_autoencoder"))
    return parser.parse_args()


def prepared(data):
    """Images of mean 0 and deviation 1 with their labels, to learn from and to test on."""
    mean, deviation = data.train[0].mean(), data.train[0].std()
    return [((x - mean) / deviation).astype("float32") for x in (data.train[0], data.test[0])]


def optimizer(rate, epochs, count, batch_size, **more):
    """AdamW; the rate rises for a tenth of the steps, then falls along a cosine. Appendix A.1."""
    import keras

    steps = epochs * -(-count // batch_size)
    warm = max(1, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, max(1, steps - warm), 0.0, "fall", rate, warm)
    return keraszoo.tasks.OPTIMIZERS["adamw"](schedule, weight_decay=0.05, **more)


def pretrain(options, images, ratio, seed, data):
    """A masked autoencoder, fitted on images alone, and how many seconds that took."""
    from keraszoo.callbacks import History, MaskedReconstructions

    mae = keraszoo.build(
        options.model,
        seed=seed,
        input_shape=data.input_shape,
        patch_size=options.patch_size,
        mask_ratio=ratio,
        normalize_pixels=options.normalize_pixels,
        **({"depth": options.depth} if options.depth else {}),
    )
    mae.compile(optimizer(1.5e-3, options.epochs, len(images), options.batch_size, beta_2=0.95))
    folder = options.out / f"hidden_{100 * ratio:.0f}_seed_{seed}"
    watch = [MaskedReconstructions(folder, images[:8]), History(folder / "history.csv")]
    begun = time.monotonic()
    mae.fit(images, batch_size=options.batch_size, epochs=options.epochs, callbacks=watch, verbose=2)
    mae.save(options.out / "model.keras")
    return mae, time.monotonic() - begun


def looked_at(epochs):
    """The epochs of fine-tuning after which test images are judged: twenty of them, the last among them."""
    step = max(1, epochs // 20)
    return [epoch for epoch in range(1, epochs + 1) if (epochs - epoch) % step == 0]


def tune(options, mae, way, train, test, seed):
    """Accuracy on test images after epochs of learning from labels."""
    import keras

    keras.utils.set_random_seed(seed)
    if way == SCRATCH:
        mae = type(mae).from_config(mae.get_config())  # the same network, with weights of its own
    classifier = mae.classifier(int(train[1].max()) + 1, frozen=way == PROBE)
    falling = optimizer(1e-2 if way == PROBE else 1e-3, options.tune_epochs, len(train[0]), 32)
    classifier.compile(falling, loss=classifier.loss, metrics=["accuracy"])
    return classifier.fit(
        *train,
        validation_data=test,
        validation_freq=looked_at(options.tune_epochs),
        epochs=options.tune_epochs,
        batch_size=32,
        verbose=0,
    ).history["val_accuracy"]


def main():
    options = parse()
    data = keraszoo.data.load(options.data, data_dir=options.data_dir)
    print(data)
    images, test = prepared(data)
    few = np.random.default_rng(0).permutation(len(images))[: options.labels]
    train, test = (images[few], data.train[1][few]), (test, data.test[1])
    options.out.mkdir(parents=True, exist_ok=True)

    curves = {}  # (ratio, way) -> a curve for each seed
    for ratio in options.mask_ratios:
        for seed in range(options.seeds):
            mae, seconds = pretrain(options, images[: options.count], ratio, seed, data)
            print(f"{ratio:.0%} hidden, seed {seed}: pre-trained in {seconds:.0f} s")
            for way in (PRETRAINED, PROBE, SCRATCH):
                if way == SCRATCH and ratio != options.mask_ratios[0]:
                    continue  # from this one nothing was ever hidden
                curve = tune(options, mae, way, train, test, seed)
                curves.setdefault((ratio, way), []).append(curve)
                print(f"  {way}: test accuracy {curve[-1]:.1%} from {options.labels} labels")
    draw(options, curves)
    tell(options, curves)


def draw(options, curves):
    """Accuracy by epoch of each way of learning, the mean and the range over seeds; and the last by mask ratio."""
    ratios = options.mask_ratios
    figure, panels = sheet(1 + (len(ratios) > 1), width=5.2, height=3.8, columns=2)
    epochs = looked_at(options.tune_epochs)
    for way in (PRETRAINED, PROBE, SCRATCH):
        runs = np.array(curves[ratios[0], way])
        (line,) = panels[0].plot(epochs, runs.mean(0), label=way)
        panels[0].fill_between(epochs, runs.min(0), runs.max(0), alpha=0.2, color=line.get_color())
    panels[0].set_title(f"{options.labels} labels, {ratios[0]:.0%} hidden in pre-training")
    panels[0].set_xlabel("epoch of fine-tuning")
    panels[0].set_ylabel("test accuracy")
    for panel in panels[1:]:
        for way in (PRETRAINED, PROBE):
            last = np.array([[run[-1] for run in curves[ratio, way]] for ratio in ratios])
            panel.plot(ratios, last.mean(1), marker="o", label=way)
        panel.axhline(np.mean([run[-1] for run in curves[ratios[0], SCRATCH]]), color="C2", label=SCRATCH)
        panel.set_title("how much is hidden in pre-training")
        panel.set_xlabel("mask ratio")
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    save(figure, options.out / "comparison.png")


def tell(options, curves):
    """A line for each way of learning, on the screen and in a table."""
    rows = [["mask ratio", "way", "test accuracy", "lowest", "highest"]]
    for (ratio, way), runs in curves.items():
        last = [run[-1] for run in runs]
        rows.append([ratio, way, f"{np.mean(last):.4f}", f"{min(last):.4f}", f"{max(last):.4f}"])
    with whole(options.out / "comparison.csv") as beside, open(beside, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    for row in rows:
        print(*(f"{cell!s:34}" if i == 1 else f"{cell!s:14}" for i, cell in enumerate(row)))
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
