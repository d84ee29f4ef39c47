"""Teach two recurrent nets to translate, with and without attention, and say how good they are. Minutes.

    KERAS_BACKEND=jax python apps/translate.py

Leaves a folder with both models, which take raw text, their curves, what they said after each epoch, a table with
BLEU on sentences that they have not seen, and a picture of where the one with attention looked. Real languages:
    ... --data tatoeba_eng_fra --data-dir FOLDER                        English to French
    ... --data tatoeba_eng_fra --data-dir FOLDER --reverse-direction    French to English
"""

import argparse
import csv
import importlib.util
import sys
import time
from pathlib import Path

import keraszoo

SUITS = {  # what is learned from each set in minutes on two cores
    "number_words": dict(epochs=20, units=128, embed_dim=32, batch_size=64, length=24),
    "tatoeba_eng_fra": dict(
        epochs=4, units=256, embed_dim=128, batch_size=128, length=24, vocabulary=6000, dropout=0.2
    ),
}
OTHERWISE = dict(vocabulary=None, dropout=0.0)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="seq2seq", choices=["seq2seq"])
    parser.add_argument("--data", default="number_words", choices=list(SUITS))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument(
        "--reverse-direction", action="store_true", help="from the second language to the first"
    )
    parser.add_argument("--count", type=int, help="training pairs; else all")
    parser.add_argument("--test", type=int, default=500, help="different sentences to test on")
    parser.add_argument("--units", type=int, help="of each recurrent layer, in each direction")
    parser.add_argument("--embed-dim", type=int, help="features of a token")
    parser.add_argument("--depth", type=int, default=1, help="recurrent layers on either side")
    parser.add_argument("--cell", default="lstm", choices=["lstm", "gru"])
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--vocabulary", type=int, help="tokens that are known of each language; else all")
    parser.add_argument("--length", type=int, help="tokens of a translation, at most")
    parser.add_argument("--beams", type=int, default=4, help="of the search in the table's last column")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/translate"))
    options = parser.parse_args()
    for key, value in {**OTHERWISE, **SUITS[options.data]}.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    return options


def load(options):
    """Pairs to learn from, different sentences to test on, and all translations of each."""
    from keraszoo.diagnostics import by_source

    more = {}
    if options.data == "tatoeba_eng_fra":
        more = dict(
            direction="fra-eng" if options.reverse_direction else "eng-fra", data_dir=options.data_dir
        )
    data = keraszoo.data.load(options.data, test=options.test, **more)
    print(data)
    vocabulary = data.vocabulary(options.vocabulary)
    parts = [data.train, data.test]
    if options.reverse_direction and not more:
        parts, vocabulary = [part[::-1] for part in parts], vocabulary[::-1]
    pairs, test = parts
    return [texts[: options.count] for texts in pairs], by_source(*test), vocabulary


def learn(options, train, test, vocabulary, attention):
    """A translator that has learned, its logs, and the seconds it took."""
    from keraszoo.callbacks import Curves, History, TextTranslations

    folder = options.out / ("with_attention" if attention else "without_attention")
    folder.mkdir(parents=True, exist_ok=True)
    model = keraszoo.build(
        options.model,
        vocabulary=vocabulary,
        attention=attention,
        bidirectional=True,
        embed_dim=options.embed_dim,
        units=options.units,
        depth=options.depth,
        cell=options.cell,
        dropout=options.dropout,
        length=options.length,
        seed=options.seed,
    )
    model.optimizer.learning_rate = options.rate
    print(f"{folder.name.replace('_', ' ')}: {model.count_params():,} parameters")
    sources, references = (part[:6] for part in test)
    watch = [
        TextTranslations(sources, [texts[0] for texts in references], file=folder / "said.txt"),
        History(folder / "history.csv"),
        Curves(folder / "curves.png"),
    ]
    begun = time.monotonic()
    model.fit(
        *train,
        validation_split=0.05,
        batch_size=options.batch_size,
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
        """Words and marks apart, as the vocabulary has them: "n'est" is said as three tokens."""
        return " ".join(words_of(text))

    sources, references = test[0], [list(map(spaced, texts)) for texts in test[1]]
    found = {}
    for beams in (1, options.beams):
        said = list(map(spaced, model.translate(sources, beams=beams)))
        found[beams] = bleu(said, references, lowercase=True), exact(said, references, lowercase=True)
    return found


def main():
    options = parse()
    if importlib.util.find_spec("sacrebleu") is None:
        sys.exit("BLEU needs sacrebleu, which is not installed: pip install keraszoo[demo]")
    train, test, vocabulary = load(options)
    print(
        f"{len(train[0])} pairs to learn from, {len(test[0])} different sentences to test on; ", *vocabulary
    )

    from keraszoo.callbacks.files import whole
    from keraszoo.callbacks.texts import alignments

    options.out.mkdir(parents=True, exist_ok=True)
    rows = [["", "parameters", "seconds", "beams", "BLEU", "exact"]]
    for attention in (False, True):
        model, seconds = learn(options, train, test, vocabulary, attention)
        name = "with attention" if attention else "without attention"
        for beams, (score, share) in judge(options, model, test).items():
            rows.append([name, model.count_params(), f"{seconds:.0f}", beams, f"{score:.1f}", f"{share:.1%}"])
    longest = sorted(test[0], key=len)[-len(test[0]) // 4 :]
    alignments(options.out / "attention.png", [model.attention_of(text) for text in longest[:4]])
    with whole(options.out / "comparison.csv") as beside, open(beside, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    for row in rows:
        print(*(f"{cell!s:20}" if i == 0 else f"{cell!s:>12}" for i, cell in enumerate(row)))
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
