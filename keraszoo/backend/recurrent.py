"""Recurrent loops: a sequence through a cell, in as few operations as the backend needs.

What a step takes from its input is worked out for all steps in one matrix product, before the loop.
JAX and TensorFlow then loop in a compiled graph. torch, which would go through Python at every step,
has kernels for the three classical cells that do the whole loop in one call.
"""

import keras
from keras import ops

from keraszoo.backend import kernels

BACKEND = keras.backend.backend()
COMPILES = BACKEND != "tensorflow"  # XLA makes TensorFlow's loops slower: on a processor, by half

if BACKEND == "jax":
    import jax
elif BACKEND == "tensorflow":
    import tensorflow as tf
else:
    import torch


def scan(step, x, states, kernel, bias=None, mask=None, backwards=False, last=False):
    """Go through sequences step by step.

    Args:
        step: Function of `x @ kernel + bias` at one step, (batch, features), and of the states; returns
            a list of the new ones, the output first.
        x: (batch, time, inputs), floating; at least one step.
        states: List of (batch, units) tensors: the states before the first step.
        kernel: (inputs, features). bias: (features,), or None.
        mask: (batch, time), bool, True at real steps; None if all are. At the others no state changes.
        backwards: Go from the last step to the first.
        last: Nobody asks for the outputs of each step.

    Returns:
        The outputs, (batch, time, units), in the order in which they were made, zeros where `mask` is
        False, or None if `last`; and a list of the last states.
    """
    z = _projected(x, kernel, bias)
    given = None if mask is None else ops.expand_dims(ops.transpose(mask), -1)  # (time, batch, 1)

    def masked_step(states, z, real):
        new = step(z, states)
        if real is None:
            return new
        return [ops.where(real, after, before) for after, before in zip(new, states, strict=True)]

    loop = {"jax": _jax_loop, "tensorflow": _tensorflow_loop, "torch": _torch_loop}[BACKEND]
    outputs, states = loop(masked_step, list(states), z, given, backwards, last)
    if last:
        return None, states
    outputs = ops.swapaxes(outputs, 0, 1)
    if backwards:
        outputs = ops.flip(outputs, axis=1)
    return _zeroed(outputs, mask, backwards), states


def _projected(x, kernel, bias):
    """`x @ kernel + bias`, step by step: (time, batch, features)."""
    kernel, bias = (None if v is None else ops.convert_to_tensor(v) for v in (kernel, bias))
    x = ops.swapaxes(x, 0, 1)
    if BACKEND != "tensorflow":
        return kernels.dense(x, kernel, bias)
    z = kernels.dense(tf.reshape(x, (-1, x.shape[-1])), kernel, bias)  # three axes would take twice as long
    return tf.reshape(z, (*ops.shape(x)[:2], z.shape[-1]))


def _zeroed(outputs, mask, backwards):
    """The outputs, in the order in which they were made, with zeros at what are no real steps."""
    if mask is None:
        return outputs
    mask = ops.expand_dims(ops.flip(mask, axis=1) if backwards else mask, -1)
    return ops.where(mask, outputs, ops.zeros((), outputs.dtype))


def _jax_loop(step, states, z, mask, backwards, last):
    def body(states, now):
        states = step(states, *now)
        return states, None if last else states[0]

    states, outputs = jax.lax.scan(body, states, (z, mask), reverse=backwards)
    return outputs, states


def _tensorflow_loop(step, states, z, mask, backwards, last):
    count = tf.shape(z)[0]
    read = tf.TensorArray(z.dtype, count, element_shape=z.shape[1:]).unstack(z).read
    real = (lambda t: None) if mask is None else tf.TensorArray("bool", count).unstack(mask).read
    made = tf.TensorArray(z.dtype, 0 if last else count, element_shape=(None, *states[0].shape[1:]))

    def body(i, states, made):
        t = count - 1 - i if backwards else i
        states = step(states, read(t), real(t))
        return i + 1, states, made if last else made.write(t, states[0])

    shapes = [tf.TensorShape((None, *state.shape[1:])) for state in states]
    _, states, made = tf.while_loop(
        lambda i, *_: i < count,
        body,
        (0, states, made),
        shape_invariants=(tf.TensorShape(()), shapes, tf.TensorShape(None)),
        maximum_iterations=count,
    )
    if last:
        return None, states
    outputs = made.stack()
    outputs.set_shape((z.shape[0], *states[0].shape))
    return outputs, states


def _torch_loop(step, states, z, mask, backwards, last):
    outputs, steps = [None] * len(z), range(len(z))
    z = z.unbind()  # once, or the gradient of each step would be put into zeros of all
    for t in reversed(steps) if backwards else steps:
        states = step(states, z[t], None if mask is None else mask[t])
        outputs[t] = states[0]
    return None if last else torch.stack(outputs), states


