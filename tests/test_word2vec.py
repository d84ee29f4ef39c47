"""Vectors of words: the program's rules, one by one, and what must follow from sentences whose sense is known."""

import functools

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import chisquare

import keraszoo
from keraszoo import front, registry
from keraszoo.backend.autodiff import value_and_grad
from keraszoo.callbacks import Neighbours
from keraszoo.data import words as data
from keraszoo.diagnostics.words import analogy_score, similarity_score
from keraszoo.text import Tokenizer
from keraszoo.training.contexts import Contexts, kept, noise

KINDS = ("skipgram", "cbow")


def numpy(value):
    return np.array(ops.convert_to_numpy(value))


def small(kind="skipgram", **config):
    """A model of nine words whose vectors are random, and a batch for it: a neighbour twice, gaps, an empty row."""
    config = {"limit": None, "window": 2, "vocabulary_size": 9, "embed_dim": 4, "negatives": 3, **config}
    model = keraszoo.build(f"word2vec_{kind}", seed=2, **config)
    rng = np.random.default_rng(0)
    for table in (model.neighbours, model.centres):
        table.assign(rng.normal(size=table.shape).astype("float32"))
    contexts = np.array([[1, 2, 3, 3], [0, 5, 6, 0], [4, 0, 0, 1], [0, 0, 0, 0]], "int32")
    return model, contexts, np.array([4, 1, 4, 2], "int32")


def chosen(model, contexts, centres):
    """The random words that the next step will draw."""
    seeds = [numpy(seed) for seed in model.seeds()]
    with keras.StatelessScope() as scope:
        pairs = model.pairs(*model.unpacked((contexts, centres))[:2])
        drawn = numpy(pairs.negatives)
    del scope
    assert all((a == numpy(b)).all() for a, b in zip(seeds, model.seeds(), strict=True))
    return drawn


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [None, "centre", 6])
def test_a_step_is_the_gradient_of_the_loss(kind, shared):
    """Of the sum of all pairs' losses, by the backend's own differentiation; neighbours of a bag get it undivided."""
    model, contexts, centres = small(kind, shared_negatives=shared)
    drawn = chosen(model, contexts, centres)
    each = model.negatives / shared if isinstance(shared, int) else 1.0
    if shared is None and kind == "skipgram":
        drawn = drawn.reshape(4, 4, 3)
    else:
        drawn = np.broadcast_to(drawn if shared == 6 else drawn[:, None], (4, 4, drawn.shape[-1]))

    def loss():
        total = 0.0
        for i, row in enumerate(contexts):
            there = [j for j, word in enumerate(row) if word]
            vectors = [model.neighbours[int(row[j])] for j in there]
            if kind == "cbow" and there:
                vectors, there = [sum(vectors) / len(vectors)], there[:1]
            for j, vector in zip(there, vectors, strict=True):
                total += ops.softplus(-ops.sum(vector * model.centres[int(centres[i])]))
                for negative in drawn[i, j]:
                    if negative != centres[i]:
                        total += each * ops.softplus(ops.sum(vector * model.centres[int(negative)]))
        return total

    value, gradients = value_and_grad(loss, [model.neighbours, model.centres])
    expected = [numpy(g) for g in gradients]
    if kind == "cbow":  # no word has two bags of different size here, but 1: once among four, once among two
        sizes = (contexts > 0).sum(1)
        expected[0] = bags(model, contexts, centres, drawn, each, sizes)
    before = [numpy(model.neighbours), numpy(model.centres)]
    model.optimizer.learning_rate = 0.5
    logs = model.train_on_batch(contexts, centres, return_dict=True)
    for old, new, slope in zip(before, (model.neighbours, model.centres), expected, strict=True):
        np.testing.assert_allclose(numpy(new), old - 0.5 * slope, atol=2e-6)
        assert np.abs(numpy(new) - old).max() > 0.05
    pairs = 3 if kind == "cbow" else 8
    np.testing.assert_allclose(logs["loss"], float(numpy(value)) / pairs, rtol=1e-5)


def bags(model, contexts, centres, drawn, each, sizes):
    """What a bag's error is to its words, by hand: in full, where the gradient would divide it by the bag's size."""
    table, out = numpy(model.neighbours), numpy(model.centres)
    found = np.zeros_like(table)
    for i in np.flatnonzero(sizes):
        words = contexts[i][contexts[i] > 0]
        mean = table[words].mean(0)
        error = -out[centres[i]] / (1 + np.exp(mean @ out[centres[i]]))
        for negative in drawn[i, 0]:
            if negative != centres[i]:
                error = error + each * out[negative] / (1 + np.exp(-mean @ out[negative]))
        np.add.at(found, words, error)
    return found


