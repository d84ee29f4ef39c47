"""What is true of a masked autoencoder and of nothing else."""

import keras
import numpy as np
import pytest
import torch
from keras import ops
from safetensors.numpy import load_file, save_file
from transformers import ViTMAEConfig, ViTMAEForPreTraining

import keraszoo
from keraszoo import registry
from keraszoo.callbacks import MaskedReconstructions
from keraszoo.callbacks.pictures import rgb
from keraszoo.layers.patches import patchify

TINY = dict(registry.entry("mae_vit_tiny").tiny)
SMALL = dict(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    decoder_hidden_size=16,
    decoder_num_hidden_layers=2,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=32,
    image_size=32,
    patch_size=8,
)


def images(count, *shape, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("float32")


def uniform(count, patches, seed=1):
    return np.random.default_rng(seed).random((count, patches), "float32")


def reference(folder=None, **config):
    """A network of the reference's with random weights, saved in a folder."""
    torch.manual_seed(0)
    model = ViTMAEForPreTraining(ViTMAEConfig(**SMALL, **config)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    if folder is not None:
        model.save_pretrained(folder)
    return model


def asked(model, x, noise):
    return model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), noise=torch.from_numpy(noise))


@pytest.mark.parametrize("config", [dict(), dict(norm_pix_loss=True, mask_ratio=0.5)], ids=["plain", "norm"])
def test_same_loss_and_reconstruction_as_transformers(config, tmp_path):
    theirs = reference(tmp_path, **config)
    ours = keraszoo.build("mae_vit_base", weights=tmp_path)
    x, noise = images(3, 32, 32, 3), uniform(3, 16)
    with torch.no_grad():
        expected = asked(theirs, x, noise)
    assert ours.evaluate(x, noise, verbose=0, return_dict=True)["loss"] == pytest.approx(
        float(expected.loss), abs=1e-4
    )
    made = ops.convert_to_numpy(patchify(ours.predict([x, noise], verbose=0), 8))
    assert np.abs(expected.logits.numpy()).max() > 0.3
    np.testing.assert_allclose(made, expected.logits, atol=1e-4)
    hidden = ours.reconstruct(x, noise).hidden[:, ::8, ::8].reshape(3, 16)
    np.testing.assert_array_equal(hidden, expected.mask)


def test_twenty_steps_beside_a_plain_loop(tmp_path):
    theirs = reference(tmp_path)
    ours = keraszoo.build("mae_vit_base", weights=tmp_path)
    ours.compile(optimizer=keras.optimizers.SGD(0.05))
    optimizer = torch.optim.SGD([p for p in theirs.parameters() if p.requires_grad], 0.05)
    before = [ops.convert_to_numpy(v) for v in ours.trainable_variables]
    losses = []
    for step in range(20):
        x, noise = images(4, 32, 32, 3, seed=step), uniform(4, 16, seed=step)
        loss = asked(theirs, x, noise).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append((ours.train_on_batch(x, noise, return_dict=True)["loss"], loss.item()))
        ours.reset_metrics()
    np.testing.assert_allclose(*zip(*losses, strict=True), atol=1e-4)
    theirs.save_pretrained(tmp_path)
    wanted = keraszoo.build("mae_vit_base", weights=tmp_path)
    for was, a, b in zip(before, ours.trainable_variables, wanted.trainable_variables, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-4, err_msg=a.path
        )
        assert not np.array_equal(was, ops.convert_to_numpy(a)), a.path


def test_checkpoints_by_the_names_of_the_hub(tmp_path):
    reference(tmp_path)
    file, (x, noise) = tmp_path / "model.safetensors", (images(2, 32, 32, 3), uniform(2, 16))
    expected = keraszoo.build("mae_vit_base", weights=tmp_path).predict([x, noise], verbose=0)
    held = {k.replace("decoder_encoder.layer.", "decoder_layers."): v for k, v in load_file(file).items()}
    assert "decoder.decoder_layers.1.attention.attention.query.weight" in held
    save_file(held, file)
    again = keraszoo.build("mae_vit_base", weights=tmp_path)
    np.testing.assert_array_equal(again.predict([x, noise], verbose=0), expected)
    with pytest.raises(ValueError, match="decoder_dim=8 contradicts .* decoder_dim=16"):
        keraszoo.build("mae_vit_base", weights=tmp_path, decoder_dim=8)
    held["decoder.decoder_pred.bias"] = np.zeros(5, "float32")
    save_file(held, file)
    with pytest.raises(ValueError, match=r"decoder_pred.bias has the shape \(5,\)"):
        keraszoo.build("mae_vit_base", weights=tmp_path)


@pytest.fixture(scope="module")
def mae():
    return keraszoo.build("mae_vit_tiny", **TINY, seed=3)


def test_what_is_hidden_is_never_seen(mae):
    x, noise = images(2, 16, 16, 3), uniform(2, 16)
    made, hidden = mae.reconstruct(x, noise)
    assert hidden.mean() == 0.75 and hidden[:, ::4, ::4].sum((1, 2)).tolist() == [12, 12]
    other = np.where(hidden[..., None], 7.0, x).astype("float32")
    np.testing.assert_array_equal(mae.predict([other, noise], verbose=0), mae.predict([x, noise], verbose=0))
    np.testing.assert_array_equal(made[~hidden], x[~hidden])
    assert (made[hidden] != x[hidden]).any(-1).all()


