"""GPT-2 and BERT of `transformers`, in the loop that one writes around them."""

import numpy as np
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from benchmarks.native_torch import fill
from benchmarks.vision_torch import Learner, multiply, scale


def gpt2(weights, heads, epsilon):
    """A `GPT2LMHeadModel` with these weights; nothing drops out."""
    (tokens, positions), *blocks, norm = weights.values()
    config = GPT2Config(
        vocab_size=len(tokens),
        n_positions=len(positions),
        n_embd=tokens.shape[1],
        n_layer=len(blocks),
        n_head=heads,
        n_inner=len(blocks[0][9]),
        layer_norm_epsilon=epsilon,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    )
    model = GPT2LMHeadModel(config)
    trunk = model.transformer
    fill(trunk.wte.weight, tokens)
    fill(trunk.wpe.weight, positions)
    for layer, arrays in zip(trunk.h, blocks, strict=True):
        parts = layer.ln_1, layer.attn.c_attn, layer.attn.c_proj, layer.ln_2, layer.mlp.c_fc, layer.mlp.c_proj
        for part, *pair in zip(parts, arrays[::2], arrays[1::2], strict=True):
            scale(part, *pair)  # its matrices lie as ours
    scale(trunk.ln_f, *norm)
    return model


def bert(weights, heads, epsilon):
    """A `BertForMaskedLM` with these weights; nothing drops out."""
    (tokens, positions, segments), norm, *blocks, hidden, hidden_norm, (bias,) = weights.values()
    config = BertConfig(
        vocab_size=len(tokens),
        max_position_embeddings=len(positions),
        hidden_size=tokens.shape[1],
        num_hidden_layers=len(blocks),
        num_attention_heads=heads,
        intermediate_size=len(blocks[0][9]),
        layer_norm_eps=epsilon,
        **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0),
    )
    model = BertForMaskedLM(config)
    embeddings, head = model.bert.embeddings, model.cls.predictions
    fill(embeddings.word_embeddings.weight, tokens)
    fill(embeddings.position_embeddings.weight, positions)
    fill(embeddings.token_type_embeddings.weight, segments)
    scale(embeddings.LayerNorm, *norm)
    for layer, arrays in zip(model.bert.encoder.layer, blocks, strict=True):
        norm1, (kernel, bias_), *pairs = zip(arrays[::2], arrays[1::2], strict=True)
        attention, ends = layer.attention, layer.output
        kinds = attention.self.query, attention.self.key, attention.self.value
        for part, w, b in zip(kinds, np.split(kernel, 3, axis=1), np.split(bias_, 3), strict=True):
            multiply(part, w, b)
        projection, norm2, inner, output = pairs
        scale(attention.output.LayerNorm, *norm1)
        scale(ends.LayerNorm, *norm2)
        multiply(attention.output.dense, *projection)
        multiply(layer.intermediate.dense, *inner)
        multiply(ends.dense, *output)
    multiply(head.transform.dense, *hidden)
    scale(head.transform.LayerNorm, *hidden_norm)
    fill(model.get_output_embeddings().bias, bias)
    return model


class Reader(Learner):
    """Training and prediction, on token numbers."""

    def outputs(self, x):
        return self.net(torch.from_numpy(x).long()).logits

    def loss(self, x, y):
        return F.cross_entropy(self.outputs(x).flatten(0, -2), torch.from_numpy(y).long().flatten())

    def predict(self, x, batch_size):
        """Logits of all that is in an array."""
        self.net.eval()
        with torch.inference_mode():
            return np.concatenate(
                [self.outputs(x[i : i + batch_size]).numpy() for i in range(0, len(x), batch_size)]
            )


def Native(name, weights, rate, decay, fused=False, **facts):
    """The model of that name, with these weights, ready to learn; arguments as of `benchmarks.vision_torch.Native`."""
    return Reader(
        {"gpt2": gpt2, "bert": bert}[name.split("_")[0]](weights, **facts), rate, decay, fused=fused
    )
