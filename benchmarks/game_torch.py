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
        self.convolutions = nn.ModuleList(
            convolution(*arrays, stride=2, padding=1) for arrays in (first, *rest[::2])
        )
        self.norms = nn.ModuleList([nn.Identity(), *(normalization(*arrays) for arrays in rest[1::2])])
        self.last = convolution(*last)

    def forward(self, x):
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu(norm(convolution(x)), 0.2, inplace=True)
        return self.last(x).flatten(1)


class Translator(nn.Module):
    """Images to images, of CycleGAN."""

    def __init__(self, weights, last):
        super().__init__()
        first, *rest, up1, up2, end = weights
        self.norm = by_image if last else F.instance_norm
        self.first, self.end = convolution(*first), convolution(*end)
        self.down = nn.ModuleList(convolution(*arrays, stride=2, padding=1) for arrays in rest[:2])
        self.blocks = nn.ModuleList(convolution(*arrays) for arrays in rest[2:])
        self.up = nn.ModuleList(transposed(*arrays) for arrays in (up1, up2))

    def forward(self, x):
        x = F.relu(self.norm(self.first(F.pad(x, (3, 3, 3, 3), "reflect"))), inplace=True)
        for convolution in self.down:
            x = F.relu(self.norm(convolution(x)), inplace=True)
        for one, other in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            y = F.relu(self.norm(one(F.pad(x, (1, 1, 1, 1), "reflect"))), inplace=True)
            x = x + self.norm(other(F.pad(y, (1, 1, 1, 1), "reflect")))
        for convolution in self.up:
            x = F.relu(self.norm(convolution(x)), inplace=True)
        return torch.tanh(self.end(F.pad(x, (3, 3, 3, 3), "reflect")))


class Patches(nn.Module):
    """Images to a logit for each patch, of CycleGAN."""

    def __init__(self, weights, last):
        super().__init__()
        self.norm = by_image if last else F.instance_norm
        strides = [2, 2, 2, 1, 1]
        self.convolutions = nn.ModuleList(
            convolution(*arrays, stride=stride, padding=1)
            for arrays, stride in zip(weights, strides, strict=True)
        )

    def forward(self, x):
        first, *rest, last = self.convolutions
        x = F.leaky_relu(first(x), 0.2, inplace=True)
        for convolution in rest:
            x = F.leaky_relu(self.norm(convolution(x)), 0.2, inplace=True)
        return last(x)


def by_image(x):
    """Instance normalization of one image, whose kernel is that of a batch; the other one wants channels first."""
    return F.batch_norm(x, None, None, training=True)


def convolution(kernel, bias=None, stride=1, padding=0):
    rows, columns, inputs, filters = kernel.shape
    layer = nn.Conv2d(inputs, filters, (rows, columns), stride, padding, bias=bias is not None)
    return filled(layer, kernel, bias)


def transposed(kernel, bias=None):
    """Doubles the sides of an image."""
    rows, _, filters, inputs = kernel.shape
    layer = nn.ConvTranspose2d(inputs, filters, rows, 2, (rows - 1) // 2, rows % 2, bias=bias is not None)
    return filled(layer, kernel, bias)


def filled(layer, kernel, bias):
    fill(layer.weight, kernel.transpose(3, 2, 0, 1))
    if bias is not None:
        fill(layer.bias, bias)
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


class CycleGAN(Game):
    """Two translators and two discriminators; arguments as of `DCGAN`."""

    def __init__(self, weights, rate, layout="last"):
        super().__init__(layout)
        kinds = {"a_to_b": Translator, "b_to_a": Translator, "on_a": Patches, "on_b": Patches}
        parts = [kind(network(weights, name), self.last) for name, kind in kinds.items()]
        self.networks = [part.to(memory_format=self.format) for part in parts]
        self.learn = [Optimizer(self.networks[:2], rate), Optimizer(self.networks[2:], rate)]

    def step(self, a, b):
        """A turn of the translators, and one of the discriminators; their losses."""
        a_to_b, b_to_a, on_a, on_b = self.networks
        a, b = self.images(a), self.images(b)
        for part in (on_a, on_b):
            part.requires_grad_(False)
        made_a, made_b = b_to_a(b), a_to_b(a)
        loss = (on_a(made_a) - 1).square().mean() + (on_b(made_b) - 1).square().mean()
        loss = loss + 10 * (F.l1_loss(b_to_a(made_b), a) + F.l1_loss(a_to_b(made_a), b))
        losses = [self.learn[0].step(loss + 5 * (F.l1_loss(a_to_b(b), b) + F.l1_loss(b_to_a(a), a)))]
        loss = 0
        for part, real, made in ((on_a, a, made_a), (on_b, b, made_b)):
            part.requires_grad_(True)
            loss = loss + (part(real) - 1).square().mean() + part(made.detach()).square().mean()
        return [*losses, self.learn[1].step(0.5 * loss)]

    def predict(self, images, batch_size):
        """Images of the other set, channels last."""
        with torch.inference_mode():
            rows = range(0, len(images), batch_size)
            made = [self.networks[0](self.images(images[i : i + batch_size])) for i in rows]
        return np.concatenate([part.permute(0, 2, 3, 1).numpy() for part in made])


GAMES = {"dcgan": DCGAN, "cyclegan": CycleGAN}


def Native(name, *arguments, **options):
    """The game of that name."""
    return GAMES[name](*arguments, **options)
