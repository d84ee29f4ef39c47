"""A small GPT-2 learns to write, letter by letter or in pieces of words. A minute.

    KERAS_BACKEND=jax python apps/write_text.py
    KERAS_BACKEND=jax python apps/write_text.py --kind bpe

Prints how it goes on with a prompt after each epoch, how well it foretells a text that it has not seen, in nats per
character whatever its tokens are, and in the end writes as one reads: each token appears as soon as it is known.
Leaves a folder with the model, its curves and what it wrote. The text is what scikit-learn says of its data sets.
Plays, and larger models for a graphics processor:
    ... --data tiny_shakespeare --data-dir FOLDER
    ... --data tiny_shakespeare --data-dir FOLDER --model gpt2 --kind bpe --size 8000 --dropout 0.2
"""

import argparse
import time
from pathlib import Path

import keraszoo

SUITS = {  # what is learned from each set in minutes on two cores
    "descriptions": dict(
        sizes=dict(embed_dim=96, depth=3, num_heads=3, context=64),
        epochs=10,
        batch_size=8,
        learning_rate=3e-3,
        size=400,
        prompt="The data set ",
    ),
    "tiny_shakespeare": dict(
        sizes=dict(embed_dim=128, depth=4, num_heads=4, context=64),
        epochs=8,
        batch_size=16,
        learning_rate=2e-3,
        size=512,
        prompt="ROMEO:\n",
    ),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="descriptions", choices=list(SUITS))
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--count", type=int, help="letters of the training text; else all")
    parser.add_argument("--kind", default="characters", choices=["characters", "bpe"], help="of tokens")
    parser.add_argument("--size", type=int, help="tokens to learn, for bpe")
    parser.add_argument("--model", default="gpt2_nano", help="or gpt2, gpt2_medium and so on")
    for name in ("embed-dim", "depth", "num-heads", "context"):
        parser.add_argument(f"--{name}", type=int, help="of gpt2_nano; other models have sizes of their own")
    parser.add_argument("--dropout", type=float, help="else that of the model")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int, help="pieces of text, as long as the context, in a step")
    parser.add_argument("--learning-rate", type=float, help="at its highest")
    parser.add_argument("--prompt", help="what the samples go on with")
    parser.add_argument("--length", type=int, default=200, help="tokens of a sample")
    parser.add_argument("--temperature", type=float, default=0.8, help="of what is drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/write_text"))
    options = parser.parse_args()
    for key, value in SUITS[options.data].items():
        if getattr(options, key, None) is None:
            setattr(options, key, value)
    if options.model != "gpt2_nano":
        options.sizes = {}
    for key in ("embed_dim", "depth", "num_heads", "context", "dropout"):
        if (value := getattr(options, key)) is not None:
            options.sizes[key] = value
    return options


def compiled(model, steps, options):
    """The model, with a learning rate that rises for a twentieth of the steps and then falls to a tenth."""
    import keras

    from keraszoo.training.optimizers import AdamW

    rise = max(1, steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - rise, alpha=0.1, warmup_target=options.learning_rate, warmup_steps=rise
    )
    model.compile(AdamW(rate, weight_decay=0.1, beta_2=0.99, global_clipnorm=1.0), loss=model.loss)
    return model


def nats(model, text):
    """How surprised the model is by each character of a text, on average; its first token is given."""
    first = len(model.tokenizer.decode(model.running(text)[:1]))
    return -model.log_probabilities(text).sum() / (len(text) - first)


def main():
    options = parse()
    from keraszoo.callbacks import Curves, Written

    data = keraszoo.data.load(options.data, data_dir=options.data_dir)
    print(data)
    text, validation, test = (part[0] for part in (data.train, data.validation, data.test))
    text = text[: options.count]
    size = options.size if options.kind == "bpe" else None
    tokenizer = keraszoo.text.Tokenizer.learn([text], kind=options.kind, size=size)
    model = keraszoo.build(options.model, vocabulary=tokenizer, seed=options.seed, **options.sizes)
    numbers = model.running(text)
    steps = options.epochs * -(-((len(numbers) - 1) // model.window) // options.batch_size)
    print(
        f"{options.model}, {model.count_params():,} weights; {len(text):,} characters are {len(numbers):,} of "
        f"{tokenizer!r}; {steps:,} steps"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    drawing = dict(length=options.length, temperature=options.temperature, seed=options.seed)
    start = time.monotonic()
    compiled(model, steps, options).fit(
        numbers,
        validation_data=model.running(validation),
        epochs=options.epochs,
        batch_size=options.batch_size,
        callbacks=[
            Curves(options.out / "curves.png"),
            Written(options.out / "written.txt", options.prompt, **drawing),
        ],
        verbose=2,
    )
    seconds = time.monotonic() - start
    model.save(options.out / "model.keras")
    for name, part in (("validation", validation), ("test", test)):
        print(f"{name}: {nats(model, part):.3f} nats per character, after {seconds:.0f} s of learning")

    print(f"\n{options.prompt}", end="", flush=True)
    start, count = time.monotonic(), 0
    for piece in model.stream(options.prompt, **drawing | dict(length=2 * options.length)):
        print(piece, end="", flush=True)
        count += 1
    print(f"\n\n{count / (time.monotonic() - start):.0f} pieces a second; see {options.out}")


if __name__ == "__main__":
    main()
