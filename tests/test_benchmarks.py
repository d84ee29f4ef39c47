"""The native comparators compute what our models compute, so that no straw man is beaten."""

import keras
import numpy as np
import pytest

from benchmarks.cases import CASES
from benchmarks.sides import OPTIONS, Disagreement, agree, agreed

BACKEND = keras.backend.backend()


@pytest.mark.parametrize("name", CASES)
def test_native_code_agrees_for_three_steps(name):
    case = CASES[name].small()
    x, y = case.data()
    ours, natives = agreed([BACKEND], case, x, y)
    assert len(natives) == len(OPTIONS[BACKEND])
    weights = ours.model.get_weights()
    ours.model.set_weights([*weights[:-1], weights[-1] + np.arange(5)])
    with pytest.raises(Disagreement, match="not the same model"):
        agree(ours, natives[-1], x, y)


def test_a_native_side_in_another_process_answers_the_same():
    case = CASES["lenet5"].small()
    x, y = case.data()
    ours, natives = agreed([BACKEND, "jax" if BACKEND == "torch" else "torch"], case, x, y)
    assert len({side.label for side in natives}) == len(natives) > len(OPTIONS[BACKEND])
    assert all(side.timed("training", x, y) > 0 for side in (ours, *natives))
