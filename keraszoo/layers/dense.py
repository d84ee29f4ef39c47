"""Dense layers, with the kernels of torch used as they are meant to be."""

import keras
import numpy as np
from keras import ops

from keraszoo.backend import kernels
from keraszoo.layers.quick import Quick

LOW_RANK = "lora_kernel_a", "lora_kernel_b"  # as files call them


@keras.saving.register_keras_serializable("keraszoo")
class Dense(Quick, keras.layers.Dense):
    """Keras' layer, with the same arguments, weights and numbers, faster on torch.

    With `enable_lora`, what is learned beside the kernel is not added to it at each call, but goes its own narrow way;
    and a file keeps it apart, where Keras' layer adds it up and begins anew with zeros that learn nothing.

    Shapes:
        x:       (batch, ..., features), floating.
        returns: (batch, ..., units), floating.
    """

    cast = "own_kernel"

    @property
    def own_kernel(self):
        """The kernel without what low-rank adaptation adds to it."""
        return self._kernel if self.lora_enabled else self.kernel

    def call(self, inputs, training=None):
        outputs = kernels.dense(inputs, self.own_kernel, self.bias)
        if self.lora_enabled:  # https://arxiv.org/abs/2106.09685, equation 3
            narrow = ops.matmul(inputs, ops.cast(self.lora_kernel_a, inputs.dtype))
            more = ops.matmul(narrow, ops.cast(self.lora_kernel_b, inputs.dtype))
            outputs = outputs + self.lora_alpha / self.lora_rank * more
        if self.activation is None:
            return outputs
        if self.activation is keras.activations.relu and kernels.EAGER and kernels.is_concrete(outputs):
            if (rectified := kernels.rectified_in_place(outputs, 0.0)) is not None:
                return rectified
        return self.activation(outputs)

    def merge_lora(self):
        """Add to the kernel what was learned beside it, and go on without."""
        a, b = (ops.convert_to_numpy(w) for w in (self.lora_kernel_a, self.lora_kernel_b))
        self._kernel.assign_add(self.lora_alpha / self.lora_rank * a @ b)
        del self.lora_kernel_a, self.lora_kernel_b
        self.lora_enabled, self.lora_rank, self.lora_alpha = False, None, None
        self._kernel.trainable = True

    def save_own_variables(self, store):
        """Keras' method; kernel, bias and low-rank adaptation each by itself."""
        if not self.lora_enabled or self.quantization_mode:
            super().save_own_variables(store)
            return
        held = [self._kernel] if self.bias is None else [self._kernel, self.bias]
        named = dict(zip(LOW_RANK, (self.lora_kernel_a, self.lora_kernel_b), strict=True))
        for name, weight in {**{str(i): weight for i, weight in enumerate(held)}, **named}.items():
            store[name] = ops.convert_to_numpy(weight)
        store["lora_scale"] = np.array(self.lora_alpha / self.lora_rank)

    def load_own_variables(self, store):
        """Keras' method. What was saved of an adaptation is merged if this layer has none."""
        held = {key: store[key] for key in store.keys()}
        scale, (a, b) = held.pop("lora_scale", 0.0), (held.pop(name, None) for name in LOW_RANK)
        if not self.lora_enabled or self.quantization_mode:
            if a is not None:
                held["0"] = held["0"] + np.asarray(scale) * np.asarray(a) @ np.asarray(b)
            super().load_own_variables(held)
            return
        for weight, key in ((self._kernel, "0"), (self.bias, "1")):
            if weight is not None:
                weight.assign(held[key])
        if a is None:
            self.lora_kernel_b.assign(ops.zeros_like(self.lora_kernel_b))  # as at the beginning
        else:
            self.lora_kernel_a.assign(a)
            self.lora_kernel_b.assign(b)

    def quantize(self, mode=None, type_check=True, config=None):
        """Keras' method, which by default refuses subclasses; this one computes the same."""
        return super().quantize(mode, type_check=False, config=config)


@keras.saving.register_keras_serializable("keraszoo")
class Flatten(Quick, keras.layers.Flatten):
    """Keras' layer, called faster on torch.

    Shapes:
        x:       (batch, ...).
        returns: (batch, features), of the dtype of `x`.
    """
