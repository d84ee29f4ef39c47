"""What is true of attention, of patches and of Vision Transformers, and of nothing else."""

import keras
import numpy as np
import pytest
import torch
from keras import ops
from transformers import ViTConfig, ViTForImageClassification

import keraszoo
from keraszoo import front, registry
from keraszoo.diagnostics import rollout, seen
from keraszoo.layers import MultiHeadAttention, PatchEmbedding, TransformerBlock
from keraszoo.layers.patches import cubic, patchify, resized, sine_cosine, unpatchify

TINY = dict(registry.entry("vit_tiny").tiny)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def count(name, **config):
    entry = registry.entry(name)
    return front.trainable(front.abstract(entry.load(), {**entry.size, **config}))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A network of the reference's with random weights, and the folder that it is saved in."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        image_size=32,
        patch_size=8,
        num_labels=5,
        attn_implementation="eager",
    )
    model = ViTForImageClassification(config).eval()
    with torch.no_grad():  # as if it had been trained: new ones have a class token and biases of zero
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    folder = tmp_path_factory.mktemp("vit")
    model.save_pretrained(folder)
    return model, folder


def asked(model, images, **options):
    with torch.no_grad():
        return model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), **options)


def test_same_logits_as_transformers(reference):
    theirs, folder = reference
    ours = keraszoo.build("vit_base", weights=folder)
    assert ours.input_shape == (None, 32, 32, 3)  # what the checkpoint has learned from
    x = noise(3, 32, 32, 3)
    expected = asked(theirs, x).logits.numpy()
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=1e-4)


def test_same_attention_as_transformers(reference):
    theirs, folder = reference
    ours = keraszoo.build("vit_base", weights=folder)
    x = noise(3, 32, 32, 3)
    expected = np.stack([a.numpy() for a in asked(theirs, x, output_attentions=True).attentions], axis=1)
    found = ours.attention(x, batch_size=2)
    assert found.shape == (3, 2, 4, 17, 17)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_images_of_another_size_as_in_transformers(reference):
    theirs, folder = reference
    x = noise(2, 48, 24, 3)
    expected = asked(theirs, x, interpolate_pos_encoding=True).logits.numpy()
    built = keraszoo.build("vit_base", weights=folder, input_shape=(48, 24, 3))
    np.testing.assert_allclose(built.predict(x, verbose=0), expected, atol=1e-4)
    grown = keraszoo.build("vit_base", weights=folder).resized((48, 24))
    np.testing.assert_allclose(grown.predict(x, verbose=0), expected, atol=1e-4)
    grown.fit(x, np.array([0, 1]), verbose=0)  # it is compiled, and its card knows the classes
    assert grown.card["architecture"] == "vit_base"


def test_a_checkpoint_contradicts(reference):
    _, folder = reference
    with pytest.raises(ValueError, match="embed_dim=64 contradicts .* embed_dim=32"):
        keraszoo.build("vit_base", weights=folder, embed_dim=64)
    with pytest.raises(ValueError, match=r"40x48 would fit"):
        keraszoo.build("vit_base", weights=folder, input_shape=(42, 46, 3))


def test_positions_are_interpolated_as_torch_does():
    old = noise(1 + 4 * 6, 8)
    places = torch.from_numpy(old[1:].reshape(1, 4, 6, 8)).permute(0, 3, 1, 2)
    for new in ((9, 5), (2, 3), (4, 6)):
        wanted = torch.nn.functional.interpolate(places, size=new, mode="bicubic", align_corners=False)
        found = resized(old, (4, 6), new)
        np.testing.assert_allclose(found[1:], wanted[0].permute(1, 2, 0).reshape(-1, 8), atol=1e-5)
        np.testing.assert_array_equal(found[0], old[0])
    np.testing.assert_allclose(cubic(5, 11).sum(1), 1)


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("vit_base", dict(input_shape=(384, 384, 3)), 86_859_496),
        ("vit_base", dict(patch_size=32), 88_224_232),
        ("vit_large", dict(patch_size=32), 306_535_400),
        ("vit_base", dict(positions="sine_cosine"), 86_567_656 - 197 * 768),
        ("vit_base", dict(pooling="mean"), 86_567_656),
    ],
)
def test_other_published_sizes(name, config, expected):
    assert count(name, **config) == expected


