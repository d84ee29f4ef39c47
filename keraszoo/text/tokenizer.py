"""Text to token numbers and back, with the Rust library `tokenizers` for what happens in between."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np

PAD, UNKNOWN, START, END = SPECIALS = ("[PAD]", "[UNK]", "[START]", "[END]")
MASK = "[MASK]"
ROLES = ("pad", "unknown", "start", "end", "mask")
KINDS = ("characters", "words", "split", "given", "bpe", "wordpiece", "checkpoint")


class Tokenizer:
    """A vocabulary, and the way in which text falls into its tokens.

    `Tokenizer.learn(texts)` makes one. Numbers 0 to 3 are padding, unknown, start and end, then comes that of what is
    masked, if there is one; the frequent tokens come first after them. `keraszoo.text.from_checkpoint(folder)` reads the
    one of a reference checkpoint, whose numbers are its own.

    Args:
        tokenizer: A `tokenizers.Tokenizer`.
        kind: One of "characters"; "words", which splits off marks of punctuation; "split", for text that has a
            space between any two tokens; "given", for lists of words; "bpe", sub-words made of bytes, so that
            nothing is unknown; "wordpiece", sub-words as BERT's; "checkpoint", that of a reference checkpoint.
        shapes: For "given": whether an unknown word is looked up by its shape, "[Xx]" for "Oslo" and "[9]" for "1905".
        specials: What the special tokens are called: a dict from "pad", "unknown", "start", "end" and "mask" to tokens.
            By default "[PAD]" and so on.

    Attributes:
        pad, unknown, start, end, mask: Numbers of the special tokens; None where there is no such token. Where there is
            none for padding, the end token is taken.

    >>> tokenizer = Tokenizer.learn(["to be, or not to be"])
    >>> tokenizer.encode("to be")
    [4, 5]
    >>> tokenizer.decode([4, 5])
    'to be'
    """

    def __init__(self, tokenizer, kind, shapes=False, specials=None):
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}.")
        self.kind = kind
        self.shapes = shapes
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True  # "[PAD]" in a text is five characters like any other
        self.specials = (
            dict(zip(ROLES, (*SPECIALS, MASK), strict=True)) if specials is None else dict(specials)
        )
        for role in ROLES:
            token = self.specials.get(role)
            setattr(self, role, None if token is None else self.token_to_id(token))
        if self.pad is None:
            self.pad = self.end

    @classmethod
    def learn(cls, texts, kind="words", size=None, lower=False, least=1, shapes=False, mask=False):
        """The tokenizer of a kind that suits some texts.

        Args:
            texts: Strings; for "given", lists of words.
            kind: See the class.
            size: Tokens at most, with the four special ones. By default all there are, or 8,000 sub-words.
            lower: Take capital letters for small ones.
            least: How often a token must occur to be known.
            shapes: For "given", with `least` above 1: look up by its shape what is not known, as in names that occur
                once. What shapes there are is learned from the words that are not known here.
            mask: Have a fifth special token, "[MASK]", for what a model is to guess.

        Raises:
            ValueError: There are no texts, `kind` is unknown, `size` leaves no room for special tokens and shapes, or
                `shapes` is for another kind.
        """
        if shapes and kind != "given":
            raise ValueError(f'shapes are those of words: they need kind="given", got {kind!r}.')
        if kind not in KINDS[:-1]:
            raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS[:-1]))}, got {kind!r}.")
        special = [*SPECIALS, MASK] if mask else [*SPECIALS]
        if size is not None and size <= len(special):
            raise ValueError(f"size must be above {len(special)}, the special tokens, got {size}.")
        texts = check_texts("texts", texts, words=kind == "given")
        if kind in ("bpe", "wordpiece"):
            tokenizer, trainer = subwords(kind, size or 8000, lower, least, special)
            tokenizer.train_from_iterator(texts, trainer)
            return cls(tokenizer, kind)
        splitter = whole_words(kind, lower, {token: i for i, token in enumerate(special)})
        counts = Counter()
        for text in texts:
            counts.update(pieces(splitter, text, kind))
        known = [token for token, count in counts.most_common() if count >= least and token not in special]
        if shapes:
            tokens = [*special, *shapes_and_words(splitter, texts, known, size, len(special))]
        else:
            tokens = [*special, *known][:size]
        return cls(whole_words(kind, lower, {token: i for i, token in enumerate(tokens)}), kind, shapes)

    def __len__(self):
        return self._tokenizer.get_vocab_size()

    def __repr__(self):
        return f"<Tokenizer: {len(self):,} {self.kind}>"

    @property
    def tokens(self):
        """All tokens, in the order of their numbers."""
        return [self._tokenizer.id_to_token(i) for i in range(len(self))]

    def token_to_id(self, token):
        """The number of a token, or None."""
        return self._tokenizer.token_to_id(token)

    def id_to_token(self, number):
        """The token of a number, or None."""
        return self._tokenizer.id_to_token(int(number))

    def readable(self, number):
        """A token as a reader wants it: of byte pairs the text, where their bytes are whole characters; "␣" for blanks."""
        from tokenizers import decoders

        token = self.id_to_token(number)
        if not isinstance(self._tokenizer.decoder, decoders.ByteLevel):
            return token
        text = self._tokenizer.decode([int(number)], skip_special_tokens=False).strip()
        return token if "\N{REPLACEMENT CHARACTER}" in text else text or "␣"

    def encode(self, text, start=False, end=False):
        """The token numbers of a text, a list of int.

        Args:
            text: A string, or for "given" a list of words (a string is split as "words" are).
            start, end: Put the start token before, the end token behind.
        """
        return self.encode_many([text], start, end)[0].tolist()

    def encode_many(self, texts, start=False, end=False):
        """The token numbers of texts: a list of int32 arrays of different lengths.

        Raises:
            ValueError: `texts` is not a list of strings (or of lists of words).
        """
        texts = check_texts("texts", texts, words=self.kind == "given", empty=True)
        if self.kind == "given":
            texts = [words_of(text) if isinstance(text, str) else list(text) for text in texts]
        if self.shapes:
            found = [[self.number(word) for word in text] for text in texts]
        else:
            given = dict(is_pretokenized=self.kind == "given", add_special_tokens=False)
            found = [encoded.ids for encoded in self._tokenizer.encode_batch_fast(texts, **given)]
        before, after = [self.start] * start, [self.end] * end
        return [np.array([*before, *numbers, *after], "int32") for numbers in found]

    def encode_spans(self, texts):
        """The token numbers of strings, and where in them the tokens stand.

        Returns:
            For each string its token numbers, (tokens,) int32; and (tokens, 2), integers: from which character to before
            which one each of them stands.
        """
        numbers = self.encode_many(texts)
        if self.kind == "given":
            spans = [[span for _, span in split_words(text)] for text in texts]
        else:
            encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
            spans = [found.offsets for found in encoded]
        return [(row, np.array(span, int).reshape(-1, 2)) for row, span in zip(numbers, spans, strict=True)]

    def number(self, word):
        """The number of a word; or that of its shape, if the word is not in the vocabulary."""
        normal = self._tokenizer.normalizer.normalize_str(word) if self._tokenizer.normalizer else word
        for token in (normal, shape(word)):
            if (found := self.token_to_id(token)) is not None:
                return found
        return self.unknown

    def decode(self, numbers):
        """The text of token numbers, without special tokens."""
        special = {self.pad, self.start, self.end} - {None}
        return self._tokenizer.decode(
            [int(n) for n in numbers if n not in special], skip_special_tokens=False
        )

    def split(self, text):
        """The tokens that a text falls into, as they are looked up."""
        return [self.id_to_token(n) for n in self.encode(text)]

    def to_json(self):
        """All of it, as text; `from_json` reads it."""
        held = {"kind": self.kind, "shapes": self.shapes, "specials": self.specials}
        return json.dumps({**held, "tokenizer": json.loads(self._tokenizer.to_str())})

    @classmethod
    def from_json(cls, text):
        """The tokenizer that `to_json` wrote.

        Raises:
            ValueError: It is none.
        """
        import tokenizers

        try:
            held = json.loads(text)
            tokenizer = tokenizers.Tokenizer.from_str(json.dumps(held["tokenizer"]))
            return cls(tokenizer, held["kind"], held.get("shapes", False), held.get("specials"))
        except Exception as error:  # the library raises nothing more special
            raise ValueError(f"This is no tokenizer of keraszoo: {error}") from error

    def save(self, path):
        """Write it to a JSON file, which appears whole or not at all."""
        path = Path(path)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(self.to_json(), encoding="utf-8")
        os.replace(beside, path)

    @classmethod
    def load(cls, path):
        """Read it from the file that `save` wrote.

        Raises:
            ValueError: There is no such file, or it holds no tokenizer.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"path={str(path)!r}: there is no such file.")
        return cls.from_json(path.read_text(encoding="utf-8"))


