"""What is true of recurrent nets: equality with torch, closed forms, and that padding changes nothing."""

import inspect

import keras
import numpy as np
import pytest
import torch
from keras import ops

import keraszoo
from keraszoo import front, registry
from keraszoo.backend.autodiff import value_and_grad
from keraszoo.layers import GRU, LSTM, LeakyRNN, SimpleRNN, SkipRNN
from keraszoo.training.optimizers import SGD

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


# Models


@pytest.mark.parametrize("name, size", {"simple_rnn": 32_896, "lstm": 131_584, "gru": 99_072}.items())
def test_sizes_of_one_layer(name, size):
    builder = registry.entry(name).load()
    count = front.trainable(front.abstract(builder, dict(cell=name, input_shape=(None, 128), num_classes=10)))
    assert count == size + 1290  # and the head


def test_padded_tokens_change_no_answer_loss_or_score():
    arguments = dict(vocabulary_size=9, embed_dim=4, units=4, num_classes=3, bidirectional=True)
    model = keraszoo.build("lstm", seed=0, return_sequences=True, **arguments)
    whole = keraszoo.build("lstm", seed=0, **arguments)
    x, y = np.array([[3, 7, 1, 5, 0, 0]]), np.array([[0, 2, 1, 1, 2, 2]])
    for net in (model, whole):
        padded, bare = (net.predict(v, verbose=0) for v in (x, x[:, :4]))
        np.testing.assert_allclose(padded[:, :4] if padded.ndim == 3 else padded, bare, atol=1e-5)
    scores = [model.evaluate(x[:, :n], y[:, :n], verbose=0) for n in (6, 4)]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_padded_values_change_no_answer():
    model = keraszoo.build("gru", seed=0, input_shape=(None, 2), num_values=2, units=4, mask_value=-1.0)
    x = sequences(2, 5, 2)
    longer = np.pad(x, ((0, 0), (0, 3), (0, 0)), constant_values=-1)
    np.testing.assert_allclose(model.predict(longer, verbose=0), model.predict(x, verbose=0), atol=1e-5)
    assert isinstance(model.loss, keras.losses.MeanSquaredError)


def test_gradients_are_clipped_by_their_norm():
    """However steep the loss: without momentum, a step moves the weights by the learning rate."""
    model = keraszoo.build("lstm", seed=0, input_shape=(4, 3), units=4, num_values=1)
    assert model.optimizer.global_clipnorm == 1.0
    model.compile(SGD(0.1, global_clipnorm=1.0), "mse")
    before = model.get_weights()
    model.fit(sequences(4, 4), np.full((4, 1), 1e4, "float32"), verbose=0)
    moved = [(a - b).ravel() for a, b in zip(model.get_weights(), before, strict=True)]
    assert np.linalg.norm(np.concatenate(moved)) == pytest.approx(0.1, rel=1e-3)


def test_adam_clips_first():
    """Gradients a thousand times as steep make the same step; Adam's own memory of them shows it."""
    seen = []
    for steep in (1e4, 1e7):
        model = keraszoo.build("simple_rnn", seed=0, input_shape=(4, 3), units=4, num_values=1)
        model.fit(sequences(4, 4), np.full((4, 1), steep, "float32"), verbose=0)
        seen.append(
            np.concatenate([np.ravel(ops.convert_to_numpy(v)) for v in model.optimizer.variables[2:]])
        )
    np.testing.assert_allclose(*seen, rtol=1e-2, atol=1e-4)
    assert 0 < np.abs(seen[0]).max() <= 0.1 + 1e-6  # a tenth of the gradient is the first moving average


def jordan(**more):
    model = keraszoo.build("jordan_rnn", seed=0, input_shape=(5, 3), units=4, **more)
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model, {w.name: ops.convert_to_numpy(w) for w in model.trainable_variables}


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_jordan_hears_what_it_said_or_what_it_should_have_said(kind):
    categories = kind == "classes"
    model, w = jordan(**(dict(num_classes=3) if categories else dict(num_values=2)))
    x = sequences(2, 5)
    y = np.array([[0, 2, 1, 1, 2], [1, 1, 0, 2, 0]]) if categories else sequences(2, 5, 2, seed=4)
    heard = np.eye(3)[y] if categories else y

    def by_hand(forced):
        last, found = np.zeros((2, heard.shape[-1])), []
        for t in range(5):
            h = np.tanh(x[:, t] @ w["kernel"] + last @ w["feedback_kernel"] + w["bias"])
            found.append(h @ w["output_kernel"] + w["output_bias"])
            said = np.eye(3)[found[-1].argmax(-1)] if categories else found[-1]
            last = heard[:, t] if forced else said
        return np.stack(found, axis=1)

    np.testing.assert_allclose(model.predict(x, verbose=0), by_hand(False), atol=1e-5)
    forced = model.forced.predict([x, y.astype("float32")], verbose=0)
    np.testing.assert_allclose(forced, by_hand(True), atol=1e-5)
    assert not np.allclose(by_hand(True), by_hand(False), atol=1e-3)


