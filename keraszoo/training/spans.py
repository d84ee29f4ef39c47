"""Contexts of questions in pieces that a model can read, and where in them an answer stands."""

from typing import NamedTuple

import numpy as np

from keraszoo.text.generation import log_softmax


class Window(NamedTuple):
    """A question with a piece of its context."""

    tokens: np.ndarray  # (time,), int32: start, question, end, piece, end
    offset: int  # place of the first token of the piece
    begin: int  # the number of that token in the context
    count: int  # tokens of the piece


def windows(question, context, start, end, most=None):
    """A question with all of its context: in one window, or in several that overlap by half.

    Args:
        question, context: (tokens,), int32.
        start, end: Numbers of the special tokens.
        most: Tokens of a window, at most; None for any number.

    Returns:
        List of `Window`s, or None where the question leaves no room for a context.
    """
    offset = len(question) + 2
    room = len(context) if most is None else min(len(context), most - offset - 1)
    if room < 1:
        return None
    begins = range(0, max(1, len(context) - room + max(1, room // 2)), max(1, room // 2))
    begins = np.unique(np.minimum(list(begins), len(context) - room))

    def window(begin):
        tokens = [[start], question, [end], context[begin : begin + room], [end]]
        return Window(np.concatenate(tokens).astype("int32"), offset, int(begin), room)

    return [window(begin) for begin in begins]


def covered(spans, start, stop):
    """The first and the last of the tokens at the characters from `start` to `stop`; (tokens, 2) `spans` say where they are."""
    touched = np.flatnonzero((spans[:, 1] > start) & (spans[:, 0] < stop))
    return (int(touched[0]), int(touched[-1])) if len(touched) else None


def place(window, tokens):
    """Where in a window an answer begins and ends, by its first and last token in the context; 0, 0 if it is not all there."""
    if tokens is None or tokens[0] < window.begin or tokens[1] >= window.begin + window.count:
        return 0, 0
    return tuple(token - window.begin + window.offset for token in tokens)


def likeliest(window, start, end, longest):
    """The likeliest answer in a window.

    Args:
        window: A `Window`.
        start, end: Logits of each of its tokens, (time,): that the answer begins or ends there.
        longest: Tokens of an answer, at most.

    Returns:
        Its probability, and its first and last token in the context.
    """
    start, end = (np.exp(log_softmax(np.asarray(v, "float64")[: len(window.tokens)])) for v in (start, end))
    inside = slice(window.offset, window.offset + window.count)
    both = start[inside, None] * end[None, inside]
    both = np.tril(np.triu(both), longest - 1)
    first, last = np.unravel_index(both.argmax(), both.shape)
    return float(both[first, last]), int(first) + window.begin, int(last) + window.begin
