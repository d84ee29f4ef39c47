"""keras-hub behind the front door, on presets that its own `save_to_preset` writes here, with random weights."""

import os
import subprocess
import sys
import warnings

import keras
import keras_hub
import numpy as np
import pytest
from click.testing import CliRunner

import keraszoo
from keraszoo.cli import main

GOOD, BAD = ["a good film", "very good"], ["a bad film", "a badly bad film"]
TEXTS, LABELS = GOOD + BAD, [1, 1, 0, 0]
IMAGES = np.repeat(np.uint8([0, 80, 160, 240]), 20 * 20 * 3).reshape(4, 20, 20, 3)
CLASSES = ["dark", "bright"]
SAID = "the cat sat on the mat"


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """A folder with a preset for texts with WordPiece, one for writing by BPE, and one for images."""
    folder, models = tmp_path_factory.mktemp("presets"), keras_hub.models
    keras.utils.set_random_seed(0)
    size = dict(num_layers=1, num_heads=2)
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] a very good bad ##ly film".split()
    bert = models.BertBackbone(
        len(words), hidden_dim=8, intermediate_dim=16, max_sequence_length=12, dropout=0.0, **size
    )
    reader = models.BertTextClassifierPreprocessor(models.BertTokenizer(words), sequence_length=8)
    models.BertTextClassifier(bert, 2, reader, dropout=0.0).save_to_preset(str(folder / "bert"))

    letters = [*sorted(set(SAID) - {" "}), "Ġ", "th", "the", "Ġthe", "at", "<|endoftext|>"]
    merges = ["t h", "th e", "Ġ the", "a t"]
    tokenizer = models.GPT2Tokenizer({token: i for i, token in enumerate(letters)}, merges)
    gpt2 = models.GPT2Backbone(
        len(letters), hidden_dim=16, intermediate_dim=32, max_sequence_length=24, dropout=0.0, **size
    )
    writer = models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=20)
    models.GPT2CausalLM(gpt2, writer).save_to_preset(str(folder / "gpt2"))

    vit = models.ViTBackbone((16, 16, 3), 8, hidden_dim=8, mlp_dim=16, **size)
    converter = keras_hub.layers.ViTImageConverter(image_size=(16, 16), scale=1 / 127.5, offset=-1.0)
    camera = models.ViTImageClassifierPreprocessor(converter)
    models.ViTImageClassifier(vit, 2, camera).save_to_preset(str(folder / "vit"))
    return folder


@pytest.fixture(scope="module")
def reader(presets):
    """A classifier that has learned four texts, to a twentieth of the loss."""
    model = keraszoo.build(
        f"hub:{presets}/bert", task="text_classification", class_names=["bad", "good"], seed=0
    )
    losses = learn(model, TEXTS, LABELS, epochs=60, batch_size=2)
    assert losses[-1] < 0.05 * losses[0]
    return model


@pytest.fixture(scope="module")
def writer(presets):
    """A language model that has learned one sentence."""
    model = keraszoo.build(f"hub:{presets}/gpt2", task="language_modeling", seed=0)
    learn(model, [SAID] * 4, epochs=80)
    return model


@pytest.fixture(scope="module")
def viewer(presets):
    """A classifier that has learned to tell dark images from bright ones."""
    model = keraszoo.build(f"hub:{presets}/vit", task="image_classification", class_names=CLASSES, seed=0)
    losses = learn(model, IMAGES, ["dark", "dark", "bright", "bright"], epochs=60)
    assert losses[-1] < 0.05 * losses[0]
    return model


def learn(model, x, y=None, epochs=40, **options):
    """The losses of every epoch; the model, compiled by `build`, learns without a warning."""
    model.optimizer.learning_rate = 1e-2  # the default is for weights that have learned already
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "__array__ implementation")  # Keras with NumPy 2
        return model.fit(x, y, epochs=epochs, verbose=0, **options).history["loss"]


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def twin(model, presets, preset):
    """keras-hub's own model from a preset, with the weights of ours."""
    kind = type(model.inner)
    own = kind.from_preset(str(presets / preset))
    own.set_weights(model.inner.get_weights())
    return own


def test_texts_are_read_as_keras_hub_does(presets, reader):
    own = twin(reader, presets, "bert")
    expected = array(own(own.preprocessor(TEXTS)))
    same(reader.predict(TEXTS, verbose=0), expected)
    same(reader.predict(np.array(TEXTS), batch_size=3, verbose=0), expected)
    pairs = reader.predict((TEXTS, BAD + GOOD), verbose=0)
    same(pairs, array(own(own.preprocessor((TEXTS, BAD + GOOD), y=None))))
    assert (pairs != expected).any()


def test_images_are_scaled_as_the_preset_says(presets, viewer):
    x = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3))
    expected = twin(viewer, presets, "vit")((x / 127.5 - 1).astype("float32"))
    same(viewer.predict(x, verbose=0), array(expected))
    assert viewer.predict(IMAGES, verbose=0).shape == (4, 2)  # of 20 by 20


