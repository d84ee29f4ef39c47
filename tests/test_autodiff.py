"""The four primitives of a step mean the same on each backend, inside a compiled step and outside."""

import keras
import numpy as np
import pytest
from keras import ops

from keraszoo.backend import autodiff
from keraszoo.backend.autodiff import apply_gradients, gradient, value_and_grad, when


def variable(value, **more):
    return keras.Variable(np.asarray(value, "float32"), **more)


def test_value_and_gradient_of_a_cube():
    x, aside = variable([1.0, 2.0]), variable([5.0])
    value, (slope, nothing) = value_and_grad(lambda: ops.sum(x**3), [x, aside])
    assert float(value) == 9.0
    np.testing.assert_allclose(slope, [3.0, 12.0])
    np.testing.assert_array_equal(nothing, [0.0])


def test_a_constant_has_no_slope():
    x = variable([1.0])
    value, (slope,) = value_and_grad(lambda: ops.ones(()), [x])
    assert float(value) == 1.0
    np.testing.assert_array_equal(slope, [0.0])


def test_what_a_loss_assigns_stays_assigned():
    x, count = variable(3.0), variable(0.0, trainable=False)

    def loss():
        count.assign(count + 2.0)
        return x * x * count

    value, (slope,) = value_and_grad(loss, [x])
    assert (float(value), float(slope), float(count)) == (18.0, 12.0, 2.0)


def test_gradients_reach_nobody_else():
    x, other = variable(3.0), variable(2.0)
    for idle in ((), (other,)):
        value_and_grad(lambda: x * other, [x], idle)
        if keras.backend.backend() == "torch":
            assert other.value.grad is None and x.value.grad is None
            assert other.value.requires_grad


def test_idle_variables_are_given_back_after_an_error():
    x, other = variable(3.0), variable(2.0)
    with pytest.raises(ZeroDivisionError):
        value_and_grad(lambda: 1 // 0, [x], [other])
    _, (slope,) = value_and_grad(lambda: x * other, [other])
    assert float(slope) == 3.0


def test_a_gradient_can_be_differentiated_again():
    a = variable(2.0)
    x = ops.convert_to_tensor(np.array([[1.0], [3.0]], "float32"))

    def penalty():
        slope = gradient(lambda x: a * x**3)(x)  # 3 a x^2, for each sample by itself
        return ops.sum(slope**2)  # 9 a^2 x^4

    value, (slope,) = value_and_grad(penalty, [a])
    np.testing.assert_allclose(float(value), 9 * 4 * (1 + 81))
    np.testing.assert_allclose(float(slope), 18 * 2 * (1 + 81))


def test_a_gradient_goes_on_to_what_its_argument_came_from():
    a = variable(2.0)
    _, (slope,) = value_and_grad(lambda: ops.sum(gradient(lambda x: x**3)(a * ops.ones((1,)))), [a])
    np.testing.assert_allclose(float(slope), 6 * 2.0)  # of 3 a^2


def test_the_slope_of_a_constant_is_zero():
    np.testing.assert_array_equal(gradient(lambda x: ops.ones((2,)))(ops.ones((2, 3))), np.zeros((2, 3)))


def test_an_update_happens_when_its_condition_holds():
    x, seed = variable(0.0), keras.random.SeedGenerator(1)
    before = ops.convert_to_numpy(seed.state)

    def fn():
        x.assign(x + 1.0)
        keras.random.normal((2,), seed=seed)

    when(ops.convert_to_tensor(False), fn)
    assert float(x) == 0.0
    np.testing.assert_array_equal(seed.state, before)
    when(ops.convert_to_tensor(True), fn)
    assert float(x) == 1.0
    assert not np.array_equal(ops.convert_to_numpy(seed.state), before)


@pytest.mark.parametrize(
    "options", [{}, {"clipnorm": 0.5}, {"gradient_accumulation_steps": 2}, {"use_ema": True}]
)
def test_an_update_is_the_optimizers_own(options):
    x = variable([3.0, -4.0])
    optimizer = keras.optimizers.SGD(0.1, **options)
    optimizer.build([x])
    for _ in range(2):
        apply_gradients(optimizer, [ops.convert_to_tensor(np.array([3.0, 4.0], "float32"))], [x])
    step = {"clipnorm": [0.3, 0.4], "gradient_accumulation_steps": [1.5, 2.0]}
    expected = np.array([3.0, -4.0]) - 0.2 * np.array(step.get(next(iter(options), ""), [3.0, 4.0]))
    np.testing.assert_allclose(x, expected, rtol=1e-6)


def test_overflow_skips_an_update_and_lowers_the_scale():
    x = variable([1.0])
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=8.0)
    optimizer.build([x])
    apply_gradients(optimizer, [ops.convert_to_tensor(np.array([np.inf], "float32"))], [x])
    assert float(x[0]) == 1.0 and float(optimizer.dynamic_scale) == 4.0
    apply_gradients(optimizer, [ops.convert_to_tensor(np.array([4.0], "float32"))], [x])
    assert float(x[0]) == 0.5


def test_nested_inside_each_other_in_one_compiled_step():
    """A loss that draws noise and keeps statistics, its gradient, an update, a branch: in one go."""
    x, seen = variable(2.0), variable(0.0, trainable=False)
    seed = keras.random.SeedGenerator(3)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build([x])

    def loss(batch):
        keras.random.normal((3,), seed=seed)
        seen.assign(seen + 1.0)
        slope = gradient(lambda b: x * b**2)(batch)  # 2 x b
        return ops.mean(slope)

    def step(batch):
        value, gradients = value_and_grad(lambda: loss(batch), [x])
        when(value > 0, lambda: apply_gradients(optimizer, gradients, [x]))
        when(value < 0, lambda: seen.assign(seen + 100.0))
        return value

    groups = [[x], [seen, seed.state], optimizer.variables]
    batch = ops.convert_to_tensor(np.array([1.0, 2.0], "float32"))
    if keras.backend.backend() == "jax":
        import jax

        run = jax.jit(lambda state, batch: autodiff.transact(step, groups, state, batch))
        values, state = run(tuple([v.value for v in group] for group in groups), batch)
        for group, new in zip(groups, state, strict=True):
            for v, value in zip(group, new, strict=True):
                v.assign(value)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        values = tf.function(lambda batch: autodiff.transact(step, groups, batch))(batch)
    else:
        values = autodiff.transact(step, groups, batch)
    np.testing.assert_allclose(float(values), 6.0)  # 2 * 2 * 1.5
    np.testing.assert_allclose(float(x), 2.0 - 0.1 * 3.0)
    assert float(seen) == 1.0 and int(optimizer.iterations) == 1
    fresh = keras.random.SeedGenerator(3)
    keras.random.normal((3,), seed=fresh)
    np.testing.assert_array_equal(seed.state, fresh.state)
