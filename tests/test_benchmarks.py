"""The native comparators compute what our models compute, so that no straw man is beaten."""

import keras
import numpy as np
import pytest

from benchmarks import masking
from benchmarks.cases import CASES
from benchmarks.sides import TOGETHER, Disagreement, agree, agreed

BACKEND = keras.backend.backend()


@pytest.mark.parametrize("name", CASES)
def test_native_code_agrees_for_three_steps(name):
    case = CASES[name].small()
    ours, natives = agreed([BACKEND], case)
    assert len(natives) == len(case.ways[BACKEND])
    first, *weights = ours.model.get_weights()
    change = np.linspace(-0.1, 0.1, first.size, dtype=first.dtype).reshape(first.shape)
    ours.model.set_weights([first + change, *weights])
    with pytest.raises(Disagreement, match="not the same model"):
        agree(ours, natives[-1], case)
    if case.drawn(ours.model):  # what is not handed over is drawn anew
        batch = [part[: case.batch_size] for part in case.data()]
        assert all(len({side.step(*batch)[0] for _ in range(3)}) == 3 for side in (ours, *natives))
    if case.noise(0):  # a game that was fed noise draws its own again
        ours.model.optimizer.learning_rate = 0.0
        batch = [part[: case.batch_size] for part in case.data()]
        assert ours.step(*batch) != ours.step(*batch)


def test_a_native_side_in_another_process_answers_the_same():
    case, other = CASES["lenet5"].small(), "jax" if BACKEND == "torch" else "torch"
    ours, natives = agreed([BACKEND, other, other + TOGETHER], case)
    assert len({side.label for side in natives}) == len(natives) > len(case.ways[BACKEND])
    assert all(side.timed("fit", *case.data()) > 0 for side in (ours, *natives))


def test_steps_that_hide_much_and_little_take_turns_and_leave_the_model_as_it_was():
    case = CASES["mae_vit_base"].small()
    model, seen = case.build(), []
    loss, before = model.autoencoder_loss, model.visible

    def noted(*arguments, **named):
        seen.append(model.visible)
        return loss(*arguments, **named)

    object.__setattr__(model, "autoencoder_loss", noted)
    found = masking.compare(model, case.images()[:4], rounds=1)
    assert set(seen) == {before, model.count - 1} and model.visible == before
    assert {kind: len(times) for kind, times in found.items()} == {"masked": 1, "whole": 1}