def test_without_positions_a_mean_does_not_care_for_order():
    model = keraszoo.build("vit_tiny", **{**TINY, "pooling": "mean", "num_heads": 4}, seed=1)
    patches = model.get_layer("patches")
    model.get_layer("logits").kernel.assign(noise(16, 3))
    patches.positions.assign(np.zeros((5, 16)))
    x = noise(2, 16, 16, 3)
    mixed = x[:, [*range(8, 16), *range(8)]]  # the upper patches are the lower ones
    np.testing.assert_allclose(model.predict(x, verbose=0), model.predict(mixed, verbose=0), atol=1e-5)
    patches.positions.assign(noise(5, 16))
    assert np.abs(model.predict(x, verbose=0) - model.predict(mixed, verbose=0)).max() > 1e-3


def test_patches_are_read_row_by_row():
    x = np.arange(4 * 6 * 2, dtype="float32").reshape(1, 4, 6, 2)
    patches = ops.convert_to_numpy(patchify(x, 2))
    assert patches.shape == (1, 6, 8)
    np.testing.assert_array_equal(patches[0, 1], x[0, :2, 2:4].ravel())  # pixels by rows, channels last
    np.testing.assert_array_equal(patches[0, 3], x[0, 2:, :2].ravel())
    np.testing.assert_array_equal(ops.convert_to_numpy(unpatchify(patches, 2, (4, 6, 2))), x)


def test_kept_patches_are_embedded_where_they_lie():
    layer = PatchEmbedding(2, 8)
    x, kept = noise(2, 4, 6, 3), np.array([[5, 0], [3, 2]])
    whole = ops.convert_to_numpy(layer(x))
    some = ops.convert_to_numpy(layer(x, kept))
    np.testing.assert_allclose(some[:, 0], whole[:, 0])
    for row in range(2):
        np.testing.assert_allclose(some[row, 1:], whole[row, 1 + kept[row]], atol=1e-6)


def test_sine_and_cosine_know_distances():
    table = sine_cosine(3, 4, 16).reshape(3, 4, 16)
    np.testing.assert_allclose((table**2).sum(-1), 8, atol=1e-5)  # eight pairs of sine and cosine
    products = np.einsum("rce,sde->rcsd", table, table)
    assert products[0, 0, 1, 2] == pytest.approx(products[1, 1, 2, 3], abs=1e-5)  # the same step, elsewhere
    assert products[0, 0, 0, 1] > products[0, 0, 0, 2] and products[0, 0, 1, 0] > products[0, 0, 1, 2]
    np.testing.assert_allclose(table[0, :, :4], np.sin(np.arange(4)[:, None] * 10.0 ** -np.arange(4)))
    np.testing.assert_array_equal(table[0, :, :8], table[2, :, :8])  # the first half knows columns only
    with pytest.raises(ValueError, match="divisible by 4"):
        sine_cosine(3, 4, 18)


def test_attention_is_equation_1():
    layer = MultiHeadAttention(8, 2)
    x = noise(2, 5, 8)
    layer.build(x.shape)
    layer.qkv.bias.assign(noise(24))
    qkv = x @ ops.convert_to_numpy(layer.qkv.kernel) + ops.convert_to_numpy(layer.qkv.bias)
    heads = []
    for h in range(2):
        q, k, v = (qkv[..., i * 8 + 4 * h : i * 8 + 4 * h + 4] for i in range(3))
        powers = np.exp(q @ k.transpose(0, 2, 1) / 2)
        heads.append(powers / powers.sum(-1, keepdims=True) @ v)
    expected = np.concatenate(heads, -1) @ ops.convert_to_numpy(layer.projection.kernel)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, atol=1e-5)
    dropping = MultiHeadAttention(8, 2, dropout=0.5)  # another path while training, the same on average
    dropping.build(x.shape)
    dropping.set_weights([*layer.get_weights(), *dropping.get_weights()[4:]])
    np.testing.assert_allclose(ops.convert_to_numpy(dropping(x)), expected, atol=1e-5)
    drawn = np.mean([ops.convert_to_numpy(dropping(x, training=True)) for _ in range(400)], axis=0)
    np.testing.assert_allclose(drawn, expected, atol=0.25)


