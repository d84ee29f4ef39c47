"""What is true of radiance fields and of nothing else."""

import keras
import numpy as np
import pytest
import torch
from keras import ops
from scipy.stats import kstest

import keraszoo
from keraszoo import front, registry
from keraszoo.data.scenes import Views
from keraszoo.layers import (
    Camera,
    CameraRays,
    HierarchicalSampling,
    PointsOnRays,
    PositionalEncoding,
    StratifiedSampling,
    VolumeRendering,
)
from keraszoo.layers.rays import inverse_transform
from keraszoo.models.nerf import Occupancy
from tests import native_nerf

TINY = dict(units=16, depth=3, skip=2, num_samples=8, num_fine_samples=6, frequencies=4, view_frequencies=2)
RAY = np.array([[0, 0, 4, 0, 0, -1]], "float32")  # looks down from above


def numpy(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def look(t, densities, color=(1.0, 0.5, 0.25), ray=RAY, **options):
    """What comes back from places `t` of given densities, all of one colour."""
    t, densities = (np.asarray(v, "float32")[None] for v in (t, densities))
    colors = np.broadcast_to(np.float32(color), (*t.shape, 3))
    return numpy(VolumeRendering(**options)(ray, t, densities[..., None], colors))


def test_an_empty_scene_is_its_background():
    for background, light in (("black", 0), ("white", 1)):
        seen = look(np.linspace(2, 6, 9), np.zeros(9), background=background)
        np.testing.assert_array_equal(seen["color"], [[light] * 3])
        np.testing.assert_array_equal([seen["opacity"], seen["depth"]], [[0], [0]])


def test_a_uniform_fog_fades_exponentially():
    t, density = np.linspace(1, 5, 41), np.full(41, 0.3)
    density[-1] = 0  # or the fog would go on for ever
    seen = look(t, density)
    opacity = 1 - np.exp(-0.3 * 4)
    np.testing.assert_allclose(seen["opacity"], [opacity], rtol=1e-5)
    np.testing.assert_allclose(seen["color"], [opacity * np.array([1, 0.5, 0.25])], rtol=1e-5)
    fine = np.linspace(1, 5, 4001)
    many = look(fine, np.r_[np.full(4000, 0.3), 0])  # the mean of t, by 0.3 exp(-0.3 (t - 1))
    expected = (1 / 0.3 + 1) - np.exp(-1.2) * (1 / 0.3 + 5)
    np.testing.assert_allclose(many["depth"], [expected], rtol=1e-3)
    longer = RAY * [1, 1, 1, 1, 1, 2]  # the same places in steps that are twice as long
    np.testing.assert_allclose(
        look((t - 1) / 2, density, ray=longer.astype("float32"))["opacity"], [opacity], rtol=1e-5
    )


def test_an_opaque_plane_hides_what_is_behind():
    t = np.linspace(2, 6, 17)
    seen = look(t, np.where(t >= 3, 1e4, 0))
    np.testing.assert_allclose(seen["opacity"], [1], rtol=1e-6)
    np.testing.assert_allclose(seen["depth"], [3], rtol=1e-6)
    np.testing.assert_allclose(seen["color"], [[1, 0.5, 0.25]], rtol=1e-6)
    last = look(t, np.where(t == 6, 0.5, 0))  # the last interval has no end
    np.testing.assert_allclose(last["opacity"], [1], rtol=1e-6)


def test_weights_sum_to_the_opacity():
    rng = np.random.default_rng(0)
    t = np.sort(rng.uniform(2, 6, (5, 12)), axis=1).astype("float32")
    densities, colors = rng.exponential(0.3, (5, 12, 1)), rng.random((5, 12, 3))
    seen = numpy(
        VolumeRendering()(np.repeat(RAY, 5, 0), t, densities.astype("float32"), colors.astype("float32"))
    )
    assert (seen["weights"] >= 0).all() and (seen["opacity"] <= 1 + 1e-6).all()
    np.testing.assert_allclose(seen["weights"].sum(1), seen["opacity"], rtol=1e-6)


def test_encoding_is_the_published_one():
    x = np.array([[0.3, -1.2, 0.7]], "float32")
    expected = [x]
    for k in range(3):
        expected += [np.sin(2**k * x), np.cos(2**k * x)]
    np.testing.assert_allclose(
        numpy(PositionalEncoding(3)(x)), np.concatenate(expected, 1), rtol=1e-5, atol=1e-6
    )
    assert PositionalEncoding(10)(x).shape == (1, 63) and PositionalEncoding(4)(x).shape == (1, 27)
    np.testing.assert_array_equal(numpy(PositionalEncoding(0)(x)), x)


def test_a_stratum_has_one_sample_anywhere_in_it():
    rays = np.zeros((2000, 6), "float32")
    layer = StratifiedSampling(5, near=2.0, far=6.0, seed=1)
    even = np.linspace(2, 6, 5)
    np.testing.assert_allclose(numpy(layer(rays))[0], even)  # without training, the same places always
    t = numpy(layer(rays, training=True))
    edges = np.r_[2, (even[1:] + even[:-1]) / 2, 6]
    for i in range(5):
        low, high = edges[i], edges[i + 1]
        assert kstest(t[:, i], "uniform", args=(low, high - low)).pvalue > 1e-3
    assert (t != numpy(layer(rays, training=True))).any()
    again = StratifiedSampling(5, near=2.0, far=6.0, seed=1)
    np.testing.assert_array_equal(numpy(again(rays, training=True)), t)


def test_samples_are_spread_like_the_weights():
    rng = np.random.default_rng(0)
    edges = np.array([[2.0, 3, 3.5, 5, 6], [0.0, 1, 2, 3, 4]], "float32")
    weights = np.array([[1.0, 0, 4, 2], [0, 0, 1, 0]], "float32")
    found = numpy(inverse_transform(edges, weights, rng.random((2, 4000)).astype("float32")))
    for row in range(2):
        shares = (weights[row] + 1e-5) / (weights[row] + 1e-5).sum()
        reached = np.r_[0, np.cumsum(shares)]
        assert kstest(found[row], lambda x, row=row, r=reached: np.interp(x, edges[row], r)).pvalue > 1e-3
    # Rows are drawn from one by one: the second is found in its third part alone.
    assert ((found[1] > 2 - 1e-3) & (found[1] < 3 + 1e-3)).mean() > 0.999


def test_the_second_look_keeps_the_first_and_is_in_order():
    t = np.linspace(2, 6, 9, dtype="float32")[None]
    weights = np.zeros((1, 9), "float32")
    weights[0, 4] = 1.0
    for training in (False, True):
        new = numpy(HierarchicalSampling(16, seed=0)(t, weights, training=training))[0]
        assert (np.diff(new) >= 0).all() and np.isin(t[0], new).all()
        assert (
            np.abs(new - 4) <= 0.25 + 1e-3
        ).sum() >= 15  # where something was seen; the outermost lie at the ends


def test_rays_go_through_the_middles_of_pixels():
    pose = np.eye(4)
    pose[:3, 3] = [1, 2, 3]
    origins, directions = Camera(pose, focal=2.0, height=2, width=4).rays()
    np.testing.assert_array_equal(origins[0, 0], [1, 2, 3])
    np.testing.assert_allclose(directions[0, 0], [-0.75, 0.25, -1])  # left, up, ahead
    np.testing.assert_allclose(directions.mean(axis=(0, 1)), [0, 0, -1], atol=1e-7)
    moved = Camera(pose, focal=(2.0, 4.0), height=2, width=4, center=(0.5, 0.5))
    np.testing.assert_allclose(moved.rays()[1][0, 0], [0, 0, -1], atol=1e-7)
    np.testing.assert_allclose(moved.rays()[1][1, 1], [0.5, -0.25, -1])


def test_conventions_name_the_same_rays():
    camera = Camera.looking_at((0, 0, 0), (1, 2, 3), focal=5.0, height=4, width=6)
    other = Camera(camera.pose * [1, -1, -1, 1], 5.0, 4, 6, convention="opencv")
    np.testing.assert_allclose(camera.rays()[1], other.rays()[1], atol=1e-6)
    middle = camera.rays()[1][1:3, 2:4].mean(axis=(0, 1))
    np.testing.assert_allclose(
        middle / np.linalg.norm(middle), -np.array([1, 2, 3]) / 14**0.5, atol=1e-6
    )  # it looks where it should
    for each in (camera, other):
        layer = CameraRays(4, 6, focal=5.0, convention=each.convention)
        found = numpy(layer(each.pose[None]))[0]
        np.testing.assert_allclose(found, np.concatenate(each.rays(), axis=-1), atol=1e-6)


def test_a_smaller_image_sees_the_same():
    camera = Camera.looking_at((0, 0, 0), (1, 2, 3), focal=(5.0, 6.0), height=4, width=8, center=(3.0, 2.0))
    whole, half = camera.rays()[1], camera.resized(2, 4).rays()[1]
    np.testing.assert_allclose(whole.reshape(2, 2, 4, 2, 3).mean(axis=(1, 3)), half, atol=1e-6)


def test_points_lie_on_their_rays():
    rays = np.array([[1, 2, 3, 0, 0, -2]], "float32")
    points, directions = numpy(PointsOnRays()(rays, np.array([[0.0, 0.5]], "float32")))
    np.testing.assert_allclose(points, [[[1, 2, 3], [1, 2, 2]]])
    np.testing.assert_allclose(directions, [[0, 0, -1]])


def scene(count=40, seed=0):
    rays, colors = keraszoo.tasks.TASKS["view_synthesis"].example(count)
    return rays, colors


def reference(model):
    """The two networks of `model` in plain PyTorch."""
    return [
        native_nerf.Field(
            {layer.name: layer.get_weights() for layer in model.get_layer(name).layers if layer.weights},
            skip=TINY["skip"],
            frequencies=TINY["frequencies"],
            view_frequencies=model.get_layer(name).get_layer("view").frequencies,
        )
        for name in ("coarse", "fine")
    ]


def draws(model, count):
    """What the next training step will draw at random, in the reference's order."""

    def like(layer, generator, kind, shape):
        seed = keras.random.SeedGenerator(0)
        seed.state.assign(generator.state)
        return [torch.tensor(ops.convert_to_numpy(kind(each, seed=seed))) for each in shape]

    uniform, normal = keras.random.uniform, keras.random.normal
    first, more = TINY["num_samples"], TINY["num_fine_samples"]
    samples, again, noise = (model.get_layer(n) for n in ("samples", "more_samples", "noise"))
    (jitter,) = like(samples, samples.generator, uniform, [(count, first)])
    (places,) = like(again, again.generator, uniform, [(count, more)])
    noises = like(noise, noise.seed_generator, normal, [(count, first, 1), (count, first + more, 1)])
    one, two = (model.get_layer("noise").stddev * value[..., 0] for value in noises)
    return jitter, one, places, two


@pytest.mark.parametrize("background", ["black", "white"])
def test_sees_what_the_reference_sees(background):
    model = keraszoo.build(
        "nerf_tiny", seed=3, background=background, near=2.0, far=5.0, density_noise=0.5, **TINY
    )
    rays, _ = scene()
    fields, white = reference(model), background == "white"
    names = "coarse", "color", "depth", "opacity"
    given = draws(model, len(rays))
    seen = numpy(model(rays, training=True))
    with torch.no_grad():
        expected = native_nerf.render(*fields, torch.tensor(rays), given, 2.0, 5.0, white)
    for name, value in zip(names, expected, strict=True):
        np.testing.assert_allclose(seen[name], value.numpy(), rtol=1e-5, atol=1e-5, err_msg=name)
    assert 0.1 < seen["opacity"].mean() < 0.99, seen["opacity"]
    even = model.predict(rays, verbose=0)
    with torch.no_grad():
        expected = native_nerf.render(*fields, torch.tensor(rays), (8, 6), 2.0, 5.0, white)
    for name, value in zip(names, expected, strict=True):
        np.testing.assert_allclose(even[name], value.numpy(), rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("broken", [False, True])
def test_twenty_steps_are_those_of_the_reference(broken):
    model = keraszoo.build("nerf_tiny", seed=3, near=2.0, far=5.0, density_noise=0.5, **TINY)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, epsilon=1e-7),
        loss={"coarse": "mean_squared_error", "color": "mean_squared_error"},
    )
    rays, colors = scene()
    fields = reference(model)
    before = model.get_weights()
    weights = [array for field in fields for array in field.parameters()]
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in weights]
    apart = []
    for step in range(1, 21):
        coarse, color, _, _ = native_nerf.render(
            *fields, torch.tensor(rays), draws(model, len(rays)), 2.0, 5.0
        )
        truth = torch.tensor(colors)
        loss = ((coarse - truth) ** 2).mean() * (0.9 if broken else 1) + ((color - truth) ** 2).mean()
        with torch.no_grad():
            for w, (m, v), g in zip(weights, moments, torch.autograd.grad(loss, weights), strict=True):
                m.mul_(0.9).add_(0.1 * g)
                v.mul_(0.999).add_(0.001 * g * g)
                rate = 1e-3 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
                w -= rate * m / (v.sqrt() + 1e-7)
        apart.append(abs(model.train_on_batch(rays, colors, return_dict=True)["loss"] - loss.item()))
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, model.get_weights(), strict=True))
    if broken:
        assert max(apart) > 1e-4
    else:
        assert max(apart) < 2e-5, apart


