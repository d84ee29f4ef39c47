"""Pictures of how a model does: its curves, a classifier's answers, a generator's samples. Each file is written whole."""

import warnings
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keraszoo.callbacks.files import whole

RIGHT, WRONG, MUTED = "tab:green", "tab:red", "0.45"
FILMS = (".gif", ".mp4")


def curves(path, rows):
    """The loss and every metric by epoch, each in a panel of its own, in training and in validation.

    Args:
        path: The PNG file.
        rows: A dict for each epoch, with `epoch` and numbers; `val_loss` belongs to `loss`, and so on.
    """
    names = dict.fromkeys(key.removeprefix("val_") for row in rows for key in row if key != "epoch")
    figure, panels = sheet(len(names), width=4.4, height=3.2, columns=3)
    for panel, name in zip(panels, names, strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            points = [(row["epoch"], row[key]) for row in rows if key in row]
            if points:
                panel.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else "", label=label)
        panel.set_title(name.replace("_", " "))
        panel.set_xlabel("epoch")
        panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        panel.grid(alpha=0.3)
        panel.legend()
    save(figure, path)


def confusion_matrix(path, y_true, y_pred, class_names):
    """How many samples of each class (rows) were taken for each class (columns).

    The shade is the share of the row. Above 25 classes the counts are left out, above 200 the names.

    Args:
        path: The PNG file.
        y_true, y_pred: (samples,), integers: class numbers.
        class_names: A name for each class.
    """
    count = len(class_names)
    table = np.zeros((count, count), int)
    np.add.at(table, (np.asarray(y_true), np.asarray(y_pred)), 1)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    cell, size = (0.45, 9) if count <= 25 else (0.14, 7)  # inches, points
    side = 2.5 + cell * min(count, 200)
    figure, (panel,) = sheet(1, width=side + 0.8, height=side, columns=1)
    shades = panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shades, ax=panel, shrink=0.8, label="share of the true class")
    if count <= 200:
        names = [short(name, 24) for name in class_names]
        panel.set_xticks(range(count), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
        panel.set_yticks(range(count), names, fontsize=size)
    panel.set_xlabel("predicted")
    panel.set_ylabel("true")
    panel.set_title(f"accuracy {table.trace() / max(table.sum(), 1):.4f}, {table.sum():,} samples")
    if count <= 25:
        for (row, column), number in np.ndenumerate(table):
            if number:
                colour = "white" if share[row, column] > 0.5 else "black"
                panel.text(column, row, str(number), ha="center", va="center", fontsize=8, color=colour)
    save(figure, path)


def predictions(path, images, labels, probabilities, class_names, count=25, worst_first=False):
    """A sheet of images with what a classifier says of each; where it errs, in red, and the truth below.

    Args:
        path: The PNG file.
        images: (samples, height, width, channels) or (samples, height, width): bytes from 0 to 255,
            or floats, of which the darkest becomes black and the brightest white.
        labels: (samples,), integers: true class numbers; None where they are not known.
        probabilities: (samples, classes), floats in [0, 1].
        class_names: A name for each class.
        count: Images shown, at most.
        worst_first: Show the samples in the order of `ranking`, not in their own.
    """
    images, probabilities = np.asarray(images), np.asarray(probabilities)
    if len({len(part) for part in (images, probabilities, labels) if part is not None}) != 1:
        raise ValueError("images, labels and probabilities must hold the same number of samples.")
    said, sure = probabilities.argmax(axis=-1), probabilities.max(axis=-1)
    wrong = np.zeros(len(said), bool) if labels is None else said != np.asarray(labels)
    order = ranking(labels, probabilities) if worst_first else np.arange(len(said))
    order = order[:count]
    figure, panels = sheet(len(order), width=1.7, height=2.0, columns=5)
    low, high = (0, 255) if images.dtype == np.uint8 else (float(images.min()), float(images.max()))
    for panel, i in zip(panels, order, strict=True):
        picture = images[i].astype("float32")
        if picture.ndim == 2 or picture.shape[-1] == 1:
            panel.imshow(picture.reshape(picture.shape[:2]), cmap="gray", vmin=low, vmax=high)
        else:
            panel.imshow((picture[..., :3] - low) / max(high - low, 1e-7))
        panel.set_xticks([])
        panel.set_yticks([])
        colour = MUTED if labels is None else WRONG if wrong[i] else RIGHT
        for edge in panel.spines.values():
            edge.set(color=colour, linewidth=2)
        panel.set_title(f"{short(class_names[said[i]], 15)} ({sure[i]:.0%})", fontsize=8, color=colour)
        if wrong[i]:
            panel.set_xlabel(f"is {short(class_names[labels[i]], 18)}", fontsize=8)
    save(figure, path)


def grid(path, images, title="", captions=None, columns=None):
    """Generated images side by side, in rows.

    Args:
        path: The PNG file.
        images: (count, height, width, channels), one channel or three: floats in [-1, 1], or bytes.
        title: Above all of them.
        captions: A word for each image, in its corner.
        columns: Images in a row; by default such that there are about as many rows.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = np.clip((images + 1) * 127.5, 0, 255).astype("uint8")
    count, height, width, channels = images.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    gap = max(1, width // 16)
    page = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, "uint8")
    corners = [(i // columns * (height + gap), i % columns * (width + gap)) for i in range(count)]
    for image, (top, left) in zip(images, corners, strict=True):
        page[top : top + height, left : left + width] = image
    side = max(0.7, width / 100)  # inches, at a hundred pixels each
    figure, (panel,) = sheet(
        1, width=columns * side + 0.2, height=rows * side * height / width + 0.5, columns=1
    )
    panel.imshow(page.repeat(3, axis=2) if channels == 1 else page, interpolation="nearest")
    panel.set_axis_off()
    panel.set_title(title, fontsize=10)
    for caption, (top, left) in zip(captions or [], corners, strict=False):
        text = panel.text(left, top, short(caption, 12), fontsize=7, color="white", va="top")
        text.set_bbox(dict(facecolor="black", edgecolor="none", alpha=0.6, pad=1))
    save(figure, path)


def heat(path, images, maps, captions=(), title=""):
    """Images, each beside copies of itself that glow where a map is large: what a network looks at.

    Args:
        path: The PNG file.
        images: (count, height, width, channels), one channel or three: bytes, or floats, of which the
            darkest becomes black and the brightest white.
        maps: (count, columns, rows of patches, columns of patches), floating, not negative; the
            largest value of each map glows most.
        captions: A word for each column of maps.
        title: Above all of them.
    """
    images, maps = np.asarray(images, "float32"), np.asarray(maps, "float32")
    low, high = images.min(), images.max()
    images = (images - low) / max(high - low, 1e-7)
    count, columns = maps.shape[:2]
    figure, panels = sheet(count * (1 + columns), width=1.5, height=1.7, columns=1 + columns)
    for row in range(count):
        for column in range(1 + columns):
            panel = panels[row * (1 + columns) + column]
            picture = images[row].repeat(3, -1) if images.shape[-1] == 1 else images[row]
            panel.imshow(picture if column == 0 else 0.4 * picture)
            if column:
                glow = maps[row, column - 1] / max(maps[row, column - 1].max(), 1e-12)
                edges = (-0.5, images.shape[2] - 0.5, images.shape[1] - 0.5, -0.5)
                panel.imshow(glow, cmap="inferno", alpha=0.75 * glow, extent=edges, interpolation="bilinear")
            panel.set_axis_off()
            if row == 0:
                panel.set_title(["image", *captions][column] if column <= len(captions) else "", fontsize=8)
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def scatter(path, real, generated, title=""):
    """Points that a model learned from, and points that it made. The frame is that of the real ones.

    Args:
        path: The PNG file.
        real, generated: (count, 2), floating; counts may differ.
        title: Above all of them.
    """
    real, generated = np.asarray(real), np.asarray(generated)
    figure, (panel,) = sheet(1, width=5.6, height=3.8, columns=1)
    panel.plot(*real.T, ".", color="0.75", markersize=4, label="real")
    panel.plot(*generated.T, ".", color="tab:blue", markersize=4, label="generated")
    low, high = real.min(axis=0), real.max(axis=0)
    for limit, a, b in zip((panel.set_xlim, panel.set_ylim), low, high, strict=True):
        limit(a - 0.15 * (b - a), b + 0.15 * (b - a))
    panel.set_title(title, fontsize=10)
    panel.set_xlabel("x")
    panel.set_ylabel("y")
    panel.grid(alpha=0.3)
    panel.legend(loc="upper right")
    save(figure, path)


def players(path, rows):
    """The losses of all players in one panel; what each discriminator gets right in another, if known.

    Args:
        path: The PNG file.
        rows: A dict for each epoch, with `epoch` and numbers, of which those called `NAME_loss` and
            `NAME_accuracy` are drawn; `val_NAME_loss` is drawn dashed, in the colour of `NAME_loss`.
    """
    names = dict.fromkeys(key.removeprefix("val_") for row in rows for key in row)
    kinds = {
        "losses": [name for name in names if name.endswith("_loss")],
        "accuracies": [name for name in names if name.endswith("_accuracy")],
    }
    kinds = {title: found for title, found in kinds.items() if found}
    figure, panels = sheet(len(kinds), width=5.2, height=3.6, columns=2)
    for panel, (title, found) in zip(panels, kinds.items(), strict=True):
        for number, name in enumerate(found, start=3 * (title == "accuracies")):
            for key, style in ((name, "-"), (f"val_{name}", "--")):
                points = [(row["epoch"], row[key]) for row in rows if key in row]
                if points:
                    label = key.rsplit("_", 1)[0].replace("val_", "validation: ").replace("_", " ")
                    marker = "." if len(points) < 30 else ""
                    panel.plot(
                        *zip(*points, strict=True), style, color=f"C{number}", marker=marker, label=label
                    )
        if title == "accuracies":
            panel.axhline(0.5, color=MUTED, linewidth=0.8)
            panel.set_ylim(-0.02, 1.02)
        panel.set_title(title)
        panel.set_xlabel("epoch")
        panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        panel.grid(alpha=0.3)
        panel.legend()
    save(figure, path)


def trees(path, tree, panels, class_names):
    """A tree, drawn once for each opinion of its nodes, coloured from the first class (red) to the last (green).

    Args:
        path: The PNG file.
        tree: A `keraszoo.text.Tree`; its own labels are not looked at.
        panels: Dict from titles to (nodes, classes), floats in [0, 1]: probabilities of each node, in the order of
            `tree.nodes()`. A node shows its likeliest class; its colour is the mean one.
        class_names: A name for each class, in an order that means something.

    Raises:
        ValueError: A panel has not as many rows as the tree has nodes.
    """
    from matplotlib import colormaps

    nodes = tree.nodes()
    at = {node: i for i, node in enumerate(nodes)}
    for title, shares in panels.items():
        if np.shape(shares) != (len(nodes), len(class_names)):
            raise ValueError(
                f"{title!r} must hold {len(class_names)} probabilities for each of {len(nodes)} nodes, got shape "
                f"{np.shape(shares)}."
            )
    across, up = np.zeros(len(nodes)), np.zeros(len(nodes))
    leaves = [i for i, node in enumerate(nodes) if not node.children]
    across[leaves] = np.arange(len(leaves))
    for i in reversed(range(len(nodes))):  # children come after their parents
        if below := [at[child] for child in nodes[i].children]:
            across[i], up[i] = across[below].mean(), 1 + up[below].max()
    width, height = max(5.0, 0.75 * len(leaves)), 1.5 + 0.42 * up.max()
    figure, found = sheet(len(panels), width=width, height=height, columns=1)
    classes = len(class_names)
    for panel, (title, shares) in zip(found, panels.items(), strict=True):
        for i, node in enumerate(nodes):
            for child in node.children:
                panel.plot(
                    *zip((across[i], up[i]), (across[at[child]], up[at[child]]), strict=True),
                    color="0.75",
                    lw=1,
                )
        middle = np.asarray(shares) @ np.arange(classes) / max(classes - 1, 1)
        panel.scatter(
            across, up, s=170, c=colormaps["RdYlGn"](middle), edgecolors="0.4", linewidths=0.6, zorder=2
        )
        for i, node in enumerate(nodes):
            number = str(np.argmax(shares[i]))
            panel.text(across[i], up[i], number, ha="center", va="center", fontsize=8, zorder=3)
            if node.word is not None:
                panel.text(
                    across[i], up[i] - 0.9, short(node.word, 12), ha="center", va="baseline", fontsize=9
                )
        panel.set_title(title, fontsize=10)
        panel.set_xlim(-0.7, len(leaves) - 0.3)
        panel.set_ylim(-1.4, up.max() + 0.6)
        panel.set_axis_off()
    key = ", ".join(f"{k} {name}" for k, name in enumerate(class_names))
    figure.supxlabel(key, fontsize=8, color=MUTED)
    save(figure, path)


def animation(path, files, seconds=0.2, most=100, linger=2.0):
    """Pictures one after the other, as a film.

    Args:
        path: A file that ends in .gif or .mp4.
        files: Pictures of one size: files, or arrays (height, width, 3), uint8.
        seconds: How long each is shown.
        linger: How many seconds longer the last one stays.
        most: Pictures shown; of more, so many are chosen evenly, the first and the last among them.

    Raises:
        ValueError: `path` ends otherwise.
    """
    import imageio.v3 as imageio

    path, files = Path(path), list(files)
    if path.suffix not in FILMS:
        raise ValueError(f"path must end in {' or '.join(FILMS)}, got {str(path)!r}.")
    files = [
        files[i] for i in np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).round().astype(int))
    ]
    files += [files[-1]] * round(linger / seconds)
    # A film's sides are even.
    frames = [
        np.pad(f, ((0, f.shape[0] % 2), (0, f.shape[1] % 2), (0, 0)), mode="edge") for f in map(rgb, files)
    ]
    with whole(path) as beside:
        if path.suffix == ".gif":
            if all((f == f[..., :1]).all() for f in frames):
                frames = [
                    (np.round(f / 17) * 17).astype("uint8") for f in frames
                ]  # sixteen greys: a third of the size
            imageio.imwrite(beside, frames, plugin="pillow", duration=1000 * seconds, loop=0)
        else:
            with warnings.catch_warnings():  # JAX warns of forks; this one becomes ffmpeg at once
                warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
                imageio.imwrite(beside, frames, plugin="FFMPEG", fps=1 / seconds, macro_block_size=2)


def rgb(file):
    """A picture, a file or an array, as (height, width, 3), uint8."""
    from PIL import Image

    if isinstance(file, np.ndarray):
        return file
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def ranking(labels, probabilities):
    """The samples in the order in which to look at them, as (samples,) integers.

    First the errors, those made with most confidence first; then the right answers, those given
    with least confidence first.

    Args:
        labels: (samples,), integers: true class numbers; None where they are not known.
        probabilities: (samples, classes), floats in [0, 1].
    """
    probabilities = np.asarray(probabilities)
    sure = probabilities.max(axis=-1)
    wrong = (
        np.zeros(len(sure), bool) if labels is None else probabilities.argmax(axis=-1) != np.asarray(labels)
    )
    return np.argsort(np.where(wrong, -1 - sure, sure), kind="stable")


def short(name, most):
    """A name in so many characters, at most."""
    name = str(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def sheet(count, width, height, columns):
    """A figure, and `count` panels of a size in inches, so many to a row."""
    columns = max(1, min(columns, count))
    rows = max(1, -(-count // columns))
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    FigureCanvasAgg(figure)  # draws in memory: no window, no state shared with other figures
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[count:]:
        panel.remove()
    return figure, panels[:count]


def save(figure, path):
    """Write a figure as a PNG file, whole or not at all."""
    with whole(path) as beside:
        figure.savefig(beside, format="png", dpi=100)
