"""What is true of summaries: data to learn them from, and how good they are."""

import gzip
import json

import pytest

import keraszoo
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
