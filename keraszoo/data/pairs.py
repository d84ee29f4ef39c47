"""Pairs of images, made from images: what to translate, and into what."""

from keraszoo.data import directory, embedded
from keraszoo.data.dataset import Dataset
from keraszoo.data.images import edges, pieces

SOURCES = ("digits", "photographs", "fashion_mnist", "caltech_faces")


def edges_to_photos(source="digits", image_size=None, sigma=1.0, data_dir=None):
    """Outlines, and the images that they were taken from.

    Args:
        source: What the images are: "digits" or "photographs" (both part of the package), "fashion_mnist"
            or "caltech_faces". The two photographs are cut into pieces: the last row of each, of the
            piece's height, is for testing.
        image_size: (height, width) in pixels; by default 28x28 for digits and fashion_mnist, 64x64 else.
        sigma: Width of the blur before edges are looked for, in pixels.
        data_dir: Folder that holds the files of fashion_mnist or caltech_faces.

    Raises:
        ValueError: There is no such source.
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {source!r}.")
    if source == "digits":
        held = embedded.digits(image_size or (28, 28))
    elif source == "photographs":
        held = embedded.photographs()
    else:
        held = getattr(directory, source)(image_size, data_dir)
    if source == "photographs":
        size = image_size or (64, 64)
        photos = held.train[0]
        edge = photos.shape[1] // size[0] * size[0] - size[0]
        train, test = pieces(photos[:, :edge], size), pieces(photos[:, edge:], size)
    else:
        train, test = held.train[0], held.test[0]
    return Dataset(
        name="edges_to_photos",
        task="image_translation",
        train=(edges(train, sigma), train),
        test=(edges(test, sigma), test),
        source=f"{held.source}; edges by Canny's filter",
        licence=held.licence,
        citation=held.citation,
        note="x holds edges, black on white, one channel; y[i] is what x[i] was taken from.",
    )
