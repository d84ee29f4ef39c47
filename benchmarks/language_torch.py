"""An LSTM language model in PyTorch, as one writes it without Keras."""

import numpy as np
from torch import nn

from benchmarks.native_torch import Clipped, fill, linear


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


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip, fused=False):
        super().__init__(LanguageModel(weights), rate, clip, fused)
