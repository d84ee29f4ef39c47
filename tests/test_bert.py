"""What is true of BERT, of blanks and of spans, and of nothing else."""

import functools
import gzip
import json

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from keras import ops

import keraszoo
from keraszoo import data, front, registry
from keraszoo.callbacks import Filled
from keraszoo.cli.texts import TAGS, TEXT, Reader
from keraszoo.text import Tokenizer
from keraszoo.training.blanks import Blanks, FollowUps
from keraszoo.training.spans import covered, likeliest, place, windows

TINY = dict(registry.entry("bert_tiny").tiny)
WORDS = "the cat dog sat slept on mat rug a red blue and in ##s ##ing play . ? who where".split()
TEXTS = ["The cat sat on the mat.", ("Who slept?", "a red dog slept in the blue rugs"), "playing cats"]
SIZE = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24)
CLASSES = {0: "animals", 1: "things", 2: "colours"}
HEADS = [
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForNextSentencePrediction",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
    "BertModel",
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Function from the name of a class of the reference's to a network with random weights, and the folder that it is saved in."""

    @functools.cache
    def made(head):
        folder = tmp_path_factory.mktemp(head)
        (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
        config = transformers.BertConfig(
            **SIZE,
            vocab_size=5 + len(WORDS),
            max_position_embeddings=24,
            id2label=CLASSES if "Classification" in head else None,
            attn_implementation="eager",
        )
        torch.manual_seed(0)
        model = getattr(transformers, head)(config).eval()
        with torch.no_grad():  # as if it had been trained: new ones have biases of zero
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        model.save_pretrained(folder)
        return model, folder

    return made


@pytest.fixture(scope="module")
def ours(reference):
    """Function from the name of a class of the reference's to our network with the same weights."""
    return functools.cache(lambda head: keraszoo.build("bert_base", weights=reference(head)[1]))


def asked(reference, head, texts, **more):
    """What the reference says of texts, and which places are real."""
    model, folder = reference(head)
    pairs = [text if isinstance(text, tuple) else (text, None) for text in texts]
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    encoded = [tokenizer(*pair) for pair in pairs]
    given = tokenizer.pad(encoded, return_tensors="pt")
    with torch.no_grad():
        return model(**given, **more), given


def value(x):
    return ops.convert_to_numpy(x)


def count(name, **config):
    entry = registry.entry(name)
    return front.trainable(front.abstract(entry.load(), {**entry.size, **config}))


@pytest.mark.parametrize("head", HEADS)
def test_same_answers_as_transformers(reference, ours, head):
    """For single texts and pairs of different lengths; tokenizer, task and class names are the checkpoint's."""
    said, given = asked(reference, head, TEXTS)
    model = ours(head)
    found = model.predict(TEXTS, verbose=0)
    real = [slice(n) for n in given["attention_mask"].sum(1)]
    pairs = {
        "BertForMaskedLM": [("", "logits")],
        "BertForPreTraining": [("tokens", "prediction_logits"), ("next", "seq_relationship_logits")],
        "BertForNextSentencePrediction": [("next", "logits")],
        "BertForSequenceClassification": [("", "logits")],
        "BertForTokenClassification": [("", "logits")],
        "BertForQuestionAnswering": [("start", "start_logits"), ("end", "end_logits")],
        "BertModel": [("features", "last_hidden_state"), ("pooled", "pooler_output")],
    }[head]
    if head == "BertForTokenClassification":  # by words, as `predict` of texts: here, by tokens
        found = model.predict(given["input_ids"].numpy(), verbose=0)
    for name, theirs in pairs:
        expected = said[theirs].numpy()
        assert np.abs(expected).max() > 0.3
        for mine, other, places in zip(found[name] if name else found, expected, real, strict=True):
            places = places if other.ndim > 1 or name in ("start", "end") else slice(None)
            np.testing.assert_allclose(mine[places], other[places], atol=1e-4)
    names = list(CLASSES.values())
    assert model.card["class_names"] == (names if "Classification" in head else None)


def test_same_features_and_attention_as_transformers(reference, ours):
    said, given = asked(
        reference, "BertForMaskedLM", TEXTS, output_attentions=True, output_hidden_states=True
    )
    model, lengths = ours("BertForMaskedLM"), given["attention_mask"].sum(1)
    for mine, other in zip(model.features(TEXTS), said.hidden_states[-1].numpy(), strict=True):
        np.testing.assert_allclose(mine, other[: len(mine)], atol=1e-4)
    seen = model.attention(TEXTS)
    assert seen.tokens[2] == ["[CLS]", "play", "##ing", "cat", "##s", "[SEP]"]
    assert seen.weights.shape == (3, 2, 4, max(lengths), max(lengths))
    expected = np.stack([a.numpy() for a in said.attentions], axis=1)
    for mine, other, n in zip(seen.weights, expected, lengths, strict=True):
        np.testing.assert_allclose(mine[..., :n, :n], other[..., :n, :n], atol=1e-5)
        np.testing.assert_allclose(mine[..., :n, :].sum(-1), 1, atol=1e-5)
        assert not mine[..., n:].any() and not mine[..., n:, :].any()


def test_segments_are_those_of_transformers(reference, ours):
    _, given = asked(reference, "BertForMaskedLM", TEXTS)
    real, segments = map(value, ours("BertForMaskedLM").get_layer("marks")(given["input_ids"].numpy()))
    np.testing.assert_array_equal(real, given["attention_mask"].numpy())
    np.testing.assert_array_equal(segments, given["token_type_ids"].numpy())


def test_blanks_are_filled_as_in_transformers(reference, ours):
    said, given = asked(reference, "BertForMaskedLM", ["The [MASK] slept on a [MASK] mat"])
    places = np.flatnonzero(given["input_ids"][0].numpy() == 4)
    shares = said.logits[0].softmax(-1).numpy()[places]
    found = ours("BertForMaskedLM").fill("The [MASK] slept on a [MASK] mat", k=3)
    assert len(found) == 2
    for guesses, row in zip(found, shares, strict=True):
        best = 5 + np.argsort(-row[5:])[:3]  # no special tokens
        assert [guess.text for guess in guesses] == [WORDS[n - 5] for n in best]
        np.testing.assert_allclose([guess.probability for guess in guesses], row[best], atol=1e-5)


def test_answers_are_the_likeliest_spans(reference, ours):
    question, context = (
        "where ? who",
        "the red cat slept on a mat and the dog sat in a blue rug . play ? " * 3,
    )
    model = ours("BertForQuestionAnswering")
    short = model.answer(question, context[:26], longest=3)
    said, given = asked(reference, "BertForQuestionAnswering", [(question, context[:26])])
    start, end = (v[0].softmax(-1).numpy() for v in (said.start_logits, said.end_logits))
    inside = np.flatnonzero(given["token_type_ids"][0].numpy())[:-1]
    spans = [(start[i] * end[j], i, j) for i in inside for j in inside if 0 <= j - i < 3]
    score, i, j = max(spans)
    assert short.text == " ".join(context.split()[i - inside[0] : j - inside[0] + 1])
    assert short.probability == pytest.approx(score, abs=1e-5)
    assert context[short.start :].startswith(short.text)
    both = model.answer([question] * 2, [context, context[:26]], longest=3)
    assert both[1].text == short.text and both[0].text in context  # the long one falls into windows


def test_a_checkpoint_of_another_head_gives_what_it_has(reference):
    theirs, folder = reference("BertForPreTraining")
    build = functools.partial(keraszoo.build, "bert_base", weights=folder)
    model = build(task="text_classification", class_names=["yes", "no", "maybe", "never"])
    assert model.output_shape == (None, 4)
    pooler = theirs.bert.pooler.dense
    np.testing.assert_array_equal(value(model.get_layer("pooler").kernel), pooler.weight.detach().numpy().T)
    blanks = build(task="masked_language_modeling")
    decoder = theirs.cls.predictions
    np.testing.assert_array_equal(value(blanks.get_layer("offset").bias), decoder.bias.detach().numpy())
    tagger = keraszoo.build(
        "bert_base",
        weights=reference("BertForSequenceClassification")[1],
        task="token_classification",
        num_classes=3,
    )
    kernel = reference("BertForSequenceClassification")[0].classifier.weight.detach().numpy().T
    assert not np.array_equal(value(tagger.get_layer("tags").kernel), kernel)


def changed(folder, target, tensors=None, **config):
    """A copy of a checkpoint with other tensors or another configuration."""
    target.mkdir()
    held = safetensors.torch.load_file(folder / "model.safetensors")
    safetensors.torch.save_file(tensors(held) if tensors else held, target / "model.safetensors")
    said = json.loads((folder / "config.json").read_text()) | config
    (target / "config.json").write_text(json.dumps(said))
    (target / "vocab.txt").write_text((folder / "vocab.txt").read_text())
    return target


def test_old_names_of_tensors_are_known(reference, ours, tmp_path):
    def old(tensors):
        names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        found = {}
        for name, tensor in tensors.items():
            for new, before in names.items():
                name = name.replace(new, before)
            found[name] = tensor
        found["bert.embeddings.position_ids"] = torch.arange(24)[None]
        return found

    folder = changed(
        reference("BertForPreTraining")[1], tmp_path / "old", old, architectures=["BertForMaskedLM"]
    )
    found = keraszoo.build(
        "bert_base", weights=folder
    )  # more heads than its class has, as the published ones
    expected = ours("BertForPreTraining").get_layer("transform_norm").gamma
    np.testing.assert_array_equal(value(found.get_layer("transform_norm").gamma), value(expected))


def test_refuses_what_is_no_checkpoint_of_it(reference, tmp_path):
    folder = reference("BertForSequenceClassification")[1]
    build = functools.partial(keraszoo.build, "bert_base")

    def without(tensors):
        return {name: tensor for name, tensor in tensors.items() if name != "classifier.bias"}

    with pytest.raises(
        ValueError, match="there is no tensor classifier.bias, which should become classes/bias"
    ):
        build(weights=changed(folder, tmp_path / "without", without))
    with pytest.raises(ValueError, match="hidden_act must be 'gelu'.*'gelu_new'"):
        build(weights=changed(folder, tmp_path / "tanh", hidden_act="gelu_new"))
    with pytest.raises(ValueError, match="must have model_type 'bert' for bert, got 'gpt2'"):
        build(weights=changed(folder, tmp_path / "gpt2", model_type="gpt2"))
    with pytest.raises(ValueError, match="holds a BertLMHeadModel; bert reads"):
        build(weights=changed(folder, tmp_path / "decoder", architectures=["BertLMHeadModel"]))
    with pytest.raises(ValueError, match="must have model_type 'vit'.* got 'bert'"):
        keraszoo.build("vit_base", weights=folder)
    with pytest.raises(ValueError, match="is not the tokenizer of the checkpoint"):
        build(weights=folder, vocabulary=Tokenizer.learn(["a b c"], mask=True))
    with pytest.raises(ValueError, match="depth=3 contradicts the checkpoint"):
        build(weights=folder, depth=3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert_tiny", 4_385_920),
        ("bert_mini", 11_170_560),
        ("bert_small", 28_763_648),
        ("bert_medium", 41_373_184),
        ("bert_base", 109_482_240),
        ("bert_large", 335_141_888),
    ],
)
def test_published_sizes(name, expected):
    assert count(name, task="text_encoding") == expected
    if name == "bert_base":
        assert count(name, task="next_sentence_prediction") == 110_106_428
        assert count(name, task="text_encoding", vocabulary_size=28_996) == 108_310_272  # cased


# Without a reference: what is read, drawn and learned


TOKENIZER = Tokenizer.learn(
    [" ".join(WORDS).replace("#", ""), "cats rugs playing"], "wordpiece", size=60, mask=True
)


def small(task, **config):
    size = dict(embed_dim=16, depth=1, num_heads=2, context=16, vocabulary=TOKENIZER, dropout=0.0)
    return keraszoo.build("bert_tiny", task=task, **{"seed": 0, **size, **config})


def learned(model, x, y, loss="loss"):
    """Fit until a loss is small; whether it becomes so."""
    model.optimizer.learning_rate = 1e-2
    for _ in range(10):
        model.fit(x, y, epochs=25, verbose=0)
        if model.evaluate(x, y, verbose=0, return_dict=True)[loss] < 0.05:
            return True
    return False


@functools.cache
def blanks_model():
    return small("masked_language_modeling")


def test_blanks_are_drawn_as_in_the_paper():
    rng = np.random.default_rng(0)
    ordinary = rng.integers(5, len(TOKENIZER), (200, 40)).astype("int32")
    rows = [np.array([2, *row[: 20 + i % 21], 3], "int32") for i, row in enumerate(ordinary)]
    drawn = Blanks(rows, tokenizer=TOKENIZER, batch_size=50, buckets=1, shuffle=True, seed=1)
    batches = [drawn[i] for i in range(4)]
    hidden, places = map(np.concatenate, zip(*[batch[0] for batch in batches], strict=True))
    tokens, weight = (np.concatenate([batch[i] for batch in batches]) for i in (1, 2))
    x, chosen = hidden.copy(), np.zeros(hidden.shape, bool)
    for row, at, given, each, found in zip(x, places, tokens, weight, chosen, strict=True):
        row[at], found[at] = given, each == 1
    known = {tuple(row[row > 0].tolist()) for row in x}
    assert known == {tuple(row.tolist()) for row in rows}
    usual = x > 4
    np.testing.assert_array_equal(chosen.sum(1), np.round(0.15 * usual.sum(1)))
    assert not (chosen & ~usual).any() and (hidden == x)[~chosen].all()
    masked, kept = (hidden == 4)[chosen].mean(), (hidden == x)[chosen].mean()
    assert abs(masked - 0.8) < 0.03 and abs(kept - 0.1) < 0.03 and (hidden[usual] > 3).all()
    again = Blanks(rows, tokenizer=TOKENIZER, batch_size=50, buckets=1, shuffle=True, seed=1)
    np.testing.assert_array_equal(again[0][0][0], drawn[0][0][0])
    again.epoch = 1
    first = {tuple(row): tuple(h) for row, h in zip(x, hidden, strict=True)}
    (h, at), given, _ = again[0]
    row = h.copy()
    np.put_along_axis(row, at, given, axis=1)
    assert sum(first[tuple(r)] != tuple(v) for v, r in zip(h, row, strict=True)) > 45
    fixed = Blanks(rows, tokenizer=TOKENIZER, batch_size=50, buckets=1, seed=1, again=False)
    before = fixed[0][0][0]
    fixed.epoch = 1
    np.testing.assert_array_equal(fixed[0][0][0], before)
    short = Blanks([np.array([2, 7, 3], "int32")], tokenizer=TOKENIZER, seed=0)
    assert short[0][0][1].tolist() == [[1]] and short[0][1:] == ([[7]], [[1]])  # one at least


def test_the_loss_is_the_mean_over_chosen_places():
    model = blanks_model()
    texts = ["the cat sat on a mat and play", "a dog slept"] * 5
    (hidden, places), tokens, each = model.read(texts, batch_size=10)[0]
    x, weight = hidden.copy(), np.zeros(hidden.shape, "float32")
    np.put_along_axis(x, places, tokens, axis=1), np.put_along_axis(weight, places, each, axis=1)
    logits = model.predict(hidden, verbose=0).astype("float64")
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    losses = -np.take_along_axis(logits, x[..., None], axis=-1)[..., 0]
    expected = losses[weight == 1].mean()
    right = (logits.argmax(-1) == x)[weight == 1].mean()
    for _ in range(2):  # the same blanks each time
        said = model.evaluate(texts, batch_size=10, verbose=0, return_dict=True)
        assert said["loss"] == pytest.approx(expected, rel=1e-5)
        assert said["accuracy"] == pytest.approx(right, abs=1e-6)
    rows = keraszoo.text.padded(model.encode(texts))
    assert model.evaluate(rows, batch_size=10, verbose=0) == pytest.approx([expected, right], rel=1e-5)
    given = model.evaluate(hidden, x, sample_weight=weight, batch_size=10, verbose=0)
    assert given[0] == pytest.approx(expected, rel=1e-5)


def test_padding_changes_nothing():
    model = blanks_model()
    bare = np.array([[2, 7, 9, 3, 8, 3]])
    padded = np.pad(bare, [(0, 0), (0, 4)])
    np.testing.assert_allclose(
        model.predict(padded, verbose=0)[:, :6], model.predict(bare, verbose=0), atol=1e-5
    )


def test_pairs_of_sentences_are_drawn_from_documents():
    documents = [[np.array([10 * d + s], "int32") for s in range(4)] for d in range(1, 6)]
    drawn = FollowUps(
        documents,
        lambda a, b: np.array([2, *a, 3, *b, 3], "int32"),
        tokenizer=TOKENIZER,
        batch_size=15,
        shuffle=True,
        seed=0,
    )
    shares = []
    for epoch in range(20):
        drawn.epoch = epoch
        (x, places), y, _ = drawn[0]
        np.put_along_axis(x, places, y["tokens"], axis=1)
        for first, second, other in zip(x[:, 1], x[:, 3], y["next"], strict=True):
            assert second == first + 1 if not other else second // 10 != first // 10
        shares.append(y["next"].mean())
        assert sorted(x[:, 1]) == [10 * d + s for d in range(1, 6) for s in range(3)]
    assert len(set(shares)) > 1 and abs(np.mean(shares) - 0.5) < 0.1


def test_learns_which_sentence_follows():
    model = small("next_sentence_prediction", input_shape=(16,))
    documents = [["the cat sat.", "a dog slept."], ["who play?", "where a mat?", "red rug."]]
    model.fit(documents, verbose=0)
    assert {"loss", "tokens_loss", "next_accuracy"} <= model.evaluate(
        documents, verbose=0, return_dict=True
    ).keys()
    pairs = [("the cat sat.", "a dog slept."), ("who play?", "a dog slept."), ("red rug.", "the cat.")]
    assert learned(model, pairs, [0, 1, 0], "next_loss")
    said = model.predict(pairs, verbose=0)
    assert said["next"].argmax(-1).tolist() == [0, 1, 0] and len(said["tokens"]) == 3
    assert len(model.fill("the [MASK] sat.", k=2)[0]) == 2


def test_the_first_piece_of_a_word_carries_its_tag():
    model = small("token_classification", input_shape=(16,), class_names=["thing", "verb"])
    words = [["rugs", "playing"], ["cat", "sat", "on", "xylophones"]]
    tags = [["thing", "verb"], ["thing", "verb", "verb", "thing"]]
    pieces = [[len(TOKENIZER.encode(word)) for word in text] for text in words]
    assert max(map(max, pieces)) > 1
    x, y, weight = model.read(words, tags)[0]
    for row, counts, names, each in zip(weight, pieces, tags, y, strict=True):
        firsts = np.cumsum([1, *counts[:-1]])
        assert np.flatnonzero(row).tolist() == firsts.tolist()
        assert each[firsts].tolist() == [["thing", "verb"].index(name) for name in names]
    assert learned(model, words, tags)
    said = model.predict(words, verbose=0)
    assert [row.argmax(-1).tolist() for row in said] == [[0, 1], [0, 1, 1, 0]]
    ((_, kind, pairs),) = Reader(model).answers(["cat playing"])
    assert kind == TAGS and [word for word, _ in pairs] == ["cat", "playing"]
    with pytest.warns(UserWarning, match="more than 16 tokens"):
        (long,) = model.predict([["cat"] * 30], verbose=0)
    assert long.shape == (14, 2)
    with pytest.raises(ValueError, match=r"y\[1\] has 3 labels for 4 words of x\[1\]"):
        model.fit(words, [[0, 1], [0, 1, 1]], verbose=0)


def test_windows_hold_all_of_a_context():
    question, context = np.arange(10, 13), np.arange(100, 140)
    found = windows(question, context, 2, 3, 16)
    seen = {n for window in found for n in range(window.begin, window.begin + window.count)}
    assert seen == set(range(40)) and all(len(window.tokens) == 16 for window in found)
    for window in found:
        assert window.tokens.tolist()[: window.offset] == [2, 10, 11, 12, 3] and window.tokens[-1] == 3
        piece = slice(window.begin, window.begin + window.count)
        assert window.tokens[window.offset : -1].tolist() == context[piece].tolist()
    assert any(place(window, (17, 20)) != (0, 0) for window in found)  # whole in one of them
    first, last = place(found[1], (found[1].begin, found[1].begin + 2))
    assert found[1].tokens[first : last + 1].tolist() == context[found[1].begin :][:3].tolist()
    assert [len(w.tokens) for w in windows(question, context, 2, 3)] == [46]
    assert windows(np.arange(13), context, 2, 3, 16) is None
    spans = np.array([[0, 3], [4, 9], [9, 10]])
    assert covered(spans, 4, 9) == (1, 1) and covered(spans, 2, 10) == (0, 2) and covered(spans, 3, 4) is None
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 16))
    both = np.exp(start)[:, None] * np.exp(end) / np.exp(start).sum() / np.exp(end).sum()
    inside = range(found[1].offset, 15)
    best = max((both[i, j], i, j) for i in inside for j in inside if i <= j < i + 4)
    shift = found[1].begin - found[1].offset
    assert likeliest(found[1], start, end, 4) == pytest.approx((best[0], best[1] + shift, best[2] + shift))


