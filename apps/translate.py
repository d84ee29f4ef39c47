"""Teach nets to translate, and say how good they are: without attention, with it, with nothing else. Minutes.

    KERAS_BACKEND=jax python apps/translate.py
    KERAS_BACKEND=jax python apps/translate.py --model transformer_tiny

Leaves a folder with the models, which take raw text, their curves, what they said after each epoch, a table with BLEU on
sentences that they have not seen, and pictures of where they looked. Without a Transformer there are two recurrent nets;
with one there are three models of as many parameters each, and of as many minutes, if they are given (`--alone` leaves
the recurrent ones out). Real languages, French to English:
    ... --data tatoeba_eng_fra --data-dir FOLDER --direction fra-eng --model transformer_tiny --minutes 10
"""

import argparse
import csv
import importlib.util
import sys
import time
from pathlib import Path

import keraszoo

SUITS = {  # what is learned from each set in minutes on two cores
    "number_words": dict(epochs=20, units=128, embed_dim=32, batch_size=64, length=24, warmup=400),
    "tatoeba_eng_fra": dict(
        epochs=4,
        embed_dim=64,
        units=128,
        batch_size=128,
        length=24,
        vocabulary=4000,
        dropout=0.1,
        warmup=500,
    ),
}
OTHERWISE = dict(vocabulary=None, dropout=0.0)
DIRECTIONS = {  # the first one is the set's own
    "number_words": ("digits-words", "words-digits"),
    "tatoeba_eng_fra": ("eng-fra", "fra-eng"),
}
SAY = {
    "fra-eng": ["merci", "je suis étudiant", "où est la gare ?"],
    "eng-fra": ["thank you", "I am a student", "where is the station?"],
}
RECURRENT = {"without attention": False, "with attention": True}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--model", default="seq2seq", choices=["seq2seq", "transformer_tiny", "transformer_base"]
    )
    parser.add_argument("--alone", action="store_true", help="a Transformer without recurrent nets beside it")
    parser.add_argument("--data", default="number_words", choices=list(SUITS))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument(
        "--direction", help="\n".join(f"{k}: {' or '.join(v)}" for k, v in DIRECTIONS.items())
    )
    parser.add_argument("--count", type=int, help="training pairs; else all")
    parser.add_argument("--test", type=int, default=500, help="different sentences to test on")
    parser.add_argument(
        "--units", type=int, help="of each recurrent layer; else as many parameters as --model"
    )
    parser.add_argument("--embed-dim", type=int, help="features of a token, in recurrent nets")
    parser.add_argument("--depth", type=int, default=1, help="recurrent layers on either side")
    parser.add_argument("--cell", default="lstm", choices=["lstm", "gru"])
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--vocabulary", type=int, help="sub-words, or words of each language; else all")
    parser.add_argument("--length", type=int, help="tokens of a translation, at most")
    parser.add_argument("--beams", type=int, default=4, help="of the search in every other row of the table")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--minutes", type=float, help="of training for each model, instead of epochs")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate of recurrent nets")
    parser.add_argument("--warmup", type=int, help="steps in which the Transformer's learning rate rises")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/translate"))
    options = parser.parse_args()
    options.matched = options.model != "seq2seq" and options.units is None
    for key, value in {**OTHERWISE, **SUITS[options.data]}.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    options.direction = options.direction or DIRECTIONS[options.data][0]
    if options.direction not in DIRECTIONS[options.data]:
        parser.error(f"--direction must be {' or '.join(DIRECTIONS[options.data])}")
    if options.minutes:
        options.epochs = 10_000
    return options


def load(options):
    """Pairs to learn from and to choose by, different sentences to test on with all their translations; tokenizers."""
    from keraszoo.data.dataset import divide
    from keraszoo.diagnostics import by_source
    from keraszoo.text import Tokenizer

    real = options.data == "tatoeba_eng_fra"
    more = dict(direction=options.direction, data_dir=options.data_dir) if real else {}
    data = keraszoo.data.load(options.data, test=options.test, **more)
    print(data)
    train, test = data.train, data.test
    if real:  # languages that share letters share sub-words
        vocabulary = Tokenizer.learn([*train[0], *train[1]], kind="bpe", size=options.vocabulary, lower=True)
    else:
        vocabulary = data.vocabulary(options.vocabulary)
        if options.direction != DIRECTIONS[options.data][0]:
            train, test, vocabulary = train[::-1], test[::-1], vocabulary[::-1]
    train = [texts[: options.count] for texts in train]
    if real:  # every other source without its mark, as people ask: sentences of the set all end in one
        train[0] = [text.rstrip(" .!?") if i % 2 == 0 else text for i, text in enumerate(train[0])]
    learn, choose = divide(len(train[0]), min(0.05, 1000 / len(train[0])))
    parts = ([[texts[i] for i in rows] for texts in train] for rows in (learn, choose))
    return *parts, by_source(*test), vocabulary


