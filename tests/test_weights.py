"""Reference checkpoints give the reference's outputs, or a message that says why they cannot."""

import functools
import http.server
import json
import os
import pickle
import subprocess
import sys
import threading
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from keras import ops
from safetensors.numpy import load_file, save_file
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

import keraszoo
from keraszoo import weights
from keraszoo.models.resnet import resnet

SMALL = dict(embedding_size=4, hidden_sizes=[8, 16], depths=[2, 1], num_labels=5)


def reference(layer_type="bottleneck", model=ResNetForImageClassification, **config):
    """A network with random weights, and statistics as if it had been trained."""
    torch.manual_seed(0)
    found = model(ResNetConfig(**{**SMALL, "layer_type": layer_type, **config})).eval()
    with torch.no_grad():
        for module in found.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    tensor.uniform_(0.5, 2.0)
                for tensor in (module.bias, module.running_mean):
                    tensor.normal_()
    return found


def built(folder, height=20, width=33):
    """Our network as the front door builds it: `config.json` fixes all but the image's sides."""
    fixed = weights.arguments("resnet", folder)
    *_, channels = fixed.pop("input_shape")
    return resnet(**fixed, input_shape=(height, width, channels))


def assert_equal(model, expected):
    """Same images, same logits; the reference takes its channels first."""
    x = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:])).astype("float32")
    with torch.no_grad():
        logits = expected(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).logits.numpy()
    assert np.abs(logits).max() > 0.1
    np.testing.assert_allclose(model.predict(x, verbose=0), logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        dict(layer_type="basic"),
        dict(layer_type="basic", embedding_size=8, num_channels=1, num_labels=2),
        dict(downsample_in_bottleneck=False),
        dict(downsample_in_bottleneck=True),
        dict(downsample_in_first_stage=True, embedding_size=8, num_labels=1),
    ],
    ids=lambda c: "-".join(map(str, c.values())),
)
def test_same_logits_as_transformers(config, tmp_path):
    expected = reference(**config)
    expected.save_pretrained(tmp_path)
    model = built(tmp_path)
    weights.load(model, "resnet", tmp_path)
    assert_equal(model, expected)


