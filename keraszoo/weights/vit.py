"""Vision Transformers as `transformers` writes them: ViTForImageClassification."""

import numpy as np

from keraszoo.layers.patches import resized
from keraszoo.weights import dense, layer_normalization, same

MODEL_TYPE = "vit"
ARCHITECTURES = ("ViTForImageClassification",)


def arguments(config):
    """Arguments of `keraszoo.models.vit.vit`; the size of the image stays open."""
    if config.get("pooling", "class_token") != "class_token":
        raise ValueError(f"pooling must be the class token's, got {config['pooling']!r}.")
    return dict(
        **size(config),
        input_shape=(None, None, config["num_channels"]),
        num_classes=len(config.get("id2label") or (0, 1)),  # two classes are not written down
    )


def defaults(config):
    """The size of the images that the checkpoint has learned from."""
    return dict(input_shape=(*sides(config["image_size"]), config["num_channels"]))


def size(config):
    """Arguments of the Transformer."""
    if config.get("hidden_act", "gelu") != "gelu":
        raise ValueError(
            f"hidden_act must be 'gelu', which Vision Transformers have, got {config['hidden_act']!r}."
        )
    if not config.get("qkv_bias", True):
        raise ValueError("qkv_bias must be true, as in the paper, got false.")
    rows, columns = sides(config["patch_size"])
    if rows != columns:
        raise ValueError(f"patch_size must be that of a square, got {config['patch_size']!r}.")
    return dict(
        embed_dim=config["hidden_size"],
        depth=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        patch_size=rows,
        mlp_ratio=config["intermediate_size"] / config["hidden_size"],
        epsilon=config["layer_norm_eps"],
    )


def sides(value):
    """(height, width) of what is given as one number or as two."""
    return (value, value) if isinstance(value, int) else tuple(value)


def rows(config, model):
    """Our weights, the checkpoint's names, and how to turn one into the other."""
    patches = model.get_layer("patches")
    yield from embedding("patches", "vit.embeddings", config, patches.grid)
    for i in range(config["num_hidden_layers"]):
        yield from block(f"block_{i}", f"vit.encoder.layer.{i}")
    yield from layer_normalization("norm", "vit.layernorm")
    yield from dense("logits", "classifier")


def embedding(ours, theirs, config, grid):
    """Rows of a patch embedding."""
    yield f"{ours}/class_token", f"{theirs}.cls_token", lambda token: token[0, 0]
    yield f"{ours}/positions", f"{theirs}.position_embeddings", positions(config, grid)
    yield f"{ours}/projection/kernel", f"{theirs}.patch_embeddings.projection.weight", by_pixels
    yield f"{ours}/projection/bias", f"{theirs}.patch_embeddings.projection.bias", same


def positions(config, grid):
    """The function that makes our positions of the checkpoint's: interpolated for images of another size."""
    side = sides(config["patch_size"])[0]
    held = tuple(n // side for n in sides(config["image_size"]))

    def ours(array):
        if grid == held or array.shape[1] != 1 + held[0] * held[1]:
            return array[0]
        return resized(array[0], held, grid)

    return ours


def by_pixels(kernel):
    """The kernel of a convolution whose steps are as large as it is, as the matrix of a dense layer."""
    return kernel.transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0])


def block(ours, theirs):
    """Rows of a Transformer block; queries, keys and values are made by one matrix here."""
    yield from layer_normalization(f"{ours}/norm1", f"{theirs}.layernorm_before")
    three = [f"{theirs}.attention.attention.{kind}" for kind in ("query", "key", "value")]
    yield f"{ours}/attention/qkv/kernel", tuple(f"{name}.weight" for name in three), side_by_side
    yield f"{ours}/attention/qkv/bias", tuple(f"{name}.bias" for name in three), side_by_side
    yield from dense(f"{ours}/attention/projection", f"{theirs}.attention.output.dense")
    yield from layer_normalization(f"{ours}/norm2", f"{theirs}.layernorm_after")
    yield from dense(f"{ours}/hidden", f"{theirs}.intermediate.dense")
    yield from dense(f"{ours}/output", f"{theirs}.output.dense")


def side_by_side(*arrays):
    """Several matrices (out, in) as one (in, out), or several biases as one."""
    return np.concatenate([array.T for array in arrays], axis=-1)
