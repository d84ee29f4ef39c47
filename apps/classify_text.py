"""Teach a recurrent net to say what a text is about, beside a classifier that only counts words. Seconds to minutes.

    KERAS_BACKEND=torch python apps/classify_text.py

Leaves a folder with the model, which takes raw text, its curves and a picture of what it confuses. Real texts:
    ... --data imdb_reviews --data-dir FOLDER    is a review of a film positive? 81 %, counting words 86 %
    ... --data surnames --data-dir FOLDER        which of 18 languages does a name come from?
    ... --data clinc150 --data-dir FOLDER        which of 150 things is wanted, or none of them?
"""

import argparse
import time
from pathlib import Path

import keraszoo

SUITS = {  # what is learned from each set in minutes on two cores
    "requests": dict(epochs=15, units=32, embed_dim=32),
    "imdb_reviews": dict(epochs=8, vocabulary=10000, max_length=256, dropout=0.5, pooling="mean"),
    "surnames": dict(epochs=15, batch_size=64, units=128, embed_dim=64, dropout=0.2),
    "clinc150": dict(epochs=15, batch_size=64, units=128, embed_dim=128, dropout=0.4),
}
OTHERWISE = dict(epochs=10, units=64, embed_dim=64, dropout=0.2, pooling="last", batch_size=32)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="lstm", help="or gru, simple_rnn, leaky_rnn, skip_rnn")
    parser.add_argument("--data", default="requests", choices=list(SUITS))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--count", type=int, help="training texts; else all")
    parser.add_argument("--units", type=int, help="of each direction")
    parser.add_argument("--embed-dim", type=int, help="features of a token")
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--vocabulary", type=int, help="tokens that are known; else all")
    parser.add_argument("--max-length", type=int, help="tokens of a text that are read; else all")
    parser.add_argument(
        "--pooling", choices=["last", "mean"], help="judge by the last state, or by the mean of all"
    )
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate at the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/classify_text"))
    options = parser.parse_args()
    for key, value in {**OTHERWISE, **SUITS[options.data]}.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    return options


def counting(train, test, kind):
    """Accuracy of logistic regression on how often words, or groups of letters, occur."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    letters = dict(analyzer="char_wb", ngram_range=(1, 3)) if kind == "characters" else {}
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, **letters), LogisticRegression(C=10, max_iter=1000)
    )
    return model.fit(*train).score(*test)


def main():
    options = parse()
    data = keraszoo.data.load(options.data, data_dir=options.data_dir, validation=0.1)
    print(data)
    texts, labels = (part[: options.count] for part in data.train)
    vocabulary = data.vocabulary(options.vocabulary)

    import keras

    from keraszoo.callbacks import Curves, History, pictures

    model = keraszoo.build(
        options.model,
        seed=options.seed,
        input_shape=(None,),
        vocabulary=vocabulary,
        max_length=options.max_length,
        class_names=data.class_names,
        units=options.units,
        embed_dim=options.embed_dim,
        dropout=options.dropout,
        pooling=options.pooling,
        bidirectional=True,
    )
    model.optimizer.learning_rate = options.rate
    print(
        f"{options.model} in both directions: {model.count_params():,} weights, {len(vocabulary):,} tokens known"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    best = options.out / "model.keras"
    callbacks = [
        Curves(options.out / "curves.png"),
        History(options.out / "history.csv"),
        keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.3, monitor="val_accuracy"),
        keras.callbacks.EarlyStopping(patience=3, monitor="val_accuracy", restore_best_weights=True),
    ]
    begun = time.monotonic()
    model.fit(
        texts,
        labels,
        validation_data=data.validation,
        epochs=options.epochs,
        batch_size=options.batch_size,
        callbacks=callbacks,
        verbose=2,
    )
    print(f"fitted in {time.monotonic() - begun:.0f} s")
    model.save(best)

    asked, truth = data.test
    found = model.predict(asked, batch_size=128, verbose=0).argmax(-1)
    print(f"test accuracy {(found == truth).mean():.4f}: {options.model}")
    score = counting((texts, labels), data.test, vocabulary.kind)
    print(f"test accuracy {score:.4f}: logistic regression on counts, for comparison")
    pictures.confusion_matrix(options.out / "confusion.png", truth, found, data.class_names)
    for text, i in list(zip(asked, found, strict=True))[:3]:
        print(f"  {data.class_names[i]}: {text[:70]!r}")
    print(f"see {options.out}; try: keraszoo predict {best} {asked[0][:40]!r}")


if __name__ == "__main__":
    main()
