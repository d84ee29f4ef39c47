"""What comes next in a series: a recurrent net against the forecast that nothing changes. A minute or two.

    KERAS_BACKEND=jax python apps/forecast.py
    KERAS_BACKEND=jax python apps/forecast.py --data nab_timeseries --series realKnownCause__nyc_taxi

The net sees a window of the series, scaled by what it was trained on, and says by how much the next
value differs from the last. It is judged on the end of the series, which it has never seen.
"""

import argparse
from pathlib import Path

import numpy as np

import keraszoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="tides", help="a set of keraszoo.data; tides needs no files")
    parser.add_argument("--series", help="which series of nab_timeseries")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument("--model", default="gru", help="simple_rnn, lstm, gru, leaky_rnn or skip_rnn")
    parser.add_argument("--window", type=int, default=48, help="steps that are seen")
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/forecast"))
    return parser.parse_args()


def draw(path, name, truth, found, last):
    """The end of the series, its forecasts, and how far off they are on the whole of the test part."""
    from keraszoo.callbacks import pictures

    shown = slice(-min(len(truth), 200), None)
    figure, panels = pictures.sheet(2, width=7, height=3.2, columns=1)
    panels[0].plot(truth[shown], color="black", label="true")
    panels[0].plot(found[shown], color="tab:blue", label=name)
    panels[0].plot(last[shown], color="tab:orange", linestyle=":", label="the last value")
    for forecast, colour, label in ((found, "tab:blue", name), (last, "tab:orange", "the last value")):
        panels[1].plot(np.sort(np.abs(forecast - truth)), color=colour, label=label)
    panels[0].set_title("one step ahead")
    panels[1].set_title("all errors, sorted")
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.legend()
    pictures.save(figure, path)


def main():
    options = parse()
    given = {"series": options.series, "data_dir": options.data_dir}
    data = keraszoo.data.load(
        options.data, window=options.window, **{key: value for key, value in given.items() if value}
    )
    print(data)
    (x, y), (x_test, y_test) = data.train, data.test
    centre, scale = x.mean(), x.std()

    model = keraszoo.build(
        options.model,
        seed=options.seed,
        input_shape=data.input_shape,
        num_values=1,
        units=options.units,
    )
    seen, changes = ((v - m) / scale for v, m in ((x, centre), (y, x[:, -1])))
    model.fit(seen, changes, batch_size=options.batch_size, epochs=options.epochs, verbose=2)

    last = x_test[:, -1]
    found = last + model.predict((x_test - centre) / scale, verbose=0) * scale
    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / "model.keras")
    draw(options.out / "forecast.png", options.model, y_test[:, 0], found[:, 0], last[:, 0])
    for name, forecast in (("the last value", last), (options.model, found)):
        error = forecast - y_test
        print(
            f"{name:>16}: mean absolute error {np.abs(error).mean():.4g}, root mean square {np.sqrt((error**2).mean()):.4g}"
        )
    print(f"pictures and model: {options.out}")


if __name__ == "__main__":
    main()
