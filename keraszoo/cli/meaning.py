"""What the outputs of a saved model say: how likely its classes are, or numbers."""

import numpy as np

from keraszoo.tasks import TASKS
from keraszoo.training.checks import target_kind


def gives_values(model):
    """Whether a model answers with real numbers; else with a score of each class."""
    return "values" in (getattr(model, "kind", None), target_kind(getattr(model, "loss", None)))


def meaning(model, outputs):
    """What outputs (NumPy, classes or numbers last) say: real numbers as they are, or a probability of each class."""
    if gives_values(model):
        return np.asarray(outputs)
    task = TASKS.get(model.card.get("task"))
    return (task if hasattr(task, "probabilities") else TASKS["classification"]).probabilities(outputs)
