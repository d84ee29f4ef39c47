"""What is true of recurrent nets: equality with torch, closed forms, and that padding changes nothing."""

import inspect

import keras
import numpy as np
import pytest
import torch
from keras import ops

from keraszoo.backend.autodiff import value_and_grad
from keraszoo.layers import GRU, LSTM, LeakyRNN, SimpleRNN, SkipRNN

NATIVE = {SimpleRNN: torch.nn.RNN, LSTM: torch.nn.LSTM, GRU: torch.nn.GRU}
CELLS = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
    "leaky": lambda units, **more: LeakyRNN(units, leak=(0.9, 0.3), **more),
    "skip": lambda units, **more: SkipRNN(units, delay=3, **more),
}
LENGTHS = [7, 3, 5, 1]
every_cell = pytest.mark.parametrize("cell", list(CELLS))
both_ways = pytest.mark.parametrize("backwards", [False, True])


def sequences(count=4, time=7, features=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, time, features)).astype("float32")


def right_padded(lengths=LENGTHS, time=7):
    return np.arange(time) < np.array(lengths)[:, None]


def arrays(outputs):
    return [np.array(ops.convert_to_numpy(v)) for v in keras.tree.flatten(outputs)]


def shaken(layer, shape=(None, None, 3), seed=5):
    """The layer, built, with weights none of which is zero."""
    layer.build(shape)
    rng = np.random.default_rng(seed)
    layer.set_weights([w + rng.normal(0, 0.2, w.shape) for w in layer.get_weights()])
    return layer


def in_torch(layer, backward=None):
    """torch's own module with the weights of one of our layers, or of two for both directions."""
    both = [v for v in (layer, backward) if v is not None]
    inputs = layer.get_weights()[0].shape[0]
    module = NATIVE[type(layer)](inputs, layer.units, batch_first=True, bidirectional=len(both) == 2)
    for one, ending in zip(both, ("", "_reverse"), strict=False):
        kernel, recurrent_kernel, bias = one.get_weights()
        if isinstance(one, GRU):  # update, reset, new: torch has the reset gate first
            z, r, n = np.split(np.arange(kernel.shape[1]), 3)
            order = np.concatenate([r, z, n])
            kernel, recurrent_kernel, bias = (w[..., order] for w in (kernel, recurrent_kernel, bias))
        else:
            bias = np.stack([bias, np.zeros_like(bias)])
        found = dict(
            weight_ih_l0=kernel.T, weight_hh_l0=recurrent_kernel.T, bias_ih_l0=bias[0], bias_hh_l0=bias[1]
        )
        for name, value in found.items():
            getattr(module, name + ending).data = torch.tensor(value)
    return module


def packed(x, lengths):
    return torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(x), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )


def unpacked(outputs):
    return torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0].detach().numpy()


