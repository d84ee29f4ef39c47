"""Differentiating, branching and updating: all of a training step that is not the same on the three backends.

A step is written in stateful style: it assigns variables, applies optimizers, updates metrics and
draws from seed generators. TensorFlow and torch do that as it stands. JAX wants a pure function;
there a step runs inside a `Scope`, which holds the new values, and `transact` hands them over at
its end. The other functions here keep to this: whatever their `fn` assigns stays assigned.
"""

import threading

import keras
from keras import ops

BACKEND = keras.backend.backend()

if BACKEND == "jax":
    import jax
elif BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "torch":
    import torch


def value_and_grad(fn, variables, idle=()):
    """The value of a function, and its gradient with respect to variables.

    Args:
        fn: Function of no arguments that returns a scalar tensor, floating. It may assign variables.
        variables: Keras variables, floating.
        idle: Variables whose gradients nobody wants. The result is the same without them; torch
            then records no graph for what depends on them alone.

    Returns:
        The scalar, and a list of gradients, one for each variable, of its shape. A variable on which
        the scalar does not depend has a gradient of zeros.
    """
    if BACKEND == "jax":
        pure = Pure(fn)
        differentiated = jax.value_and_grad(
            lambda values: pure(zip(variables, values, strict=True)), has_aux=True
        )
        (value, assigned), gradients = differentiated([v.value for v in variables])
        pure.settle(assigned)
        return value, gradients
    values = [v.value for v in variables]
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            value = fn()
        return value, tape.gradient(value, values, unconnected_gradients="zero")
    still = [] if torch.compiler.is_compiling() else [v.value for v in idle if v.value.requires_grad]
    try:
        for tensor in still:
            tensor.requires_grad_(False)
        with torch.enable_grad():
            value = fn()
    finally:
        for tensor in still:
            tensor.requires_grad_(True)
    if not value.requires_grad:
        return value, [torch.zeros_like(v) for v in values]
    # Not `backward`: it would leave gradients in the weights of everyone whom the value depends on.
    gradients = torch.autograd.grad(value, values, allow_unused=True, materialize_grads=True)
    return value.detach(), list(gradients)


def gradient(fn):
    """The gradient of a function with respect to its argument; it can be differentiated again.

    For gradient penalties: `gradient(critic)(images)` is the slope of the critic at each image.

    Args:
        fn: Function of one floating tensor, whose result is a floating tensor; of several values,
            the gradient is that of their sum, so that samples which do not act on each other each
            have their own. It may assign variables.

    Returns:
        A function of a tensor, which returns the gradient, a tensor of the same shape.
    """

    def at(x):
        if BACKEND == "jax":
            pure = Pure(lambda x: ops.sum(fn(x)))
            slope, assigned = jax.grad(lambda x: pure((), x), has_aux=True)(x)
            pure.settle(assigned)
            return slope
        if BACKEND == "tensorflow":
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                y = fn(x)
            return tape.gradient(y, x, unconnected_gradients="zero")
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            y = fn(x).sum()
            if not y.requires_grad:
                return torch.zeros_like(x)
            return torch.autograd.grad(y, x, create_graph=True, allow_unused=True, materialize_grads=True)[0]

    return at


def when(condition, fn):
    """Call a function if a condition, known only as the step runs, is true.

    Args:
        condition: Scalar bool tensor.
        fn: Function of no arguments that assigns variables; what it returns is lost.

    Raises:
        NotImplementedError: Under `tf.distribute` with several replicas, where no branch can update
            variables.
    """
    if BACKEND == "jax":
        pure = Pure(fn)
        # `cond` traces its first branch first: what that one assigns, the other hands back as it is.
        pure.settle(jax.lax.cond(condition, lambda: pure(())[1], lambda: [v.value for v in pure.assigned]))
    elif BACKEND == "tensorflow":
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise NotImplementedError(
                "TensorFlow cannot update variables in a branch on several replicas, so that a player with "
                "`every` above 1 cannot play there. Use `repeat` for the other players instead, or one device."
            )

        def call():
            fn()
            return tf.constant(True)

        tf.cond(condition, call, lambda: tf.constant(False))
    elif condition:
        fn()


def apply_gradients(optimizer, gradients, variables):
    """Let an optimizer update variables.

    Args:
        optimizer: A Keras optimizer, built on these variables.
        gradients: Tensors, one for each variable, of a loss that was multiplied by what
            `optimizer.scale_loss` multiplies with. Under `tf.distribute`, each replica hands in the
            gradients of the mean over its own part of the batch.
        variables: The Keras variables.
    """
    if BACKEND == "jax":
        slots = optimizer.variables
        new, state = optimizer.stateless_apply(
            [v.value for v in slots], gradients, [v.value for v in variables]
        )
        for variable, value in zip([*variables, *slots], [*new, *state], strict=True):
            variable.assign(value)
    elif BACKEND == "tensorflow":
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:  # Keras adds up what the replicas hand in
            gradients = [_divided(g, replicas) for g in gradients]
        optimizer.apply(gradients, variables)
    else:
        with torch.no_grad():
            optimizer.apply(gradients, variables)


def _divided(gradient, count):
    """A dense or sparse gradient of TensorFlow over a number."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values / count, gradient.indices, gradient.dense_shape)
    return gradient / count


def transact(step, groups, *arguments):
    """Run a step in the way in which Keras' trainer of this backend calls one.

    Args:
        step: Function of a batch, in stateful style, that returns logs.
        groups: Lists of Keras variables: the state that the trainer keeps, in its order.
        *arguments: What the trainer hands over: a batch; on JAX, the values of `groups`, and a batch.

    Returns:
        What the trainer wants: the logs; on JAX, the logs, and the new values of `groups`.
    """
    if BACKEND != "jax":
        return step(*arguments)
    state, data = arguments
    held = [
        pair for group, values in zip(groups, state, strict=True) for pair in zip(group, values, strict=True)
    ]
    with Scope(held):
        logs = step(data)
        return logs, tuple([v.value for v in group] for group in groups)


class Scope(keras.StatelessScope):
    """A `keras.StatelessScope` that knows what was assigned in it, and looks further out for what was not."""

    open = threading.local()

    def __init__(self, values=()):
        super().__init__(values)
        self.assigned = {}

    def __enter__(self):
        self.outer = getattr(Scope.open, "scope", None)
        Scope.open.scope = self
        return super().__enter__()

    def __exit__(self, *error):
        Scope.open.scope = self.outer
        return super().__exit__(*error)

    def add_update(self, update):
        variable, _ = update
        self.assigned[id(variable)] = variable
        super().add_update(update)

    def get_current_value(self, variable):
        value = super().get_current_value(variable)
        return self.outer.get_current_value(variable) if value is None and self.outer else value


class Pure:
    """A function that reads and assigns variables, as a pure one, for JAX to transform.

    Called with pairs of variables and values, and the function's arguments, it returns the result,
    and the values of everything that was assigned, for `settle` to assign outside.
    """

    def __init__(self, fn):
        self.fn = fn
        self.assigned = []

    def __call__(self, values, *arguments):
        with Scope(values) as scope:
            result = self.fn(*arguments)
            self.assigned = list(scope.assigned.values())
            return result, [v.value for v in self.assigned]

    def settle(self, values):
        for variable, value in zip(self.assigned, values, strict=True):
            variable.assign(value)
