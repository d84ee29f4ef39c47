"""Teach a generative adversarial network to draw points on the sine curve, and watch it learn.

    KERAS_BACKEND=jax python apps/learn_a_curve.py

Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, on points in the plane: half a minute on a
laptop. Leaves a folder with the model, a film of its points, and the losses of its two players.
"""

import argparse
from pathlib import Path

import keraszoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="sine_curve", help="a set of points of keraszoo.data")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument(
        "--ahead", type=int, default=0, help="epochs in which the discriminator learns alone, first"
    )
    parser.add_argument(
        "--balance",
        type=int,
        metavar="N",
        help="in the second half, stop when the discriminator has only guessed for N epochs",
    )
    parser.add_argument("--every", type=int, default=5, help="epochs from picture to picture of the film")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/learn_a_curve"))
    return parser.parse_args()


def main():
    options = parse()
    data = keraszoo.data.load(options.data, data_dir=options.data_dir)
    print(data)
    points, _ = data.train

    from keraszoo.callbacks import Balance, Losses, Scatter
    from keraszoo.diagnostics import coverage, curve_error

    options.out.mkdir(parents=True, exist_ok=True)
    model = keraszoo.build("gan", seed=options.seed, input_shape=data.input_shape)
    losses = Losses(options.out / "losses.png")
    plan = dict(batch_size=options.batch_size, verbose=0)
    if options.ahead:
        model.fit(points, epochs=options.ahead, only=["discriminator"], callbacks=[losses], **plan)
    callbacks = [losses, Scatter(options.out / "points", points, every=options.every)]
    if options.balance:
        callbacks.append(
            Balance(patience=options.balance, start_from_epoch=options.ahead + options.epochs // 2)
        )
    last = options.ahead + options.epochs
    model.fit(points, initial_epoch=options.ahead, epochs=last, callbacks=callbacks, **plan)
    model.save(options.out / "model.keras")

    made = model.sample(1000, seed=options.seed)
    print(
        f"mean |y - sin x| {curve_error(made):.3f}; {coverage(made):.0%} of the wave reached; see {options.out}"
    )


if __name__ == "__main__":
    main()
