"""Words that people have judged, and sentences whose words are known to be related: for vectors of words."""

import csv

import numpy as np

from keraszoo.data.directory import File, located
from keraszoo.text.files import read

SIMILARITY = File(
    "word_similarity/wordsim_set1.csv",
    "8efddc41984e3fd790e9cb78fa4a51d5921ca39c95ca78a3227519b829f875ab",
    "a heading, and two words and a score from 0 to 10 a line, with commas between",
)
ANALOGIES = File(
    "word_analogies/questions-words.txt",
    "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
    "four words a line; a line that begins with a colon names what follows",
)

PEOPLE = {  # who they are, and what they are spoken of with: the one of them as he, the other as she
    "monarch": (("king", "queen"), "throne crown kingdom rules palace royal"),
    "heir": (("prince", "princess"), "heir castle ball young horse tale"),
    "parent": (("father", "mother"), "child family cares home supper love"),
    "grown": (("man", "woman"), "work street office adult votes city"),
    "small": (("boy", "girl"), "school plays toy garden class lesson"),
    "actor": (("actor", "actress"), "stage film role scene applause camera"),
    "waiter": (("waiter", "waitress"), "table menu coffee restaurant serves guests"),
    "kin": (("uncle", "aunt"), "cousin visit nephew sunday letter relatives"),
}
GENDERS = ("he his him sir beard himself".split(), "she her hers lady dress herself".split())


def people(count=6000, seed=0):
    """Sentences about kings and queens, boys and girls: "his kingdom beard king throne crown".

    Eight kinds of person, each as he and as she. A sentence holds one of the sixteen words, three that go with the
    kind of person, and two that go with him or her, in any order. So "man is to king as woman is to queen" follows
    from who is found with what, and from nothing else.

    Args:
        count: Sentences.
        seed: A non-negative integer.

    Returns:
        A list of strings, each six words, in small letters.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}.")
    rng = np.random.default_rng(seed)
    kinds = list(PEOPLE.values())
    found = []
    for kind, gender in zip(rng.integers(0, len(kinds), count), rng.integers(0, 2, count), strict=True):
        names, topics = kinds[kind]
        words = [names[gender], *rng.choice(topics.split(), 3, False), *rng.choice(GENDERS[gender], 2, False)]
        found.append(" ".join(rng.permutation(words)))
    return found


def people_questions():
    """All questions that `people` answers: a list of (a, b, c, d), "a is to b as c is to d", 8 * 7 * 2 of them."""
    pairs = [names for names, _ in PEOPLE.values()]
    pairs += [names[::-1] for names in pairs]
    half = len(pairs) // 2
    return [
        (a, b, c, d)
        for i, (a, c) in enumerate(pairs)
        for j, (b, d) in enumerate(pairs)
        if i // half == j // half and i != j
    ]


def people_groups():
    """The words of `people` by what they go with: a dict from names of groups to lists of words."""
    groups = {kind: [*names, *topics.split()] for kind, (names, topics) in PEOPLE.items()}
    return {**groups, "he": list(GENDERS[0]), "she": list(GENDERS[1])}


def word_similarity(data_dir=None, check=True):
    """153 pairs of English words, and how similar 13 people found them: WordSimilarity-353, set 1.

    Finkelstein et al. 2002, https://doi.org/10.1145/503104.503110. Licence: CC BY 4.0, as public copies show.

    Args:
        data_dir: Folder that holds word_similarity/wordsim_set1.csv; else the environment variable KERASZOO_DATA.
        check: Compare the file's SHA-256.

    Returns:
        A list of (word, word, score): words in small letters, the mean score from 0 to 10.

    Raises:
        FileNotFoundError: The file is not there; the message tells how to put it there.
        ValueError: It is not the file we know, or not in this form; the message names the line.
    """
    path, by_hand = located("word_similarity", SIMILARITY, data_dir, check)
    found = []
    for number, row in enumerate(csv.reader(read(path).splitlines()[1:]), 2):
        try:
            a, b, score = row
            found.append((a.lower(), b.lower(), float(score)))
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number} is not two words and a score: {row}. {by_hand}"
            ) from error
    return found


def word_analogies(data_dir=None, check=True):
    """19,544 questions in 14 sections: Athens is to Greece as Baghdad is to Iraq.

    Mikolov et al. 2013, https://arxiv.org/abs/1301.3781, section 4.1. Licence: Apache-2.0.

    Args:
        data_dir: Folder that holds word_analogies/questions-words.txt; else the environment variable KERASZOO_DATA.
        check: Compare the file's SHA-256.

    Returns:
        A dict from names of sections to lists of (a, b, c, d), words in small letters.

    Raises:
        FileNotFoundError: The file is not there; the message tells how to put it there.
        ValueError: It is not the file we know, or not in this form; the message names the line.
    """
    path, by_hand = located("word_analogies", ANALOGIES, data_dir, check)
    found, section = {}, "questions"
    for number, line in enumerate(read(path).splitlines(), 1):
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(words := line.lower().split()) == 4:
            found.setdefault(section, []).append(tuple(words))
        elif words:
            raise ValueError(f"{path}, line {number} is not four words: {line!r}. {by_hand}")
    return found