def test_weights_come_from_the_preset(presets):
    model = keraszoo.build(f"hub:{presets}/bert", task="text_classification")
    own = keras_hub.models.TextClassifier.from_preset(str(presets / "bert"))
    for a, b in zip(model.weights, own.weights, strict=True):
        same(array(a), array(b))


def test_what_was_learned_by_number_is_said_by_name(reader, tmp_path):
    for labels in (LABELS, ["good", "good", "bad", "bad"]):
        assert reader.evaluate(TEXTS, labels, verbose=0)[1] == 1
    reader.save(tmp_path / "reader.keras")
    said = CliRunner().invoke(
        main, ["predict", str(tmp_path / "reader.keras"), "a very good film", "--top=1"]
    )
    assert "%  good" in said.output, said.output


def test_a_language_model_goes_on_with_what_it_has_learned(writer):
    assert writer.generate("the cat") == SAID.removeprefix("the cat")
    assert writer.generate(["the cat sat", "the cat"], max_length=10) == [" o", " sat o"]
    assert writer.generate("the c", sampler=keras_hub.samplers.TopKSampler(1, seed=0)) == SAID[5:]


def test_a_masked_language_model_hides_the_same_words_for_the_same_seed(presets):
    model = keraszoo.build(f"hub:{presets}/bert", task="masked_language_modeling", max_length=6)
    learn(model, TEXTS, epochs=1)

    def batches(seed, epoch):
        return model.read(TEXTS * 8, shuffle=True, seed=seed, initial_epoch=epoch)[0][0]["token_ids"]

    first = batches(1, 0)
    assert first.shape == (32, 6) and (first == 4).any()  # [MASK]
    assert (first == batches(1, 0)).all()
    assert (first != batches(1, 1)).any() and (first != batches(2, 0)).any()


def test_a_new_classifier_for_a_network_that_has_learned(presets):
    model = keraszoo.build(f"hub:{presets}/bert", task="text_classification", num_classes=3)
    own = keras_hub.models.TextClassifier.from_preset(str(presets / "bert"))
    assert model.output_shape == (None, 3)
    for a, b in zip(model.inner.backbone.weights, own.backbone.weights, strict=True):
        same(array(a), array(b))


ELSEWHERE = """
import sys
from tests.reload import hide
other, folder = sys.argv[1:]
hide(*{"tensorflow", "torch", "jax"} - {other})

# nothing imports keras_hub before it is asked for
import keraszoo
keraszoo.build, keraszoo.list_models()
from click.testing import CliRunner
from keraszoo.cli import main
assert CliRunner().invoke(main, ["--help"]).exit_code == CliRunner().invoke(main, ["list"]).exit_code == 0
assert "keras_hub" not in sys.modules

# without it, one sentence says what to install
finders = list(sys.meta_path)
hide("keras_hub")
for call in (
    lambda: keraszoo.build("hub:bert_tiny_en_uncased", task="text_classification"),
    lambda: keraszoo.load(f"{folder}/reader.keras"),
):
    try:
        call()
        raise AssertionError("it is not there")
    except ImportError as error:
        assert str(error) == 'keras-hub is not installed: pip install "keraszoo[hub]"', error
sys.meta_path[:] = finders

# with it, files mean the same
import numpy as np
for name in ("reader", "writer", "viewer"):
    data = np.load(f"{folder}/{name}.npz")
    x = data["x"].tolist() if data["x"].dtype.kind == "U" else data["x"]
    model = keraszoo.load(f"{folder}/{name}.keras")
    np.testing.assert_allclose(model.predict(x, verbose=0), data["expected"], rtol=1e-4, atol=1e-4)
    if name == "reader":
        assert model.card["class_names"] == ["bad", "good"]
        assert model.optimizer.iterations == data["steps"]
        loss = model.fit(x, ["good", "good", "bad", "bad"], verbose=0).history["loss"][0]
        assert loss < 0.5, loss
"""


