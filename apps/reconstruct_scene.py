"""Learn a scene from photographs of it, walk around it, and take its surface away as a mesh.

    KERAS_BACKEND=torch python apps/reconstruct_scene.py

About ten minutes on a laptop, offline, with a ray-traced scene; --epochs 1 shows the way in two. Held-out views then came
out at 28.1 dB, depths 0.07 off in a scene 2.5 wide, and the mesh 1.2 % of the scene's size from the true surface. Leaves
a folder with a picture of the cameras, held-out views beside the truth epoch by epoch, the model, an orbit as GIF and
MP4, its depths as MP4, and the mesh as PLY and OBJ, coloured.

Other scenes: --data nerf_lego --epochs 2 (23.0 dB), or a folder with transforms_train.json (Blender), poses_bounds.npy
(LLFF) or cameras.txt and images.txt (COLMAP). On a graphics processor, --model nerf is the paper's configuration; its half a
million steps of 1,024 rays are eight epochs of a hundred photographs of 800x800 pixels.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import keraszoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="ray_traced_scene", help="a scene of keraszoo.data, or a folder")
    parser.add_argument("--data-dir", help="where sets are kept; else KERASZOO_DATA")
    parser.add_argument(
        "--image-size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="as it comes, by default"
    )
    parser.add_argument("--background", choices=("black", "white"), help="where images are transparent")
    parser.add_argument("--model", default="nerf_tiny", choices=keraszoo.list_models(task="view_synthesis"))
    parser.add_argument("--units", type=int, help="features of a place; as of the model by default")
    parser.add_argument("--samples", type=int, nargs=2, metavar=("FIRST", "MORE"), help="on a ray")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=1024, help="rays in a step")
    parser.add_argument("--rate", type=float, help="learning rate; falls to a tenth by the end")
    parser.add_argument("--dtype", default="float32", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--shown", type=int, default=2, help="held-out views that are drawn each epoch")
    parser.add_argument("--frames", type=int, default=48, help="of the orbit")
    parser.add_argument("--resolution", type=int, default=128, help="of the mesh: places along a side")
    parser.add_argument("--threshold", type=float, default=5.0, help="density of the mesh's surface")
    parser.add_argument("--whole", action="store_true", help="do not skip empty space in the orbit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/reconstruct_scene"))
    return parser.parse_args()


def build(options, scene, steps):
    """A compiled model for the scene, whose learning rate falls to a tenth in so many steps."""
    import keras

    keras.config.set_dtype_policy(options.dtype)
    sizes = dict(units=options.units)
    if options.samples:
        sizes |= dict(num_samples=options.samples[0], num_fine_samples=options.samples[1])
    sizes = {name: size for name, size in sizes.items() if size is not None}
    model = keraszoo.build(options.model, seed=options.seed, **scene.arguments, **sizes)
    rate = options.rate or (5e-4 if options.model == "nerf" else 3e-3)
    model.optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(rate, steps, 0.1)
    return model


def main():
    options = parse()
    chosen = dict(image_size=options.image_size, background=options.background)
    scene = keraszoo.data.load(
        options.data, data_dir=options.data_dir, **{k: v for k, v in chosen.items() if v is not None}
    )
    print(scene)

    from keraszoo.callbacks import RenderedViews, RunFolder
    from keraszoo.callbacks.views import beside
    from keraszoo.diagnostics import plot_cameras, view_scores

    options.out.mkdir(parents=True, exist_ok=True)
    met = plot_cameras(options.out / "cameras.png", scene)
    print(f"{met:.0%} of the cameras look at the scene: see {options.out / 'cameras.png'}")
    rays, colors = scene.train.rays()
    model = build(options, scene, steps=options.epochs * -(-len(rays) // options.batch_size))
    held, part = next(
        (v, word) for word in ("test", "validation", "train") if (v := getattr(scene, word)) is not None
    )
    start = time.perf_counter()
    model.fit(
        rays,
        colors,
        batch_size=options.batch_size,
        epochs=options.epochs,
        callbacks=[
            RenderedViews(options.out / "views", held[: options.shown]),
            RunFolder(options.out, monitor="loss"),
        ],
    )
    spent = time.perf_counter() - start
    model.save(options.out / "model.keras")
    print(
        f"{options.epochs} epochs in {spent:.0f} s, {len(rays) * options.epochs / spent:,.0f} rays a second"
    )

    seen = [model.render(camera) for camera in held.cameras]
    drawn = min(6, len(held))
    beside(options.out / "held_out.png", held[:drawn], seen[:drawn], f"{part} views")
    told = held.depths if held.depths is not None else [None] * len(held)
    scores = [view_scores(*each) for each in zip(seen, held.images, told, strict=True)]
    for name in scores[0]:
        mean = np.mean([score[name] for score in scores])
        print(f"{name.replace('_', ' ')} of {len(scores)} {part} views: {mean:.4g}")

    walk(options, scene, model)
    take(options, scene, model)
    print(f"see {options.out}")


def walk(options, scene, model):
    """Films of an orbit, and of its depths."""
    from matplotlib import colormaps

    from keraszoo.callbacks.pictures import animation

    camera = scene.train.cameras[0]
    # Where photographs are opaque, what lies beyond the bounds is seen, too.
    skip = scene.background is not None and not options.whole
    occupancy = model.occupancy(bounds=scene.bounds) if skip else None
    if occupancy is not None:
        (one, whole), (other, skipped) = (timed(model, camera, grid) for grid in (None, occupancy))
        apart = np.abs(one.color - other.color).mean()
        print(
            f"{occupancy.cells.mean():.1%} of the cells may hold something; one view {whole:.2f} s, "
            f"skipping the others {skipped:.2f} s, colours {apart:.1e} apart"
        )
    less = min(1, 400 / max(camera.height, camera.width))  # a film needs no more
    size = round(camera.height * less), round(camera.width * less)
    seen = model.orbit(options.frames, size=size, occupancy=occupancy, **around(scene))
    frames = (255 * np.clip(seen.color, 0, 1)).round().astype("uint8")
    share = (seen.depth / np.maximum(seen.opacity, 0.5) - scene.near) / (scene.far - scene.near)
    depths = colormaps["viridis_r"](share, bytes=True)[..., :3]
    depths = np.where(seen.opacity[..., None] > 0.5, depths, np.uint8(255))
    larger = -(-200 // size[0])  # a film of 64 pixels is hard to see
    for name, film in (("orbit.gif", frames), ("orbit.mp4", frames), ("depth.mp4", depths)):
        film = film.repeat(larger, axis=1).repeat(larger, axis=2)
        animation(options.out / name, list(film), seconds=0.08, linger=0.0)


def timed(model, camera, occupancy):
    """What is rendered, and how long that takes once it is compiled."""
    model.render(camera, occupancy=occupancy)
    start = time.perf_counter()
    return model.render(camera, occupancy=occupancy), time.perf_counter() - start


def around(scene):
    """An orbit around the middle of a scene, as far away and as high as its photographs were taken."""
    middle, cameras = scene.bounds.mean(0), scene.train.cameras
    ups = [camera.pose[:3, 1] * (1 if camera.convention == "opengl" else -1) for camera in cameras]
    up = np.mean(ups, axis=0) / np.linalg.norm(np.mean(ups, axis=0))
    away = np.array([camera.position for camera in cameras]) - middle
    distance = np.linalg.norm(away, axis=1).mean()
    lift = np.arcsin(np.clip(away.mean(0) @ up / distance, -0.99, 0.99))
    camera = cameras[0]
    view = 2 * np.arctan(camera.width / 2 / np.broadcast_to(camera.focal, 2)[0])
    return dict(
        elevation=float(np.degrees(lift)),
        distance=float(distance),
        target=middle,
        field_of_view=float(np.degrees(view)),
        up=up,
    )


def take(options, scene, model):
    """The mesh, and how far it is from the true surface, where that is known."""
    from keraszoo.callbacks.files import whole
    from keraszoo.diagnostics.scenes import chamfer_distance

    mesh = model.extract_mesh(options.resolution, options.threshold, bounds=scene.bounds)
    for end in ("ply", "obj"):
        with whole(options.out / f"mesh.{end}") as beside:
            mesh.export(beside)
    print(f"mesh: {len(mesh.vertices):,} vertices, {len(mesh.faces):,} faces")
    if scene.surface is not None:
        apart = chamfer_distance(mesh.sample(20_000, seed=0), scene.surface(20_000))
        size = float(np.linalg.norm(np.ptp(scene.bounds, axis=0)))
        print(f"Chamfer distance from the true surface: {apart:.4f}, {apart / size:.2%} of the scene's size")


if __name__ == "__main__":
    main()
