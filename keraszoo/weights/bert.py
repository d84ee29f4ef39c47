"""BERT as `transformers` writes it: BertModel, and what stands on it."""

from keraszoo.weights import dense, layer_normalization, same
from keraszoo.weights.vit import side_by_side

MODEL_TYPE = "bert"
TASKS = {  # what a checkpoint was made for, and the heads that it must have
    "BertForMaskedLM": ("masked_language_modeling", ("transform",)),
    "BertForPreTraining": ("next_sentence_prediction", ("transform", "pooler", "next")),
    "BertForNextSentencePrediction": ("next_sentence_prediction", ("pooler", "next")),
    "BertForSequenceClassification": ("text_classification", ("pooler", "classes")),
    "BertForTokenClassification": ("token_classification", ("tags",)),
    "BertForQuestionAnswering": ("question_answering", ("span",)),
    "BertModel": ("text_encoding", ("pooler",)),
}
ARCHITECTURES = tuple(TASKS)
CLASSIFIERS = ("text_classification", "token_classification")
SPARE = (
    "pooler",
    "transform",
    "next",
)  # heads that checkpoints hold though they were not made of their class
EXPECTED = {  # what other values would make another network
    "hidden_act": "gelu",
    "type_vocab_size": 2,
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


def kind(config):
    """The class of `transformers` that the checkpoint was made of."""
    return next((c for c in config.get("architectures") or () if c in TASKS), "BertForMaskedLM")


def task(config):
    """What the checkpoint was made for."""
    return TASKS[kind(config)][0]


def class_names(config):
    """Names of the classes that it chooses from, in order; None if it does not choose."""
    names = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}  # two are not written down
    return [names[number] for number in sorted(names, key=int)] if task(config) in CLASSIFIERS else None


def arguments(config):
    """Arguments of `keraszoo.models.bert.bert` that fix the weights."""
    for key, value in EXPECTED.items():
        if config.get(key, value) != value:
            raise ValueError(
                f"{key} must be {value!r}, as in the published checkpoints, got {config[key]!r}."
            )
    return dict(
        vocabulary_size=config["vocab_size"],
        embed_dim=config["hidden_size"],
        depth=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        mlp_ratio=config["intermediate_size"] / config["hidden_size"],
        context=config["max_position_embeddings"],
        epsilon=config["layer_norm_eps"],
    )


def defaults(config):
    """How it has learned, and how many classes it knows."""
    found = dict(dropout=config.get("hidden_dropout_prob", 0.1), padding=config.get("pad_token_id") or 0)
    return found | (dict(num_classes=len(class_names(config))) if class_names(config) else {})


def name(tensor):
    """What `rows` calls a tensor: old checkpoints have gamma and beta, and BertModel no prefix."""
    for old, new in ("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"):
        tensor = tensor.replace(old, new)
    return f"bert.{tensor}" if tensor.startswith(("embeddings.", "encoder.", "pooler.")) else tensor


def rows(config, model):
    """Our weights, the checkpoint's names, and how to turn one into the other."""
    for ours, theirs in ("tokens", "word"), ("positions", "position"), ("segments", "token_type"):
        yield f"embedding/{ours}", f"bert.embeddings.{theirs}_embeddings.weight", same
    yield None, "bert.embeddings.position_ids", None  # 0, 1, 2 ...
    yield from layer_normalization("norm", "bert.embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        yield from block(f"block_{i}", f"bert.encoder.layer.{i}")
    for head, found in heads():
        wanted = any(layer.name == head for layer in model.layers)
        held = head in SPARE and any(tensor in config.tensors for _, tensor, _ in found)
        given = held or head in TASKS[kind(config)][1]
        for ours, theirs, transform in found:
            yield ours if wanted else None, theirs if given or not wanted else None, transform
    yield None, "cls.predictions.decoder.weight", None  # the embedding, and the same bias again
    yield None, "cls.predictions.decoder.bias", None


def heads():
    """Each of our heads, by the name of its first layer, and its rows."""
    blanks = [
        *dense("transform", "cls.predictions.transform.dense"),
        *layer_normalization("transform_norm", "cls.predictions.transform.LayerNorm"),
        ("offset/bias", "cls.predictions.bias", same),
    ]
    yield "transform", blanks
    yield "pooler", list(dense("pooler", "bert.pooler.dense"))
    yield "next", list(dense("next", "cls.seq_relationship"))
    yield "classes", list(dense("classes", "classifier"))
    yield "tags", list(dense("tags", "classifier"))
    yield "span", list(dense("span", "qa_outputs"))


def block(ours, theirs):
    """Rows of a Transformer block; queries, keys and values are made by one matrix here."""
    three = [f"{theirs}.attention.self.{kind}" for kind in ("query", "key", "value")]
    yield f"{ours}/attention/qkv/kernel", tuple(f"{name}.weight" for name in three), side_by_side
    yield f"{ours}/attention/qkv/bias", tuple(f"{name}.bias" for name in three), side_by_side
    yield from dense(f"{ours}/attention/projection", f"{theirs}.attention.output.dense")
    yield from layer_normalization(f"{ours}/norm1", f"{theirs}.attention.output.LayerNorm")
    yield from dense(f"{ours}/hidden", f"{theirs}.intermediate.dense")
    yield from dense(f"{ours}/output", f"{theirs}.output.dense")
    yield from layer_normalization(f"{ours}/norm2", f"{theirs}.output.LayerNorm")
