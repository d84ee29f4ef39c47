"""Recurrent layers: Keras' own, faster and with exact masks, and two that remember longer without gates.

Padded steps (those that a mask rules out) leave the state as it is, wherever they stand, and their
outputs are zeros.
"""

import keras
from keras import ops

from keraszoo.backend import recurrent


class Looped:
    """A mixin in front of a recurrent layer of Keras: the same arguments and weights, a faster loop.

    It replaces `inner_loop`, which Keras (3.15) calls with the sequences and states, cast and of the
    right shapes; `tests/test_recurrent.py` fails if that changes. Other activations than the usual ones
    and dropout inside the recurrence are left to Keras.
    """

    def __init__(self, *args, zero_output_for_mask=True, **kwargs):
        super().__init__(*args, zero_output_for_mask=zero_output_for_mask, **kwargs)
        self.supports_jit = recurrent.COMPILES

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Keras' method: the last output, all outputs, and the last states."""
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if not self.is_usual(mask):
            _, outputs, states = super().inner_loop(sequences, initial_state, mask, training)
            return (
                states[0],
                outputs,
                states,
            )  # the last output of Keras is zeros where the last step is padded
        if training and self.cell.dropout:
            kept = self.cell.get_dropout_mask(sequences[:, 0])  # the same features at every step
            sequences = sequences * ops.expand_dims(kept, 1)
        if self.stateful:
            initial_state = [ops.copy(state) for state in initial_state]  # they are assigned to, later
        if mask is not None:
            mask = ops.cast(mask, "bool")
        outputs, states = self.loop(sequences, list(initial_state), mask)
        return states[0], outputs if self.return_sequences else states[0], states

    def is_usual(self, mask):
        """Whether `loop` does what Keras' loop does."""
        cell = self.cell
        gate = getattr(cell, "recurrent_activation", keras.activations.sigmoid)
        return (
            cell.activation is keras.activations.tanh
            and gate is keras.activations.sigmoid
            and getattr(cell, "reset_after", True)
            and getattr(cell, "implementation", 2) == 2
            and not cell.recurrent_dropout
            and (self.zero_output_for_mask or mask is None or not self.return_sequences)
        )

    def loop(self, x, states, mask):
        """Outputs and last states; as `keraszoo.backend.recurrent.scan`."""
        cell = self.cell
        weights = cell.kernel, cell.recurrent_kernel, cell.bias
        return getattr(recurrent, self.kernel_name)(x, states, *weights, mask, **self.ways)

    @property
    def ways(self):
        """Which way to go, and whether the last state is all that is asked for."""
        return dict(backwards=self.go_backwards, last=not self.return_sequences)


