"""Texts read from a folder of one's own, and what is known of them."""

import csv
import json
import re

import numpy as np

from keraszoo.data.dataset import Dataset, divide
from keraszoo.data.directory import File, located
from keraszoo.text.categories import Categories
from keraszoo.text.files import read

LINES = "one JSON object a line"
FILES = {
    "tiny_shakespeare": {
        "text": File(
            "tiny_shakespeare/input.txt",
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            "plain text",
        )
    },
    "wikitext2": {
        "text": File(
            "wikitext2/wiki.valid.tokens.gz",
            "a92a2da4418be833a842d30edb1711a363eaa9194c4b4e4d0953daf9af231e8f",
            "tokenised text, a paragraph a line",
        )
    },
    "wikisplit": {
        "train": File(
            "wikisplit/train.tsv.gz",
            "10cab24038b5e6e237e59ab26f2055ec2b10706ffc97ae23b09050e7f5461cf6",
            "a sentence, a tab and two sentences joined by <::::> a line",
        ),
        "test": File(
            "wikisplit/validation.tsv.gz",
            "38ecb477825e926c5b588ef2c4ad6d69f8b0722136840800a982b6a8f5a965f0",
            "a sentence, a tab and two sentences joined by <::::> a line",
        ),
    },
    "tatoeba_eng_fra": {
        "text": File(
            "tatoeba_eng_fra/eng_fra.tsv.gz",
            "929e5ebea3cfe45314ca1a253b6f2f1b88919ed61c7f88182111a8854d8a84d2",
            "an English sentence, a tab and a French one a line",
        )
    },
    "scitldr": {
        "train": File(
            "scitldr/train.jsonl.gz",
            "f41e4e1b5706c0e4e92d285191a3d6df81d794071b07cba86c3c8013e3acfc46",
            f"{LINES}: source, target, lists of sentences",
        ),
        "test": File(
            "scitldr/dev.jsonl.gz",
            "ec113adf79a1f1bfec800f687498c71f81bde98777a65654de6aa97f6b72d018",
            f"{LINES}: source, target, lists of sentences",
        ),
    },
    "imdb_reviews": {
        "train": File(
            "imdb_reviews/train.jsonl.gz",
            "f2755edc71cc0cfb2bd89c5fbbc776a94e4bd6e3fc96a899a649425201ae6c1e",
            f"{LINES}: text, label",
        ),
        "test": File(
            "imdb_reviews/test.jsonl.gz",
            "3f4ad6e17d006e241a35323a3b05d33703e8aca651e445a72dcb0b51051feb06",
            f"{LINES}: text, label",
        ),
    },
    "clinc150": {
        "train": File(
            "clinc150/train.jsonl.gz",
            "0b6a25d26b4cf3d2cd4e0ff6028fd3cf6c1b44f2ab5476e47b2e676dffda8ff4",
            f"{LINES}: text, intent, domain",
        ),
        "test": File(
            "clinc150/val.jsonl.gz",
            "859de7f06d26fb21a816462ab80c88c037f7dff4645aaffb0e8b5a86a9d71dcd",
            f"{LINES}: text, intent, domain",
        ),
    },
    "wnut17_ner": {
        "train": File(
            "wnut17_ner/train.jsonl.gz",
            "ad8a30d7b470badec4aaae976d54c018369d82ad10d805a18540fd1778ef49b8",
            f"{LINES}: tokens, tags",
        ),
        "test": File(
            "wnut17_ner/dev.jsonl.gz",
            "3caed0f9163df96d31235a0ceb5dbc63b97b2b31edb1797806f5e4532f87729e",
            f"{LINES}: tokens, tags",
        ),
    },
    "ud_english_ewt": {
        "train": File(
            "ud_english_ewt/train.jsonl.gz",
            "b9f44cf9792a54aa06356ede48e55798409d12efbdad9fc4361e2aadb269a756",
            f"{LINES}: tokens, upos",
        ),
        "test": File(
            "ud_english_ewt/dev.jsonl.gz",
            "c12714fe074ac80aca586cedb5d0c894a714555a79f9a92f32852cc0a160f563",
            f"{LINES}: tokens, upos",
        ),
    },
    "xquad_en": {
        "text": File(
            "xquad_en/qa.jsonl.gz",
            "5a3127c0e3f67b2aa7d473895bffd21a42fd40b6cc5fddb1abacbe254e898179",
            f"{LINES}: title, context, question, answer, answer_start",
        )
    },
    "surnames": {
        "text": File(
            "surnames/names.csv",
            "1683020c60c4036f0008d6987f84408136f6a48b7fc34835b72190f0a1bcbc0a",
            "comma-separated values with a header: name, language",
        )
    },
}


