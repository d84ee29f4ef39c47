"""An LSTM language model in PyTorch, as one writes it without Keras."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import recurrent_torch
from benchmarks.native_torch import fill, linear


class LanguageModel(nn.Module):
    """Tokens to a logit of each token that may follow, at each place."""

    def __init__(self, weights):
        super().__init__()
        (vectors,) = weights["embedding"]
        self.embedding = nn.Embedding(*vectors.shape)
        fill(self.embedding.weight, vectors)
        layers = [arrays for name, arrays in weights.items() if name.startswith("lstm")]
        self.lstm = nn.LSTM(vectors.shape[1], len(layers[0][1]), len(layers), batch_first=True)
        for i, (kernel, recurrent_kernel, bias) in enumerate(layers):
            fill(getattr(self.lstm, f"weight_ih_l{i}"), kernel.T)
            fill(getattr(self.lstm, f"weight_hh_l{i}"), recurrent_kernel.T)
            fill(getattr(self.lstm, f"bias_ih_l{i}"), bias)
            fill(getattr(self.lstm, f"bias_hh_l{i}"), np.zeros_like(bias))
            getattr(self.lstm, f"bias_hh_l{i}").requires_grad_(False)  # Keras has one bias
        self.logits = linear(*weights["logits"])

    def forward(self, tokens):
        return self.logits(self.lstm(self.embedding(tokens))[0])


class Native(recurrent_torch.Native):
    """Training and prediction, as a loop around the model; arguments and methods as there."""

    def __init__(self, name, weights, rate, clip, fused=False):
        torch.set_num_threads(1)
        self.net, self.clip = LanguageModel(weights), clip
        self.learned = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.learned, rate, eps=1e-7, fused=fused)
        self.steps = 0

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        self.steps += 1  # Keras' Adam adds epsilon outside the bias correction, which is the same as:
        self.optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self.steps) ** 0.5
        self.optimizer.zero_grad()
        logits = self.net(torch.from_numpy(x))
        loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(y).long().flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.learned, self.clip)
        self.optimizer.step()
        return [loss.item()]
