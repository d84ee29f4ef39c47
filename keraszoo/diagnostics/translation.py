"""How good translations are, by what people have written."""


def bleu(translations, references, lowercase=False):
    """BLEU of translations, from 0 to 100, as `sacrebleu` computes it (its tokenizer "13a").

    Papineni et al. 2002, https://aclanthology.org/P02-1040; Post 2018, https://aclanthology.org/W18-6319.

    Args:
        translations: List of strings.
        references: For each of them a string, or a list of strings, any of which would be right.
        lowercase: Take capital letters for small ones.

    Returns:
        A float.

    Raises:
        ValueError: There are no translations, or not as many references, or none for one of them.
        ModuleNotFoundError: `sacrebleu` is not installed.
    """
    given = check(translations, references)
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise ModuleNotFoundError(
            "bleu needs sacrebleu: pip install sacrebleu, or keraszoo with its extra `demo`."
        ) from error
    most = max(map(len, given))
    streams = [[texts[i] if i < len(texts) else None for texts in given] for i in range(most)]
    return float(BLEU(lowercase=lowercase, force=True).corpus_score(list(translations), streams).score)


def exact(translations, references, lowercase=False):
    """The share of translations that are one of their references, in [0, 1]; arguments as of `bleu`."""
    given = check(translations, references)

    def plain(text):
        return " ".join((text.lower() if lowercase else text).split())

    hits = [plain(text) in map(plain, texts) for text, texts in zip(translations, given, strict=True)]
    return sum(hits) / len(hits)


def check(translations, references, name="translations"):
    """The references as lists of strings, one list for each translation; `name` is what these are called."""
    if not len(translations) or len(translations) != len(references):
        raise ValueError(
            f"{name} and references must be as many, and at least one: got "
            f"{len(translations)} and {len(references)}."
        )
    given = [[texts] if isinstance(texts, str) else list(texts) for texts in references]
    if [] in given:
        raise ValueError(f"references[{given.index([])}] is empty: there is nothing to compare with.")
    return given


def by_source(sources, targets):
    """Each different source once, in the order of the first, and a list of all its targets.

    Args:
        sources, targets: Lists of strings, pair by pair.

    Returns:
        A list of strings and a list of lists of strings.
    """
    found = {}
    for source, target in zip(sources, targets, strict=True):
        found.setdefault(source, []).append(target)
    return list(found), list(found.values())