def contents(name, part, data_dir, check):
    """The text of a file of the set `name`.

    Raises:
        FileNotFoundError: No folder was named, or the file is not in it.
        ValueError: The file is not the one we know, or no text.
    """
    return read(located(name, FILES[name][part], data_dir, check)[0])


def lines(name, part, data_dir, check):
    """The lines of a file. (Texts hold characters that `splitlines` takes for the end of a line.)"""
    return contents(name, part, data_dir, check).rstrip("\n").split("\n")


def rows(name, part, data_dir, check):
    """The objects in a file of JSON lines.

    Raises:
        ValueError: A line is none; the message gives its number.
    """
    found = []
    for number, line in enumerate(lines(name, part, data_dir, check), start=1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"{FILES[name][part].path}, line {number}, is not JSON: {error}.") from error
    return found


def tiny_shakespeare(data_dir=None, check=True):
    """Plays by Shakespeare, 1,115,394 characters: the first 90 % to learn from, then 5 % and 5 %.

    Args:
        data_dir: Folder that holds tiny_shakespeare/input.txt.
        check: Compare the file's SHA-256.
    """
    text = contents("tiny_shakespeare", "text", data_dir, check)
    edges = [round(len(text) * share) for share in (0.9, 0.95)]
    return Dataset(
        name="tiny_shakespeare",
        task="language_modeling",
        **in_parts(text[: edges[0]], text[edges[0] : edges[1]], text[edges[1] :]),
        value_range=None,
        tokens=(dict(kind="characters"),),
        source="github.com/karpathy/char-rnn: data/tinyshakespeare/input.txt",
        licence="text in the public domain",
        citation="W. Shakespeare; collected by A. Karpathy, 2015",
    )


def wikitext2(data_dir=None, check=True):
    """Articles of Wikipedia, 1.1 million characters, with a space between any two tokens and rare words as <unk>.

    The first 80 % of the articles are to learn from, then 10 % and 10 %.

    Args:
        data_dir: Folder that holds wikitext2/wiki.valid.tokens.gz.
        check: Compare the file's SHA-256.
    """
    text = contents("wikitext2", "text", data_dir, check)
    articles = re.split(r"\n(?= = [^=])", text)  # a title is between single equals signs
    edges = [round(len(articles) * share) for share in (0.8, 0.9)]
    parts = articles[: edges[0]], articles[edges[0] : edges[1]], articles[edges[1] :]
    return Dataset(
        name="wikitext2",
        task="language_modeling",
        **in_parts(*("\n".join(part) for part in parts)),
        value_range=None,
        tokens=(dict(kind="split"),),
        source="the validation part of WikiText-2",
        licence="CC BY-SA 3.0",
        citation="S. Merity et al., 2016, https://arxiv.org/abs/1609.07843",
    )


def in_parts(train, validation, test):
    """Running text to learn from, to choose by and to test on."""
    return dict(train=(train, None), validation=(validation, None), test=(test, None))


def imdb_reviews(data_dir=None, check=True):
    """4,000 and 1,600 reviews of films, positive or negative.

    Args:
        data_dir: Folder that holds imdb_reviews/train.jsonl.gz and test.jsonl.gz.
        check: Compare the files' SHA-256.
    """

    def part(name):
        held = rows("imdb_reviews", name, data_dir, check)
        return [row["text"] for row in held], np.array([row["label"] for row in held], "int32")

    return Dataset(
        name="imdb_reviews",
        task="text_classification",
        train=part("train"),
        test=part("test"),
        class_names=("negative", "positive"),
        value_range=None,
        tokens=(dict(lower=True),),
        source="Large Movie Review Dataset: a balanced choice",
        licence="none stated by the authors: research material, whether commercial use is allowed is unclear",
        citation="A. Maas et al.: Learning word vectors for sentiment analysis, ACL 2011",
    )


