"""The training step on torch, without what it does not need.

Keras' own step on torch leaves each gradient in its weight, as `loss.backward()` does, and clears
them after the next forward pass: so the last gradients lie in memory beside the next activations,
and every weight is looked up twice. Here the gradients are asked for and handed to the optimizer,
and nothing is kept. All that a step means is still Keras' own: loss, `add_loss`, regularizers,
sample weights, metrics, loss scaling, clipping, accumulation.
"""

import keras
from keras import ops

from keraszoo.backend import kernels
from keraszoo.training.graph import Graph


class Step(Graph):
    """A mixin in front of `keras.Model`; it changes nothing on TensorFlow and JAX."""

    def train_step(self, *args, **kwargs):
        """One update on a batch; returns the metrics so far, by name."""
        if not kernels.EAGER:
            return super().train_step(*args, **kwargs)
        data = keras.tree.map_structure(kernels.as_tensor, (args, kwargs))
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(*data[0], **data[1])
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        count = next(value for value in keras.tree.flatten(x) if value is not None).shape[0]
        for metric in self.metrics:
            if metric.name == "loss":
                kernels.include(metric, loss * count, count)
        # Keras' metrics multiply weights by a mask where they lie, and the gradient of the loss may need them yet.
        copied = keras.tree.map_structure(ops.copy, sample_weight, none_is_leaf=False)
        logs = self.compute_metrics(x, y, y_pred, copied)
        del y_pred  # the loss keeps what its gradient needs
        if weights := self.trainable_weights:
            kernels.descend(self.optimizer, loss, weights)
        return logs

    def fit(self, *args, callbacks=None, **kwargs):
        """`keras.Model.fit`, with its arguments."""
        return super().fit(*args, callbacks=promptly(callbacks), **kwargs)

    def evaluate(self, *args, callbacks=None, **kwargs):
        """`keras.Model.evaluate`, with its arguments."""
        return super().evaluate(*args, callbacks=promptly(callbacks), **kwargs)

    def predict(self, *args, callbacks=None, **kwargs):
        """`keras.Model.predict`, with its arguments."""
        return super().predict(*args, callbacks=promptly(callbacks), **kwargs)

    def make_train_function(self, force=False):
        return several(self, "train_function", super().make_train_function, force, join=last)

    def make_test_function(self, force=False):
        return several(self, "test_function", super().make_test_function, force, join=last)

    def make_predict_function(self, force=False):
        return several(self, "predict_function", super().make_predict_function, force, join=concatenated)

    def _post_build(self):
        """Keras (3.15) lists all weights for torch anew at every `train_on_batch`; once is enough."""
        if not kernels.EAGER or len(getattr(self, "_torch_params", ())) != len(self.variables):
            super()._post_build()


def several(model, name, make, force, join):
    """Make one of a trainer's functions; on torch, where Keras' own takes one batch, one that takes several.

    Args:
        model: Its `steps_per_execution` says how many.
        name: The attribute that holds the function.
        make: Keras' method that makes it.
        force: Make it anew.
        join: What to do with a list of results.
    """
    steps = model.steps_per_execution
    if not kernels.EAGER or steps == 1 or (getattr(model, name) is not None and not force):
        return make(force)
    model.steps_per_execution = 1
    try:
        make(force)
    finally:
        model.steps_per_execution = steps
    one = getattr(model, name)
    setattr(model, name, lambda batches: join([one([batch]) for batch in batches]))


def last(results):
    return results[-1]


def concatenated(results):
    return keras.tree.map_structure(lambda *parts: keras.ops.concatenate(parts), *results)


class Prompt(keras.callbacks.Callback):
    """Does nothing, after each batch: Keras calls such callbacks where it is.

    It calls its own from another thread, to go on while a device works. Torch on a processor works
    in this very thread, so that the two only wait for each other, up to a millisecond a batch.
    """

    def on_train_batch_end(self, batch, logs=None):
        pass

    def on_test_batch_end(self, batch, logs=None):
        pass

    def on_predict_batch_end(self, batch, logs=None):
        pass


def promptly(callbacks):
    """The callbacks, called without another thread where one is of no use."""
    if isinstance(callbacks, keras.callbacks.CallbackList) or not kernels.is_immediate():
        return callbacks
    given = [] if callbacks is None else callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    return [*given, Prompt()]