def test_a_checkpoint_in_parts(tmp_path):
    expected = reference("basic")
    expected.save_pretrained(tmp_path, max_shard_size="8KB")
    parts = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(parts) > 1
    model = built(tmp_path)
    weights.load(model, "resnet", tmp_path)
    assert_equal(model, expected)
    parts[1].unlink()
    with pytest.raises(ValueError, match=f"{parts[1].name} is missing"):
        weights.load(model, "resnet", tmp_path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats_become_ours(dtype, tmp_path):
    rounded = reference("basic").to(dtype)
    rounded.save_pretrained(tmp_path)
    model = built(tmp_path)
    weights.load(model, "resnet", tmp_path)
    assert_equal(model, rounded.float())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resnet")
    reference().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A checkpoint that a test may damage."""
    for file in saved.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def edit(folder, **changes):
    """Change tensors of a checkpoint; None drops one."""
    file = folder / "model.safetensors"
    tensors = {**load_file(file), **{name.replace("__", "."): value for name, value in changes.items()}}
    save_file({name: value for name, value in tensors.items() if value is not None}, file)


def edit_config(folder, **changes):
    """Change entries of config.json; None drops one."""
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def refuses(folder, message, model=None, family="resnet"):
    """Loading fails with this message and has assigned nothing."""
    model = model or built(folder)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        weights.load(model, family, folder)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_tensor_that_is_not_there(folder):
    edit(folder, resnet__encoder__stages__0__layers__1__layer__2__normalization__running_var=None)
    refuses(
        folder,
        r"no tensor resnet.encoder.stages.0.layers.1.layer.2.normalization.running_var, "
        "which should become stage2_block2_conv3_norm/moving_variance",
    )


def test_a_tensor_too_many(folder):
    edit(folder, resnet__extra__weight=np.zeros(3, "float32"))
    refuses(folder, r"nothing here takes the tensor resnet.extra.weight \(1 in all\)")


def test_a_tensor_of_another_shape(folder):
    edit(folder, classifier__1__weight=np.zeros((5, 17), "float32"))
    refuses(
        folder,
        r"classifier.1.weight has the shape \(5, 17\), which becomes \(17, 5\); logits/kernel has \(16, 5\)",
    )
    edit(folder, classifier__1__weight=np.zeros((5, 16, 1, 1), "float32"))
    refuses(folder, r"classifier.1.weight has the shape \(5, 16, 1, 1\)")
    edit(folder, classifier__1__weight=np.zeros((5, 16), "float32"))
    edit(folder, resnet__embedder__embedder__convolution__weight=np.zeros((4, 3), "float32"))
    refuses(
        folder,
        r"convolution.weight has the shape \(4, 3\), which becomes None; conv1/kernel has \(7, 7, 3, 4\)",
    )


def test_a_tensor_of_whole_numbers(folder):
    edit(folder, classifier__1__bias=np.zeros(5, "int32"))
    refuses(folder, "classifier.1.bias must be one of .*F32.*, got I32")


def test_only_the_counters_of_batches_are_optional(folder):
    counters = [
        name for name in load_file(folder / "model.safetensors") if name.endswith("num_batches_tracked")
    ]
    assert counters
    edit(folder, **dict.fromkeys(counters))
    weights.load(built(folder), "resnet", folder)


def test_a_weight_of_ours_that_nothing_fills(folder):
    deeper = resnet((2, 1, 1), "bottleneck", (8, 16, 16), (32, 32, 3), 5, stem_filters=4)
    refuses(folder, r"no tensor is meant for the weight stage4_block1_conv1/kernel \(20 in all\)", deeper)


def test_a_weight_of_ours_that_is_missing(folder):
    shallower = resnet((1, 1), "bottleneck", (8, 16), (32, 32, 3), 5, stem_filters=4)
    refuses(
        folder,
        "no weight stage2_block2_conv1/kernel, which should become resnet.encoder.stages.0.l",
        shallower,
    )


def test_a_backbone_without_its_classifier(tmp_path):
    reference(model=ResNetModel).save_pretrained(tmp_path)
    message = "holds a ResNetModel; resnet reads the weights of ResNetForImageClassification"
    with pytest.raises(ValueError, match=message):
        weights.arguments("resnet", tmp_path)
    edit_config(tmp_path, architectures=None)
    refuses(
        tmp_path, "no tensor resnet.embedder.embedder.convolution.weight, which should become conv1/kernel"
    )


def test_another_kind_of_model(folder):
    model = built(folder)
    edit_config(folder, model_type="convnext")
    refuses(folder, "config.json must have model_type 'resnet' for resnet, got 'convnext'", model)
    with pytest.raises(ValueError, match="model_type"):
        weights.arguments("resnet", folder)
    refuses(folder, "cannot be read for the family 'lenet'; they can for: .*resnet", model, family="lenet")


def test_a_configuration_that_is_no_residual_network(folder):
    edit_config(folder, hidden_act="gelu")
    with pytest.raises(ValueError, match="hidden_act must be 'relu'.*got 'gelu'"):
        weights.arguments("resnet", folder)
    edit_config(folder, hidden_act=None, depths=None)
    with pytest.raises(ValueError, match="config.json does not say 'depths'"):
        weights.arguments("resnet", folder)


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '"resnet"'])
def test_a_damaged_configuration(content, folder):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match="config.json is damaged, or does not describe a model"):
        weights.arguments("resnet", folder)


def test_a_damaged_index(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text("{}")
    refuses(folder, "model.safetensors.index.json is damaged")


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:100], lambda b: b"", lambda b: pickle.dumps({})]
)
def test_a_damaged_file(damage, folder):
    file = folder / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    refuses(folder, "model.safetensors is damaged or no safetensors file")


def test_pickled_weights_are_not_read(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    refuses(folder, "neither model.safetensors nor model.safetensors.index.json .* Pickled")


def test_a_folder_without_a_configuration(folder):
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="There is no config.json in"):
        weights.arguments("resnet", folder)


def test_one_tensor_may_become_several_weights_and_several_one(tmp_path, monkeypatch):
    """A fused projection is taken apart, and two halves are put together."""
    fused = np.arange(24, dtype="float32").reshape(6, 4)
    halves = [np.ones((2, 3), "float32"), np.full((2, 3), 2, "float32")]
    save_file({"fused": fused, "left": halves[0], "right": halves[1]}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "toy"}')
    toy = types.ModuleType("keraszoo.weights.toy")
    toy.MODEL_TYPE, toy.ARCHITECTURES = "toy", ("Toy",)
    toy.rows = lambda config, model: [
        ("query/kernel", "fused", lambda w: w[:3].T),
        ("key/kernel", "fused", lambda w: w[3:].T),
        ("both/kernel", ("left", "right"), lambda *w: np.concatenate(w)),
    ]
    monkeypatch.setattr(weights, "table", lambda family: toy)
    x = keras.Input((4,))
    heads = [keras.layers.Dense(3, use_bias=False, name=name)(x) for name in ("query", "key", "both")]
    model = keras.Model(x, heads)
    weights.load(model, "toy", tmp_path)
    query, key, both = (ops.convert_to_numpy(w) for w in model.weights)
    np.testing.assert_array_equal(query, fused[:3].T)
    np.testing.assert_array_equal(key, fused[3:].T)
    np.testing.assert_array_equal(both, np.concatenate(halves))


def test_a_local_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert weights.locate(tmp_path / "mine") == weights.locate("~/mine") == tmp_path / "mine"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="there is no such folder.*'organisation/name'.*Give the folder"):
        weights.locate(tmp_path / "missing" / "deep")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="there is no such folder"):
        weights.locate(tmp_path / "file")


def locate_elsewhere(weights, hub, cache):
    """`locate` in a process of its own, with a Hub at that address."""
    script = f"from keraszoo import weights; print(weights.locate({weights!r}))"
    settings = dict(HF_ENDPOINT=hub, HF_HUB_CACHE=str(cache), HF_HUB_DISABLE_XET="1", HF_HUB_OFFLINE="0")
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_hub_out_of_reach(tmp_path):
    found = locate_elsewhere("microsoft/resnet-18", "http://127.0.0.1:9", tmp_path)
    message = found.stderr.strip().splitlines()[-1]  # one line
    assert message.startswith("ValueError: weights='microsoft/resnet-18': there is no such folder")
    assert "https://huggingface.co/microsoft/resnet-18 could not be fetched" in message
    assert "by hand" in message


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hugging Face Hub as a download needs; keeps what was asked for."""

    sha = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, files, asked, *args):
        self.files, self.asked = files, asked
        super().__init__(*args)

    def do_GET(self):
        self.asked.append(self.path)
        name = self.path.split(f"/resolve/{self.sha}/")[-1]
        if self.path.startswith("/api/models/lab/net/revision/"):
            siblings = [{"rfilename": file} for file in self.files]
            self.reply(json.dumps({"id": "lab/net", "sha": self.sha, "siblings": siblings}).encode())
        elif self.path.startswith("/api/models/lab/net/tree/"):
            listing = [
                {"type": "file", "path": f, "size": len(b), "oid": "0" * 40} for f, b in self.files.items()
            ]
            self.reply(json.dumps(listing).encode())
        elif name in self.files:
            self.reply(self.files[name])
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def reply(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", self.sha)
        self.send_header("ETag", f'"{len(content)}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args):
        """Say nothing."""


def test_a_repository_of_the_hub_is_fetched_without_its_pickles(saved, tmp_path):
    files = {file.name: file.read_bytes() for file in saved.iterdir()}
    extra = {"pytorch_model.bin": b"pickle", "tf_model.h5": b"h5", "modeling_net.py": b"print('run')"}
    asked = []
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Hub, files | extra, asked)
    ) as hub:
        threading.Thread(target=hub.serve_forever).start()
        found = locate_elsewhere("lab/net", f"http://127.0.0.1:{hub.server_port}", tmp_path)
        hub.shutdown()
    assert found.returncode == 0, found.stderr
    folder = Path(found.stdout.strip())
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    assert not [path for path in asked for name in extra if path.endswith(name)]
    weights.load(built(folder), "resnet", folder)


