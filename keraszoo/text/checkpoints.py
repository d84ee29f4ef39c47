"""The tokenizer of a reference checkpoint, from the files that `transformers` writes or that were first published."""

import json
from pathlib import Path

from keraszoo.text.tokenizer import Tokenizer

NAMES = {
    "pad": ("pad",),
    "unknown": ("unk",),
    "start": ("cls", "bos"),
    "end": ("sep", "eos"),
    "mask": ("mask",),
}
USUAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
USUAL |= {"bos": "<|endoftext|>", "eos": "<|endoftext|>"}
SETTINGS = ("special_tokens_map.json", "tokenizer_config.json")  # the second has the last word


def from_checkpoint(folder):
    """The tokenizer in a folder: of `tokenizer.json`, or `vocab.txt` (BERT), or `vocab.json` and `merges.txt` (GPT-2).

    Args:
        folder: A folder with one of these, and with `tokenizer_config.json` if there is one.

    Returns:
        A `Tokenizer` of kind "checkpoint", or None if there is none in the folder.

    Raises:
        ValueError: A file is damaged.
    """
    import tokenizers

    folder = Path(folder)
    try:
        if (folder / "tokenizer.json").is_file():
            found = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        elif (folder / "vocab.txt").is_file():
            found = wordpiece(folder, settings(folder))
        elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            found = pairs_of_bytes(folder)
        else:
            return None
        specials = named(settings(folder), found)
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"The tokenizer in {folder} is damaged: {error}") from error
    found.no_truncation()
    found.no_padding()
    return Tokenizer(found, "checkpoint", specials=specials)


def settings(folder):
    """What the files of settings say together."""
    found = {}
    for name in SETTINGS:
        if (folder / name).is_file():
            found |= json.loads((folder / name).read_text(encoding="utf-8"))
    return found


def named(config, tokenizer):
    """{role: token} of the special tokens; where nothing names them, by what they are usually called."""
    found = {}
    for role, names in NAMES.items():
        for name in names:
            token = config.get(f"{name}_token", USUAL.get(name))
            token = token.get("content") if isinstance(token, dict) else token
            if role not in found and token is not None and tokenizer.token_to_id(token) is not None:
                found[role] = token
    return found


def wordpiece(folder, config):
    """BERT's: a line for each token."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordPiece.from_file(str(folder / "vocab.txt"), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=config.get("do_lower_case", True),
        strip_accents=config.get("strip_accents"),
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def pairs_of_bytes(folder):
    """GPT-2's: tokens and their numbers, and the pairs that are joined."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    model = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
