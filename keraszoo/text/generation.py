"""Text from a language model, token by token: one function for every model that foretells the next token."""

import numpy as np


def generate(
    begin,
    step,
    prompts,
    length=100,
    *,
    temperature=1.0,
    top_k=None,
    top_p=None,
    beams=1,
    length_penalty=1.0,
    end=None,
    forbidden=(),
    seed=None,
):
    """Go on with prompts. An iterator, so that each token can be shown as soon as it is known.

    Args:
        begin: A function of the prompts, a list of int arrays of different lengths. It gives logits of the token
            that follows each, (count, tokens), floating, and a state: what the model must keep, a structure of
            arrays or tensors whose first axis is `count`.
        step: A function of the tokens chosen last, (count,) int32, and the state. It gives the next logits and state.
        prompts: Lists of token numbers, at least one token each.
        length: Tokens to add, at most.
        temperature: Logits are divided by it before one is drawn; 0 takes the likeliest token (greedy).
        top_k: Draw from the `top_k` likeliest tokens only.
        top_p: Draw from the fewest tokens whose probabilities together reach `top_p`, in (0, 1]; Holtzman et al.
            2019, https://arxiv.org/abs/1904.09751, section 3.1.
        beams: Above 1, look for the likeliest continuation among so many at a time, without drawing.
        length_penalty: With beams: log-probabilities are divided by the number of tokens to this power.
        end: The token that ends a text; None goes on to `length`.
        forbidden: Tokens that never come, such as padding.
        seed: Of what is drawn: an integer. None draws anew each time.

    Yields:
        (count,) int32: the next token of each continuation; after a text's end, `end`. With beams, all come when
        the search is done.

    Raises:
        ValueError: An argument is out of its range, or a prompt is empty.

    The drawing itself is NumPy's, so the same logits and seed give the same text on every backend.
    """
    check(prompts, length, temperature, top_k, top_p, beams)
    if beams > 1:
        return iter(search(begin, step, prompts, length, beams, length_penalty, end, forbidden).T)
    return draw(begin, step, prompts, length, temperature, top_k, top_p, end, forbidden, seed)


def check(prompts, length, temperature, top_k, top_p, beams):
    """Refuse what cannot be done, before anything is."""
    if not len(prompts):
        raise ValueError("prompts is empty: there is nothing to go on with.")
    for i, prompt in enumerate(prompts):
        if not len(prompt):
            raise ValueError(f"prompts[{i}] is empty: give at least one token, such as the start token.")
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}.")
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, got {temperature}.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], got {top_p}.")
    if beams < 1:
        raise ValueError(f"beams must be at least 1, got {beams}.")


def draw(begin, step, prompts, length, temperature, top_k, top_p, end, forbidden, seed):
    """One token after the other, each drawn from what the model says."""
    rng = np.random.default_rng(seed)
    logits, state = begin(prompts)
    done = np.zeros(len(prompts), bool)
    for i in range(length):
        tokens = chosen(barred(logits, forbidden), rng, temperature, top_k, top_p)
        if end is not None:
            tokens = np.where(done, end, tokens).astype("int32")
            done |= tokens == end
        yield tokens
        if done.all() or i + 1 == length:
            return
        logits, state = step(tokens, state)


def barred(logits, forbidden):
    """Logits as float64, those of forbidden tokens at minus infinity.

    Where nothing else was possible, all that is not forbidden is as likely.
    """
    logits = np.array(logits, "float64")
    logits[:, list(forbidden)] = -np.inf
    logits[np.isneginf(logits.max(axis=-1))] = 0.0
    logits[:, list(forbidden)] = -np.inf
    return logits


def chosen(logits, rng, temperature=1.0, top_k=None, top_p=None):
    """A token for each row of logits: (count, tokens) to (count,) int32."""
    if temperature == 0:
        return logits.argmax(axis=-1).astype("int32")
    logits = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        lesser = np.argsort(-logits, axis=-1, kind="stable")[:, top_k:]
        np.put_along_axis(logits, lesser, -np.inf, axis=-1)
    shares = np.exp(log_softmax(logits))
    if top_p is not None:
        order = np.argsort(-shares, axis=-1, kind="stable")
        falling = np.take_along_axis(shares, order, axis=-1)
        kept = falling.cumsum(axis=-1) - falling < top_p  # what comes before does not reach it yet
        np.put_along_axis(shares, order, falling * kept, axis=-1)
    sums = shares.cumsum(axis=-1)
    points = rng.random((len(sums), 1)) * sums[:, -1:]
    return (sums <= points).sum(axis=-1).clip(max=logits.shape[-1] - 1).astype("int32")


def log_softmax(logits):
    """Logarithms of probabilities: (..., tokens) float64."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def search(begin, step, prompts, length, beams, penalty, end, forbidden):
    """The likeliest continuations that a beam search finds: (count, length) int32."""
    import keras

    def rows(state, where):
        return keras.tree.map_structure(lambda v: keras.ops.take(v, where, axis=0), state)

    count = len(prompts)
    logits, state = begin(prompts)
    state = rows(state, np.repeat(np.arange(count), beams))
    logits = np.repeat(barred(logits, forbidden), beams, axis=0)
    scores = np.full((count, beams), -np.inf)
    scores[:, 0] = 0.0  # at first all beams are alike
    found = np.zeros((count, beams, 0), "int32")
    best = [(-np.inf, np.zeros(0, "int32"))] * count  # of texts that have ended
    for i in range(length):
        total = scores[:, :, None] + log_softmax(logits).reshape(count, beams, -1)
        tokens = total.shape[-1]
        flat = total.reshape(count, -1)
        order = np.argsort(-flat, axis=-1, kind="stable")[:, : 2 * beams]  # half of them may end here
        keep, picked, new = [], np.zeros((count, beams), "int32"), np.full((count, beams), -np.inf)
        for row in range(count):
            kept = []
            for place in order[row]:
                beam, token = divmod(int(place), tokens)
                score = flat[row, place]
                if end is not None and token == end:
                    worth = score / (i + 1) ** penalty
                    if worth > best[row][0]:
                        best[row] = worth, np.append(found[row, beam], token)
                elif len(kept) < beams:
                    picked[row, len(kept)], new[row, len(kept)] = token, score
                    kept.append(beam)
            keep.append(kept + [0] * (beams - len(kept)))
        keep = np.array(keep)
        found = np.concatenate(
            [np.take_along_axis(found, keep[:, :, None], axis=1), picked[:, :, None]], axis=-1
        )
        scores = new
        final = (
            length if penalty > 0 else i + 1
        ) ** penalty  # nothing better comes of a text than if all is certain
        hopeless = all(best[row][0] >= scores[row].max() / final for row in range(count))
        if i + 1 == length or (end is not None and hopeless):
            break
        state = rows(state, (keep + beams * np.arange(count)[:, None]).ravel())
        logits, state = step(picked.ravel(), state)
        logits = barred(logits, forbidden)
    result = []
    for row in range(count):
        running = scores[row].max() / found.shape[-1] ** penalty
        result.append(best[row][1] if best[row][0] >= running else found[row, scores[row].argmax()])
    longest = max(map(len, result))
    fill = 0 if end is None else end
    return np.stack([np.pad(r, (0, longest - len(r)), constant_values=fill) for r in result]).astype("int32")
