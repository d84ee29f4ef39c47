"""Texts that need no file: sentences made on the spot, whose meaning is known, and prose that scikit-learn ships."""

from importlib import resources

import numpy as np

from keraszoo.data.dataset import Dataset

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def words_of_number(number):
    """A number from 0 to 999,999 in English words: 105 is "one hundred and five"."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens - 2] + (f" {ONES[ones]}" if ones else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    many, rest = divmod(number, size)
    link = " and " if rest and rest < 100 else " "
    return f"{words_of_number(many)} {name}" + (f"{link}{words_of_number(rest)}" if rest else "")


def number_words(count=4000, test=500, highest=99999, seed=0):
    """Numbers and how they are said: "105" and "one hundred and five".

    Args:
        count: Pairs to learn from. Short numbers are as frequent as long ones.
        test: Pairs to test on, other numbers.
        highest: The largest number, up to 999,999.
        seed: A non-negative integer.
    """
    if not 1 <= highest <= 999_999:
        raise ValueError(f"highest must lie from 1 to 999999, got {highest}.")
    if count < 1 or test < 1 or count + test > highest + 1:
        raise ValueError(
            f"count and test must be at least 1 and at most {highest + 1} together, got {count}, {test}."
        )
    rng = np.random.default_rng(seed)
    found, seen = [], set()
    while len(found) < count + test:
        digits = 10 ** rng.integers(1, len(str(highest)) + 1, 1000)
        numbers = np.minimum(rng.integers(0, digits), highest)
        if len(seen) > (count + test) // 2:  # few short ones are left
            numbers = rng.integers(0, highest + 1, 1000)
        for number in map(int, numbers):
            if number not in seen and len(found) < count + test:
                seen.add(number)
                found.append(number)
    parts = [found[i] for i in rng.permutation(len(found))]

    def part(numbers):
        return [str(n) for n in numbers], [words_of_number(n) for n in numbers]

    return Dataset(
        name="number_words",
        task="translation",
        train=part(parts[test:]),
        test=part(parts[:test]),
        value_range=None,
        tokens=(dict(kind="characters"), dict()),
        source=f"generated, seed {seed}",
        licence="none needed",
    )


REQUESTS = {
    "alarm": (
        "wake me at {hour}",
        "set an alarm for {hour}",
        "I must get up at {hour}",
        "ring at {hour} please",
    ),
    "music": ("play some {style}", "I want to hear {style}", "put on {style} music", "turn the {style} up"),
    "weather": (
        "will it rain in {city}",
        "how warm is it in {city}",
        "do I need a coat in {city}",
        "is it sunny in {city} {day}",
    ),
    "travel": (
        "book a train to {city}",
        "I want to go to {city} {day}",
        "find me a flight to {city}",
        "how far is it to {city}",
    ),
}
SLOTS = dict(
    hour=("six", "seven", "noon", "half past eight", "nine"),
    style=("jazz", "rock", "opera", "folk", "quiet piano"),
    city=("Rome", "Oslo", "Cairo", "Lima", "Kyoto", "Delhi"),
    day=("today", "tomorrow", "on Sunday", "next week"),
)


def requests(count=400, test=100, seed=0):
    """Short requests, and what they are about: alarm, music, weather or travel.

    Args:
        count, test: Requests to learn from and to test on.
        seed: A non-negative integer.
    """

    def part(number, size):
        rng = np.random.default_rng((seed, number))
        labels = rng.integers(0, len(REQUESTS), size).astype("int32")
        kinds = list(REQUESTS.values())
        return [filled(rng.choice(kinds[label]), rng) for label in labels], labels

    return Dataset(
        name="requests",
        task="text_classification",
        train=part(0, count),
        test=part(1, test),
        class_names=tuple(REQUESTS),
        value_range=None,
        tokens=(dict(lower=True),),
        source=f"generated, seed {seed}",
        licence="none needed",
    )


def filled(sentence, rng):
    """A sentence with a word drawn for each of its slots."""
    return str(sentence).format(**{slot: rng.choice(words) for slot, words in SLOTS.items()})


APPLES = {  # what decides is near the word or far from it, before it or behind it
    "fruit": (
        "I like eating apple",
        "she cut the apple in two",
        "an apple fell from the tree",
        "the apple tastes sweet",
        "we baked an apple pie",
        "the apple is red and round",
        "he ate a green apple",
        "apple juice is good for you",
    ),
    "company": (
        "The Apple is a great company",
        "Apple sells a new phone",
        "I bought shares of Apple",
        "the boss of Apple gave a talk",
        "Apple opened a shop in town",
        "she works for Apple as an engineer",
        "Apple built a fast computer",
        "my phone was made by Apple",
    ),
}


def apples(count=200, test=50, seed=0):
    """Sentences about apples, each word with its tag: fruit, company, or other.

    Only the other words of a sentence tell the two apples apart: half of the sentences are in small letters, so that
    the capital letter does not.

    Args:
        count, test: Sentences to learn from and to test on.
        seed: A non-negative integer.
    """
    names = ("other", "fruit", "company")
    openings = (), ("today",), ("well", ","), ("we", "know", ":"), ("yesterday", ","), ("look", ":")

    def part(number, size):
        rng = np.random.default_rng((seed, number))
        texts, tags = [], []
        for _ in range(size):
            kind = int(rng.integers(1, 3))
            words = [*openings[rng.integers(len(openings))], *str(rng.choice(APPLES[names[kind]])).split()]
            if rng.random() < 0.5:
                words = [word.lower() for word in words]
            texts.append(words)
            tags.append(np.array([kind * (word.lower() == "apple") for word in words], "int32"))
        return texts, tags

    return Dataset(
        name="apples",
        task="text_tagging",
        train=part(0, count),
        test=part(1, test),
        class_names=names,
        value_range=None,
        tokens=(dict(kind="given", lower=True),),
        source=f"generated, seed {seed}",
        licence="none needed",
    )


ASKED = {"hour": "at what time?", "style": "which music?", "city": "which city?"}


def wishes(count=600, test=200, seed=0):
    """Questions on a few requests, which are told one after the other: at what time, which music, or which city.

    Args:
        count, test: Questions to learn from and to test on.
        seed: A non-negative integer.
    """
    told = {
        slot: [
            sentence
            for kind in REQUESTS.values()
            for sentence in kind
            if sentence.count("{") == 1 and slot in sentence
        ]
        for slot in ASKED
    }

    def part(number, size):
        rng = np.random.default_rng((seed, number))
        pairs, answers = [], []
        for _ in range(size):
            slots = {slot: str(rng.choice(SLOTS[slot])) for slot in rng.permutation(list(ASKED))}
            sentences = [str(rng.choice(told[slot])).format(**slots) for slot in slots]
            context = ". ".join(sentences) + "."
            slot = str(rng.choice(list(ASKED)))
            pairs.append((ASKED[slot], context))
            answers.append((context.index(slots[slot]), slots[slot]))
        return pairs, answers

    return Dataset(
        name="wishes",
        task="question_answering",
        train=part(0, count),
        test=part(1, test),
        value_range=None,
        tokens=(dict(lower=True),),
        source=f"generated, seed {seed}",
        licence="none needed",
    )


NEWS = dict(
    who=(
        "the red team",
        "our robot",
        "a small ship",
        "the old school",
        "my uncle",
        "the night train",
        "a young cook",
    ),
    did=("found", "lost", "sold", "painted", "repaired", "forgot"),
    what=(
        "a golden key",
        "the long bridge",
        "two letters",
        "an old piano",
        "the last ticket",
        "a map",
        "the clock",
    ),
    where=("in the morning", "near the harbour", "without any help", "for the third time", "in the rain"),
)
ASIDE = ("as always ,", "some say that", "by the way ,", "last year", "they told us that")
CUES = ("what matters is that", "the news of today :", "above all ,")


def reports(count=4000, test=300, sentences=4, seed=0):
    """Reports of a few sentences, one a line, and what is new in each: who did what, in the sentence that says so.

    All sentences are built alike; only how one of them begins tells that it matters, and it may stand anywhere. So a
    summary can be learned, and the first sentence is a poor one.

    Args:
        count, test: Reports to learn from and to test on.
        sentences: Sentences of a report, at most; two at least.
        seed: A non-negative integer.
    """
    if sentences < 2:
        raise ValueError(f"sentences must be at least 2, got {sentences}.")

    def part(number, size):
        rng = np.random.default_rng((seed, number))
        texts, summaries = [], []
        for _ in range(size):
            lines = int(rng.integers(2, sentences + 1))
            told = int(rng.integers(lines))
            found = []
            for line in range(lines):
                who, did, what, where = (
                    str(rng.choice(NEWS[slot])) for slot in ("who", "did", "what", "where")
                )
                opening = str(rng.choice(CUES if line == told else ASIDE))
                found.append(f"{opening} {who} {did} {what} {where} .")
                if line == told:
                    summaries.append(f"{who} {did} {what} .")
            texts.append("\n".join(found))
        return texts, summaries

    return Dataset(
        name="reports",
        task="summarization",
        train=part(0, count),
        test=part(1, test),
        value_range=None,
        tokens=(dict(kind="split"),),
        source=f"generated, seed {seed}",
        licence="none needed",
    )


def descriptions():
    """What scikit-learn says of its data sets: English prose and tables, the first 80 % to learn from, then 10 % and 10 %."""
    files = sorted(resources.files("sklearn.datasets.descr").iterdir(), key=lambda file: file.name)
    text = "\n".join(file.read_text(encoding="utf-8") for file in files if file.name.endswith(".rst"))
    edges = [round(len(text) * share) for share in (0.8, 0.9)]
    parts = dict(train=text[: edges[0]], validation=text[edges[0] : edges[1]], test=text[edges[1] :])
    return Dataset(
        name="descriptions",
        task="language_modeling",
        **{name: (part, None) for name, part in parts.items()},
        value_range=None,
        tokens=(dict(kind="characters"),),
        source="scikit-learn's descriptions of its data sets, in the version that is installed",
        licence="BSD 3-clause",
        citation="F. Pedregosa et al.: Scikit-learn, JMLR 12, 2011",
    )