def test_jordan_learns_from_true_answers_and_is_judged_on_its_own():
    model, _ = jordan(num_values=1)
    x, y = sequences(2, 5), sequences(2, 5, 1, seed=4)
    forced, free = model.forced.predict([x, y], verbose=0), model.predict(x, verbose=0)
    judged = model.evaluate(x, y, verbose=0, return_dict=True)["network_loss"]
    assert judged == pytest.approx(np.mean((free - y) ** 2), rel=1e-4)
    model.optimizer.learning_rate = 0.0
    learned = model.fit(x, y, verbose=0).history["network_loss"][0]
    assert learned == pytest.approx(np.mean((forced - y) ** 2), rel=1e-4) != pytest.approx(judged, rel=1e-3)


def test_context_conditions_every_step():
    """With a net that forgets at once all steps are alike; with one that does not they differ."""
    model = keraszoo.build("context_rnn", seed=0, input_shape=(3,), length=4, cell="simple_rnn", units=4)
    x = sequences(2, 3)[:, 0]
    assert not np.allclose(*model.predict(x, verbose=0)[0, 1:3], atol=1e-4)
    layer = model.get_layer("recurrent1")
    kernel, recurrent_kernel, bias = layer.get_weights()
    layer.set_weights([kernel, np.zeros_like(recurrent_kernel), bias])
    outputs = model.predict(x, verbose=0)
    np.testing.assert_allclose(outputs, np.repeat(outputs[:, :1], 4, axis=1), atol=1e-6)
    assert outputs.shape == (2, 4, 10)


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("lstm", dict(input_shape=(None,)), r"input_shape must be \(time, features\), got \(None,\)"),
        ("lstm", dict(input_shape=(4, 2), vocabulary_size=5), r"must be \(time,\) with vocabulary_size"),
        ("gru", dict(depth=0), "depth must be at least 1, got 0"),
        ("gru", dict(vocabulary_size=5, mask_value=0.0), "Token 0 is padding"),
        ("lstm", dict(cell="elman"), "cell must be one of 'simple_rnn', 'lstm', 'gru', got 'elman'"),
        ("context_rnn", dict(length=0), "length must be at least 1"),
        ("context_rnn", dict(input_shape=(3, 2)), r"input_shape must be \(features,\)"),
    ],
)
def test_builders_say_what_they_cannot_make(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        keraszoo.build(name, **arguments)


def test_models_say_what_they_cannot_learn_from():
    lstm = keraszoo.build(
        "lstm", vocabulary_size=5, units=4, embed_dim=4, num_classes=3, return_sequences=True
    )
    tokens = np.array([[1, 2, 3, 4]])
    for x, y, message in (
        (tokens + 1, tokens - 1, "token numbers from 0 to 4"),
        (tokens, tokens, "class numbers from 0 to 2"),
        (tokens, tokens[:, 0], "expected"),
        (tokens, tokens[:, :3] - 1, "as many steps: x has 4, y has 3"),
        (tokens[..., None], tokens - 2, "lstm takes"),
    ):
        with pytest.raises(ValueError, match=message):
            lstm.fit(x, y, verbose=0)
    net = keraszoo.build("jordan_rnn", input_shape=(None, 3), units=4, num_classes=3)
    seen, said = sequences(2, 5), np.zeros((2, 5), int)
    for x, y, message in (
        (seen, said[:, :4], "as many steps: x has 5, y has 4"),
        (seen, said + 3, "class numbers from 0 to 2"),
        (seen, None, "y is missing"),
        (seen[..., :2], said, "jordan_rnn takes"),
    ):
        with pytest.raises(ValueError, match=message):
            net.fit(x, y, verbose=0)
