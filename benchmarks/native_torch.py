"""The models in PyTorch, as one writes them without Keras."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cases import stages


class Convolution(nn.Module):
    """Convolve, and normalise over the batch."""

    def __init__(self, weights, name, stride=1):
        super().__init__()
        (kernel,), (gamma, beta, _, _) = weights[name], weights[f"{name}_norm"]
        rows, _, inputs, filters = kernel.shape
        self.convolution = nn.Conv2d(inputs, filters, rows, stride, rows // 2, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=1e-5, momentum=0.1)
        fill(self.convolution.weight, kernel.transpose(3, 2, 0, 1))
        fill(self.norm.weight, gamma)
        fill(self.norm.bias, beta)

    def forward(self, x):
        return self.norm(self.convolution(x))


class Block(nn.Module):
    """A residual block; `convolutions` is 2 (basic) or 3 (bottleneck)."""

    def __init__(self, weights, name, convolutions, stride):
        super().__init__()
        strided = convolutions - 2  # the first 3x3
        self.branch = nn.ModuleList(
            Convolution(weights, f"{name}_conv{i + 1}", stride if i == strided else 1)
            for i in range(convolutions)
        )
        shortcut = f"{name}_shortcut"
        self.shortcut = Convolution(weights, shortcut, stride) if shortcut in weights else None
        self.stride = stride

    def forward(self, x):
        y = x
        for convolution in self.branch[:-1]:
            y = F.relu(convolution(y))
        y = self.branch[-1](y)
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.stride > 1:  # option A: leave pixels out, and add channels of zeros
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(x + y)


class ResNet(nn.Module):
    """A network for large images, with bottlenecks, or for small ones, without."""

    def __init__(self, weights):
        super().__init__()
        depths, convolutions = stages(weights)
        self.large = convolutions == 3
        self.stem = Convolution(weights, "conv1", 2 if self.large else 1)
        self.blocks = nn.Sequential(
            *(
                Block(
                    weights,
                    f"stage{stage}_block{i + 1}",
                    convolutions,
                    2 if i == 0 and stage > depths[0][0] else 1,
                )
                for stage, depth in depths
                for i in range(depth)
            )
        )
        self.logits = linear(*weights["logits"])

    def forward(self, x):
        x = F.relu(self.stem(x))
        if self.large:
            x = F.max_pool2d(x, 3, 2, 1)
        return self.logits(F.adaptive_avg_pool2d(self.blocks(x), 1).flatten(1))


class LeNet5(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.c1 = convolution(*weights["c1"], padding=2)
        self.c3 = convolution(*weights["c3"])
        kernel, bias = weights["c5"]
        channels = weights["c3"][1].shape[0]
        side = int((kernel.shape[0] // channels) ** 0.5)
        kernel = kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
        self.c5 = linear(kernel, bias)  # which sees channels first
        self.f6 = linear(*weights["f6"])
        self.logits = linear(*weights["logits"])

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c3(x)), 2)
        x = F.relu(self.c5(x.flatten(1)))
        return self.logits(F.relu(self.f6(x)))


MODELS = {"lenet5": LeNet5, "resnet50": ResNet, "resnet20": ResNet}


def convolution(kernel, bias, padding=0):
    rows, _, inputs, filters = kernel.shape
    layer = nn.Conv2d(inputs, filters, rows, padding=padding)
    fill(layer.weight, kernel.transpose(3, 2, 0, 1))
    fill(layer.bias, bias)
    return layer


def linear(kernel, bias=None):
    layer = nn.Linear(*kernel.shape, bias=bias is not None)
    fill(layer.weight, kernel.T)
    if bias is not None:
        fill(layer.bias, bias)
    return layer


def fill(parameter, value):
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))


class Native:
    """Training and prediction, as a loop around the model.

    Args:
        name: A key of `MODELS`.
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        layout: "first" or "last": where the channels are in memory.
        fused: Let Adam update all weights in one kernel.
    """

    def __init__(self, name, weights, rate, layout="last", fused=None):
        torch.set_num_threads(1)
        self.format = torch.channels_last if layout == "last" else torch.contiguous_format
        self.net = MODELS[name](weights).to(memory_format=self.format)
        self.optimizer = torch.optim.Adam(self.net.parameters(), rate, eps=1e-7, fused=fused)
        self.steps = 0

    def images(self, x):
        return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=self.format)

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        self.steps += 1  # Keras' Adam adds epsilon outside the bias correction, which is the same as:
        self.optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self.steps) ** 0.5
        self.net.train()
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(self.images(x)), torch.from_numpy(y).long())
        loss.backward()
        self.optimizer.step()
        return [loss.item()]

    def predict(self, x, batch_size):
        """Logits of all images."""
        self.net.eval()
        with torch.inference_mode():
            return np.concatenate(
                [self.net(self.images(x[i : i + batch_size])).numpy() for i in range(0, len(x), batch_size)]
            )


class Clipped:
    """Training and prediction of a net of another kind, as a loop around it.

    Args:
        net: A module, which gives logits, classes last.
        rate: Learning rate of Adam.
        clip: Norm that no gradient exceeds.
        fused: Let Adam update all weights in one kernel.
    """

    def __init__(self, net, rate, clip, fused=False):
        torch.set_num_threads(1)
        self.net, self.clip = net, clip
        self.learned = [p for p in net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.learned, rate, eps=1e-7, fused=fused)
        self.steps = 0

    def seen(self, x, y):
        """What the net is called with while it learns."""
        return (x,)

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        self.steps += 1  # see `Native.step`
        self.optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self.steps) ** 0.5
        self.optimizer.zero_grad()
        x, y = torch.from_numpy(x), torch.from_numpy(y).long()
        loss = F.cross_entropy(self.net(*self.seen(x, y)).flatten(0, -2), y.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.learned, self.clip)
        self.optimizer.step()
        return [loss.item()]

    def predict(self, x, batch_size):
        """Logits of all that is in an array, or in several, one for each input."""
        x = list(map(torch.from_numpy, x if isinstance(x, tuple) else (x,)))
        rows = range(0, len(x[0]), batch_size)
        with torch.inference_mode():
            return np.concatenate([self.net(*(v[i : i + batch_size] for v in x)).numpy() for i in rows])
