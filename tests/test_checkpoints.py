"""Reference checkpoints, with random weights, take the steps of the apps that models built here take."""

import csv
import json
import runpy
import sys
from pathlib import Path

import keras
import keras_hub
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2TokenizerFast,
)

import keraszoo

APPS = Path(__file__).parents[1] / "apps"
REPORT = "the news of today : my uncle sold a map .\nwhat matters : a dog sat on the map .\nTL;DR: a map"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Function from the name of an app and its options to the rows of its table; what it leaves is in "out"."""
    monkeypatch.chdir(tmp_path)

    def ran(app, *options):
        monkeypatch.setattr(sys, "argv", [app, *map(str, options), "--out", "out"])
        runpy.run_path(str(APPS / app), run_name="__main__")
        with open("out/comparison.csv", newline="") as file:
            return list(csv.reader(file))

    return ran


def test_a_bert_that_answers_learns_to_answer_something_else(run):
    """The last task of the app asks for parts of a text; the checkpoint brings its tokenizer."""
    torch.manual_seed(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    size = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24)
    theirs = BertForQuestionAnswering(BertConfig(**size, vocab_size=len(words), max_position_embeddings=96))
    theirs.save_pretrained("bert")
    Path("bert/vocab.txt").write_text("\n".join(words))
    sizes = ("--tasks", "wishes", "--labels", 24, "--tune-epochs", 1)
    rows = run("fill_the_blank.py", "--checkpoint", "bert", "--model", "bert_base", *sizes)
    assert [row[:2] for row in rows[1:]] == [["wishes", "exact"], ["wishes", "F1"]]
    learned = keraszoo.load("out/wishes.keras")
    kernel = learned.get_layer("block_0").hidden.kernel
    before = theirs.bert.encoder.layer[0].intermediate.dense.weight.detach().numpy().T
    assert 0 < abs(keras.ops.convert_to_numpy(kernel) - before).max() < 0.01  # it began there
    assert learned.answer("who sat?", "a dog sat on a map").text in "a dog sat on a map"


def test_a_gpt2_sums_up_what_stands_before_its_cue(run):
    torch.manual_seed(0)
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator([REPORT], vocab_size=299, special_tokens=[])
    Path("own").mkdir()
    learner.save_model("own")
    GPT2TokenizerFast("own/vocab.json", "own/merges.txt").save_pretrained("gpt2")
    size = dict(n_embd=16, n_layer=1, n_head=2, n_positions=64, eos_token_id=299, bos_token_id=299)
    GPT2LMHeadModel(GPT2Config(**size, vocab_size=300)).save_pretrained("gpt2")
    given = ("--model", "gpt2", "--weights", "gpt2", "--epochs", 1, "--count", 8, "--test", 2, "--length", 4)
    rows = run("summarise.py", *given)
    assert [row[0] for row in rows] == ["", "first sentence", "gpt2"]
    model = keraszoo.load("out/model.keras")
    assert model.generate(REPORT, 5, temperature=0)
    assert model.perplexity(REPORT) < keraszoo.build("gpt2", weights="gpt2").perplexity(REPORT)
    with pytest.raises(SystemExit):
        run("summarise.py", "--model", "gpt2")


def test_a_bart_of_keras_hub_sums_up(run):
    keras.utils.set_random_seed(0)
    models = keras_hub.models
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted({*REPORT} - {" ", "\n"}), "Ġ", "Ċ", "th"]
    tokenizer = models.BartTokenizer({token: i for i, token in enumerate(tokens)}, ["t h"])
    reader = models.BartSeq2SeqLMPreprocessor(
        tokenizer, encoder_sequence_length=24, decoder_sequence_length=8
    )
    size = dict(num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=32)
    bart = models.BartBackbone(len(tokens), **size)
    models.BartSeq2SeqLM(bart, preprocessor=reader).save_to_preset("bart")
    assert json.loads(Path("bart/task.json").read_text())["class_name"] == "BartSeq2SeqLM"
    rows = run(
        "summarise.py", "--model", "hub:bart", "--epochs", 0, "--test", 2, "--length", 6, "--max-length", 24
    )
    assert [row[0] for row in rows] == ["", "first sentence", "hub:bart"]
    model = keraszoo.load("out/model.keras")
    assert model.generate([REPORT]) == keraszoo.build("hub:bart", task="translation", max_length=24).generate(
        [REPORT]
    )
