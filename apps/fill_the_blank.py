"""Teach a net language by letting it fill in blanks, then use what it knows where labels are few. Seconds to minutes.

    KERAS_BACKEND=torch python apps/fill_the_blank.py

Pre-trains a BERT on texts alone, fine-tunes it to say what a text is about, to tag words and to find answers, and
compares each with the same net from scratch. The embedded sentences are simple; real texts:
    ... --data wikisplit imdb_reviews clinc150 ud_english_ewt --data-dir FOLDER
        --tasks imdb_reviews clinc150 ud_english_ewt xquad_en
Labels are kept from it until it is fine-tuned. Short and simple texts are what gets a tiny net going: after five epochs of
the first two sets alone it knew how frequent words are, and not yet what stands beside them.
A BERT that was pre-trained elsewhere takes the same steps:
    ... --checkpoint FOLDER_OF_BERT --model bert_base --tasks clinc150 --data-dir FOLDER --tune-rate 5e-5
Leaves a folder with the models, what was filled in after each epoch, a table and a picture of the comparison.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import keraszoo

EMBEDDED = {"requests": dict(count=1200), "apples": dict(count=400), "wishes": dict(count=600)}
SUITS = {  # how a task is learned
    "requests": dict(labels=12, epochs=30, batch_size=8),
    "apples": dict(labels=24, epochs=30, batch_size=8),
    "wishes": dict(labels=48, epochs=30, batch_size=8),
    "imdb_reviews": dict(labels=500, epochs=8),
    "clinc150": dict(labels=1500, epochs=20),
    "ud_english_ewt": dict(labels=500, epochs=20),
    "xquad_en": dict(epochs=4),
}
OTHERWISE = dict(labels=None, batch_size=32)
PRETRAINING = dict(epochs=12, batch_size=32, rate=3e-3)  # of embedded sentences
REAL = dict(epochs=4, batch_size=32, rate=1e-3)  # of real texts, a quarter of an hour on one core
DROPOUT = 0.1  # of fine-tuning; in pre-training a tiny net learns too little for that, not too much
PRETRAINED, SCRATCH = "pre-trained", "from scratch"
BLANKS = {
    "requests": ["play some [MASK]", "wake me at [MASK]", "will it rain in [MASK]"],
    "apples": ["[MASK] sells a new phone", "the [MASK] is red and round"],
    "wikisplit": ["He was born in [MASK] .", "The [MASK] was built in the 19th century ."],
    "imdb_reviews": ["This was the [MASK] movie I have ever seen.", "The acting is [MASK]."],
}
OUT_OF_SCOPE = "oos"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="bert_tiny", help="or bert_mini, bert_small ...")
    parser.add_argument(
        "--checkpoint",
        help="in place of pre-training: a .keras file of a BERT; or the folder of a reference checkpoint of --model,"
        "\nor its name on the Hub",
    )
    parser.add_argument("--data", nargs="+", default=list(EMBEDDED), help="sets whose texts to pre-train on")
    parser.add_argument("--tasks", nargs="+", default=list(EMBEDDED), choices=list(SUITS))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--count", type=int, help="texts of each set to pre-train on; else all")
    parser.add_argument("--embed-dim", type=int, help="features of a token; else the model's own")
    parser.add_argument("--vocabulary", type=int, default=4000, help="tokens that are known, at most")
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a text that are read")
    parser.add_argument("--epochs", type=int, help="of pre-training")
    parser.add_argument("--batch-size", type=int, help="of pre-training")
    parser.add_argument("--rate", type=float, help="highest learning rate of pre-training")
    parser.add_argument("--labels", type=int, help="labelled texts to fine-tune on; else what suits the task")
    parser.add_argument("--tune-epochs", type=int, help="of fine-tuning; else what suits the task")
    parser.add_argument("--tune-rate", type=float, default=5e-4, help="highest learning rate of fine-tuning")
    parser.add_argument(
        "--seeds", type=int, default=1, help="fine-tune with so many seeds, and take the mean"
    )
    parser.add_argument("--seed", type=int, default=0, help="of pre-training")
    parser.add_argument("--out", type=Path, default=Path("runs/fill_the_blank"))
    options = parser.parse_args()
    for key, value in (PRETRAINING if set(options.data) <= set(EMBEDDED) else REAL).items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    return options


def texts_of(data):
    """The texts of a set, without what they are labelled with: those of pairs are told one after the other."""
    if data.running:
        return [line for line in data.train[0].splitlines() if line.strip()]
    x = data.train[0]
    return x if isinstance(x[0], str) else [" ".join(text) for text in x]


def scored(model, rate, epochs, batches):
    """Compile anew with AdamW; the rate rises for a tenth of the steps, then falls along a cosine."""
    import keras

    steps = epochs * batches
    warm = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(0.0, max(1, steps - warm), 0.0, "fall", rate, warm)
    model.compile(
        **keraszoo.tasks.TASKS[model.task].scoring(
            optimizer="adamw", learning_rate=rate, weight_decay=0.01, global_clipnorm=1.0
        )
    )


def pretrain(options, sets):
    """A model that fills in blanks, fitted on the texts of some sets."""
    from keraszoo.callbacks import Curves, Filled, History
    from keraszoo.text import Tokenizer

    texts = [text for data in sets for text in texts_of(data)[: options.count]]
    tokenizer = Tokenizer.learn(texts, "wordpiece", size=options.vocabulary, lower=True, mask=True)
    order = np.random.default_rng(options.seed).permutation(len(texts))
    held = max(1, len(texts) // 20)
    train, validation = ([texts[i] for i in part] for part in (order[held:], order[:held]))
    model = keraszoo.build(
        options.model,
        seed=options.seed,
        vocabulary=tokenizer,
        context=options.max_length,
        dropout=0.0,
        **({"embed_dim": options.embed_dim} if options.embed_dim else {}),
    )
    print(
        f"{options.model}: {model.count_params():,} weights, {len(tokenizer):,} tokens known; {len(train):,} texts"
    )
    scored(model, options.rate, options.epochs, -(-len(train) // options.batch_size))
    blanks = [text for data in sets for text in BLANKS.get(data.name, ())]
    begun = time.monotonic()
    model.fit(
        train,
        validation_data=validation,
        batch_size=options.batch_size,
        epochs=options.epochs,
        callbacks=[
            Filled(options.out / "filled.txt", blanks),
            Curves(options.out / "curves.png"),
            History(options.out / "history.csv"),
        ],
        verbose=2,
    )
    model.save(options.out / "model.keras")
    print(f"pre-trained in {time.monotonic() - begun:.0f} s")
    return model


def given(options):
    """A model that was pre-trained elsewhere."""
    if options.checkpoint.endswith(".keras"):
        return keraszoo.load(options.checkpoint)
    return keraszoo.build(
        options.model, weights=options.checkpoint, max_length=options.max_length, seed=options.seed
    )


def in_scope(data, part):
    """Texts and labels of a part without those that belong to no class."""
    none = data.class_names.index(OUT_OF_SCOPE)
    kept = np.flatnonzero(part[1] != none)
    names = [name for name in data.class_names if name != OUT_OF_SCOPE]
    return [part[0][i] for i in kept], part[1][kept] - (part[1][kept] > none), names


def classes(model, data):
    """Accuracy on test texts; where some belong to no class, also how well confidence tells them apart."""
    from sklearn.metrics import roc_auc_score

    texts, truth = data.test
    outputs = model.predict(texts, batch_size=64, verbose=0)
    if OUT_OF_SCOPE not in data.class_names:
        return {"accuracy": float((outputs.argmax(-1) == truth).mean())}
    sure = keraszoo.tasks.TASKS[model.task].probabilities(outputs).max(-1)
    known = truth != data.class_names.index(OUT_OF_SCOPE)
    _, numbers, _ = in_scope(data, data.test)
    right = float((outputs[known].argmax(-1) == numbers).mean())
    return {"accuracy in scope": right, "AUROC of confidence": float(roc_auc_score(known, sure))}


def tags(model, data):
    """Accuracy of the tags of test words."""
    texts, truth = data.test
    found = [row.argmax(-1) for row in model.predict(texts, batch_size=64, verbose=0)]
    right = [(said == real[: len(said)]).sum() for said, real in zip(found, truth, strict=True)]
    return {"accuracy": float(np.sum(right) / sum(map(len, truth)))}


def spans(model, data):
    """How many test questions are answered just so, and how many words answers have in common, by F1."""
    pairs, truth = data.test
    found = [answer.text for answer in model.answer(*map(list, zip(*pairs, strict=True)))]

    def common(said, real):
        said, real = said.lower().split(), real.lower().split()
        both = sum(min(said.count(word), real.count(word)) for word in set(said))
        return 2 * both / (len(said) + len(real))

    exact = np.mean([said.lower() == real.lower() for said, (_, real) in zip(found, truth, strict=True)])
    shared = np.mean([common(said, real) for said, (_, real) in zip(found, truth, strict=True)])
    return {"exact": float(exact), "F1": float(shared)}


TASKS = {  # of a data set: our task, and how it is judged
    "text_classification": ("text_classification", classes),
    "text_tagging": ("token_classification", tags),
    "question_answering": ("question_answering", spans),
}


def tune(options, model, data, way, seed):
    """Scores on the test part of a task after learning from labels, beginning with what a model knows, or with nothing."""
    import keras

    settings = {**OTHERWISE, **SUITS[data.name]}
    labels, epochs = options.labels or settings["labels"], options.tune_epochs or settings["epochs"]
    task, judge = TASKS[data.task]
    (x, y), names = data.train, data.class_names
    if names and OUT_OF_SCOPE in names:
        x, y, names = in_scope(data, data.train)
    few = np.random.default_rng(seed).permutation(len(x))[:labels]
    x, y = ([part[i] for i in few] for part in (x, y))
    keras.utils.set_random_seed(seed)
    if way == SCRATCH:  # the same net, with weights of its own
        card, tokenizers = model.card, model.tokenizers
        model = type(model).from_config(model.get_config())
        model.card, model.tokenizers = card, tokenizers
    model = model.for_task(task, class_names=names, dropout=DROPOUT)
    scored(model, options.tune_rate, epochs, -(-len(x) // settings["batch_size"]))
    begun = time.monotonic()
    model.fit(x, y, epochs=epochs, batch_size=settings["batch_size"], verbose=0)
    if way == PRETRAINED:
        model.save(options.out / f"{data.name}.keras")
    scores = judge(model, data)
    said = ", ".join(f"{name} {value:.1%}" for name, value in scores.items())
    print(f"{data.name}, {len(x):,} labelled texts, {way}: {said} ({time.monotonic() - begun:.0f} s)")
    return scores


def tell(options, table):
    """The comparison as a table and as a picture."""
    from keraszoo.callbacks.files import whole
    from keraszoo.callbacks.pictures import save, sheet

    rows = [["task", "score", PRETRAINED, SCRATCH]]
    for (task, score), pair in table.items():
        rows.append([task, score, *(f"{pair[way]:.4f}" for way in (PRETRAINED, SCRATCH))])
    with whole(options.out / "comparison.csv") as beside, open(beside, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    print()
    for row in rows:
        print(f"{row[0]:18}{row[1]:22}{row[2]:14}{row[3]}")
    figure, (panel,) = sheet(1, width=2 + 1.6 * len(table), height=4, columns=1)
    places = np.arange(len(table))
    for shift, way in ((-0.2, PRETRAINED), (0.2, SCRATCH)):
        panel.bar(places + shift, [pair[way] for pair in table.values()], 0.38, label=way)
    panel.set_xticks(places, [f"{task}\n{score}" for task, score in table], fontsize=8)
    panel.set_ylim(0, 1)
    panel.grid(alpha=0.3, axis="y")
    panel.legend()
    save(figure, options.out / "comparison.png")
    print(f"see {options.out}")


def main():
    options = parse()
    sets, tasks = (
        [keraszoo.data.load(name, data_dir=options.data_dir, **EMBEDDED.get(name, {})) for name in names]
        for names in ([] if options.checkpoint else options.data, options.tasks)
    )
    options.out.mkdir(parents=True, exist_ok=True)
    model = given(options) if options.checkpoint else pretrain(options, sets)
    table = {}
    for data in tasks:
        for way in (PRETRAINED, SCRATCH):
            runs = [tune(options, model, data, way, seed) for seed in range(options.seeds)]
            for score in runs[0]:
                mean = float(np.mean([run[score] for run in runs]))
                table.setdefault((data.name, score), {})[way] = mean
    tell(options, table)


if __name__ == "__main__":
    main()
