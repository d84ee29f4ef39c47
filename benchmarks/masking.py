"""What it saves that the encoder of a masked autoencoder sees visible patches only.

    python -m benchmarks.masking jax mae_vit_large 5

A step that hides 75 % of the patches takes turns with one that hides a single patch, of the same model on
the same eight images of 224x224 pixels; the decoder sees all patches either way. Prints processor seconds
for a step of each kind, medians of so many rounds (3 by default), and the median ratio.
"""

import sys
import time
from functools import partial

from benchmarks.__main__ import alone


def compare(model, images, rounds):
    """Processor seconds of both kinds of step.

    Args:
        model: A masked autoencoder; it learns.
        images: A batch, (batch, height, width, channels), floating.
        rounds: How often each kind takes its turn, after two turns that compile and make the optimizer's state.

    Returns:
        A dict from "masked" and "whole" to lists of `rounds` numbers.
    """
    seen, step = model.visible, model.train_step
    kinds = {"masked": dict(visible=seen), "whole": dict(visible=model.count - 1)}
    taken = {kind: [] for kind in kinds}
    for kind in kinds.values():  # JAX compiles once for all functions that are equal
        kind.update(train_function=None, train_step=partial(step))
    for _ in range(rounds + 2):
        for name, kind in kinds.items():
            for key, value in kind.items():
                object.__setattr__(model, key, value)
            start = time.process_time()
            model.train_on_batch(images)
            taken[name].append(time.process_time() - start)
            kind["train_function"] = model.train_function
    object.__delattr__(model, "train_step")
    model.visible, model.train_function = seen, None
    return {name: times[2:] for name, times in taken.items()}


def main(backend, name, rounds="3"):
    import numpy as np

    import keraszoo

    model = keraszoo.build(name, seed=0)
    images = np.random.default_rng(0).normal(size=(8, *model.input_shape[1:])).astype("float32")
    masked, whole = map(np.array, compare(model, images, int(rounds)).values())
    print(
        f"{name} on {backend}: {np.median(masked):.2f} s with 75 % hidden, {np.median(whole):.2f} s with one patch "
        f"hidden; {np.median(whole / masked):.2f} times as fast"
    )


if __name__ == "__main__":
    alone(sys.argv[1])
    main(*sys.argv[1:])
