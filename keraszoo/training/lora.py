"""Low-rank adaptation: a trained model learns something new by a few weights beside its own.

Hu et al. 2021, https://arxiv.org/abs/2106.09685. Where a dense layer computes `x W`, it then computes
`x W + alpha / rank * (x A) B`: `W` stays as it is, and `A` and `B` are narrow and learn. `B` begins with zeros, so that
nothing has changed when nothing was learned.
"""

import functools
import math
from typing import NamedTuple

from keraszoo.layers.dense import Dense

ATTENTION = ("qkv", "query", "key_value")  # what makes queries, keys and values in a Transformer


class Counts(NamedTuple):
    """How many weights of a model learn. Prints as a sentence."""

    trainable: int
    total: int

    def __str__(self):
        share = self.trainable / self.total
        return f"{self.trainable:,} of {self.total:,} weights learn ({share:.2%})"


def adapt(model, rank=8, targets=ATTENTION, alpha=None, heads=None):
    """Freeze a model but for its heads, and give some of its dense layers a low-rank adaptation, which learns.

    The model is compiled anew, with a fresh optimizer of the same settings. Its files keep weights and adaptations apart,
    and load as they were saved; where a file's weights are loaded into a model without, they are merged.

    Args:
        model: A compiled model of ours.
        rank: Columns of `A`, rows of `B`.
        targets: Names of dense layers to adapt, wherever in the model they are.
        alpha: Weight of what is added, as a multiple of 1 / rank; `rank` by default.
        heads: Names of layers that learn as usual; by default the dense layers that stand in no block, such as the
            classifier at the end.

    Returns:
        `Counts` of weights, before the optimizer's.

    Raises:
        ValueError: The model is adapted already or not compiled, `rank` is below 1, or it has no such layer.
    """
    if model.adapter:
        raise ValueError(f"{model.name} is adapted already: merge(model) comes first.")
    if not model.compiled:
        raise ValueError(f"{model.name} must be compiled first: it is to be compiled anew, as it was.")
    if not isinstance(rank, int) or rank < 1:
        raise ValueError(f"rank must be a whole number from 1, got {rank!r}.")
    targets = [targets] if isinstance(targets, str) else list(targets)
    chosen = denses(model, targets)
    if not chosen:
        known = sorted({layer.name for layer in denses(model)})
        raise ValueError(f"targets={targets!r} names no dense layer of {model.name}; it has {known}.")
    if heads is None:
        heads = [layer.name for layer in model.layers if isinstance(layer, Dense) and layer not in chosen]
    heads = [heads] if isinstance(heads, str) else list(heads)
    names = {layer.name for layer in every_layer(model)}
    if lost := [name for name in heads if name not in names]:
        raise ValueError(f"heads names {lost[0]!r}, but {model.name} has no such layer.")
    apply(model, rank, targets, rank if alpha is None else alpha, heads)
    compile_anew(model)
    return counts(model)


def merge(model):
    """Add what was learned by adaptation to the weights it stands beside, and let all of them learn again.

    The model computes the same as before, and is as if it had never been adapted. It is compiled anew.

    Raises:
        ValueError: It was not adapted.
    """
    if not model.adapter:
        raise ValueError(f"{model.name} is not adapted: there is nothing to merge.")
    for layer in denses(model):
        if layer.lora_enabled:
            layer.merge_lora()
    for variable in model.__dict__.pop("_frozen"):
        variable.trainable = True
    model.adapter = None
    compile_anew(model)


def counts(model):
    """How many weights of a model learn, of all it has, as `Counts`."""
    return Counts(
        *(sum(math.prod(w.shape) for w in weights) for weights in (model.trainable_weights, model.weights))
    )


def apply(model, rank, targets, alpha, heads):
    """What `adapt` does to the weights of a built model; also called when a file is loaded."""
    before = model.trainable_variables
    for layer in denses(model, targets):
        if not layer.lora_enabled:
            layer.enable_lora(rank)
        layer.lora_alpha = alpha
    learning = {id(w) for layer in denses(model, targets) for w in (layer.lora_kernel_a, layer.lora_kernel_b)}
    for layer in every_layer(model):
        if layer.name in heads:
            learning |= {id(w) for w in layer.weights}
    frozen = [v for v in before if id(v) not in learning]
    for variable in frozen:
        variable.trainable = False
    object.__setattr__(model, "_frozen", frozen)  # not for Keras to track
    model.adapter = dict(rank=rank, targets=list(targets), alpha=alpha, heads=list(heads))


def every_layer(model):
    """All layers in a model, those inside of others too. The name is Keras' own; tests/test_lora.py fails if it changes."""
    return list(model._flatten_layers(include_self=False))


def denses(model, names=None):
    """All dense layers of ours in a model, or those of some names."""
    found = [layer for layer in every_layer(model) if isinstance(layer, Dense)]
    return [layer for layer in found if names is None or layer.name in names]


def compile_anew(model):
    """Compile a model as it is compiled, with a fresh optimizer; forget functions compiled for the weights it had."""
    for name in dir(type(model)):
        if isinstance(getattr(type(model), name, None), functools.cached_property):
            model.__dict__.pop(name, None)
    model.compile_from_config(model.get_compile_config())
