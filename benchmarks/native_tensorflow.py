"""The models in TensorFlow, as one writes them without Keras: variables and a `tf.function`."""

import numpy as np
import tensorflow as tf

from benchmarks.cases import stages


def convolve(x, kernel, stride=1, padding=0):
    """Explicit padding has slow gradients on a processor, so it is done apart."""
    if stride == 1:
        return tf.nn.conv2d(x, kernel, 1, "SAME" if padding else "VALID")
    sides = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    return tf.nn.conv2d(tf.pad(x, sides) if padding else x, kernel, stride, "VALID")


class LeNet5(tf.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = {name: [tf.Variable(w) for w in values] for name, values in weights.items()}

    def __call__(self, x, training):
        for name, padding in (("c1", 2), ("c3", 0)):
            kernel, bias = self.weights[name]
            x = tf.nn.relu(tf.nn.bias_add(convolve(x, kernel, 1, padding), bias))
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        x = tf.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3]))
        for name in ("c5", "f6"):
            x = tf.nn.relu(self.dense(name, x))
        return self.dense("logits", x)

    def dense(self, name, x):
        kernel, bias = self.weights[name]
        return tf.nn.bias_add(tf.matmul(x, kernel), bias)


class ResNet(LeNet5):
    """A network for large images, with bottlenecks, or for small ones, without."""

    def __init__(self, weights):
        tf.Module.__init__(self)
        self.weights = {
            name: [
                tf.Variable(w, trainable=not (name.endswith("_norm") and i > 1)) for i, w in enumerate(values)
            ]
            for name, values in weights.items()
        }
        self.depths, self.convolutions = stages(weights)

    def __call__(self, x, training):
        large = self.convolutions == 3
        x = tf.nn.relu(self.layer("conv1", x, 2 if large else 1, training))
        if large:
            x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        for stage, depth in self.depths:
            for i in range(depth):
                stride = 2 if i == 0 and stage > self.depths[0][0] else 1
                x = self.block(f"stage{stage}_block{i + 1}", x, stride, training)
        return self.dense("logits", tf.reduce_mean(x, (1, 2)))

    def block(self, name, x, stride, training):
        y = x
        for i in range(self.convolutions):
            y = self.layer(f"{name}_conv{i + 1}", y, stride if i == self.convolutions - 2 else 1, training)
            if i < self.convolutions - 1:
                y = tf.nn.relu(y)
        if f"{name}_shortcut" in self.weights:
            x = self.layer(f"{name}_shortcut", x, stride, training)
        elif stride > 1:  # option A: leave pixels out, and add channels of zeros
            x = tf.pad(x[:, ::stride, ::stride], [[0, 0], [0, 0], [0, 0], [0, y.shape[-1] - x.shape[-1]]])
        return tf.nn.relu(x + y)

    def layer(self, name, x, stride, training):
        """Convolve, and normalise over the batch."""
        (kernel,), (gamma, beta, mean, variance) = self.weights[name], self.weights[f"{name}_norm"]
        x = convolve(x, kernel, stride, kernel.shape[0] // 2)
        if not training:
            return tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, 1e-5, is_training=False)[
                0
            ]
        x, now, spread = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=1e-5, is_training=True)
        mean.assign(0.9 * mean + 0.1 * now)
        variance.assign(0.9 * variance + 0.1 * spread)
        return x


MODELS = {"lenet5": LeNet5, "resnet50": ResNet, "resnet20": ResNet}


class AdamW(tf.Module):
    """AdamW for some weights, with Keras' epsilon."""

    def __init__(self, learned, rate, decay=0.0, beta=0.9):
        super().__init__()
        self.learned, self.rate, self.decay, self.beta = learned, rate, decay, beta
        self.first, self.second = ([tf.Variable(tf.zeros_like(w)) for w in learned] for _ in range(2))
        self.count = tf.Variable(0.0)

    def step(self, gradients):
        self.count.assign_add(1.0)
        now = self.rate * tf.sqrt(1 - 0.999**self.count) / (1 - self.beta**self.count)
        gradients = [tf.convert_to_tensor(g) for g in gradients]  # those of embeddings come in slices
        for w, m, v, g in zip(self.learned, self.first, self.second, gradients, strict=True):
            m.assign_add((1 - self.beta) * (g - m))
            v.assign_add(0.001 * (g * g - v))
            if self.decay:
                w.assign(w * (1 - self.rate * self.decay) - now * m / (tf.sqrt(v) + 1e-7))
            else:
                w.assign_sub(now * m / (tf.sqrt(v) + 1e-7))


class Native:
    """Training and prediction: one traced function each.

    Args:
        name: A key of `MODELS`.
        weights: As `cases.named_weights` gives them.
        rate: Learning rate of Adam.
        compiled: Compile with XLA, as Keras does by default.
    """

    def __init__(self, name, weights, rate, compiled=False):
        self.model, self.rate, self.compiled = MODELS[name](weights), rate, compiled
        self.train = None
        self.forward = tf.function(lambda x: self.model(x, False), jit_compile=compiled)

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        self.train = self.train or self.traced()
        return [self.train(x, y)]

    def traced(self):
        """A training step with Adam, and the memory that Adam keeps."""
        optimizer = AdamW(self.model.trainable_variables, self.rate)

        @tf.function(jit_compile=self.compiled, reduce_retracing=True)
        def step(x, y):
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, self.model(x, True))
                loss = tf.reduce_mean(losses)
            optimizer.step(tape.gradient(loss, optimizer.learned))
            return loss

        return step

    def predict(self, x, batch_size):
        """Logits of all images."""
        return np.concatenate([self.forward(x[i : i + batch_size]) for i in range(0, len(x), batch_size)])


class Clipped:
    """Training and prediction of a model of another kind: one traced function each.

    Args:
        model: A module, which gives logits, classes last.
        rate: Learning rate of Adam.
        clip: Norm that no gradient exceeds.
        compiled: Compile with XLA, as Keras does by default.
    """

    def __init__(self, model, rate, clip, compiled=False):
        self.model, self.rate, self.clip, self.compiled = model, rate, clip, compiled
        self.train = None
        self.forward = tf.function(model, jit_compile=compiled)

    def seen(self, x, y):
        """What the model is called with while it learns."""
        return (x,)

    def step(self, x, y):
        """One step; the loss before it, in a list."""
        self.train = self.train or self.traced()
        return [self.train(x, y)]

    def traced(self):
        """A training step with Adam, and the memory that Adam keeps."""
        optimizer = AdamW(self.model.trainable_variables, self.rate)

        @tf.function(jit_compile=self.compiled, reduce_retracing=True)
        def step(x, y):
            with tf.GradientTape() as tape:
                logits = self.model(*self.seen(x, y))
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
            found = tape.gradient(loss, optimizer.learned)
            whole = [tf.convert_to_tensor(g) for g in found]  # slices would have another norm
            gradients, _ = tf.clip_by_global_norm(whole, self.clip)
            optimizer.step(gradients)
            return loss

        return step

    def predict(self, x, batch_size):
        """Logits of all that is in an array, or in several, one for each input."""
        x = x if isinstance(x, tuple) else (x,)
        rows = range(0, len(x[0]), batch_size)
        return np.concatenate([self.forward(*(v[i : i + batch_size] for v in x)) for i in rows])
