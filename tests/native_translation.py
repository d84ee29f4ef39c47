"""pix2pix and CycleGAN in plain PyTorch, written from the papers and from nothing of ours: for comparison.

Images are (batch, channels, height, width). A network is a function of images and an iterator over its
parameters, in the order in which they are used on the way through. Adam has Keras' epsilon, outside the
bias correction.
"""

import torch
from torch.nn import functional as F


def u_net(x, weights, depth):
    """Down `depth` times, up `depth` times, with skips."""
    seen = []
    for level in range(depth):
        x = F.conv2d(x if level == 0 else F.leaky_relu(x, 0.2), next(weights), stride=2, padding=1)
        if 0 < level < depth - 1:
            x = batch_norm(x, weights)
        seen.append(x)
    for level in range(depth - 2, -1, -1):
        x = F.conv_transpose2d(F.relu(x), next(weights), stride=2, padding=1)
        x = torch.cat([seen[level], batch_norm(x, weights)], 1)
    return torch.tanh(F.conv_transpose2d(F.relu(x), next(weights), next(weights), stride=2, padding=1))


def resnet(x, weights, blocks):
    """Down twice, blocks, up twice."""
    x = F.relu(instance_norm(F.conv2d(mirrored(x, 3), next(weights), next(weights))))
    for _ in range(2):
        x = F.relu(instance_norm(F.conv2d(x, next(weights), next(weights), stride=2, padding=1)))
    for _ in range(blocks):
        y = F.relu(instance_norm(F.conv2d(mirrored(x, 1), next(weights), next(weights))))
        x = x + instance_norm(F.conv2d(mirrored(y, 1), next(weights), next(weights)))
    for _ in range(2):
        doubled = F.conv_transpose2d(x, next(weights), next(weights), stride=2, padding=1, output_padding=1)
        x = F.relu(instance_norm(doubled))
    return torch.tanh(F.conv2d(mirrored(x, 3), next(weights), next(weights)))


def patches(x, weights, norm, biased):
    """The 70x70 discriminator."""
    for level, stride in enumerate((2, 2, 2, 1)):
        kernel, bias = next(weights), next(weights) if biased or not level else None
        x = F.conv2d(x, kernel, bias, stride=stride, padding=1)
        x = F.leaky_relu(norm(x, weights) if level else x, 0.2)
    return F.conv2d(x, next(weights), next(weights), padding=1)


def mirrored(x, pixels):
    return F.pad(x, (pixels,) * 4, mode="reflect")


def batch_norm(x, weights):
    return F.batch_norm(x, None, None, next(weights), next(weights), training=True, eps=1e-5)


def instance_norm(x, weights=None):
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(variance + 1e-5)


class Adam:
    """Kingma, Ba 2014, in the form at the end of section 2."""

    def __init__(self, weights, rate, epsilon, beta_1=0.5, beta_2=0.999):
        self.weights, self.rate, self.epsilon, self.betas = weights, rate, epsilon, (beta_1, beta_2)
        self.first, self.second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
        self.steps = 0

    def step(self, loss):
        gradients = torch.autograd.grad(loss, self.weights)
        self.steps += 1
        b1, b2 = self.betas
        rate = self.rate * (1 - b2**self.steps) ** 0.5 / (1 - b1**self.steps)
        with torch.no_grad():
            for w, g, m, v in zip(self.weights, gradients, self.first, self.second, strict=True):
                m.mul_(b1).add_((1 - b1) * g)
                v.mul_(b2).add_((1 - b2) * g * g)
                w.sub_(rate * m / (v.sqrt() + self.epsilon))


class Pix2Pix:
    """`generator` and `discriminator` are lists of parameters."""

    def __init__(self, generator, discriminator, depth, rate, epsilon):
        self.generator, self.discriminator, self.depth = generator, discriminator, depth
        self.optimizers = [Adam(w, rate, epsilon) for w in (discriminator, generator)]

    def judge(self, source, image):
        return patches(torch.cat([source, image], 1), iter(self.discriminator), batch_norm, False)

    def step(self, source, target):
        """One step; returns the losses of the discriminator and of the generator."""
        fake = u_net(source, iter(self.generator), self.depth)
        real, false = self.judge(source, target), self.judge(source, fake.detach())
        discriminator_loss = (cross_entropy(real, 1) + cross_entropy(false, 0)) / 2
        self.optimizers[0].step(discriminator_loss)
        generator_loss = cross_entropy(self.judge(source, fake), 1) + 100 * F.l1_loss(fake, target)
        self.optimizers[1].step(generator_loss)
        return discriminator_loss.item(), generator_loss.item()


class CycleGAN:
    """`a_to_b`, `b_to_a`, `on_a` and `on_b` are lists of parameters. There is no pool."""

    def __init__(self, a_to_b, b_to_a, on_a, on_b, blocks, rate, epsilon):
        self.a_to_b, self.b_to_a, self.on_a, self.on_b, self.blocks = a_to_b, b_to_a, on_a, on_b, blocks
        self.optimizers = [Adam(w, rate, epsilon) for w in ([*a_to_b, *b_to_a], [*on_a, *on_b])]

    def make(self, weights, x):
        return resnet(x, iter(weights), self.blocks)

    def judge(self, weights, x, wanted):
        judged = patches(x, iter(weights), instance_norm, True)
        return F.mse_loss(judged, torch.full_like(judged, wanted))

    def step(self, a, b):
        """One step; returns the losses of the generators and of the discriminators."""
        fake_b, fake_a = self.make(self.a_to_b, a), self.make(self.b_to_a, b)
        cycle = F.l1_loss(self.make(self.b_to_a, fake_b), a) + F.l1_loss(self.make(self.a_to_b, fake_a), b)
        same = F.l1_loss(self.make(self.a_to_b, b), b) + F.l1_loss(self.make(self.b_to_a, a), a)
        fooled = self.judge(self.on_b, fake_b, 1.0) + self.judge(self.on_a, fake_a, 1.0)
        generators_loss = fooled + 10 * cycle + 5 * same
        self.optimizers[0].step(generators_loss)
        real = self.judge(self.on_a, a, 1.0) + self.judge(self.on_b, b, 1.0)
        false = self.judge(self.on_a, fake_a.detach(), 0.0) + self.judge(self.on_b, fake_b.detach(), 0.0)
        discriminators_loss = (real + false) / 2
        self.optimizers[1].step(discriminators_loss)
        return generators_loss.item(), discriminators_loss.item()


def cross_entropy(logits, wanted):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(wanted)))
