"""Language models from counts to networks: how well each foretells a text that it has not seen. A minute.

    KERAS_BACKEND=jax python apps/model_language.py

Prints one table of perplexities on the same test text: all tokens alike, single tokens, n-grams smoothed in three
ways, Bengio's network and Zaremba's LSTM; and how each goes on with a text. Leaves a folder with the table, the
samples, a picture of the bars, and the networks with their curves. The text is what scikit-learn says of its data
sets, letter by letter. Real ones:
    ... --data tiny_shakespeare --data-dir FOLDER    letter by letter
    ... --data wikitext2 --data-dir FOLDER           word by word

Counting is hard to beat on a million letters: after an epoch, ten minutes of two busy cores, the LSTM has a perplexity
of 6.3 on tiny_shakespeare, n-grams of four have 5.9 and those of seven 4.9. On the words of wikitext2, 8,087 kinds and
few of each, the neural 5-gram comes near after three epochs: 202, where n-grams of four have 188.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import keraszoo

SUITS = {  # what is learned from each set in minutes on two cores
    "descriptions": dict(
        orders=[2, 3, 5], networks=dict(units=64), epochs=4, batch_size=16, prompt="The data set ", length=300
    ),
    "tiny_shakespeare": dict(
        orders=[2, 3, 4, 5, 6, 7],
        networks=dict(units=200),
        epochs=3,
        batch_size=32,
        prompt="ROMEO:\n",
        length=300,
    ),
    "wikitext2": dict(
        orders=[2, 3, 4],
        networks=dict(units=200, dropout=0.5),
        epochs=6,
        batch_size=20,
        prompt="The film",
        length=60,
    ),
}


MODELS = ("ngram", "neural_ngram", "rnn_language_model")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="descriptions", choices=list(SUITS))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--count", type=int, help="letters of the training text; else all")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS, help="else all three")
    parser.add_argument("--orders", type=int, nargs="+", help="tokens of the longest n-grams")
    parser.add_argument("--units", type=int, help="of each LSTM")
    parser.add_argument("--dropout", type=float, help="of the LSTMs")
    parser.add_argument("--epochs", type=int, help="of the networks; counting takes one")
    parser.add_argument("--batch-size", type=int, help="windows in a step")
    parser.add_argument("--prompt", help="what the samples go on with")
    parser.add_argument("--length", type=int, help="tokens of a sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/model_language"))
    options = parser.parse_args()
    for key, value in SUITS[options.data].items():
        if getattr(options, key, None) is None:
            setattr(options, key, value)
    options.networks |= {
        key: value for key in ("units", "dropout") if (value := getattr(options, key)) is not None
    }
    return options


def load(options):
    """Text to learn from, to choose by and to test on, each a string or a list of paragraphs; and the tokens."""
    data = keraszoo.data.load(options.data, data_dir=options.data_dir)
    print(data)
    parts, kind = [part[0] for part in (data.train, data.validation, data.test)], data.tokens[0]["kind"]
    parts[0] = parts[0][: options.count]
    if kind != "characters":
        parts = [[line for line in part.split("\n") if line.strip()] for part in parts]
    texts = [parts[0]] if kind == "characters" else parts[0]
    return parts, keraszoo.text.Tokenizer.learn(texts, kind=kind, least=1 if kind == "characters" else 2)


def rivals(options):
    """Names of the rows of the table, and the models in them."""
    yield "all alike", "ngram", dict(order=1, epochs=0)
    yield "single tokens", "ngram", dict(order=1)
    for smoothing, more in (("maximum_likelihood", {}), ("add_k", dict(k=0.01)), ("kneser_ney", {})):
        for order in options.orders:
            words = smoothing.replace("_", " ").replace("add k", "add 0.01")
            yield f"{order}-gram, {words}", "ngram", dict(order=order, smoothing=smoothing, **more)
    epochs = options.epochs
    yield "neural 5-gram", "neural_ngram", dict(epochs=epochs)
    yield "LSTM", "rnn_language_model", dict(epochs=epochs, **options.networks)


def train(title, name, arguments, parts, tokenizer, options):
    """A row of the table: a dict of what it came to."""
    from keraszoo.callbacks import Curves, Written

    arguments = dict(arguments)
    epochs = arguments.pop("epochs", 1)
    model = keraszoo.build(name, vocabulary=tokenizer, seed=options.seed, **arguments)
    start = time.monotonic()
    callbacks, counting = [], name == "ngram"
    if not counting:
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        callbacks = [
            Curves(folder / "curves.png"),
            Written(folder / "written.txt", options.prompt, options.length // 3, seed=options.seed),
        ]
    if epochs:
        model.fit(
            parts[0],
            validation_data=parts[1],
            epochs=epochs,
            batch_size=options.batch_size,
            callbacks=callbacks,
            verbose=0 if counting else 2,
        )
    seconds = time.monotonic() - start
    if not counting:
        model.save(folder / "model.keras")
    nats = -model.log_probabilities(parts[2]).mean()
    sample = model.generate(options.prompt, options.length, seed=options.seed)
    size = sum(map(len, model.get_weights()[1::2])) if counting else model.count_params()
    print(f"{title}: perplexity {np.exp(nats):.2f}, {seconds:.0f} s", flush=True)
    return dict(model=title, size=size, seconds=seconds, nats=nats, perplexity=np.exp(nats), sample=sample)


def draw(path, rows):
    """Perplexities as bars, on a logarithmic axis; those that are infinite are left out."""
    from keraszoo.callbacks import pictures

    rows = [row for row in rows if np.isfinite(row["perplexity"])][::-1]
    figure, (panel,) = pictures.sheet(1, width=7, height=0.8 + 0.28 * len(rows), columns=1)
    colours = ["tab:orange" if row["model"] in ("neural 5-gram", "LSTM") else "tab:blue" for row in rows]
    bars = panel.barh([row["model"] for row in rows], [row["perplexity"] for row in rows], color=colours)
    panel.bar_label(bars, [f"{row['perplexity']:.1f}" for row in rows], padding=3)
    panel.set_xscale("log")
    panel.margins(x=0.15)
    panel.set_xlabel("perplexity of the test text")
    pictures.save(figure, path)


def main():
    options = parse()
    parts, tokenizer = load(options)
    print(f"{tokenizer!r} make up the text")
    chosen = [rival for rival in rivals(options) if rival[1] in options.models]
    rows = [train(*rival, parts, tokenizer, options) for rival in chosen]

    options.out.mkdir(parents=True, exist_ok=True)
    draw(options.out / "perplexities.png", rows)
    with open(options.out / "perplexities.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [key for key in rows[0] if key != "sample"], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    samples = "\n\n".join(f"--- {row['model']}\n{options.prompt}{row['sample']}" for row in rows)
    (options.out / "samples.txt").write_text(samples + "\n", encoding="utf-8")
    print(f"\n{samples}\n")
    print(f"{'model':<28}{'n-grams or weights':>20}{'nats a token':>14}{'perplexity':>12}{'seconds':>9}")
    for row in rows:
        print("{model:<28}{size:>20,}{nats:>14.3f}{perplexity:>12.2f}{seconds:>9.0f}".format(**row))
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
