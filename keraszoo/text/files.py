"""Text files, read with one clear error where they are not what they should be."""

import gzip
from pathlib import Path


def read(path, encoding="utf-8"):
    """The text in a file, or in a file compressed by gzip.

    Args:
        path: The file; a name that ends in ".gz" says that it is compressed.
        encoding: How its characters are written as bytes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds bytes that are no text in this encoding, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r}: there is no such file.")
    try:
        held = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    try:
        return held.decode(encoding)
    except UnicodeDecodeError as error:
        line = held[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path} is not written in {encoding}: line {line} holds the byte 0x{held[error.start]:02x} where no such "
            "byte may stand. Give encoding=, for example encoding='latin-1'."
        ) from error
