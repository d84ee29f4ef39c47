"""Scenes: rays that meet what they show, forms of files that say the same, and pictures that tell right from wrong."""

import dataclasses
import hashlib
import json
import struct
import tracemalloc
from collections import namedtuple

import imageio.v3 as imageio
import keras
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

import keraszoo
from keraszoo import diagnostics
from keraszoo.callbacks import History, RenderedViews
from keraszoo.data import Scene, Views, raytraced, scene_files
from keraszoo.data.scenes import corners, projected, seen_box
from keraszoo.layers.cameras import Camera

SIZE = (12, 16)


@pytest.fixture(scope="module")
def scene():
    return keraszoo.data.load("ray_traced_scene", image_size=SIZE, views=9)


# The scene of our own


def below_surface(points):
    """How far points are from the nearest solid, by the definition of each shape; about 0 on a surface."""
    found = []
    for solid in raytraced.SOLIDS:
        x, y, z = np.abs(points - solid.centre).T
        if isinstance(solid, raytraced.Ball):
            found.append(np.sqrt(x**2 + y**2 + z**2) - solid.size[0])
        elif isinstance(solid, raytraced.Box):
            found.append(np.max([x, y, z] - np.array(solid.size)[:, None], axis=0))
        else:
            found.append(np.maximum(np.hypot(x, y) - solid.size[0], z - solid.size[1]))
    return np.min(found, axis=0)


def test_what_rays_meet_is_the_surface_and_nothing_is_before_it(scene):
    for views in (scene.train, scene.test):
        for camera, depth, alpha in zip(views.cameras, views.depths, views.alphas, strict=True):
            origins, directions = (v.astype("float64") for v in camera.rays())
            met = np.isfinite(depth)
            assert 0.1 < met.mean() < 0.9
            points = origins[met] + depth[met][:, None] * directions[met]
            np.testing.assert_allclose(below_surface(points), 0, atol=1e-5)
            assert (points > scene.bounds[0]).all() and (points < scene.bounds[1]).all()
            assert (depth[met] > scene.near).all() and (depth[met] < scene.far).all()
            for share in np.linspace(0, 0.99, 40):
                assert (
                    below_surface(origins[met] + share * depth[met][:, None] * directions[met]).min() > -1e-5
                )
            missed = origins[~met] + np.linspace(2, 6, 400)[:, None, None] * directions[~met]
            assert below_surface(missed.reshape(-1, 3)).min() > -1e-5
            assert (alpha[met] > 0).all() and (alpha[~met] < 1).all()


def test_colours_are_of_the_right_solid_and_on_the_background(scene):
    assert scene.train.images.dtype == "float32" and scene.train.images.shape == (9, *SIZE, 3)
    np.testing.assert_allclose(scene.train.images[scene.train.alphas == 0], 1)
    dark = keraszoo.data.load("ray_traced_scene", image_size=SIZE, views=9, background="black")
    bare = scene.train.images - (1 - scene.train.alphas[..., None])
    np.testing.assert_allclose(dark.train.images, bare, atol=1e-6)
    above = Camera.looking_at((0.5, -0.25, 0), (0.5, -1, 4), 40, 9, 9)  # at the blue ball on the box
    image, depth, alpha = raytraced.photographed(above, "white")
    red, _, blue = image[4, 4]
    assert blue > 2 * red and alpha[4, 4] == 1
    shadow = np.array(
        [[-0.45 - 0.5, -0.4 + 0.39, -0.54], [0.1, -0.9, -0.54]]
    )  # behind the red ball, and in the sun
    lit = np.isinf(raytraced.trace(shadow, np.tile(raytraced.LIGHT, (2, 1)))[0])
    assert lit.tolist() == [False, True]


def test_views_do_not_repeat_and_look_at_the_middle(scene):
    places = np.array([camera.position for part in (scene.train, scene.test) for camera in part.cameras])
    apart = np.linalg.norm(places[:, None] - places, axis=-1) + 9 * np.eye(len(places))
    assert len(places) == 11 and apart.min() > 0.05
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 4, rtol=1e-6)
    for camera in scene.train.cameras:
        x, y, depth = projected(camera, np.zeros(3))
        np.testing.assert_allclose([x, y, depth], [SIZE[1] / 2, SIZE[0] / 2, 4], rtol=1e-5)
        assert projected(camera, [0, 0, 0.1])[1] < y  # up in the scene is up in the image
    again = keraszoo.data.load("ray_traced_scene", image_size=SIZE, views=9)
    np.testing.assert_array_equal(again.train.images, scene.train.images)
    other = keraszoo.data.load("ray_traced_scene", image_size=SIZE, views=9, seed=1)
    assert not np.allclose(other.train.images, scene.train.images)


