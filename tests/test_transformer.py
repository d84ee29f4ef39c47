"""What is true of the Transformer that reads a sentence and writes another."""

import itertools

import keras
import numpy as np
import pytest
import torch
from keras import ops

import keraszoo
from keraszoo import front, registry
from keraszoo.callbacks.texts import alignments, attention_maps
from keraszoo.models.transformer import Transformer
from keraszoo.text import Tokenizer
from keraszoo.text.generation import log_softmax
from keraszoo.training import Noam
from keraszoo.training.translating import entropy
from tests.test_seq2seq import ENGLISH, FRENCH, sentences
from tests.test_transformer_layers import copied, value

START, END = 2, 3
TOKENS = 9
SMALL = dict(vocabulary_size=TOKENS, embed_dim=8, depth=2, num_heads=2, length=5)


def shaken(model, seed=3):
    """The model with random weights, so large that it has opinions, and normalizations as if they had learned."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        scale = 0.3 if "tokens" in weight.path or len(weight.shape) == 1 else 0.8
        weight.assign(rng.normal(weight.path.endswith("gamma"), scale, weight.shape))
    return model


@pytest.fixture(scope="module")
def model():
    return shaken(keraszoo.build("transformer_tiny", **SMALL))


@pytest.fixture(scope="module")
def speaker():
    """A model that reads and writes with one vocabulary."""
    tokenizer = Tokenizer.learn([*ENGLISH, *FRENCH])
    sizes = {key: size for key, size in SMALL.items() if key != "vocabulary_size"}
    return shaken(keraszoo.build("transformer_tiny", vocabulary=tokenizer, **sizes))


def with_start(target):
    return np.insert(target[:, :-1], 0, START, axis=1)


def test_published_counts():
    """44,138,496 as of torch.nn.Transformer without final norms, and 37,000 tied tokens; the big one alike."""
    for name, core in {"transformer_base": 44_138_496, "transformer_big": 176_357_376}.items():
        entry = registry.entry(name)
        found = front.abstract(entry.load(), entry.size)
        assert front.trainable(found) == entry.parameters == core + 37_000 * entry.size["embed_dim"]
        pair = {**entry.size, "vocabulary_size": (100, 60)}
        assert front.trainable(front.abstract(entry.load(), pair)) == core + 160 * entry.size["embed_dim"]


@pytest.mark.parametrize("vocabulary_size", [TOKENS, (TOKENS, 7)])
def test_equals_torch(vocabulary_size):
    """`torch.nn.Transformer` without final norms, the embeddings by the paper's formulas, with padding on both sides."""
    ours = keraszoo.build("transformer_tiny", **{**SMALL, "vocabulary_size": vocabulary_size})
    shaken(ours)
    options = dict(d_model=8, nhead=2, dim_feedforward=32, dropout=0.0, batch_first=True)
    layers = torch.nn.TransformerEncoderLayer(**options), torch.nn.TransformerDecoderLayer(**options)
    theirs = torch.nn.Transformer(
        **options,
        custom_encoder=torch.nn.TransformerEncoder(layers[0], 2, norm=None, enable_nested_tensor=False),
        custom_decoder=torch.nn.TransformerDecoder(layers[1], 2, norm=None),
    ).eval()
    for mine, yours in zip(ours.encoder, theirs.encoder.layers, strict=True):
        copied(mine, yours, False)
    for mine, yours in zip(ours.decoder, theirs.decoder.layers, strict=True):
        copied(mine, yours, True)
    source, target = sentences(TOKENS), sentences(ours.vocabulary_size[1], time=4, seed=1)
    given = with_start(target)

    def embedded(tokens, layer):
        place, i = np.arange(tokens.shape[1])[:, None], np.arange(8)
        angle = place / 10000 ** (2 * (i // 2) / 8)
        rows = value(layer.embeddings)[tokens] * 8**0.5 + np.where(i % 2, np.cos(angle), np.sin(angle))
        return torch.tensor(rows, dtype=torch.float32)

    out = theirs(
        embedded(source, ours.source_embedding),
        embedded(given, ours.embedding),
        tgt_mask=torch.ones(4, 4, dtype=bool).triu(1),
        src_key_padding_mask=torch.tensor(source == 0),
        memory_key_padding_mask=torch.tensor(source == 0),
        tgt_key_padding_mask=torch.tensor(given == 0),
    )
    expected = out.detach().numpy() @ value(ours.embedding.embeddings).T
    found = ours.predict((source, given), verbose=0)
    np.testing.assert_allclose(found[given > 0], expected[given > 0], atol=1e-5)


def test_padding_changes_nothing(model):
    source, given = sentences(TOKENS), with_start(sentences(TOKENS, time=4, seed=1))
    whole = model.predict((source, given), verbose=0)
    more = np.pad(source, ((0, 0), (0, 3)))
    np.testing.assert_allclose(model.predict((more, given), verbose=0), whole, atol=1e-5)
    alone = model.predict((source[2:3, :3], given[2:3, :2]), verbose=0)
    np.testing.assert_allclose(alone[0], whole[2, :2], atol=1e-5)
    free = model.predict(source, verbose=0)
    np.testing.assert_allclose(model.predict(more, verbose=0), free, atol=1e-5)


def test_the_future_is_not_seen(model):
    source, given = sentences(TOKENS)[:1], np.array([[START, 5, 6, 7]], "int32")
    before = model.predict((source, given), verbose=0)
    after = model.predict((source, np.array([[START, 5, 6, 4]], "int32")), verbose=0)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3] - after[:, 3]).max() > 1e-2
    swapped = model.predict((source[:, ::-1], given), verbose=0)
    assert np.abs(before - swapped).max() > 1e-2  # the order of the source is