def test_the_loss_is_that_of_hidden_patches(mae):
    x, noise = images(4, 16, 16, 3), uniform(4, 16)
    hidden = mae.reconstruct(x, noise).hidden
    errors = np.square(mae.predict([x, noise], verbose=0) - x)[hidden]
    assert mae.evaluate(x, noise, verbose=0, return_dict=True)["loss"] == pytest.approx(
        errors.mean(), abs=1e-5
    )


def test_patches_are_hidden_at_random_and_evenly():
    mae = keraszoo.build("mae_vit_tiny", **TINY, mask_ratio=0.5)
    x = images(400, 16, 16, 3)
    share = mae.reconstruct(x, seed=0).hidden[:, ::4, ::4].mean(0)
    assert np.abs(share - 0.5).max() < 0.12  # each of 16 patches; the deviation of a mean of 400 is 0.025
    first, again = (mae.evaluate(x, verbose=0, return_dict=True)["loss"] for _ in range(2))
    assert first == again  # judged by the same masks
    mae.optimizer.learning_rate = 0.0
    seen = {mae.train_on_batch(x[:4], return_dict=True)["loss"] for _ in range(3)}
    assert len(seen) == 3  # but trained on new ones


def test_predict_hides_the_same_patches_each_time(mae):
    x = images(3, 16, 16, 3)
    np.testing.assert_array_equal(mae.predict(x, verbose=0), mae.predict(x, verbose=0))


def test_a_classifier_begins_where_pretraining_ended(mae):
    x, y = images(12, 16, 16, 3), np.arange(12) % 3
    whole = mae.encode(x)
    assert whole.shape == (12, 17, 16)
    probe = mae.classifier(3, pooling="class_token", frozen=True)
    before = [ops.convert_to_numpy(w) for w in probe.get_layer("block_0").weights]
    inner = keras.Model(probe.input, probe.get_layer("norm").output)
    np.testing.assert_allclose(inner.predict(x, verbose=0), whole[:, 0], atol=1e-5)
    assert {v.path.split("/")[-2] for v in probe.trainable_variables} == {"logits"}
    probe.fit(x, y, epochs=2, verbose=0)
    for a, b in zip(before, probe.get_layer("block_0").weights, strict=True):
        np.testing.assert_array_equal(a, ops.convert_to_numpy(b))
    tuned = mae.classifier(3, class_names=["a", "b", "c"])
    tuned.fit(x, y, epochs=2, verbose=0)
    assert not np.array_equal(before[0], ops.convert_to_numpy(tuned.get_layer("block_0").weights[0]))
    np.testing.assert_array_equal(mae.encode(x), whole)  # weights of its own


def test_a_classifier_is_a_model_of_its_own(mae, tmp_path):
    mae.classifier(3, class_names=["a", "b", "c"]).save(tmp_path / "c.keras")
    loaded = keraszoo.load(tmp_path / "c.keras")
    assert loaded.card["class_names"] == ["a", "b", "c"]
    loaded.fit(images(4, 16, 16, 3), np.zeros(4), verbose=0)
    assert loaded.attention(images(1, 16, 16, 3)).shape == (1, 2, 2, 17, 17)


def test_what_it_makes_of_hidden_patches_is_drawn_each_epoch(tmp_path):
    mae = keraszoo.build("mae_vit_tiny", **TINY)
    x = images(4, 16, 16, 3)
    mae.fit(x, epochs=2, callbacks=[MaskedReconstructions(tmp_path, x)], verbose=0)
    first, second = (rgb(tmp_path / f"epoch_000{epoch}.png") for epoch in (1, 2))
    assert first.shape == second.shape and (first != second).any()
    assert (tmp_path / "film.gif").stat().st_size > 1000
    with pytest.raises(ValueError, match="needs a masked autoencoder; vit_tiny hides no patches"):
        other = keraszoo.build("vit_tiny", **registry.entry("vit_tiny").tiny)
        other.fit(x, np.zeros(4), callbacks=[MaskedReconstructions(tmp_path, x)], verbose=0)


def test_says_what_is_wrong(mae):
    for ratio in (0.0, 1.0, 1.5, -0.1, 0.99):
        with pytest.raises(
            ValueError, match=r"mask_ratio must lie between 0 and 1.*from 0.0625 to 0.938, got"
        ):
            keraszoo.build("mae_vit_tiny", **TINY, mask_ratio=ratio)
    with pytest.raises(ValueError, match=r"noise \(y\) must hold a number for each of the 16 patches"):
        mae.fit(images(4, 16, 16, 3), uniform(4, 15), verbose=0)
    with pytest.raises(ValueError, match="x has shape .*; mae_vit_tiny takes"):
        mae.reconstruct(images(4, 16, 12, 3))
    with pytest.raises(ValueError, match="16x20 would fit"):
        keraszoo.build("mae_vit_tiny", **{**TINY, "input_shape": (15, 20, 3)})
