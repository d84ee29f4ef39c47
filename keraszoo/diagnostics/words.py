"""Do vectors of words know what people know of the words?"""

import numpy as np


def similarity_score(words, vectors, pairs):
    """How far the cosines of words are in the order of what people said: Spearman's rank correlation.

    Args:
        words: What each vector stands for, a list of strings.
        vectors: (words, features).
        pairs: (word, word, score), as of `keraszoo.data.words.word_similarity`.

    Returns:
        The correlation, in [-1, 1], and how many pairs are known. The others do not count.

    Raises:
        ValueError: Fewer than three pairs are known.
    """
    from scipy.stats import spearmanr

    place, unit = places(words), directions(vectors)
    known = [(place[a], place[b], score) for a, b, score in pairs if a in place and b in place]
    if len(known) < 3:
        raise ValueError(
            f"Of {len(pairs)} pairs, {len(known)} are of known words; a correlation needs three."
        )
    a, b, scores = zip(*known, strict=True)
    return float(spearmanr((unit[list(a)] * unit[list(b)]).sum(1), scores)[0]), len(known)


def analogy_score(words, vectors, questions):
    """How often the word nearest to b - a + c is d: Mikolov et al. 2013, https://arxiv.org/abs/1301.3781, section 4.

    Vectors are brought to length one first; a, b and c are no answers.

    Args:
        words: What each vector stands for, a list of strings.
        vectors: (words, features).
        questions: (a, b, c, d), "a is to b as c is to d"; or a dict from sections to such lists.

    Returns:
        The share that is right, in [0, 1], and how many questions are of known words. The others do not count.

    Raises:
        ValueError: No question is of known words.
    """
    if isinstance(questions, dict):
        questions = [question for section in questions.values() for question in section]
    place, unit = places(words), directions(vectors)
    known = np.array(
        [[place[w] for w in question] for question in questions if all(w in place for w in question)]
    )
    if not len(known):
        raise ValueError(f"None of {len(questions)} questions is of known words only.")
    right = 0
    for part in np.array_split(known, -(-len(known) // 256)):
        a, b, c, d = part.T
        scores = (unit[b] - unit[a] + unit[c]) @ unit.T
        np.put_along_axis(scores, part[:, :3], -np.inf, 1)
        right += int((scores.argmax(1) == d).sum())
    return right / len(known), len(known)


def places(words):
    return {word: i for i, word in enumerate(words)}


def directions(vectors):
    """Vectors of length one; those of length zero stay."""
    vectors = np.asarray(vectors, "float32")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
