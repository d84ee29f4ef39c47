"""Keep a model's variables when a step fails.

Keras' JAX trainer takes the values out of the variables while its loop runs and puts them back
when it ends; an exception before the first step, or anywhere in `evaluate` or `predict`, leaves
the model without them. TensorFlow and torch keep values in place.
"""

import contextlib

import keras


@contextlib.contextmanager
def surviving(model):
    """Whatever is raised inside, `model` has all its variables afterwards."""
    if keras.backend.backend() != "jax":
        yield
        return
    before = [(v, v.value) for v in state(model)]
    try:
        yield
    except BaseException:
        model.jax_state_sync()  # what the finished steps had reached
        for variable, value in before:
            if emptied(variable) and not value.is_deleted():  # deleted: given to a step that then failed
                variable.assign(value)
        model.reset_metrics()
        raise


def state(model):
    """Every variable that a trainer touches: weights, seeds, metrics, optimizer slots."""
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *model.metrics_variables, *(optimizer.variables if optimizer else ())]


def emptied(variable):
    """Whether the trainer has taken the value out of `variable` (private to Keras 3.15)."""
    return variable._value is None