def simple_rnn(x, states, kernel, recurrent_kernel, bias=None, mask=None, backwards=False, last=False):
    """`h <- tanh(x W + h U + b)`: arguments and results as of `scan`; `states` is `[h]`."""
    u = ops.convert_to_tensor(recurrent_kernel)
    if kernels.EAGER:
        biases = () if bias is None else (bias, ops.zeros_like(bias))
        found = _torch_kernel(torch.rnn_tanh, x, states, (kernel, u), biases, mask, backwards)
        if found is not None:
            return found
    return scan(
        lambda z, states: [ops.tanh(z + states[0] @ u)], x, states, kernel, bias, mask, backwards, last
    )


def lstm(x, states, kernel, recurrent_kernel, bias=None, mask=None, backwards=False, last=False):
    """Long short-term memory with a forget gate: as `scan`; `states` is `[h, c]`.

    Gers, Schmidhuber, Cummins 2000, https://doi.org/10.1162/089976600300015015. The gates lie in the
    order input, forget, cell, output along the last axis of the weights, as in Keras and in torch.
    """
    u = ops.convert_to_tensor(recurrent_kernel)
    if kernels.EAGER:
        biases = () if bias is None else (bias, ops.zeros_like(bias))
        found = _torch_kernel(torch.lstm, x, states, (kernel, u), biases, mask, backwards)
        if found is not None:
            return found

    def step(z, states):
        h, c = states
        enter, keep, new, leave = ops.split(z + h @ u, 4, axis=-1)
        c = ops.sigmoid(keep) * c + ops.sigmoid(enter) * ops.tanh(new)
        return [ops.sigmoid(leave) * ops.tanh(c), c]

    return scan(step, x, states, kernel, bias, mask, backwards, last)


def gru(x, states, kernel, recurrent_kernel, bias=None, mask=None, backwards=False, last=False):
    """Gated recurrent unit, the reset gate after the matrix product: as `scan`; `states` is `[h]`.

    Cho et al. 2014, https://arxiv.org/abs/1406.1078. The gates lie in Keras' order: update, reset,
    new. `bias` is (2, 3 units): the input's and the state's.
    """
    u = ops.convert_to_tensor(recurrent_kernel)
    outer, inner = (None, None) if bias is None else (bias[0], bias[1])
    if kernels.EAGER:
        weights = [_reset_first(v) for v in (kernel, u)]
        biases = () if bias is None else [_reset_first(v) for v in (outer, inner)]
        found = _torch_kernel(torch.gru, x, states, weights, biases, mask, backwards)
        if found is not None:
            return found

    def step(z, states):
        (h,) = states
        at_h = h @ u if inner is None else h @ u + inner
        (update, reset, new), (update_h, reset_h, new_h) = (ops.split(v, 3, axis=-1) for v in (z, at_h))
        update = ops.sigmoid(update + update_h)
        new = ops.tanh(new + ops.sigmoid(reset + reset_h) * new_h)
        return [update * h + (1 - update) * new]

    return scan(step, x, states, kernel, outer, mask, backwards, last)


def _reset_first(weight):
    """From Keras' order of a GRU's gates to torch's: reset, update, new."""
    update, reset, new = ops.convert_to_tensor(weight).chunk(3, dim=-1)
    return torch.cat([reset, update, new], dim=-1)


def _torch_kernel(kernel, x, states, weights, biases, mask, backwards):
    """What `scan` returns, by one of torch's kernels; None where sequences are not padded at their ends.

    The kernels know no mask, but packed sequences: all first steps, then all second steps, and so on,
    each as many as there are sequences of that length.
    """
    weights = [ops.convert_to_tensor(w) for w in (*weights, *biases)]
    weights[:2] = [w.T for w in weights[:2]]
    options = (bool(biases), 1, 0.0, torch.is_grad_enabled(), False)  # one layer, no dropout, one direction
    before = [state[None] for state in states]
    hx = before if len(before) > 1 else before[0]
    if mask is None or bool(mask.all()):
        outputs, *after = kernel(x.flip(1) if backwards else x, hx, weights, *options, True)
        return outputs, [state[0] for state in after]

    lengths, steps = mask.sum(1, keepdim=True), torch.arange(mask.shape[1], device=mask.device)
    if not bool(((steps < lengths) == mask).all()):
        return None
    if backwards:  # each sequence within its length
        x = _gathered(x, (lengths - 1 - steps) % len(steps))
    packed = torch.nn.utils.rnn.pack_padded_sequence(  # a sequence without a real step counts as one
        x, lengths[:, 0].clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
    )
    hx = [state.index_select(1, packed.sorted_indices) for state in before]
    outputs, *after = kernel(packed.data, packed.batch_sizes, hx if len(hx) > 1 else hx[0], weights, *options)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(
        packed._replace(data=outputs), batch_first=True, total_length=len(steps)
    )
    if backwards:  # in the order of the loop, what is no real step comes first
        outputs = _gathered(outputs, (lengths + steps) % len(steps))
    real = lengths > 0
    after = [
        torch.where(real, new[0].index_select(0, packed.unsorted_indices), old[0])
        for new, old in zip(after, before, strict=True)
    ]
    return _zeroed(outputs, mask, backwards), after


def _gathered(x, steps):
    """Other steps of each sequence: (batch, time, features), at (batch, new time)."""
    return x.gather(1, steps[..., None].expand(-1, -1, x.shape[-1]))
