"""A tensor that passes from one turn of a training step to the next."""

from keraszoo.backend.autodiff import Scope


class Handover:
    """Holds what one player has made for another who plays later in the same step.

    On JAX a tensor must not leave the function that is differentiated by any other way than this one:
    it travels with what the function assigns. Nothing is kept after a step: it is no state of a model.
    """

    def __init__(self):
        self.held = None

    def assign(self, value):
        """Leave a tensor; no gradient flows back through it."""
        scope = getattr(Scope.open, "scope", None)
        if scope is None:
            self.held = value
        else:
            scope.add_update((self, value))

    @property
    def value(self):
        """What was left, or None."""
        scope = getattr(Scope.open, "scope", None)
        return self.held if scope is None else scope.get_current_value(self)

    def clear(self):
        """Forget what an earlier step has left."""
        self.held = None