def test_learns_where_answers_stand():
    model = small("question_answering", input_shape=(24,), context=24)
    context = "the red cat slept on a mat . the blue dog sat in a rug"
    asked = [("who slept", context), ("who sat", context)]
    answers = [(context.index("red cat"), "red cat"), (context.index("blue dog"), "blue dog")]
    assert learned(model, asked, answers)
    for (question, _), (start, text) in zip(asked, answers, strict=True):
        found = model.answer(question, context)
        assert (found.text, found.start) == (text, start) and found.probability > 0.5
    with pytest.raises(ValueError, match=r"y\[0\] says that 'cat' begins at character 3 of the context"):
        model.fit(asked, [(3, "cat"), None], verbose=0)
    with pytest.raises(ValueError, match=r"is asked in Python: .*answer\(question, context\)"):
        next(Reader(model).answers(["who"]))
    with pytest.raises(ValueError, match=r"question has [0-9]+ tokens, which leave no room"):
        model.answer("who " * 30, context)


def test_another_task_begins_where_pre_training_ended(tmp_path):
    model = blanks_model()
    model.save(tmp_path / "model.keras")
    held = keraszoo.load(tmp_path / "model.keras")
    classifier = held.for_task("text_classification", class_names=["good", "bad"])
    np.testing.assert_allclose(classifier.features(["the cat"])[0], model.features(["the cat"])[0], atol=1e-6)
    texts, labels = ["the cat", ("a dog", "in a rug"), "red mat", "blue"], ["good", "bad", "good", "bad"]
    assert learned(classifier, texts, labels)
    classifier.save(tmp_path / "classifier.keras")
    again = keraszoo.load(tmp_path / "classifier.keras")
    assert again.card["class_names"] == ["good", "bad"] and again.task == "text_classification"
    assert again.predict(texts, verbose=0).argmax(-1).tolist() == [0, 1, 0, 1]
    assert not np.allclose(classifier.features(["the cat"])[0], model.features(["the cat"])[0])
    with pytest.raises(ValueError, match="task must be one of"):
        model.for_task("translation")