def check_texts(name, texts, words=False, empty=False):
    """Texts as a list.

    Args:
        name: What they are called, for messages.
        texts: Strings, in a list, a tuple, an array or an iterator; with `words`, lists of words as well.
        words: Whether lists of words may be among them.
        empty: Whether there may be none.

    Raises:
        ValueError: They are something else; the message says which.
    """
    if isinstance(texts, (str, bytes)):
        raise ValueError(f"{name} must be a list of texts, got one {type(texts).__name__}: put it in a list.")
    texts = list(texts)
    if not texts and not empty:
        raise ValueError(f"{name} is empty: there is nothing to read.")
    for i, text in enumerate(texts):
        if isinstance(text, str):
            continue
        if words and not isinstance(text, bytes) and all(isinstance(word, str) for word in text):
            continue
        hint = ": decode them, as text.decode('utf-8')" if isinstance(text, bytes) else ""
        raise ValueError(
            f"{name}[{i}] must be a text{' or a list of words' if words else ''}, got {type(text).__name__}{hint}."
        )
    return texts


def shape(word):
    """What a word looks like: "[Xx]" for "Oslo", "[X]" for "UN", "[9]" for "1905", "[@x]" for "@ann"; runs count once."""
    found = []
    for character in word:
        mark = "9" if character.isdigit() else character
        if character.isalpha():
            mark = "X" if character.isupper() else "x"
        if found[-1:] != [mark]:
            found.append(mark)
    return f"[{''.join(found[:4])}]"


