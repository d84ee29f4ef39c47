"""What is true of nets that read a sentence and write another."""

import itertools

import keras
import numpy as np
import pytest
import torch
from keras import ops

import keraszoo
from keraszoo import front
from keraszoo.callbacks import TextTranslations
from keraszoo.callbacks.texts import alignments
from keraszoo.diagnostics import bleu, by_source, exact
from keraszoo.layers.attention import AttentiveRNN
from keraszoo.models.seq2seq import Seq2Seq
from keraszoo.text import Tokenizer, padded
from keraszoo.text.generation import log_softmax
from keraszoo.training.translating import Pairs

START, END = 2, 3
SOURCE, TARGET = 9, 8  # tokens
SMALL = dict(input_shape=(None,), vocabulary_size=(SOURCE, TARGET), embed_dim=5, units=6, depth=1, length=4)
ENGLISH = ["one", "two", "three one", "two two one", "one three"]
FRENCH = ["un", "deux", "trois un", "deux deux un", "un trois"]


def arrays(outputs):
    return [np.array(ops.convert_to_numpy(v)) for v in keras.tree.flatten(outputs)]


def shaken(layer, seed=5, scale=0.5):
    """The layer or model with random weights, so large that it has opinions."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(0, scale, w.shape) for w in layer.get_weights()])
    return layer


def sentences(tokens, count=4, time=5, seed=0):
    """Random sentences, each shorter than the one before: (count, time) int32, padded."""
    rng = np.random.default_rng(seed)
    found = rng.integers(4, tokens, (count, time)).astype("int32")
    found[np.arange(time) >= (time - np.arange(count))[:, None]] = 0
    return found


@pytest.fixture(scope="module")
def attentive():
    """Two directions, two layers, attention; the source is reversed."""
    model = keraszoo.build("seq2seq", **{**SMALL, "depth": 2}, attention=True, bidirectional=True)
    return shaken(model, scale=1.0)


@pytest.fixture(scope="module")
def speaker():
    """A model that reads and writes text."""
    vocabulary = Tokenizer.learn(ENGLISH), Tokenizer.learn(FRENCH)
    model = keraszoo.build(
        "seq2seq", vocabulary=vocabulary, attention=True, embed_dim=5, units=6, depth=1, length=4
    )
    shaken(model, scale=1.0)
    model.decoder.logits.bias.assign(
        np.where(np.arange(len(vocabulary[1])) == END, -2.0, 0.0)
    )  # says something
    return model


def test_published_counts():
    """Sutskever's 384 million, and those of github.com/bentrevett/pytorch-seq2seq, where each gate has two biases."""
    assert front.trainable(front.abstract(Seq2Seq, {})) == 384_112_000
    multi30k = dict(vocabulary_size=(7853, 5893), embed_dim=256, units=512, depth=2)
    ours = front.trainable(front.abstract(Seq2Seq, multi30k))
    assert ours + 2 * 2 * 4 * 512 == 13_898_501