def clinc150(labels="intent", data_dir=None, check=True):
    """15,100 and 3,100 short requests in English: what is wanted, one of 150 intents or none of them ("oos").

    Args:
        labels: "intent", or "domain" for the ten fields that the intents belong to.
        data_dir: Folder that holds clinc150/train.jsonl.gz and val.jsonl.gz.
        check: Compare the files' SHA-256.
    """
    if labels not in ("intent", "domain"):
        raise ValueError(f'labels must be "intent" or "domain", got {labels!r}.')
    held = {part: rows("clinc150", part, data_dir, check) for part in ("train", "test")}
    names = Categories.learn(row[labels] for row in held["train"])
    parts = {
        part: ([row["text"] for row in found], names.encode([row[labels] for row in found]))
        for part, found in held.items()
    }
    return Dataset(
        name="clinc150",
        task="text_classification",
        **parts,
        class_names=names.names,
        value_range=None,
        tokens=(dict(lower=True),),
        source="github.com/clinc/oos-eval: its training and validation parts",
        licence="CC BY 3.0",
        citation="S. Larson et al., 2019, https://arxiv.org/abs/1909.02027",
    )


def surnames(data_dir=None, check=True):
    """14,401 surnames and which of 18 languages they come from; a fifth of each are for testing.

    Args:
        data_dir: Folder that holds surnames/names.csv.
        check: Compare the file's SHA-256.
    """
    held = list(csv.DictReader(lines("surnames", "text", data_dir, check)))
    names = Categories.learn(row["language"] for row in held)
    words = [row["name"] for row in held]
    numbers = names.encode([row["language"] for row in held])
    parts = [([words[i] for i in part], numbers[part]) for part in divide(len(words), 0.2, numbers)]
    return Dataset(
        name="surnames",
        task="text_classification",
        train=parts[0],
        test=parts[1],
        class_names=names.names,
        value_range=None,
        tokens=(dict(kind="characters"),),
        source="github.com/spro/practical-pytorch: data/names",
        licence="MIT",
        citation="S. Robertson: Practical PyTorch, 2017",
    )


def ud_english_ewt(data_dir=None, check=True):
    """12,544 and 2,001 sentences from the web, each word with its part of speech, one of 17.

    Args:
        data_dir: Folder that holds ud_english_ewt/train.jsonl.gz and dev.jsonl.gz.
        check: Compare the files' SHA-256.
    """
    return Dataset(
        name="ud_english_ewt",
        task="text_tagging",
        **tagged("ud_english_ewt", "upos", data_dir, check),
        value_range=None,
        tokens=(dict(kind="given"),),
        source="github.com/UniversalDependencies/UD_English-EWT: its training and development parts",
        licence="CC BY-SA 4.0 (annotations)",
        citation="N. Silveira et al.: A gold standard dependency corpus for English, LREC 2014",
    )


def wnut17_ner(data_dir=None, check=True):
    """3,394 and 1,009 messages, each word with what it names: BIO tags of six kinds of rare entities.

    Args:
        data_dir: Folder that holds wnut17_ner/train.jsonl.gz and dev.jsonl.gz.
        check: Compare the files' SHA-256.
    """
    return Dataset(
        name="wnut17_ner",
        task="text_tagging",
        **tagged("wnut17_ner", "tags", data_dir, check),
        value_range=None,
        tokens=(dict(kind="given"),),
        source="github.com/leondz/emerging_entities_17: its training and development parts",
        licence="CC BY 4.0",
        citation="L. Derczynski et al.: Results of the WNUT2017 shared task, 2017",
        note="B begins a name, I goes on with it.",
    )


def tagged(name, tags, data_dir, check):
    """Lists of words and lists of tag numbers of a set in two parts, and the names of the tags."""
    held = {part: rows(name, part, data_dir, check) for part in ("train", "test")}
    names = Categories.learn(tag for row in held["train"] for tag in row[tags])
    parts = {
        part: ([row["tokens"] for row in found], [names.encode(row[tags]) for row in found])
        for part, found in held.items()
    }
    return dict(parts, class_names=names.names)


