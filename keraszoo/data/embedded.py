"""Data sets that need no file: scikit-learn's real images, and what is drawn on the spot."""

import numpy as np

from keraszoo.data.dataset import Dataset
from keraszoo.data.images import checked_size, resized, with_channels


def digits(image_size=(28, 28)):
    """1,437 and 360 real handwritten digits, enlarged from 8x8 pixels.

    Args:
        image_size: (height, width) in pixels; (8, 8) leaves the images as they were scanned.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype("uint8")
    images, labels = with_channels(resized(images, image_size)), labels.astype("int32")
    parts = train_test_split(images, labels, test_size=360, stratify=labels, random_state=0)
    x_train, x_test, y_train, y_test = parts
    return Dataset(
        name="digits",
        task="image_classification",
        train=(x_train, y_train),
        test=(x_test, y_test),
        class_names=tuple("0123456789"),
        source="scikit-learn's load_digits: the test part of UCI's optical recognition of handwritten digits",
        licence="CC BY 4.0",
        citation="E. Alpaydin, C. Kaynak: Optical recognition of handwritten digits, UCI, 1998",
        note="Made from 8x8 counts of ink in 0..16, scaled to 0..255 and enlarged by bicubic interpolation.",
        recipe=shifts_and_turns,
    )


def shifts_and_turns():
    """Digits stay what they are if shifted a little and turned a little."""
    from keraszoo.layers import RandomAffine

    return [RandomAffine(degrees=10, translation=0.1, zoom=0.1)]


def photographs(image_size=None):
    """Two colour photographs of 427x640 pixels: a Chinese temple and a flower.

    Args:
        image_size: (height, width) in pixels. None leaves the images as they are.
    """
    from sklearn.datasets import load_sample_images

    images = np.stack(load_sample_images().images)
    return Dataset(
        name="photographs",
        task="images",
        train=(resized(images, image_size), None),
        source="scikit-learn's load_sample_images: china.jpg and flower.jpg",
        licence="CC BY 2.0",
        citation="Photographs by danielbuechele and vultilion, flickr.com",
    )


def sine_curve(count=1024, seed=0):
    """Points on one wave of the sine: (x, sin x), with x spread evenly at random over [0, 2 pi].

    Args:
        count: Training points; a quarter as many test points come on top, at least one.
        seed: A non-negative integer. Test points do not depend on `count`.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}.")

    def part(number, size):
        x = np.random.default_rng((seed, number)).uniform(0, 2 * np.pi, size)
        return np.stack([x, np.sin(x)], axis=1).astype("float32"), None

    return Dataset(
        name="sine_curve",
        task="points",
        train=part(0, count),
        test=part(1, max(1, count // 4)),
        value_range=(-1.0, 6.2832),
        source=f"generated, seed {seed}",
        licence="none needed",
    )


SHAPES = ("circle", "square", "triangle")


def shapes(image_size=(64, 64), count=400, labels="masks", seed=0):
    """Noisy colour images of circles, squares and triangles, drawn on the spot.

    Each image holds up to one of each, in random sizes, places and colours, at random turns.

    Args:
        image_size: (height, width) in pixels, each at least 16.
        count: Training images; a quarter as many test images come on top, at least one.
        labels: "masks" gives every pixel its class; "presence" tells which shapes an image holds.
        seed: A non-negative integer. Test images do not depend on `count`.
    """
    height, width = checked_size(image_size)
    if min(height, width) < 16 or count < 1:
        raise ValueError(
            f"Sides must be at least 16 pixels and count at least 1, got {image_size=}, {count=}."
        )
    if labels not in ("masks", "presence"):
        raise ValueError(f'labels must be "masks" or "presence", got {labels!r}.')

    def part(number, size):
        images, masks = drawn(height, width, size, np.random.default_rng((seed, number)))
        if labels == "masks":
            return images, masks
        return images, np.stack([(masks == k + 1).any((1, 2)) for k in range(3)], -1).astype("float32")

    return Dataset(
        name="shapes",
        task="image_segmentation" if labels == "masks" else "multi_label_classification",
        train=part(0, count),
        test=part(1, max(1, count // 4)),
        class_names=("background", *SHAPES) if labels == "masks" else SHAPES,
        source=f"generated, seed {seed}",
        licence="none needed",
    )


def drawn(height, width, count, rng):
    """Images, (count, height, width, 3) uint8, and classes of their pixels, (count, height, width) int32."""
    rows, columns = np.mgrid[:height, :width].astype("float32")
    masks = np.zeros((count, height, width), "int32")
    palette = rng.uniform(60, 135, (count, 4, 3))  # of the background, and how far each shape is from it
    palette[:, 1:] += palette[:, :1]
    palette = 30 + palette % 195  # on a circle: every channel of a shape differs from the background by 60
    quarter = rng.permuted(np.tile(np.arange(4), (count, 1)), axis=1)  # a quarter of the image for each shape
    side = min(height, width) / 2
    for k, inside in enumerate([in_circle, in_square, in_triangle]):
        radius = rng.uniform(0.25, 0.5, (count, 1, 1)).astype("float32") * side
        turn = rng.uniform(0, 2 * np.pi, (count, 1, 1)).astype("float32")
        place = rng.uniform(-1, 1, (2, count, 1, 1)).astype("float32")
        y = (quarter[:, k, None, None] // 2 + 0.5) * height / 2 + place[0] * (height / 4 - radius)
        x = (quarter[:, k, None, None] % 2 + 0.5) * width / 2 + place[1] * (width / 4 - radius)
        y, x = (rows + 0.5 - y.astype("float32")) / radius, (columns + 0.5 - x.astype("float32")) / radius
        present = rng.random((count, 1, 1)) < 0.6
        masks[present & inside(y, x, turn)] = k + 1
    images = np.take_along_axis(palette.astype("float32"), masks.reshape(count, -1, 1), axis=1)
    images += rng.normal(0, 20, images.shape).astype("float32")
    return np.clip(images, 0, 255).astype("uint8").reshape(count, height, width, 3), masks


# Each shape fits into a circle of radius 1 around the origin.


def in_circle(y, x, turn):
    return y**2 + x**2 < 1


def in_square(y, x, turn):
    cos, sin = np.cos(turn), np.sin(turn)
    return np.maximum(np.abs(cos * y + sin * x), np.abs(cos * x - sin * y)) < np.sqrt(0.5)


def in_triangle(y, x, turn):
    sides = [
        np.cos(turn + angle) * y + np.sin(turn + angle) * x for angle in (0, 2 * np.pi / 3, 4 * np.pi / 3)
    ]
    return np.maximum.reduce(sides) < 0.5
