"""Language models: what is true of counts and of networks, and of how they go on with a text."""

import itertools
import math
from collections import Counter

import keras
import numpy as np
import pytest
from keras import ops

import keraszoo
from keraszoo import front, registry
from keraszoo.callbacks import Written
from keraszoo.models.ngram import discounts
from keraszoo.text import Tokenizer, generate, windows
from keraszoo.text.counts import Counts
from keraszoo.text.generation import chosen

TEXT = (
    "the cat sat on the mat. the dog sat on the cat. the mat sat on the dog, and the cat and the dog sat on "
    "the mat and on the cat. "
) * 3
LETTERS = Tokenizer.learn([TEXT], kind="characters")
WORDS = Tokenizer.learn([TEXT])
TINY = {
    "ngram": dict(order=3),
    "neural_ngram": dict(order=4, embed_dim=8, units=8),
    "rnn_language_model": dict(units=8, init=0.5),
    "gpt2_nano": dict(embed_dim=16, depth=1, num_heads=2, context=320),
}
every_model = pytest.mark.parametrize("name", TINY)


@pytest.fixture(scope="module")
def models():
    """Each model, tiny, fitted on letters."""
    found = {}
    for name, sizes in TINY.items():
        found[name] = keraszoo.build(name, vocabulary=LETTERS, seed=0, **sizes)
        found[name].window = 16
        found[name].fit(TEXT, epochs=2, verbose=0)
    return found


# Drawing


class Chain:
    """A Markov chain as a language model: the state is the last token."""

    def __init__(self, shares):
        with np.errstate(divide="ignore"):
            self.logits = np.log(np.asarray(shares, "float64"))

    def begin(self, prompts):
        last = np.array([prompt[-1] for prompt in prompts])
        return self.logits[last], last

    def step(self, tokens, state):
        return self.logits[tokens], tokens

    def tokens(self, prompts, length, **arguments):
        return np.stack(list(generate(self.begin, self.step, prompts, length, **arguments)), axis=1)


FORKED = Chain(  # from 0, the likelier step leads to where all is alike, the other to certainty
    [[0.0, 0.6, 0.4, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.1, 0.9], [0.0, 0.0, 0.1, 0.9]]
)


def test_greedy_takes_the_likeliest_token_each_time_and_so_does_a_temperature_near_zero():
    chain = Chain(np.random.default_rng(0).dirichlet(np.ones(7), size=7))
    best = chain.logits.argmax(axis=1)
    expected = [best[3]]
    for _ in range(9):
        expected.append(best[expected[-1]])
    for temperature in (0, 1e-9, 1e-300):
        np.testing.assert_array_equal(
            chain.tokens([[3]], 10, temperature=temperature, seed=1)[0], expected, err_msg=str(temperature)
        )


def shares_of(logits, count=40_000, **arguments):
    drawn = chosen(np.tile(logits, (count, 1)), np.random.default_rng(5), **arguments)
    return np.bincount(drawn, minlength=len(logits)) / count


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (dict(), [0.4, 0.3, 0.2, 0.1]),
        (dict(top_k=2), [4 / 7, 3 / 7, 0, 0]),
        (dict(top_k=9), [0.4, 0.3, 0.2, 0.1]),
        (dict(top_p=0.7), [4 / 7, 3 / 7, 0, 0]),
        (dict(top_p=0.71), [4 / 9, 3 / 9, 2 / 9, 0]),
        (dict(top_p=1e-9), [1, 0, 0, 0]),
        (dict(top_k=3, top_p=0.5), [4 / 7, 3 / 7, 0, 0]),
        (dict(temperature=0.5), [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
    ],
)
def test_tokens_are_drawn_as_often_as_they_should_be(arguments, kept):
    order = np.array([2, 0, 3, 1])  # not sorted
    shares, kept = np.array([0.4, 0.3, 0.2, 0.1])[order], np.array(kept, "float64")[order]
    found = shares_of(np.log(shares) + 3.0, **arguments)
    assert (found[kept == 0] == 0).all()
    squares = (found - kept)[kept > 0] ** 2 / kept[kept > 0]
    assert 40_000 * squares.sum() < 16.3  # chi-square of 3 degrees of freedom: one time in a thousand