@keras.saving.register_keras_serializable("keraszoo")
class SimpleRNN(Looped, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`: `h_t = tanh(W x_t + U h_{t-1} + b)`.

    Elman 1990, https://doi.org/10.1207/s15516709cog1402_1.

    Shapes:
        x:       (batch, time, features), floating.
        mask:    (batch, time), bool, True at real steps. Optional.
        returns: (batch, units), the state after the last real step; with `return_sequences`,
            (batch, time, units), zeros at padded steps. The layer's compute dtype.
    """

    kernel_name = "simple_rnn"


@keras.saving.register_keras_serializable("keraszoo")
class LSTM(Looped, keras.layers.LSTM):
    """`keras.layers.LSTM`: a state that gates protect. Shapes as of `SimpleRNN`.

    Hochreiter, Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735, with the forget gate of
    Gers, Schmidhuber, Cummins 2000, https://doi.org/10.1162/089976600300015015.
    """

    kernel_name = "lstm"


@keras.saving.register_keras_serializable("keraszoo")
class GRU(Looped, keras.layers.GRU):
    """`keras.layers.GRU`: two gates and no state beside the output. Shapes as of `SimpleRNN`.

    Cho et al. 2014, https://arxiv.org/abs/1406.1078; as in Keras and torch, the reset gate acts after
    the matrix product.
    """

    kernel_name = "gru"


@keras.saving.register_keras_serializable("keraszoo")
class LeakyRNN(SimpleRNN):
    """Leaky units, each of which forgets at a rate of its own: `h_t = (1 - a) h_{t-1} + a tanh(W x_t + U h_{t-1} + b)`.

    Jaeger et al. 2007, https://doi.org/10.1016/j.neunet.2007.04.016, equation 2 with a step of 1;
    several time scales at once as in Mozer 1992. A unit of rate `a` remembers for about `1 / a` steps.

    Args:
        units: Units in all.
        leak: The rate `a` in (0, 1], or a tuple of rates: that many groups of units, as equal in
            size as can be. With 1 the unit is that of `SimpleRNN`.
        **kwargs: As of `SimpleRNN`, of which there is no `recurrent_dropout` and no `unroll`.

    Raises:
        ValueError: A rate is not in (0, 1], or there are more rates than units.
    """

    def __init__(self, units, leak=0.1, **kwargs):
        super().__init__(units, **without(kwargs, "recurrent_dropout", "unroll"))
        self.leak = leak
        rates = leak if isinstance(leak, (list, tuple)) else (leak,)
        if not 1 <= len(rates) <= units or not all(0 < rate <= 1 for rate in rates):
            raise ValueError(f"leak must be one rate in (0, 1] or up to {units=} of them, got {leak!r}.")
        self.rates = [rates[i * len(rates) // units] for i in range(units)]

    def is_usual(self, mask):
        return True

    def loop(self, x, states, mask):
        u = ops.convert_to_tensor(self.cell.recurrent_kernel)
        a = ops.convert_to_tensor(self.rates, x.dtype)

        def step(z, states):
            (h,) = states
            return [(1 - a) * h + a * self.activation(z + h @ u)]

        return recurrent.scan(step, x, states, self.cell.kernel, self.cell.bias, mask, **self.ways)

    def get_config(self):
        return {**super().get_config(), "leak": self.leak}


@keras.saving.register_keras_serializable("keraszoo")
class SkipRNN(SimpleRNN):
    """Connections through time with a delay: `h_t = tanh(W x_t + U h_{t-1} + V h_{t-d} + b)`.

    Lin et al. 1996, https://doi.org/10.1109/72.548162; Goodfellow, Bengio, Courville 2016,
    https://www.deeplearningbook.org, section 10.9.1: gradients fade `d` times as slowly. Padded steps
    do not count as time. The states are `h` of the last `d` steps, the latest first.

    Args:
        units: Units.
        delay: The delay `d`, at least 2 steps.
        **kwargs: As of `SimpleRNN`, of which there is no `recurrent_dropout` and no `unroll`.

    Raises:
        ValueError: `delay` is below 2.
    """

    def __init__(self, units, delay=10, **kwargs):
        super().__init__(units, **without(kwargs, "recurrent_dropout", "unroll"))
        if not isinstance(delay, int) or delay < 2:
            raise ValueError(f"delay must be a whole number of steps from 2, got {delay!r}.")
        self.delay = delay
        self.state_size = [units] * delay
        self.single_state = False

    def build(self, sequences_shape, initial_state_shape=None):
        super().build(sequences_shape, initial_state_shape)
        self.skip_kernel = self.add_weight(
            name="skip_kernel", shape=(self.units, self.units), initializer=self.recurrent_initializer.clone()
        )

    def get_initial_state(self, batch_size):
        return super().get_initial_state(batch_size) * self.delay

    def is_usual(self, mask):
        return True

    def loop(self, x, states, mask):
        u, v = (ops.convert_to_tensor(w) for w in (self.cell.recurrent_kernel, self.skip_kernel))

        def step(z, states):
            return [self.activation(z + states[0] @ u + states[-1] @ v), *states[:-1]]

        return recurrent.scan(step, x, states, self.cell.kernel, self.cell.bias, mask, **self.ways)

    def get_config(self):
        return {**super().get_config(), "delay": self.delay}


@keras.saving.register_keras_serializable("keraszoo")
class JordanRNN(keras.layers.Layer):
    """Units that see the last output, not the last state: `h_t = tanh(W x_t + U y_{t-1} + b)`, `o_t = V h_t + c`.

    Jordan 1986, "Serial order: a parallel distributed processing approach". Without targets, `y_t` is what
    the layer itself has said: `o_t`, or the class with the largest logit. With them it is what should
    have been said; nothing depends on another step then, and all steps are worked out at once ("teacher
    forcing": Williams, Zipser 1989, https://doi.org/10.1162/neco.1989.1.2.270).

    Args:
        units: Hidden units.
        outputs: Classes, or values.
        categories: Whether the outputs are logits of classes.

    Shapes:
        x:       (batch, time, features), floating.
        targets: (batch, time), class numbers; or (batch, time, outputs), floating. Optional.
        mask:    (batch, time), bool, True at real steps. With targets, others stand at the end only. Optional.
        returns: (batch, time, outputs), float32.
    """

    def __init__(self, units, outputs, categories=True, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.outputs = outputs
        self.categories = categories
        self.supports_masking = True
        self.supports_jit = recurrent.COMPILES

    def build(self, shape, *others):
        for name, sizes in (
            ("kernel", (shape[-1], self.units)),
            ("feedback_kernel", (self.outputs, self.units)),
            ("output_kernel", (self.units, self.outputs)),
        ):
            setattr(self, name, self.add_weight(name=name, shape=sizes, initializer="glorot_uniform"))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.output_bias = self.add_weight(name="output_bias", shape=(self.outputs,), initializer="zeros")

    def call(self, x, targets=None, mask=None):
        weights = self.feedback_kernel, self.output_kernel, self.output_bias
        u, v, c = map(ops.convert_to_tensor, weights)

        def said(z, last):
            return ops.tanh(z + last @ u) @ v + c

        if targets is not None:
            last = ops.pad(self.fed(targets)[:, :-1], ((0, 0), (1, 0), (0, 0)))
            outputs = said(ops.matmul(x, self.kernel) + self.bias, last)
        else:
            silence = ops.zeros((ops.shape(x)[0], self.outputs), x.dtype)

            def step(z, states):
                now = said(z, states[1])
                return [now, self.fed(ops.argmax(now, axis=-1) if self.categories else now)]

            outputs, _ = recurrent.scan(step, x, [silence, silence], self.kernel, self.bias, mask)
        return ops.cast(outputs, "float32")

    def fed(self, given):
        """Classes or values, as the hidden units see them."""
        if self.categories:
            return ops.one_hot(ops.cast(given, "int32"), self.outputs, dtype=self.compute_dtype)
        return ops.cast(given, self.compute_dtype)

    def compute_output_spec(self, x, targets=None, mask=None):
        return keras.KerasTensor((*x.shape[:-1], self.outputs), "float32")


def without(arguments, *words):
    """The arguments, none of which may be one of the words, unless it says no."""
    if refused := [word for word in words if arguments.get(word)]:
        raise ValueError(f"{' and '.join(refused)} is not for layers of this kind.")
    return {key: value for key, value in arguments.items() if key not in words}
