"""Vision Transformer: read an image as a sentence of patches.

Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929.

Departures from the paper: no hidden layer in the head, as in its code for fine-tuning; GELU is exact,
as in the checkpoints that PyTorch's libraries hold (the paper's code approximates it by tanh).
"""

import keras
import numpy as np
from keras import ops

from keraszoo.architecture import Network
from keraszoo.layers import Dense, Dropout, LayerNormalization, PatchEmbedding, TransformerBlock
from keraszoo.layers.patches import resized
from keraszoo.registry import register

SIZES = {  # table 1 of the paper; tiny and small from Touvron et al. 2020, https://arxiv.org/abs/2012.12877
    "vit_tiny": dict(embed_dim=192, depth=12, num_heads=3, patch_size=16),
    "vit_small": dict(embed_dim=384, depth=12, num_heads=6, patch_size=16),
    "vit_base": dict(embed_dim=768, depth=12, num_heads=12, patch_size=16),
    "vit_large": dict(embed_dim=1024, depth=24, num_heads=16, patch_size=16),
    "vit_huge": dict(embed_dim=1280, depth=32, num_heads=16, patch_size=14),
}
PARAMETERS = {
    "vit_tiny": 5_717_416,
    "vit_small": 22_050_664,
    "vit_base": 86_567_656,
    "vit_large": 304_326_632,
    "vit_huge": 632_045_800,
}
POOLINGS = ("class_token", "mean")


class ViT(Network):
    """A Vision Transformer, as `vit` builds it."""

    def attention(self, images, batch_size=32):
        """Where each patch looks, in every block and head.

        Args:
            images: (count, height, width, channels), floating, as `predict` takes them.
            batch_size: Images at once.

        Returns:
            (count, depth, num_heads, 1 + patches, 1 + patches), float32 NumPy array: rows look at
            columns and sum to 1. The class token comes first, then the patches row by row.
        """
        self.check_inputs(images)
        blocks, states = [], []
        x = image = keras.Input(self.input_shape[1:])
        for layer in self.layers[1:]:  # one after the other, up to the last block
            if isinstance(layer, TransformerBlock):
                blocks.append(layer)
                states.append(x)
            elif blocks:
                break
            x = layer(x)
        before = keras.Model(image, states)

        def maps(images):
            pairs = zip(blocks, keras.tree.flatten(before.predict_on_batch(images)), strict=True)
            found = [ops.convert_to_numpy(block.attention_weights(x)) for block, x in pairs]
            return np.stack(found, axis=1)

        starts = range(0, len(images), batch_size)
        return np.concatenate([maps(images[start : start + batch_size]) for start in starts])

    def resized(self, image_size):
        """The same network for images of another size: positions are interpolated, as in section 3.2.

        Args:
            image_size: (height, width) in pixels, divisible by the size of a patch.

        Returns:
            A `ViT` with weights of its own, compiled as this one is.
        """
        image = keras.Input((*image_size, self.input_shape[-1]), name=self.inputs[0].name)
        model = keras.models.clone_model(self, input_tensors=image)
        model = ViT(model.input, model.output, name=self.name)
        for old, new in zip(self.layers, model.layers, strict=True):
            for weight, target in zip(old.weights, new.weights, strict=True):
                value = ops.convert_to_numpy(weight)
                if isinstance(old, PatchEmbedding) and weight is old.positions:
                    value = resized(value, old.grid, new.grid)
                target.assign(value)
        model.card = dict(self.card)
        if self.compiled:
            model.compile_from_config(self.get_compile_config())
        return model


@register(
    SIZES,
    task="image_classification",
    paper="https://arxiv.org/abs/2010.11929",
    parameters=PARAMETERS,
    tiny=dict(input_shape=(16, 16, 3), patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3),
    recipe=dict(optimizer="adamw", learning_rate=5e-4, weight_decay=0.05),
)
def vit(
    embed_dim,
    depth,
    num_heads,
    patch_size=16,
    input_shape=(224, 224, 3),
    num_classes=1000,
    pooling="class_token",
    positions="learned",
    mlp_ratio=4,
    dropout=0.0,
    epsilon=1e-6,
    name="vit",
):
    """Classify an image.

    Args:
        embed_dim, depth, num_heads: Size of the Transformer; see `SIZES`.
        patch_size: Side of a patch, in pixels; divides both sides of the image.
        input_shape: (height, width, channels) of an image, in pixels.
        num_classes: Classes to choose from.
        pooling: What the head sees: the "class_token", or the "mean" of the patches, normalised after
            that (as in He et al. 2021, https://arxiv.org/abs/2111.06377, for fine-tuning).
        positions: "learned", or "sine_cosine": fixed.
        mlp_ratio: Hidden features of a block's MLP, as a multiple of `embed_dim`.
        dropout: Probability of dropping a feature after the embedding and each branch, in [0, 1).
        epsilon: Added to the variance in each normalization.
        name: Name of the model.

    Returns:
        A `ViT`, a `keras.Model`
        from (batch, height, width, channels), floating,
        to   (batch, num_classes), float32 logits.

    Raises:
        ValueError: A patch does not fit a whole number of times into the image, `num_heads` does not
            divide `embed_dim`, or `pooling` or `positions` is unknown.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be {' or '.join(map(repr, POOLINGS))}, got {pooling!r}.")
    image = keras.Input(input_shape, name="image")
    x = PatchEmbedding(patch_size, embed_dim, positions=positions, name="patches")(image)
    x = Dropout(dropout, name="drop")(x) if dropout else x
    for i in range(depth):
        x = TransformerBlock(embed_dim, num_heads, mlp_ratio, dropout, epsilon=epsilon, name=f"block_{i}")(x)
    x = x[:, 0] if pooling == "class_token" else ops.mean(x[:, 1:], axis=1)
    x = LayerNormalization(epsilon=epsilon, name="norm")(x)
    logits = Dense(num_classes, kernel_initializer="zeros", dtype="float32", name="logits")(x)
    return ViT(image, logits, name=name)