def test_sizes_of_the_paper():
    def count(**config):
        builder = registry.entry("nerf")
        model = front.abstract(builder.load(), {**builder.size, **config})
        return [front.trainable(part) for part in (model, model.get_layer("coarse"))]

    assert count() == [1_191_688, 595_844]
    assert count(view_frequencies=None)[1] == 494_084


def test_learns_from_cameras_and_images_and_renders_any_size():
    model = keraszoo.build("nerf_tiny", seed=0, **TINY)
    cameras = [Camera.looking_at((0, 0, 0), p, 6.0, 4, 6) for p in ((0, 4, 1), (4, 0, 1), (0, -4, 1))]
    images = np.random.default_rng(0).random((3, 4, 6, 3)).astype("float32")
    history = model.fit(cameras, images, epochs=2, verbose=0, validation_data=(cameras[:1], images[:1]))
    assert {"loss", "color_loss", "coarse_loss", "color_psnr", "val_color_psnr"} <= set(history.history)
    rays = np.stack([np.concatenate(camera.rays(), axis=-1) for camera in cameras])
    np.testing.assert_allclose(
        model.evaluate(rays, images, verbose=0), model.evaluate(cameras, images, verbose=0), rtol=1e-6
    )
    np.testing.assert_allclose(
        model.evaluate(cameras[0], images[0], verbose=0), model.evaluate(cameras[:1], images[:1], verbose=0)
    )
    views = Views(images, cameras)
    np.testing.assert_allclose(
        model.evaluate(views, verbose=0), model.evaluate(cameras, images, verbose=0), rtol=1e-6
    )
    model.fit(views, verbose=0, validation_data=views)
    camera = cameras[0].resized(5, 7)
    seen = model.render(camera, batch_size=16)
    assert seen.color.shape == (5, 7, 3) and seen.depth.shape == seen.opacity.shape == (5, 7)
    whole = model.render(camera)
    for a, b in zip(seen, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    walk = model.orbit(views=3, size=(2, 4))
    assert walk.color.shape == (3, 2, 4, 3) and walk.depth.shape == (3, 2, 4)


@pytest.fixture
def ball():
    """A model whose density is set by hand: 8 (1 - |p|) or so, a ball of radius about 1/2 at 4."""
    model = keraszoo.build("nerf_tiny", seed=0, **{**TINY, "num_samples": 32, "num_fine_samples": 32})

    def look(points, directions, network="fine", batch_size=None):
        points = np.asarray(points, "float32")
        density = np.maximum(8 - 8 * np.linalg.norm(points, axis=-1), 0)
        return density, 0.5 + np.asarray(directions) / 2

    object.__setattr__(model, "look", look)
    return model


def test_the_mesh_of_a_ball_is_a_sphere(ball, tmp_path):
    import trimesh

    mesh = ball.extract_mesh(resolution=48, threshold=4.0, bounds=[[-1.2, -1.2, -0.65], [1.2, 1.2, 0.65]])
    radius = np.linalg.norm(mesh.vertices, axis=1)
    np.testing.assert_allclose(radius, 0.5, atol=0.02)
    assert mesh.is_watertight and abs(mesh.volume - np.pi / 6) < 0.02  # positive: its faces look outward
    outward = mesh.vertices / radius[:, None]
    assert ((mesh.vertex_normals * outward).sum(1) > 0.99).all()
    np.testing.assert_allclose(  # as seen from outside
        mesh.visual.vertex_colors[:, :3] / 255, 0.5 - mesh.vertex_normals / 2, atol=0.01
    )
    for end in ("ply", "obj"):
        mesh.export(tmp_path / f"mesh.{end}")
        again = trimesh.load(tmp_path / f"mesh.{end}", process=False)
        np.testing.assert_allclose(again.vertices, mesh.vertices, atol=1e-5)
        np.testing.assert_allclose(again.visual.vertex_colors, mesh.visual.vertex_colors, atol=1)
    with pytest.raises(ValueError, match="no surface at threshold=100.*between 0 and"):
        ball.extract_mesh(resolution=16, threshold=100)


def test_empty_space_is_skipped_and_nothing_is_lost():
    model = keraszoo.build("nerf_tiny", seed=1, near=2.0, far=6.0, background="white", **TINY)
    camera = Camera.looking_at((0, 0, 0), (0, 4, 1), 8.0, 8, 8)
    everywhere = Occupancy(np.ones((2, 2, 2), bool), np.array([[-9] * 3, [9] * 3], "float32"))
    for a, b in zip(model.render(camera), model.render(camera, occupancy=everywhere), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)  # the finest waves tell roundings apart
    half = Occupancy(
        np.arange(2)[:, None, None] * np.ones((2, 2, 2)) > 0, everywhere.bounds
    )  # where x is above 0
    look = model.look

    def masked(points, *arguments, **named):
        density, color = look(points, *arguments, **named)
        return np.where(points[..., 0] > 0, density, 0), color

    seen = model.render(camera, occupancy=half)
    object.__setattr__(model, "look", masked)
    expected = model.render(camera, occupancy=everywhere)
    object.__setattr__(model, "look", look)
    for a, b in zip(seen, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert 0.05 < np.mean(seen.opacity) < np.mean(model.render(camera).opacity) - 0.05
    nowhere = Occupancy(np.zeros((2, 2, 2), bool), everywhere.bounds)
    assert (model.render(camera, occupancy=nowhere).color == 1).all()


def test_occupancy_holds_what_is_there(ball):
    grid = ball.occupancy(resolution=16, bounds=[[-2] * 3, [2] * 3])
    rng = np.random.default_rng(0)
    points = rng.uniform(-2, 2, (5000, 3))
    radius = np.linalg.norm(points, axis=1)
    assert grid(points[radius < 1]).all() and not grid(points[radius > 1.8]).any()
    assert not grid(np.array([[0, 0, 2.5]])).any()


def test_says_what_is_wrong():
    model = keraszoo.build("nerf_tiny", **TINY)
    rays, colors = scene(4)
    cameras = [Camera.looking_at((0, 0, 0), (0, 4, 1), 6.0, 4, 6)]
    wrong = [
        (dict(x=rays, y=255 * colors), r"y must hold colours in \[0, 1\]"),
        (dict(x=rays, y=colors[:, :2]), "y must hold colours, .rays, 3., got shape"),
        (dict(x=rays), "y is missing"),
        (dict(x=cameras, y=np.zeros((2, 4, 6, 3))), "1 cameras, y 2 images"),
        (dict(x=rays * [1, 1, 1, 0, 0, 0], y=colors), "rays without a direction, the first is ray 0"),
        (dict(x=Views(np.zeros((1, 4, 6, 3)), cameras), y=colors), "views, which hold their colours"),
        (dict(x=cameras, y=np.zeros((1, 4, 6, 4))), r"y\[0\] has shape"),
    ]
    for data, message in wrong:
        with pytest.raises(ValueError, match=message):
            model.fit(**data, verbose=0)
    with pytest.raises(TypeError, match="camera must be a keraszoo.layers.Camera"):
        model.render(np.eye(4))
    for config, message in (
        (dict(near=6.0, far=2.0), "below far, and far finite, got near=6.0 and far=2.0"),
        (dict(background="green"), "background must be one of 'black', 'white', got 'green'"),
        (dict(skip=3), "skip must lie between 1 and depth - 1 = 2"),
        (dict(input_shape=(3,)), "input_shape must be"),
        (dict(num_samples=2), "num_samples must be a whole number from 3, got 2"),
        (dict(density_noise=2.0), "density_noise must lie between 0 and 1, got 2.0"),
        (dict(far=float("inf")), "far finite"),
    ):
        with pytest.raises(ValueError, match=message):
            keraszoo.build("nerf_tiny", **{**TINY, **config})
    crooked = np.eye(4)
    crooked[0, 0] = 2
    moved = np.eye(4)
    moved[:3, 3] = 1, 2, 3
    for pose, message in (
        (crooked, "no rotation"),
        (np.diag([1, 1, -1, 1]), "no rotation"),
        (np.eye(3), "matrix"),
        (moved.T, "transposed"),
    ):
        with pytest.raises(ValueError, match=message):
            Camera(pose, 1.0, 2, 2)
    for config, message in (
        (dict(focal=0), "focal must be above 0"),
        (dict(convention="blender"), "convention must be one of"),
        (dict(focal=(1, 2, 3)), "or a pair of such"),
        (dict(center=3.0), "center must be"),
        (dict(center=(np.nan, 1)), "center must be"),
        (dict(height=0), "height must be"),
    ):
        with pytest.raises(ValueError, match=message):
            Camera(**{**dict(pose=np.eye(4), focal=1.0, height=2, width=2), **config})
    with pytest.raises(ValueError, match="cannot look at"):
        Camera.looking_at((0, 0, 0), (0, 0, 4), 1.0, 2, 2)
    with pytest.raises(ValueError, match="convention must be one of"):
        CameraRays(2, 2, focal=1.0, convention="blender")
    with pytest.raises(ValueError, match="three places"):
        HierarchicalSampling(4)(np.ones((1, 2), "float32"), np.ones((1, 2), "float32"))
    for verb in (model.occupancy, model.extract_mesh):
        with pytest.raises(ValueError, match="resolution must be a whole number from 2, got 1"):
            verb(resolution=1)
    with pytest.raises(ValueError, match="views must be at least 1, got 0"):
        model.orbit(views=0)
    with pytest.raises(ValueError, match="bounds must be"):
        model.extract_mesh(bounds=[[1, 1, 1], [0, 0, 0]])


def test_without_directions_colours_look_the_same_from_everywhere():
    model = keraszoo.build("nerf_tiny", seed=0, **{**TINY, "view_frequencies": None})
    points = np.random.default_rng(0).normal(size=(10, 3)).astype("float32")
    up, side = (np.tile(np.float32(v), (10, 1)) for v in ((0, 0, 1), (1, 0, 0)))
    np.testing.assert_array_equal(model.look(points, up)[1], model.look(points, side)[1])
    seeing = keraszoo.build("nerf_tiny", seed=0, **TINY)
    assert np.abs(seeing.look(points, up)[1] - seeing.look(points, side)[1]).max() > 1e-4
    np.testing.assert_array_equal(seeing.look(points, up)[0], seeing.look(points, side)[0])
