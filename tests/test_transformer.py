"""What is true of the Transformer that reads a sentence and writes another."""

import itertools

import keras
import numpy as np
import pytest
import torch
from keras import ops

import keraszoo
from keraszoo import front, registry
from keraszoo.backend import kernels
from keraszoo.callbacks.texts import alignments, attention_maps
from keraszoo.text import Tokenizer, padded
from keraszoo.text.generation import log_softmax
from keraszoo.training import Noam
from keraszoo.training.optimizers import Adam
from keraszoo.training.translating import entropy
from tests.test_seq2seq import ENGLISH, FRENCH, sentences
from tests.test_transformer_layers import copied, value

START, END = 2, 3
SOURCE, TARGET = 9, 7  # tokens
SMALL = dict(vocabulary_size=(SOURCE, TARGET), embed_dim=8, depth=2, num_heads=2, length=4)


def shaken(model, seed=11):
    """The model with random weights, so large that it has opinions, and normalizations as if they had learned."""
    for weight in model.weights:
        rng = np.random.default_rng([seed, *weight.path.encode()])  # whatever order they are in
        scale = 0.3 if "tokens" in weight.path or len(weight.shape) == 1 else 0.8
        weight.assign(rng.normal(weight.path.endswith("gamma"), scale, weight.shape))
    return model


@pytest.fixture(scope="module")
def model():
    """A vocabulary for each language."""
    return shaken(keraszoo.build("transformer_tiny", **SMALL))


@pytest.fixture(scope="module")
def pairs():
    """Sources and targets, of different lengths; and what the decoder is given."""
    target = sentences(TARGET, time=4, seed=1)
    return sentences(SOURCE), target, np.insert(target[:, :-1], 0, START, axis=1)


@pytest.fixture(scope="module")
def speaker():
    """A model that has learned to read and to write with one vocabulary, at a rate of its own; and its logs."""
    tokenizer = Tokenizer.learn([*ENGLISH, *FRENCH])
    sizes = dict(embed_dim=32, depth=1, num_heads=2, dropout=0.0, length=4)
    found = keraszoo.build("transformer_tiny", task="summarization", vocabulary=tokenizer, seed=0, **sizes)
    found.compile(Adam(Noam(32, warmup=40, factor=0.5), beta_2=0.98, epsilon=1e-9))
    return found, found.fit(ENGLISH, FRENCH, epochs=100, verbose=0).history


def test_published_counts():
    """44,138,496 as of torch.nn.Transformer without final norms, and 37,000 tied tokens; the big one alike."""
    for name, core in {"transformer_base": 44_138_496, "transformer_big": 176_357_376}.items():
        entry = registry.entry(name)
        found = front.abstract(entry.load(), entry.size)
        assert front.trainable(found) == entry.parameters == core + 37_000 * entry.size["embed_dim"]
        pair = {**entry.size, "vocabulary_size": (100, 60)}
        assert front.trainable(front.abstract(entry.load(), pair)) == core + 160 * entry.size["embed_dim"]


