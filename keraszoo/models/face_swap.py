"""Face swap: one encoder for two people, and a decoder for each; who is decoded by the other's decoder is swapped.

There is no paper; the source is the program at https://github.com/deepfakes/faceswap, its model "original".

Departures from the paper: there is none to depart from, and these are from the program. The code is a vector, and
all that comes after it belongs to the decoders, where the program shares a dense layer and a convolution more.
Transposed convolutions stand for convolutions whose channels become pixels. Filters are a quarter, images lie in
[-1, 1] for [0, 1], errors are squared (one of the program's choices), and each player has an optimizer of its own.
The program bends its images a little before they are encoded; here, that is left to whoever prepares them.
"""

import keras
import numpy as np
from keras import ops
from keras.layers import LeakyReLU, Reshape

from keraszoo.architecture import Network
from keraszoo.layers import Conv2D, Conv2DTranspose, Dense, Flatten
from keraszoo.models.pix2pix import Translator
from keraszoo.registry import register
from keraszoo.training import Player, Unpaired, checks

DIRECTIONS = ("a_to_b", "b_to_a")


@register(
    "face_swap_autoencoder",
    task="unpaired_image_translation",
    paper="https://github.com/deepfakes/faceswap",
    tiny=dict(input_shape=(8, 8, 3), filters=16, latent_dim=16),
    recipe=dict(learning_rate=5e-4, beta_1=0.5),
)
class FaceSwapAutoencoder(Translator):
    """Fit on two sets of images, A and B; call on images of A; `translate` either way.

    The encoder has to find what both sets have in common, such as where a face looks; what is particular to
    a set, such as whose face it is, is up to its decoder. The sets may differ in number.

    Args:
        input_shape: (height, width, channels) of an image of either set; sides are even and at least 8. As
            often as they can be halved down to 4, the networks have a level, up to four.
        filters: Filters of the layers next to the images; each level has twice as many.
        latent_dim: Length of a code.

    Shapes:
        images:  (batch, height, width, channels), floating, in [-1, 1].
        returns: (batch, height, width, channels), float32, in [-1, 1].
    """

    speaker, material = "encoder", "two sets of images"
    batches = Unpaired

    def __init__(self, input_shape=(64, 64, 3), filters=32, latent_dim=256, **kwargs):
        super().__init__(**kwargs)
        if len(input_shape) != 3 or any(side % 2 or side < 8 for side in input_shape[:2]):
            raise ValueError(
                f"input_shape must be (height, width, channels) with even sides of at least 8, got {input_shape!r}."
            )
        self.encoder = encoder(input_shape, filters, latent_dim)
        self.decoder_a, self.decoder_b = (
            decoder(input_shape, filters, latent_dim, name=f"decoder_{who}") for who in "ab"
        )

    @property
    def output_shape(self):
        return self.decoder_b.output_shape

    def players(self):
        return {
            "a": Player([self.encoder, self.decoder_a], self.a_loss),
            "b": Player([self.encoder, self.decoder_b], self.b_loss),
        }

    def call(self, images, training=False):
        return self.decoder_b(self.encoder(images, training=training), training=training)

    def a_loss(self, a, b, training):
        """The squared error of images of A by way of their own decoder, mean over pixels."""
        return ops.mean(ops.square(self.decoder_a(self.encoder(a)) - a))

    def b_loss(self, a, b, training):
        """The same for B."""
        return ops.mean(ops.square(self.decoder_b(self.encoder(b)) - b))

    def encode(self, images):
        """The codes of images of either set.

        Args:
            images: (count, height, width, channels), floating, in [-1, 1].

        Returns:
            (count, latent_dim), float32 NumPy array.
        """
        checks.check_samples(self, "images", images, self.input_shape[1:])
        return self.encoder.predict(images, verbose=0)

    def decode(self, codes, who):
        """The images that a set's decoder makes of codes.

        Args:
            codes: (count, latent_dim), floating.
            who: "a" or "b": whose decoder.

        Returns:
            (count, height, width, channels), float32 NumPy array, in [-1, 1].
        """
        if who not in ("a", "b"):
            raise ValueError(f'who must be "a" or "b", got {who!r}.')
        checks.check_samples(self, "codes", codes, self.decoder_a.input_shape[1:])
        return (self.decoder_a if who == "a" else self.decoder_b).predict(codes, verbose=0)

    def reconstruct(self, images, who):
        """What images become on the way through their codes and the decoder of `who`: "a" or "b"."""
        return self.decode(self.encode(images), who)

    def translate(self, images, direction="a_to_b"):
        """Images of one set as if they were of the other.

        Args:
            images: (count, height, width, channels), floating, in [-1, 1].
            direction: "a_to_b" or "b_to_a".

        Returns:
            (count, height, width, channels), float32 NumPy array, in [-1, 1].
        """
        if direction not in DIRECTIONS:
            raise ValueError(f'direction must be "a_to_b" or "b_to_a", got {direction!r}.')
        return self.reconstruct(images, direction[-1])


def levels(height, width):
    """How often the encoder halves an image."""
    times = 0
    while times < 4 and height % 2 == width % 2 == 0 and min(height, width) >= 8:
        height, width, times = height // 2, width // 2, times + 1
    return times


def encoder(input_shape, filters, latent_dim):
    """Convolutions that halve the image, and a dense layer to the code."""
    x = image = keras.Input(input_shape, name="image")
    for level in range(levels(*input_shape[:2])):
        x = LeakyReLU(0.1)(Conv2D(filters * 2**level, 5, strides=2, padding="same")(x))
    return Network(image, Dense(latent_dim, dtype="float32", name="code")(Flatten()(x)), name="encoder")


def decoder(input_shape, filters, latent_dim, name):
    """A dense layer from the code, and transposed convolutions that double the image."""
    height, width, channels = input_shape
    depth = levels(height, width)
    smallest = (height // 2**depth, width // 2**depth, filters * 2 ** (depth - 1))
    code = keras.Input((latent_dim,), name="code")
    x = Reshape(smallest)(LeakyReLU(0.1)(Dense(int(np.prod(smallest)))(code)))
    for level in reversed(range(depth)):
        x = LeakyReLU(0.1)(Conv2DTranspose(filters * 2**level, 4, strides=2, padding="same")(x))
    x = Conv2D(channels, 5, padding="same", activation="tanh", dtype="float32", name="pixels")(x)
    return Network(code, x, name=name)