def test_a_free_run_is_teacher_forcing_on_its_own_words(model):
    """The cached computation equals the one that reads all again at each step."""
    x = sentences(TOKENS, count=5, seed=2)
    free = model.predict(x, verbose=0)
    assert free.shape == (5, 5, TOKENS) and free.dtype == "float32"
    said = np.where(np.isin(np.arange(TOKENS), (0, START)), -np.inf, free).argmax(-1).astype("int32")
    over = np.cumsum(said == END, axis=1) - (said == END) > 0
    assert over.any() and not over.all(), "some must end, and not all at once"
    assert (free[over] == 0).all()
    forced = model.predict((x, np.insert(said[:, :-1], 0, START, axis=1)), verbose=0)
    np.testing.assert_allclose(forced[~over], free[~over], atol=1e-5)
    written = model.written([row[row > 0] for row in x], length=5, temperature=0.0)
    for row, tokens, ended in zip(written, said, over | (said == END), strict=True):
        np.testing.assert_array_equal(row, tokens[~ended])


def test_beams_equal_a_search_without_a_cache(model):
    """Among all sentences of up to two tokens, the likeliest; with a longer limit than that of a free run, too."""
    x = sentences(TOKENS, count=2, seed=3)
    words = [token for token in range(TOKENS) if token not in (0, START, END)]
    every = [
        (END,),
        *((word, END) for word in [1, *words[1:]]),
        *itertools.product(words, repeat=2),
    ]
    target = np.array([[*each, 0][:2] for each in every], "int32")
    for row in x:
        sources = np.repeat(row[None], len(every), axis=0)
        logits = model.predict((sources, with_start(target)), batch_size=len(every), verbose=0)
        logits = logits.astype("float64")
        logits[..., [0, START]] = -np.inf
        each = np.take_along_axis(log_softmax(logits), target[..., None], -1)[..., 0]
        scores = np.where(target > 0, each, 0).sum(1)
        (found,) = model.written([row[row > 0]], length=2, beams=40, temperature=0.0, length_penalty=0.0)
        best = [token for token in every[scores.argmax()] if token != END]
        np.testing.assert_array_equal(found, best)
    (long,) = model.written([x[0]], length=12, temperature=0.0)
    logits = model.predict((x[:1], np.array([[START, *long]], "int32")), verbose=0)[0]
    logits[:, [0, START]] = -np.inf
    np.testing.assert_array_equal(logits.argmax(-1)[: len(long)], long)