def test_one_pair_is_what_the_program_does():
    """The inner loop of word2vec.c, for a pair and its random words in turn; none of them twice."""
    model, _, _ = small(negatives=2)
    contexts, centres = np.array([[0, 3, 0, 0]], "int32"), np.array([5], "int32")
    while len({5, *chosen(model, contexts, centres).ravel()}) < 3:
        model.pairs(*model.unpacked((contexts, centres))[:2])
    drawn = chosen(model, contexts, centres).ravel()
    syn0, syn1 = numpy(model.neighbours).astype("float64"), numpy(model.centres).astype("float64")
    alpha, neu1e = 0.025, np.zeros(4)
    for target, label in [(5, 1), *((d, 0) for d in drawn)]:
        g = (label - 1 / (1 + np.exp(-syn0[3] @ syn1[target]))) * alpha
        neu1e += g * syn1[target]
        syn1[target] += g * syn0[3]
    syn0[3] += neu1e
    model.train_on_batch(contexts, centres)
    np.testing.assert_allclose(numpy(model.neighbours), syn0, atol=1e-6)
    np.testing.assert_allclose(numpy(model.centres), syn1, atol=1e-6)


def test_random_words_are_drawn_by_their_counts_to_three_quarters():
    model, contexts, centres = small(shared_negatives=20000)
    counts = np.array([0, 0, 1, 2, 4, 8, 16, 500, 1000])
    model.count(counts)
    found = np.bincount(chosen(model, contexts, centres), minlength=9)
    weights = counts**0.75
    assert found[:2].sum() == 0
    assert chisquare(found[2:], (20000 * weights / weights.sum())[2:]).pvalue > 1e-3
    np.testing.assert_allclose(np.diff(noise(counts), prepend=0), weights / weights.sum(), atol=1e-6)


def test_a_random_word_that_is_the_centre_does_not_count():
    model, contexts, _ = small(limit=0.5)
    model.count(np.eye(9)[4])  # nothing but word 4 is ever drawn
    pairs = model.pairs(*model.unpacked((contexts, np.array([4, 4, 1, 1], "int32")))[:2])
    counted = numpy(pairs.shares).sum((1, 2))
    np.testing.assert_array_equal(
        counted, [0, 0, 6, 0]
    )  # 2 neighbours with 3 random words; the last row is empty


def test_the_limit_shortens_a_step_that_many_pairs_share():
    one, contexts, _ = small(shared_negatives="centre", negatives=1)
    contexts, centres = np.repeat(contexts[1:2], 50, 0), np.full(50, 8, "int32")
    two, _, _ = small(shared_negatives="centre", negatives=1, limit=0.5)
    for model in (one, two):
        model.count(np.eye(9)[7])
    before, moved = numpy(one.neighbours), []
    for model in (one, two):
        model.train_on_batch(contexts, centres)
        moved.append(numpy(model.neighbours) - before)
    np.testing.assert_allclose(moved[1], moved[0] * 0.5 / (50 * 0.025), rtol=1e-4, atol=1e-6)
    assert np.abs(moved[1]).max() > 0.01


def test_frequent_words_are_kept_as_the_program_keeps_them():
    counts = np.array([0, 9_000, 900, 90, 10])
    shares = kept(counts, 1e-3)
    frequency = counts / counts.sum()
    np.testing.assert_allclose(
        shares[1:], np.minimum(1, (np.sqrt(frequency[1:] / 1e-3) + 1) * 1e-3 / frequency[1:])
    )
    assert shares[0] == shares[4] == 1 and (kept(counts, 0) == 1).all()
    text = np.repeat(np.arange(5), counts).astype("int32")
    batches = Contexts([text], 1, 5, 1e-3, batch_size=64, shuffle=True, seed=0)
    for epoch in range(3):
        batches.epoch = epoch
        found = np.bincount(batches.kept, minlength=5)[1:]
        spread = 5 * np.sqrt(counts[1:] * shares[1:] * (1 - shares[1:])) + 1e-9
        assert (np.abs(found - counts[1:] * shares[1:]) <= spread).all()
    assert abs(batches.count - shares @ counts) < 64 and batches.count % 64 == 0


def test_words_are_kept_and_drawn_as_gensim_does():
    """Its tables of both, for a vocabulary of its own counting."""
    from gensim.models import Word2Vec

    texts = [text.split() for text in data.people(300)]
    theirs = Word2Vec(sentences=None, sample=1e-2, min_count=1, sg=1)
    theirs.build_vocab(texts)
    words = theirs.wv.index_to_key
    counts = np.array([theirs.wv.get_vecattr(word, "count") for word in words])
    share = np.array([theirs.wv.get_vecattr(word, "sample_int") for word in words]) / 2**32
    np.testing.assert_allclose(kept(counts, 1e-2), share, atol=1e-6)
    assert share.min() < 0.9
    np.testing.assert_allclose(noise(counts), theirs.cum_table / theirs.cum_table[-1], atol=1e-6)


