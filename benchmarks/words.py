"""Words per second of word2vec, beside gensim with one worker.

    python -m benchmarks.words jax 3

Both read the same million words, drawn by Zipf's law from 20,000, with the same settings (100 numbers in a vector,
window 5, 5 random words, subsampling at 1e-3). They take turns, so many rounds (3 by default), after one that compiles;
time is the processor's, for everything between texts as numbers and vectors. Prints words of the texts per second,
whether or not subsampling skips them, medians of the rounds.
"""

import sys
import time

from benchmarks.__main__ import alone

KINDS = {
    "skipgram": dict(kind="skipgram"),
    "skipgram, a set of random words for each pair": dict(kind="skipgram", shared_negatives=None),
    "skipgram, 16 random words for a batch": dict(kind="skipgram", shared_negatives=16),
    "cbow": dict(kind="cbow"),
}


def corpus(count=1_000_000, words=20_000, length=15):
    """Texts of so many words each, as arrays of word numbers from 4."""
    import numpy as np

    weights = 1 / np.arange(1, words + 1)
    drawn = 4 + np.random.default_rng(0).choice(words, count, p=weights / weights.sum()).astype("int32")
    return np.split(drawn, range(length, count, length))


def timed(work):
    """Processor seconds of calling `work`."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main(backend, rounds="3"):
    import numpy as np
    from gensim.models import Word2Vec

    import keraszoo
    from keraszoo.training.contexts import Contexts

    texts = corpus()
    count, size = sum(map(len, texts)), 1 + max(text.max() for text in texts)
    as_words = [[str(number) for number in text] for text in texts]
    taken = {}
    for name, arguments in KINDS.items():
        kind = arguments["kind"]
        model = keraszoo.build(
            f"word2vec_{kind}", vocabulary_size=int(size), seed=0, **{**arguments, "kind": kind}
        )
        data = Contexts(texts, 5, int(size), 1e-3, 1, 1024, True, 0)
        model.count(data.counts)
        model.fit(data, steps_per_epoch=2, verbose=0)
        theirs = Word2Vec(
            vector_size=100, window=5, negative=5, sample=1e-3, min_count=1, sg=kind == "skipgram", workers=1
        )
        theirs.build_vocab(as_words)

        def ours(model=model):
            model.fit(Contexts(texts, 5, int(size), 1e-3, 1, 1024, True, 0), verbose=0)

        def gensim(theirs=theirs):
            theirs.train(as_words, total_examples=len(as_words), epochs=1)

        taken[name] = np.array([(timed(ours), timed(gensim)) for _ in range(int(rounds))])
        (a, b), ratio = np.median(count / taken[name], 0), np.median(taken[name][:, 1] / taken[name][:, 0])
        print(f"{name}, {backend}: {a:,.0f} words a second, gensim {b:,.0f}; ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    alone(sys.argv[1])
    main(*sys.argv[1:])
