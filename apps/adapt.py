"""Fine-tune a checkpoint in full, and by low-rank adaptation: what each of them trains, needs, and scores. A minute.

    KERAS_BACKEND=torch python apps/adapt.py

Without `--checkpoint`, a small BERT is made first, which fills in blanks. One of `apps/fill_the_blank.py`, or a reference
checkpoint, a BERT or a GPT-2, with the name of its architecture, on a real set:
    ... --checkpoint runs/fill_the_blank/model.keras --data imdb_reviews --data-dir FOLDER
    ... --checkpoint FOLDER_OF_BERT --model bert_base --data imdb_reviews --data-dir FOLDER --rank 8
    ... --checkpoint openai-community/gpt2 --model gpt2 --data imdb_reviews --data-dir FOLDER --rank 8

Leaves a folder with both models (the adapted one with its adaptation merged) and a table. A narrow adaptation trains and
keeps a small part of the weights, and takes larger steps; it pays where a checkpoint is large and has learned much. On
the tiny net of this page full fine-tuning needs little, too, and mostly scores as well or better. Each way learns in a
process of its own, whose memory is read: what was in use at the highest while it learned, beyond the weights themselves.
That is gradients, the optimizer's memory and what a step keeps (on Linux, where no graphics processor holds it).
"""

import argparse
import csv
import multiprocessing
import time
from pathlib import Path

import numpy as np

import keraszoo

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
PRETRAINED = Path("checkpoint") / "model.keras"  # within the folder, where none is given


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--checkpoint", help="a .keras file of a BERT; or a reference's folder, or its name on the Hub"
    )
    parser.add_argument("--model", default="bert_tiny", help="what a reference holds, or what is made")
    parser.add_argument("--data", default="requests", help="texts with a class each")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--labels", type=int, default=16, help="labelled texts to learn from")
    parser.add_argument("--test", type=int, default=500, help="texts to test on")
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a text that are read")
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
    return str(options.out / PRETRAINED)


def classifier(options, checkpoint, names):
    """A new classifier with the weights of the checkpoint."""
    import keras

    if not checkpoint.endswith(".keras"):
        return keraszoo.build(
            options.model,
            weights=checkpoint,
            task="text_classification",
            class_names=names,
            max_length=options.max_length,
            seed=options.seed,
        )
    keras.utils.set_random_seed(options.seed)
    return keraszoo.load(checkpoint).for_task("text_classification", class_names=names)


def bytes_of(variables):
    return sum(np.dtype(str(v.dtype)).itemsize * int(np.prod(v.shape)) for v in variables)


def memory(what):
    """Bytes of memory of this process: "VmRSS" now, "VmHWM" at the highest. None where no file tells."""
    if not STATUS.exists():
        return None
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{what}:"))
    return 1024 * int(line.split()[1])


def learned(options, checkpoint, names, train, test, rank):
    """A row of the table, of one way to learn: in full, or by an adaptation of some rank."""
    from keraszoo.layers import Dense
    from keraszoo.training.lora import adapt, counts, merge

    before = memory("VmRSS")
    model = classifier(options, checkpoint, names)
    if rank:
        heads = [layer.name for layer in model.layers if isinstance(layer, Dense)]
        adapt(model, rank=rank, targets=options.targets, heads=heads[-1:])
    model.optimizer.learning_rate = options.low_rank_rate if rank else options.rate
    way, learning = f"rank {rank}" if rank else "in full", counts(model)
    print(f"{way}: {learning}", flush=True)
    if before:
        RESET.write_text("5")  # forget what loading took
    begun = time.monotonic()
    model.fit(*train, epochs=options.epochs, batch_size=options.batch_size, verbose=0)
    seconds, slots = time.monotonic() - begun, bytes_of(model.optimizer.variables)
    beyond = before and memory("VmHWM") - before - bytes_of(model.weights)
    if rank:
        merge(model)
    score = (model.predict(test[0], batch_size=64, verbose=0).argmax(-1) == test[1]).mean()
    model.save(options.out / f"{way.replace(' ', '_')}.keras")
    room = (f"{size / 2**20:.1f} MiB" if size else "unknown" for size in (slots, beyond))
    return [way, f"{learning.trainable:,}", *room, f"{seconds:.1f}", f"{score:.1%}"]


def main():
    options = parse()
    from keraszoo.callbacks.files import whole

    more = {"data_dir": options.data_dir} if options.data_dir else {}
    data = keraszoo.data.load(options.data, **more)
    print(data)
    options.out.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(options.seed).permutation(len(data.train[0]))[: options.labels]
    train = [data.train[0][i] for i in order], data.train[1][order]
    test = [part[: options.test] for part in data.test]
    checkpoint = options.checkpoint or pretrained(options)

    rows = [["", "weights that learn", "optimizer's memory", "memory beyond", "seconds", "test accuracy"]]
    for rank in (0, options.rank):
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            rows.append(alone.apply(learned, (options, checkpoint, data.class_names, train, test, rank)))
    with whole(options.out / "comparison.csv") as beside, open(beside, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    for row in rows:
        print(*(f"{cell:12}" if i == 0 else f"{cell:>20}" for i, cell in enumerate(row)))
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