def test_of_equal_tokens_no_more_than_top_k_are_kept():
    assert np.count_nonzero(shares_of(np.zeros(6), 1000, top_k=2)) == 2


def test_forbidden_tokens_never_come_even_where_nothing_else_was_possible():
    certain = Chain([[0, 1, 0], [0, 1, 0], [0, 1, 0]])
    found = certain.tokens([[0]], 30, forbidden=(1,), seed=0)
    assert set(found.ravel()) == {0, 2}


def test_a_seed_fixes_what_is_drawn_and_texts_stop_at_the_end_token():
    chain = Chain(np.full((5, 5), 0.2))
    first = chain.tokens([[0], [1]], 20, seed=3)
    np.testing.assert_array_equal(first, chain.tokens([[0], [1]], 20, seed=3))
    assert (first != chain.tokens([[0], [1]], 20, seed=4)).any()
    ended = chain.tokens([[0]] * 3, 200, end=2, seed=0)
    assert ended.shape[1] < 200
    for row in ended:
        at = np.flatnonzero(row == 2)[0]
        assert (row[at:] == 2).all()


def test_beam_search_finds_what_greedy_misses():
    np.testing.assert_array_equal(FORKED.tokens([[0]], 3, temperature=0)[0, 0], 1)
    np.testing.assert_array_equal(FORKED.tokens([[0]], 3, beams=2)[0], [2, 3, 3])


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("end", [None, 3])
def test_enough_beams_are_an_exhaustive_search(end, penalty):
    for seed in range(5):
        chain = Chain(np.random.default_rng(seed).dirichlet(0.5 * np.ones(4), size=4))
        best, likeliest = -np.inf, None
        for path in itertools.product(range(4), repeat=4):
            if end is not None and end in path:
                path = path[: path.index(end) + 1]
            steps = zip((0, *path), path, strict=False)
            worth = sum(chain.logits[a, b] for a, b in steps) / len(path) ** penalty
            if worth > best + 1e-12:
                best, likeliest = worth, path
        found = chain.tokens([[0]], 4, beams=64, end=end, length_penalty=penalty)[0]
        np.testing.assert_array_equal(found[: len(likeliest)], likeliest)


def test_beams_of_several_prompts_do_not_mix():
    chain = Chain(np.random.default_rng(2).dirichlet(np.ones(6), size=6))
    together = chain.tokens([[0], [4, 5], [2]], 5, beams=3)
    alone = [chain.tokens([prompt], 5, beams=3)[0] for prompt in ([0], [4, 5], [2])]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (dict(length=0), "length"),
        (dict(temperature=-1), "temperature"),
        (dict(top_k=0), "top_k"),
        (dict(top_p=1.5), "top_p"),
        (dict(beams=0), "beams"),
        (dict(prompts=[]), "prompts"),
        (dict(prompts=[[1], []]), r"prompts\[1\]"),
    ],
)
def test_refuses_what_it_cannot_draw(wrong, said):
    with pytest.raises(ValueError, match=said):
        generate(FORKED.begin, FORKED.step, **{"prompts": [[0]], "length": 5, **wrong})


# Every language model


@every_model
def test_goes_on_with_prompts_of_any_length_at_once_and_piece_by_piece(name, models):
    model, prompts = models[name], ["the cat ", "a", "the dog sat on the mat and on the "]
    together = model.generate(prompts, 12, temperature=0)
    assert together == [model.generate(prompt, 12, temperature=0) for prompt in prompts]
    asked = dict(length=40, top_k=5, end=-1)
    drawn = model.generate("the ", **asked, seed=2)
    assert drawn == model.generate("the ", **asked, seed=2) != model.generate("the ", **asked, seed=3)
    told = list(model.stream("the ", **asked, seed=2))
    assert "".join(told) == drawn and len(told) > 10
    assert set(drawn) <= set(TEXT)
    assert len(model.generate("the ", 9, beams=3)) <= 9
    numbers = model.generate(np.array([5, 6, 7]), 9, temperature=0)
    assert LETTERS.decode(numbers) == model.generate(LETTERS.decode([5, 6, 7]), 9, temperature=0)