def test_the_surface_is_even_and_can_be_seen(scene):
    points = scene.surface(6000)
    assert points.shape == (6000, 3) and points.dtype == "float32"
    np.testing.assert_allclose(below_surface(points.astype("float64")), 0, atol=1e-5)
    assert (
        points[:, 2].min() > -0.65 + 1e-4 or (np.hypot(*points[points[:, 2] < -0.6499][:, :2].T) > 1.19).all()
    )
    blue = (
        np.linalg.norm(points - raytraced.SOLIDS[3].centre, axis=1) < 0.2201
    )  # a whole ball, all but where it stands
    rim = np.abs(np.hypot(points[:, 0], points[:, 1]) - 1.2) < 1e-5
    areas = 4 * np.pi * 0.22**2, 2 * np.pi * 1.2 * 0.1
    assert blue.sum() / rim.sum() == pytest.approx(areas[0] / areas[1], rel=0.15)
    assert diagnostics.chamfer_distance(points, raytraced.surface(6000, seed=1)) < 0.03
    assert not raytraced.visible(np.array([[0.5, -0.25, 0.15 - 1e-3], [0, 0, -0.65]])).any()  # inside; below


# Records


def test_rays_are_those_of_each_pixel(scene):
    x, y = scene.train.rays()
    assert x.shape == (9 * 12 * 16, 6) and y.shape == (9 * 12 * 16, 3) and x.dtype == y.dtype == "float32"
    origins, directions = scene.train.cameras[4].rays()
    row = (4 * 12 + 7) * 16 + 3
    np.testing.assert_array_equal(x[row], [*origins[7, 3], *directions[7, 3]])
    np.testing.assert_array_equal(y[row], scene.train.images[4, 7, 3])


def test_views_are_not_taken_for_x_and_y(scene):
    with pytest.raises(TypeError, match="is not iterable"):
        print(*scene.train)
    with pytest.raises(TypeError, match="is not iterable"):
        x, y = scene.test


def test_views_are_set_apart_for_validation(scene):
    parted = keraszoo.data.load("ray_traced_scene", image_size=SIZE, views=9, validation=0.25)
    assert [len(part) for part in (parted.train, parted.validation, parted.test)] == [7, 2, 2]
    both = sorted(c.position.tolist() for part in (parted.train, parted.validation) for c in part.cameras)
    assert both == sorted(camera.position.tolist() for camera in scene.train.cameras)
    assert "7 views" in repr(parted) and parted.task == "view_synthesis" and parted.input_shape == (6,)
    with pytest.raises(ValueError, match="cannot be set apart"):
        keraszoo.data.load("ray_traced_scene", image_size=(4, 4), views=1, validation=0.5)


