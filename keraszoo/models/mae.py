"""Masked autoencoder: hide most of an image, and learn by saying what was there.

He et al. 2021, https://arxiv.org/abs/2111.06377.

Departures from the paper: images are not cropped or flipped at random unless the data do so; the learning
rate does not grow with the batch (the paper's is 1.5e-4 for each 256 images). A classifier keeps the
fixed positions of pre-training, and has no rate of its own for each block.
"""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keraszoo.architecture import Network
from keraszoo.layers import (
    BatchNormalization,
    Dense,
    LayerNormalization,
    MaskTokens,
    PatchEmbedding,
    TransformerBlock,
)
from keraszoo.layers.patches import grid, patchify, unpatchify
from keraszoo.models.vit import ViT, vit
from keraszoo.registry import register
from keraszoo.tasks import TASKS
from keraszoo.training import MultiPlayerModel, Player, checks

SIZES = {  # section 4; tiny is ours, for small images and two cores
    "mae_vit_tiny": dict(
        embed_dim=128,
        depth=6,
        num_heads=4,
        patch_size=4,
        input_shape=(32, 32, 3),
        decoder_dim=64,
        decoder_depth=2,
        decoder_heads=4,
    ),
    "mae_vit_base": dict(
        embed_dim=768,
        depth=12,
        num_heads=12,
        patch_size=16,
        decoder_dim=512,
        decoder_depth=8,
        decoder_heads=16,
    ),
    "mae_vit_large": dict(
        embed_dim=1024,
        depth=24,
        num_heads=16,
        patch_size=16,
        decoder_dim=512,
        decoder_depth=8,
        decoder_heads=16,
    ),
    "mae_vit_huge": dict(
        embed_dim=1280,
        depth=32,
        num_heads=16,
        patch_size=14,
        decoder_dim=512,
        decoder_depth=8,
        decoder_heads=16,
    ),
}
PARAMETERS = {
    "mae_vit_base": 111_655_680,
    "mae_vit_large": 329_239_296,
    "mae_vit_huge": 656_613_964,
    "mae_vit_tiny": None,
}


class Reconstruction(NamedTuple):
    """What `MAE.reconstruct` gives back."""

    images: np.ndarray  # (count, height, width, channels), float32: as given where visible, made up where not
    hidden: np.ndarray  # (count, height, width), bool: which pixels were hidden


