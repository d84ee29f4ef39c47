"""Teach a U-Net to tell what each pixel shows. A minute or two on a laptop.

    KERAS_BACKEND=jax python apps/segment_images.py

Leaves a folder with the model, its curves, a film of what it finds and pictures of the worst cases. Real images:
    ... --data nuclei --data-dir FOLDER      cell nuclei, IoU 0.853; Otsu's threshold has 0.823
    ... --data neuron_em --data-dir FOLDER --filters 8 16 32 64   five classes of nerve tissue, in tiles
A U-Net has further uses, each a --task:
    heads     the mask and the edges of things together, beside a network for each alone
    copy      the image as its own label, with and without skips: what the skips do
    denoise   the clean image of a noisy one
    style     a photograph as a drawing of its edges
"""

import argparse
import time
from pathlib import Path

import numpy as np

import keraszoo

SIDES = {"shapes": 64, "nuclei": 256, "neuron_em": 512, "photographs": 64}
CROPS = {"shapes": 64, "nuclei": 128, "neuron_em": 128, "photographs": 64}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="shapes", choices=list(SIDES))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--task", default="segment", choices=list(TASKS))
    parser.add_argument("--count", type=int, help="training images; else all")
    parser.add_argument("--filters", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--crop", type=int, help="side of the pieces to learn from; else as suits the data")
    parser.add_argument("--borders", action="store_true", help="weigh the gaps between nuclei, as the paper")
    parser.add_argument("--noise", type=float, default=1.0, help="for denoise, in deviations of the image")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate at the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/segment_images"))
    options = parser.parse_args()
    options.crop = options.crop or CROPS[options.data]
    return options


def load(options):
    """Training and test images as floats, each image with mean 0 and deviation 1, their labels, and the classes."""
    given = {"labels": "instances"} if options.data == "nuclei" else {}
    data = keraszoo.data.load(options.data, data_dir=options.data_dir, **given)
    print(data)
    train, test = data.train, data.test
    if options.data == "photographs":
        from keraszoo.data.images import pieces

        edge = train[0].shape[1] - 64
        train, test = [(pieces(part, (64, 64)), None) for part in (train[0][:, :edge], train[0][:, edge:])]
    parts = []
    for images, labels in (train, test):
        mean, deviation = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
        scaled = np.clip((images - mean) / (deviation + 1e-6), -5, 5)  # a few cells outshine all others
        parts.append((scaled.astype("float32"), labels, images))
    (x, y, raw), test = parts
    names = ("background", "nucleus") if options.data == "nuclei" else data.class_names
    return (x[: options.count], None if y is None else y[: options.count], raw[: options.count]), test, names


def fit(options, x, y, build, loss, metrics, name, sample_weight=None, watch=()):
    """A U-Net, fitted on pieces of images; it prints how long that took."""
    import keras

    from keraszoo.callbacks import Curves, History
    from keraszoo.data.crops import Crops

    model = keraszoo.build(
        "unet",
        seed=options.seed,
        input_shape=(None, None, x.shape[-1]),
        filters=options.filters,
        batch_normalization=True,
        dropout=0.0,
        **build,
    )
    side = options.crop
    crops = Crops(
        x,
        y,
        sample_weight,
        size=(side, side),
        repeat=max(1, (x.shape[1] // side) ** 2 * (4 if len(x) < 20 else 1), 640 // len(x)),
        batch_size=options.batch_size,
        shuffle=True,
        seed=options.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(options.rate, options.epochs * len(crops))
    model.compile(keraszoo.tasks.OPTIMIZERS["adam"](rate), loss=loss, metrics=metrics)
    folder = options.out / name
    folder.mkdir(parents=True, exist_ok=True)
    callbacks = [*watch, Curves(folder / "curves.png"), History(folder / "history.csv")]
    begun = time.monotonic()
    model.fit(crops, epochs=options.epochs, callbacks=callbacks, verbose=2)
    print(f"{name}: {model.count_params():,} weights, fitted in {time.monotonic() - begun:.0f} s")
    model.save(folder / "model.keras")
    return model


def answers(model, images):
    """What a network says of images; those that are too large for one pass go through it in tiles."""
    if max(images.shape[1:3]) > 256:
        return model.predict_tiled(images, tile=256)
    return model.predict(images, batch_size=8, verbose=0)


def segment(options, train, test, names):
    """A class for each pixel, in the test images as well; the worst cases; and what a threshold can do."""
    from keraszoo.callbacks import Overlays
    from keraszoo.callbacks.overlays import classes, side_by_side
    from keraszoo.data.borders import border_weights
    from keraszoo.diagnostics import overlaps, worst
    from keraszoo.layers import DiceCrossentropyLoss, MeanIoU
    from keraszoo.tasks import LOSSES

    (x, instances, _), (images, truth, raw) = train, test
    y, truth = (np.minimum(v, len(names) - 1) for v in (instances, truth))
    side = options.crop
    watch = [Overlays(options.out / "overlays", images[:6, :side, :side], truth[:6, :side, :side])]
    weights = border_weights(instances) if options.borders else None
    model = fit(
        options,
        x,
        y,
        dict(num_classes=len(names)),
        DiceCrossentropyLoss() if weights is None else LOSSES["categories"](),
        ["accuracy", MeanIoU(len(names))],
        "unet",
        weights,
        watch,
    )
    begun = time.monotonic()
    found = classes(answers(model, images))
    print(f"{len(images)} test images: {time.monotonic() - begun:.1f} s")

    shares = overlaps(truth, found, len(names))
    order, scores = worst(shares)
    side_by_side(
        options.out / "worst.png",
        images[order[:6]],
        {"truth": truth[order[:6]], "found": found[order[:6]]},
        "the worst cases of the test images, with their IoU",
        [f"IoU {scores[i]:.2f}" for i in order[:6]],
    )
    print(f"test accuracy {(found == truth).mean():.4f}")
    for name, share in zip(names, np.nanmean(shares, axis=0), strict=True):
        print(f"  IoU of {name:<24}{share:.4f}, mean over test images")
    if len(names) == 2:
        from skimage.filters import threshold_otsu

        bright = np.stack([image > threshold_otsu(image) for image in raw[..., 0]])
        otsu = overlaps(truth, bright.astype(int))[:, 1].mean()
        print(f"  IoU by Otsu's threshold, for comparison: {otsu:.4f}")


def heads(options, train, test, names):
    """The mask and the edges of things by one network, beside a network for each."""
    from skimage.segmentation import find_boundaries

    from keraszoo.callbacks.overlays import classes, side_by_side
    from keraszoo.diagnostics import overlaps
    from keraszoo.layers import DiceCrossentropyLoss

    def labelled(labels):
        edges = np.stack([find_boundaries(each, mode="inner") for each in labels])
        return {"mask": np.minimum(labels, len(names) - 1), "edges": edges.astype("int32")}

    sizes = {"mask": len(names), "edges": 2}  # classes: edges are few, and Dice heeds what is rare
    (x, y, _), (images, truth, _) = train, test
    y, truth = labelled(y), labelled(truth)
    rows = []
    for together in (["mask", "edges"], ["mask"], ["edges"]):
        model = fit(
            options,
            x,
            {name: y[name] for name in together},
            dict(heads={name: sizes[name] for name in together}),
            {name: DiceCrossentropyLoss() for name in together},
            None,
            "_and_".join(together),
        )
        said = answers(model, images)
        found = {name: classes(value) for name, value in said.items()}
        for name, value in found.items():
            share = np.nanmean(overlaps(truth[name], value, sizes[name])[:, 1:])
            rows.append(f"IoU of {name:<6} by the network for {' and '.join(together):<16}{share:.4f}")
        if len(together) == 2:
            side_by_side(options.out / "heads.png", images[:6], found, "what the two heads find")
    print("\n".join(rows))


def copy(options, train, test, names):
    """The image as its own label, with skips and without."""
    from keraszoo.layers import Conv2DTranspose

    (x, _, _), (images, _, _) = train, test
    made = {}
    for skips in (True, False):
        name = "with_skips" if skips else "without_skips"
        model = fit(
            options,
            x,
            {"image": x},
            dict(skips=skips, heads={"image": ("values", x.shape[-1])}),
            "mse",
            None,
            name,
        )
        made[name] = answers(model, images)["image"]
        if skips:
            way_up = next(layer for layer in model.layers if isinstance(layer, Conv2DTranspose))
            way_up.set_weights([np.zeros_like(w) for w in way_up.get_weights()])  # nothing leaves the bottom
            made["bottom cut off"] = answers(model, images)["image"]
    show(options, "copies", {"image": images, **made})
    for name, copies in made.items():
        print(f"{name.replace('_', ' '):<16} {peak(images, copies):.1f} dB")
    print(
        "What the skips do: they hand each pixel to the other side untouched by pooling, so a network with skips\n"
        "copies fine detail past its bottom, which it need not use. Without them all must pass through the bottom,\n"
        "and what pooling has dropped, fine texture and the exact places of edges, comes back blurred."
    )


def denoise(options, train, test, names):
    """The clean image of a noisy one, beside a blur of the best width."""
    from scipy.ndimage import gaussian_filter

    (x, _, _), (images, _, _) = train, test
    rng = np.random.default_rng(options.seed)
    noisy, noisy_test = (v + options.noise * rng.normal(size=v.shape).astype("float32") for v in (x, images))
    build = dict(heads={"image": ("values", x.shape[-1])})
    model = fit(options, noisy, {"image": x}, build, "mse", None, "denoiser")
    made = answers(model, noisy_test)["image"]
    blurs = {w: gaussian_filter(noisy_test, (0, w, w, 0)) for w in (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)}
    width = max(blurs, key=lambda w: peak(images, blurs[w]))
    show(options, "denoised", {"noisy": noisy_test, "U-Net": made, "blur": blurs[width], "clean": images})
    for name, images_made in (
        ("noisy", noisy_test),
        (f"blur of {width} pixels", blurs[width]),
        ("U-Net", made),
    ):
        print(f"{name:<20} {peak(images, images_made):.1f} dB")


def style(options, train, test, names):
    """A drawing of edges, as Canny's filter makes it, of a photograph."""
    from keraszoo.callbacks.overlays import classes
    from keraszoo.data.images import edges
    from keraszoo.diagnostics import overlaps
    from keraszoo.layers import DiceCrossentropyLoss

    (x, _, raw), (images, _, raw_test) = train, test
    drawn, truth = (np.int32(edges(v) == 0)[..., 0] for v in (raw, raw_test))
    build = dict(heads={"edges": 2})  # classes: lines are thin, and Dice heeds what is rare
    model = fit(options, x, {"edges": drawn}, build, {"edges": DiceCrossentropyLoss()}, None, "style")
    said = answers(model, images)["edges"]
    line = 1 / (1 + np.exp(said[..., 0] - said[..., 1]))
    page = [np.broadcast_to(1 - 2 * v[..., None], images.shape) for v in (line, truth)]  # black on white
    show(options, "style", {"photograph": raw_test / 127.5 - 1, "drawn": page[0], "Canny": page[1]})
    share = np.nanmean(overlaps(truth, classes(said), 2)[:, 1])
    print(f"IoU of edges with Canny's: {share:.4f}; lines one pixel beside count as wrong")


def peak(images, made):
    """The peak signal-to-noise ratio in dB, the mean over images."""
    from skimage.metrics import peak_signal_noise_ratio

    pairs = zip(images, made, strict=True)
    return np.mean([peak_signal_noise_ratio(a, b, data_range=np.ptp(a)) for a, b in pairs])


def show(options, name, columns, count=6):
    """A picture with a row for each test image and a column for each of its versions."""
    from keraszoo.callbacks import pictures

    page = np.stack([v[:count] for v in columns.values()], axis=1)
    low, high = (f(columns[next(reversed(columns))]) for f in (np.min, np.max))
    page = page.reshape(-1, *page.shape[2:])
    scaled = np.clip(2 * (page - low) / (high - low) - 1, -1, 1)
    pictures.grid(options.out / f"{name}.png", scaled, name, list(columns) * count, len(columns))


TASKS = {task.__name__: task for task in (segment, heads, copy, denoise, style)}


def main():
    options = parse()
    train, test, names = load(options)
    if train[1] is None and options.task in ("segment", "heads"):
        raise SystemExit(
            f"{options.data} has no masks: choose --task copy, denoise or style, or other --data."
        )
    options.out.mkdir(parents=True, exist_ok=True)
    TASKS[options.task](options, train, test, names)
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
