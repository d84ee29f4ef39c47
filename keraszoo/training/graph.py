"""The forward pass of a functional model on torch, as a straight line.

Keras works out at each call which operation is next and what it takes, and holds every value until
the last one is known. Torch, which has nothing compiled, pays for both: with time, and with memory
that is never used again. Here the order is written down once, with the place where each value is
used for the last time.
"""

from typing import NamedTuple

import keras

from keraszoo.backend import kernels
from keraszoo.layers import quick


class Line(NamedTuple):
    """One operation of a graph. Values are known by the `id` of the symbolic tensor that they stand for."""

    operation: keras.Operation
    takes: list  # of the positional arguments, if these are tensors and nothing else is
    arguments: object  # what Keras recorded of the call
    gives: list
    last: set  # values that nothing uses after this
    maker: keras.Operation | None  # of the value that it takes
    slope: float | None  # of a rectifier that may write over that value


class Graph:
    """A mixin in front of `keras.Model`; it changes only functional models of tensors, on torch."""

    def __call__(self, *args, **kwargs):
        """Keras' method; where all layers are quick, there is nothing to prepare for them either."""
        if (
            len(args) == 1
            and kwargs.keys() <= {"training"}
            and is_simple(self)
            and quick.straight(self, args[0])
        ):
            if all(b in (a, None) for a, b in zip(args[0].shape, self.inputs[0].shape, strict=False)):
                return self.call(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def call(self, inputs, training=None, mask=None, **kwargs):
        """Keras' method; see `straight`."""
        if kwargs or mask is not None or not straight(self, inputs):
            return super().call(inputs, training=training, mask=mask, **kwargs)
        values = {id(s): v for s, v in zip(self.inputs, keras.tree.flatten(inputs), strict=True)}
        del inputs
        for line in lines(self):
            if line.takes is None:
                args, named = line.arguments.fill_in(values)
            else:
                args, named = [values[key] for key in line.takes], line.arguments.kwargs
            if training is not None and isinstance(line.operation, keras.layers.Layer):
                named = {**named, "training": training}
            result = None
            if line.slope is not None and all(
                quick.straight(layer, *args) for layer in (line.operation, line.maker)
            ):
                result = kernels.rectified_in_place(*args, line.slope)
            if result is None:
                result = quick.called(line.operation, args, named)
            values.update(zip(line.gives, keras.tree.flatten(result), strict=True))
            del args, named, result
            for key in line.last:
                del values[key]
        if len(self.outputs) == 1 and not isinstance(self.output, dict):
            return values[id(self.outputs[0])]  # Keras takes it out of a list, too
        return keras.tree.map_structure(lambda symbol: values[id(symbol)], self.output)


def straight(model, inputs):
    """Whether `inputs` are all that the model takes, just as it takes them: a tensor, or a list of them."""
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    return len(given) == len(model.inputs) and all(
        kernels.is_concrete(x)
        and x.ndim == len(symbol.shape)
        and keras.backend.standardize_dtype(x.dtype) == symbol.dtype
        for x, symbol in zip(given, model.inputs, strict=True)
    )


def is_simple(model):
    """Whether a model is functional, of one input, and made of quick layers of one precision."""
    if "_simple" not in model.__dict__:
        functional = kernels.EAGER and hasattr(model, "_nodes_by_depth") and len(model.inputs) == 1
        layers = model.layers[1:] if functional else []
        policies = {layer.dtype_policy.name for layer in (model, *layers)}
        simple = functional and len(policies) == 1 and all(map(quick.is_quick, layers))
        object.__setattr__(model, "_simple", simple and model.compute_dtype == model.variable_dtype)
    return model._simple


def lines(model):
    """The operations of a functional model, in order.

    The one place that reads Keras' own record of a graph (3.15), private but for `Functional` itself.
    """
    if "_lines" in model.__dict__:
        return model._lines
    depths = model._nodes_by_depth
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth] if not node.is_input]
    makers = {id(symbol): node.operation for node in nodes for symbol in node.outputs}
    found, used = [], {id(symbol) for symbol in model.outputs}
    for node in reversed(nodes):
        takes = [id(symbol) for symbol in node.input_tensors]
        plain = [id(value) for value in node.arguments.args] == takes
        gives = [id(symbol) for symbol in node.outputs]
        last = {*takes, *gives} - used
        maker = makers.get(takes[0]) if plain and takes and takes[0] in last else None
        slope = quick.slope(node.operation, maker)
        found.append(
            Line(node.operation, takes if plain else None, node.arguments, gives, last, maker, slope)
        )
        used.update(takes)
    object.__setattr__(model, "_lines", found[::-1])  # not for Keras to track
    return model._lines
