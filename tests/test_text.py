"""Text to numbers and back, raw strings through `fit`, `predict` and a saved file, and what is refused."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

import keraszoo
from keraszoo import data
from keraszoo.data.sentences import words_of_number
from keraszoo.diagnostics import entities, entity_f1
from keraszoo.text import Categories, Tokenizer, padded, read, windows
from keraszoo.training.bucketed import Bucketed

TEXTS = ["To be, or not to be.", "That is the question:", "whether 'tis nobler — in the mind"]
KINDS = ("characters", "words", "split", "given", "bpe", "wordpiece")


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_reads_back_what_it_wrote_down(kind):
    tokenizer = Tokenizer.learn(TEXTS, kind)
    again = Tokenizer.from_json(tokenizer.to_json())
    assert again.kind == kind and again.tokens == tokenizer.tokens and len(again) == len(tokenizer)
    for text in TEXTS:
        numbers = tokenizer.encode(text)
        assert numbers == again.encode(text) and min(numbers) > tokenizer.unknown
        assert tokenizer.encode(text, start=True, end=True) == [tokenizer.start, *numbers, tokenizer.end]
        assert tokenizer.decode([*numbers, tokenizer.end, tokenizer.pad]) == tokenizer.decode(numbers)
    assert (tokenizer.pad, tokenizer.unknown, tokenizer.start, tokenizer.end) == (0, 1, 2, 3)


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_what_has_no_loss_comes_back_letter_by_letter(kind):
    tokenizer = Tokenizer.learn([*TEXTS, "\n"], kind)
    for text in (*TEXTS, "in the\n\n mind  be"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert kind == "characters" or tokenizer.decode(tokenizer.encode("日本語 🙂")) == "日本語 🙂"


def test_vocabularies():
    tokenizer = Tokenizer.learn(["b b b a a c", "a A"], lower=True)
    assert tokenizer.tokens == ["[PAD]", "[UNK]", "[START]", "[END]", "a", "b", "c"]  # the frequent first
    assert tokenizer.encode("c a z [PAD]") == [6, 4, 1, 1, 1, 1]  # no text can pretend to be padding
    assert Tokenizer.learn(["b b b a a c"], size=6).tokens[4:] == ["b", "a"]
    assert Tokenizer.learn(["b b b a a c"], least=3).tokens[4:] == ["b"]
    assert Tokenizer.learn(TEXTS).decode(Tokenizer.learn(TEXTS).encode(TEXTS[0])) == TEXTS[0]
    given = Tokenizer.learn([["don't", "New York"], "don't stop"], "given")
    assert given.split(["New York", "don't"]) == ["New York", "don't"] and given.split("don't") == [
        "don",
        "'",
        "t",
    ]
    many = tokenizer.encode_many(["a b", "c"])
    assert [m.tolist() for m in many] == [[4, 5], [6]] and many[0].dtype == "int32"


def test_unknown_words_are_known_by_their_shape():
    texts = [["in", "Oslo", "in", "1905"], ["in", "UNO", "@ann"]]
    tokenizer = Tokenizer.learn(texts, "given", least=2, shapes=True)
    assert tokenizer.tokens[4:] == ["[9]", "[@x]", "[X]", "[Xx]", "in"]  # not "[x]": "in" is known
    assert tokenizer.split(["in", "Rome", "1066", "@bob", "EU", "a-b"]) == [
        "in",
        "[Xx]",
        "[9]",
        "[@x]",
        "[X]",
        "[UNK]",
    ]
    assert Tokenizer.from_json(tokenizer.to_json()).split(["Rome"]) == ["[Xx]"]
    as_strings = Tokenizer.learn(
        [" ".join(words).replace("@", "") for words in texts], "given", least=2, shapes=True
    )
    assert as_strings.tokens[4:] == ["[9]", "[X]", "[Xx]", "[x]", "in"]
    assert as_strings.split("in Rome") == ["in", "[Xx]"]
    lower = Tokenizer.learn([*texts, ["ann"]], "given", least=2, lower=True, shapes=True)
    assert lower.split(["IN", "Rome", "rome"]) == ["in", "[Xx]", "[x]"]
    same = [["to", "be", "to", "go", "Oslo", "Rome", "Bonn"]]
    assert Tokenizer.learn(same, "given", size=10, shapes=True).tokens[4:] == [
        "to",
        "be",
        "go",
        "Oslo",
        "Rome",
        "Bonn",
    ]
    assert Tokenizer.learn(same, "given", size=8, shapes=True).tokens[4:] == ["[Xx]", "to", "be", "go"]
    with pytest.raises(ValueError, match="room for the 2 shapes of the words, got 5"):
        Tokenizer.learn(same, "given", size=5, shapes=True)
    with pytest.raises(ValueError, match="they need kind=\"given\", got 'words'"):
        Tokenizer.learn(TEXTS, shapes=True)


def test_tokenizers_on_disk(tmp_path):
    tokenizer = Tokenizer.learn(TEXTS)
    tokenizer.save(tmp_path / "words.json")
    assert Tokenizer.load(tmp_path / "words.json").tokens == tokenizer.tokens
    assert [f.name for f in tmp_path.iterdir()] == ["words.json"]
    with pytest.raises(ValueError, match="there is no such file"):
        Tokenizer.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match="no tokenizer of keraszoo"):
        Tokenizer.load(tmp_path / "bad.json")


def test_tokenizers_refuse_what_is_no_text():
    with pytest.raises(ValueError, match="kind must be one of 'characters'.*got 'letters'"):
        Tokenizer.learn(TEXTS, "letters")
    with pytest.raises(ValueError, match="texts is empty"):
        Tokenizer.learn([])
    with pytest.raises(ValueError, match="list of texts, got one str"):
        Tokenizer.learn("to be")
    with pytest.raises(ValueError, match=r"texts\[1\] must be a text, got bytes: decode them"):
        Tokenizer.learn(["to be", b"or not"])
    with pytest.raises(ValueError, match="size must be above 4"):
        Tokenizer.learn(TEXTS, size=4)


def test_categories():
    animals = Categories(["cat", "dog", "cow"])
    assert animals.encode(["cow", "cat"]).tolist() == [2, 0] and animals.decode([2, 0]) == ["cow", "cat"]
    np.testing.assert_array_equal(animals.one_hot(["dog"]), [[0, 1, 0]])
    assert Categories.learn(["b", "a", "b"]).names == ("a", "b")
    with pytest.raises(
        ValueError, match=r"y\[1\] is 'dgo', which is none of the 3 classes. Near it are 'dog'"
    ):
        animals.encode(["cat", "dgo"])
    with pytest.raises(ValueError, match="'a' is there twice"):
        Categories(["a", "b", "a"])
    with pytest.raises(ValueError, match="from 0 to 2, got -1 to 3"):
        animals.decode([-1, 3])


def test_padding_and_windows():
    np.testing.assert_array_equal(padded([[1, 2, 3], [4]], multiple=4), [[1, 2, 3, 0], [4, 0, 0, 0]])
    assert padded([np.ones((2, 3)), np.ones((1, 3))], length=5).shape == (2, 5, 3)
    with pytest.raises(ValueError, match=r"sequences\[1\] has 3 steps, more than length=2"):
        padded([[1], [1, 2, 3]], length=2)
    x, y = windows(np.arange(8), 3)
    np.testing.assert_array_equal(x, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(y, [[1, 2, 3], [4, 5, 6]])
    assert windows(np.arange(8), 3, stride=1)[0].shape == (5, 3)
    with pytest.raises(ValueError, match="has 3 tokens; a window of 3 needs at least 4"):
        windows([1, 2, 3], 3)


def test_files_that_are_no_text_name_the_line(tmp_path):
    (tmp_path / "text.txt").write_bytes("Käse\nbrot".encode("latin-1"))
    with pytest.raises(ValueError, match="not written in utf-8: line 1 holds the byte 0xe4"):
        read(tmp_path / "text.txt")
    assert read(tmp_path / "text.txt", "latin-1") == "Käse\nbrot"
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.txt")
    (tmp_path / "text.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="is damaged"):
        read(tmp_path / "text.gz")


def test_tokens_are_shown_as_text():
    bpe = Tokenizer.learn(["where is the café?"] * 3, kind="bpe", size=290)
    assert [bpe.readable(n) for n in bpe.encode("where is the é")] == ["where", "is", "the", "␣", "é"]
    assert [bpe.readable(n) for n in bpe.encode("à")] == [
        "Ã",
        "ł",
    ]  # two bytes that were not learned together
    assert bpe.readable(bpe.end) == "[END]"
    words = Tokenizer.learn(["where is the café?"])
    assert [words.readable(n) for n in words.encode("the café?")] == ["the", "café", "?"]


def test_token_numbers_are_checked_against_a_usual_vocabulary_too():
    model = keraszoo.build("gpt2_nano", embed_dim=8, depth=1, num_heads=1)
    usual = keraszoo.build("neural_ngram", embed_dim=2, units=2)
    for each, most in ((model, 256), (usual, usual.output_shape[-1])):
        with pytest.raises(ValueError, match=f"from 0 to {most - 1}"):
            each.predict(np.full((1, 6), most, "int32"), verbose=0)
    with pytest.raises(ValueError, match="129 tokens in a row; gpt2_nano takes 128 at most"):
        model.predict(np.zeros((1, 129), "int32"), verbose=0)


def sequences(count, seed=0):
    rng = np.random.default_rng(seed)
    return [np.full(rng.integers(1, 60), i + 1, "int32") for i in range(count)]


@pytest.mark.parametrize("shuffle", [False, True])
def test_buckets_hold_each_sequence_once_in_few_lengths(shuffle):
    x = sequences(103)
    batches = Bucketed(x, np.arange(103), batch_size=8, shuffle=shuffle, seed=3, buckets=4)
    seen, shapes = [], []
    for a, b in (batches[i] for i in range(len(batches))):
        shapes.append(a.shape)
        for row, label in zip(a, b, strict=True):
            np.testing.assert_array_equal(row[row > 0], x[label])
            assert (row[len(x[label]) :] == 0).all()
            seen.append(int(label))
    assert sorted(seen) == list(range(103)) and len(shapes) == len(batches) == 13
    assert len({length for _, length in shapes}) <= 4 and all(length % 8 == 0 for _, length in shapes)
    assert len({size for size, _ in shapes}) <= 2  # the last batch is smaller, and no other
    assert shapes[0][1] == max(length for _, length in shapes) and shapes[1][1] < shapes[0][1]
    assert batches.padding() < 0.3 < Bucketed(x, batch_size=8, buckets=1).padding()


def test_buckets_depend_on_seed_and_epoch_alone():
    def order(batches, epoch):
        batches.epoch = epoch
        return [batches.chosen(i).tolist() for i in range(len(batches))]

    first, second = (Bucketed(sequences(50), batch_size=8, shuffle=True, seed=5) for _ in range(2))
    assert order(first, 1) == order(second, 1) != order(first, 2)
    assert [len(Bucketed(sequences(n), batch_size=2).bounds) for n in (8, 60, 70, 300)] == [1, 1, 2, 4]
    fixed = Bucketed(sequences(50), batch_size=8, length=60)
    assert {fixed[i].shape[1] for i in range(len(fixed))} == {60}
    with pytest.raises(ValueError, match="x has 50, y has 3"):
        Bucketed(sequences(50), np.zeros(3))
    with pytest.raises(ValueError, match="no samples"):
        Bucketed([])


def reader(**more):
    requests = data.load("requests", count=64, test=16)
    tokenizer = Tokenizer.learn(requests.train[0], lower=True)
    config = dict(vocabulary=tokenizer, class_names=requests.class_names, units=16, embed_dim=16, seed=0)
    return requests, keraszoo.build("gru", **{"input_shape": (None,), **config, **more})


def test_raw_text_through_fit_and_a_saved_file(tmp_path):
    requests, model = reader()
    texts, labels = requests.train
    names = [requests.class_names[i] for i in labels]
    model.optimizer.learning_rate = 0.01
    model.fit(texts, names, epochs=8, batch_size=16, verbose=0, validation_split=0.25)
    scores = model.evaluate(texts, labels, return_dict=True, verbose=0)
    assert scores["accuracy"] > 0.9
    said = model.predict(requests.test[0], verbose=0)
    assert said.shape == (16, 4)
    for text, row in zip(requests.test[0][:3], said, strict=False):  # what stands beside it does not matter
        np.testing.assert_allclose(model.predict([text], verbose=0)[0], row, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "reader.keras")
    np.save(tmp_path / "said.npy", said)
    again = keraszoo.load(tmp_path / "reader.keras")
    assert again.tokenizer.tokens == model.tokenizer.tokens
    np.testing.assert_allclose(again.predict(requests.test[0], verbose=0), said, rtol=1e-5, atol=1e-6)
    again.fit(texts, names, verbose=0)
    code = (
        "import sys, numpy as np, keraszoo\n"
        "folder = sys.argv[1]\n"
        "model = keraszoo.load(folder + '/reader.keras')\n"
        "texts = keraszoo.data.load('requests', count=64, test=16).test[0]\n"
        "said = model.predict(texts, verbose=0)\n"
        "np.testing.assert_allclose(said, np.load(folder + '/said.npy'), rtol=1e-4, atol=1e-5)\n"
    )
    import os

    for backend in sorted({"jax", "tensorflow", "torch"} - {keras.backend.backend()}):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def test_one_label_for_each_word_and_the_two_apples():
    """What tells the fruit from the company stands before it or behind it, so a net needs both directions."""
    apples = data.load("apples")
    tokenizer = Tokenizer.learn(apples.train[0], "given", lower=True)

    def fitted(name, **more):
        config = dict(vocabulary=tokenizer, class_names=apples.class_names, return_sequences=True, seed=0)
        model = keraszoo.build(name, input_shape=(None,), embed_dim=16, units=16, **config, **more)
        model.optimizer.learning_rate = 0.02
        model.fit(*apples.train, epochs=12, verbose=0)
        return model

    def tags(model, sentence):
        said = model.predict([sentence], verbose=0)[0]
        assert said.shape == (len(model.tokenizer.encode(sentence)), 3)
        return [apples.class_names[i] for i in said.argmax(-1)]

    model = fitted("gru", bidirectional=True)
    assert tags(model, "I like eating apple") == ["other", "other", "other", "fruit"]
    assert tags(model, "The Apple is a great company")[1] == "company"
    assert model.evaluate(*apples.test, verbose=0, return_dict=True)["accuracy"] > 0.99
    alone = fitted("gru", bidirectional=False)  # has not read "is a great company" when it comes to Apple
    said = [
        alone.predict([text], verbose=0)[0][1]
        for text in ("The apple is red and round", "The Apple is a great company")
    ]
    np.testing.assert_allclose(said[0], said[1], rtol=1e-4, atol=1e-5)


def test_unreadable_texts_are_refused():
    requests, model = reader(max_length=4)
    texts, labels = requests.train
    with pytest.raises(ValueError, match=r"x\[1\] is empty: there is nothing to read in ' '"):
        model.fit(["play jazz", " "], labels[:2])
    with pytest.raises(ValueError, match="only tokens that gru does not know, such as"):
        model.predict(["zzz qqq", "日本"])
    with pytest.warns(UserWarning, match=r"1 of 2 texts hold no known token, the first is x\[1\]"):
        model.predict(["play jazz", "zzz"], verbose=0)
    with pytest.warns(UserWarning, match="1 of 2 texts have more than 4 tokens"):
        model.predict(["play jazz", "I want to hear some jazz"], verbose=0)
    with pytest.raises(ValueError, match=r"x\[0\] has 6 tokens; gru reads 4 at most"):
        reader(max_length=4, too_long="refuse")[1].predict(["I want to hear some jazz"])
    with pytest.raises(ValueError, match="too_long must be"):
        reader(too_long="never")
    with pytest.raises(
        ValueError, match=r"y\[1\] is 'wether', which is none of the 4 classes. Near it are 'weather'"
    ):
        model.fit(texts[:2], ["music", "wether"])
    with pytest.raises(ValueError, match="x has 3, y has 2"):
        model.fit(["play jazz"] * 3, labels[:2])
    with pytest.raises(ValueError, match="class numbers from 0 to 3"):
        model.fit(["play jazz"] * 2, np.array([0, 4]))
    with pytest.raises(ValueError, match="must be a text, got bytes"):
        model.predict([b"play jazz"])
    with pytest.raises(ValueError, match="token numbers from 0 to"):
        model.predict(np.array([[1, len(model.tokenizer)]]))
    deaf = keraszoo.build("gru", input_shape=(None,), vocabulary_size=20, num_classes=2, units=4)
    with pytest.raises(ValueError, match="built without a vocabulary"):
        deaf.predict(["play jazz"])
    with pytest.raises(TypeError, match="vocabulary must be a keraszoo.text.Tokenizer, got list|got str"):
        keraszoo.build("gru", vocabulary="words")
    with pytest.raises(ValueError, match="built without class_names"):
        nameless = keraszoo.build(
            "gru", input_shape=(None,), vocabulary=model.tokenizer, num_classes=4, units=4
        )
        nameless.fit(texts[:2], ["music", "weather"])


def test_tags_must_match_the_words():
    apples = data.load("apples", count=8, test=1)
    tokenizer = Tokenizer.learn(apples.train[0], "given", lower=True)
    model = keraszoo.build(
        "gru",
        input_shape=(None,),
        vocabulary=tokenizer,
        class_names=apples.class_names,
        return_sequences=True,
        units=4,
    )
    with pytest.raises(ValueError, match=r"y\[0\] has 2 labels for 3 tokens of x\[0\]"):
        model.fit([["an", "apple", "fell"]], [["other", "fruit"]])
    with pytest.raises(ValueError, match=r"y\[0\]\[1\] is 'fruits', which is none of the 3 classes"):
        model.fit([["an", "apple"]], [["other", "fruits"]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(
            [["an", "apple"], ["apple", "fell", "down"]],
            [["other", "fruit"], ["fruit", "other", "other"]],
            verbose=0,
        )


def test_numbers_in_words():
    said = {
        0: "zero",
        21: "twenty one",
        105: "one hundred and five",
        1000: "one thousand",
        40019: "forty thousand and nineteen",
    }
    assert {n: words_of_number(n) for n in said} == said
    assert words_of_number(999_999).count("nine") == 6
    pairs = data.load("number_words", count=300, test=50)
    sources, targets = pairs.train
    assert len(set(sources) | set(pairs.test[0])) == 350
    assert all(words_of_number(int(s)) == t for s, t in zip(sources, targets, strict=True))


@pytest.mark.parametrize("name", ["apples", "requests", "number_words"])
def test_sentences_made_on_the_spot_repeat(name):
    first, second = data.load(name), data.load(name)
    assert first.train[0] == second.train[0] != data.load(name, seed=1).train[0]
    assert "text" in repr(first) and first.input_shape == (None,)
    held = data.load(name, validation=0.1)
    assert len(held.train[0]) + len(held.validation[0]) == len(first.train[0])


def test_a_data_set_has_the_vocabulary_that_suits_it():
    requests, pairs = data.load("requests"), data.load("number_words", count=200, test=50)
    assert requests.vocabulary().encode("PLAY jazz") == requests.vocabulary().encode("play jazz")
    assert len(requests.vocabulary(size=20)) == 20
    source, target = pairs.vocabulary()
    assert source.decode(source.encode("105")) == "105" and source.kind == "characters"
    assert target.decode(target.encode("one hundred and five")) == "one hundred and five"
    with pytest.raises(ValueError, match="digits holds no text"):
        data.load("digits").vocabulary()


def test_names_in_tagged_text():
    tags = "O B-person I-person O B-place B-place I-thing I-thing".split()
    assert entities(tags) == {(1, 3, "person"), (4, 5, "place"), (5, 6, "place"), (6, 8, "thing")}
    assert entities(["O", "O"]) == set()
    assert entity_f1([tags], [tags]) == 1 and entity_f1([tags], [["O"] * 8]) == 0
    half = "O B-person O O B-place B-place I-place O".split()  # one of three found is right, of four
    assert entity_f1([tags], [half]) == pytest.approx(2 * 1 / (4 + 3))
    with pytest.raises(ValueError, match="as many tags"):
        entity_f1([tags], [tags[1:]])


def test_the_mean_over_a_text_leaves_padding_out():
    model = keraszoo.build(
        "gru", vocabulary_size=20, pooling="mean", bidirectional=True, dropout=0.3, units=4, seed=0
    )
    said = model.predict(np.array([[3, 4, 5, 0, 0], [3, 4, 5, 6, 7]]), verbose=0)
    np.testing.assert_allclose(
        said[:1], model.predict(np.array([[3, 4, 5]]), verbose=0), rtol=1e-5, atol=1e-6
    )
    assert [layer.name for layer in model.layers if "dropout" in layer.name] == ["dropout0", "dropout"]
    with pytest.raises(ValueError, match='pooling must be "last" or "mean"'):
        keraszoo.build("gru", pooling="max")


def test_a_model_of_fixed_length_reads_shorter_texts():
    requests, model = reader(input_shape=(8,))
    model.fit(requests.train[0], requests.train[1], verbose=0)
    assert model.predict(["play some jazz", "will it rain in Oslo"], verbose=0).shape == (2, 4)
