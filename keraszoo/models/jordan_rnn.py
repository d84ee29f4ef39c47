"""Jordan's network: what it says at one step, it hears at the next.

Jordan 1986, "Serial order: a parallel distributed processing approach", ICS report 8604, University of
California, San Diego; Goodfellow, Bengio, Courville 2016, section 10.2.1, figures 10.4 and 10.6.

Departures from the paper: the last output alone is fed back, not a trace of all that have faded; it is
trained by teacher forcing.
"""

import keras

from keraszoo.layers import JordanRNN
from keraszoo.models.recurrent import features, sequence_input
from keraszoo.registry import register
from keraszoo.tasks import LOSSES, METRICS
from keraszoo.training import MultiPlayerModel, Player, checks


@register(
    "jordan_rnn",
    task="sequence_feedback",
    paper="https://www.deeplearningbook.org/contents/rnn.html",
    tiny=dict(input_shape=(4, 3), units=32, num_classes=3),
    recipe=dict(global_clipnorm=1.0),
)
class Jordan(MultiPlayerModel):
    """Answer at every step of a sequence, knowing the answer of the step before.

    `fit(x, y)` feeds back the true answers ("teacher forcing"), so that all steps are learned at once;
    `evaluate` and `predict` run freely: what the network says is fed back, of classes the likeliest.

    Args:
        input_shape: (time, features) of a sequence; (time,) with `vocabulary_size`. Time may be None: any
            number of steps. By default (None, 1) or (None,).
        num_classes: Classes to choose from.
        num_values: Give so many real numbers instead.
        units: Hidden units.
        vocabulary_size: Take token numbers below this; 0 is padding.
        embed_dim: Features of a token.
        mask_value: A step at which all features have this value is padding, which stands at the end.

    Shapes:
        x:       (batch, time, features), floating, or (batch, time), integers.
        y:       (batch, time), class numbers; or (batch, time, num_values), floating.
        returns: (batch, time, num_classes), float32 logits; or (batch, time, num_values), float32.

    Raises:
        ValueError: `input_shape` does not fit `vocabulary_size`, or `mask_value` is given with it.
    """

    speaker = "free"

    def __init__(
        self,
        input_shape=None,
        num_classes=10,
        num_values=None,
        units=128,
        vocabulary_size=None,
        embed_dim=128,
        mask_value=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kind = "values" if num_values else "categories"
        sequence = sequence_input(input_shape, vocabulary_size)
        x = features(sequence, vocabulary_size, embed_dim, mask_value)
        layer = JordanRNN(units, num_values or num_classes, categories=not num_values, name="jordan")
        targets = keras.Input((None, num_values) if num_values else (None,), name="targets")
        self.free = keras.Model(sequence, layer(x), name="free")
        self.forced = keras.Model([sequence, targets], layer(x, targets), name="forced")
        self.criterion = LOSSES[self.kind]()
        self.score = METRICS[self.kind]()

    def players(self):
        return {"network": Player([self.free], self.network_loss)}

    def call(self, x, training=False):
        return self.free(x)

    def network_loss(self, x, y, sample_weight=None, training=False):
        """How far the answers are off: after true ones while training, and else after its own."""
        outputs = self.forced([x, y]) if training else self.free(x)
        self.score.update_state(y, outputs, sample_weight)
        return self.criterion(y, outputs, sample_weight)

    def check_batch(self, x, y=None, sample_weight=None, prefix=""):
        """Refuse what it cannot learn from."""
        super().check_batch(x, y, sample_weight, prefix)
        if y is None:
            raise ValueError(f"{prefix}y is missing: {self.name} learns from an answer at each step.")
        checks.check_target(self, f"{prefix}y", checks.array(y), self.kind, self.output_shape)
        checks.check_steps(x, y, prefix)
