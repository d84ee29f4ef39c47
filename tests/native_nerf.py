"""A radiance field in plain PyTorch, written from the published description, that takes the weights of ours: the reference on every backend."""

import torch
import torch.nn.functional as F


class Field:
    """One network; `arrays` are ours, by name of layer, as `keraszoo` holds them."""

    def __init__(self, arrays, skip, frequencies, view_frequencies):
        self.weights = {
            name: [torch.tensor(array, requires_grad=True) for array in layer]
            for name, layer in arrays.items()
        }
        self.skip, self.frequencies, self.view_frequencies = skip, frequencies, view_frequencies

    def parameters(self):
        return [array for layer in self.weights.values() for array in layer]

    def layer(self, name, x):
        kernel, *bias = self.weights[name]
        return F.linear(x, kernel.T, *bias)

    def __call__(self, points, directions):
        """Logits of colours and density, (rays, samples, 4)."""
        x = place = encode(points, self.frequencies)
        for i in range(sum(name.startswith("dense_") for name in self.weights)):
            x = F.relu(self.layer(f"dense_{i}", x))
            if i + 1 == self.skip:
                x = torch.cat([place, x], dim=-1)
        density = self.layer("density", x)
        if self.view_frequencies is not None:
            view = encode(directions, self.view_frequencies)[:, None].expand(-1, points.shape[1], -1)
            joined = torch.cat([self.layer("feature", x), view], dim=-1)
            (kernel, bias), (more,) = self.weights["feature_seen"], self.weights["view_seen"]
            x = F.relu(F.linear(joined, torch.cat([kernel, more]).T, bias))  # the one matrix of the reference
        return torch.cat([self.layer("color", x), density], dim=-1)


def encode(x, frequencies):
    parts = [x]
    for k in range(frequencies):
        parts += [torch.sin(2.0**k * x), torch.cos(2.0**k * x)]
    return torch.cat(parts, dim=-1)


def composite(raw, t, directions, noise, white):
    """Colour, depth, opacity and weights of rays."""
    steps = torch.cat([t[:, 1:] - t[:, :-1], torch.full_like(t[:, :1], 1e10)], dim=-1)
    steps = steps * directions.norm(dim=-1, keepdim=True)
    alpha = 1 - torch.exp(-F.relu(raw[..., 3] + noise) * steps)
    through = torch.cumprod(torch.cat([torch.ones_like(t[:, :1]), 1 - alpha + 1e-10], dim=-1), dim=-1)
    weights = alpha * through[:, :-1]
    opacity = weights.sum(-1)
    color = (weights[..., None] * torch.sigmoid(raw[..., :3])).sum(1)
    if white:
        color = color + (1 - opacity[:, None])
    return color, (weights * t).sum(-1), opacity, weights


def resample(edges, weights, draws):
    """Places drawn from a histogram by inverse transform."""
    weights = weights + 1e-5
    reached = torch.cumsum(weights / weights.sum(-1, keepdim=True), dim=-1)
    zero, one = torch.zeros_like(reached[:, :1]), torch.ones_like(reached[:, :1])
    reached = torch.cat(
        [zero, reached[:, :-1], one], dim=-1
    )  # that shares sum to 1 is no question of rounding
    index = torch.searchsorted(reached, draws.contiguous(), right=True)
    below, above = (index - 1).clamp(min=0), index.clamp(max=reached.shape[-1] - 1)
    width = reached.gather(1, above) - reached.gather(1, below)
    width = torch.where(width < 1e-5, torch.ones_like(width), width)
    part = (draws - reached.gather(1, below)) / width
    return edges.gather(1, below) + part * (edges.gather(1, above) - edges.gather(1, below))


def render(coarse, fine, rays, draws, near, far, white=False):
    """What both networks see.

    Args:
        coarse, fine: `Field`s.
        rays: (rays, 6).
        draws: In training, uniform numbers (rays, samples), normal ones (rays, samples), uniform ones (rays, more), and
            normal ones (rays, samples + more). For evenly spaced places without noise, (samples, more).

    Returns:
        coarse colours, colours, depths, opacities.
    """
    origins, directions = rays[:, :3], rays[:, 3:]
    if isinstance(draws[0], int):
        count, more = draws
        t = torch.linspace(near, far, count).expand(len(rays), -1)
        noises, again = (0.0, 0.0), torch.linspace(0, 1, more).expand(len(rays), -1)
    else:
        jitter, first, again, second = draws
        even = torch.linspace(near, far, jitter.shape[-1]).expand(len(rays), -1)
        middle = (even[:, 1:] + even[:, :-1]) / 2
        upper, lower = torch.cat([middle, even[:, -1:]], -1), torch.cat([even[:, :1], middle], -1)
        t, noises = lower + (upper - lower) * jitter, (first, second)
    views = directions / directions.norm(dim=-1, keepdim=True)

    def look(field, t, noise):
        points = origins[:, None] + directions[:, None] * t[..., None]
        return composite(field(points, views), t, directions, noise, white)

    first_color, _, _, weights = look(coarse, t, noises[0])
    middle = (t[:, 1:] + t[:, :-1]) / 2
    t = torch.sort(torch.cat([t, resample(middle, weights[:, 1:-1].detach(), again)], -1), -1).values
    color, depth, opacity, _ = look(fine, t, noises[1])
    return first_color, color, depth, opacity
