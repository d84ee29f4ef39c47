"""Autoencoders: an encoder makes a short code of an image, and a decoder the image of the code.

Bourlard, Kamp 1988, https://doi.org/10.1007/BF00332918 (one hidden layer, and what it has to do with PCA);
Hinton, Salakhutdinov 2006, https://doi.org/10.1126/science.1127647 (deep);
Ng 2011, https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf (sparse);
Masci et al. 2011, https://doi.org/10.1007/978-3-642-21735-7_7 (convolutional);
Vincent et al. 2010, https://www.jmlr.org/papers/v11/vincent10a.html (denoising);
Kingma, Welling 2013, https://arxiv.org/abs/1312.6114 (variational).

Departures from the paper: sizes and rectifiers are those of https://blog.keras.io/building-autoencoders-in-keras.html
where the papers have none that are still in use; `deep_autoencoder(units=(1000, 500, 250), latent_dim=30)` has
Hinton's. Nothing is trained layer by layer beforehand, and no weights are tied. Codes of `deep_autoencoder` are
linear, as in Hinton's paper, not rectified as in the blog. Convolutional codes have any size: where halving rounds
up, the way back cuts off a row or a column, and the last convolution but one pads as the others do. All but the
variational one learn by the mean squared error of a pixel (`compile` takes any other loss); Ng's objective, which
counts half the sum over pixels, is divided by half their number, and has no weight decay. The variational one learns
by Adam, not Adagrad.
"""

import keras
import numpy as np
from keras import ops
from keras.layers import Cropping2D, Reshape, UpSampling2D

from keraszoo.architecture import Architecture, Network
from keraszoo.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keraszoo.layers.coding import Corruption, gaussian_divergence, sparsity_divergence
from keraszoo.registry import register
from keraszoo.training import checks


