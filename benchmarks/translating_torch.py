"""An encoder and a decoder with additive attention in PyTorch, as one writes them without Keras."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cases import translators
from benchmarks.native_torch import Clipped, fill, linear

START = 2


class Seq2Seq(nn.Module):
    """Source and target tokens to logits of each next token. What does not depend on the state is worked out first."""

    def __init__(self, weights):
        super().__init__()
        (embeddings, kernel, recurrent, bias), decoder = translators(weights)
        (
            words,
            added,
            from_context,
            from_state,
            shift,
            direction,
            query,
            key,
            readout,
            readout_bias,
            *logits,
        ) = decoder
        self.source = nn.Embedding.from_pretrained(torch.tensor(embeddings), freeze=False)
        self.target = nn.Embedding.from_pretrained(torch.tensor(words), freeze=False)
        self.encoder = nn.LSTM(*embeddings.shape[1:], len(recurrent), batch_first=True)
        fill(self.encoder.weight_ih_l0, kernel.T)
        fill(self.encoder.weight_hh_l0, recurrent.T)
        fill(self.encoder.bias_ih_l0, bias)
        fill(self.encoder.bias_hh_l0, np.zeros_like(bias))
        self.encoder.bias_hh_l0.requires_grad_(False)  # Keras has one bias
        self.added, self.key = linear(added, shift), linear(key)
        self.from_context, self.from_state = linear(from_context), linear(from_state)
        self.query, self.direction = linear(query), linear(direction)
        self.readout, self.logits = linear(readout, readout_bias), linear(*logits)

    def forward(self, source, target):
        memory, (h, c) = self.encoder(self.source(source.flip(1)))
        h, c, keys, embedded = h[0], c[0], self.key(memory), self.target(target)
        outputs, contexts = [], []
        for z in self.added(embedded).unbind(1):
            fit = self.direction(torch.tanh(keys + self.query(h)[:, None]))
            context = torch.bmm(fit.softmax(1).transpose(1, 2), memory)[:, 0]
            enter, keep, new, leave = (z + self.from_context(context) + self.from_state(h)).chunk(4, 1)
            c = keep.sigmoid() * c + enter.sigmoid() * new.tanh()
            h = leave.sigmoid() * c.tanh()
            outputs.append(h)
            contexts.append(context)
        x = torch.cat([torch.stack(outputs, 1), torch.stack(contexts, 1), embedded], -1)
        return self.logits(self.readout(x).unflatten(-1, (-1, 2)).amax(-1))


class Native(Clipped):
    """Training and prediction; `name` is that of the model, `weights` are as `cases.named_weights` gives them."""

    def __init__(self, name, weights, rate, clip, fused=False):
        super().__init__(Seq2Seq(weights), rate, clip, fused)

    def seen(self, x, y):
        return x, F.pad(y[:, :-1], (1, 0), value=START)
