"""What is true of summaries: data to learn them from, and how good they are."""

import gzip
import json

import pytest
from click.testing import CliRunner

import keraszoo
from keraszoo.cli import main
from keraszoo.data.sentences import CUES
from keraszoo.diagnostics import by_source, lead, rouge


def test_rouge_by_hand():
    """Two of three words said are among four that were to be said: F1 of 2/3 and 1/2; one pair of two, of three."""
    found = rouge(["a dog barked"], ["the big dog barked"])
    assert found["rouge1"] == pytest.approx(100 * 2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert found["rouge2"] == pytest.approx(100 * 2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert found["rougeL"] == found["rouge1"]
    several = rouge(["a dog barked", "no"], [["cats", "the big dog barked"], ["yes"]])
    assert several["rouge1"] == pytest.approx(found["rouge1"] / 2)  # the nearest counts; the mean over texts
    with pytest.raises(ValueError, match="summaries and references must be as many"):
        rouge(["a"], [])


def test_a_report_is_summed_up_by_one_of_its_sentences():
    data = keraszoo.data.load("reports", count=50, test=20)
    assert data.task == "summarization" and len(data.test[0]) == 20
    for text, summary in zip(*data.train, strict=True):
        lines = [line for line in text.split("\n") if line.startswith(CUES)]
        assert len(lines) == 1 and summary.removesuffix(" .") in lines[0] and "\n" in text
    first = rouge(lead(data.test[0]), data.test[1])["rouge1"]
    assert 20 < first < 80  # not what matters, and of the same words
    assert lead(["one\ntwo\nthree"], 2) == ["one two"]
    with pytest.raises(ValueError, match="sentences must be at least 2"):
        keraszoo.data.load("reports", sentences=1)


def test_abstracts_from_a_folder(tmp_path, monkeypatch):
    (tmp_path / "scitldr").mkdir()
    for part in ("train", "dev"):
        rows = [{"source": ["We do it.", "It works."], "target": ["It works.", "We did it."]}] * 2
        with gzip.open(tmp_path / "scitldr" / f"{part}.jsonl.gz", "wt") as file:
            file.write("\n".join(map(json.dumps, rows)))
    with pytest.raises(ValueError, match="scitldr"):
        keraszoo.data.load("scitldr", data_dir=tmp_path)  # not the files that are known
    data = keraszoo.data.load("scitldr", data_dir=tmp_path, check=False)
    assert data.train[0] == ["We do it.\nIt works."] * 4 and data.train[1][:2] == ["It works.", "We did it."]
    assert by_source(*data.test)[1] == [["It works.", "We did it."] * 2]
    assert data.vocabulary(300).kind == "bpe"


def test_the_command_line_trains_one_that_summarises_at_a_rate_of_its_own(tmp_path):
    sizes = [
        part for size in ("embed_dim=8", "num_heads=2", "depth=1", "length=4") for part in ("--set", size)
    ]
    arguments = ["--data", "reports", "--smoke", "--learning-rate", "0.01", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(main, ["train", "transformer_tiny", *arguments, *sizes])
    assert done.exit_code == 0, done.output
    model = keraszoo.load(tmp_path / "run" / "best.keras")
    assert model.card["task"] == "summarization" and float(model.optimizer.learning_rate) == pytest.approx(
        0.01
    )
    assert model.optimizer["translator"].beta_2 == 0.98
    assert isinstance(model.summarise(["the news of today : my uncle sold a map ."])[0], str)
