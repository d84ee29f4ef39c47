"""Residual networks as `transformers` writes them: ResNetForImageClassification."""

from keraszoo.weights import batch_normalization, convolution, dense

MODEL_TYPE = "resnet"
ARCHITECTURES = ("ResNetForImageClassification",)


def arguments(config):
    """Arguments of `keraszoo.models.resnet.resnet`; the size of the image stays open."""
    if config.get("hidden_act", "relu") != "relu":
        raise ValueError(
            f"hidden_act must be 'relu', which residual networks have, got {config['hidden_act']!r}."
        )
    return dict(
        depths=tuple(config["depths"]),
        block=config["layer_type"],
        filters=tuple(config["hidden_sizes"]),
        stem_filters=config["embedding_size"],
        first_stride=2 if config.get("downsample_in_first_stage", False) else 1,
        stride_in="1x1" if config.get("downsample_in_bottleneck", False) else "3x3",
        input_shape=(None, None, config["num_channels"]),
        num_classes=len(config.get("id2label") or (0, 1)),  # two classes are not written down
    )


def rows(config, model):
    """Our weights, the checkpoint's names, and how to turn one into the other."""
    yield from unit("conv1", "resnet.embedder.embedder")
    convolutions = 2 if config["layer_type"] == "basic" else 3
    before = config["embedding_size"]
    for s, (depth, filters) in enumerate(zip(config["depths"], config["hidden_sizes"], strict=True)):
        for b in range(depth):
            ours, theirs = f"stage{s + 2}_block{b + 1}", f"resnet.encoder.stages.{s}.layers.{b}"
            for c in range(convolutions):
                yield from unit(f"{ours}_conv{c + 1}", f"{theirs}.layer.{c}")
            halves = s > 0 or config.get("downsample_in_first_stage", False)
            if b == 0 and (halves or filters != before):
                yield from unit(f"{ours}_shortcut", f"{theirs}.shortcut")
        before = filters
    yield from dense("logits", "classifier.1")


def unit(ours, theirs):
    """A convolution and its normalization."""
    yield from convolution(ours, f"{theirs}.convolution")
    yield from batch_normalization(f"{ours}_norm", f"{theirs}.normalization")