@every_model
def test_probabilities_sum_to_one_and_do_not_know_the_future(name, models):
    model = models[name]
    x = model.running(TEXT)[None, :20]
    logits = model.predict(x, verbose=0)
    assert logits.shape == (1, 20, len(LETTERS)) and logits.dtype == "float32"
    if name == "ngram":
        np.testing.assert_allclose(np.exp(logits.astype("float64")).sum(-1), 1, rtol=1e-5)
    later = np.concatenate([x[:, :12], x[:, :8]], axis=1)
    np.testing.assert_allclose(model.predict(later, verbose=0)[:, :12], logits[:, :12], atol=1e-5)


@every_model
def test_weighs_a_text_as_a_whole(name, models):
    """However long a text is, each token is foretold from all before it that the model can see."""
    model = models[name]
    numbers = model.running(TEXT)[:300]
    logits = model.predict(numbers[None, :-1], verbose=0)[0].astype("float64")
    shares = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = shares[np.arange(299), numbers[1:]]
    text = LETTERS.decode(numbers)
    np.testing.assert_allclose(model.log_probabilities(text), expected, atol=2e-5)
    assert model.perplexity(text) == pytest.approx(np.exp(-expected.mean()), rel=1e-4)
    found = model.evaluate(text, return_dict=True)
    assert found["loss"] == pytest.approx(-expected.mean(), rel=1e-4)
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
    x, y = windows(numbers, 100)
    in_windows = model.evaluate(x, y, verbose=0, return_dict=True)
    assert in_windows["perplexity"] == pytest.approx(np.exp(in_windows["loss"]), rel=1e-4)


@every_model
def test_a_saved_file_goes_on_with_raw_text(name, models, tmp_path):
    model = models[name]
    model.save(tmp_path / "model.keras")
    again = keraszoo.load(tmp_path / "model.keras")
    assert again.generate("the ", 20, seed=1) == model.generate("the ", 20, seed=1)
    assert again.perplexity(TEXT) == pytest.approx(model.perplexity(TEXT), rel=1e-5)
    longer, shorter = again.predict(["the cat", "a"], verbose=0)
    assert longer.shape == (7, len(LETTERS)) and shorter.shape == (1, len(LETTERS))
    np.testing.assert_allclose(longer, model.predict(["the cat"], verbose=0)[0], atol=1e-5)
    again.fit(TEXT, verbose=0)
    copy = keraszoo.build(name, vocabulary=LETTERS, weights=tmp_path / "model.keras", **TINY[name])
    assert copy.perplexity(TEXT) == pytest.approx(model.perplexity(TEXT), rel=1e-5)


@every_model
def test_says_what_is_wrong_with_a_text(name, models):
    model = models[name]
    for bad, said in (("", "empty"), ("ЖЖЖ", "does not know"), (["the", 3], r"x\[1\]"), (b"the", "bytes")):
        with pytest.raises(ValueError, match=said):
            model.fit(bad, verbose=0)
    for bad, said in (
        ("", r"prompts\[0\] is empty"),
        ("ЖЖЖ", "does not know"),
        (["a", ""], r"prompts\[1\]"),
        ([], "empty"),
    ):
        with pytest.raises(ValueError, match=said):
            model.generate(bad)
    with pytest.raises(ValueError, match="one text"):
        model.stream(["a", "t"])
    with pytest.raises(ValueError, match="its own answer"):
        model.fit(TEXT, np.zeros(3), verbose=0)
    with pytest.raises(ValueError, match="at least two tokens"):
        model.perplexity("a")
    with pytest.raises(ValueError, match="from 0 to"):
        model.generate(np.array([5, 4000]))
    with pytest.raises(ValueError, match="without a vocabulary"):
        keraszoo.build(name, vocabulary_size=9, **TINY[name]).generate("the")


