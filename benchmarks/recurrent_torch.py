"""An LSTM that classifies sequences, in PyTorch, as one writes it without Keras."""

import numpy as np
from torch import nn

from benchmarks.native_torch import Clipped, fill, linear


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


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip, fused=False):
        super().__init__(Classifier(**weights), rate, clip, fused)
