"""A pinhole camera: where it stands, where it looks, and the ray of light that each of its pixels sees."""

from dataclasses import dataclass, replace

import numpy as np

CONVENTIONS = {  # a direction in the camera's own frame, for one pixel to the right, one down, and one ahead
    "opengl": (1.0, -1.0, -1.0),  # x right, y up, looks along -z: Blender, NeRF
    "opencv": (1.0, 1.0, 1.0),  # x right, y down, looks along +z: COLMAP, OpenCV
}


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera without distortion.

    Args:
        pose: (4, 4) or (3, 4), floating: from the camera's frame to the scene's; the first three columns are
            the directions of its axes, the last is where it stands, in scene units.
        focal: Focal length in pixels; or a pair of these, along x and along y.
        height, width: Of its image, in pixels.
        center: (x, y) of the principal point, in pixels from the upper left corner; the middle of the image by default.
        convention: How the camera's axes lie: "opengl" (x right, y up, looks along -z) or "opencv" (x right,
            y down, looks along +z).

    Raises:
        ValueError: An argument is none of these, or `pose` does not rotate: its axes are not at right
            angles, not of length 1, or left-handed; or its last row is not 0, 0, 0, 1.
    """

    pose: np.ndarray
    focal: float | tuple[float, float]
    height: int
    width: int
    center: tuple[float, float] | None = None
    convention: str = "opengl"

    def __post_init__(self):
        object.__setattr__(self, "pose", checked_pose(self.pose))
        if self.convention not in CONVENTIONS:
            raise ValueError(
                f"convention must be one of {', '.join(map(repr, CONVENTIONS))}, got {self.convention!r}."
            )
        for word, size in (("height", self.height), ("width", self.width)):
            if not isinstance(size, (int, np.integer)) or size < 1:
                raise ValueError(f"{word} must be a whole number of pixels from 1, got {size!r}.")
        focal = np.asarray(self.focal, "float64")
        if focal.shape not in ((), (2,)) or not (np.isfinite(focal).all() and (focal > 0).all()):
            raise ValueError(f"focal must be above 0, in pixels, or a pair of such, got {self.focal!r}.")
        if self.center is not None:
            center = np.asarray(self.center, "float64")
            if center.shape != (2,) or not np.isfinite(center).all():
                raise ValueError(f"center must be (x, y), in pixels, got {self.center!r}.")
            object.__setattr__(self, "center", tuple(center.tolist()))

    @classmethod
    def looking_at(cls, target, position, focal, height, width, up=(0.0, 0.0, 1.0), center=None):
        """A camera at `position` that looks at `target`, each (x, y, z) in scene units; `up` is up in its image.

        Raises:
            ValueError: It stands where it looks, or looks along `up`.
        """
        target, position, up = (np.asarray(v, "float64") for v in (target, position, up))
        back = position - target
        right = np.cross(up, back)
        if not np.linalg.norm(right) > 1e-9 * np.linalg.norm(back):
            raise ValueError(
                f"A camera at position={position.tolist()} cannot look at target={target.tolist()} with "
                f"up={up.tolist()}: it must stand elsewhere, and not look along `up`."
            )
        back, right = back / np.linalg.norm(back), right / np.linalg.norm(right)
        pose = np.stack([right, np.cross(back, right), back, position], axis=1)
        return cls(pose, focal, height, width, center)

    @property
    def position(self):
        """Where it stands, (3,), float32, in scene units."""
        return self.pose[:3, 3]

    def rays(self):
        """What its pixels see.

        Returns:
            origins, directions: (height, width, 3), float32. Directions are those of the pixels' middles, and
                reach one unit ahead: `origins + t * directions` lies at depth `t` before the camera.
        """
        center = (self.width / 2, self.height / 2) if self.center is None else self.center
        fx, fy = np.broadcast_to(np.asarray(self.focal, "float64"), (2,))
        y, x = np.indices((self.height, self.width)) + 0.5
        ahead = np.stack([(x - center[0]) / fx, (y - center[1]) / fy, np.ones_like(x)], axis=-1)
        directions = (ahead * CONVENTIONS[self.convention]).astype("float32") @ self.pose[:3, :3].T
        return np.broadcast_to(self.position, directions.shape).copy(), directions

    def resized(self, height, width):
        """The same camera with an image of another size."""
        scale = np.array([width / self.width, height / self.height])
        focal = tuple(float(v) for v in np.broadcast_to(np.asarray(self.focal, "float64"), (2,)) * scale)
        center = None if self.center is None else tuple(float(v) for v in np.asarray(self.center) * scale)
        return replace(self, focal=focal, height=height, width=width, center=center)


def checked_pose(pose, name="pose"):
    """A pose as (4, 4), float32, after a look at whether it is one.

    Raises:
        ValueError: It has another shape, is not finite, or does not rotate; the message calls it `name`.
    """
    pose = np.asarray(pose, "float64")
    if pose.shape not in ((4, 4), (3, 4)) or not np.isfinite(pose).all():
        raise ValueError(
            f"{name} must be a finite (4, 4) or (3, 4) matrix, from the camera's frame to the scene's, got shape {pose.shape}."
        )
    rotation = pose[:3, :3]
    if not np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
        raise ValueError(
            f"{name} is no rotation: the first three columns must be axes of length 1, at right angles, and "
            f"right-handed, got lengths {np.round(np.linalg.norm(rotation, axis=0), 4).tolist()} and determinant "
            f"{np.linalg.det(rotation):.4g}."
        )
    last = [0.0, 0.0, 0.0, 1.0]
    if pose.shape == (4, 4) and not np.allclose(pose[3], last, atol=1e-3):
        raise ValueError(f"{name} must end in the row 0, 0, 0, 1, got {pose[3].tolist()}: is it transposed?")
    return np.concatenate([pose[:3], [last]]).astype("float32")