def nets(options, vocabulary):
    """What is compared: a label, the name of an architecture, and its arguments."""
    from keraszoo import front, registry

    common = dict(vocabulary=vocabulary, length=options.length, dropout=options.dropout)
    pair = vocabulary if isinstance(vocabulary, tuple) else (vocabulary, vocabulary)

    def recurrent(attention, **more):
        sizes = dict(embed_dim=options.embed_dim, units=options.units, depth=options.depth, cell=options.cell)
        return {**common, "vocabulary": pair, **sizes, "bidirectional": True, "attention": attention, **more}

    def count(name, arguments):
        entry, config = registry.entry(name), {k: v for k, v in arguments.items() if k != "vocabulary"}
        sizes = (
            tuple(map(len, arguments["vocabulary"])) if isinstance(arguments["vocabulary"], tuple) else None
        )
        config["vocabulary_size"] = sizes or len(arguments["vocabulary"])
        return front.trainable(front.abstract(entry.load(), {**entry.size, **config}))

    def matching(attention):
        """The recurrent net whose size is nearest to that of the Transformer."""
        most = count(options.model, common)
        found, units = None, 8
        while True:
            tried = recurrent(attention, units=units)
            miss = abs(count("seq2seq", tried) - most)
            if found and miss > found[0]:
                return found[1]
            found, units = (miss, tried), units + 8

    if options.model == "seq2seq" or not options.alone:
        for label, attention in RECURRENT.items():
            yield label, "seq2seq", matching(attention) if options.matched else recurrent(attention)
    if options.model != "seq2seq":
        yield options.model, options.model, common


def learn(options, label, name, arguments, train, validation, test):
    """A translator that has learned, and the seconds it took."""
    from keraszoo.callbacks import Budget, Curves, History, TextTranslations
    from keraszoo.training import Noam
    from keraszoo.training.optimizers import Adam

    folder = options.out / label.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    model = keraszoo.build(name, seed=options.seed, **arguments)
    if name == "seq2seq":
        model.optimizer.learning_rate = options.rate
    else:
        rate = Noam(model.get_config()["embed_dim"], options.warmup)
        model.compile(Adam(rate, beta_2=0.98, epsilon=1e-9))
    print(f"{label}: {model.count_params():,} parameters, {arguments.get('units', 'no')} units")
    sources, references = (part[:6] for part in test)
    watch = [
        TextTranslations(sources, [texts[0] for texts in references], file=folder / "said.txt"),
        History(folder / "history.csv"),
        Curves(folder / "curves.png"),
        *([Budget(options.minutes)] if options.minutes else []),
    ]
    buckets = dict(buckets=10, multiple=4)  # what is short is not filled up to what is long
    begun = time.monotonic()
    model.fit(
        model.read(*train, batch_size=options.batch_size, shuffle=True, seed=options.seed, **buckets),
        validation_data=model.read(*validation, batch_size=256, **buckets),
        epochs=options.epochs,
        callbacks=watch,
        verbose=2,
    )
    model.save(folder / "model.keras")
    return model, time.monotonic() - begun


def judge(options, model, test):
    """BLEU and the share of translations that are right to the letter, greedy and with beams."""
    from keraszoo.diagnostics import bleu, exact
    from keraszoo.text.tokenizer import words_of

    def spaced(text):
        """Words and marks apart: "n'est" is said as three tokens."""
        return " ".join(words_of(text))

    sources, references = test[0], [list(map(spaced, texts)) for texts in test[1]]
    found = {}
    for beams in (1, options.beams):
        said = list(map(spaced, model.translate(sources, beams=beams)))
        found[beams] = bleu(said, references, lowercase=True), exact(said, references, lowercase=True)
    return found


def picture(options, model, texts):
    """Where a model looked as it translated: of a Transformer, each head of each block by itself as well."""
    from keraszoo.callbacks.texts import alignments, attention_maps

    found = [model.attention_of(text) for text in texts]
    if model.card["architecture"] != "seq2seq":
        kinds = {"cross": "from what was written to the source", "source": "within the source"}
        for kind, title in {**kinds, "target": "within what was written"}.items():
            path = options.out / f"heads_{kind}.png"
            attention_maps(path, model.attention_of(texts[0], kind=kind), title)
        found = [each.of(layer=-1) for each in found]
    alignments(options.out / "attention.png", found)


def main():
    options = parse()
    if importlib.util.find_spec("sacrebleu") is None:
        sys.exit("BLEU needs sacrebleu, which is not installed: pip install keraszoo[demo]")
    train, validation, test, vocabulary = load(options)
    print(f"{len(train[0])} pairs to learn from, {len(test[0])} different sentences to test on; {vocabulary}")

    from keraszoo.callbacks.files import whole

    options.out.mkdir(parents=True, exist_ok=True)
    rows = [["", "parameters", "seconds", "beams", "BLEU", "exact"]]
    for label, name, arguments in nets(options, vocabulary):
        model, seconds = learn(options, label, name, arguments, train, validation, test)
        for beams, (score, share) in judge(options, model, test).items():
            rows.append(
                [label, model.count_params(), f"{seconds:.0f}", beams, f"{score:.1f}", f"{share:.1%}"]
            )
        if texts := SAY.get(options.direction):
            for text, said in zip(texts, model.translate(texts, beams=options.beams), strict=True):
                print(f"  {text} -> {said}")
    longest = sorted(test[0], key=len)[-len(test[0]) // 4 :]
    picture(options, model, longest[:4])
    with whole(options.out / "comparison.csv") as beside, open(beside, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    for row in rows:
        print(*(f"{cell!s:20}" if i == 0 else f"{cell!s:>12}" for i, cell in enumerate(row)))
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
