"""NeRF in PyTorch, as one writes it without Keras."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cases import fields
from benchmarks.native_torch import linear


class Field(nn.Module):
    """What is at places (rays, samples, 3), seen in directions (rays, 3): densities and logits of colours.

    Args:
        arrays: By name of layer.
        skip: After which layer the place is joined once more.
        waves: Frequencies of places and of directions.
        joined: Multiply features and direction by one matrix, not each by its part of it.
    """

    def __init__(self, arrays, skip, waves, joined):
        super().__init__()
        self.skip, self.waves, self.joined = skip, waves, joined
        self.trunk = nn.ModuleList(linear(*pair) for name, pair in arrays.items() if "dense" in name)
        self.density, self.feature, self.color = (linear(*arrays[n]) for n in ("density", "feature", "color"))
        (kernel, bias), (more,) = arrays["feature_seen"], arrays["view_seen"]
        self.seen = linear(np.concatenate([kernel, more]) if joined else kernel, bias)
        self.view = None if joined else linear(more)

    def forward(self, points, directions):
        x = place = encoded(points, self.waves[0])
        for i, layer in enumerate(self.trunk, 1):
            x = F.relu(layer(x), inplace=True)
            if i == self.skip:
                x = torch.cat([place, x], dim=-1)
        density, x, view = (
            self.density(x)[..., 0],
            self.feature(x),
            encoded(directions, self.waves[1])[:, None],
        )
        if self.joined:
            x = self.seen(torch.cat([x, view.expand(*x.shape[:2], -1)], dim=-1))
        else:
            x = self.seen(x).add_(self.view(view))
        return density, self.color(F.relu(x, inplace=True))


def encoded(x, frequencies):
    waves = x[..., None, :] * 2.0 ** torch.arange(frequencies)[:, None]
    return torch.cat([x, torch.cat([waves.sin(), waves.cos()], dim=-1).flatten(-2)], dim=-1)


def resampled(edges, weights, draws):
    """Places drawn from histograms by inverse transform."""
    weights = weights + 1e-5
    shares = weights / weights.sum(-1, keepdim=True)
    reached = F.pad(F.pad(shares[:, :-1].cumsum(-1), (1, 0)), (0, 1), value=1.0)
    above = torch.searchsorted(reached, draws, right=True)
    below, above = (above - 1).clamp_(min=0), above.clamp_(max=reached.shape[1] - 1)
    low, left = reached.gather(1, below), edges.gather(1, below)
    width = reached.gather(1, above) - low
    width = torch.where(width < 1e-5, 1.0, width)
    return left + (draws - low) / width * (edges.gather(1, above) - left)


class Scene(nn.Module):
    """Rays (rays, 6) to coarse colours, colours, depths and opacities, (rays, 8)."""

    def __init__(self, weights, skip, waves, samples, near, far, noise, joined):
        super().__init__()
        self.coarse, self.fine = (Field(arrays, skip, waves, joined) for arrays in fields(weights))
        self.samples, self.noise = samples, noise
        self.even, self.places = torch.linspace(near, far, samples[0]), torch.linspace(0, 1, samples[1])
        edges = torch.cat([self.even[:1], (self.even[1:] + self.even[:-1]) / 2, self.even[-1:]])
        self.lower, self.parts = edges[:-1], edges.diff()

    def draws(self, count):
        """What a training step draws at random."""
        first, more = self.samples
        noises = (self.noise * torch.randn(count, n) if self.noise else 0.0 for n in (first, first + more))
        one, two = noises
        return torch.rand(count, first), one, torch.rand(count, more), two

    def forward(self, rays, draws=None):
        origins, directions = rays[:, :3], rays[:, 3:]
        lengths = directions.norm(dim=-1, keepdim=True)
        views = directions / lengths
        jitter, one, places, two = draws or (None, 0.0, self.places.repeat(len(rays), 1), 0.0)

        def seen(field, t, noise):
            density, color = field(origins[:, None] + t[..., None] * directions[:, None], views)
            thickness = F.relu(density + noise) * F.pad(t.diff() * lengths, (0, 1), value=1e10)
            before = F.pad(thickness[:, :-1].cumsum(-1), (1, 0))
            weights = (1 - torch.exp(-thickness)) * torch.exp(-before)
            return (weights[..., None] * torch.sigmoid(color)).sum(1), weights

        t = self.even.expand(len(rays), -1) if jitter is None else self.lower + jitter * self.parts
        coarse, weights = seen(self.coarse, t, one)
        with torch.no_grad():
            more = resampled((t[:, 1:] + t[:, :-1]) / 2, weights[:, 1:-1], places)
            t = torch.cat([t, more], dim=-1).sort(-1).values
        color, weights = seen(self.fine, t, two)
        opacity, depth = weights.sum(-1, keepdim=True), (weights * t).sum(-1, keepdim=True)
        return torch.cat([coarse, color, depth, opacity], dim=-1)


class Native:
    """Training and prediction, as a loop around the model.

    Args:
        name: Of the model, which nobody needs here.
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        joined: As of `Field`.
        **facts: What the weights do not say, as of `Scene`.
    """

    def __init__(self, name, weights, rate, joined=False, **facts):
        torch.set_num_threads(1)
        self.net = Scene(weights, joined=joined, **facts)
        self.optimizer = torch.optim.Adam(self.net.parameters(), rate, eps=1e-7, fused=True)
        self.steps = 0

    def step(self, rays, colors, *draws):
        """One step; the loss before it, in a list. Without `draws` it draws them itself."""
        self.steps += 1  # see `benchmarks.native_torch.Native.step`
        self.optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self.steps) ** 0.5
        self.optimizer.zero_grad()
        draws = tuple(map(torch.tensor, draws)) or self.net.draws(len(rays))
        seen = self.net(torch.from_numpy(rays), draws)
        truth = torch.from_numpy(colors)
        loss = F.mse_loss(seen[:, :3], truth) + F.mse_loss(seen[:, 3:6], truth)
        loss.backward()
        self.optimizer.step()
        return [loss.item()]

    def predict(self, x, batch_size):
        """What is seen along all rays."""
        rows = range(0, len(x), batch_size)
        with torch.inference_mode():
            return np.concatenate([self.net(torch.from_numpy(x[i : i + batch_size])).numpy() for i in rows])