def shapes_and_words(tokenizer, texts, known, size, special):
    """The shapes of the words that stay unknown, then the words that are known: as many as fit behind `special` tokens."""
    shapes = {}
    for text in texts:
        words = words_of(text) if isinstance(text, str) else list(text)
        for word, normalized in zip(words, pieces(tokenizer, words, "given"), strict=True):
            shapes.setdefault(normalized, set()).add(shape(word))
    known = list(known)
    seen = set().union(*(shapes[word] for word in {*shapes} - {*known})) - {*known}
    while size is not None and special + len(seen) + len(known) > size:
        if not known:
            raise ValueError(f"size must leave room for the {len(seen)} shapes of the words, got {size}.")
        seen |= shapes[known.pop()] - {*known}
    return [*sorted(seen), *known]


def words_of(text):
    """Words and marks of punctuation of a text."""
    return [piece for piece, _ in split_words(text)]


def split_words(text):
    """The same, each with the characters from and to."""
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Whitespace().pre_tokenize_str(text)


def pieces(tokenizer, text, kind):
    """What a text falls into, before anything is looked up."""
    normalized = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    if kind == "given":
        return map(normalized, text if not isinstance(text, str) else words_of(text))
    if kind == "characters":
        return normalized(text)
    return (piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized(text)))


def whole_words(kind, lower, numbers):
    """A tokenizer that looks up what text falls into, in a dict from tokens to numbers."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    if kind == "characters":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
    elif kind == "words":
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.decoder = decoders.WordPiece(cleanup=True)  # no space before a full stop
    elif kind == "split":
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def subwords(kind, size, lower, least, special):
    """A tokenizer of sub-words without a vocabulary, and what trains it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    given = dict(vocab_size=size, min_frequency=least, special_tokens=special, show_progress=False)
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return tokenizer, trainers.WordPieceTrainer(**given)
    tokenizer = Tokenizer(models.BPE())
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **given)