def test_windows_shrink_evenly_and_stay_in_their_text():
    numbers = np.arange(1, 6001, dtype="int32")
    batches = Contexts([numbers[:5000], numbers[5000:]], 4, 6001, batch_size=6000, shuffle=True, seed=1)
    contexts, centres = batches[0]
    assert sorted(centres) == list(numbers) and contexts.dtype == centres.dtype == np.int32
    offsets = np.array([-4, -3, -2, -1, 1, 2, 3, 4])
    there = contexts > 0
    assert (contexts[there] == (centres[:, None] + offsets)[there]).all()
    assert ((contexts > 5000) == (centres > 5000)[:, None])[there].all()
    inside = ((centres > 4) & (centres < 4996)) | ((centres > 5004) & (centres < 5996))
    radius = there[inside].sum(1)
    assert set(radius) == {2, 4, 6, 8} and chisquare(np.bincount(radius)[2::2]).pvalue > 1e-3
    batches.epoch = 1
    assert not np.array_equal(batches[0][1], centres)
    batches.epoch = 0
    assert np.array_equal(batches[0][0], contexts)


def test_the_rate_falls_evenly_to_a_ten_thousandth():
    batches = Contexts([np.arange(1, 401)], 2, 401, epochs=2, batch_size=100, seed=0)
    rates = []
    for epoch in range(2):
        batches.epoch = epoch
        rates += [batch[2][0] for batch in batches]
    np.testing.assert_allclose(rates, 1 - np.arange(8) / 8)
    batches.epoch = 2
    assert batches[0][2].min() == np.float32(1e-4)


@functools.cache
def taught(kind):
    """A model that has read sentences about kings and queens."""
    texts = data.people(2000)
    model = keraszoo.build(
        f"word2vec_{kind}", vocabulary=Tokenizer.learn(texts), embed_dim=16, subsample=0, seed=0
    )
    history = model.fit(texts, epochs=8, batch_size=256, verbose=0).history
    return model, texts, history


@pytest.mark.parametrize("kind", KINDS)
def test_man_is_to_king_as_woman_is_to_queen(kind):
    model, texts, history = taught(kind)
    assert model.analogy("man", "king", "woman", count=1)[0][0] == "queen"
    share, known = analogy_score(model.words, model.vectors, data.people_questions())
    assert known == 112 and share > 0.9
    near = [word for word, _ in model.nearest("prince", count=3)]
    assert "prince" not in near and set(near) <= set(
        data.people_groups()["heir"] + data.people_groups()["he"]
    )
    assert model.similarity("king", "queen") > model.similarity("king", "waitress")
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    untaught = keraszoo.build(f"word2vec_{kind}", vocabulary=model.tokenizer, embed_dim=16, seed=0)
    assert analogy_score(untaught.words, untaught.vectors, data.people_questions())[0] < 0.2


def test_neighbours_are_told_after_the_last_epoch():
    texts, lines = data.people(60), []
    model = keraszoo.build("word2vec_cbow", vocabulary=Tokenizer.learn(texts), embed_dim=4, seed=0)
    model.fit(texts, verbose=0, callbacks=[Neighbours(["king"], every=9, count=2, show=lines.append)])
    near = ", ".join(f"{word} {cosine:.2f}" for word, cosine in model.nearest("king", 2))
    assert lines[1] == "after epoch 1:" and lines[3:] == [f"  king: {near}"]


def test_the_word_in_a_gap_is_guessed():
    model, _, _ = taught("cbow")
    logits = model.predict(["throne crown kingdom she her"], verbose=0)
    assert logits.shape == (1, len(model.tokenizer))
    assert model.tokenizer.id_to_token(logits[0].argmax()) in (
        "queen",
        *data.PEOPLE["monarch"][1].split(),
        *data.GENDERS[1],
    )


def test_a_file_keeps_words_vectors_and_counts(tmp_path):
    model, texts, _ = taught("skipgram")
    model.save(tmp_path / "words.keras")
    again = keraszoo.load(tmp_path / "words.keras")
    assert again.words == model.words and again.nearest("king") == model.nearest("king")
    np.testing.assert_array_equal(again.vectors, model.vectors)
    np.testing.assert_array_equal(numpy(again.noise), numpy(model.noise))
    assert model.vectors.shape == (len(model.words), 16) and model.vectors.dtype == np.float32
    loss = again.evaluate(texts[:50], verbose=0, return_dict=True)["loss"]
    assert loss == again.evaluate(texts[:50], verbose=0, return_dict=True)["loss"]