def test_text_falls_into_windows_and_its_end_is_for_validation(models, tmp_path):
    model = models["neural_ngram"]
    with pytest.raises(ValueError, match="at least 17"):
        model.fit("the cat", verbose=0)
    rows = model.read(TEXT)
    assert rows.count == (len(TEXT) - 1) // 16
    documents = model.running(["the cat", "a dog"])
    assert documents.tolist() == [*LETTERS.encode("the cat", end=True), *LETTERS.encode("a dog", end=True)]
    written = Written(tmp_path / "written.txt", ["the ", "a "], length=9, show=None)
    history = model.fit(TEXT, validation_split=0.2, epochs=2, verbose=0, callbacks=[written]).history
    assert set(history) == {"loss", "perplexity", "val_loss", "val_perplexity"}
    np.testing.assert_allclose(history["perplexity"], np.exp(history["loss"]), rtol=1e-5)
    told = (tmp_path / "written.txt").read_text()
    assert told.count("\nthe ") == 2 and "after epoch 1:\n" in told and "after epoch 2:\n" in told
    history = model.fit(TEXT, validation_data=(TEXT[:100], None), verbose=0).history
    assert history["val_loss"][0] > 0


def test_what_is_not_a_language_model_cannot_be_asked_to_write(tmp_path):
    model = keraszoo.build("mlp", input_shape=(3,), num_classes=2, units=(2,))
    with pytest.raises(ValueError, match="method `generate`"):
        model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0, callbacks=[Written(tmp_path / "w.txt", "a")])


def test_a_character_of_several_tokens_comes_as_one_piece():
    bytewise = Tokenizer.learn(["naïve façade €"], kind="bpe", size=260)
    model = keraszoo.build("ngram", vocabulary=bytewise, order=4, smoothing="maximum_likelihood")
    model.fit("naïve façade €", verbose=0)
    told = list(model.stream("na", 20, temperature=0))
    assert "".join(told).startswith("ïve façade €") and "ï" in told and "€" in told


# Counting


def stream(count=400, tokens=13, seed=0):
    """Token numbers from 1, few of them frequent, whose beginning comes again at the end."""
    rng = np.random.default_rng(seed)
    drawn = np.minimum(rng.zipf(1.6, count), tokens - 1)
    return np.concatenate([drawn, drawn[:5]])


def model_of(numbers, tokens=13, **arguments):
    model = keraszoo.build("ngram", vocabulary_size=tokens, **arguments)
    model.fit(np.asarray(numbers), verbose=0)
    return model


def likely(model, context):
    """Probabilities of all tokens after a context."""
    return np.exp(model.predict(np.array([context]), verbose=0)[0, -1].astype("float64"))


def contexts(numbers, length):
    """Some that occur, and one that does not."""
    seen = [tuple(int(n) for n in numbers[i : i + length]) for i in range(0, 60, 9)]
    return [*seen, (11,) * (length - 1) + (12,)]


def test_counts_are_those_of_a_counter():
    rows = np.random.default_rng(1).integers(0, 4, (6, 9))
    counts = Counts.of(rows, 3, 4)
    for n in (1, 2, 3):
        expected = Counter(tuple(row[i : i + n]) for row in rows.tolist() for i in range(10 - n))
        assert len(expected) == len(counts.keys[n])
        for gram, count in expected.items():
            row = np.array(gram)[None]
            assert counts.counts[n][counts.numbers(row)[n][0, -1]] == count
    twice = counts.plus(counts)
    half = Counts.of(rows[:2], 3, 4).plus(Counts.of(rows[2:], 3, 4), 1)
    for n in (1, 2, 3):
        np.testing.assert_array_equal(twice.counts[n], 2 * counts.counts[n])
        np.testing.assert_array_equal(half.keys[n], counts.keys[n])
        np.testing.assert_array_equal(half.counts[n], counts.counts[n])