def softmax(x):
    return np.exp(log_softmax(x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(layer, x, memory, mask, states):
    """An `AttentiveRNN` in NumPy, sequence by sequence and step by step; no padded step is looked at."""
    query, key, direction, kernel, context_kernel, u, bias = (
        np.asarray(w, "float64")
        for w in (
            layer.attention.of_query.kernel,
            layer.attention.of_key.kernel,
            layer.attention.direction,
            layer.kernel,
            layer.context_kernel,
            layer.recurrent_kernel,
            layer.bias,
        )
    )
    outputs, looks = [], []
    for row in range(len(x)):
        seen, (h, *rest) = memory[row][mask[row]], [s[row] for s in states]
        for now in x[row]:
            shares = softmax(np.tanh(h @ query + seen @ key) @ direction[:, 0])
            z = now @ kernel + (shares @ seen) @ context_kernel
            if layer.cell == "lstm":
                i, f, g, o = np.split(z + h @ u + bias, 4)
                c = sigmoid(f) * rest[0] + sigmoid(i) * np.tanh(g)
                h, rest = sigmoid(o) * np.tanh(c), [c]
            else:
                (z, r, n), (zh, rh, nh) = np.split(z + bias[0], 3), np.split(h @ u + bias[1], 3)
                update = sigmoid(z + zh)
                h = update * h + (1 - update) * np.tanh(n + sigmoid(r + rh) * nh)
            outputs.append(h)
            looks.append(np.where(mask[row], 0.0, 0.0))
            looks[-1][mask[row]] = shares
    shape = (*x.shape[:2], -1)
    return np.reshape(outputs, shape), np.reshape(looks, shape)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_attention_is_the_papers_equations(cell):
    layer = AttentiveRNN(4, cell)
    layer.build((None, None, 3), (None, None, 5))
    shaken(layer)
    rng = np.random.default_rng(1)
    x, memory = (rng.normal(size=shape).astype("float32") for shape in ((2, 3, 3), (2, 6, 5)))
    mask = np.arange(6) < np.array([[6], [2]])
    states = [rng.normal(size=(2, 4)).astype("float32") for _ in range(2 if cell == "lstm" else 1)]
    given = [ops.convert_to_tensor(v) for v in (x, memory, mask)]
    looked = layer.prepare(*given[1:])
    outputs, found, weights, after = layer(given[0], looked, list(map(ops.convert_to_tensor, states)))
    outputs, found, weights, *after = arrays([outputs, found, weights, after])
    expected, looks = by_hand(layer, x, memory, mask, states)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(weights, looks, atol=1e-5)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert (weights[1, :, 2:] == 0).all() and (weights[0] > 0).all()
    np.testing.assert_allclose(found, looks @ memory, atol=1e-5)
    np.testing.assert_allclose(after[0], outputs[:, -1], atol=1e-6)


def in_torch(model, source, target):
    """Logits of a plain encoder and decoder, by torch.nn."""
    held = {w.path.split("seq2seq/")[-1]: torch.tensor(w) for w in map(NamedWeight, model.weights)}
    depth = len(model.decoder.recurrent)

    def lstm(side, name):
        module = torch.nn.LSTM(5, 6, depth, batch_first=True)
        for i in range(depth):
            cell = f"{side}/{name}_{i}/lstm_cell"
            state = {
                f"weight_ih_l{i}": held[f"{cell}/kernel"].T,
                f"weight_hh_l{i}": held[f"{cell}/recurrent_kernel"].T,
            }
            state |= {f"bias_ih_l{i}": held[f"{cell}/bias"], f"bias_hh_l{i}": torch.zeros(24)}
            for key, value in state.items():
                getattr(module, key).data.copy_(value)
        return module

    lengths = torch.tensor((source > 0).sum(1))
    embedded = held["encoder/embedding/embeddings"][torch.tensor(source).long()]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        embedded, lengths, batch_first=True, enforce_sorted=False
    )
    _, states = lstm("encoder", "onward")(packed)
    embedded = held["decoder/embedding/embeddings"][torch.tensor(target).long()]
    outputs, _ = lstm("decoder", "recurrent")(embedded, states)
    return (outputs @ held["decoder/logits/kernel"] + held["decoder/logits/bias"]).detach().numpy()


class NamedWeight(np.ndarray):
    """A weight as an array that knows its path."""

    def __new__(cls, weight):
        found = np.array(ops.convert_to_numpy(weight)).view(cls)
        found.path = weight.path
        return found


def test_without_attention_it_is_two_lstms_of_torch():
    model = shaken(keraszoo.build("seq2seq", **{**SMALL, "depth": 2}, reverse=False))
    x, y = sentences(SOURCE), sentences(TARGET, time=4, seed=1)
    np.testing.assert_allclose(model.predict((x, y), verbose=0), in_torch(model, x, y), atol=1e-5)
    turned = Seq2Seq.from_config({**model.get_config(), "reverse": True})
    turned.set_weights(model.get_weights())
    backwards = padded([row[row > 0][::-1] for row in x], 5)
    np.testing.assert_allclose(turned.predict((x, y), verbose=0), in_torch(model, backwards, y), atol=1e-5)


def test_padding_changes_nothing(attentive):
    x, y = sentences(SOURCE), sentences(TARGET, seed=1)
    whole = attentive.predict((x, y), verbose=0)
    for row in (1, 2):
        source, target = x[row : row + 1, : 5 - row], y[row : row + 1, : 5 - row]
        alone = attentive.predict((source, target), verbose=0)
        np.testing.assert_allclose(alone[0], whole[row, : 5 - row], atol=1e-5)


def test_the_loss_is_that_of_real_tokens(attentive):
    x, y = sentences(SOURCE), sentences(TARGET, seed=1)
    given = np.concatenate([np.full((4, 1), START, "int32"), y[:, :-1]], axis=1)
    logits, real = attentive.predict((x, given), verbose=0).astype("float64"), y > 0
    losses = -np.take_along_axis(log_softmax(logits), y[..., None], -1)[..., 0]
    found = attentive.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], losses[real].mean(), rtol=1e-5)
    np.testing.assert_allclose(found["accuracy"], (logits.argmax(-1) == y)[real].mean(), rtol=1e-5)
    weight = np.array([0.0, 1.0, 2.0, 0.0])
    found = attentive.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], (weight[:, None] * losses)[real].sum() / real.sum(), rtol=1e-5)


