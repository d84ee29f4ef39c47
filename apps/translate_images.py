"""Teach a network to make photographs of outlines, or one kind of image of another.

    KERAS_BACKEND=jax python apps/translate_images.py --model pix2pix --data edges_to_photos

Leaves a folder with the model, a film of its translations and a picture of the last ones. pix2pix
learns from pairs; cyclegan from two sets of images, of which it is not told what belongs together:
    ... --model cyclegan --data emoji_styles --data-dir FOLDER --size 32 --batch-size 1
"""

import argparse
from pathlib import Path

import numpy as np

import keraszoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="pix2pix", choices=["pix2pix", "cyclegan"])
    parser.add_argument(
        "--data", default="edges_to_photos", help="a set of images and images of keraszoo.data"
    )
    parser.add_argument("--source", help="of edges_to_photos: digits, photographs, fashion_mnist ...")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--size", type=int, help="side of an image in pixels; else as it is")
    parser.add_argument("--count", type=int, help="training images; else all")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16, help="papers have 1")
    parser.add_argument("--filters", type=int, default=16, help="nearest the image; papers have 64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/translate_images"))
    return parser.parse_args()


def load(options):
    """Training and test images, each a pair of arrays in [-1, 1] with as many channels."""
    given = {"source": options.source} if options.source else {}
    if options.size:
        given["image_size"] = (options.size, options.size)
    data = keraszoo.data.load(options.data, data_dir=options.data_dir, **given)
    print(data)
    channels = data.train[1].shape[-1]
    parts = [
        [np.broadcast_to(v, (*v.shape[:-1], channels)) for v in part] for part in (data.train, data.test)
    ]
    (x, y), test = [[v / np.float32(127.5) - 1 for v in part] for part in parts]
    return (x[: options.count], y[: options.count]), test


def main():
    options = parse()
    (x, y), (sources, targets) = load(options)

    from keraszoo.callbacks import History, Losses, Translations
    from keraszoo.callbacks.translations import side_by_side
    from keraszoo.training import LinearDecay
    from keraszoo.training.optimizers import Adam

    options.out.mkdir(parents=True, exist_ok=True)
    model = keraszoo.build(options.model, seed=options.seed, input_shape=x.shape[1:], filters=options.filters)
    steps = options.epochs * -(-len(x) // options.batch_size)
    model.compile(Adam(LinearDecay(2e-4, steps), beta_1=0.5))
    callbacks = [
        Translations(options.out / "translations", sources[:8], targets[:8]),
        Losses(options.out / "losses.png"),
        History(options.out / "history.csv"),
    ]
    model.fit(x, y, batch_size=options.batch_size, epochs=options.epochs, callbacks=callbacks, verbose=2)
    model.save(options.out / "model.keras")
    side_by_side(options.out / "translations.png", model, sources[:12], targets[:12], options.model)

    error, nothing = (np.abs(v - targets).mean() for v in (model.translate(sources), sources))
    print(f"mean test error {error:.4f}; of doing nothing {nothing:.4f} (images lie in [-1, 1])")
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
