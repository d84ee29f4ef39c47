"""Teach a small Transformer to say in short what a text says, beside its first sentence. Minutes.

    KERAS_BACKEND=jax python apps/summarise.py

Leaves a folder with the model, which takes raw text (`keraszoo.load(...).summarise(texts)`), its curves, what it said
after each epoch, a table with ROUGE on texts that it has not seen, and a picture of where it looked.

What to expect: the reports made here have the same few words, and one sentence that says what matters; a net of a million
weights learns to find it. Papers are another matter:
    ... --data scitldr --data-dir FOLDER --epochs 8
From 1,992 abstracts a net that knows no language before learns how summaries sound ("we propose a new method for ..."),
and not what this paper found: it names things that the paper is not about, and the first sentence of the abstract is the
better summary. Who wants summaries of papers takes a large net that has read much before. It goes through the same steps:
a preset of keras-hub, or a GPT-2, which goes on with a text behind which stands "TL;DR:", as in section 3.6 of its paper,
https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf. `--epochs 0` asks
it as it is:
    ... --data scitldr --data-dir FOLDER --model hub:bart_base_en --epochs 1
    ... --data scitldr --data-dir FOLDER --model gpt2 --weights FOLDER_OF_GPT2 --epochs 0
"""

import argparse
import csv
import importlib.util
import sys
from pathlib import Path

import keraszoo

SUITS = {  # what is learned from each set in minutes on two cores
    "reports": dict(epochs=5, batch_size=64, length=12, warmup=200, max_length=80),
    "scitldr": dict(epochs=8, batch_size=16, length=40, warmup=500, max_length=256, vocabulary=4000),
}
MODELS = ["transformer_tiny", "transformer_base"]
WRITERS = ["gpt2", "gpt2_medium", "gpt2_large", "gpt2_xl"]
CUE = "\nTL;DR:"  # behind what a GPT-2 is to sum up


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--model", default="transformer_tiny", help=f"{', '.join(MODELS + WRITERS)}, or hub:PRESET"
    )
    parser.add_argument(
        "--weights", help="of a GPT-2: the folder of a reference checkpoint, or its name on the Hub"
    )
    parser.add_argument("--data", default="reports", choices=list(SUITS))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--count", type=int, help="texts to learn from; else all")
    parser.add_argument("--test", type=int, default=200, help="texts to test on")
    parser.add_argument("--embed-dim", type=int, help="features of a token; else those of --model")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--vocabulary", type=int, help="tokens that are known; else all")
    parser.add_argument("--max-length", type=int, help="tokens of a text that are read")
    parser.add_argument("--length", type=int, help="tokens of a summary, at most")
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--minutes", type=float, help="of training, instead of epochs")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--warmup", type=int, help="steps in which the learning rate rises")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/summarise"))
    options = parser.parse_args()
    if options.model not in MODELS + WRITERS and not options.model.startswith("hub:"):
        parser.error(f"--model must be {', '.join(MODELS + WRITERS)} or hub:PRESET")
    if (options.model in WRITERS) != bool(options.weights):
        parser.error("--weights are what a GPT-2 has learned, which it needs, and no other model takes")
    for key, value in SUITS[options.data].items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    if options.minutes:
        options.epochs = 10_000
    return options


def made(options, vocabulary):
    """A model that is to learn to summarise."""
    from keraszoo.training import Noam
    from keraszoo.training.optimizers import Adam

    if options.model.startswith("hub:"):  # an encoder and a decoder that have learned already
        return keraszoo.build(
            options.model, task="translation", seed=options.seed, max_length=options.max_length
        )
    if options.model in WRITERS:
        return keraszoo.build(options.model, weights=options.weights, seed=options.seed)
    size = {"embed_dim": options.embed_dim} if options.embed_dim else {}
    model = keraszoo.build(
        options.model,
        task="summarization",
        vocabulary=vocabulary,
        max_length=options.max_length,
        length=options.length,
        dropout=options.dropout,
        seed=options.seed,
        **size,
    )
    rate = Noam(model.get_config()["embed_dim"], options.warmup)
    model.compile(Adam(rate, beta_2=0.98, epsilon=1e-9))
    return model


def watches(options, texts, references):
    """What is told and kept of a model as it learns."""
    from keraszoo.callbacks import Budget, Curves, History, TextTranslations

    class Summaries(TextTranslations):
        def pairs(self, summaries):
            return [f"  {said}" for said in summaries]  # the texts would fill the screen

    found = [History(options.out / "history.csv"), Curves(options.out / "curves.png")]
    if options.model in MODELS:
        right = [several[0] for several in references[:3]]
        found.append(Summaries(texts[:3], right, file=options.out / "said.txt"))
    return [*found, *([Budget(options.minutes)] if options.minutes else [])]


def learn(options, model, texts, summaries, callbacks):
    """Fit a model to texts and their summaries."""
    how = dict(batch_size=options.batch_size, epochs=options.epochs, callbacks=callbacks, verbose=2)
    if options.model in WRITERS:
        model.fit([f"{text}{CUE} {said}" for text, said in zip(texts, summaries, strict=True)], **how)
    else:
        model.fit(texts, summaries, validation_split=0.05, **how)


def told(options, model, texts):
    """What a model says of texts: its name, with how it was asked, and summaries."""
    if options.model in MODELS:
        for beams in (1, options.beams):
            yield f"{options.model}, beams: {beams}", model.summarise(texts, beams=beams)
    elif options.model in WRITERS:  # one text at a time: each is long, and what was read of it is kept
        more = dict(length=options.length, top_k=2, seed=options.seed)
        yield options.model, [model.generate(text + CUE, **more).strip() for text in texts]
    else:
        yield options.model, model.generate(texts, max_length=options.length)


def main():
    options = parse()
    if importlib.util.find_spec("rouge_score") is None:
        sys.exit("ROUGE needs rouge_score, which is not installed: pip install keraszoo[demo]")

    from keraszoo.callbacks.files import whole
    from keraszoo.callbacks.texts import alignments
    from keraszoo.diagnostics import by_source, lead, rouge

    more = {"data_dir": options.data_dir} if options.data_dir else {}
    data = keraszoo.data.load(options.data, **more)
    print(data)
    train = [texts[: options.count] for texts in data.train]
    texts, references = (part[: options.test] for part in by_source(*data.test))
    options.out.mkdir(parents=True, exist_ok=True)
    model = made(options, data.vocabulary(options.vocabulary))
    print(f"{options.model}: {model.count_params():,} parameters")
    if options.epochs:
        learn(options, model, *train, watches(options, texts, references))
    model.save(options.out / "model.keras")

    summaries = {"first sentence": lead(texts), **dict(told(options, model, texts))}
    rows = [["", "ROUGE-1", "ROUGE-2", "ROUGE-L"]]
    for name, said in summaries.items():
        rows.append([name, *(f"{score:.1f}" for score in rouge(said, references).values())])
    with whole(options.out / "comparison.csv") as beside, open(beside, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    if options.data == "reports" and options.model in MODELS:  # short enough for a picture
        alignments(options.out / "attention.png", [model.attention_of(texts[0]).of(layer=-1)])
    for row in rows:
        print(*(f"{cell:28}" if i == 0 else f"{cell:>10}" for i, cell in enumerate(row)))
    first, *others = (float(row[1]) for row in rows[1:])
    better = "The model's summaries are" if max(others) > first else "The first sentence is"
    print(f"{better} nearer to what people wrote; see {options.out}")


if __name__ == "__main__":
    main()
