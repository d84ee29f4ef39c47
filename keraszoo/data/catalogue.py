"""Names to data sets."""

import inspect
from pathlib import Path

from keraszoo.data import (
    directory,
    embedded,
    folder,
    from_tfds,
    pairs,
    raytraced,
    scene_files,
    sentences,
    series,
    texts,
    treebank,
)
from keraszoo.data.dataset import Dataset, divided
from keraszoo.registry import nearest

TFDS = "tfds:"
SETS = {
    loader.__name__: loader
    for loader in (
        embedded.digits,
        embedded.photographs,
        embedded.shapes,
        embedded.sine_curve,
        directory.fashion_mnist,
        directory.cifar10_subset,
        directory.caltech_faces,
        directory.emoji_styles,
        directory.omniglot,
        directory.nuclei,
        directory.neuron_em,
        pairs.edges_to_photos,
        raytraced.ray_traced_scene,
        scene_files.nerf_lego,
        sentences.apples,
        sentences.descriptions,
        sentences.number_words,
        sentences.reports,
        sentences.requests,
        sentences.wishes,
        series.nab_timeseries,
        series.tides,
        texts.clinc150,
        texts.imdb_reviews,
        texts.scitldr,
        texts.surnames,
        texts.tatoeba_eng_fra,
        texts.tiny_shakespeare,
        texts.ud_english_ewt,
        texts.wikisplit,
        texts.wikitext2,
        texts.wnut17_ner,
        texts.xquad_en,
        treebank.sentiment_trees,
        treebank.sst_trees,
    )
}


def list_datasets():
    """Sorted names that `load` knows, besides folders of images and "tfds:..."."""
    return sorted(SETS)


def load(name, *, data_dir=None, validation=0.0, **options) -> Dataset:
    """A data set: its parts as arrays, and what describes them.

    Args:
        name: One of `list_datasets()`; or the path of a folder of images, one subfolder for each
            class, or such folders called `train`, `test` and maybe `validation`; or of a scene, see
            `keraszoo.data.scene_files`; or "tfds:mnist" for what TensorFlow Datasets calls `mnist`.
        data_dir: The folder that holds the files, for sets that are not part of the package. The
            environment variable KERASZOO_DATA names it for all. Sets that need none ignore it.
        validation: Share of the training part to set apart, in [0, 1). Classes keep their shares.
            The choice is the same every time.
        **options: What the set has to offer. Most take `image_size=(height, width)`.

    Raises:
        ValueError: There is no such set; the message gives the nearest names. Or a file is damaged,
            or an option out of range.
        TypeError: The set has no such option; the message gives the nearest ones.
        FileNotFoundError: The files are not there; the message tells how to put them there.

    >>> keraszoo.data.load("digits").input_shape
    (28, 28, 1)
    """
    if not 0 <= validation < 1:
        raise ValueError(f"validation must be a share in [0, 1), got {validation!r}.")
    name, given = str(name), ()
    if name in SETS:
        loader = SETS[name]
    elif name.startswith(TFDS):
        loader, given = from_tfds.load, (name.removeprefix(TFDS),)
    elif Path(name).exists() and scene_files.is_scene(Path(name)):
        loader, given = scene_files.load, (name,)
    elif Path(name).is_dir():
        loader, given = folder.load, (name,)
    else:
        raise ValueError(
            f"No data set is called {name!r}, and there is no such folder. "
            f"{nearest(name, SETS, 'keraszoo.data.list_datasets()')}"
        )
    known = list(inspect.signature(loader).parameters)[len(given) :]
    for option in options.keys() - set(known):
        offers = f"its options, {', '.join(sorted({*known, 'validation'}))}"
        raise TypeError(f"{name} has no option {option!r}. {nearest(option, known, offers)}")
    if "data_dir" in known:
        options["data_dir"] = data_dir
    if "validation" in known:  # it reads only what it needs, so it must know now
        return loader(*given, validation=validation, **options)
    return divided(loader(*given, **options), validation)