def test_in_another_process_on_another_backend_alone(reader, writer, viewer, tmp_path):
    for name, model, x in (("reader", reader, TEXTS), ("writer", writer, [SAID]), ("viewer", viewer, IMAGES)):
        model.save(tmp_path / f"{name}.keras")
        steps = array(model.optimizer.iterations)
        np.savez(tmp_path / f"{name}.npz", x=x, expected=model.predict(x, verbose=0), steps=steps)
    other = "jax" if keras.backend.backend() == "torch" else "torch"
    command = [sys.executable, "-c", ELSEWHERE, other, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": other})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("bert", dict(), "task must be one of 'text_classification', .* got None"),
        ("bert", dict(task="poetry"), "task must be one of 'text_classification', .* got 'poetry'"),
        ("bert", dict(task="language_modeling"), "task='language_modeling' cannot be built: .*BertBackbone"),
        ("bert", dict(task="image_classification"), "task='image_classification' cannot be built"),
        ("nothing", dict(task="text_classification"), "name='hub:.*nothing': there is no folder"),
        ("", dict(task="text_classification"), "has no config.json"),
        ("bert", dict(class_names=["a", "b", "c"]), "class_names has 3 names, but .* has 2 classes"),
        ("bert", dict(vocabulary=["a"]), "takes no vocabulary"),
        ("bert", dict(too_long="refuse"), 'too_long="truncate"'),
        ("bert", dict(max_length=13), "max_length=13 does not fit: .* up to 12 tokens"),
        ("vit", dict(task="image_classification", max_length=3), "max_length=3 does not fit: .* no texts"),
    ],
)
def test_what_cannot_be_built(presets, name, arguments, message):
    if set(arguments) & {"class_names", "vocabulary", "too_long", "max_length"}:
        arguments = {"task": "text_classification", **arguments}
    with pytest.raises(ValueError, match=message):
        keraszoo.build(f"hub:{presets}/{name}", **arguments)


def test_names_that_keras_hub_does_not_know_meet_their_nearest(presets):
    with pytest.raises(ValueError, match="no preset of that name. Did you mean 'bert_tiny_en_uncased'"):
        keraszoo.build("hub:bert_tiny_en_uncase", task="text_classification")
    with pytest.raises(TypeError, match="no argument 'num_clases'. Did you mean 'num_classes'"):
        keraszoo.build(f"hub:{presets}/bert", task="text_classification", num_clases=3)


def test_shares_become_logits(presets):
    more = dict(activation="softmax", num_classes=2)
    model = keraszoo.build(f"hub:{presets}/bert", task="text_classification", **more)
    x = model.prepared(TEXTS)
    np.testing.assert_allclose(np.exp(array(model(x))), array(model.inner(x)), rtol=1e-5)
    np.testing.assert_allclose(array(model.inner(x)).sum(-1), 1, rtol=1e-5)


def test_what_comes_of_half_precision_is_float32(presets):
    model = keraszoo.build(f"hub:{presets}/bert", task="text_classification", dtype="bfloat16")
    x = {name: keras.KerasTensor(part.shape, part.dtype) for name, part in model.prepared(TEXTS).items()}
    assert model.inner.compute_output_spec(x).dtype == "bfloat16"
    assert model.compute_output_spec(x).dtype == "float32"


def test_a_backbone_alone_is_no_classifier_yet(presets, tmp_path):
    bert = keras_hub.models.Backbone.from_preset(str(presets / "bert"))
    bert.save_to_preset(str(tmp_path))
    tokenizer = keras_hub.models.Tokenizer.from_preset(str(presets / "bert"))
    tokenizer.save_to_preset(str(tmp_path))
    with pytest.raises(ValueError, match="holds no classifier: num_classes or class_names make a new one"):
        keraszoo.build(f"hub:{tmp_path}", task="text_classification")
    model = keraszoo.build(f"hub:{tmp_path}", task="text_classification", class_names="abc")
    assert model.output_shape == (None, 3)


def test_a_download_that_fails(monkeypatch):
    import kagglehub

    def unreachable(*arguments):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(kagglehub, "model_download", unreachable)
    with pytest.raises(ValueError, match="'hub:bert_tiny_en_uncased' .* no route to host Without a network"):
        keraszoo.build("hub:bert_tiny_en_uncased", task="text_classification")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [], "x is empty"),
        ("a good film", [1], "x must be a list of texts"),
        ([3, 4], [0, 1], r"x\[0\] must be a text, got int"),
        (TEXTS, LABELS[:3], "x has 4, y has 3"),
        (TEXTS, [0, 1, 2, 0], "y must hold class numbers from 0 to 1"),
        (TEXTS, ["good", "bad", "god", "bad"], r"y\[2\] is 'god'.* 'good'"),
        (TEXTS, None, "y is missing"),
    ],
)
def test_texts_that_cannot_be_learned_from(reader, x, y, message):
    with pytest.raises(ValueError, match=message):
        reader.fit(x, y, verbose=0)


def test_other_data_that_cannot_be_taken(writer, viewer):
    with pytest.raises(ValueError, match="y must be left out"):
        writer.fit([SAID], [0], verbose=0)
    with pytest.raises(ValueError, match="texts is empty"):
        writer.generate([])
    with pytest.raises(ValueError, match="sampler must be .* got 'gready'"):
        writer.generate("the", sampler="gready")
    with pytest.raises(ValueError, match=r"x must hold images, .* got shape \(20, 20, 3\)"):
        viewer.predict(IMAGES[0])
    with pytest.raises(ValueError, match="x must hold numbers"):
        viewer.predict(TEXTS)
