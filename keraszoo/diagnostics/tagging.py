"""How well names are found in text that is tagged word by word."""


def entities(tags):
    """What tags in the BIO form name.

    B begins a name of a kind and I goes on with it, O is outside; an I without a B before it begins one, too, as in the
    evaluation of CoNLL-2000.

    Args:
        tags: Names of the tags of a text's words: "B-person", "I-person", "O".

    Returns:
        A set of (first, end, kind), positions of words, `end` excluded.
    """
    found, begun = set(), None
    for i, tag in enumerate([*tags, "O"]):
        mark, _, kind = tag.partition("-")
        if begun is not None and (mark != "I" or kind != begun[1]):
            found.add((begun[0], i, begun[1]))
            begun = None
        if mark in ("B", "I") and begun is None:
            begun = i, kind
    return found


def entity_f1(truth, found):
    """F1 of names: one counts as found if its first word, its last and its kind are right.

    Args:
        truth, found: For each text a list of names of tags in the BIO form, one for each word.

    Returns:
        A float in [0, 1]; of all kinds and texts together (micro average).

    Raises:
        ValueError: They differ in the number of texts, or of words in a text.
    """
    if list(map(len, truth)) != list(map(len, found)):
        raise ValueError("truth and found must hold as many texts, with as many tags each.")
    pairs = [(entities(a), entities(b)) for a, b in zip(truth, found, strict=True)]
    right = sum(len(a & b) for a, b in pairs)
    return 2 * right / max(1, sum(len(a) + len(b) for a, b in pairs))