def test_equals_torch(model, pairs):
    """`torch.nn.Transformer` without final norms, the embeddings by the paper's formulas, with padding on both sides."""
    options = dict(d_model=8, nhead=2, dim_feedforward=32, dropout=0.0, batch_first=True)
    layers = torch.nn.TransformerEncoderLayer(**options), torch.nn.TransformerDecoderLayer(**options)
    theirs = torch.nn.Transformer(
        **options,
        custom_encoder=torch.nn.TransformerEncoder(layers[0], 2, norm=None, enable_nested_tensor=False),
        custom_decoder=torch.nn.TransformerDecoder(layers[1], 2, norm=None),
    ).eval()
    for mine, yours in zip(model.encoder, theirs.encoder.layers, strict=True):
        copied(mine, yours, False)
    for mine, yours in zip(model.decoder, theirs.decoder.layers, strict=True):
        copied(mine, yours, True)
    source, _, given = pairs

    def embedded(tokens, layer):
        place, i = np.arange(tokens.shape[1])[:, None], np.arange(8)
        angle = place / 10000 ** (2 * (i // 2) / 8)
        rows = value(layer.embeddings)[tokens] * 8**0.5 + np.where(i % 2, np.cos(angle), np.sin(angle))
        return torch.tensor(rows, dtype=torch.float32)

    out = theirs(
        embedded(source, model.source_embedding),
        embedded(given, model.embedding),
        tgt_mask=torch.ones(4, 4, dtype=bool).triu(1),
        src_key_padding_mask=torch.tensor(source == 0),
        memory_key_padding_mask=torch.tensor(source == 0),
        tgt_key_padding_mask=torch.tensor(given == 0),
    )
    expected = out.detach().numpy() @ value(model.embedding.embeddings).T
    found = model.predict((source, given), verbose=0)
    np.testing.assert_allclose(found[given > 0], expected[given > 0], atol=1e-5)


def test_padding_changes_nothing(model, pairs):
    source, _, given = pairs
    more = np.pad(source, ((0, 0), (0, 3)))
    found, whole = (model.predict((x, given), verbose=0) for x in (more, source))
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_the_future_is_not_seen_and_order_is(model, pairs):
    source, _, given = pairs
    before = model.predict((source, given), verbose=0)
    other = given.copy()
    other[0, 3] = 9 - other[0, 3]  # another of 4 and 5
    after = model.predict((source, other), verbose=0)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[0, 3] - after[0, 3]).max() > 1e-3
    turned = np.concatenate([source[:1, ::-1], source[1:]])
    assert np.abs(before[0] - model.predict((turned, given), verbose=0)[0]).max() > 1e-2


def test_what_is_written_is_teacher_forcing_on_its_own_words(model):
    """The cached computation equals the one that reads all again at each step, beyond the length of a free run, too."""
    x = sentences(SOURCE, seed=2)
    written = model.written([row[row > 0] for row in x], length=7, temperature=0.0)
    ends = np.array([len(row) for row in written])
    assert ends.min() < 4 and ends.max() == 7, "some must end, and not all at once"
    forced = model.predict((x, padded([np.insert(row, 0, START) for row in written], 8)), verbose=0)
    said = np.where(np.isin(np.arange(TARGET), (0, START)), -np.inf, forced).argmax(-1)
    free = model.predict(x, verbose=0)
    assert free.shape == (4, 4, TARGET) and free.dtype == "float32"
    for row, tokens, logits, run, end in zip(written, said, forced, free, ends, strict=True):
        np.testing.assert_array_equal(row, tokens[:end])
        assert end == 7 or tokens[end] == END
        np.testing.assert_allclose(run[: end + 1], logits[:4][: end + 1], atol=1e-5)
        assert (run[end + 1 :] == 0).all()


def test_beams_enough_find_the_likeliest_of_all(model):
    """Among all sentences of up to two tokens, each weighed without a cache."""
    row = sentences(SOURCE, count=1, seed=3)
    words = [1, *range(4, TARGET)]
    every = [(END,), *((word, END) for word in words), *itertools.product(words, repeat=2)]
    target = padded([np.array(each, "int32") for each in every], 2)
    given = np.insert(target[:, :-1], 0, START, axis=1)
    logits = model.predict((np.repeat(row, len(every), axis=0), given), verbose=0).astype("float64")
    logits[..., [0, START]] = -np.inf
    each = np.take_along_axis(log_softmax(logits), target[..., None], -1)[..., 0]
    best = every[np.where(target > 0, each, 0).sum(1).argmax()]
    (found,) = model.written([row[0]], length=2, beams=20, temperature=0.0, length_penalty=0.0)
    np.testing.assert_array_equal(found, [token for token in best if token != END])


def test_smoothed_labels_by_hand(speaker):
    """Section 5.4: the divergence from 0.9 of the label and 0.1 of all tokens alike, in training only."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 5)).astype("float32"), np.array([0, 1, 4, 4], "int32")
    asked = 0.9 * np.eye(5)[labels] + 0.1 / 5
    expected = (asked * (np.log(asked) - log_softmax(logits.astype("float64")))).sum(-1)
    losses, _ = kernels.judged(*map(ops.convert_to_tensor, (labels, logits)), 0.1)
    np.testing.assert_allclose(value(losses) - entropy(0.1, 5), expected, rtol=1e-4)
    assert entropy(0.0, 5) == 0.0
    model, logs = speaker
    usual = model.evaluate(ENGLISH, FRENCH, verbose=0, return_dict=True)["loss"]
    assert logs["loss"][-1] < 0.5 * usual and 0.08 < usual < 0.2  # nobody is surer than 0.91


def test_the_rate_is_that_of_the_paper():
    """Section 5.3, and it goes on from a file."""
    rate = Noam(512)
    for step in (1, 100, 4000, 4001, 100_000):
        expected = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        np.testing.assert_allclose(float(rate(step - 1)), expected, rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(Noam(8, 3, 2.0)))
    assert again.get_config() == dict(embed_dim=8, warmup=3, factor=2.0)
    for wrong in (dict(warmup=0), dict(factor=0.0)):
        with pytest.raises(ValueError, match="warmup must be at least 1 and factor above 0"):
            Noam(512, **wrong)


def test_it_has_learned_and_goes_on_from_a_file(speaker, tmp_path):
    model, _ = speaker
    assert model.summarise(ENGLISH) == model.predict(ENGLISH, verbose=0) == FRENCH
    assert model.translate(ENGLISH, beams=2, length_penalty=0.6) == FRENCH
    model.save(tmp_path / "model.keras")
    again = keraszoo.load(tmp_path / "model.keras")
    assert len(again.tokenizers) == 1 and again.summarise(ENGLISH) == FRENCH
    adams = [each.optimizer["translator"] for each in (model, again)]
    assert adams[1].get_config() == adams[0].get_config() and adams[1].beta_2 == 0.98
    for adam in adams:
        np.testing.assert_allclose(float(adam.learning_rate), 0.5 * 32**-0.5 * 101**-0.5, rtol=1e-5)
    losses = [each.fit(ENGLISH, FRENCH, shuffle=False, verbose=0).history["loss"] for each in (model, again)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_where_each_head_looked(model, tmp_path):
    model.tokenizers = Tokenizer.learn(ENGLISH), Tokenizer.learn(FRENCH)
    found = model.attention_of("two two one", "deux un deux")
    assert found.source == ["two", "two", "one"] and found.target == ["deux", "un", "deux", "[END]"]
    assert found.weights.shape == (2, 2, 4, 3)  # depth, heads
    read, known = (model.attention_of("two two one", "deux un deux", kind) for kind in ("source", "target"))
    assert read.weights.shape == (2, 2, 3, 3) and read.source == read.target
    assert known.source[0] == "[START]" and known.target == found.target
    assert not np.triu(known.weights, 1).any()  # it knew no more than it had written
    for each in (found, read, known):
        np.testing.assert_allclose(each.weights.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(found.of(1, 0).weights, found.weights[1, 0])
    np.testing.assert_allclose(found.of(1).weights, found.weights[1].mean(0), atol=1e-7)
    alignments(tmp_path / "mean.png", [found.of(), found.of(0)], "where")
    attention_maps(tmp_path / "maps.png", found, "where")
    assert min((tmp_path / name).stat().st_size for name in ("mean.png", "maps.png")) > 1000


def test_bad_input_is_refused_in_one_sentence(speaker, tmp_path):
    for wrong, arguments in {
        "vocabulary_size must be a size above 4, or a pair": dict(vocabulary_size=(5, 6, 7)),
        "vocabulary_size must be a size above 4": dict(vocabulary_size=4),
        "num_heads must divide embed_dim": dict(num_heads=3),
        "depth must be a whole number": dict(depth=0),
        "dropout must lie": dict(dropout=1.0),
        "label_smoothing must lie": dict(label_smoothing=-0.1),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            keraszoo.build("transformer_tiny", **{**SMALL, **arguments})
    model = keraszoo.build("transformer_tiny", **SMALL)
    with pytest.raises(ValueError, match="x must hold token numbers from 0 to 8"):
        model.predict(np.array([[SOURCE]]), verbose=0)
    with pytest.raises(ValueError, match="y must hold token numbers from 0 to 6"):
        model.fit(np.array([[4]]), np.array([[TARGET]]), verbose=0)
    with pytest.raises(ValueError, match="without vocabular"):
        model.attention_of("one")
    learned, _ = speaker
    with pytest.raises(ValueError, match="kind must be 'cross', 'source' or 'target', got 'self'"):
        learned.attention_of("one", kind="self")
    with pytest.raises(ValueError, match="cannot be built for task='classification'"):
        keraszoo.build("transformer_tiny", task="classification", **SMALL)
    reader = learned.tokenizer
    with pytest.raises(ValueError, match="vocabulary has 10 tokens, but vocabulary_size is 12"):
        keraszoo.build("transformer_tiny", vocabulary=reader, vocabulary_size=12)
    foreign = Tokenizer(reader._tokenizer, "words", specials={"pad": "[PAD]", "end": "[START]"})
    with pytest.raises(ValueError, match="in which padding, start and end have the numbers 0, 2 and 3"):
        keraszoo.build("transformer_tiny", vocabulary=foreign, embed_dim=8).translate(["one"])
    with pytest.raises(ValueError, match="Reference checkpoints cannot be read for the family 'transformer'"):
        keraszoo.build("transformer_tiny", weights=tmp_path, **SMALL)
    small = dict(vocabulary=reader, max_length=3, embed_dim=8, depth=1)
    with pytest.raises(ValueError, match=r"texts\[1\] has 4 tokens; transformer_tiny reads 3 at most"):
        keraszoo.build("transformer_tiny", too_long="refuse", **small).translate(
            ["one", "one two one two"], length=2
        )
    with pytest.warns(UserWarning, match="more than 3 tokens; what comes after is cut off"):
        (cut,) = keraszoo.build("transformer_tiny", **small).encode(["one two one two"])
    assert cut.tolist() == reader.encode("one two one")
