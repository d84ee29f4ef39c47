"""What a Transformer looks at, through all of its blocks."""

import numpy as np


def rollout(attention):
    """How much of each token arrives at each token at the end: attention followed through all blocks.

    Abnar, Zuidema 2020, https://arxiv.org/abs/2005.00928, section 3, "Attention rollout": heads are
    averaged, and half of each token stays where it is, which stands for the residual connection.

    Args:
        attention: (count, depth, heads, tokens, tokens), floating, rows that sum to 1, as the method
            `attention` of a Vision Transformer gives it.

    Returns:
        (count, tokens, tokens), floating, rows that sum to 1.

    Raises:
        ValueError: `attention` has another shape.
    """
    attention = np.asarray(attention)
    if attention.ndim != 5 or attention.shape[-1] != attention.shape[-2]:
        raise ValueError(
            f"attention must have shape (count, depth, heads, tokens, tokens), got {attention.shape}."
        )
    steps = 0.5 * attention.mean(axis=2) + 0.5 * np.eye(attention.shape[-1], dtype=attention.dtype)
    arrived = steps[:, 0]
    for block in range(1, steps.shape[1]):
        arrived = steps[:, block] @ arrived
    return arrived


def seen(attention, grid):
    """What the class token of a Vision Transformer looks at, as maps over the image.

    Args:
        attention: As of `rollout`, of tokens that are a class token and then patches.
        grid: (rows, columns) of patches.

    Returns:
        (count, heads + 1, rows, columns), floating: of each head of the last block, then of all
        blocks together, by `rollout`.
    """
    attention = np.asarray(attention)
    heads = attention[:, -1, :, 0, 1:]
    whole = rollout(attention)[:, None, 0, 1:]
    return np.concatenate([heads, whole], axis=1).reshape(len(attention), -1, *grid)
