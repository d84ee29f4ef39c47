"""Teach a net to name each word of a sentence, and see why it must read in both directions. Seconds to minutes.

    KERAS_BACKEND=torch python apps/tag_words.py

The embedded sentences are about apples: some of them are fruit, one is a company. A net that knows nothing but the
word cannot tell them apart, nor one that reads from left to right only. Real texts:
    ... --data ud_english_ewt --data-dir FOLDER   parts of speech: 91.9 %, the frequent tag 85.9 %
    ... --data wnut17_ner --data-dir FOLDER       names of persons, places, products: F1
Leaves a folder with the models, their curves and a picture of tags that are confused.
"""

import argparse
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

import keraszoo

SUITS = {  # what is learned from each set in minutes on two cores
    "apples": dict(epochs=16, units=16, embed_dim=16, batch_size=16, dropout=0.0, rate=0.02, lower=True),
    "ud_english_ewt": dict(epochs=4, batch_size=64, least=2, lower=True),
    "wnut17_ner": dict(epochs=12, least=2),
}
OTHERWISE = dict(units=100, embed_dim=100, batch_size=32, dropout=0.4, rate=5e-3, least=1, lower=False)
APPLES = ("I like eating apple", "The apple is red and round", "The Apple is a great company")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="lstm", help="or gru, simple_rnn")
    parser.add_argument("--data", default="apples", choices=list(SUITS))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--count", type=int, help="training sentences; else all")
    parser.add_argument("--units", type=int, help="of each direction")
    parser.add_argument("--embed-dim", type=int, help="features of a word")
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--least", type=int, help="how often a word must occur to be known")
    parser.add_argument(
        "--lower", action="store_true", default=None, help="take capital letters for small ones"
    )
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rate", type=float, help="learning rate at the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/tag_words"))
    options = parser.parse_args()
    for key, value in {**OTHERWISE, **SUITS[options.data]}.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    return options


def frequent(train, test):
    """The tag that each word of `test` has most often in `train`; for unknown words, the most frequent of all."""
    counts, every = defaultdict(Counter), Counter()
    for words, tags in zip(*train, strict=True):
        every.update(tags.tolist())
        for word, tag in zip(words, tags.tolist(), strict=True):
            counts[word.lower()][tag] += 1
    usual = every.most_common(1)[0][0]
    best = {word: found.most_common(1)[0][0] for word, found in counts.items()}
    return [np.array([best.get(word.lower(), usual) for word in words]) for words in test[0]]


def scores(name, truth, found, names):
    """One line of the table."""
    from keraszoo.diagnostics import entity_f1

    accuracy = np.mean(np.concatenate(truth) == np.concatenate(found))
    named = [[[names[i] for i in tags] for tags in part] for part in (truth, found)]
    more = f"   F1 of names {entity_f1(*named):.4f}" if any(n.startswith("B-") for n in names) else ""
    return f"{name:<48} accuracy {accuracy:.4f}{more}"


def fit(options, data, name, **config):
    """A tagger, fitted."""
    from keraszoo.callbacks import Curves, History
    from keraszoo.text import Tokenizer

    texts, tags = (part[: options.count] for part in data.train)
    tokenizer = Tokenizer.learn(texts, "given", lower=options.lower, least=options.least, shapes=True)
    model = keraszoo.build(
        config.pop("model", options.model),
        seed=options.seed,
        input_shape=(None,),
        vocabulary=tokenizer,
        class_names=data.class_names,
        return_sequences=True,
        embed_dim=options.embed_dim,
        units=options.units,
        dropout=options.dropout,
        **config,
    )
    model.optimizer.learning_rate = options.rate
    folder = options.out / name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    for part in range(2):  # the second half with a tenth of the rate
        model.fit(
            texts,
            tags,
            validation_data=data.validation,
            initial_epoch=part * (options.epochs // 2),
            epochs=(options.epochs + part * options.epochs) // 2,
            batch_size=options.batch_size,
            callbacks=[Curves(folder / "curves.png"), History(folder / "history.csv")],
            verbose=2,
        )
        model.optimizer.learning_rate = options.rate / 10
    print(f"{name}: {model.count_params():,} weights, fitted in {time.monotonic() - begun:.0f} s")
    model.save(folder / "model.keras")
    return model


def answers(model, texts):
    """A tag number for each word of each text."""
    return [said.argmax(-1) for said in model.predict(texts, batch_size=128, verbose=0)]


def main():
    from keraszoo.callbacks import pictures

    options = parse()
    data = keraszoo.data.load(options.data, data_dir=options.data_dir, validation=0.1)
    print(data)
    options.out.mkdir(parents=True, exist_ok=True)
    texts, truth = data.test
    kinds = {"from left to right": dict(bidirectional=False), "in both directions": dict(bidirectional=True)}
    table, models = (
        [scores("each word's most frequent tag", truth, frequent(data.train, data.test), data.class_names)],
        {},
    )
    for name, config in kinds.items():
        models[name] = fit(options, data, name, **config)
        table.append(scores(f"{options.model} {name}", truth, answers(models[name], texts), data.class_names))
    print("\n".join(["", f"{len(texts)} test sentences:", *table]))
    shown = [*APPLES] if options.data == "apples" else [" ".join(text) for text in texts[:3]]
    for name, model in models.items():
        print(f"\n{options.model} {name}:")
        for text, tags in zip(shown, answers(model, [text.split() for text in shown]), strict=True):
            named = [f"{w} [{data.class_names[t]}]" for w, t in zip(text.split(), tags, strict=True)]
            print("  " + " ".join(named))
    found = answers(models["in both directions"], texts)
    pictures.confusion_matrix(
        options.out / "tags.png", *map(np.concatenate, (truth, found)), data.class_names
    )
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