@pytest.mark.parametrize("dropout", [0.0, 1e-7])  # by the fused kernel, and by weights that are dropped
def test_a_causal_block_cannot_see_the_future(dropout):
    block = TransformerBlock(embed_dim=8, num_heads=2, causal=True, attention_dropout=dropout)
    x = noise(1, 6, 8)
    y = ops.convert_to_numpy(block(x, training=True))
    x[0, 4:] = 0
    z = ops.convert_to_numpy(block(x, training=True))
    np.testing.assert_allclose(z[0, :4], y[0, :4], atol=1e-6)
    assert not np.allclose(z[0, 4:], y[0, 4:])
    shares = ops.convert_to_numpy(block.attention_weights(x))
    assert (np.triu(shares, 1) == 0).all()


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(causal):
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(20, 8, mask_zero=True)(tokens)
    for _ in range(3):  # the mask must travel through a stack, not only into its first block
        x = TransformerBlock(embed_dim=8, num_heads=2, causal=causal)(x)
    model = keras.Model(tokens, x)
    padded, bare = np.array([[3, 7, 1, 5, 0, 0]]), np.array([[3, 7, 1, 5]])
    np.testing.assert_allclose(
        model.predict(padded, verbose=0)[:, :4], model.predict(bare, verbose=0), atol=1e-5
    )


def test_rollout_follows_attention_through_blocks():
    nowhere = np.broadcast_to(np.eye(4), (2, 3, 2, 4, 4))
    np.testing.assert_allclose(rollout(nowhere), np.broadcast_to(np.eye(4), (2, 4, 4)))
    shift = np.broadcast_to(np.roll(np.eye(4), 1, axis=1), (1, 2, 2, 4, 4))  # each looks at the next
    np.testing.assert_allclose(rollout(shift)[0, 0], [0.25, 0.5, 0.25, 0])  # half stays, twice
    drawn = np.random.default_rng(0).dirichlet(np.ones(5), (1, 2, 3, 5))
    maps = seen(drawn, (2, 2))
    assert maps.shape == (1, 4, 2, 2)
    np.testing.assert_allclose(maps[0, 1].ravel(), drawn[0, -1, 1, 0, 1:])
    first, second = (0.5 * drawn[0, b].mean(0) + 0.5 * np.eye(5) for b in range(2))
    np.testing.assert_allclose(maps[0, 3].ravel(), (second @ first)[0, 1:])
    with pytest.raises(ValueError, match=r"tokens, tokens\), got \(3, 4\)"):
        rollout(np.zeros((3, 4)))


def test_says_what_would_fit():
    with pytest.raises(
        ValueError, match=r"patch_size must divide .*patch_size=16.*\(100, 90, 3\); 96x96 would"
    ):
        keraszoo.build("vit_tiny", input_shape=(100, 90, 3))
    with pytest.raises(ValueError, match="num_heads must divide embed_dim, got num_heads=3, embed_dim=16"):
        keraszoo.build("vit_tiny", **{**TINY, "num_heads": 3})
    with pytest.raises(ValueError, match="'class_token' or 'mean', got 'max'"):
        keraszoo.build("vit_tiny", **TINY, pooling="max")
    with pytest.raises(ValueError, match="'learned' or 'sine_cosine', got 'none'"):
        keraszoo.build("vit_tiny", **TINY, positions="none")
