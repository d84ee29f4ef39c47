"""A loop in which each turn reads what turns before it have written: levels of a tree, from the leaves up.

TensorFlow and JAX write into one buffer, in place where they can. Torch, to be able to go back, would copy it
at every turn, and the gradient of all of it as well; here both are written in place.
"""

import keras
from keras import ops

if keras.backend.backend() == "torch":
    import torch


def climb(step, place, sources, size, dtype):
    """Compute levels one after the other.

    Args:
        step: Called for each level with the rows that `place` names and its part of each of `sources`; returns
            (nodes, size).
        place: (levels, nodes, children), integers: row `i * nodes + k` is what `step` gave for node `k` of level
            `i`, and row `levels * nodes` is zeros. What comes later than the level itself must not be named.
        sources: List of arrays (levels, ...), or None, which stays None.
        size: Features of a node.
        dtype: Of what `step` gives.

    Returns:
        (levels, nodes, size).
    """
    levels, nodes, _ = ops.shape(place)
    if keras.backend.backend() == "torch" and not torch.compiler.is_compiling():
        return _climb_in_place(step, place, sources, size, dtype)

    def level(i, states):
        known = ops.take(ops.reshape(states, ((levels + 1) * nodes, size)), place[i], axis=0)
        new = step(known, *(None if source is None else source[i] for source in sources))
        return ops.scatter_update(states, ops.reshape(ops.cast(i, "int32"), (1, 1)), ops.expand_dims(new, 0))

    return ops.fori_loop(0, levels, level, ops.zeros((levels + 1, nodes, size), dtype))[:-1]


def _climb_in_place(step, place, sources, size, dtype):
    """`climb` on torch."""
    levels, nodes, children = place.shape
    book = Book(torch.zeros(((levels + 1) * nodes, size), dtype=getattr(torch, dtype), device=place.device))
    sources = [[None] * levels if source is None else source.unbind(0) for source in sources]
    # Whoever reads depends on the mark that the last one to write has left, so the way back keeps the order.
    mark = torch.zeros(
        (), dtype=book.states.dtype, device=place.device, requires_grad=torch.is_grad_enabled()
    )
    for i, (index, *given) in enumerate(
        zip(place.long().reshape(levels, -1).unbind(0), *sources, strict=True)
    ):
        known = Read.apply(mark, book, index).reshape(nodes, children, size)
        mark = Write.apply(mark, step(known, *given), book, slice(i * nodes, (i + 1) * nodes))
    return ReadAll.apply(mark, book)[:-nodes].reshape(levels, nodes, size)


class Book:
    """The states of all nodes, row by row, and on the way back their gradients."""

    def __init__(self, states):
        self.states = states
        self.gradients = None


if keras.backend.backend() == "torch":

    class Read(torch.autograd.Function):
        """Rows of a book."""

        @staticmethod
        def forward(context, mark, book, index):
            context.book, context.index = book, index
            return book.states.index_select(0, index)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, gradient):
            context.book.gradients.index_add_(0, context.index, gradient)
            return gradient.new_zeros(()), None, None

    class Write(torch.autograd.Function):
        """Put rows into a book; returns the next mark."""

        @staticmethod
        def forward(context, mark, new, book, rows):
            context.book, context.rows = book, rows
            book.states[rows] = new
            return mark.new_zeros(())

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, gradient):
            return gradient, context.book.gradients[context.rows], None, None

    class ReadAll(torch.autograd.Function):
        """All rows of a book, which is where the way back begins."""

        @staticmethod
        def forward(context, mark, book):
            context.book = book
            return book.states.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, gradient):
            context.book.gradients = gradient.clone(memory_format=torch.contiguous_format)
            return gradient.new_zeros(()), None
