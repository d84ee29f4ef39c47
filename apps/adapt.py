"""Fine-tune a checkpoint in full, and by low-rank adaptation: what each of them trains, needs, and scores. A minute.

    KERAS_BACKEND=torch python apps/adapt.py

Without `--checkpoint`, a small BERT is made first, which fills in blanks. One of `apps/fill_the_blank.py`, or the folder of
a reference checkpoint, with the name of its architecture, on a set of one's own:
    ... --checkpoint runs/fill_the_blank/model.keras --data imdb_reviews --data-dir FOLDER
    ... --checkpoint FOLDER_OF_BERT --model bert_base --data clinc150 --data-dir FOLDER --rank 8

Leaves a folder with both models (the adapted one with its adaptation merged) and a table. A narrow adaptation trains and
keeps a small part of the weights, and takes larger steps; it pays where a checkpoint is large and has learned much. On
the tiny net of this page full fine-tuning needs little, too, and mostly scores as well or better.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import keraszoo

PRETRAINED = Path("checkpoint") / "model.keras"  # within the folder, where none is given


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a .keras file of a BERT, or a reference's folder")
    parser.add_argument("--model", default="bert_tiny", help="what a folder holds, or what is made")
    parser.add_argument("--data", default="requests", help="texts with a class each")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--labels", type=int, default=16, help="labelled texts to learn from")
    parser.add_argument("--test", type=int, default=500, help="texts to test on")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--targets", nargs="+", default=["qkv"], help="dense layers to adapt, in every block")
    parser.add_argument("--embed-dim", type=int, help="of the BERT that is made; else its own")
    parser.add_argument("--pretrain-epochs", type=int, default=8, help="of the BERT that is made")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate in full")
    parser.add_argument("--low-rank-rate", type=float, default=3e-3, help="learning rate of the adaptation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/adapt"))
    return parser.parse_args()


def pretrained(options):
    """The file of a BERT that has filled in the blanks of the embedded sentences."""
    from keraszoo.text import Tokenizer

    texts = keraszoo.data.load("requests", count=1200, seed=1).train[0]
    tokenizer = Tokenizer.learn(texts, "wordpiece", size=1000, lower=True, mask=True)
    size = {"embed_dim": options.embed_dim} if options.embed_dim else {}
    model = keraszoo.build(options.model, vocabulary=tokenizer, context=32, seed=options.seed, **size)
    model.optimizer.learning_rate = 2e-3
    model.fit(texts, epochs=options.pretrain_epochs, verbose=2)
    (options.out / PRETRAINED).parent.mkdir(parents=True, exist_ok=True)
    model.save(options.out / PRETRAINED)
    return options.out / PRETRAINED


def classifier(options, checkpoint, names):
    """A new classifier with the weights of the checkpoint."""
    import keras

    if checkpoint.is_dir():
        return keraszoo.build(
            options.model,
            weights=checkpoint,
            task="text_classification",
            class_names=names,
            seed=options.seed,
        )
    keras.utils.set_random_seed(options.seed)
    return keraszoo.load(checkpoint).for_task("text_classification", class_names=names)


def bytes_of(variables):
    return sum(np.dtype(str(v.dtype)).itemsize * int(np.prod(v.shape)) for v in variables)


def main():
    options = parse()
    from keraszoo.callbacks.files import whole
    from keraszoo.training.lora import adapt, counts, merge

    more = {"data_dir": options.data_dir} if options.data_dir else {}
    data = keraszoo.data.load(options.data, **more)
    print(data)
    options.out.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(options.seed).permutation(len(data.train[0]))[: options.labels]
    texts, labels = [data.train[0][i] for i in order], data.train[1][order]
    test = [part[: options.test] for part in data.test]
    checkpoint = options.checkpoint or pretrained(options)

    rows = [["", "weights that learn", "optimizer's memory", "seconds", "test accuracy"]]
    for way in ("in full", f"rank {options.rank}"):
        model = classifier(options, checkpoint, data.class_names)
        if way != "in full":
            adapt(model, rank=options.rank, targets=options.targets, heads=["classes"])
        model.optimizer.learning_rate = options.rate if way == "in full" else options.low_rank_rate
        learning = counts(model)
        print(f"{way}: {learning}")
        begun = time.monotonic()
        model.fit(texts, labels, epochs=options.epochs, batch_size=options.batch_size, verbose=0)
        seconds, slots = time.monotonic() - begun, bytes_of(model.optimizer.variables)
        if model.adapter:
            merge(model)
        score = (model.predict(test[0], batch_size=64, verbose=0).argmax(-1) == test[1]).mean()
        model.save(options.out / f"{way.replace(' ', '_')}.keras")
        rows.append(
            [way, f"{learning.trainable:,}", f"{slots / 2**20:.2f} MiB", f"{seconds:.1f}", f"{score:.1%}"]
        )
    with whole(options.out / "comparison.csv") as beside, open(beside, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    for row in rows:
        print(*(f"{cell:12}" if i == 0 else f"{cell:>20}" for i, cell in enumerate(row)))
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
