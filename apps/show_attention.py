"""Look at what a Vision Transformer looks at.

    KERAS_BACKEND=jax python apps/show_attention.py

Teaches a small one to tell which shapes an image holds, and draws where its class token looks. With
--weights it takes a reference checkpoint instead, with --load a saved model, and looks at --images:

    python apps/show_attention.py --weights google/vit-base-patch16-224 --images a.jpg b.jpg
"""

import argparse
from pathlib import Path

import numpy as np

import keraszoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--weights", help="folder or Hub id of a checkpoint (ViTForImageClassification)")
    parser.add_argument("--load", type=Path, help="a Vision Transformer saved by this app, or by fit")
    parser.add_argument("--images", type=Path, nargs="+", help="else those of the data set")
    parser.add_argument(
        "--image-size", type=int, nargs=2, help="height and width; positions are interpolated"
    )
    parser.add_argument("--epochs", type=int, default=30, help="of training, where nothing is loaded")
    parser.add_argument("--count", type=int, default=6, help="images in the picture, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/show_attention"))
    return parser.parse_args()


def taught(data, options):
    """A small Vision Transformer that tells which shapes an image holds."""
    model = keraszoo.build(
        "vit_tiny",
        task="multi_label_classification",
        seed=options.seed,
        input_shape=data.input_shape,
        class_names=data.class_names,
        patch_size=8,
        embed_dim=64,
        depth=4,
        num_heads=4,
        preprocessing="centred",
    )
    model.optimizer.learning_rate = 1e-3
    model.fit(*data.train, epochs=options.epochs, validation_data=data.test, verbose=2)
    model.save(options.out / "model.keras")
    return model


def files(paths, size):
    """Pictures as (count, height, width, 3), uint8."""
    from PIL import Image

    found = []
    for path in paths:
        with Image.open(path) as picture:
            found.append(np.asarray(picture.convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC)))
    return np.stack(found)


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.weights:
        sizes = {"input_shape": (*options.image_size, 3)} if options.image_size else {}
        model = keraszoo.build("vit_base", weights=options.weights, preprocessing="centred", **sizes)
    elif options.load:
        model = keraszoo.load(options.load)
        model = model.resized(options.image_size) if options.image_size else model
    else:
        data = keraszoo.data.load("shapes", labels="presence", count=2000, seed=options.seed)
        model = taught(data, options)

    from keraszoo import diagnostics
    from keraszoo.callbacks import pictures

    height, width, _ = model.input_shape[1:]
    if options.images:
        images = files(options.images[: options.count], (height, width))
    else:
        shapes = keraszoo.data.load("shapes", labels="presence", image_size=(height, width))
        images = shapes.test[0][: options.count]
    attention = model.attention(images)
    maps = diagnostics.seen(attention, model.get_layer("patches").grid)
    captions = [*(f"head {i + 1}" for i in range(maps.shape[1] - 1)), "all blocks"]
    title = "where the class token looks: heads of the last block, and all blocks together"
    pictures.heat(options.out / "attention.png", images, maps, captions, title)
    names, said = model.card["class_names"], model.predict(images, verbose=0)
    for row, logits in enumerate(said):
        best = np.argsort(-logits)[:3]
        print(f"image {row + 1}:", *(f"{names[i] if names else i} {logits[i]:+.1f}" for i in best))
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
