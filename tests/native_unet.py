"""A U-Net in plain PyTorch, written from the paper, that takes the weights of ours: the reference on every backend."""

import torch
import torch.nn.functional as F


def tensors(arrays):
    """Keras' kernels, (height, width, in, out) and of a transposed convolution (height, width, out, in), as torch's."""
    return [
        torch.tensor(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array, requires_grad=True)
        for array in arrays
    ]


def forward(weights, images, depth, padding):
    """Logits, (batch, classes, height, width).

    Args:
        weights: Kernels and biases in the order of the paper's figure 1, as `tensors` gives them.
        images: (batch, channels, height, width).
        depth: How often images are halved.
        padding: 1 for padded convolutions, 0 for valid ones.
    """
    weights = iter(weights)

    def convolved(x):
        for _ in range(2):
            x = F.relu(F.conv2d(x, next(weights), next(weights), padding=padding))
        return x

    x, seen = images, []
    for _ in range(depth):
        x = convolved(x)
        seen.append(x)
        x = F.max_pool2d(x, 2)
    x = convolved(x)
    for skip in reversed(seen):
        x = F.conv_transpose2d(x, next(weights), next(weights), stride=2)
        cut = (skip.shape[-1] - x.shape[-1]) // 2
        skip = skip[..., cut : skip.shape[-2] - cut, cut : skip.shape[-1] - cut]
        x = convolved(torch.cat([skip, x], dim=1))
    return F.conv2d(x, next(weights), next(weights))