def test_the_front_door_takes_sizes_from_the_checkpoint(tmp_path):
    """`build("resnet50", weights=FOLDER)`: the checkpoint fixes the sizes, the image's sides are free."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=4, hidden_sizes=[8, 16], depths=[1, 2], layer_type="bottleneck", num_labels=5
    )
    reference = ResNetForImageClassification(config).eval()
    reference.save_pretrained(tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 40, 33, 3)).astype("float32")
    with torch.no_grad():
        expected = reference(torch.from_numpy(x.transpose(0, 3, 1, 2))).logits.numpy()
    model = keraszoo.build("resnet50", weights=tmp_path, input_shape=(40, 33, 3))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-4)
    assert keraszoo.build("resnet50", weights=str(tmp_path)).input_shape == (None, 224, 224, 3)
    mean = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 4.0, 4.0])
    prepared = keraszoo.build("resnet50", weights=tmp_path, input_shape=(40, 33, 3), preprocessing=mean)
    np.testing.assert_allclose(prepared.predict(2 * x + [1.0, 2.0, 3.0], verbose=0), expected, atol=1e-4)
    with pytest.raises(ValueError, match="num_classes=7 contradicts the checkpoint"):
        keraszoo.build("resnet50", weights=tmp_path, num_classes=7)
    with pytest.raises(ValueError, match="contradicts the checkpoint"):
        keraszoo.build("resnet50", weights=tmp_path, input_shape=(40, 33, 1))
    with pytest.raises(TypeError, match="resnet20 has no argument"):
        keraszoo.build("resnet20", weights=tmp_path)