def test_smoothed_labels(model):
    """Section 5.4, by hand: the divergence from 0.9 of the label and 0.1 of all tokens alike; plain in `evaluate`."""
    x, y = sentences(TOKENS), sentences(TOKENS, seed=1)
    plain = Transformer.from_config({**model.get_config(), "dropout": 0.0})
    plain.set_weights(model.get_weights())
    log = log_softmax(plain.predict((x, with_start(y)), verbose=0).astype("float64"))
    asked = 0.9 * np.eye(TOKENS)[y] + 0.1 / TOKENS
    divergence = (asked * (np.log(asked) - log)).sum(-1)[y > 0].mean()
    np.testing.assert_allclose(value(plain.translator_loss(x, y, training=True)), divergence, rtol=1e-4)
    usual = -np.take_along_axis(log, y[..., None], -1)[..., 0][y > 0].mean()
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0, return_dict=True)["loss"], usual, rtol=1e-4)
    assert entropy(0.0, 5) == 0.0
    np.testing.assert_allclose(entropy(0.5, 2), -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


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


def test_one_vocabulary_serves_both_languages_and_a_file_goes_on(speaker, tmp_path):
    said = speaker.translate(ENGLISH)
    assert len(set(said)) > 1 and speaker.predict(ENGLISH, verbose=0) == said == speaker.summarise(ENGLISH)
    assert speaker.translate(ENGLISH, batch_size=2) == said  # whatever else is in the batch
    speaker.fit(ENGLISH, FRENCH, epochs=3, verbose=0)
    adam = speaker.optimizer["translator"]
    assert (adam.beta_2, adam.epsilon) == (0.98, 1e-9)
    np.testing.assert_allclose(float(adam.learning_rate), 8**-0.5 * 4 * 4000**-1.5, rtol=1e-5)
    speaker.save(tmp_path / "model.keras")
    again = keraszoo.load(tmp_path / "model.keras")
    assert len(again.tokenizers) == 1 and again.translate(ENGLISH) == speaker.translate(ENGLISH)
    assert float(again.optimizer["translator"].learning_rate) == float(adam.learning_rate)
    losses = [m.fit(ENGLISH, FRENCH, shuffle=False, verbose=0).history["loss"] for m in (speaker, again)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_where_each_head_looked(speaker, tmp_path):
    found = speaker.attention_of("two two one", "deux un deux")
    assert found.source == ["two", "two", "one"] and found.target == ["deux", "un", "deux", "[END]"]
    assert found.weights.shape == (2, 2, 4, 3)  # depth, heads
    read, known = (speaker.attention_of("two two one", "deux un deux", kind) for kind in ("source", "target"))
    assert read.weights.shape == (2, 2, 3, 3) and read.source == read.target
    assert known.source[0] == "[START]" and known.target == found.target
    assert not np.triu(known.weights, 1).any()  # it knew no more than it had written
    for each in (found, read, known):
        np.testing.assert_allclose(each.weights.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(found.of(1, 0).weights, found.weights[1, 0])
    np.testing.assert_allclose(found.of(1).weights, found.weights[1].mean(0), atol=1e-7)
    assert speaker.attention_of("two one").of().weights.ndim == 2
    alignments(tmp_path / "mean.png", [found.of(), found.of(0)], "where")
    attention_maps(tmp_path / "maps.png", found, "where")
    assert min((tmp_path / name).stat().st_size for name in ("mean.png", "maps.png")) > 1000


def test_it_learns_what_it_is_taught():
    """Both directions of a small dictionary, with a schedule of its own."""
    tokenizer = Tokenizer.learn([*ENGLISH, *FRENCH])
    model = keraszoo.build(
        "transformer_tiny",
        task="summarization",
        vocabulary=tokenizer,
        embed_dim=32,
        depth=1,
        num_heads=2,
        dropout=0.0,
        length=4,
        seed=0,
    )
    adam = keraszoo.training.optimizers.Adam(Noam(32, warmup=40, factor=0.5), beta_2=0.98, epsilon=1e-9)
    model.compile(adam)
    model.fit(ENGLISH, FRENCH, epochs=120, verbose=0)
    assert model.summarise(ENGLISH) == FRENCH
    assert model.translate(ENGLISH, beams=3, length_penalty=0.6) == FRENCH


def test_bad_input_is_refused_in_one_sentence(model, speaker, tmp_path):
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
    with pytest.raises(ValueError, match="x must hold token numbers from 0 to 8"):
        model.predict(np.array([[TOKENS]]), verbose=0)
    with pytest.raises(ValueError, match="without vocabular"):
        model.attention_of("one")
    with pytest.raises(ValueError, match="kind must be 'cross', 'source' or 'target', got 'self'"):
        speaker.attention_of("one", kind="self")
    with pytest.raises(ValueError, match="cannot be built for task='classification'"):
        keraszoo.build("transformer_tiny", task="classification", **SMALL)
    with pytest.raises(ValueError, match="vocabulary has 10 tokens, but vocabulary_size is 9"):
        keraszoo.build("transformer_tiny", vocabulary=speaker.tokenizer, **SMALL)
    (tmp_path / "config.json").write_text('{"architectures": ["MarianMTModel"]}')
    with pytest.raises(ValueError, match="transformer"):
        keraszoo.build("transformer_tiny", weights=tmp_path, **SMALL)
    cautious = keraszoo.build(
        "transformer_tiny", vocabulary=speaker.tokenizer, max_length=3, too_long="refuse", embed_dim=8
    )
    with pytest.raises(ValueError, match=r"texts\[1\] has 4 tokens; transformer_tiny reads 3 at most"):
        cautious.translate(["one", "one two one two"])
    short = keraszoo.build("transformer_tiny", vocabulary=speaker.tokenizer, max_length=3, embed_dim=8)
    with pytest.warns(UserWarning, match="more than 3 tokens; what comes after is cut off"):
        found = short.translate(["one two one two"])
    assert found == short.translate(["one two one"])
    assert ops.shape(model(sentences(TOKENS)))[1] == 5  # and is none the worse for it
