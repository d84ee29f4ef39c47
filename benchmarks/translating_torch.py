"""An encoder and a decoder with additive attention in PyTorch, as one writes them without Keras."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cases import translators
from benchmarks.native_torch import fill, linear

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
        self.net, self.clip = Seq2Seq(weights), clip
        self.learned = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.learned, rate, eps=1e-7, fused=fused)
        self.steps = 0

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        self.steps += 1  # Keras' Adam adds epsilon outside the bias correction, which is the same as:
        self.optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self.steps) ** 0.5
        self.optimizer.zero_grad()
        x, y = torch.from_numpy(x), torch.from_numpy(y).long()
        logits = self.net(x, F.pad(y[:, :-1], (1, 0), value=START))
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.learned, self.clip)
        self.optimizer.step()
        return [loss.item()]

    def predict(self, x, batch_size):
        """Logits under teacher forcing."""
        source, target = map(torch.from_numpy, x)
        rows = range(0, len(source), batch_size)
        with torch.inference_mode():
            return np.concatenate(
                [self.net(source[i : i + batch_size], target[i : i + batch_size]).numpy() for i in rows]
            )