def test_records_refuse_what_does_not_fit(scene):
    images, cameras = scene.train.images, scene.train.cameras
    with pytest.raises(ValueError, match="9 images and 8 cameras"):
        Views(images, cameras[:8])
    with pytest.raises(ValueError, match="but camera 0 takes"):
        Views(images[:, :4], cameras)
    with pytest.raises(ValueError, match="depths must be"):
        Views(images, cameras, images[..., 0][:4])
    for change, message in (
        (dict(near=6.0), "near must be from 0 and below far"),
        (dict(bounds=np.zeros((2, 3))), "least and a greatest corner"),
        (dict(background="grey"), 'background must be "white"'),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(scene, **change)
    for options, message in (
        (dict(views=0), "views must be at least 1"),
        (dict(background="grey"), "background must be"),
        (dict(image_size=8), "image_size must be"),
    ):
        with pytest.raises(ValueError, match=message):
            keraszoo.data.load("ray_traced_scene", **options)


def test_places_are_shown_where_rays_go(scene):
    camera = dataclasses.replace(scene.train.cameras[2], focal=(20.0, 23.0), center=(7.0, 6.5))
    for convention in ("opengl", "opencv"):
        camera = dataclasses.replace(camera, convention=convention)
        origins, directions = camera.rays()
        x, y, depth = projected(camera, origins + 3 * directions)
        rows, columns = np.indices(SIZE) + 0.5
        np.testing.assert_allclose(x, columns, atol=1e-4)
        np.testing.assert_allclose(y, rows, atol=1e-4)
        np.testing.assert_allclose(depth, 3, rtol=1e-5)
        x, y, depth = projected(camera, corners(camera, 2.5))
        np.testing.assert_allclose(x, [0, 16, 16, 0], atol=1e-4)
        np.testing.assert_allclose(y, [0, 0, 12, 12], atol=1e-4)
        np.testing.assert_allclose(depth, 2.5, rtol=1e-5)


def test_the_box_that_cameras_see_holds_the_scene(scene):
    low, high = seen_box(scene.train, scene.near, scene.far)
    points = scene.surface(2000)
    assert (low < points.min(0)).all() and (points.max(0) < high).all()
    assert (high < points.max(0) + 0.4).all()
    assert (low[:2] > points.min(0)[:2] - 0.4).all()  # what is below the plate is hidden from all cameras
    opaque = dataclasses.replace(scene.train, alphas=None)
    wide = seen_box(opaque, scene.near, scene.far)
    assert (
        (wide[0] < points.min(0)).all() and (points.max(0) < wide[1]).all() and (wide[1] - wide[0] < 6).all()
    )


# Files


def pixels(views, alpha=True):
    """Photographs as files hold them: uint8, the background taken off again where alpha is asked for."""
    if not alpha:
        return np.round(255 * views.images).astype("uint8")
    a = views.alphas[..., None]
    bare = (views.images - (1 - a)) / np.where(a > 0, a, 1)
    return np.round(255 * np.concatenate([np.clip(bare, 0, 1), a], axis=-1)).astype("uint8")


def everything(scene):
    """All of a scene's views, in one."""
    parts = scene.train, scene.test
    images, alphas = (
        np.concatenate([getattr(part, word) for part in parts]) for word in ("images", "alphas")
    )
    return Views(images, parts[0].cameras + parts[1].cameras, alphas=alphas)


def write_images(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:02}.png")


def flipped(camera):
    """The pose of a camera with the axes of the other convention."""
    return camera.pose @ np.diag([1.0, -1, -1, 1])


def write_blender(folder, scene, **more):
    for part, views in (("train", scene.train), ("val", scene.test[:1]), ("test", scene.test)):
        write_images(folder / part, pixels(views))
        camera = views.cameras[0]
        frames = [
            {"file_path": f"./{part}/{i:02}", "transform_matrix": c.pose.tolist()}
            for i, c in enumerate(views.cameras)
        ]
        told = {"camera_angle_x": 2 * np.arctan(camera.width / 2 / camera.focal), "frames": frames, **more}
        (folder / f"transforms_{part}.json").write_text(json.dumps(told))


def write_one_json(folder, scene, **more):
    views = everything(scene)
    write_images(folder / "images", pixels(views))
    camera = views.cameras[0]
    frames = [
        {"file_path": f"images/{i:02}.png", "transform_matrix": c.pose.tolist()}
        for i, c in enumerate(views.cameras)
    ]
    # of images twice as large, as where they were reduced after they were measured
    told = dict(
        fl_x=2 * camera.focal,
        fl_y=2 * camera.focal,
        cx=16,
        cy=12,
        w=32,
        h=24,
        frames=frames,
        near=2.5,
        far=5.5,
    )
    (folder / "transforms.json").write_text(json.dumps(told | more))


def write_llff(folder, scene):
    views = everything(scene)
    write_images(folder / "images", pixels(views, alpha=False))
    rows = []
    for camera in views.cameras:
        right, up, back, place = camera.pose[:3].T
        hwf = [camera.height, camera.width, camera.focal]
        rows.append([*np.stack([-up, right, back, place, hwf], axis=1).ravel(), 2.5, 5.5])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def write_colmap(folder, scene, model="PINHOLE", more=""):
    views = everything(scene)
    write_images(folder / "images", pixels(views, alpha=False))
    place = folder / "sparse" / "0"
    place.mkdir(parents=True)
    focal = views.cameras[0].focal
    numbers = f"{focal} {focal}" if model == "PINHOLE" else f"{focal}"
    (place / "cameras.txt").write_text(f"# cameras\n\n1 {model} 16 12 {numbers} 8 6{more}\n")
    lines = ["# images"]
    for i, camera in reversed(list(enumerate(views.cameras))):
        turn = flipped(camera)[:3, :3].T  # from the scene to the camera
        x, y, z, w = Rotation.from_matrix(turn).as_quat()
        move = -turn @ camera.position
        lines += [" ".join(map(repr, map(float, [w, x, y, z, *move]))).join([f"{i} ", f" 1 {i:02}.png"]), ""]
    (place / "images.txt").write_text("\n".join(lines))
    points = scene.surface(200)
    (place / "points3D.txt").write_text(
        "\n".join(f"{i} {x} {y} {z} 9 9 9 0.1" for i, (x, y, z) in enumerate(points.tolist()))
    )


def write_npz(folder, scene, **more):
    views = everything(scene)
    folder.mkdir(parents=True, exist_ok=True)
    order = np.arange(len(views))[::-1]
    held = dict(
        images=pixels(views)[order],
        poses=np.stack([c.pose for c in views.cameras])[order],
        focal=np.float32(views.cameras[0].focal),
        near=np.float32(2.5),
        far=np.float32(5.5),
        view_id=order,
    )
    np.savez(folder / "scene.npz", **held | more)


def all_rays(views):
    return np.concatenate([np.concatenate(camera.rays(), axis=-1).reshape(-1, 6) for camera in views.cameras])


def as_held_out(scene, every=8):
    """Training and test views of forms that know no parts."""
    views = everything(scene)
    test = np.arange(len(views)) % every == 0
    return views[~test], views[test]


@pytest.mark.parametrize("write", [write_blender, write_one_json, write_colmap, write_npz])
def test_a_scene_comes_back_from_its_files(write, scene, tmp_path):
    write(tmp_path, scene)
    path = tmp_path / "scene.npz" if write is write_npz else tmp_path
    found = keraszoo.data.load(path)
    assert isinstance(found, Scene) and str(tmp_path) in repr(found) + found.source
    train, test = (scene.train, scene.test) if write is write_blender else as_held_out(scene)
    for part, expected in ((found.train, train), (found.test, test)):
        np.testing.assert_allclose(all_rays(part), all_rays(expected), atol=1e-5)
        np.testing.assert_allclose(part.images, expected.images, atol=0.02)
        assert part.images.dtype == "float32" and part.depths is None
        if write is not write_colmap:  # those images are opaque
            np.testing.assert_allclose(part.alphas, expected.alphas, atol=1 / 255)
    assert found.background == (None if write is write_colmap else "white")
    assert (found.validation is not None) == (write is write_blender)
    points = scene.surface(500)
    assert (found.bounds[0] < points.min(0)).all() and (points.max(0) < found.bounds[1]).all()
    if write is write_colmap:  # as far as its points are
        depths = np.concatenate([projected(camera, points)[2] for camera in everything(scene).cameras])
        assert depths.min() == pytest.approx(found.near, abs=0.4) and depths.max() == pytest.approx(
            found.far, abs=0.6
        )
    else:
        assert (found.near, found.far) == ((2, 6) if write is write_blender else (2.5, 5.5))


def test_llff_comes_back_moved_and_in_other_units(scene, tmp_path):
    write_llff(tmp_path, scene)
    found = keraszoo.data.load(tmp_path)
    cameras = as_held_out(scene)[0].cameras
    everyone = np.stack([camera.pose for camera in everything(scene).cameras]).astype("float64")
    unit = 0.75 * 2.5
    middle = everyone[:, :3, 3].mean(0)
    # One turn for all cameras: that from the first one's old axes to its new ones.
    turn = found.train.cameras[0].pose[:3, :3] @ cameras[0].pose[:3, :3].T
    for camera, old in zip(found.train.cameras, cameras, strict=True):
        np.testing.assert_allclose(camera.rays()[1], old.rays()[1] @ turn.T, atol=1e-5)
        np.testing.assert_allclose(camera.position, turn @ (old.position - middle) / unit, atol=1e-5)
    views = found.train.cameras + found.test.cameras
    np.testing.assert_allclose(np.sum([camera.position for camera in views], 0), 0, atol=1e-5)
    back = np.sum([camera.pose[:3, 2] for camera in views], 0)
    np.testing.assert_allclose(back / np.linalg.norm(back), [0, 0, 1], atol=1e-5)
    assert found.near == pytest.approx(0.9 / 0.75) and found.far == pytest.approx(5.5 / unit)
    np.testing.assert_allclose(found.train.images, as_held_out(scene)[0].images, atol=1 / 255)
    assert len(found.train) == 9 and len(found.test) == 2 and found.background is None


def test_images_are_made_smaller_and_cameras_with_them(scene, tmp_path):
    write_one_json(tmp_path, scene)
    whole, half = keraszoo.data.load(tmp_path), keraszoo.data.load(tmp_path, factor=2)
    assert half.train.images.shape == (9, 6, 8, 3)
    mean = whole.train.images.reshape(9, 6, 2, 8, 2, 3).mean((2, 4))
    assert np.abs(half.train.images - mean).mean() < 0.02
    for big, small in zip(whole.train.cameras, half.train.cameras, strict=True):
        directions = big.rays()[1].reshape(6, 2, 8, 2, 3).mean((1, 3))
        np.testing.assert_allclose(small.rays()[1], directions, atol=1e-6)
    other = keraszoo.data.load(tmp_path, image_size=(6, 4), background="black", holdout=0, near=1, far=7)
    assert other.train.images.shape == (11, 6, 4, 3) and other.test is None
    assert (other.near, other.far, other.background) == (1, 7, "black")
    np.testing.assert_allclose(other.train.images[:, 0, 0], 0, atol=1e-6)  # a corner with nothing in it
    narrow = other.train.cameras[0].rays()[1]
    np.testing.assert_allclose(narrow.mean((0, 1)), whole.test.cameras[0].rays()[1].mean((0, 1)), atol=1e-5)
    told = keraszoo.data.load(tmp_path, bounds=((-1, -1, -1), (1, 2, 1)))
    np.testing.assert_array_equal(told.bounds, [[-1, -1, -1], [1, 2, 1]])
    for views in (whole.train, half.train):  # with no hold on the four channels they come from
        assert views.alphas.base is None or views.alphas.base.shape[-1] != 4


def test_large_images_are_read_one_by_one(scene, tmp_path):
    write_one_json(tmp_path, scene)
    write_images(tmp_path / "images", np.zeros((11, 240, 320, 4), "uint8"))
    tracemalloc.start()
    found = keraszoo.data.load(tmp_path, image_size=SIZE, bounds=scene.bounds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.train.images.shape == (9, *SIZE, 3) and peak < 5 * 240 * 320 * 4
    (tmp_path / "images" / "03.png").write_text("no image")
    with pytest.raises(ValueError, match="factor must leave"):  # before that is read
        keraszoo.data.load(tmp_path, factor=1000)


def test_only_scenes_like_the_papers_have_its_depths(scene, tmp_path):
    write_one_json(tmp_path, scene)
    file = tmp_path / "transforms.json"
    told = json.loads(file.read_text())
    del told["near"], told["far"]
    file.write_text(json.dumps(told | {"camera_angle_x": 0.7}))
    (tmp_path / "images" / "03.png").write_text("no image")  # no photograph is read before
    for given in ({}, {"near": 1}):
        with pytest.raises(ValueError, match="does not tell how far the scene reaches: give near and far"):
            keraszoo.data.load(tmp_path, **given)
    focal = told.pop("fl_x")
    told["frames"] = [frame | {"fl_x": focal} for frame in told["frames"]]
    file.write_text(json.dumps(told))
    with pytest.raises(ValueError, match="does not tell how far the scene reaches"):
        keraszoo.data.load(tmp_path)
    write_blender(tmp_path / "parts", scene, far=5.0)
    found = keraszoo.data.load(tmp_path / "parts")
    assert (found.near, found.far) == (2, 5)
    found = keraszoo.data.load(tmp_path / "parts", near=np.float32(2.5), far=np.int64(6))
    assert (found.near, found.far) == (2.5, 6) and type(found.near) is type(found.far) is float


def test_lego_from_its_file(scene, tmp_path, monkeypatch):
    write_npz(tmp_path / "nerf_lego", scene)
    (tmp_path / "nerf_lego" / "scene.npz").rename(tmp_path / scene_files.LEGO.path)
    with pytest.raises(ValueError, match="damaged"):
        keraszoo.data.load("nerf_lego", data_dir=tmp_path)
    digest = hashlib.sha256((tmp_path / scene_files.LEGO.path).read_bytes()).hexdigest()
    monkeypatch.setattr(scene_files, "LEGO", dataclasses.replace(scene_files.LEGO, sha256=digest))
    found = keraszoo.data.load("nerf_lego", data_dir=tmp_path, holdout=5)
    assert found.name == "nerf_lego" and "CC BY-NC" in found.licence and found.background == "white"
    train, test = as_held_out(scene, 5)
    np.testing.assert_allclose(all_rays(found.test), all_rays(test), atol=1e-5)
    np.testing.assert_allclose(found.train.images, train.images, atol=0.02)
    monkeypatch.delenv("KERASZOO_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="nerf_lego_100.npz"):
        keraszoo.data.load("nerf_lego")


def changed(file, **more):
    """Say something else in a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | more))


def spoil_json(folder, scene, how):
    write_one_json(folder, scene)
    file = folder / "transforms.json"
    told = json.loads(file.read_text())
    frames = told["frames"]
    if how == "damaged":
        file.write_text(file.read_text()[:90])
    elif how == "no frames":
        changed(file, frames=[])
    elif how == "no focal length":
        del told["fl_x"]
        file.write_text(json.dumps(told))
    elif how == "no matrix":
        del frames[1]["transform_matrix"]
    elif how == "mirrored":
        frames[1]["transform_matrix"][0] = [-v for v in frames[1]["transform_matrix"][0]]
    elif how == "ragged":
        frames[1]["transform_matrix"] = [[1, 2], [3]]
    elif how == "stretched":
        frames[1]["transform_matrix"][0][0] += 0.5
    elif how == "image gone":
        (folder / "images" / "03.png").unlink()
    elif how == "image damaged":
        content = (folder / "images" / "03.png").read_bytes()
        (folder / "images" / "03.png").write_bytes(content[: len(content) // 2])
    elif how == "no image":
        (folder / "images" / "03.png").write_text("no image")
    elif how == "other size":
        Image.new("RGBA", (8, 6)).save(folder / "images" / "03.png")
    elif how == "other shape":
        changed(file, h=32)
    elif how == "near beyond far":
        changed(file, near=6.0)
    elif how == "near in words":
        changed(file, near="two")
    elif how == "distorted":
        changed(file, k1=0.1)
    if how in ("no matrix", "mirrored", "ragged", "stretched"):
        file.write_text(json.dumps(told))


@pytest.mark.parametrize(
    "how, message",
    [
        ("damaged", r"transforms\.json cannot be read as JSON"),
        ("no frames", r"transforms\.json holds no frames"),
        ("no focal length", r"transforms\.json tells no focal length: expected camera_angle_x or fl_x"),
        ("no matrix", r"transforms\.json must hold `frames`.*transform_matrix"),
        ("mirrored", r"transforms\.json, images/01\.png: pose is no rotation"),
        ("stretched", r"transforms\.json, images/01\.png: pose is no rotation"),
        ("ragged", r"transforms\.json: what it says of images/01\.png is no camera"),
        ("image gone", r"transforms\.json has a pose for .*03\.png, but there is no such image"),
        ("image damaged", r"03\.png cannot be read as an image"),
        ("no image", r"03\.png cannot be read as an image"),
        ("other size", r"images must be of one size, but .* and images/03\.png \(6, 8\)"),
        ("other shape", r"01\.png has 12x16 pixels, but .*transforms\.json says 32x32"),
        ("near beyond far", r"near must be a number from 0, and below far, got near=6\.0, far=5\.5"),
        ("near in words", r"near must be a number from 0, and below far, got near='two'"),
        ("distorted", r"transforms\.json: lenses that bend straight lines \(k1\)"),
    ],
)
def test_json_that_is_wrong_is_refused(how, message, scene, tmp_path):
    spoil_json(tmp_path, scene, how)
    with pytest.raises(ValueError, match=message):
        keraszoo.data.load(tmp_path)


def test_options_that_are_wrong_are_refused(scene, tmp_path):
    write_one_json(tmp_path, scene)
    for options, message in (
        (dict(near=6), "near=6, far=5.5"),
        (dict(background="grey"), "background must be"),
        (dict(holdout=1), "holdout must be 0 or"),
        (dict(holdout=2.5), "holdout must be 0 or"),
        (dict(factor=0), "factor must leave"),
        (dict(factor=100), "factor must leave"),
        (dict(factor=2, image_size=(6, 8)), "not both"),
        (dict(bounds=((1, 1, 1), (0, 0, 0))), "bounds must be"),
    ):
        with pytest.raises(ValueError, match=message):
            keraszoo.data.load(tmp_path, **options)
    with pytest.raises(TypeError, match="'factor'"):
        keraszoo.data.load(tmp_path, factr=2)
    write_blender(tmp_path / "parts", scene)
    with pytest.raises(ValueError, match="validation part of its own"):
        keraszoo.data.load(tmp_path / "parts", validation=0.1)


def test_llff_that_is_wrong_is_refused(scene, tmp_path):
    write_llff(tmp_path, scene)
    file, image = tmp_path / "poses_bounds.npy", tmp_path / "images" / "03.png"
    rows = np.load(file)

    def refused(message, rows=None):
        if rows is not None:
            np.save(file, rows)
        with pytest.raises(ValueError, match=message):
            keraszoo.data.load(tmp_path)

    refused(r"poses_bounds\.npy must hold finite numbers, \(views, 17\), got \(11, 15\)", rows[:, :15])
    far = rows.copy()
    far[:, 16] = 1
    refused(r"poses_bounds\.npy: near must be above 0 and below far", far)
    mirrored = rows.copy()
    mirrored[3, [1, 6, 11]] *= -1  # right
    refused(r"poses_bounds\.npy: the pose of 03\.png is no rotation", mirrored)
    flat = rows.copy()
    flat[:, 14] = 0
    refused(r"poses_bounds\.npy, 01\.png: focal must be above 0", flat)
    refused(r"poses_bounds\.npy holds 10 poses, but .*images holds 11 images", rows[:10])
    np.save(file, rows)
    image.unlink()
    refused(r"poses_bounds\.npy holds 11 poses, but .*images holds 10 images")
    for other in image.parent.iterdir():
        other.unlink()
    refused(r"poses_bounds\.npy has poses, but there are no images in .*images")
    file.write_bytes(file.read_bytes()[:200])
    refused(r"poses_bounds\.npy cannot be read as \.npy")


def test_colmap_that_is_wrong_is_refused(scene, tmp_path):
    write_colmap(tmp_path, scene, "SIMPLE_RADIAL", " 0.0")
    assert len(keraszoo.data.load(tmp_path).train) == 9
    place = tmp_path / "sparse" / "0"
    cameras, images, points = (place / f"{name}.txt" for name in ("cameras", "images", "points3D"))
    good = {file: file.read_text() for file in (cameras, images, points)}
    quaternion = " ".join(good[images].split("\n")[1].split()[1:5])

    def refused(file, old, new, message):
        file.write_text(good[file].replace(old, new))
        with pytest.raises(ValueError, match=message):
            keraszoo.data.load(tmp_path)
        file.write_text(good[file])

    refused(cameras, " 0.0\n", " 0.1\n", r"cameras\.txt: lenses that bend straight lines \(SIMPLE_RADIAL\)")
    refused(
        cameras, "SIMPLE_RADIAL", "FOV", r"cameras\.txt: cameras must be one of SIMPLE_PINHOLE, .*got FOV"
    )
    refused(cameras, " 8 6 0.0", "", r"cameras\.txt: a camera SIMPLE_RADIAL has a focal length and a centre")
    refused(cameras, "16 12", "16 wide", r"cameras\.txt: expected CAMERA_ID MODEL")
    refused(
        cameras, "1 SIMPLE", "2 SIMPLE", r"images\.txt: expected IMAGE_ID .* with a camera of cameras\.txt"
    )
    refused(images, quaternion, "0 0 0 0", r"images\.txt: the quaternion of 10\.png is no rotation")
    refused(images, quaternion, "0 0 0", r"images\.txt: expected IMAGE_ID")
    refused(images, good[images], "# images", r"images\.txt holds no images")
    refused(images, "03.png", "33.png", r"images\.txt has no poses for 1 of 11 images in .*, such as 03\.png")
    refused(points, " 9 9 9", "m 9 9 9", r"points3D\.txt: expected POINT3D_ID X Y Z")
    refused(
        points,
        good[points],
        "# none",
        r"images\.txt does not tell how far the scene reaches: give near and far",
    )
    (tmp_path / "images" / "03.png").unlink()
    with pytest.raises(ValueError, match=r"has a pose for .*03\.png, but there is no such image"):
        keraszoo.data.load(tmp_path)
    cameras.unlink()
    with pytest.raises(ValueError, match=r"cameras\.txt cannot be read"):
        keraszoo.data.load(tmp_path)
    images.rename(place / "images.bin")
    with pytest.raises(ValueError, match=r"images\.bin is of COLMAP's binary model"):
        keraszoo.data.load(tmp_path)


def test_npz_that_is_wrong_is_refused(scene, tmp_path):
    for more, message in (
        (dict(poses=np.zeros((11, 4, 4))), r"scene\.npz, view 1: pose is no rotation"),
        (dict(poses=np.eye(4)[None]), r"scene\.npz holds 11 images, but 1 poses"),
        (dict(images=np.zeros((11, 4, 4, 2), "uint8")), r"scene\.npz: images must be"),
        (dict(focal="long"), r"scene\.npz: focal, near and far must be numbers"),
        (dict(near=6.0), r"scene\.npz: near must be"),
    ):
        write_npz(tmp_path, scene, **more)
        with pytest.raises(ValueError, match=message):
            keraszoo.data.load(tmp_path / "scene.npz")
    np.savez(tmp_path / "scene.npz", images=np.zeros((2, 4, 4, 3), "uint8"))
    with pytest.raises(ValueError, match=r"scene\.npz lacks poses and focal"):
        keraszoo.data.load(tmp_path / "scene.npz")
    (tmp_path / "scene.npz").write_bytes(b"PK" + struct.pack("<q", 7))
    with pytest.raises(ValueError, match=r"scene\.npz cannot be read"):
        keraszoo.data.load(tmp_path / "scene.npz")


def test_photographs_without_poses_are_refused(scene, tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path.name} holds no images.*poses"):
        keraszoo.data.load(tmp_path)
    for folder in (tmp_path / "loose", tmp_path / "sorted" / "images"):
        write_images(folder, pixels(scene.test))
    for folder in ("loose", "sorted"):
        with pytest.raises(ValueError, match=f"{folder} holds no poses: expected transforms.json"):
            keraszoo.data.load(tmp_path / folder)


# Scores and pictures

Seen = namedtuple("Seen", "color depth opacity")


class Exact:
    """Stands in for a model: renders the scene as it is, a little too bright."""

    name, stop_training = "exact", False

    def __init__(self, error=0.1):
        self.error = error

    def render(self, camera):
        image, depth, alpha = raytraced.photographed(camera, "white")
        return Seen(image + self.error, np.where(np.isfinite(depth), depth + 0.2, 0) * alpha, alpha)


def test_scores_have_known_values(scene):
    image = scene.test.images[0]
    assert diagnostics.psnr(image, image) == np.inf and diagnostics.ssim(image, image) == pytest.approx(1)
    assert diagnostics.psnr(image + 0.1, image) == pytest.approx(20)
    assert diagnostics.ssim(1 - image, image) < 0.5
    depth = np.array([[2.0, 3.0], [np.inf, np.inf]])
    assert diagnostics.depth_error(depth[:1] + 0.5, depth[:1]) == pytest.approx(0.5)
    opacity = np.array([[1.0, 0.8], [1.0, 0.0]])
    assert diagnostics.depth_error([[2.5, 0.8 * 3.1], [4, 0]], depth, opacity) == pytest.approx(0.3)
    assert np.isnan(diagnostics.depth_error(depth[1:], depth[1:]))
    grid = np.stack(np.meshgrid(*[np.arange(5.0)] * 2, [0.0]), -1).reshape(-1, 3)
    assert diagnostics.chamfer_distance(grid, grid + [0, 0, 0.3]) == pytest.approx(0.3)
    assert diagnostics.chamfer_distance([[0, 0, 0]], [[0, 0, 0], [0, 0, 2]]) == pytest.approx(0.5)
    scores = diagnostics.view_scores(Exact().render(scene.test.cameras[0]), image, scene.test.depths[0])
    assert scores["psnr"] == pytest.approx(20, abs=0.01) and scores["depth_error"] == pytest.approx(
        0.2, abs=1e-4
    )
    for call, message in (
        (lambda: diagnostics.psnr(image, image[1:]), "one shape"),
        (lambda: diagnostics.ssim(image[:8], image[:8]), "at least 11 pixels"),
        (lambda: diagnostics.chamfer_distance(np.zeros((0, 3)), grid), "points must be finite"),
        (lambda: diagnostics.chamfer_distance(grid, grid * np.nan), "others must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_picture_of_cameras_tells_a_wrong_convention(scene, tmp_path):
    assert diagnostics.plot_cameras(tmp_path / "right.png", scene) == 1
    wrong = tuple(dataclasses.replace(camera, convention="opencv") for camera in scene.train.cameras)
    scene = dataclasses.replace(scene, train=dataclasses.replace(scene.train, cameras=wrong), test=None)
    assert diagnostics.plot_cameras(tmp_path / "wrong.png", scene, photographs=1) == 0
    right = imageio.imread(tmp_path / "right.png")[..., :3].astype(int)
    red = (right[..., 0] > 220) & (right[..., 1:].max(-1) < 30)
    assert red[:, right.shape[1] // 2 :].sum() > 300  # the box, in the photographs


def test_views_are_rendered_each_epoch(scene, tmp_path):
    watch, logs = RenderedViews(tmp_path, scene.test[:2]), [{}, {}]
    watch.set_model(Exact(0.1))
    watch.on_train_begin()
    watch.on_epoch_end(0, logs[0])
    watch.set_model(Exact(0.01))
    watch.on_epoch_end(1, logs[1])
    watch.on_train_end()
    assert [log["view_psnr"] for log in logs] == pytest.approx([20, 40], abs=0.01)
    assert logs[0]["view_ssim"] < logs[1]["view_ssim"] < 1
    assert logs[0]["view_depth_error"] == pytest.approx(0.2, abs=1e-4)
    first, second = (imageio.imread(tmp_path / f"epoch_000{n}.png") for n in (1, 2))
    assert first.shape == second.shape and (first != second).any()
    assert len(imageio.imread(tmp_path / "film.gif", index=None)) >= 2
    watch.set_model(keras.Sequential(name="plain"))
    with pytest.raises(ValueError, match="needs a model that has a method `render`; plain has none"):
        watch.on_train_begin()


def test_a_model_learns_from_a_scene_and_is_watched(scene, tmp_path):
    sizes = dict(
        units=4, depth=2, skip=1, num_samples=3, num_fine_samples=1, frequencies=1, view_frequencies=1
    )
    model = keraszoo.build("nerf_tiny", seed=0, **scene.arguments, **sizes)
    model.compile("sgd", {"coarse": "mse", "color": "mse"})  # quicker to compile than what it comes with
    bare = dataclasses.replace(scene.test[:1], depths=None)
    callbacks = [RenderedViews(tmp_path, bare, film=None), History(tmp_path / "history.csv")]
    fitted = model.fit(*scene.train[:2].rays(), batch_size=192, verbose=0, callbacks=callbacks)
    assert (
        set(fitted.history) >= {"loss", "view_psnr", "view_ssim"} and "view_depth_error" not in fitted.history
    )
    seen = model.render(bare.cameras[0])
    assert fitted.history["view_psnr"][-1] == pytest.approx(
        diagnostics.psnr(seen.color, bare.images[0]), abs=1e-3
    )
    assert "view_psnr" in (tmp_path / "history.csv").read_text().split("\n")[0]