@pytest.mark.parametrize("order", [2, 3])
def test_kneser_ney_and_maximum_likelihood_are_those_of_nltk(order):
    from nltk import lm
    from nltk.util import everygrams

    numbers = stream()
    words = [str(n) for n in numbers]
    kinds = {
        lm.KneserNeyInterpolated(order, discount=0.1): dict(
            smoothing="kneser_ney", discount=0.1, uniform=False
        ),
        lm.MLE(order): dict(smoothing="maximum_likelihood"),
        lm.Lidstone(0.3, order): dict(smoothing="add_k", k=0.3),
    }
    for reference, arguments in kinds.items():
        reference.fit([everygrams(words, max_len=order)], words)
        model = model_of(numbers, order=order, **arguments)
        for context in contexts(numbers, order - 1)[: -1 if isinstance(reference, lm.MLE) else None]:
            expected = [reference.score(str(word), tuple(map(str, context))) for word in range(1, 13)]
            np.testing.assert_allclose(likely(model, context)[1:], expected, atol=1e-6)


def by_hand(words, context, word, tokens, order, kind):
    """Chen, Goodman 1998, section 3: interpolated Kneser-Ney, with dictionaries."""

    def counts(n):
        if n == order:
            return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        longer = {tuple(words[i : i + n + 1]) for i in range(len(words) - n)}
        return Counter(gram[1:] for gram in longer)

    def probability(n, context):
        if n == 0:
            return 1 / tokens
        found = counts(n)
        taken = discounts(kind, np.array(list(found.values())))
        after = {gram[-1]: count for gram, count in found.items() if gram[:-1] == context}
        shorter = probability(n - 1, context[1:])
        if not after:
            return shorter
        total = sum(after.values())
        left = sum(taken[min(count, 3)] for count in after.values()) / total
        count = after.get(word, 0)
        return (count - taken[min(count, 3)]) / total + left * shorter

    return probability(order, context)


@pytest.mark.parametrize("kind", ["estimated", "modified", 0.6])
def test_kneser_ney_is_the_sum_that_chen_and_goodman_write(kind):
    numbers = stream(seed=4)
    model = model_of(numbers, order=3, discount=kind)
    for context in contexts(numbers, 2):
        expected = [by_hand(numbers.tolist(), context, word, 13, 3, kind) for word in range(13)]
        np.testing.assert_allclose(likely(model, context), expected, rtol=1e-5)


def test_discounts_are_estimated_from_how_many_were_seen_once_and_twice():
    counts = np.repeat([1, 2, 3, 4, 9], [40, 16, 8, 5, 3])
    single = 40 / (40 + 2 * 16)
    np.testing.assert_allclose(discounts("estimated", counts), [0, single, single, single])
    several = [0, 1 - 2 * single * 16 / 40, 2 - 3 * single * 8 / 16, 3 - 4 * single * 5 / 8]
    np.testing.assert_allclose(discounts("modified", counts), several)
    np.testing.assert_allclose(discounts("modified", np.array([2, 2, 4])), [0, 0.75, 0.75, 0.75])