def test_a_free_run_is_teacher_forcing_on_its_own_words(attentive):
    x = sentences(SOURCE, count=5, seed=3)
    free = attentive.predict(x, verbose=0)
    assert free.shape == (5, 4, TARGET) and free.dtype == "float32"
    open_to_it = np.where(np.isin(np.arange(TARGET), (0, START)), -np.inf, free)
    said = open_to_it.argmax(-1).astype("int32")
    over = np.cumsum(said == END, axis=1) - (said == END) > 0
    assert over.any() and not over.all(), "some must end, and not all at once"
    assert (free[over] == 0).all()
    forced = attentive.predict((x, np.insert(said[:, :-1], 0, START, axis=1)), verbose=0)
    np.testing.assert_allclose(forced[~over], free[~over], atol=1e-5)
    written = attentive.written([row[row > 0] for row in x], length=4, temperature=0.0)
    for row, tokens, ended in zip(written, said, over | (said == END), strict=True):
        np.testing.assert_array_equal(row, tokens[~ended])


def test_beams_enough_find_the_likeliest_of_all(attentive):
    """Among all sentences of up to three tokens."""
    x = sentences(SOURCE, count=2, seed=3)
    words = [token for token in range(TARGET) if token not in (0, START, END)]
    ended = [(*some, END) for n in range(3) for some in itertools.product(words, repeat=n)]
    every = [*ended, *itertools.product(words, repeat=3)]
    target = padded([np.array(each, "int32") for each in every], 3)
    given = np.insert(target[:, :-1], 0, START, axis=1)
    for row in x:
        sources = np.repeat(row[None], len(every), axis=0)
        logits = attentive.predict((sources, given), batch_size=len(every), verbose=0).astype("float64")
        logits[..., [0, START]] = -np.inf
        scores = np.where(
            target > 0, np.take_along_axis(log_softmax(logits), target[..., None], -1)[..., 0], 0
        ).sum(1)
        found = {
            beams: attentive.written(
                [row[row > 0]], length=3, beams=beams, temperature=0.0, length_penalty=0.0
            )[0]
            for beams in (1, 32)
        }
        best = [token for token in every[scores.argmax()] if token != END]
        np.testing.assert_array_equal(found[32], best)
        greedy = next(i for i, each in enumerate(every) if [t for t in each if t != END] == list(found[1]))
        assert scores[greedy] <= scores.max()


