"""The games in PyTorch, as one writes them without Keras."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cases import network
from benchmarks.native_torch import fill, linear


class Generator(nn.Module):
    """Noise (batch, latent_dim) to images, of DCGAN."""

    def __init__(self, weights, last):
        super().__init__()
        (first,), norm, *rest = weights
        channels = len(norm[0])
        side = int((first.shape[1] / channels) ** 0.5)
        self.shape = (side, side, channels) if last else (channels, side, side)
        self.last = last
        if not last:
            first = first.reshape(-1, side, side, channels).transpose(0, 3, 1, 2).reshape(first.shape)
        self.first = linear(first)
        self.norms = nn.ModuleList(normalization(*arrays) for arrays in (norm, *rest[1::2]))
        self.convolutions = nn.ModuleList(transposed(*arrays) for arrays in rest[::2])

    def forward(self, noise):
        x = self.first(noise).view(-1, *self.shape)
        x = x.permute(0, 3, 1, 2) if self.last else x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = convolution(F.relu(norm(x), inplace=True))
        return torch.tanh(x)


class Discriminator(nn.Module):
    """Images to logits (batch, 1), of DCGAN."""

    def __init__(self, weights):
        super().__init__()
        first, *rest, last = weights
        self.convolutions = nn.ModuleList(convolution(*arrays, 2, 1) for arrays in (first, *rest[::2]))
        self.norms = nn.ModuleList([nn.Identity(), *(normalization(*arrays) for arrays in rest[1::2])])
        self.last = convolution(*last)

    def forward(self, x):
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu(norm(convolution(x)), 0.2, inplace=True)
        return self.last(x).flatten(1)


def convolution(kernel, stride=1, padding=0):
    rows, columns, inputs, filters = kernel.shape
    layer = nn.Conv2d(inputs, filters, (rows, columns), stride, padding, bias=False)
    fill(layer.weight, kernel.transpose(3, 2, 0, 1))
    return layer


def transposed(kernel):
    rows, _, filters, inputs = kernel.shape
    layer = nn.ConvTranspose2d(inputs, filters, rows, 2, rows // 2 - 1, bias=False)
    fill(layer.weight, kernel.transpose(3, 2, 0, 1))
    return layer


def normalization(gamma, beta, mean, variance):
    layer = nn.BatchNorm2d(len(gamma), eps=1e-5, momentum=0.1)
    fill(layer.weight, gamma)
    fill(layer.bias, beta)
    return layer


class Optimizer:
    """Adam for some networks, with Keras' epsilon."""

    def __init__(self, networks, rate):
        parameters = [p for network in networks for p in network.parameters()]
        self.adam = torch.optim.Adam(parameters, rate, betas=(0.5, 0.999), fused=True)
        self.steps = 0

    def step(self, loss):
        self.adam.zero_grad()
        loss.backward()
        self.steps += 1  # Keras' Adam adds epsilon outside the bias correction, which is the same as:
        self.adam.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self.steps) ** 0.5
        self.adam.step()
        return loss.item()


class Game:
    """What all games share: where channels are in memory.

    Args:
        layout: "first" or "last".
    """

    def __init__(self, layout):
        torch.set_num_threads(1)
        self.last = layout == "last"
        self.format = torch.channels_last if self.last else torch.contiguous_format

    def images(self, x):
        return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=self.format)


class DCGAN(Game):
    """A generator and a discriminator.

    Args:
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        layout: As of `Game`.
    """

    def __init__(self, weights, rate, layout="last"):
        super().__init__(layout)
        self.generator = Generator(network(weights, "generator"), self.last).to(memory_format=self.format)
        self.discriminator = Discriminator(network(weights, "discriminator")).to(memory_format=self.format)
        self.latent_dim = self.generator.first.in_features
        self.learn = [Optimizer([part], rate) for part in (self.discriminator, self.generator)]

    def step(self, images, *noise):
        """A turn of each player; their losses."""
        self.generator.train()
        real = self.images(images)
        drawn = map(torch.from_numpy, noise) if noise else torch.randn(2, len(real), self.latent_dim)
        for_discriminator, for_generator = drawn
        with torch.no_grad():
            fake = self.generator(for_discriminator)
        on_real, on_fake = self.discriminator(real), self.discriminator(fake)
        losses = [self.learn[0].step(F.softplus(-on_real).mean() + F.softplus(on_fake).mean())]
        self.discriminator.requires_grad_(False)
        on_fake = self.discriminator(self.generator(for_generator))
        losses.append(self.learn[1].step(F.softplus(-on_fake).mean()))
        self.discriminator.requires_grad_(True)
        return losses

    def predict(self, noise, batch_size):
        """Images, channels last."""
        self.generator.eval()
        with torch.inference_mode():
            rows = range(0, len(noise), batch_size)
            images = [self.generator(torch.from_numpy(noise[i : i + batch_size])) for i in rows]
        return np.concatenate([part.permute(0, 2, 3, 1).numpy() for part in images])


GAMES = {"dcgan": DCGAN}


def Native(name, *arguments, **options):
    """The game of that name."""
    return GAMES[name](*arguments, **options)
