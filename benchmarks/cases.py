"""What is compared: each architecture at one size, with random data of that size."""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Case:
    """An architecture, the arguments it is built with, and how much data an epoch holds."""

    name: str
    input_shape: tuple[int, ...]  # (height, width, channels) of images
    batch_size: int
    batches: int  # in an epoch: enough that starting `fit` does not count
    learning_rate: float  # so small that rounding does not grow into another loss within three steps
    arguments: dict = field(default_factory=dict)

    native = "native"  # the modules that hold the native sides begin with this
    samples = "images"
    rounding = (
        1e-4  # predictions of two sides that compute the same differ by less than this share of their size
    )
    ways = {  # of writing the native side; the fastest stands for all
        "torch": [{"layout": "last"}, {"layout": "first"}],
        "jax": [{}],
        "tensorflow": [{"compiled": False}, {"compiled": True}],
    }

    def build(self):
        """Our side: the model as `keraszoo.build` hands it out."""
        import keraszoo

        model = keraszoo.build(self.name, seed=0, input_shape=self.input_shape, **self.arguments)
        model.optimizer.learning_rate = self.learning_rate
        return model

    def images(self, seed=0):
        """As many as an epoch has: (count, height, width, channels), float32."""
        shape = (self.batch_size * self.batches, *self.input_shape)
        return np.random.default_rng(seed).normal(size=shape).astype("float32")

    def data(self):
        """What `fit` takes, all of one length: images, and labels (count,), int32."""
        images = self.images()
        return images, np.random.default_rng(1).integers(0, self.classes, len(images)).astype("int32")

    def asked(self):
        """What `predict` takes."""
        return self.images()

    def noise(self, seed):
        """What one step draws at random, where both sides are to draw the same."""
        return []

    def drawn(self, model):
        """What our model will draw in its next step, where the native side is to take the same."""
        return []

    def compared(self, outputs):
        """What our model predicts, as the native side gives it."""
        return outputs

    @property
    def facts(self):
        """What the native side must be told beside weights and learning rate."""
        return {}

    @property
    def classes(self):
        return self.arguments["num_classes"]

    def small(self):
        """The same structure, so small that a test can afford it."""
        sizes = {**self.arguments, **SMALL[self.name]}
        shape = (*sizes.pop("sides", (16, 16)), self.input_shape[-1])
        return replace(
            self, input_shape=shape, batch_size=min(16, self.batch_size), batches=3, arguments=sizes
        )


@dataclass(frozen=True)
class Drawing(Case):
    """A game in which images are made of noise."""

    native = "game"

    def data(self):
        return (np.tanh(self.images()),)

    def asked(self):
        count = self.batch_size * self.batches
        return np.random.default_rng(2).normal(size=(count, self.latent_dim)).astype("float32")

    def noise(self, seed):
        """For the discriminator's turn and for the generator's: (batch, latent_dim) each, float32."""
        shape = (2, self.batch_size, self.latent_dim)
        return list(np.random.default_rng(seed).normal(size=shape).astype("float32"))

    @property
    def latent_dim(self):
        return self.arguments["latent_dim"]


@dataclass(frozen=True)
class Translation(Case):
    """A game in which images of one set become images of another."""

    native = "game"

    def data(self):
        """Images of both sets."""
        return np.tanh(self.images()), np.tanh(self.images(1))

    def asked(self):
        return np.tanh(self.images())


DECAY = 0.05  # of weights, where AdamW trains


@dataclass(frozen=True)
class Vision(Case):
    """A network for images that learns by AdamW."""

    native = "vision"

    def build(self):
        from keraszoo.tasks import TASKS

        model = super().build()
        scoring = TASKS[model.card["task"]].scoring(
            optimizer="adamw", learning_rate=self.learning_rate, weight_decay=DECAY
        )
        model.compile(**scoring)
        last = model.layers[-1]  # begins with zeros in a Vision Transformer, and then says nothing
        if last.name == "logits":
            kernel, bias = last.get_weights()
            last.set_weights([np.random.default_rng(3).normal(0, 0.02, kernel.shape), bias])
        return model

    @property
    def facts(self):
        return dict(decay=DECAY)


@dataclass(frozen=True)
class Segmentation(Vision):
    """A class for each pixel."""

    def data(self):
        """Images, and (count, height, width) labels, int32."""
        images = self.images()
        labels = np.random.default_rng(1).integers(0, self.classes, images.shape[:3])
        return images, labels.astype("int32")


