"""GPT-2 as `transformers` writes it: GPT2LMHeadModel, GPT2Model, GPT2ForSequenceClassification.

The published files of gpt2 to gpt2-xl call their tensors as GPT2Model does.
"""

from keraszoo.weights import layer_normalization, same

MODEL_TYPE = "gpt2"
CLASSIFIER = "GPT2ForSequenceClassification"
ARCHITECTURES = ("GPT2LMHeadModel", "GPT2Model", CLASSIFIER)
ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")  # two names for one function
REQUIRED = dict(  # what would be another network
    scale_attn_weights=True,
    scale_attn_by_inverse_layer_idx=False,
    add_cross_attention=False,
    tie_word_embeddings=True,
)


def classifies(config):
    """Whether the checkpoint has a head that classifies."""
    return CLASSIFIER in (config.get("architectures") or ())


def task(config):
    """What the checkpoint was made for."""
    return "text_classification" if classifies(config) else "language_modeling"


def arguments(config):
    """Arguments of `keraszoo.models.gpt2.gpt2`."""
    if (activation := config.get("activation_function", "gelu_new")) not in ACTIVATIONS:
        raise ValueError(f"activation_function must be {' or '.join(ACTIVATIONS)}, got {activation!r}.")
    for word, value in REQUIRED.items():
        if config.get(word, value) != value:
            raise ValueError(f"{word} must be {value}, as in GPT-2, got {config[word]!r}.")
    width = config["n_embd"]
    found = dict(
        embed_dim=width,
        depth=config["n_layer"],
        num_heads=config["n_head"],
        vocabulary_size=config["vocab_size"],
        context=config["n_positions"],
        mlp_ratio=(config.get("n_inner") or 4 * width) / width,
        epsilon=config["layer_norm_epsilon"],
    )
    if classifies(config):
        found["num_classes"] = len(config.get("id2label") or (0, 1))  # two classes are not written down
    return found


def defaults(config):
    """What drops out while training, and what texts that are to be classified are filled up with."""
    found = dict(
        dropout=config.get("resid_pdrop", 0.1),
        attention_dropout=config.get("attn_pdrop", 0.1),
    )
    if config.get("pad_token_id") is not None:
        found["padding"] = config["pad_token_id"]
    return found


def name(tensor):
    """A tensor's name as GPT2Model has it."""
    return tensor.removeprefix("transformer.")


def rows(config, model):
    """Our weights, the checkpoint's names, and how to turn one into the other.

    Matrices lie as ours: they are (in, out), unlike those of other models there.
    """
    yield "embedding/tokens", "wte.weight", same
    yield "embedding/positions", "wpe.weight", same
    for i in range(config["n_layer"]):
        ours, theirs = f"block_{i}", f"h.{i}"
        yield from layer_normalization(f"{ours}/norm1", f"{theirs}.ln_1")
        yield from dense(f"{ours}/attention/qkv", f"{theirs}.attn.c_attn")
        yield from dense(f"{ours}/attention/projection", f"{theirs}.attn.c_proj")
        yield from layer_normalization(f"{ours}/norm2", f"{theirs}.ln_2")
        yield from dense(f"{ours}/hidden", f"{theirs}.mlp.c_fc")
        yield from dense(f"{ours}/output", f"{theirs}.mlp.c_proj")
        for mask in ("bias", "masked_bias"):
            yield None, f"{theirs}.attn.{mask}", same
    yield from layer_normalization("norm", "ln_f")
    yield None, "lm_head.weight", same  # is wte.weight once more
    if len(model.output_shape) == 2:
        yield "logits/kernel", "score.weight" if classifies(config) else None, lambda kernel: kernel.T
    else:
        yield None, "score.weight", same


def dense(ours, theirs):
    """Rows of a dense layer, which is called a convolution of one dimension there."""
    yield f"{ours}/kernel", f"{theirs}.weight", same
    yield f"{ours}/bias", f"{theirs}.bias", same