def test_truncation_keeps_the_ends():
    model = blanks_model()
    with pytest.warns(UserWarning, match="1 of 2 texts have more than 16 tokens"):
        long, short = model.encode(["cat " * 40, "cat"])
    assert len(long) == 16 and long[0] == 2 and long[-1] == 3 and len(short) == 3
    for a, b, sizes in ((40, 2, (11, 2)), (2, 40, (2, 11)), (40, 40, (7, 6)), (9, 5, (8, 5)), (3, 4, (3, 4))):
        parts = np.full(a, 7), np.full(b, 8)
        found = model.wrapped((2, 3), *parts)
        assert found.tolist() == [2, *[7] * sizes[0], 3, *[8] * sizes[1], 3]
    refusing = small("masked_language_modeling", too_long="refuse")
    with pytest.raises(ValueError, match=r"texts\[1\] has 18 tokens; bert_tiny reads 16 at most"):
        refusing.features(["cat", "cat " * 16])


def test_says_what_is_wrong():
    model = blanks_model()
    with pytest.raises(ValueError, match="x has 17 tokens in a row; bert_tiny takes 16 at most"):
        model.predict(np.full((1, 17), 5), verbose=0)
    with pytest.raises(ValueError, match=f"from 0 to {len(TOKENIZER) - 1}"):
        model.predict(np.array([[2, len(TOKENIZER), 3]]), verbose=0)
    with pytest.raises(ValueError, match=r"x\[1\] is empty: it holds padding \(0\) only"):
        model.predict(np.array([[2, 5, 3], [0, 0, 0]]), verbose=0)
    with pytest.raises(ValueError, match=r"text must be a string with \[MASK\]"):
        model.fill("the cat")
    with pytest.raises(ValueError, match=r"x\[1\] must be a text or a pair of texts, got \('a',\)"):
        model.fit(["dog", ("a",)], verbose=0)
    with pytest.raises(ValueError, match="Give no y"):
        model.fit(["the cat"], [1], verbose=0)
    with pytest.raises(
        ValueError, match="answer needs a model for question_answering; .* built for masked_lang"
    ):
        model.answer("who", "cat")
    classifier = small("text_classification", depth=1)
    with pytest.raises(
        ValueError, match="fill needs a model for masked_language_modeling.*for text_classification"
    ):
        classifier.fill("the [MASK]")
    with pytest.raises(ValueError, match="y is missing: bert_tiny learns text_classification from a class"):
        classifier.fit(["the cat"], verbose=0)
    with pytest.raises(ValueError, match="built for nothing that could be learned"):
        small("text_encoding").fit(["the cat"], [1], verbose=0)
    with pytest.raises(ValueError, match="hides tokens behind a mask token, which its vocabulary has not"):
        small("masked_language_modeling", vocabulary=Tokenizer.learn(["the cat"])).fit(["the cat"], verbose=0)
    with pytest.raises(ValueError, match="at least two documents"):
        small("next_sentence_prediction").fit([["the cat", "a dog"]], verbose=0)
    for config, message in (
        (dict(separator=0), "padding and separator must be the numbers of two of the 12 tokens, got 0 and 0"),
        (dict(separator=102), "got 0 and 102: give vocabulary="),
        (dict(input_shape=(9,)), "must not be longer than context"),
        (dict(dropout=1.0), r"dropout must lie in \[0, 1\), got 1.0"),
        (dict(num_heads=3), "num_heads must divide embed_dim"),
    ):
        with pytest.raises(ValueError, match=message):
            keraszoo.build("bert_tiny", **{**TINY, **config})
    with pytest.raises(ValueError, match="cannot be built for task='translation'"):
        keraszoo.build("bert_tiny", task="translation")