def tatoeba_eng_fra(direction="eng-fra", test=1000, data_dir=None, check=True):
    """76,032 pairs of short sentences, English and French.

    All translations of a sentence are in the same part, so that no tested sentence was seen before.

    Args:
        direction: "eng-fra" translates into French, "fra-eng" into English.
        test: Different sentences to test on; as many more are for validation.
        data_dir: Folder that holds tatoeba_eng_fra/eng_fra.tsv.gz.
        check: Compare the file's SHA-256.
    """
    if direction not in ("eng-fra", "fra-eng"):
        raise ValueError(f'direction must be "eng-fra" or "fra-eng", got {direction!r}.')
    held = lines("tatoeba_eng_fra", "text", data_dir, check)
    pairs = [tuple(line.split("\t")) for line in held]
    if direction == "fra-eng":
        pairs = [pair[::-1] for pair in pairs]
    sources = sorted({source for source, _ in pairs})
    if not 1 <= test <= len(sources) // 4:
        raise ValueError(f"test must lie from 1 to {len(sources) // 4}, got {test}.")
    order = np.random.default_rng(0).permutation(len(sources))
    place = {sources[i]: "test" if at < test else "validation" for at, i in enumerate(order[: 2 * test])}
    parts = {part: ([], []) for part in ("train", "validation", "test")}
    for i in np.random.default_rng(1).permutation(len(pairs)):
        source, target = pairs[i]
        for texts, text in zip(parts[place.get(source, "train")], (source, target), strict=True):
            texts.append(text)
    return Dataset(
        name="tatoeba_eng_fra",
        task="translation",
        **parts,
        value_range=None,
        tokens=(dict(lower=True), dict(lower=True)),
        source="tatoeba.org, as packaged by manythings.org/anki",
        licence="CC BY 2.0 FR",
        citation="The contributors of tatoeba.org",
        note="A sentence may come several times, with another translation each time.",
    )


def scitldr(data_dir=None, check=True):
    """Abstracts of 1,992 and 619 papers on machine learning, a sentence a line, and each said in one sentence.

    An abstract comes as often as there are summaries of it.

    Args:
        data_dir: Folder that holds scitldr/train.jsonl.gz and dev.jsonl.gz.
        check: Compare the files' SHA-256.
    """

    def part(name):
        papers = rows("scitldr", name, data_dir, check)
        found = [("\n".join(paper["source"]), text) for paper in papers for text in paper["target"]]
        return [pair[0] for pair in found], [pair[1] for pair in found]

    return Dataset(
        name="scitldr",
        task="summarization",
        train=part("train"),
        test=part("test"),
        value_range=None,
        tokens=(dict(kind="bpe", lower=True),),
        source="github.com/allenai/scitldr: its training and development parts, SciTLDR-A",
        licence="Apache-2.0",
        citation="I. Cachola et al., 2020, https://arxiv.org/abs/2004.15011",
    )


def wikisplit(data_dir=None, check=True):
    """5,000 and 5,000 long sentences of Wikipedia, tokenised, and each said again in two.

    Args:
        data_dir: Folder that holds wikisplit/train.tsv.gz and validation.tsv.gz.
        check: Compare the files' SHA-256.
    """

    def part(name):
        pairs = [line.split("\t") for line in lines("wikisplit", name, data_dir, check)]
        return [pair[0] for pair in pairs], [pair[1].replace(" <::::> ", " ") for pair in pairs]

    return Dataset(
        name="wikisplit",
        task="translation",
        train=part("train"),
        test=part("test"),
        value_range=None,
        tokens=(dict(kind="split"), dict(kind="split")),
        source="github.com/google-research-datasets/wiki-split: its tuning and validation parts",
        licence="CC BY-SA 4.0",
        citation="J. Botha et al., 2018, https://arxiv.org/abs/1808.09468",
    )


def xquad_en(data_dir=None, check=True):
    """927 questions on 36 articles of Wikipedia, each answered by a part of a paragraph; a fifth of the articles are for the test.

    Args:
        data_dir: Folder that holds xquad_en/qa.jsonl.gz.
        check: Compare the file's SHA-256.
    """
    found = rows("xquad_en", "text", data_dir, check)
    titles = sorted({row["title"] for row in found})
    apart = set(np.random.default_rng(0).permutation(titles)[: max(1, len(titles) // 5)])

    def part(chosen):
        pairs = [(row["question"], row["context"]) for row in chosen]
        return pairs, [(row["answer_start"], row["answer"]) for row in chosen]

    return Dataset(
        name="xquad_en",
        task="question_answering",
        train=part([row for row in found if row["title"] not in apart]),
        test=part([row for row in found if row["title"] in apart]),
        value_range=None,
        tokens=(dict(lower=True),),
        source="github.com/google-deepmind/xquad, from SQuAD 1.1",
        licence="CC BY-SA 4.0",
        citation="M. Artetxe et al., 2020, https://arxiv.org/abs/1910.11856",
    )
