"""Token numbers as arrays: padding to a common length, and windows for language models."""

import numpy as np


def padded(sequences, length=None, multiple=1, value=0):
    """Sequences of different lengths as one array, filled up at the end.

    Args:
        sequences: Arrays or lists whose first axis is time; further axes agree.
        length: Steps of the result. By default those of the longest sequence.
        multiple: Steps are rounded up to a multiple of this.
        value: What to fill up with; 0 is the number of the padding token.

    Returns:
        (count, length, ...), of the dtype of the sequences.

    Raises:
        ValueError: A sequence is longer than `length`.
    """
    sequences = [np.asarray(sequence) for sequence in sequences]
    longest = max(map(len, sequences), default=0)
    if length is not None and longest > length:
        at = next(i for i, sequence in enumerate(sequences) if len(sequence) > length)
        raise ValueError(f"sequences[{at}] has {len(sequences[at])} steps, more than length={length}.")
    steps = -(-(longest if length is None else length) // multiple) * multiple
    like = sequences[0] if sequences else np.zeros(0, "int32")
    found = np.full((len(sequences), steps, *like.shape[1:]), value, like.dtype)
    for row, sequence in zip(found, sequences, strict=True):
        row[: len(sequence)] = sequence
    return found


def windows(numbers, length, stride=None):
    """Pieces of a long text, and what comes next at each of their places.

    Args:
        numbers: (count,) token numbers of a text.
        length: Tokens in a piece.
        stride: From the start of one piece to that of the next; by default `length`, so that each token is
            foretold once. What is left at the end and does not fill a piece is left out.

    Returns:
        x, y: Both (pieces, length), views of `numbers`; `y[i, t]` is the token that follows `x[i, t]`.

    Raises:
        ValueError: The text does not fill one piece, or an argument is below 1.
    """
    numbers = np.asarray(numbers)
    if length < 1 or (stride is not None and stride < 1):
        raise ValueError(f"length and stride must be at least 1, got {length=}, {stride=}.")
    if len(numbers) <= length:
        raise ValueError(
            f"The text has {len(numbers)} tokens; a window of {length} needs at least {length + 1}: give more text, "
            "or a shorter window."
        )
    found = np.lib.stride_tricks.sliding_window_view(numbers, length + 1)[:: stride or length]
    return found[:, :-1], found[:, 1:]