def test_data_sets_say_where_answers_stand(tmp_path):
    found = data.load("wishes", count=40, test=10)
    for (question, context), (start, answer) in zip(*found.train, strict=True):
        assert context[start : start + len(answer)] == answer
        assert question.endswith("?") and context.count(answer) == 1
    assert found.train[0] == data.load("wishes", count=40, test=10).train[0] != found.test[0]
    rows = [
        dict(title=f"t{i % 5}", context=f"it is {i}", question="what", answer=str(i), answer_start=6)
        for i in range(20)
    ]
    (tmp_path / "xquad_en").mkdir()
    with gzip.open(tmp_path / "xquad_en/qa.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    found = data.load("xquad_en", data_dir=tmp_path, check=False)
    assert len(found.train[0]) == 16 and len(found.test[0]) == 4
    assert ("what", "it is 3") in [*found.train[0], *found.test[0]] and (6, "3") in [
        *found.train[1],
        *found.test[1],
    ]


def test_fillings_are_told_and_kept(tmp_path):
    said = []
    watch = Filled(tmp_path / "filled.txt", ["the [MASK] sat"], k=2, show=said.append)
    model = blanks_model()
    watch.set_model(model)
    watch.on_train_begin()
    watch.on_epoch_begin(0)
    watch.on_epoch_end(0)
    (guess, other), *_ = model.fill("the [MASK] sat", k=2)
    expected = f"  the [MASK] sat: {guess.text} {guess.probability:.0%}, {other.text} {other.probability:.0%}"
    assert said[-1] == expected and expected in (tmp_path / "filled.txt").read_text()
    ((_, kind, text),) = Reader(model).answers(["the [MASK] sat"])  # and so says the command line
    assert kind == TEXT and text.replace(" ", "") == f"the{guess.text.removeprefix('##')}sat"
