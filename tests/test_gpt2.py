"""GPT-2: what it shares with the reference, and how it goes on with what it has read."""

import json
import math

import keras
import numpy as np
import pytest
import torch
from keras import ops
from safetensors.numpy import load_file, save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    GPT2Model,
    GPT2TokenizerFast,
)

import keraszoo
from keraszoo.backend.kernels import EAGER
from keraszoo.text import Tokenizer, generate

TEXT = "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer. " * 4
SMALL = dict(
    vocab_size=300, n_positions=160, n_embd=32, n_layer=2, n_head=4, eos_token_id=299, bos_token_id=299
)
TINY = dict(vocabulary_size=17, embed_dim=16, depth=2, num_heads=2, context=10, dropout=0.0)


def reference(kind, folder=None, **config):
    """A network of the reference's, its random weights large enough to make it talk, saved in a folder."""
    torch.manual_seed(0)
    model = kind(GPT2Config(**{**SMALL, **config})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_((1.0 if "wpe" in name else 0.15) * torch.randn_like(parameter))
    if folder is not None:
        model.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A language model of the reference's, the folder it is in, its tokenizer, and ours."""
    folder = tmp_path_factory.mktemp("gpt2")
    theirs = reference(GPT2LMHeadModel, folder)
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator([TEXT], vocab_size=299, special_tokens=[])
    (folder / "own").mkdir()
    learner.save_model(str(folder / "own"))
    tokenizer = GPT2TokenizerFast(str(folder / "own" / "vocab.json"), str(folder / "own" / "merges.txt"))
    tokenizer.save_pretrained(folder)
    return theirs, folder, tokenizer, keraszoo.build("gpt2", weights=folder)


def drawn(*shape, high=290, seed=0):
    return np.random.default_rng(seed).integers(0, high, shape).astype("int32")


def asked(model, tokens, **options):
    with torch.no_grad():
        return model(torch.from_numpy(np.asarray(tokens, "int64")), **options)


def side_by_side(prompts, left):
    """Prompts as an array, padded on one side, and which tokens are real."""
    time = max(map(len, prompts))
    rows, mask = np.full((len(prompts), time), 7, "int32"), np.zeros((len(prompts), time), bool)
    for row, real, prompt in zip(rows, mask, prompts, strict=True):
        where = slice(time - len(prompt), None) if left else slice(len(prompt))
        row[where], real[where] = prompt, True
    return rows, mask


# The reference


def test_hidden_states_and_logits_are_those_of_transformers(pair):
    theirs, _, _, ours = pair
    tokens, mask = side_by_side([drawn(20), drawn(9, seed=1), drawn(1, seed=2)], left=False)
    given = dict(attention_mask=torch.from_numpy(mask), output_hidden_states=True)
    expected = asked(theirs, tokens, **given)
    outputs = [ours.get_layer(name).output for name in ("block_0", "norm")]
    found = [*keras.Model(ours.input, outputs).predict(tokens, verbose=0), ours.predict(tokens, verbose=0)]
    wanted = [expected.hidden_states[1], expected.hidden_states[2], expected.logits]
    for value, want in zip(found, wanted, strict=True):
        assert np.abs(want.numpy()[mask]).max() > 1
        np.testing.assert_allclose(value[mask], want.numpy()[mask], atol=1e-4)


@pytest.mark.parametrize("left", [True, False])
def test_goes_on_token_for_token_as_transformers(pair, left):
    theirs, _, _, ours = pair
    prompts = [drawn(70), drawn(3, seed=1), drawn(64, seed=2), drawn(17, seed=3)]
    rows, mask = side_by_side(prompts, left=True)  # as the reference wants them
    expected = theirs.generate(
        torch.from_numpy(rows.astype("int64")),
        attention_mask=torch.from_numpy(mask),
        do_sample=False,
        max_new_tokens=64,
        eos_token_id=None,
        pad_token_id=0,
    ).numpy()[:, 70:]
    assert min(len(set(row)) for row in expected.tolist()) > 10
    rows, mask = side_by_side(prompts, left)
    found = ours.generate(rows, 64, temperature=0, mask=mask, end=-1)
    np.testing.assert_array_equal(np.stack(found), expected)


def test_a_folder_brings_its_tokenizer(pair):
    theirs, _, tokenizer, ours = pair
    prompt = "To be, or "
    numbers = tokenizer(prompt, return_tensors="pt")
    expected = theirs.generate(**numbers, do_sample=False, max_new_tokens=20, pad_token_id=299)
    expected = expected[0, numbers.input_ids.shape[1] :]
    expected = expected[: (expected == 299).nonzero()[0]] if (expected == 299).any() else expected
    written = ours.generate(prompt, 20, temperature=0)
    assert written == tokenizer.decode(expected, clean_up_tokenization_spaces=False) and len(written) > 5
    assert "".join(ours.stream(prompt, 20, temperature=0)) == written
    loss = theirs(
        **tokenizer(TEXT, return_tensors="pt"), labels=tokenizer(TEXT, return_tensors="pt").input_ids
    )
    assert ours.perplexity(TEXT) == pytest.approx(math.exp(loss.loss.item()), rel=1e-3)


def test_classifies_by_the_last_real_token_as_transformers(tmp_path):
    theirs = reference(GPT2ForSequenceClassification, tmp_path, num_labels=3, pad_token_id=7)
    ours = keraszoo.build("gpt2", weights=tmp_path)
    assert ours.card["task"] == "text_classification" and not hasattr(ours, "generate")
    tokens, mask = side_by_side([drawn(12), drawn(5, seed=1), drawn(1, seed=2)], left=False)
    expected = asked(theirs, tokens, attention_mask=torch.from_numpy(mask)).logits.numpy()
    np.testing.assert_allclose(ours.predict(tokens, verbose=0), expected, atol=1e-4)
    trunk = keraszoo.build("gpt2", weights=tmp_path, task="language_modeling")
    assert trunk.output_shape == (None, None, 300)


def test_a_language_model_becomes_a_classifier_with_a_head_of_its_own(pair):
    _, folder, _, ours = pair
    texts, labels = ["to be", "or not to be, that is", "the question", "the mind"], ["yes", "no", "yes", "no"]
    model = keraszoo.build(
        "gpt2", weights=folder, task="text_classification", class_names=["no", "yes"], seed=0
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(model.get_layer("block_1").weights[2]),
        ops.convert_to_numpy(ours.get_layer("block_1").weights[2]),
    )
    assert model.output_shape == (None, 2)
    assert model.fit(texts, labels, epochs=1, verbose=0).history["loss"][0] == pytest.approx(
        math.log(2), rel=0.5
    )


def test_the_published_form_of_a_checkpoint(pair, tmp_path):
    """No prefix, masks among the tensors, and an output matrix that is the embedding once more."""
    _, folder, _, ours = pair
    held = {key.removeprefix("transformer."): v for key, v in load_file(folder / "model.safetensors").items()}
    held["lm_head.weight"] = held["wte.weight"].copy()
    for i in range(2):
        held[f"h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 160, 160), "uint8"))
        held[f"h.{i}.attn.masked_bias"] = np.array(-1e4, "float32")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    save_file(held, tmp_path / "model.safetensors")
    again, x = keraszoo.build("gpt2", weights=tmp_path), drawn(1, 9)
    np.testing.assert_allclose(again.predict(x, verbose=0), ours.predict(x, verbose=0), atol=1e-6)
    del held["h.1.mlp.c_fc.bias"]
    save_file(held, tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError, match=r"no tensor h\.1\.mlp\.c_fc\.bias, which should become block_1/hidden/bias"
    ):
        keraszoo.build("gpt2", weights=tmp_path)


def test_a_bare_model_of_other_proportions(tmp_path):
    theirs = reference(GPT2Model, tmp_path, n_inner=48, layer_norm_epsilon=1e-2)
    ours = keraszoo.build("gpt2", weights=tmp_path)
    tokens = drawn(2, 8)
    hidden = keras.Model(ours.input, ours.get_layer("norm").output)
    np.testing.assert_allclose(
        hidden.predict(tokens, verbose=0), asked(theirs, tokens).last_hidden_state.numpy(), atol=1e-4
    )


def test_refuses_what_is_another_network(tmp_path):
    for config, said in (
        (dict(activation_function="relu"), "activation_function must be"),
        (dict(scale_attn_by_inverse_layer_idx=True), "scale_attn_by_inverse_layer_idx must be False"),
        (dict(tie_word_embeddings=False), "tie_word_embeddings must be True"),
    ):
        about = {**GPT2Config(**SMALL).to_dict(), **config}
        (tmp_path / "config.json").write_text(json.dumps(about))
        with pytest.raises(ValueError, match=said):
            keraszoo.build("gpt2", weights=tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(dict(model_type="vit")))
    with pytest.raises(ValueError, match="must have model_type 'gpt2' for gpt2, got 'vit'"):
        keraszoo.build("gpt2", weights=tmp_path)


# Going on


@pytest.fixture(scope="module")
def tiny():
    model = keraszoo.build("gpt2", **TINY, seed=3)
    for weight in model.trainable_variables:  # as if it had learned
        weight.assign(weight + 0.3 * np.random.default_rng(1).normal(size=weight.shape))
    return model


class Forgetful:
    """What `generate` asks for, by reading everything anew for each token; of a full context, the last half."""

    def __init__(self, model):
        self.model = model

    def begin(self, prompts):
        rows = np.full((len(prompts), self.model.context), -1, "int32")
        for row, prompt in zip(rows, prompts, strict=True):
            row[: len(prompt)] = prompt
        logits = self.model.predict(np.maximum(rows, 0), verbose=0)
        return np.stack([row[len(p) - 1] for row, p in zip(logits, prompts, strict=True)]), rows

    def step(self, tokens, state):
        texts = [
            [*row[row >= 0], token] for row, token in zip(ops.convert_to_numpy(state), tokens, strict=True)
        ]
        full = self.model.context
        return self.begin([text if len(text) <= full else text[-(full // 2) :] for text in texts])


@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_kept_equals_reading_all_of_it_anew(tiny, beams):
    """Far beyond the context, whatever the prompts' lengths; and rows do not know of each other."""
    prompts = [[3, 1, 4, 1, 5, 9, 2, 6, 5], [3], [5, 8, 9, 7]]
    slow = Forgetful(tiny)
    asked = dict(temperature=0, beams=beams, length=31 if beams == 1 else 12)
    expected = np.stack(list(generate(slow.begin, slow.step, prompts, **asked)), axis=1)
    found = tiny.generate([np.array(p) for p in prompts], **asked)
    np.testing.assert_array_equal(np.stack(found), expected)
    assert len(set(expected.ravel().tolist())) > 4


def test_one_function_for_prompts_of_any_length_and_one_for_a_token():
    model, lengths = keraszoo.build("gpt2", **{**TINY, "context": 200}), []

    def counted(tokens, *rest):
        lengths.append(tokens.shape[1])
        return type(model).read_on(model, tokens, *rest)

    object.__setattr__(model, "read_on", counted)
    for length in (1, 63, 64, 65, 130, 200):
        model.generate(drawn(length, high=17), 3)
    once = [64, 1]  # traced and compiled
    assert lengths == (
        [n for prompt in (1, 63, 64, 65, 130) for n in (prompt, 1, 1)] + [200, 100, 1] if EAGER else once
    )


def test_weighs_a_text_of_any_length_by_half_a_context_or_more(tiny):
    numbers, rows, ends = drawn(33, high=17), np.zeros((32, 10), "int32"), []
    for t in range(1, 33):
        start = min(
            max(0, -(-(t - 10) // 5) * 5), 32 - 10
        )  # pieces begin 5 apart, the last one where it ends at the end
        rows[t - 1, : t - start] = numbers[start:t]
        ends.append(t - start - 1)
    logits = tiny.predict(rows, verbose=0)[np.arange(32), ends].astype("float64")
    expected = logits[np.arange(32), numbers[1:]] - np.log(np.exp(logits).sum(axis=-1))
    assert min(ends[9:]) >= 4
    np.testing.assert_allclose(tiny.log_probabilities(numbers), expected, atol=1e-4)


def test_a_later_token_changes_nothing_before_it(tiny):
    x = drawn(1, 10, high=17)
    other = np.where(np.arange(10) < 6, x, (x + 1) % 17)
    before, after = tiny.predict(x, verbose=0), tiny.predict(other, verbose=0)
    np.testing.assert_allclose(before[:, :6], after[:, :6], atol=1e-6)
    assert (np.abs(before[:, 6:] - after[:, 6:]).max(axis=(0, 2)) > 1e-3).all()


def test_initial_weights_are_those_of_the_paper():
    model = keraszoo.build(
        "gpt2", embed_dim=64, depth=8, num_heads=4, vocabulary_size=500, context=99, seed=0
    )
    deviations = {
        w.path.removeprefix("gpt2/"): float(ops.convert_to_numpy(w).std()) for w in model.trainable_variables
    }
    for path, expected in {
        "embedding/tokens": 0.02,
        "embedding/positions": 0.01,
        "block_3/attention/qkv/kernel": 0.02,
        "block_3/attention/projection/kernel": 0.02 / 4,
        "block_7/hidden/kernel": 0.02,
        "block_7/output/kernel": 0.02 / 4,
    }.items():
        assert deviations[path] == pytest.approx(expected, rel=0.05), path
    kernels = [ops.convert_to_numpy(b.attention.qkv.kernel) for b in model.blocks]
    assert abs(np.corrcoef(kernels[0].ravel(), kernels[1].ravel())[0, 1]) < 0.1  # each draws for itself
    x = drawn(4, 50, high=500)
    assert model.evaluate(x[:, :-1], x[:, 1:], verbose=0)[0] == pytest.approx(math.log(500), rel=0.02)


# Bad input


def test_says_what_is_wrong(tiny, pair):
    with pytest.raises(
        ValueError, match="gpt2 cannot be built for task='masked_language_modeling'; it serves 'language"
    ):
        keraszoo.build("gpt2", task="masked_language_modeling")
    with pytest.raises(
        ValueError, match=r"must not be longer than context, got input_shape=\(20,\), context=10"
    ):
        keraszoo.build("gpt2", **TINY, input_shape=(20,))
    with pytest.raises(ValueError, match="11 tokens in a row; gpt2 takes 10 at most: its context"):
        tiny.predict(drawn(2, 11, high=17), verbose=0)
    for call in (lambda x: tiny.predict(x[None], verbose=0), tiny.generate, tiny.perplexity):
        with pytest.raises(ValueError, match="from 0 to 16 .*knows 17 tokens.* to 17"):
            call(np.array([3, 17]))
    with pytest.raises(ValueError, match=r"both be \(count, time\), got \(2, 3\) and \(2, 2\)"):
        tiny.generate(drawn(2, 3, high=17), mask=np.ones((2, 2)))
    with pytest.raises(ValueError, match="window of 10 needs at least 11"):
        tiny.fit(drawn(10, high=17), verbose=0)
    _, folder, _, _ = pair
    with pytest.raises(ValueError, match="embed_dim=16 contradicts the checkpoint .* embed_dim=32"):
        keraszoo.build("gpt2", weights=folder, embed_dim=16)
    with pytest.raises(ValueError, match="is not the tokenizer of the checkpoint"):
        keraszoo.build("gpt2", weights=folder, vocabulary=Tokenizer.learn([TEXT]))


def test_a_prompt_beyond_the_context(tiny):
    prompt = drawn(25, high=17)
    with pytest.warns(UserWarning, match=r"prompts\[0\] has 25 tokens; gpt2 looks at the last 10"):
        found = tiny.generate(prompt, 8, temperature=0)
    np.testing.assert_array_equal(found, tiny.generate(prompt[-10:], 8, temperature=0))
    strict = keraszoo.build("gpt2", **TINY, too_long="refuse")
    with pytest.raises(ValueError, match=r"prompts\[1\] has 25 tokens; gpt2 looks at 10 at most"):
        strict.generate([prompt[:3], prompt])
