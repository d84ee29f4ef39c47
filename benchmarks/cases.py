"""What is compared: each architecture at one size, with random data of that size."""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Case:
    """An architecture, the arguments it is built with, and how much data an epoch holds."""

    name: str
    classes: int
    input_shape: tuple[int, int, int]  # (height, width, channels)
    batch_size: int
    batches: int  # in an epoch: enough that starting `fit` does not count
    learning_rate: float  # so small that rounding does not grow into another loss within three steps
    arguments: dict = field(default_factory=dict)

    def build(self):
        """Our side: the model as `keraszoo.build` hands it out."""
        import keraszoo

        model = keraszoo.build(
            self.name, seed=0, input_shape=self.input_shape, num_classes=self.classes, **self.arguments
        )
        model.optimizer.learning_rate = self.learning_rate
        return model

    def data(self):
        """Images (count, height, width, channels), float32, and labels (count,), int32."""
        rng = np.random.default_rng(0)
        count = self.batch_size * self.batches
        labels = rng.integers(0, self.classes, count).astype("int32")
        return rng.normal(size=(count, *self.input_shape)).astype("float32"), labels

    def small(self):
        """The same structure, so small that a test can afford it."""
        sizes = {
            "lenet5": dict(),
            "resnet50": dict(depths=(2, 1), filters=(8, 16), stem_filters=8),
            "resnet20": dict(depth=8, filters=(4, 8, 16)),
        }
        shape = (16, 16, self.input_shape[2])
        arguments = {**self.arguments, **sizes[self.name]}
        return replace(self, classes=5, input_shape=shape, batch_size=16, batches=3, arguments=arguments)


CASES = {
    case.name: case
    for case in (
        Case("lenet5", 10, (28, 28, 1), 64, batches=100, learning_rate=1e-3),
        Case("resnet50", 1000, (64, 64, 3), 32, batches=3, learning_rate=1e-6, arguments={"weight_decay": 0}),
        Case("resnet20", 10, (32, 32, 3), 64, batches=16, learning_rate=1e-4, arguments={"weight_decay": 0}),
    )
}


def named_weights(model):
    """The weights of a Keras model, as NumPy arrays by name of layer, in the order of the layer."""
    return {layer.name: [np.array(w) for w in layer.get_weights()] for layer in model.layers if layer.weights}


def stages(weights):
    """What the names of a residual network's weights say: [(stage, blocks), ...], convolutions of a block."""
    names = [name.split("_") for name in weights if name.endswith("_conv1")]
    numbers = [int(stage.removeprefix("stage")) for stage, _, _ in names]
    return [(n, numbers.count(n)) for n in sorted(set(numbers))], 3 if "stage2_block1_conv3" in weights else 2
