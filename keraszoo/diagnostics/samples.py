"""How good generated images are, and how varied: told by a classifier that knows the real ones.

Generated and real images are compared as sets, by the features that the classifier sees in them. A
figure means nothing alone: `report` puts beside it what an untrained generator gets and what real
images get against other real ones.
"""

import keras
import numpy as np


def frechet_distance(a, b):
    """How far apart two sets of features are, taken for normal distributions; 0 for equal ones.

    Heusel et al. 2017, https://arxiv.org/abs/1706.08500, equation 6: the square
    `|m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2))`. The paper takes features of Inception-v3, which
    knows ImageNet; figures for features of another network are on another scale. The fewer the
    samples, the greater the distance: compare only figures of equal counts.

    Args:
        a, b: (count, features), floating. Counts may differ; each must exceed the number of features,
            without which no covariance of full rank can be known.

    Returns:
        A float from 0.

    Raises:
        ValueError: There are too few samples, `a` and `b` differ in features, or one holds NaN or infinity.
    """
    a, b = pair(("a", a), ("b", b))
    for name, x in (("a", a), ("b", b)):
        if len(x) <= x.shape[1]:
            raise ValueError(f"{name} must hold more samples than features, got {len(x)} of {x.shape[1]}.")
    means, roots = zip(*((x.mean(axis=0), root(x)) for x in (a, b)), strict=True)
    # With C = R'R, the trace of (C_a C_b)^(1/2) is the sum of the singular values of R_a R_b'. Nothing
    # is squared and no root is taken of a difference, so singular covariances do no harm.
    crossed = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    traces = sum((r**2).sum() for r in roots)
    return float(max(((means[0] - means[1]) ** 2).sum() + traces - 2 * crossed, 0.0))


def root(x):
    """A matrix R for which R'R is the covariance of samples."""
    return np.linalg.qr((x - x.mean(axis=0)) / np.sqrt(len(x) - 1), mode="r")


def precision_recall(real, fake, k=5):
    """Which share of the fakes looks real, and which share of the real ones could be faked.

    Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, equation 2. A sample lies in the reach of
    a set if it is no farther from one of its members than that member's `k`-th neighbour in the set.
    Read the two together: samples that are all alike, and be they noise that a classifier takes for one
    of its classes, may lie in the reach of some real one; their recall is near 0.

    Args:
        real, fake: (count, features), floating. Counts should be equal.
        k: Which neighbour; the paper takes 3.

    Returns:
        precision: Share of `fake` in the reach of `real`, a float in [0, 1]: low for poor samples.
        recall:    Share of `real` in the reach of `fake`: low for samples that are all alike.

    Raises:
        ValueError: A set has no more than `k` samples, the two differ in features, or hold NaN or infinity.
    """
    real, fake = pair(("real", real), ("fake", fake))
    for name, x in (("real", real), ("fake", fake)):
        if not 1 <= k < len(x):
            raise ValueError(f"k must be from 1 to the {len(x)} samples of {name} less one, got {k}.")
    return reached(real, fake, k), reached(fake, real, k)


def reached(members, samples, k):
    """Share of the samples in the reach of the members."""
    from sklearn.metrics import pairwise_distances_chunked

    def measured(
        samples, reduce
    ):  # not "euclidean", by which a sample is not quite at distance 0 from itself
        parts = pairwise_distances_chunked(
            samples, members, metric="sqeuclidean", reduce_func=lambda block, _: reduce(block)
        )
        return np.concatenate(list(parts))

    radii = measured(members, lambda block: np.partition(block, k, axis=1)[:, k])  # its nearest is itself
    return float(measured(samples, lambda block: (block <= radii).any(axis=1)).mean())


def pair(*named):
    """Two feature sets in float64, after a look at whether they can be compared."""
    found = []
    for name, x in named:
        x = np.asarray(x, "float64")
        if x.ndim != 2:
            raise ValueError(f"{name} must have shape (count, features), got {x.shape}.")
        if not np.isfinite(x).all():
            raise ValueError(f"{name} must be finite, but holds NaN or infinity.")
        found.append(x)
    if found[0].shape[1] != found[1].shape[1]:
        names = " and ".join(name for name, _ in named)
        raise ValueError(f"{names} must have as many features, got {found[0].shape} and {found[1].shape}.")
    return found