@dataclass(frozen=True)
class Attentive(Vision):
    """A Vision Transformer; the native side on torch is that of `transformers`."""

    ways = {**Case.ways, "torch": [{"fused": False}, {"fused": True}]}

    @property
    def facts(self):
        return dict(decay=DECAY, size=self.input_shape[0], heads=self.arguments["num_heads"])


@dataclass(frozen=True)
class Masked(Attentive):
    """A masked autoencoder: its data are images, and noise that says what of them is hidden."""

    def data(self):
        return self.images(), self.hiding(1)

    def asked(self):
        return self.images(), self.hiding(2)

    def hiding(self, seed):
        """(count, patches), float32."""
        rows, columns = (side // self.arguments["patch_size"] for side in self.input_shape[:2])
        shape = (self.batch_size * self.batches, rows * columns)
        return np.random.default_rng(seed).random(shape, "float32")

    @property
    def facts(self):
        return {**super().facts, **{key: self.arguments[key] for key in ("decoder_heads", "mask_ratio")}}


@dataclass(frozen=True)
class Recurrent(Case):
    """A net that reads (time, features) step by step; its gradients are clipped, as its recipe says."""

    native = "recurrent"
    samples = "sequences"
    ways = {**Case.ways, "torch": [{"fused": False}, {"fused": True}]}

    @property
    def facts(self):
        return dict(clip=1.0)


@dataclass(frozen=True)
class Foretelling(Case):
    """A language model; `input_shape` is (time,), the tokens of a window."""

    native = "language"
    samples = "windows"
    ways = {**Case.ways, "torch": [{"fused": False}, {"fused": True}]}

    def data(self):
        """Tokens and those that follow them: (count, time) each, int32."""
        shape = (self.batch_size * self.batches, self.input_shape[0] + 1)
        text = np.random.default_rng(1).integers(0, self.arguments["vocabulary_size"], shape).astype("int32")
        return np.ascontiguousarray(text[:, :-1]), np.ascontiguousarray(text[:, 1:])

    def asked(self):
        return self.data()[0]

    @property
    def facts(self):
        return dict(clip=5.0)

    def small(self):
        sizes = {**self.arguments, **SMALL[self.name]}
        return replace(self, input_shape=(5,), batch_size=4, batches=3, arguments=sizes)


@dataclass(frozen=True)
class Transforming(Foretelling):
    """A Transformer that reads tokens, and says which token belongs at each place; it learns by AdamW."""

    native = "transformer"
    samples = "texts"

    def build(self):
        from keraszoo.tasks import TASKS

        model = super().build()
        purpose = TASKS["classification"]  # of each token, by its loss; and no metric
        scoring = purpose.scoring(optimizer="adamw", learning_rate=self.learning_rate, weight_decay=DECAY)
        model.compile(**{**scoring, "metrics": []})
        return model

    def data(self):
        """Tokens, none of which is special, and others: (count, time) each, int32."""
        x, y = super().data()
        return np.maximum(x, 4), y

    @property
    def facts(self):
        return dict(
            decay=DECAY, heads=self.arguments["num_heads"], epsilon=1e-5 if self.name == "gpt2" else 1e-12
        )


@dataclass(frozen=True)
class Writing(Case):
    """A net that writes a sentence for a sentence; `input_shape` is (time,), of both."""

    native = "translating"
    samples = "pairs of sentences"
    ways = {**Case.ways, "torch": [{"fused": False}, {"fused": True}]}

    def data(self):
        """Sources and targets: (count, time) each, int32, without padding."""
        shape = (self.batch_size * self.batches, *self.input_shape)
        rng = np.random.default_rng(1)
        return tuple(
            rng.integers(4, size, shape).astype("int32") for size in self.arguments["vocabulary_size"]
        )

    def asked(self):
        """Sources, and what was said of targets before each token."""
        x, y = self.data()
        return x, np.insert(y[:, :-1], 0, 2, axis=1)

    @property
    def facts(self):
        return dict(clip=1.0)

    def small(self):
        sizes = {**self.arguments, **SMALL[self.name]}
        return replace(self, input_shape=(5,), batch_size=4, batches=3, arguments=sizes)


@dataclass(frozen=True)
class Viewing(Case):
    """A radiance field; `input_shape` is that of a ray."""

    native = "views"
    rounding = 1e-3  # the finest waves of the encoding turn 512 times as fast as places change
    samples = "rays"
    ways = {**Case.ways, "torch": [{"joined": False}, {"joined": True}]}

    def build(self):
        import keraszoo
        from keraszoo.tasks import TASKS

        model = keraszoo.build(self.name, seed=0, input_shape=self.input_shape, **self.arguments)
        model.compile(**TASKS[model.card["task"]].scoring(learning_rate=self.learning_rate))
        # Fog everywhere: in an empty part of a ray, it is rounding that says where to look again.
        for name in ("coarse", "fine"):
            model.get_layer(name).get_layer("density").bias.assign([0.5])
        return model

    def data(self):
        """Rays, and their colours, (count, 3) in [0, 1], float32."""
        from keraszoo.tasks import TASKS

        return TASKS["view_synthesis"].example(self.batch_size * self.batches)

    def asked(self):
        return self.data()[0]

    def drawn(self, model):
        """Places, noise, more places, and noise again: (batch, samples) each, float32."""
        import keras

        def draws(generator, kind, *counts):
            seed = keras.random.SeedGenerator(0)
            seed.state.assign(generator.state)
            shapes = [(self.batch_size, count, 1) for count in counts]
            return [keras.ops.convert_to_numpy(kind(shape, seed=seed))[..., 0] for shape in shapes]

        first, more, noise = self.sizes("num_samples", "num_fine_samples", "density_noise")
        (jitter,), (places,) = (
            draws(model.get_layer(name).generator, keras.random.uniform, count)
            for name, count in (("samples", first), ("more_samples", more))
        )
        one = two = np.zeros((), "float32")
        if noise:
            generator = model.get_layer("noise").seed_generator
            one, two = (noise * v for v in draws(generator, keras.random.normal, first, first + more))
        return [jitter, one, places, two]

    def compared(self, outputs):
        """Coarse colours, colours, depths and opacities: (count, 8)."""
        depth, opacity = outputs["depth"][:, None], outputs["opacity"][:, None]
        return np.concatenate([outputs["coarse"], outputs["color"], depth, opacity], axis=1)

    def sizes(self, *names):
        return [self.arguments[name] for name in names]

    @property
    def facts(self):
        skip, noise, *samples = self.sizes("skip", "density_noise", "num_samples", "num_fine_samples")
        waves = self.sizes("frequencies", "view_frequencies")
        return dict(skip=skip, noise=noise, samples=samples, waves=waves, near=2.0, far=6.0)

    def small(self):
        sizes = {**self.arguments, **SMALL[self.name]}
        return replace(self, batch_size=8, batches=3, arguments=sizes)


MASKED = dict(patch_size=16, decoder_heads=16, mask_ratio=0.75)
WAVES = dict(frequencies=10, view_frequencies=4)
CASES = {
    case.name: case
    for case in (
        Case("lenet5", (28, 28, 1), 64, 100, 1e-3, {"num_classes": 10}),
        Case("resnet50", (64, 64, 3), 32, 3, 1e-6, {"num_classes": 1000, "weight_decay": 0}),
        Case("resnet20", (32, 32, 3), 64, 16, 1e-4, {"num_classes": 10, "weight_decay": 0}),
        Drawing("dcgan", (28, 28, 1), 64, 8, 1e-5, {"latent_dim": 100}),
        Translation("cyclegan", (64, 64, 3), 1, 4, 1e-5, {"pool_size": 0}),  # what is in the pool is chance
        Segmentation("unet", (128, 128, 3), 4, 3, 1e-6, {"num_classes": 2, "dropout": 0.0}),
        Attentive("vit_small", (224, 224, 3), 8, 3, 1e-6, {"num_classes": 1000, "num_heads": 6}),
        Recurrent("lstm", (200, 128), 64, 16, 1e-4, {"num_classes": 10, "units": 128}),
        Foretelling("rnn_language_model", (35,), 20, 8, 1e-4, dict(vocabulary_size=10_000, units=200)),
        Writing(
            "seq2seq",
            (20,),
            64,
            3,
            1e-4,
            dict(vocabulary_size=(8000, 8000), embed_dim=256, units=256, depth=1, attention=True),
        ),
        Transforming(
            "gpt2",
            (128,),
            8,
            3,
            1e-6,
            dict(embed_dim=256, depth=4, num_heads=4, vocabulary_size=50_257, dropout=0.0),
        ),
        Transforming(
            "bert_base",
            (128,),
            2,
            3,
            1e-6,
            dict(num_heads=12, vocabulary_size=30_522, separator=1, dropout=0.0),
        ),
        Viewing(
            "nerf_tiny",
            (6,),
            1024,
            3,
            1e-6,
            dict(skip=2, num_samples=24, num_fine_samples=24, density_noise=0.0, **WAVES),
        ),
        Viewing(
            "nerf",
            (6,),
            64,
            3,
            1e-6,
            dict(skip=5, num_samples=64, num_fine_samples=128, density_noise=1.0, **WAVES),
        ),
        Masked("mae_vit_base", (224, 224, 3), 8, 3, 1e-6, dict(num_heads=12, **MASKED)),
    )
}

SMALL = {  # arguments of what a test can afford
    "lenet5": dict(num_classes=5),
    "resnet50": dict(num_classes=5, depths=(2, 1), filters=(8, 16), stem_filters=8),
    "resnet20": dict(num_classes=5, depth=8, filters=(4, 8, 16)),
    "dcgan": dict(latent_dim=6, filters=4),
    "cyclegan": dict(sides=(24, 24), filters=4, blocks=1),
    "unet": dict(filters=(4, 8, 16)),
    "vit_small": dict(num_classes=5, patch_size=8, embed_dim=16, depth=2, num_heads=2),
    "lstm": dict(sides=(5,), num_classes=5, units=6),
    "rnn_language_model": dict(vocabulary_size=9, units=6, init=0.5),
    "seq2seq": dict(vocabulary_size=(9, 8), embed_dim=5, units=6),
    "gpt2": dict(vocabulary_size=9, embed_dim=16, depth=2, num_heads=2, context=6),
    "bert_base": dict(vocabulary_size=9, embed_dim=16, depth=2, num_heads=2, context=6),
    "nerf_tiny": dict(units=8, depth=3, num_samples=5, num_fine_samples=4, frequencies=3, view_frequencies=1),
    "nerf": dict(units=8, depth=6, num_samples=5, num_fine_samples=4, frequencies=3, view_frequencies=1),
    "mae_vit_base": dict(
        patch_size=4,
        embed_dim=16,
        depth=2,
        num_heads=2,
        decoder_dim=8,
        decoder_depth=1,
        decoder_heads=2,
    ),
}


def named_weights(model):
    """The weights of a Keras model, as NumPy arrays by name of layer, in the order of the layer.

    Those of a game are called "NETWORK 0", "NETWORK 1" and so on, in the order in which they act; those of a radiance
    field "NETWORK LAYER".
    """
    if hasattr(model, "players"):
        return {
            f"{network.name} {i}": arrays
            for player in model.players().values()
            for network in player.networks
            for i, arrays in enumerate(named_weights(network).values())
        }
    if model.name.startswith("nerf"):
        return {
            f"{name} {layer}": arrays
            for name in ("coarse", "fine")
            for layer, arrays in named_weights(model.get_layer(name)).items()
        }
    layers = getattr(model, "layers", [model])  # a network may be one layer
    return {layer.name: [np.array(w) for w in layer.get_weights()] for layer in layers if layer.weights}


def network(weights, name):
    """Of the weights of a game, those of one network: a list of lists of arrays."""
    return [arrays for key, arrays in weights.items() if key.rpartition(" ")[0] == name]


def fields(weights):
    """Of the weights of a radiance field, those of its two networks: dicts from names of layers to lists of arrays."""
    return [
        {key.split()[1]: arrays for key, arrays in weights.items() if key.split()[0] == name}
        for name in ("coarse", "fine")
    ]


def translators(weights):
    """Of the weights of a translator, those of its encoder and of its decoder: two lists of arrays."""
    return [network(weights, side)[0] for side in ("encoder", "decoder")]


def stages(weights):
    """What the names of a residual network's weights say: [(stage, blocks), ...], convolutions of a block."""
    names = [name.split("_") for name in weights if name.endswith("_conv1")]
    numbers = [int(stage.removeprefix("stage")) for stage, _, _ in names]
    return [(n, numbers.count(n)) for n in sorted(set(numbers))], 3 if "stage2_block1_conv3" in weights else 2
