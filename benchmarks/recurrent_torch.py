"""An LSTM that classifies sequences, in PyTorch, as one writes it without Keras."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.native_torch import fill, linear


class Classifier(nn.Module):
    """Sequences to a logit for each class, by the state after the last step."""

    def __init__(self, recurrent1, logits):
        super().__init__()
        kernel, recurrent_kernel, bias = recurrent1
        self.lstm = nn.LSTM(len(kernel), len(recurrent_kernel), batch_first=True)
        fill(self.lstm.weight_ih_l0, kernel.T)
        fill(self.lstm.weight_hh_l0, recurrent_kernel.T)
        fill(self.lstm.bias_ih_l0, bias)
        fill(self.lstm.bias_hh_l0, np.zeros_like(bias))
        self.lstm.bias_hh_l0.requires_grad_(False)  # Keras has one bias
        self.logits = linear(*logits)

    def forward(self, x):
        outputs, _ = self.lstm(x)
        return self.logits(outputs[:, -1])


class Native:
    """Training and prediction, as a loop around the model.

    Args:
        name: Of the model; there is one.
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        clip: Norm that no gradient exceeds.
        fused: Let Adam update all weights in one kernel.
    """

    def __init__(self, name, weights, rate, clip, fused=False):
        torch.set_num_threads(1)
        self.net, self.clip = Classifier(**weights), clip
        self.learned = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.learned, rate, eps=1e-7, fused=fused)
        self.steps = 0

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        self.steps += 1  # Keras' Adam adds epsilon outside the bias correction, which is the same as:
        self.optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self.steps) ** 0.5
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(torch.from_numpy(x)), torch.from_numpy(y).long())
        loss.backward()
        nn.utils.clip_grad_norm_(self.learned, self.clip)
        self.optimizer.step()
        return [loss.item()]

    def predict(self, x, batch_size):
        """Logits of all sequences."""
        with torch.inference_mode():
            parts = (torch.from_numpy(x[i : i + batch_size]) for i in range(0, len(x), batch_size))
            return np.concatenate([self.net(part).numpy() for part in parts])
