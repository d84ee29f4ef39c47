"""Whether a generator makes all that there is, or has fallen back on little: mode collapse."""

import keras

from keraszoo.callbacks.samples import check_sampler
from keraszoo.diagnostics.samples import Judge, class_shares, classes_seen, frechet_distance, seen


class Variety(keras.callbacks.Callback):
    """Lets a classifier look at samples after an epoch, and puts into the logs what it sees.

    The logs then hold `share_of_0` and so on, the share of samples taken for each class;
    `classes_seen`, how many classes have at least a fifth of an equal share; and `frechet_distance`,
    where real images are given. Callbacks that come after this one see them, as does the history that
    `fit` returns. When a class vanishes that was there the last time, a line is printed.

    Noise is the same each time, and comes from NumPy: training goes as it would go without.

    Args:
        classifier: A model that takes raw images, 0 to 255, and ends in logits, such as
            `keraszoo.load("saved_models/lenet5_digits.keras")`; or a `keraszoo.diagnostics.Judge`.
        count: Samples looked at.
        seed: Of the noise.
        every: Look only each so many epochs; the logs of others stay as they are.
        real: Real images, (count, height, width, channels), for the Fréchet distance; at best as many as
            samples. Both must outnumber the classifier's features.

    Raises:
        ValueError: `every` is below 1, the model makes no samples, or not such as the classifier takes.
    """

    def __init__(self, classifier, count=500, seed=0, every=1, real=None):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be a whole number from 1, got {every!r}.")
        self.judge = classifier if isinstance(classifier, Judge) else Judge(classifier)
        self.count = count
        self.seed = seed
        self.every = every
        self.real = None if real is None else self.judge(real)[0]

    def on_train_begin(self, logs=None):
        check_sampler(self, self.model)
        self.before = [False] * self.judge.num_classes

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        features, probabilities = self.judge(self.model.sample(self.count, seed=self.seed))
        shares = class_shares(probabilities)
        logs.update({f"share_of_{i}": float(share) for i, share in enumerate(shares)})
        logs["classes_seen"] = classes_seen(shares)
        if self.real is not None:
            logs["frechet_distance"] = frechet_distance(self.real, features)
        now = seen(shares)
        if gone := [self.name(i) for i in range(len(now)) if self.before[i] and not now[i]]:
            print(f"Epoch {epoch + 1}: the classifier hardly sees {', '.join(gone)} any more.")
        self.before = now

    def name(self, number):
        """What a class is called."""
        names = self.judge.class_names
        return str(names[number] if names else number)