@pytest.mark.parametrize("smoothing", ["maximum_likelihood", "add_k", "kneser_ney"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_after_any_context_sum_to_one(smoothing, order):
    numbers = stream()
    model = model_of(numbers, order=order, smoothing=smoothing)
    rows = np.concatenate([numbers[:30], [12, 11, 0, 12], numbers[:6]])[None]
    np.testing.assert_allclose(model.probabilities(rows).sum(axis=-1), 1, rtol=1e-12)
    every, single = model.probabilities(rows[:, :-1]), model.probabilities(rows[:, :-1], rows[:, 1:])
    np.testing.assert_allclose(np.take_along_axis(every, rows[:, 1:, None], 2)[..., 0], single, rtol=1e-12)


def test_a_model_that_knows_nothing_hesitates_among_all_tokens():
    model = keraszoo.build("ngram", vocabulary_size=37, order=3)
    assert model.perplexity(np.arange(1, 30)) == pytest.approx(37)
    net = keraszoo.build("rnn_language_model", vocabulary_size=37, units=4, init=0.0)
    assert net.perplexity(np.arange(1, 30)) == pytest.approx(37, rel=1e-5)


def test_maximum_likelihood_is_the_share_that_was_seen():
    model = model_of([1, 2, 1, 2, 1, 3], tokens=5, order=2, smoothing="maximum_likelihood")
    np.testing.assert_allclose(likely(model, [1]), [0, 0, 2 / 3, 1 / 3, 0], atol=1e-7)
    assert model.perplexity([1, 2, 1, 3]) == pytest.approx((2 / 3 * 1 * 1 / 3) ** (-1 / 3))
    assert math.isinf(model.perplexity([1, 4]))


def test_what_is_counted_in_parts_is_what_is_counted_at_once():
    rows = np.random.default_rng(3).integers(1, 9, (8, 12))
    whole, parts = (keraszoo.build("ngram", vocabulary_size=9, order=3) for _ in range(2))
    whole.fit(rows[:, :-1], rows[:, 1:], verbose=0)
    parts.fit(rows[:5, :-1], rows[:5, 1:], verbose=0)
    parts.train_on_batch(rows[5:, :-1], rows[5:, 1:])
    np.testing.assert_allclose(parts.predict(rows, verbose=0), whole.predict(rows, verbose=0), rtol=1e-6)
    assert parts.evaluate(rows[:, :-1], rows[:, 1:]) == pytest.approx(
        whole.evaluate(rows[:, :-1], rows[:, 1:])
    )
    with pytest.raises(ValueError, match="moved on by a token"):
        whole.fit(rows, rows[:, ::-1], verbose=0)
    with pytest.raises(ValueError, match="sample_weight"):
        whole.fit(rows[:, :-1], rows[:, 1:], sample_weight=np.ones(8), verbose=0)


def test_the_same_text_is_written_on_every_backend():
    model = keraszoo.build("ngram", vocabulary=WORDS, order=3)
    model.fit(TEXT, verbose=0)
    assert model.generate("the cat", 12, seed=0) == WRITTEN


WRITTEN = ". the cat the dog, and the dog, and the"


# Networks


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        ("neural_ngram", dict(embed_dim=30, units=100, direct=False), 2_158_273),
        ("rnn_language_model", dict(units=650, dropout=0.5), 19_775_200),
        ("rnn_language_model", dict(units=1500, dropout=0.65), 66_022_000),
    ],
)
def test_papers_sizes(name, arguments, count):
    entry = registry.entry(name)
    assert front.trainable(front.abstract(entry.load(), {**entry.size, **arguments})) == count


@pytest.mark.parametrize("direct", [True, False])
def test_neural_ngram_is_equation_one_of_the_paper(direct):
    model = keraszoo.build(
        "neural_ngram", vocabulary_size=11, order=4, embed_dim=3, units=5, direct=direct, seed=1
    )
    x = np.array([[4, 7, 1, 9, 2]])
    vectors, h, d, u, b, *w = (ops.convert_to_numpy(v) for v in model.trainable_variables)
    window = vectors[[1, 9, 2]].ravel()
    expected = b + np.tanh(d + window @ h) @ u + (window @ w[0] if direct else 0)
    np.testing.assert_allclose(model.predict(x, verbose=0)[0, -1], expected, atol=1e-5)


def test_recurrent_language_model_drops_only_on_the_way_up():
    model = keraszoo.build("rnn_language_model", vocabulary_size=9, units=4, dropout=0.5, init=0.05)
    kinds = [type(layer).__name__ for layer in model.layers[1:]]
    assert kinds == ["Embedding", "Dropout", "LSTM", "Dropout", "LSTM", "Dropout", "Dense"]
    assert all(
        layer.cell.dropout == layer.cell.recurrent_dropout == 0
        for layer in (model.layers[3], model.layers[5])
    )
    assert all(abs(ops.convert_to_numpy(w)).max() <= 0.05 for w in model.trainable_variables)
    assert model.optimizer.global_clipnorm == 5.0
    assert isinstance(model.optimizer, keras.optimizers.Adam)
