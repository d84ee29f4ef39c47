"""Calls of a layer that skip what was settled when the layer was built.

Before each call Keras works out anew which arguments are tensors, whether the layer must be built,
which precision and which mask apply, and more. TensorFlow and JAX pay for this once, when they
trace a step; torch pays at every step, nearly a tenth of a millisecond for each layer.
"""

import keras
from keras import layers

from keraszoo.backend import kernels

PLAIN = {  # layers of Keras that have no weights and do the same whether they train or not
    *(layers.Activation, layers.LeakyReLU, layers.ReLU),
    *(layers.Cropping2D, layers.Flatten, layers.Reshape, layers.ZeroPadding2D),
    *(layers.Add, layers.Concatenate),
}


class Quick:
    """A mixin in front of a Keras layer that holds no other layers: on torch, go straight to `call`.

    It does so where nothing else would happen anyway, see `straight`, and leaves the rest to Keras.

    Attributes:
        trains: Whether `call` does something else while training, and so must be told.
        cast: Name of the weight that automatic casting applies to, or None.
        forgets: Whether nothing reads the result again, not even for gradients, if there is no activation.
    """

    trains = False
    cast = None
    forgets = False

    def __call__(self, *args, **kwargs):
        # A functional model tells every layer whether it trains, and some that there is no mask.
        plain = len(args) == 1 and kwargs.keys() <= {"training", "mask"} and kwargs.get("mask") is None
        if not kernels.EAGER or not plain:
            return super().__call__(*args, **kwargs)
        if straight(self, args[0], getattr(self, self.cast) if self.cast and self.built else None):
            if not self.trains:
                return self.call(args[0])
            if kwargs.get("training") is not None:
                return self.call(args[0], training=kwargs["training"])
        return super().__call__(*args, **kwargs)


def straight(layer, x, weight=None):
    """Whether `layer(x)` on torch is `layer.call(x)` and nothing more.

    It is not while the layer is unbuilt, symbolic, quantized or rematerialised, has a hook or an
    activity regularizer, or where `x` carries a mask, or `x` or a `weight` that automatic casting
    applies to has another precision. The names with an underscore are Keras' and torch's own;
    `tests/test_step.py` fails if one changes.
    """
    policy = layer.dtype_policy
    return (
        layer.built
        and kernels.is_concrete(x)
        and type(policy) is keras.DTypePolicy
        and keras.backend.standardize_dtype(x.dtype) == policy.compute_dtype
        and (weight is None or keras.backend.standardize_dtype(weight.dtype) == policy.compute_dtype)
        and layer.activity_regularizer is None
        and layer._remat_mode is None
        and getattr(x, "_keras_mask", None) is None
        and not (layer._forward_hooks or layer._forward_pre_hooks)
        and not (layer._backward_hooks or layer._backward_pre_hooks)
    )


def is_quick(layer):
    """Whether a layer can be called without Keras' preparations."""
    return isinstance(layer, Quick) or type(layer) in PLAIN


def slope(layer, maker):
    """The slope below zero of a rectifier that may write over what `maker`, the layer before, has made; or None."""
    fresh = getattr(maker, "forgets", False) and getattr(maker, "activation", None) is None
    if not fresh or type(layer) not in (layers.ReLU, layers.LeakyReLU):
        return None
    if type(layer) is layers.ReLU and (layer.max_value is not None or layer.threshold):
        return None
    return float(layer.negative_slope)


def called(operation, args, named):
    """`operation(*args, **named)`, on torch; a `PLAIN` layer goes straight to `call`."""
    if type(operation) in PLAIN and len(args) == 1:
        values = args[0] if isinstance(args[0], (list, tuple)) else args
        if all(straight(operation, value) for value in values):
            return operation.call(args[0])
    return operation(*args, **named)
