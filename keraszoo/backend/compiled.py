"""A function that reads variables, made fast where it is called again and again, as for each token of a text."""

import functools

import keras

BACKEND = keras.backend.backend()

if BACKEND == "jax":
    import jax
elif BACKEND == "tensorflow":
    import tensorflow as tf
else:
    import torch


def compiled(fn, variables, spent=()):
    """`fn`, compiled once for each shape of its arguments; on torch, run as it comes. It records no gradients.

    Args:
        fn: Function of arrays and tensors, or structures of these, that returns tensors. It may read `variables`,
            and assigns none.
        variables: Keras variables. Each call sees their values of that moment.
        spent: Numbers of the arguments that nobody needs after a call: results may be written over them.

    Returns:
        A function of the same arguments.
    """
    variables = list(variables)
    if BACKEND == "jax":

        @functools.partial(jax.jit, donate_argnums=[1 + number for number in spent])
        def pure(values, *arguments):
            with keras.StatelessScope(zip(variables, values, strict=True)):
                return fn(*arguments)

        return lambda *arguments: pure([v.value for v in variables], *arguments)
    if BACKEND == "tensorflow":
        made = {}

        def of_these_shapes(*arguments):
            """One function for each set of shapes: TensorFlow warns of one that it traces for many."""
            leaves = keras.tree.flatten(arguments)
            key = tuple((tuple(v.shape), str(v.dtype)) if hasattr(v, "shape") else v for v in leaves)
            if key not in made:
                # It counts what shares its code as one; what is partial has none.
                made[key] = tf.function(functools.partial(fn), autograph=False)
            return made[key](*arguments)

        return of_these_shapes

    @functools.wraps(fn)
    def eager(*arguments):
        with torch.inference_mode():
            return fn(*map(tensors, arguments))

    return eager


def tensors(value):
    """A structure of arrays as one of tensors of torch; what is one already, or None, stays."""
    if value is None or isinstance(value, torch.Tensor):
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(map(tensors, value))
    return keras.ops.convert_to_tensor(value)
