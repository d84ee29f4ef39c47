"""Attention and the Transformer block: what they promise to every model that stands on them."""

import keras
import numpy as np
import pytest
import torch
from keras import ops

from keraszoo.backend.compiled import compiled
from keraszoo.layers.transformer import TokenEmbedding, TransformerBlock, blank, sines

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 12, 16)).astype("float32")
MEMORY = rng.normal(size=(3, 5, 16)).astype("float32")


def block(**arguments):
    """A block whose normalizations are as if they had learned."""
    found = TransformerBlock(16, 4, **arguments)
    found.build((None, None, 16))
    for weight in found.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + rng.normal(scale=0.3, size=weight.shape))
    return found


def value(x):
    return ops.convert_to_numpy(x)


def copied(ours, theirs, crossed):
    """Our weights in a layer of torch: `nn.TransformerEncoderLayer`, or the decoder's."""

    def put(target, source):
        target.data = torch.from_numpy(np.array(value(source).T))

    def dense(target, source):
        put(target.weight, source.kernel), put(target.bias, source.bias)

    def norm(target, source):
        put(target.weight, source.gamma), put(target.bias, source.beta)

    put(theirs.self_attn.in_proj_weight, ours.attention.qkv.kernel)
    put(theirs.self_attn.in_proj_bias, ours.attention.qkv.bias)
    dense(theirs.self_attn.out_proj, ours.attention.projection)
    dense(theirs.linear1, ours.hidden), dense(theirs.linear2, ours.output_)
    norm(theirs.norm1, ours.norm1)
    norm(theirs.norm3 if crossed else theirs.norm2, ours.norm2)
    if crossed:
        cross = ours.cross_attention
        both = [
            np.concatenate([value(a), value(b)], -1)
            for a, b in zip(cross.query.weights, cross.key_value.weights, strict=True)
        ]
        put(theirs.multihead_attn.in_proj_weight, both[0]), put(theirs.multihead_attn.in_proj_bias, both[1])
        dense(theirs.multihead_attn.out_proj, cross.projection)
        norm(theirs.norm2, ours.norm_cross)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("crossed", [True, False])
def test_equals_torch(norm_first, crossed):
    """As torch's layers, with padding in both sequences and the future hidden."""
    ours = block(norm_first=norm_first, crossed=crossed, causal=crossed, activation="relu", epsilon=1e-5)
    make = torch.nn.TransformerDecoderLayer if crossed else torch.nn.TransformerEncoderLayer
    theirs = make(16, 4, 64, dropout=0.0, batch_first=True, norm_first=norm_first).eval()
    copied(ours, theirs, crossed)
    mask, memory_mask = np.arange(12) < [[12], [7], [9]], np.arange(5) < [[5], [2], [4]]
    x, away = torch.from_numpy(X), torch.from_numpy(~mask)
    if crossed:
        found = ours(X, ours.prepare(ops.convert_to_tensor(MEMORY)), mask=mask, memory_mask=memory_mask)
        future = torch.ones(12, 12, dtype=bool).triu(1)
        expected = theirs(
            x,
            torch.from_numpy(MEMORY),
            tgt_mask=future,
            tgt_key_padding_mask=away,
            memory_key_padding_mask=torch.from_numpy(~memory_mask),
        )
    else:
        found, expected = ours(X, mask=mask), theirs(x, src_key_padding_mask=away)
    np.testing.assert_allclose(value(found)[mask], expected.detach().numpy()[mask], atol=1e-5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_going_on_equals_reading_at_once(norm_first):
    """Whatever pieces a sequence comes in, and whatever padding stands before it."""
    ours = block(norm_first=norm_first, crossed=True, causal=True)
    memory = ours.prepare(ops.convert_to_tensor(MEMORY))
    expected = value(ours(X, memory))
    padded = X.copy()
    padded[1] = np.concatenate([np.full((2, 16), 9.0), X[1, :10]])  # two of padding before the second row
    first = np.array([0, 2, 0], "int32")
    go_on = compiled(lambda *given: ours.go_on(*given), ours.variables)
    past, at, found = blank([ours], 3, 12)[0], 0, []
    for new in (5, 1, 1, 4, 1):
        y, past = go_on(padded[:, at : at + new], past, np.full(3, at, "int32"), first, memory)
        found.append(value(y))
        at += new
    found = np.concatenate(found, axis=1)
    np.testing.assert_allclose(found[[0, 2]], expected[[0, 2]], atol=1e-5)
    np.testing.assert_allclose(found[1, 2:], expected[1, :10], atol=1e-5)


def test_a_causal_block_cannot_see_the_future():
    ours, other = block(causal=True), X.copy()
    other[:, 7:] += 1
    before, after = value(ours(X)), value(ours(other))
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert (before[:, 7:] != after[:, 7:]).any(axis=(0, 2)).all()


def test_weights_of_attention_are_shares():
    ours = block(crossed=True, norm_first=False, causal=True)
    memory, mask = ours.prepare(ops.convert_to_tensor(MEMORY)), np.arange(5) < [[5], [2], [4]]
    own, across = (
        value(ours.attention_weights(ops.convert_to_tensor(X))),
        value(ours.cross_attention_weights(ops.convert_to_tensor(X), memory, memory_mask=mask)),
    )
    assert own.shape == (3, 4, 12, 12) and across.shape == (3, 4, 12, 5)
    for shares in (own, across):
        np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
    assert not np.triu(own, 1).any() and not across[1, :, :, 2:].any()


def test_positions_by_the_formula():
    """Section 3.5: sin(pos / 10000^(2i/d)) at 2i, its cosine at 2i + 1."""
    found = value(sines(ops.arange(50), 6))
    for place in (0, 1, 49):
        for i in range(3):
            angle = place / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(
                found[place, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)], atol=1e-5
            )


