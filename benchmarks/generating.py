"""How fast a GPT-2 writes: its keys and values kept, beside `generate` of `transformers`, which keeps them, too.

    python -m benchmarks.generating torch
    python -m benchmarks.generating jax --size gpt2 --rounds 5

Both sides have the same weights and the same prompts, take the likeliest token 256 times, and must write the same text.
Each takes its turn, in a process of its own, on one thread. Prints medians of processor seconds, and what a token takes
at the tenth place and at the two hundred and fiftieth.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

from benchmarks.__main__ import BACKENDS, alone

SIZES = {
    "small": dict(embed_dim=256, depth=4, num_heads=4, context=512, vocabulary_size=50_257, dropout=0.0),
    "gpt2": dict(embed_dim=768, depth=12, num_heads=12, context=1024, vocabulary_size=50_257, dropout=0.0),
}
NEW, PROMPT = 256, 16
PLACES = (10, 250)


class Ours:
    """The model of `keraszoo.build`."""

    def __init__(self, backend, size):
        alone(backend)
        import keraszoo

        self.model = keraszoo.build("gpt2", seed=0, **SIZES[size])
        self.weights = spread(self.model.get_weights())
        self.model.set_weights(self.weights)

    def write(self, prompts):
        """What comes after the prompts, (count, new), and processor seconds at which each token came."""
        import numpy as np

        times, tokens = [time.process_time()], []
        drawing = dict(
            temperature=0.0, top_k=None, top_p=None, beams=1, length_penalty=1.0, end=None, seed=None
        )
        for token in self.model.draw(list(prompts), NEW, **drawing):
            tokens.append(token)
            times.append(time.process_time())
        return np.stack(tokens, axis=1), np.diff(times)


class Theirs:
    """A `GPT2LMHeadModel` with the same weights."""

    def __init__(self, weights, size):
        alone("torch")
        import torch

        from benchmarks.transformer_torch import gpt2

        torch.set_num_threads(1)
        tokens, positions, *rest = weights
        blocks = {f"block_{i}": rest[12 * i : 12 * i + 12] for i in range(len(rest) // 12)}
        named = {"embedding": (tokens, positions), **blocks, "norm": rest[-2:]}
        self.model = gpt2(named, SIZES[size]["num_heads"], 1e-5).eval()

    def write(self, prompts):
        """As of `Ours`."""
        import numpy as np
        import torch

        class Clock:
            """Told of each token when it is known."""

            def __init__(self):
                self.times = []

            def __call__(self, tokens, scores, **rest):
                self.times.append(time.process_time())
                return torch.zeros(len(tokens), dtype=torch.bool)

        clock, start = Clock(), time.process_time()
        with torch.inference_mode():
            found = self.model.generate(
                torch.from_numpy(prompts).long(),
                attention_mask=torch.ones(prompts.shape, dtype=torch.long),
                do_sample=False,
                min_new_tokens=NEW,
                max_new_tokens=NEW,
                pad_token_id=0,
                eos_token_id=None,
                stopping_criteria=[clock],
            )
        return found.numpy()[:, prompts.shape[1] :], np.diff([start, *clock.times])


def spread(weights):
    """Weights with which a model does not write one token for ever."""
    import numpy as np

    rng = np.random.default_rng(0)
    tokens, positions, *rest = weights
    return [tokens, positions + rng.normal(0, 0.5, positions.shape).astype("float32"), *rest]


def settle(kind, *arguments):
    """In a process of its own: make a side."""
    global side
    side = kind(*arguments)
    return getattr(side, "weights", None)


def asked(prompts):
    return side.write(prompts)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backend", choices=BACKENDS, help="that ours runs on")
    parser.add_argument("--size", choices=SIZES, default="small", help="default: small")
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[1, 8], help="prompts at a time; default: 1 8"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side; default: 5")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        compare([stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for _ in range(2)], chosen)


def compare(sides, chosen):
    """Let two processes write in turn, and print how long they took."""
    import numpy as np

    weights = sides[0].submit(settle, Ours, chosen.backend, chosen.size).result()
    sides[1].submit(settle, Theirs, weights, chosen.size).result()
    for batch in chosen.batch:
        high = SIZES[chosen.size]["vocabulary_size"]
        prompts = np.random.default_rng(1).integers(0, high, (batch, PROMPT)).astype("int32")
        texts = [process.submit(asked, prompts).result()[0] for process in sides]  # compiles, and warms up
        alike = (texts[0] == texts[1]).mean()
        taken = np.empty((chosen.rounds, 2, NEW))
        for turn in range(chosen.rounds):
            for i in (0, 1) if turn % 2 else (1, 0):
                taken[turn, i] = sides[i].submit(asked, prompts).result()[1]
        seconds = taken.sum(-1)
        print(
            f"{chosen.size} on {chosen.backend}, {batch} at a time, {NEW} tokens: {alike:.1%} of them the same"
        )
        for i, label in enumerate(("keraszoo", "transformers")):
            ms = [1e3 * np.median(taken[:, i, place - 5 : place + 5]) for place in PLACES]
            print(
                f"  {label:<14}{np.median(seconds[:, i]):7.2f} s"
                + "".join(f"   token {place}: {m:.2f} ms" for place, m in zip(PLACES, ms, strict=True))
                + f"   {ms[1] / ms[0]:.2f}"
            )
        print(f"  transformers / keraszoo: {np.median(seconds[:, 1] / seconds[:, 0]):.2f}", flush=True)


if __name__ == "__main__":
    main()
