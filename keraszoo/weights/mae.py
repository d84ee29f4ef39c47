"""Masked autoencoders as `transformers` writes them: ViTMAEForPreTraining."""

from keraszoo.weights import dense, layer_normalization, vit

MODEL_TYPE = "vit_mae"
ARCHITECTURES = ("ViTMAEForPreTraining",)


def arguments(config):
    """Arguments of `keraszoo.models.mae.MAE`; the size of the image and the mask ratio stay open."""
    found = vit.size(config)
    if config["decoder_intermediate_size"] != found["mlp_ratio"] * config["decoder_hidden_size"]:
        raise ValueError(
            "The hidden features of the blocks must be in the same ratio to the others in encoder and decoder: "
            f"intermediate_size is {config['intermediate_size']} of {config['hidden_size']}, "
            f"decoder_intermediate_size {config['decoder_intermediate_size']} of {config['decoder_hidden_size']}."
        )
    return dict(
        **found,
        input_shape=(None, None, config["num_channels"]),
        decoder_dim=config["decoder_hidden_size"],
        decoder_depth=config["decoder_num_hidden_layers"],
        decoder_heads=config["decoder_num_attention_heads"],
    )


def defaults(config):
    """What the checkpoint has learned from, and how."""
    learned = dict(
        mask_ratio=config.get("mask_ratio", 0.75), normalize_pixels=config.get("norm_pix_loss", False)
    )
    return {**vit.defaults(config), **learned}


def name(tensor):
    """Some releases of `transformers` call the decoder's blocks as they call the encoder's."""
    return tensor.replace("decoder.decoder_encoder.layer.", "decoder.decoder_layers.")


def rows(config, model):
    """Our weights, the checkpoint's names, and how to turn one into the other."""
    yield from vit.embedding("patches", "vit.embeddings", config, model.grid)
    for i in range(config["num_hidden_layers"]):
        yield from vit.block(f"block_{i}", f"vit.encoder.layer.{i}")
    yield from layer_normalization("norm", "vit.layernorm")
    yield from dense("decoder_embed", "decoder.decoder_embed")
    yield "decoder_tokens/mask_token", "decoder.mask_token", lambda token: token[0, 0]
    yield "decoder_tokens/positions", "decoder.decoder_pos_embed", vit.positions(config, model.grid)
    for i in range(config["decoder_num_hidden_layers"]):
        yield from vit.block(f"decoder_block_{i}", f"decoder.decoder_layers.{i}")
    yield from layer_normalization("decoder_norm", "decoder.decoder_norm")
    yield from dense("decoder_pixels", "decoder.decoder_pred")