class Autoencoder(Architecture):
    """What all of them have in common: they learn from images alone, and have two halves to use.

    A subclass makes `encoder` and `decoder`. `fit(images)` is `fit(images, images)`; other targets, such as
    the clean images of noisy ones, are given as `y`.
    """

    def build(self, input_shape=None):
        """Nothing is left to make: the networks are built where they are constructed."""
        self.built = True

    def compile(self, *args, **kwargs):
        """Keras' method; a model that is ready to learn is ready to be saved, too."""
        self.build()
        super().compile(*args, **kwargs)

    @property
    def input_shape(self):
        return self.encoder.input_shape

    @property
    def output_shape(self):
        return self.decoder.output_shape

    def call(self, images, training=False):
        return self.decoder(self.encoder(images, training=training), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Keras' method; what is to be restored is the image itself, if nothing else is said."""
        return super().compute_loss(x, x if y is None else y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Keras' method, in the same way."""
        return super().compute_metrics(x, x if y is None else y, y_pred, sample_weight)

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse what are not images in [0, 1], or not as many targets, or weights, which nothing here heeds."""
        if sample_weight is not None:
            raise ValueError(f"{self.name} learns from images alone: it takes no {prefix}sample_weight.")
        check_images(self, f"{prefix}x", x)
        if y is not None:
            check_images(self, f"{prefix}y", y)
            if len(x) != len(y):
                raise ValueError(
                    f"{prefix}x and {prefix}y must have as many samples: x has {len(x)}, y has {len(y)}."
                )

    def check_inputs(self, x, prefix=""):
        """Refuse what are not images in [0, 1]."""
        check_images(self, f"{prefix}x", x)

    def encode(self, images):
        """The codes of images.

        Args:
            images: (count, height, width, channels), in [0, 1].

        Returns:
            (count, latent_dim), float32 NumPy array.
        """
        check_images(self, "images", images)
        return self.encoder.predict(images, verbose=0)

    def decode(self, codes):
        """The images of codes.

        Args:
            codes: (count, latent_dim), floating.

        Returns:
            (count, height, width, channels), float32 NumPy array, in [0, 1].
        """
        checks.check_samples(self, "codes", codes, self.decoder.input_shape[1:])
        return self.decoder.predict(codes, verbose=0)

    def reconstruct(self, images):
        """What images become on the way through their codes: `decode(encode(images))`.

        Args:
            images: (count, height, width, channels), in [0, 1].

        Returns:
            The same, float32 NumPy array.
        """
        check_images(self, "images", images)
        return self.predict(images, verbose=0)


@register(
    "autoencoder",
    task="image_reconstruction",
    paper="https://doi.org/10.1007/BF00332918",
    tiny=dict(input_shape=(6, 6, 1), latent_dim=16),
    parameters=50992,
)
class SingleLayerAutoencoder(Autoencoder):
    """The simplest: a layer to the code, a layer back.

    With `activation="linear", output_activation="linear"` it can do what principal component analysis
    with as many components can do, and nothing better (Bourlard, Kamp 1988).

    Args:
        input_shape: (height, width, channels) of an image.
        latent_dim: Length of a code.
        activation: Activation of the code.
        output_activation: Activation of the pixels; "sigmoid" keeps them in [0, 1].

    Shapes:
        images:  (batch, height, width, channels), floating, in [0, 1].
        returns: (batch, height, width, channels), float32, in [0, 1].
    """

    def __init__(
        self,
        input_shape=(28, 28, 1),
        latent_dim=32,
        activation="relu",
        output_activation="sigmoid",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_sizes(input_shape, latent_dim=latent_dim)
        self.encoder = dense_encoder(input_shape, (), latent_dim, code_activation=activation)
        self.decoder = dense_decoder(input_shape, (), latent_dim, output_activation=output_activation)


@register(
    "deep_autoencoder",
    task="image_reconstruction",
    paper="https://doi.org/10.1126/science.1127647",
    tiny=dict(input_shape=(6, 6, 1), units=(32, 24), latent_dim=12),
    parameters=222384,
)
class DeepAutoencoder(Autoencoder):
    """Several dense layers to a linear code, and the same way back.

    `units=(1000, 500, 250), latent_dim=30` is the net of the paper's figure 1.

    Args:
        input_shape: (height, width, channels) of an image.
        units: Units of the hidden layers, from the image to the code.
        latent_dim: Length of a code.
        activation: Activation of the hidden layers.

    Shapes:
        images:  (batch, height, width, channels), floating, in [0, 1].
        returns: (batch, height, width, channels), float32, in [0, 1].
    """

    def __init__(self, input_shape=(28, 28, 1), units=(128, 64), latent_dim=32, activation="relu", **kwargs):
        super().__init__(**kwargs)
        check_sizes(input_shape, latent_dim=latent_dim, **{f"units[{i}]": n for i, n in enumerate(units)})
        self.encoder = dense_encoder(input_shape, units, latent_dim, activation)
        self.decoder = dense_decoder(input_shape, units, latent_dim, activation)


@register(
    "conv_autoencoder",
    task="image_reconstruction",
    paper="https://doi.org/10.1007/978-3-642-21735-7_7",
    tiny=dict(input_shape=(3, 3, 1), filters=(16, 16, 16)),
    parameters=4385,
)
class ConvAutoencoder(Autoencoder):
    """Convolutions and max-pooling to the code; convolutions and enlarging by two on the way back.

    Args:
        input_shape: (height, width, channels) of an image, of any size.
        filters: Filters of each level, from the image to the code, which has an eighth of the side of the
            image for three levels, rounded up: 4x4x8 numbers for 28x28 pixels.

    Shapes:
        images:  (batch, height, width, channels), floating, in [0, 1].
        returns: (batch, height, width, channels), float32, in [0, 1].
    """

    def __init__(self, input_shape=(28, 28, 1), filters=(16, 8, 8), **kwargs):
        super().__init__(**kwargs)
        check_sizes(input_shape, **{f"filters[{i}]": n for i, n in enumerate(filters)})
        self.encoder, self.decoder = convolutional(input_shape, filters)


@register(
    "denoising_autoencoder",
    task="image_reconstruction",
    paper="https://www.jmlr.org/papers/v11/vincent10a.html",
    tiny=dict(input_shape=(3, 3, 1), filters=(32, 32)),
    parameters=28353,
)
class DenoisingAutoencoder(ConvAutoencoder):
    """A convolutional autoencoder that sees spoilt images while it learns, and is to give back the clean ones.

    Noise is drawn anew at each step. `evaluate`, `predict` and the verbs take images as they come: noisy ones,
    to have them cleaned.

    Args:
        input_shape: (height, width, channels) of an image, of any size.
        filters: Filters of each level, from the image to the code.
        noise: "gaussian" adds noise; "masking" makes a share of the values 0; "salt_and_pepper" makes a
            share of them 0 or 1.
        level: Standard deviation of the Gaussian noise, or the share of values that are spoilt.

    Shapes:
        images:  (batch, height, width, channels), floating, in [0, 1].
        returns: (batch, height, width, channels), float32, in [0, 1].
    """

    def __init__(self, input_shape=(28, 28, 1), filters=(32, 32), noise="gaussian", level=0.5, **kwargs):
        super().__init__(input_shape, filters, **kwargs)
        self.corruption = Corruption(noise, level)

    def call(self, images, training=False):
        return super().call(self.corruption(images, training=training), training=training)

    def corrupt(self, images, seed=None):
        """Images as the model sees them while it learns.

        Args:
            images: (count, height, width, channels), in [0, 1].
            seed: Makes the noise the same each time, on one backend.

        Returns:
            The same, float32 NumPy array.
        """
        check_images(self, "images", images)
        seed = int(np.random.randint(2**31)) if seed is None else seed
        return ops.convert_to_numpy(self.corruption.spoilt(ops.convert_to_tensor(images, "float32"), seed))


class PricedAutoencoder(Autoencoder):
    """An autoencoder whose codes cost something, beside the error of what becomes of them.

    A subclass says in `price` what. In training, `call` gives what the encoder says along with the image;
    `evaluate` finds the loss in the same way as training does.
    """

    def call(self, images, training=False):
        encoded = self.encoder(images, training=training)
        restored = self.decoder(self.code(encoded, training), training=training)
        return (restored, encoded) if training else restored

    def code(self, encoded, training):
        """What the decoder gets of what the encoder says."""
        return encoded

    def price(self, encoded):
        """The scalar that is added to the loss; notes metrics."""
        raise NotImplementedError(f"{type(self).__name__} must say in price(encoded) what a code costs.")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        restored, encoded = y_pred if training else self(x, training=True)
        return super().compute_loss(x, y, restored, sample_weight, training) + self.price(encoded)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        restored = y_pred[0] if isinstance(y_pred, (tuple, list)) else y_pred
        return super().compute_metrics(x, y, restored, sample_weight)


@register(
    "sparse_autoencoder",
    task="image_reconstruction",
    paper="https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf",
    tiny=dict(input_shape=(8, 8, 1), latent_dim=32, target=0.2),
)
class SparseAutoencoder(PricedAutoencoder):
    """A layer to a long code of which little may be active at a time, and a layer back.

    Logs hold `mean_activation`, the mean of all codes; with "kl" it comes near `target`.

    Args:
        input_shape: (height, width, channels) of an image.
        latent_dim: Length of a code.
        sparsity: "kl" asks each unit, a sigmoid, for a mean activation of `target` over a batch; "l1" makes
            the sum of a code, of rectifiers, small.
        target: Mean activation that is asked for, in (0, 1).
        weight: How much sparsity counts beside half the squared error summed over pixels: Ng's beta. None
            for 3 with "kl", and 0.04 with "l1".

    Shapes:
        images:  (batch, height, width, channels), floating, in [0, 1].
        returns: (batch, height, width, channels), float32, in [0, 1].
    """

    def __init__(
        self,
        input_shape=(28, 28, 1),
        latent_dim=196,
        sparsity="kl",
        target=0.05,
        weight=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_sizes(input_shape, latent_dim=latent_dim)
        if sparsity not in ("kl", "l1"):
            raise ValueError(f'sparsity must be "kl" or "l1", got {sparsity!r}.')
        if not 0 < target < 1:
            raise ValueError(f"target must lie between 0 and 1, got {target!r}.")
        self.sparsity, self.target = sparsity, target
        self.weight = {"kl": 3.0, "l1": 0.04}[sparsity] if weight is None else weight
        activation = {"kl": "sigmoid", "l1": "relu"}[sparsity]
        self.encoder = dense_encoder(input_shape, (), latent_dim, code_activation=activation)
        self.decoder = dense_decoder(input_shape, (), latent_dim)
        self.mean_activation = keras.metrics.Mean(name="mean_activation")

    def price(self, encoded):
        """Ng's sparsity penalty, or the sum of a code, in units of the mean squared error of a pixel."""
        self.mean_activation.update_state(encoded)
        if self.sparsity == "kl":
            cost = sparsity_divergence(ops.mean(encoded, axis=0), self.target)
        else:
            cost = ops.mean(ops.sum(ops.abs(encoded), axis=-1))
        return self.weight * cost / (0.5 * np.prod(self.input_shape[1:]))


@register(
    "variational_autoencoder",
    task="image_reconstruction",
    paper="https://arxiv.org/abs/1312.6114",
    tiny=dict(input_shape=(24, 24, 1), units=64, latent_dim=2),
    parameters=815824,
    recipe=dict(loss="pixels"),
)
class VariationalAutoencoder(PricedAutoencoder):
    """Codes are distributions near a standard normal one, so that `sample(count)` can make new images of noise.

    The loss, in nats, is minus the bound on the log-likelihood of an image: the compiled loss (by default
    `keraszoo.layers.BernoulliLoss`, summed over pixels) of an image restored from a code that is drawn, and the
    divergence of its distribution, `kl` in the logs. `predict` and the verbs take the mean of the distribution.

    Args:
        input_shape: (height, width, channels) of an image.
        units: Units of the hidden layer on each side.
        latent_dim: Length of a code.

    Shapes:
        images:  (batch, height, width, channels), floating, in [0, 1].
        returns: (batch, height, width, channels), float32, in [0, 1].
    """

    def __init__(self, input_shape=(28, 28, 1), units=500, latent_dim=20, **kwargs):
        super().__init__(**kwargs)
        check_sizes(input_shape, units=units, latent_dim=latent_dim)
        image = keras.Input(input_shape, name="image")
        hidden = Dense(units, activation="tanh")(Flatten()(image))
        moments = [Dense(latent_dim, dtype="float32", name=n)(hidden) for n in ("mean", "log_variance")]
        self.encoder = Network(image, moments, name="encoder")
        self.decoder = dense_decoder(input_shape, (units,), latent_dim, "tanh")
        self.noise = keras.random.SeedGenerator()
        self.kl = keras.metrics.Mean(name="kl")

    def code(self, encoded, training):
        """The mean of a distribution; in training, a draw from it: equation 10 of the paper, with one sample."""
        mean, log_variance = encoded
        return mean + ops.exp(0.5 * log_variance) * self.drawn(mean) if training else mean

    def drawn(self, like):
        """Standard normal noise, of the shape of `like`."""
        return keras.random.normal(ops.shape(like), dtype="float32", seed=self.noise)

    def price(self, encoded):
        """The mean over the batch of the divergence from a standard normal distribution."""
        divergence = gaussian_divergence(*encoded)
        self.kl.update_state(divergence)
        return ops.mean(divergence)

    def encode(self, images):
        """The codes of images, arguments and result as of `Autoencoder.encode`: the means of the distributions."""
        return super().encode(images)[0]

    def sample(self, count, seed=None):
        """New images, of codes that are drawn from a standard normal distribution.

        Args:
            count: How many.
            seed: Makes them the same each time, on every backend.

        Returns:
            (count, height, width, channels), float32 NumPy array, in [0, 1].
        """
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"count must be a whole number from 1, got {count!r}.")
        shape = (count, *self.decoder.input_shape[1:])
        return self.decode(np.random.default_rng(seed).normal(size=shape).astype("float32"))


def dense_encoder(input_shape, units, latent_dim, activation="relu", code_activation=None):
    """Dense layers from an image to a code."""
    image = keras.Input(input_shape, name="image")
    x = Flatten()(image)
    for n in units:
        x = Dense(n, activation=activation)(x)
    code = Dense(latent_dim, activation=code_activation, dtype="float32", name="code")(x)
    return Network(image, code, name="encoder")


def dense_decoder(input_shape, units, latent_dim, activation="relu", output_activation="sigmoid"):
    """The same layers in the opposite order, from a code to an image."""
    x = code = keras.Input((latent_dim,), name="code")
    for n in reversed(units):
        x = Dense(n, activation=activation)(x)
    x = Dense(int(np.prod(input_shape)), activation=output_activation, dtype="float32", name="pixels")(x)
    return Network(code, Reshape(input_shape, dtype="float32")(x), name="decoder")


def convolutional(input_shape, filters):
    """An encoder that halves an image at each level, and a decoder that doubles it."""
    x = image = keras.Input(input_shape, name="image")
    sizes = []
    for n in filters:
        sizes.append(x.shape[1:3])
        x = Conv2D(n, 3, padding="same", activation="relu")(x)
        x = MaxPooling2D(2, padding="same")(x)
    encoder = Network(image, Flatten(dtype="float32", name="code")(x), name="encoder")

    code = keras.Input(encoder.output_shape[1:], name="code")
    x = Reshape(x.shape[1:])(code)
    for n, (height, width) in zip(reversed(filters), reversed(sizes), strict=True):
        x = Conv2D(n, 3, padding="same", activation="relu")(x)
        x = UpSampling2D()(x)
        if height % 2 or width % 2:
            x = Cropping2D(((0, height % 2), (0, width % 2)))(x)
    x = Conv2D(input_shape[-1], 3, padding="same", activation="sigmoid", dtype="float32", name="pixels")(x)
    return encoder, Network(code, x, name="decoder")


def check_sizes(input_shape, **sizes):
    """Refuse an `input_shape` that no image has, and sizes that are no whole numbers from 1."""
    if len(input_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in input_shape):
        raise ValueError(f"input_shape must be (height, width, channels), got {input_shape!r}.")
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} must be a whole number from 1, got {size!r}.")


def check_images(model, name, images):
    """Refuse what are not images in [0, 1] of the model's shape."""
    images = checks.array(images)
    checks.check_numbers(name, images)
    if not checks.fits(images.shape, model.input_shape):
        raise ValueError(
            f"{name} has shape {checks.shown(images.shape)}; {model.name} takes {checks.shown(model.input_shape)}."
        )
    if images.min() < -1e-3 or images.max() > 1 + 1e-3:
        raise ValueError(
            f"{name} must hold images in [0, 1], got values from {images.min():g} to {images.max():g}. "
            "Images from 0 to 255 are taken there by images / 255."
        )