def test_counts_are_those_of_two_tables():
    """text8 as the program's demonstration has it, and the vectors learned from Google News."""
    build = registry.entry("word2vec_skipgram").load()
    for size, count in (((71_291, 200), 28_516_400), ((3_000_000, 300), 1_800_000_000)):
        model = front.abstract(build, dict(zip(("vocabulary_size", "embed_dim"), size, strict=True)))
        assert front.trainable(model) == count


def test_says_what_is_wrong():
    model, texts, _ = taught("skipgram")
    with pytest.raises(ValueError, match="word='qeen' is no word.*Did you mean 'queen'"):
        model.nearest("qeen")
    with pytest.raises(ValueError, match="c='king queen' is no word"):
        model.analogy("man", "king", "king queen")
    with pytest.raises(ValueError, match="count must be a whole number from 1"):
        model.nearest("king", count=0)
    with pytest.raises(ValueError, match=r"x\[1\] is empty"):
        model.fit([texts[0], ""], verbose=0)
    with pytest.raises(ValueError, match="No text holds two words"):
        model.fit(["king", "unheard of", "queen"], verbose=0)
    with pytest.raises(ValueError, match="no y and no sample_weight"):
        model.fit(texts[:4], np.arange(4), verbose=0)
    with pytest.raises(ValueError, match="there is no y"):
        model.fit(np.ones((3, 10), "int32"), verbose=0)
    with pytest.raises(ValueError, match="y must hold words, numbered from 1"):
        model.fit(np.ones((3, 10), "int32"), np.array([0, 1, 2]), verbose=0)
    with pytest.raises(ValueError, match="x must hold token numbers"):
        model.predict(np.full((3, 10), 10_000), verbose=0)
    with pytest.raises(ValueError, match="SGD without momentum"):
        model.compile("adam")
    with pytest.raises(ValueError, match="got SGD with clipnorm"):
        model.compile(keras.optimizers.SGD(0.1, clipnorm=1.0))
    with pytest.raises(ValueError, match="without a vocabulary"):
        small()[0].nearest("king")
    for wrong in (
        dict(window=0),
        dict(shared_negatives="all"),
        dict(subsample=2),
        dict(input_shape=(3,)),
        dict(limit=0),
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            keraszoo.build("word2vec_cbow", vocabulary_size=9, **wrong)


def test_scores_are_those_of_the_books():
    """Cosines in the order of the scores give 1, in the opposite order -1; a parallelogram answers its questions."""
    words = ["a", "b", "c", "d", "e"]
    vectors = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [0, -1, 0]], float)
    pairs = [("a", "b", 7.0), ("a", "d", 5.0), ("a", "e", 1.0), ("b", "unknown", 10.0)]
    assert similarity_score(words, vectors, pairs) == (1.0, 3)
    assert similarity_score(words, vectors, [(a, b, -score) for a, b, score in pairs]) == (-1.0, 3)
    assert analogy_score(words, vectors, {"one": [("a", "b", "c", "d")], "two": [("a", "b", "c", "e")]}) == (
        0.5,
        2,
    )
    with pytest.raises(ValueError, match="a correlation needs three"):
        similarity_score(words, vectors, pairs[:2])
    with pytest.raises(ValueError, match="None of 1 questions"):
        analogy_score(words, vectors, [("a", "b", "c", "x")])


def test_judgements_are_read_and_damage_is_noticed(tmp_path):
    for folder, name, text in (
        ("word_similarity", "wordsim_set1.csv", "word1,word2,score\nLove,sex,6.77\ntiger,cat,7.35\n"),
        (
            "word_analogies",
            "questions-words.txt",
            ": capitals\nAthens Greece Oslo Norway\n: family\nboy girl he she\n",
        ),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    assert data.word_similarity(tmp_path, check=False) == [("love", "sex", 6.77), ("tiger", "cat", 7.35)]
    assert data.word_analogies(tmp_path, check=False) == {
        "capitals": [("athens", "greece", "oslo", "norway")],
        "family": [("boy", "girl", "he", "she")],
    }
    for load in (data.word_similarity, data.word_analogies):
        with pytest.raises(ValueError, match="SHA-256"):
            load(tmp_path)
    (tmp_path / "word_similarity/wordsim_set1.csv").write_text("word1,word2,score\nlove,sex\n")
    (tmp_path / "word_analogies/questions-words.txt").write_text(": capitals\n\nAthens Greece Oslo\n")
    with pytest.raises(ValueError, match="line 2 is not two words and a score"):
        data.word_similarity(tmp_path, check=False)
    with pytest.raises(ValueError, match="line 3 is not four words"):
        data.word_analogies(tmp_path, check=False)
