"""A store of images made earlier, so that a discriminator does not forget what it has learned to see.

Shrivastava et al. 2016, https://arxiv.org/abs/1612.07828, section 2.3.
"""

import random

import keras
from keras import ops


@keras.saving.register_keras_serializable("keraszoo")
class ImagePool(keras.layers.Layer):
    """Takes new images in and hands as many out: the new ones, or ones that it has kept.

    While it fills, it hands out what comes in. Once it is full, each image that comes in is handed out
    with probability 1/2; otherwise it takes the place of one in the pool, drawn at random, which is
    handed out. Images of a batch take different places; of a batch larger than the pool, the rest is
    handed out as it is. What it holds is part of the model's saved file.

    Args:
        size: Images kept; 0 hands out what comes in.
        image_shape: (height, width, channels).
        seed: Seed of the draws. None draws one from Python's `random`.

    Shapes:
        images:  (batch, height, width, channels), float32.
        returns: The same.
    """

    def __init__(self, size, image_shape, seed=None, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        if not isinstance(size, int) or size < 0:
            raise ValueError(f"size must be a whole number of images from 0, got {size!r}.")
        self.size = size
        self.image_shape = tuple(image_shape)
        self.generator = keras.random.SeedGenerator(random.randrange(2**31) if seed is None else seed)
        self.build()

    def build(self, shape=None):
        if self.size and not self.built:
            fixed = dict(initializer="zeros", trainable=False)
            self.images = self.add_weight(shape=(self.size, *self.image_shape), name="images", **fixed)
            self.count = self.add_weight(shape=(), dtype="int32", name="count", **fixed)
        self.built = True

    def call(self, images):
        if not self.size:
            return images
        coming = ops.cast(images[: self.size], "float32")
        place = ops.arange(ops.shape(coming)[0], dtype="int32")
        chance = keras.random.uniform((2, self.size), seed=self.generator)
        shuffled = ops.cast(ops.argsort(chance[0]), "int32")
        full = self.count >= self.size
        places = ops.where(full, ops.take(shuffled, place), (self.count + place) % self.size)
        enters = ops.where(full, ops.take(chance[1], place) < 0.5, self.count + place < self.size)
        kept = ops.take(self.images, places, axis=0)
        enters, leaves = (ops.reshape(v, (-1, 1, 1, 1)) for v in (enters, ops.logical_and(enters, full)))
        self.images.assign(ops.scatter_update(self.images, places[:, None], ops.where(enters, coming, kept)))
        self.count.assign(ops.minimum(self.count + ops.shape(coming)[0], self.size))
        return ops.concatenate([ops.where(leaves, kept, coming), images[self.size :]])

    def compute_output_shape(self, shape):
        return shape