@register(
    SIZES,
    task="masked_image_modeling",
    paper="https://arxiv.org/abs/2111.06377",
    parameters=PARAMETERS,
    tiny=dict(
        input_shape=(16, 16, 3),
        patch_size=4,
        embed_dim=16,
        depth=2,
        num_heads=2,
        decoder_dim=16,
        decoder_depth=1,
        decoder_heads=2,
    ),
    recipe=dict(optimizer="adamw", learning_rate=5e-4, weight_decay=0.05, beta_2=0.95),
)
class MAE(MultiPlayerModel):
    """Fit on images alone; `reconstruct` shows what it makes of hidden patches, `classifier` puts it to use.

    The encoder sees visible patches only, which makes a step several times as fast. Learning is a
    game of one player. `fit(images, noise)` hides the patches with the largest of given numbers,
    (batch, patches), instead of numbers drawn anew for each batch.

    Args:
        embed_dim, depth, num_heads: Size of the encoder, a Vision Transformer.
        patch_size: Side of a patch, in pixels; divides both sides of the image.
        input_shape: (height, width, channels) of an image, in pixels.
        decoder_dim, decoder_depth, decoder_heads: Size of the decoder.
        mask_ratio: Part of the patches that is hidden, in (0, 1).
        normalize_pixels: Compare patches after each was brought to mean 0 and deviation 1 ("norm pix").
        mlp_ratio: Hidden features of a block's MLP, as a multiple of its features.
        epsilon: Added to the variance in each normalization.

    Shapes:
        images:  (batch, height, width, channels), floating, of mean about 0 and deviation about 1;
            or a pair of these and noise, (batch, patches), floating.
        returns: (batch, height, width, channels), float32: what each patch is thought to be. Without
            noise, the same patches are hidden in every image and call.

    Raises:
        ValueError: A patch does not fit a whole number of times into the image, heads do not divide
            features, features are not divisible by 4, or `mask_ratio` hides no patch or all of them.
    """

    def __init__(
        self,
        embed_dim,
        depth,
        num_heads,
        patch_size=16,
        input_shape=(224, 224, 3),
        decoder_dim=512,
        decoder_depth=8,
        decoder_heads=16,
        mask_ratio=0.75,
        normalize_pixels=False,
        mlp_ratio=4,
        epsilon=1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.grid = grid(input_shape, patch_size)
        self.count = self.grid[0] * self.grid[1]
        self.visible = visible(self.count, mask_ratio)
        self.patch_size = patch_size
        self.normalize_pixels = normalize_pixels
        self.size = dict(embed_dim=embed_dim, depth=depth, num_heads=num_heads, patch_size=patch_size)
        self.size |= dict(input_shape=tuple(input_shape), mlp_ratio=mlp_ratio, epsilon=epsilon)
        self.noise = keras.random.SeedGenerator()
        self.always = np.random.default_rng(0).random((1, self.count), "float32")
        self.encoder = encoder(**self.size)
        self.decoder = decoder(
            self.grid,
            embed_dim,
            decoder_dim,
            decoder_depth,
            decoder_heads,
            patch_size**2 * input_shape[-1],
            mlp_ratio,
            epsilon,
        )

    @property
    def input_shape(self):
        return self.encoder.input_shape[0]

    @property
    def output_shape(self):
        return self.input_shape

    def players(self):
        return {"autoencoder": Player([self.encoder, self.decoder], self.autoencoder_loss)}

    def call(self, inputs, training=False):
        images, noise = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
        if noise is None:
            noise = ops.broadcast_to(ops.convert_to_tensor(self.always), (ops.shape(images)[0], self.count))
        patches, _ = self.complete(images, noise, training)
        return unpatchify(patches, self.patch_size, self.input_shape[1:])

    def complete(self, images, noise, training=False):
        """All patches as the decoder sees them, (batch, patches, pixels), and their order, (batch, patches), the visible first."""
        order = ops.argsort(noise, axis=1)
        tokens = self.encoder([images, order[:, : self.visible]], training=training)
        return self.decoder([tokens, ops.argsort(order, axis=1)], training=training), order

    def autoencoder_loss(self, images, noise=None, training=False):
        """Mean squared error of the hidden patches. Section 3, "Reconstruction target"."""
        if noise is None:
            noise = keras.random.uniform((ops.shape(images)[0], self.count), seed=self.noise)
        patches, order = self.complete(images, noise, training)
        target = patchify(ops.cast(images, "float32"), self.patch_size)
        if self.normalize_pixels:
            mean, deviation = moments(target)
            target = (target - mean) / deviation
        errors = ops.mean(ops.square(patches - target), axis=-1)
        return ops.mean(ops.take_along_axis(errors, order[:, self.visible :], axis=1))

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse what are not images, and noise that does not fit them."""
        self.check_inputs(x if y is None else (x, y), prefix)
        if sample_weight is not None:
            raise ValueError(f"{self.name} takes no sample_weight.")

    def check_inputs(self, x, prefix=""):
        """Refuse what are not images, or images with noise."""
        images, noise = x if isinstance(x, (list, tuple)) else (x, None)
        checks.check_inputs(self, images, prefix)
        if noise is not None and tuple(noise.shape) != (len(images), self.count):
            raise ValueError(
                f"{prefix}noise (y) must hold a number for each of the {self.count} patches of as many samples as "
                f"x has: expected {(len(images), self.count)}, got {tuple(noise.shape)}."
            )

    def reconstruct(self, images, noise=None, seed=None):
        """Hide patches, and make them up.

        Args:
            images: (count, height, width, channels), floating, as `fit` takes them.
            noise: (count, patches), floating: the patches with the largest numbers are hidden. Drawn
                at random if None.
            seed: Of that noise; the same on every backend.

        Returns:
            A `Reconstruction`.
        """
        self.check_inputs(images)
        if noise is None:
            noise = np.random.default_rng(seed).random((len(images), self.count), "float32")
        made = self.predict([images, noise], verbose=0)
        images, size = np.asarray(images, "float32"), self.patch_size
        if self.normalize_pixels:  # the decoder speaks of normalised patches: undo it, by the patch itself
            mean, deviation = moments(patchify(images, size))
            made = patchify(made, size) * deviation + mean
            made = ops.convert_to_numpy(unpatchify(made, size, self.input_shape[1:]))
        hidden = np.argsort(np.argsort(noise, axis=1), axis=1) >= self.visible
        hidden = hidden.reshape(-1, *self.grid).repeat(size, axis=1).repeat(size, axis=2)
        return Reconstruction(np.where(hidden[..., None], made, images), hidden)

    def encode(self, images):
        """Features of images of which nothing is hidden.

        Args:
            images: (count, height, width, channels), floating, as `fit` takes them.

        Returns:
            (count, 1 + patches, embed_dim), float32 NumPy array: of the class token, then of each patch.
        """
        self.check_inputs(images)
        everything = np.tile(np.arange(self.count, dtype="int32"), (len(images), 1))
        return self.encoder.predict([images, everything], verbose=0)

    def classifier(self, num_classes, pooling="mean", frozen=False, class_names=None):
        """A Vision Transformer that begins where pre-training has ended, to be fitted on labels.

        Args:
            num_classes: Classes to choose from.
            pooling: What the head sees: the "mean" of the patches, or the "class_token".
            frozen: Let only the head learn (linear probing); its inputs are normalised over the batch,
                as in appendix A.1.
            class_names: Names of the classes, kept in the saved file.

        Returns:
            A compiled `ViT`, from images as here to (batch, num_classes), float32 logits.
        """
        name = f"{self.name}_classifier"
        model = vit(**self.size, num_classes=num_classes, pooling=pooling, positions="sine_cosine", name=name)
        for layer in self.encoder.layers:
            if layer.weights and (layer.name != "norm" or pooling == "class_token"):
                model.get_layer(layer.name).set_weights(layer.get_weights())
        if frozen:
            for layer in model.layers:
                layer.trainable = False
            features = model.get_layer("norm").output
            features = BatchNormalization(center=False, scale=False, name="whiten")(features)
            logits = Dense(num_classes, kernel_initializer="zeros", dtype="float32", name="logits")(features)
            model = ViT(model.input, logits, name=name)
        model.card = dict(
            architecture=self.card.get("architecture", "mae_vit_base").removeprefix("mae_"),
            task="image_classification",
            images=True,
            preprocessing=False,
            class_names=class_names,
        )
        model.compile(**TASKS["image_classification"].scoring(optimizer="adamw", learning_rate=5e-4))
        return model


def visible(patches, mask_ratio):
    """How many patches the encoder sees.

    Raises:
        ValueError: None of them, or all.
    """
    seen = int(patches * (1 - mask_ratio)) if 0 < mask_ratio < 1 else 0
    if not 0 < seen < patches:
        raise ValueError(
            f"mask_ratio must lie between 0 and 1, and leave some of the {patches} patches visible and some not: "
            f"from {1 / patches:.3g} to {1 - 1 / patches:.3g}, got {mask_ratio!r}."
        )
    return seen


def encoder(embed_dim, depth, num_heads, patch_size, input_shape, mlp_ratio, epsilon):
    """A Vision Transformer without a head, that sees some patches of an image."""
    image = keras.Input(input_shape, name="image")
    kept = keras.Input((None,), dtype="int32", name="kept")
    x = PatchEmbedding(patch_size, embed_dim, positions="sine_cosine", name="patches")(image, kept)
    for i in range(depth):
        x = TransformerBlock(embed_dim, num_heads, mlp_ratio, epsilon=epsilon, name=f"block_{i}")(x)
    x = LayerNormalization(epsilon=epsilon, name="norm")(x)
    return Network([image, kept], x, name="encoder")


def decoder(places, embed_dim, decoder_dim, depth, num_heads, pixels, mlp_ratio, epsilon):
    """From the visible tokens, and the ranks of all patches, to the pixels of all patches."""
    tokens = keras.Input((None, embed_dim), name="tokens")
    ranks = keras.Input((places[0] * places[1],), dtype="int32", name="ranks")
    x = Dense(decoder_dim, name="decoder_embed")(tokens)
    x = MaskTokens(places, name="decoder_tokens")(x, ranks)
    for i in range(depth):
        block = TransformerBlock(
            decoder_dim, num_heads, mlp_ratio, epsilon=epsilon, name=f"decoder_block_{i}"
        )
        x = block(x)
    x = LayerNormalization(epsilon=epsilon, name="decoder_norm")(x)
    x = Dense(pixels, dtype="float32", name="decoder_pixels")(x[:, 1:])
    return Network([tokens, ranks], x, name="decoder")


def moments(patches):
    """Mean and deviation of each patch, (batch, patches, 1); the variance is the unbiased one, as in the published code."""
    count = patches.shape[-1]
    mean = ops.mean(patches, axis=-1, keepdims=True)
    variance = ops.var(patches, axis=-1, keepdims=True) * (count / max(1, count - 1))
    return mean, ops.sqrt(variance + 1e-6)
