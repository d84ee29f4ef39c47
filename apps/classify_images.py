"""Teach any image classifier any image data set, and look at what it gets wrong.

    KERAS_BACKEND=jax python apps/classify_images.py --model lenet5 --data digits

Leaves a folder with the best model, its curves, a table of confusions and the worst mistakes.
"""

import argparse
from pathlib import Path

import numpy as np

import keraszoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    models = sorted({*keraszoo.list_models(task="image_classification"), "mlp", "perceptron"})
    parser.add_argument("--model", default="lenet5", choices=models, metavar="NAME", help=", ".join(models))
    parser.add_argument(
        "--data", default="digits", help="a set of keraszoo.data, or a folder of images by class"
    )
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, help="by default the architecture's own")
    parser.add_argument("--patience", type=int, default=5, help="epochs without progress before it stops")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/classify_images"))
    return parser.parse_args()


def test_set(data, model):
    """Images, labels and probabilities of the test part, whether arrays or batches."""
    from keraszoo.tasks import TASKS

    batches = [data.test] if isinstance(data.test, tuple) else [data.test[i] for i in range(len(data.test))]
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    outputs = model.predict(images, verbose=0)
    return images, labels.reshape(-1), TASKS[model.card["task"]].probabilities(outputs)


def main():
    options = parse()
    where = {} if options.data_dir is None else {"data_dir": options.data_dir}
    data = keraszoo.data.load(options.data, **where)
    if data.validation is None:
        data = keraszoo.data.load(options.data, validation=0.1, **where)
    print(data)

    from keraszoo.callbacks import RunFolder, pictures

    model = keraszoo.build(
        options.model,
        seed=options.seed,
        input_shape=data.input_shape,
        class_names=data.class_names,
        preprocessing=[*data.augmentation(), "unit"],
    )
    if options.learning_rate is not None:
        model.optimizer.learning_rate = options.learning_rate
    x, y = data.train if isinstance(data.train, tuple) else (data.train, None)
    model.fit(
        x,
        y,
        batch_size=options.batch_size if y is not None else None,
        epochs=options.epochs,
        validation_data=data.validation,
        callbacks=[folder := RunFolder(options.out, patience=options.patience)],
        verbose=2,
    )

    images, labels, probabilities = test_set(data, keraszoo.load(folder.best))
    answers = probabilities.argmax(axis=1)
    pictures.confusion_matrix(options.out / "confusion.png", labels, answers, data.class_names)
    pictures.predictions(
        options.out / "mistakes.png", images, labels, probabilities, data.class_names, worst_first=True
    )
    print(f"test accuracy {(answers == labels).mean():.2%} on {len(labels)} images; see {options.out}")


if __name__ == "__main__":
    main()