def test_an_embedding_there_and_back():
    ours = TokenEmbedding(7, 4, max_length=5, segments=2, scale=True)
    ours.build((None, None))
    tokens, places, sorts = (value(w) for w in ours.weights)
    x = np.array([[1, 2, 6]])
    np.testing.assert_allclose(value(ours(x)), tokens[x] * 2 + places[:3] + sorts[0], atol=1e-6)
    given = dict(segments=np.array([[0, 1, 1]]), positions=np.array([[4, 0, 1]]))
    np.testing.assert_allclose(
        value(ours(x, **given)),
        tokens[x] * 2 + places[given["positions"]] + sorts[given["segments"]],
        atol=1e-6,
    )
    y = rng.normal(size=(2, 3, 4)).astype("float32")
    np.testing.assert_allclose(value(ours(ops.convert_to_tensor(y), reverse=True)), y @ tokens.T, atol=1e-6)


def test_says_what_cannot_be():
    with pytest.raises(ValueError, match="num_heads must divide embed_dim"):
        TransformerBlock(10, 3)
    with pytest.raises(ValueError, match="'learned' or 'sine', got 'cosine'"):
        TokenEmbedding(7, 4, positions="cosine")
    with pytest.raises(ValueError, match="max_length must be given"):
        TokenEmbedding(7, 4)


def test_a_stack_is_a_functional_model():
    """Masks reach every block, and the graph is saved with what it was made of."""
    tokens = keras.Input((None,), dtype="int32")
    embedding = TokenEmbedding(9, 16, positions="sine", name="embedding")
    x, mask = embedding(tokens), ops.not_equal(tokens, 0)
    for i in range(3):
        x = TransformerBlock(16, 4, norm_first=False, name=f"block_{i}")(x, mask=mask)
    model = keras.Model(tokens, embedding(x, reverse=True))
    short, long = np.array([[3, 4, 5]]), np.array([[3, 4, 5, 0, 0]])
    np.testing.assert_allclose(
        model.predict(short, verbose=0), model.predict(long, verbose=0)[:, :3], atol=1e-5
    )
    again = keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(long, verbose=0), model.predict(long, verbose=0), atol=1e-6)