class Judge:
    """A classifier that looks at images, and says what it sees and what it takes them for.

    Calling it gives `features`, (count, features), what goes into the last layer, and `probabilities`,
    (count, classes), both float32.

    Args:
        classifier: A functional model that takes raw images, 0 to 255, and ends in logits, such as
            `keraszoo.load("saved_models/lenet5_digits.keras")`.

    Raises:
        ValueError: The classifier is not such a model.
    """

    def __init__(self, classifier):
        shapes = (getattr(classifier, "input_shape", None), getattr(classifier, "output_shape", None))
        if [isinstance(shape, tuple) and len(shape) for shape in shapes] != [4, 2]:
            raise ValueError(
                "classifier must be a model from images (batch, height, width, channels) to logits "
                f"(batch, classes), got {classifier!r}."
            )
        self.class_names = getattr(classifier, "card", {}).get("class_names")
        copy = keras.models.clone_model(classifier)  # one graph, whatever the layers were called on before
        copy.set_weights(classifier.get_weights())
        self.model = keras.Model(copy.inputs, [copy.layers[-1].input, keras.ops.softmax(copy.outputs[0])])
        self.num_classes = classifier.output_shape[-1]

    def __call__(self, images):
        """What it sees in images: bytes from 0 to 255, or floats in [-1, 1]."""
        images, wanted = raw(images), self.model.input_shape[1:]
        if images.shape[1:] != wanted:
            raise ValueError(f"The classifier takes images of shape {wanted}, got {images.shape[1:]}.")
        return tuple(self.model.predict(images, batch_size=256, verbose=0))


def raw(images):
    """Images as floats from 0 to 255; they come as bytes, or as floats in [-1, 1]."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images.astype("float32")
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if not (low >= -1.001 and high <= 1.001):  # true for NaN, too
        raise ValueError(f"images must be bytes, or floats in [-1, 1], got floats from {low} to {high}.")
    return (images.astype("float32") + 1) * 127.5


def features(classifier, images):
    """What a classifier sees in images: its features before the last layer, and its probabilities.

    Args:
        classifier: As of `Judge`, or a `Judge`, which saves time where there is more to look at.
        images: (count, height, width, channels): uint8 from 0 to 255, or floats in [-1, 1].

    Returns:
        features: (count, features), float32.
        probabilities: (count, classes), float32.

    Raises:
        ValueError: The classifier takes other images, or their values are out of range.
    """
    return (classifier if isinstance(classifier, Judge) else Judge(classifier))(images)


def class_shares(probabilities):
    """Share of the samples that is taken for each class: (classes,), floats that add up to 1.

    Args:
        probabilities: (count, classes), floating; what is greatest in its row counts.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(
            f"probabilities must have shape (count, classes) with a count from 1, got {probabilities.shape}."
        )
    said = probabilities.argmax(axis=1)
    return np.bincount(said, minlength=probabilities.shape[1]) / len(said)


def seen(shares):
    """Which classes are there: (classes,), bool; a fifth of an equal share is enough to count."""
    return np.asarray(shares) >= 1 / (5 * len(shares))


def classes_seen(shares):
    """How many classes are there, of those that `class_shares` tells of."""
    return int(seen(shares).sum())


def report(samples, real, classifier, count=None, seed=0):
    """Figures for generated images, between those for noise and those for real images.

    Real images are dealt into two halves at random. One is what everything is compared with; the
    other, as long, shows in the row "real against real" what can be reached at most.

    Args:
        samples: A model with a `sample` method, which gets the rows "untrained" (a new one with the same
            arguments) and "model"; or a dict from names of rows to images, as many as a half has.
        real: (count, height, width, channels), uint8 from 0 to 255, or floats in [-1, 1].
        classifier: As of `Judge`.
        count: Images in a half, at most.
        seed: Of the noise, and of the dealing.

    Returns:
        A dict from names of rows to dicts of `frechet_distance`, `precision`, `recall` and `classes_seen`;
        `table` prints it.

    Raises:
        ValueError: There are too few real images, or images do not fit the classifier.
    """
    real = np.asarray(real)
    half = min(len(real) // 2, count or len(real))
    order = np.random.default_rng(seed).permutation(len(real))
    judge = classifier if isinstance(classifier, Judge) else Judge(classifier)
    if not isinstance(samples, dict):
        new = type(samples).from_config(samples.get_config())
        samples = {"untrained": new.sample(half, seed=seed), "model": samples.sample(half, seed=seed)}
    samples = {**samples, "real against real": real[order[half : 2 * half]]}
    against, _ = judge(real[order[:half]])
    return {name: figures(against, *judge(images)) for name, images in samples.items()}


def figures(real, fake, probabilities):
    """A row of the report, from features of real and generated images."""
    precision, recall = precision_recall(real, fake)
    return dict(
        frechet_distance=frechet_distance(real, fake),
        precision=precision,
        recall=recall,
        classes_seen=classes_seen(class_shares(probabilities)),
    )


def table(rows):
    """A report as lines of text."""
    columns = list(next(iter(rows.values())))
    width = max(map(len, rows))
    lines = [" ".join([" " * width, *(f"{c.replace('_', ' '):>16}" for c in columns)])]
    for name, row in rows.items():
        cells = (f"{row[c]:>16}" if isinstance(row[c], int) else f"{row[c]:>16.3f}" for c in columns)
        lines.append(" ".join([f"{name:<{width}}", *cells]))
    return "\n".join(lines)
