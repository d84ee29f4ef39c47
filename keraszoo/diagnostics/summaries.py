"""How much of what people said in short a summary says, too."""

from keraszoo.diagnostics.translation import check

KINDS = ("rouge1", "rouge2", "rougeL")


def rouge(summaries, references):
    """ROUGE of summaries, from 0 to 100, as `rouge_score` computes it, with its stemmer: F1, the mean over all texts.

    Lin 2004, https://aclanthology.org/W04-1013.

    Args:
        summaries: List of strings.
        references: For each of them a string, or a list of strings, of which the one that it is nearest to counts.

    Returns:
        A dict: "rouge1" of words in common, "rouge2" of pairs of words, "rougeL" of the longest common sequence.

    Raises:
        ValueError: There are no summaries, or not as many references, or none for one of them.
        ModuleNotFoundError: `rouge_score` is not installed.
    """
    given = check(summaries, references, "summaries")
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise ModuleNotFoundError(
            "rouge needs rouge_score: pip install rouge-score, or keraszoo with its extra `demo`."
        ) from error
    scorer = RougeScorer(KINDS, use_stemmer=True)
    found = [scorer.score_multi(texts, said) for said, texts in zip(summaries, given, strict=True)]
    return {kind: 100 * sum(each[kind].fmeasure for each in found) / len(found) for kind in KINDS}


def lead(texts, sentences=1):
    """The first sentences of texts whose sentences stand a line each: a summary that nothing was learned for."""
    return [" ".join(text.split("\n")[:sentences]) for text in texts]
