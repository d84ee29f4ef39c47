"""Training loops of the GAN family, written for plain PyTorch: what ours must agree with, step by step.

Nothing here is ours. A step takes the real images and all the noise it needs, and returns its losses.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Adam:
    """Adam with epsilon outside the bias correction, as Keras has it and `torch.optim.Adam` has not."""

    def __init__(self, parameters, rate, beta1, beta2=0.999, epsilon=1e-7):
        self.parameters, self.settings, self.t = list(parameters), (rate, beta1, beta2, epsilon), 0
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]

    def step(self, loss):
        rate, beta1, beta2, epsilon = self.settings
        self.t += 1
        rate = rate * math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        with torch.no_grad():
            for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
                g = torch.zeros_like(p) if g is None else g
                m.mul_(beta1).add_(g, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
                p.sub_(rate * m / (v.sqrt() + epsilon))


def mlp(sizes):
    parts = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        parts += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


class Generator(nn.Module):
    """Noise (batch, latent) to images (batch, channels, height, width)."""

    def __init__(self, latent, start, widths, channels):
        super().__init__()
        self.first = nn.ConvTranspose2d(latent, widths[0], start, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in widths)
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.last = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False)

    def forward(self, z):
        x = F.relu(self.norms[0](self.first(z[:, :, None, None])))
        for conv, norm in zip(self.convs, self.norms[1:], strict=False):
            x = F.relu(norm(conv(x)))
        return torch.tanh(self.last(x))


class Discriminator(nn.Module):
    """Images (batch, channels, height, width) to logits (batch,)."""

    def __init__(self, end, widths, channels, normalized=True):
        super().__init__()
        ins = [channels, *widths[:-1]]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2, 1, bias=not normalized) for a, b in zip(ins, widths, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in widths[1:]) if normalized else None
        self.last = nn.Conv2d(widths[-1], 1, end, bias=False)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            x = conv(x)
            if self.norms is not None and i:
                x = self.norms[i - 1](x)
            x = F.leaky_relu(x, 0.2)
        return self.last(x).flatten()


def load(module, arrays):
    """Give a module the weights of one of ours: arrays in the order of layers, kernels last-channel-first."""
    arrays = list(arrays)
    for layer in [m for m in ordered(module) if list(m.parameters(recurse=False))]:
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data, layer.bias.data = (tensor(arrays.pop(0)) for _ in range(2))
            continue
        layer.weight.data = turned(layer, arrays.pop(0))
        if layer.bias is not None:
            layer.bias.data = tensor(arrays.pop(0))
    assert not arrays
    return module


def ordered(module):
    """The layers of a module in the order in which they act."""
    if isinstance(module, Generator):
        rest = [layer for pair in zip(module.convs, module.norms[1:], strict=True) for layer in pair]
        return [module.first, module.norms[0], *rest, module.last]
    if isinstance(module, Discriminator):
        norms = [None, *(module.norms or [])]
        pairs = zip(module.convs, norms + [None] * (len(module.convs) - len(norms)), strict=True)
        return [layer for pair in pairs for layer in pair if layer is not None] + [module.last]
    return list(module)


def turned(layer, kernel):
    """One of our kernels in the shape that torch wants."""
    if isinstance(layer, nn.Linear):
        return tensor(kernel.T)
    if kernel.ndim == 2:  # of a Dense layer before a Reshape: a transposed convolution of one pixel
        latent, outs = kernel.shape
        height, width = layer.kernel_size
        return tensor(kernel.reshape(latent, height, width, outs // height // width).transpose(0, 3, 1, 2))
    return tensor(kernel.transpose(3, 2, 0, 1))  # both kinds of convolution have their own two axes in turn


def back(module):
    """The weights of a module in the order and shapes of ours."""
    found = []
    for layer in [m for m in ordered(module) if list(m.parameters(recurse=False))]:
        weight = layer.weight.detach().numpy()
        if isinstance(layer, nn.Linear):
            weight = weight.T
        elif weight.ndim == 4 and layer is getattr(module, "first", None):
            weight = weight.transpose(0, 2, 3, 1).reshape(weight.shape[0], -1)
        elif weight.ndim == 4:
            weight = weight.transpose(2, 3, 1, 0)
        found.append(weight)
        if layer.bias is not None:
            found.append(layer.bias.detach().numpy())
    return found


def tensor(array):
    return torch.tensor(np.ascontiguousarray(array))


def images(array):
    """Ours, channels last, as torch's, channels first."""
    return tensor(array.transpose(0, 3, 1, 2)) if array.ndim == 4 else tensor(array)


class Game:
    """A generator, a discriminator and their optimizers; `step` is a step of Goodfellow's algorithm 1."""

    def __init__(self, generator, discriminator, rate, beta1, beta2=0.999):
        self.generator, self.discriminator = generator.train(), discriminator.train()
        self.g_optimizer = Adam(generator.parameters(), rate, beta1, beta2)
        self.d_optimizer = Adam(discriminator.parameters(), rate, beta1, beta2)

    def step(self, real, noise, other_noise):
        fake = self.generator(noise).detach()
        on_real, on_fake = self.discriminator(real), self.discriminator(fake)
        d_loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        self.d_optimizer.step(d_loss)
        g_loss = F.softplus(-self.discriminator(self.generator(other_noise))).mean()
        self.g_optimizer.step(g_loss)
        return d_loss.item(), g_loss.item()


class Conditional(Game):
    """The same with a label, which both players see as one number for each class."""

    def __init__(self, *arguments, classes):
        super().__init__(*arguments)
        self.classes = classes

    def drawn(self, noise, code):
        return self.generator(torch.cat([noise, code], 1))

    def judged(self, image, code):
        planes = code[:, :, None, None].expand(-1, -1, *image.shape[2:])
        return self.discriminator(torch.cat([image, planes], 1))

    def step(self, real, labels, noise, other_noise):
        code = F.one_hot(labels.long(), self.classes).float()
        fake = self.drawn(noise, code).detach()
        on_real, on_fake = self.judged(real, code), self.judged(fake, code)
        d_loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        self.d_optimizer.step(d_loss)
        g_loss = F.softplus(-self.judged(self.drawn(other_noise, code), code)).mean()
        self.g_optimizer.step(g_loss)
        return d_loss.item(), g_loss.item()


class Wasserstein(Game):
    """Gulrajani's algorithm 1: the generator learns in every so many steps."""

    def __init__(self, *arguments, every):
        super().__init__(*arguments)
        self.every, self.count = every, 0

    def step(self, real, noise, other_noise, shares):
        fake = self.generator(noise).detach()
        between = (shares * real + (1 - shares) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        d_loss = self.discriminator(fake).mean() - self.discriminator(real).mean() + 10 * penalty
        self.d_optimizer.step(d_loss)
        self.count += 1
        if self.count % self.every:
            return d_loss.item(), 0.0
        g_loss = -self.discriminator(self.generator(other_noise)).mean()
        self.g_optimizer.step(g_loss)
        return d_loss.item(), g_loss.item()