def test_text_goes_through_a_file(speaker, tmp_path):
    said = speaker.translate(ENGLISH)
    assert all(isinstance(text, str) for text in said) and len(set(said)) > 1
    assert speaker.predict(ENGLISH, verbose=0) == said
    assert speaker.translate(ENGLISH, batch_size=2) == said  # whatever else is in the batch
    assert speaker.translate(ENGLISH, beams=2) != ["?"] * 5
    drawn = [speaker.translate(ENGLISH, temperature=2.0, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    speaker.save(tmp_path / "model.keras")
    again = keraszoo.load(tmp_path / "model.keras")
    assert again.translate(ENGLISH) == said
    assert [t.tokens for t in again.tokenizers] == [t.tokens for t in speaker.tokenizers]


def test_where_it_looked(speaker, tmp_path):
    found = speaker.attention_of("two two one")
    assert found.source == ["two", "two", "one"] and found.target[-1] == "[END]"
    assert found.weights.shape == (len(found.target), 3)
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-6)
    found = speaker.attention_of("two two one", "deux un deux")
    assert found.target == ["deux", "un", "deux", "[END]"] and np.ptp(found.weights, axis=0).max() > 1e-3
    onward = Seq2Seq.from_config({**speaker.get_config(), "reverse": False})
    onward.set_weights(speaker.get_weights())
    onward.tokenizers = speaker.tokenizers
    other = onward.attention_of("one two two", "deux un deux")
    np.testing.assert_allclose(found.weights, other.weights[:, ::-1], atol=1e-6)
    alignments(tmp_path / "looked.png", [found, other], "where")
    assert (tmp_path / "looked.png").stat().st_size > 1000


def test_it_learns_from_texts_and_says_what_it_has_learned(tmp_path):
    vocabulary = Tokenizer.learn(ENGLISH), Tokenizer.learn(FRENCH)
    model = keraszoo.build(
        "seq2seq", vocabulary=vocabulary, embed_dim=16, units=24, depth=1, length=4, seed=0
    )
    model.optimizer.learning_rate = 0.02
    lines = []
    watch = TextTranslations(ENGLISH[:2], FRENCH[:2], every=40, file=tmp_path / "said.txt", show=lines.append)
    logs = model.fit(
        ENGLISH, FRENCH, epochs=60, callbacks=[watch], validation_data=(ENGLISH, FRENCH), verbose=0
    )
    assert logs.history["val_accuracy"][-1] == 1.0
    assert model.translate(ENGLISH) == FRENCH
    assert list(watch.said) == [40, 60] and watch.said[60] == FRENCH[:2]
    assert (tmp_path / "said.txt").read_text().splitlines() == lines and "  one -> un" in lines
    with pytest.raises(ValueError, match="method `translate`"):
        keraszoo.build("perceptron").fit(np.zeros((2, 28, 28, 1)), np.zeros(2), callbacks=[watch], verbose=0)


def test_pairs_come_in_batches_of_like_length():
    sizes = np.array([[3, 9, 2, 20] * 2, [12, 1, 2, 3] * 2])
    x, y = ([np.full(n, i + 4, "int32") for i, n in enumerate(part)] for part in sizes)
    data = Pairs(x, y, np.arange(8), batch_size=2, fixed=20)
    assert [len(v) for v in data[0]] == [2, 2, 2]
    for source, target, weight in (data[i] for i in range(4)):
        assert source.shape == (2, 20) and target.shape[1] in (8, 16, 24)
        rows = weight.astype(int)
        np.testing.assert_array_equal((source > 0).sum(1), sizes[0, rows])
        np.testing.assert_array_equal((target > 0).sum(1), sizes[1, rows])
        assert sizes[:, rows].max() <= target.shape[1] < sizes[:, rows].max() + 16


def test_bad_input_is_refused_in_one_sentence(attentive, speaker):
    x, y = sentences(SOURCE), sentences(TARGET, seed=1)
    for wrong, said in {
        "y is missing": (ENGLISH, None),
        "x has 5, y has 4": (ENGLISH, FRENCH[:4]),
        r"y\[1\] is empty": (ENGLISH, ["un", " ", "deux", "un", "un"]),
        r"x\[0\] is empty": (["", *ENGLISH[1:]], FRENCH),
        "x holds only tokens that seq2seq does not know": (["чай", "хлеб"], FRENCH[:2]),
        "y holds only tokens that seq2seq does not know": (ENGLISH[:2], ["tè", "pane"]),
        "y must be a list of texts": (ENGLISH, "un"),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            speaker.fit(*said, verbose=0)
    for wrong, given in {
        "y is missing": (x, None),
        "y must hold token numbers from 0 to 7": (x, y + 4),
        r"y\[0\] is empty: it holds padding only": (x, 0 * y),
        r"x\[1\] begins with padding": (x[:, ::-1], y),
        r"x\[0\] has padding between": (x * [1, 1, 0, 1, 1], y),
        "y must hold token numbers, .count, time.": (x, y[:, 0]),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            attentive.fit(*given, verbose=0)
    with pytest.raises(ValueError, match="one weight for each"):
        attentive.fit(x, y, sample_weight=np.ones((4, 5)), verbose=0)
    with pytest.raises(ValueError, match="without vocabular"):
        attentive.translate(ENGLISH)
    with pytest.raises(ValueError, match="without attention"):
        keraszoo.build("seq2seq", **SMALL).attention_of("one")
    with pytest.raises(ValueError, match="beams must be"):
        speaker.translate(ENGLISH, beams=0)
    for wrong, arguments in {
        "vocabulary_size must be a pair": dict(vocabulary_size=9),
        "cell must be 'lstm' or 'gru'": dict(cell="rnn"),
        "units must be a whole number": dict(units=0),
        "dropout must lie": dict(dropout=1.0),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            keraszoo.build("seq2seq", **{**SMALL, **arguments})
    with pytest.raises(ValueError, match="vocabulary_size must be a pair"):
        keraszoo.build("seq2seq", vocabulary=Tokenizer.learn(ENGLISH))


def test_bleu_is_that_of_sacrebleu():
    import sacrebleu

    said = ["the cat sat on the mat", "it rains today", "he is here now"]
    right = [["the cat sat on a mat", "a cat sat on the mat"], ["it rains today"], ["he is not here"]]
    streams = [
        ["the cat sat on a mat", "it rains today", "he is not here"],
        ["a cat sat on the mat", None, None],
    ]
    assert bleu(said, right) == pytest.approx(sacrebleu.corpus_bleu(said, streams).score)
    assert bleu(said, said) == pytest.approx(100)
    assert bleu([s.upper() for s in said], said, lowercase=True) == pytest.approx(100)
    assert exact(said, right) == pytest.approx(1 / 3)
    assert by_source(["b", "a", "b"], ["1", "2", "3"]) == (["b", "a"], [["1", "3"], ["2"]])
    for given in (([], []), (said, right[:2]), (said, [[], *right[1:]])):
        with pytest.raises(ValueError, match="references"):
            bleu(*given)
