"""U-Net in PyTorch, as one writes it without Keras; and the Vision Transformers of `transformers`."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import ViTConfig, ViTForImageClassification, ViTMAEConfig, ViTMAEForPreTraining

from benchmarks.cases import network
from benchmarks.native_torch import convolution, fill


class DoubleConvolution(nn.Sequential):
    """Twice: convolve 3x3, rectify."""

    def __init__(self, *layers):
        first, second = (convolution(*arrays, padding=1) for arrays in layers)
        super().__init__(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))


class UNet(nn.Module):
    """Images to a logit for each class and pixel: (batch, classes, height, width)."""

    def __init__(self, weights):
        super().__init__()
        *layers, logits = weights.values()
        depth = (len(layers) - 2) // 5  # two convolutions on the way down, and three on the way up
        down, up = layers[: 2 * depth + 2], layers[2 * depth + 2 :]
        self.down = nn.ModuleList(DoubleConvolution(*down[i : i + 2]) for i in range(0, len(down), 2))
        self.enlarge = nn.ModuleList(transposed(*arrays) for arrays in up[::3])
        self.up = nn.ModuleList(DoubleConvolution(*up[i + 1 : i + 3]) for i in range(0, len(up), 3))
        self.logits = convolution(*logits)

    def forward(self, x):
        skips = []
        for convolve in self.down[:-1]:
            x = convolve(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for enlarge, convolve in zip(self.enlarge, self.up, strict=True):
            x = convolve(torch.cat([skips.pop(), enlarge(x)], dim=1))
        return self.logits(x)


def transposed(kernel, bias):
    rows, _, filters, inputs = kernel.shape
    layer = nn.ConvTranspose2d(inputs, filters, rows, stride=rows)
    fill(layer.weight, kernel.transpose(3, 2, 0, 1))
    fill(layer.bias, bias)
    return layer


def sizes(patches, blocks, norm, size, heads):
    """What the weights say, in the words of `transformers`."""
    _, _, kernel, _ = patches
    return dict(
        image_size=size,
        patch_size=round((len(kernel) / 3) ** 0.5),
        hidden_size=kernel.shape[1],
        num_hidden_layers=len(blocks),
        num_attention_heads=heads,
        intermediate_size=len(blocks[0][9]),
        layer_norm_eps=1e-6,
        attn_implementation="sdpa",
    )


def embed(embeddings, token, positions, kernel, bias):
    """Fill in a patch embedding."""
    fill(embeddings.cls_token, token[None, None])
    fill(embeddings.position_embeddings, positions[None])
    convolution = embeddings.patch_embeddings.projection
    _, channels, side, _ = convolution.weight.shape
    fill(convolution.weight, kernel.reshape(side, side, channels, -1).transpose(3, 2, 0, 1))
    fill(convolution.bias, bias)


def attend(layers, blocks):
    """Fill in Transformer blocks."""
    for layer, arrays in zip(layers, blocks, strict=True):
        norm1, (kernel, bias), projection, norm2, hidden, output = zip(arrays[::2], arrays[1::2], strict=True)
        scale(layer.layernorm_before, *norm1)
        scale(layer.layernorm_after, *norm2)
        attention = layer.attention
        kinds = attention.q_proj, attention.k_proj, attention.v_proj
        for part, w, b in zip(kinds, np.split(kernel, 3, axis=1), np.split(bias, 3), strict=True):
            multiply(part, w, b)
        for part, pair in (attention.o_proj, projection), (layer.mlp.fc1, hidden), (layer.mlp.fc2, output):
            multiply(part, *pair)


def scale(norm, gamma, beta):
    fill(norm.weight, gamma)
    fill(norm.bias, beta)


def multiply(linear, kernel, bias):
    fill(linear.weight, kernel.T)
    fill(linear.bias, bias)


def vit(weights, size, heads):
    """A `ViTForImageClassification` with these weights."""
    patches, *blocks, norm, logits = weights.values()
    config = ViTConfig(num_labels=len(logits[1]), **sizes(patches, blocks, norm, size, heads))
    model = ViTForImageClassification(config)
    embed(model.vit.embeddings, *patches)
    attend(model.vit.layers, blocks)
    scale(model.vit.layernorm, *norm)
    multiply(model.classifier, *logits)
    return model


def mae(weights, size, heads, decoder_heads, mask_ratio):
    """A `ViTMAEForPreTraining` with these weights."""
    patches, *blocks, norm = network(weights, "encoder")
    narrow, (token, positions), *decoder_blocks, decoder_norm, pixels = network(weights, "decoder")
    config = ViTMAEConfig(
        mask_ratio=mask_ratio,
        decoder_hidden_size=len(token),
        decoder_num_hidden_layers=len(decoder_blocks),
        decoder_num_attention_heads=decoder_heads,
        decoder_intermediate_size=len(decoder_blocks[0][9]),
        **sizes(patches, blocks, norm, size, heads),
    )
    model = ViTMAEForPreTraining(config)
    embed(model.vit.embeddings, *patches)
    attend(model.vit.layers, blocks)
    scale(model.vit.layernorm, *norm)
    multiply(model.decoder.decoder_embed, *narrow)
    fill(model.decoder.mask_token, token[None, None])
    fill(model.decoder.decoder_pos_embed, positions[None])
    attend(model.decoder.decoder_layers, decoder_blocks)
    scale(model.decoder.decoder_norm, *decoder_norm)
    multiply(model.decoder.decoder_pred, *pixels)
    return model


class Learner:
    """Training and prediction, as a loop around the model.

    Args:
        net: The model.
        rate, decay: Learning rate and weight decay of AdamW.
        layout: "first" or "last": where the channels are in memory.
        fused: Let AdamW update all weights in one kernel.
    """

    def __init__(self, net, rate, decay, layout="first", fused=None):
        torch.set_num_threads(1)
        self.format = torch.channels_last if layout == "last" else torch.contiguous_format
        self.net = net.to(memory_format=self.format)
        learned = [p for p in net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(learned, rate, eps=1e-7, weight_decay=decay, fused=fused)
        self.steps = 0

    def images(self, x):
        return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=self.format)

    def step(self, *batch):
        """One step; the loss before it, in a list."""
        self.steps += 1  # Keras' Adam adds epsilon outside the bias correction, which is the same as:
        self.optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self.steps) ** 0.5
        self.net.train()
        self.optimizer.zero_grad()
        loss = self.loss(*batch)
        loss.backward()
        self.optimizer.step()
        return [loss.item()]

    def loss(self, x, y):
        logits = self.outputs(x)
        return F.cross_entropy(logits, torch.from_numpy(y).long())

    def predict(self, x, batch_size):
        """Outputs for all inputs, channels last."""
        self.net.eval()
        parts = x if isinstance(x, tuple) else (x,)
        rows = range(0, len(parts[0]), batch_size)
        with torch.inference_mode():
            found = [self.outputs(*(part[i : i + batch_size] for part in parts)) for i in rows]
        return np.concatenate([np.moveaxis(part.numpy(), 1, -1) for part in found])


class Segmenter(Learner):
    def outputs(self, x):
        return self.net(self.images(x))


class Classifier(Learner):
    def outputs(self, x):
        return self.net(self.images(x)).logits


class Masked(Learner):
    def loss(self, x, noise):
        return self.net(self.images(x), noise=torch.from_numpy(noise)).loss

    def outputs(self, x, noise):
        return self.net.unpatchify(self.net(self.images(x), noise=torch.from_numpy(noise)).logits)


KINDS = {"unet": (UNet, Segmenter), "vit": (vit, Classifier), "mae": (mae, Masked)}


def Native(name, weights, rate, decay, layout="first", fused=None, **facts):
    """The model of that name, with these weights, ready to learn.

    Args:
        name: Its first word is a key of `KINDS`.
        weights: As `cases.named_weights` gives them.
        rate, decay, layout, fused: As of `Learner`.
        **facts: What the weights do not say.
    """
    model, learner = KINDS[name.split("_")[0]]
    return learner(model(weights, **facts), rate, decay, layout, fused)