@pytest.mark.parametrize("cell", list(NATIVE), ids=lambda c: c.__name__)
def test_equals_torch(cell):
    layer = shaken(cell(5, return_sequences=True, return_state=True))
    x = sequences()
    outputs, states = in_torch(layer)(torch.tensor(x))
    states = states if isinstance(states, tuple) else (states,)
    expected = [outputs, *(state[0] for state in states)]
    for mine, theirs in zip(arrays(layer(x)), expected, strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("cell", list(NATIVE), ids=lambda c: c.__name__)
def test_two_layers_both_ways_with_padding_equal_torch(cell):
    x, mask = sequences(), right_padded()
    first = keras.layers.Bidirectional(cell(5, return_sequences=True))
    second = keras.layers.Bidirectional(cell(4, return_sequences=True))
    last = keras.layers.Bidirectional(cell(4))
    for layer, features in (first, 3), (second, 10), (last, 10):
        shaken(layer, (None, None, features))
    last.set_weights(second.get_weights())

    ours = second(first(x, mask=mask), mask=mask)
    inner, _ = in_torch(first.forward_layer, first.backward_layer)(packed(x, LENGTHS))
    outputs, states = in_torch(second.forward_layer, second.backward_layer)(inner)
    np.testing.assert_allclose(arrays(ours)[0], unpacked(outputs), atol=1e-5)

    h = states[0] if isinstance(states, tuple) else states
    expected = np.concatenate(h.detach().numpy(), axis=-1)
    np.testing.assert_allclose(arrays(last(first(x, mask=mask), mask=mask))[0], expected, atol=1e-5)


@pytest.mark.parametrize("cell", list(NATIVE), ids=lambda c: c.__name__)
def test_gradients_equal_torch_with_padding(cell):
    layer = shaken(cell(5, return_sequences=True))
    x, mask = sequences(), right_padded()
    weigh = sequences(4, 7, 5, seed=3)
    _, found = value_and_grad(
        lambda: ops.sum(ops.multiply(layer(x, mask=mask), weigh)), layer.trainable_variables
    )
    kernel, recurrent_kernel, bias = arrays(found)
    module = in_torch(layer)
    outputs, _ = module(packed(x, LENGTHS))
    (
        torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0] * torch.tensor(weigh)
    ).sum().backward()
    found = [v.grad.numpy() for v in (module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0)]
    if isinstance(layer, GRU):
        r, z, n = np.split(np.arange(15), 3)
        found = [v[np.concatenate([z, r, n])] for v in found]
        bias = bias[0]
    for mine, theirs in zip((kernel.T, recurrent_kernel.T, bias), found, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


MASKS = {
    "right": right_padded(),
    "left": right_padded()[:, ::-1].copy(),
    "gaps": np.array([[1, 0, 1, 1, 0, 0, 1], [0, 1, 0, 1, 0, 1, 0], [1] * 7, [0, 0, 0, 1, 0, 0, 0]], bool),
}


@every_cell
@both_ways
@pytest.mark.parametrize("kind", list(MASKS))
def test_padding_changes_nothing(cell, backwards, kind):
    """Outputs and states of a padded sequence are those of its real steps alone; the padding's are zeros."""
    layer = shaken(CELLS[cell](4, return_sequences=True, return_state=True, go_backwards=backwards))
    x, mask = sequences(), MASKS[kind]
    outputs, *states = arrays(layer(x, mask=mask))
    order = mask[:, ::-1] if backwards else mask
    assert (outputs[~order] == 0).all()
    for i, real in enumerate(mask):
        alone, *states_alone = arrays(layer(x[i : i + 1, real]))
        np.testing.assert_allclose(outputs[i, order[i]], alone[0], atol=1e-5)
        for state, state_alone in zip(states, states_alone, strict=True):
            np.testing.assert_allclose(state[i], state_alone[0], atol=1e-5)


@every_cell
def test_both_ways_at_once_with_padding(cell):
    layer = keras.layers.Bidirectional(CELLS[cell](4, return_sequences=True))
    last = keras.layers.Bidirectional(CELLS[cell](4))
    x, mask = sequences(), MASKS["right"]
    shaken(layer), shaken(last)
    last.set_weights(layer.get_weights())
    outputs, ends = arrays(layer(x, mask=mask))[0], arrays(last(x, mask=mask))[0]
    for i, real in enumerate(mask):
        alone = arrays(layer(x[i : i + 1, real]))[0][0]
        np.testing.assert_allclose(outputs[i, real], alone, atol=1e-5)
        np.testing.assert_allclose(ends[i], np.concatenate([alone[-1, :4], alone[0, 4:]]), atol=1e-5)
    assert (outputs[~mask] == 0).all()


@every_cell
def test_nothing_but_padding_leaves_the_state_as_it_was(cell):
    layer = shaken(CELLS[cell](4, return_state=True))
    x, mask = sequences(), MASKS["right"] & np.array([[1], [0], [1], [1]], bool)
    start = [np.full((4, 4), 0.1 * i, "float32") for i in range(1, 1 + len(layer.state_size))]
    last, *states = arrays(layer(x, mask=mask, initial_state=start))
    for state, before in zip(states, start, strict=True):
        np.testing.assert_allclose(state[1], before[1])
    np.testing.assert_allclose(last, states[0])


@pytest.mark.parametrize("cell", list(NATIVE), ids=lambda c: c.__name__)
def test_equals_the_layer_of_keras(cell):
    """In all it can be asked for, whichever loop takes it, and with the same configuration."""
    x, mask = sequences(), MASKS["right"]
    for arguments in (
        dict(go_backwards=True, return_sequences=True),
        dict(use_bias=False, return_sequences=True),
        dict(activation="relu", return_sequences=True),
        dict(return_sequences=True, zero_output_for_mask=False),
        dict(unroll=True),
    ):
        ours = shaken(cell(4, **arguments))
        theirs = cell.__mro__[2](4, **{"zero_output_for_mask": True, **arguments})
        assert theirs.__module__.startswith("keras.src")
        theirs.build((None, None, 3))
        theirs.set_weights(ours.get_weights())
        np.testing.assert_allclose(arrays(ours(x))[0], arrays(theirs(x))[0], atol=1e-5)
        if not ours.unroll:  # whose last output Keras has as zeros
            masked = [arrays(layer(x, mask=mask))[0] for layer in (ours, theirs)]
            np.testing.assert_allclose(*masked, atol=1e-5)
        assert {**theirs.get_config(), "name": ours.name} == ours.get_config()


def test_the_loop_goes_where_keras_has_its_own():
    """`inner_loop` is the one seam; here it takes what `Looped` takes."""
    expected = ["self", "sequences", "initial_state", "mask", "training"]
    for cell in (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU):
        assert list(inspect.signature(cell.inner_loop).parameters) == expected
    calls = []

    class Counted(LSTM):
        def loop(self, x, states, mask):
            calls.append([tuple(x.shape), len(states)])
            return super().loop(x, states, mask)

    Counted(4)(sequences())
    Counted(4, activation="relu")(sequences())
    assert calls == [[(4, 7, 3), 2]]


def test_dropout_drops_the_same_features_at_every_step():
    layer = shaken(SimpleRNN(3, dropout=0.5, return_sequences=True, seed=1))
    layer.set_weights([np.eye(3), np.zeros((3, 3)), np.zeros(3)])
    outputs = arrays(layer(np.ones((4, 5, 3), "float32"), training=True))[0]
    assert (outputs == outputs[:, :1]).all()
    np.testing.assert_allclose(np.unique(outputs), [0, np.tanh(2)], atol=1e-6)


def test_stateful_layers_go_on_where_they_were():
    x = sequences(time=6)
    whole = shaken(LSTM(4))
    parts = LSTM(4, stateful=True)
    parts.build((4, 3, 3))
    for variable, value in zip(parts.trainable_variables, whole.get_weights(), strict=True):
        variable.assign(value)
    parts(x[:, :3])
    np.testing.assert_allclose(arrays(parts(x[:, 3:]))[0], arrays(whole(x))[0], atol=1e-5)


def test_a_leaky_unit_that_forgets_at_once_is_a_simple_one():
    leaky, simple = LeakyRNN(4, leak=1, return_sequences=True), shaken(SimpleRNN(4, return_sequences=True))
    leaky.build((None, None, 3))
    leaky.set_weights(simple.get_weights())
    np.testing.assert_allclose(arrays(leaky(sequences()))[0], arrays(simple(sequences()))[0], atol=1e-6)


def test_a_leaky_unit_decays_at_its_rate():
    """Towards zero without input, and towards its fixed point, `tanh(b)`, with a constant one."""
    layer = LeakyRNN(2, leak=(0.5, 0.1), return_sequences=True)
    layer.build((None, None, 3))
    rates, steps = np.array([0.5, 0.1]), np.arange(1, 8)[:, None]
    for bias in (0.0, 0.7):
        layer.set_weights([np.zeros((3, 2)), np.zeros((2, 2)), np.full(2, bias)])
        start = np.array([[0.8, -0.4]], "float32")
        outputs = arrays(layer(sequences(1), initial_state=start))[0][0]
        rest = np.tanh(bias)
        np.testing.assert_allclose(outputs - rest, (1 - rates) ** steps * (start - rest), atol=1e-6)


def test_leaks_are_shared_out_among_units():
    assert LeakyRNN(5, leak=(1.0, 0.1)).rates == [1.0, 1.0, 1.0, 0.1, 0.1]
    assert LeakyRNN(4, leak=0.2).rates == [0.2] * 4


def test_a_skip_unit_without_skips_is_a_simple_one():
    skip, simple = SkipRNN(4, delay=3, return_sequences=True), shaken(SimpleRNN(4, return_sequences=True))
    skip.build((None, None, 3))
    skip.set_weights([np.zeros((4, 4)), *simple.get_weights()])
    np.testing.assert_allclose(arrays(skip(sequences()))[0], arrays(simple(sequences()))[0], atol=1e-6)


def test_a_skip_unit_with_skips_alone_is_several_interleaved_nets():
    delay, simple = 3, shaken(SimpleRNN(4, return_sequences=True))
    kernel, recurrent_kernel, bias = simple.get_weights()
    skip = SkipRNN(4, delay=delay, return_sequences=True)
    skip.build((None, None, 3))
    skip.set_weights([recurrent_kernel, kernel, np.zeros((4, 4)), bias])
    x = sequences()
    outputs = arrays(skip(x))[0]
    for start in range(delay):
        np.testing.assert_allclose(outputs[:, start::delay], arrays(simple(x[:, start::delay]))[0], atol=1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: LeakyRNN(4, leak=0), "leak must be one rate in"),
        (lambda: LeakyRNN(2, leak=(0.1, 0.2, 0.3)), "up to units=2 of them"),
        (lambda: SkipRNN(4, delay=1), "delay must be a whole number of steps from 2, got 1"),
        (lambda: SkipRNN(4, recurrent_dropout=0.1), "recurrent_dropout is not for"),
    ],
)
def test_layers_say_what_they_cannot_take(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@every_cell
def test_a_layer_is_the_same_from_its_configuration(cell):
    layer = shaken(CELLS[cell](4, return_sequences=True))
    twin = type(layer).from_config(layer.get_config())
    twin.build((None, None, 3))
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(arrays(twin(sequences()))[0], arrays(layer(sequences()))[0])
