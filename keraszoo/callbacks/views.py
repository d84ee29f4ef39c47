"""What a model makes of a scene from where it was not shown, epoch by epoch."""

import numpy as np

from keraszoo.callbacks import pictures
from keraszoo.callbacks.samples import Frames
from keraszoo.diagnostics.scenes import view_scores


class RenderedViews(Frames):
    """Held-out photographs, the same views as rendered, and their depths, side by side.

    The logs then hold `view_psnr`, `view_ssim` and, where true depths are known, `view_depth_error`, means over these
    views; callbacks that come after this one see them, as does the history that `fit` returns.

    Args:
        folder: The folder for the pictures and the film; see `Frames`.
        views: `keraszoo.data.Views` that the model does not learn from, such as `scene.test[:2]`: a row each.
        every, film: As of `Frames`.
        **options: As of the model's `render`.

    Raises:
        ValueError: As of `Frames`; or the model has no method `render`.
    """

    def __init__(self, folder, views, every=1, film="film.gif", **options):
        super().__init__(folder, every=every, film=film)
        self.views, self.options = views, options

    def check(self, model):
        if not callable(getattr(model, "render", None)):
            raise ValueError(
                f"RenderedViews needs a model that has a method `render`; {model.name} has none."
            )

    def on_epoch_end(self, epoch, logs=None):
        self.means = {}
        super().on_epoch_end(epoch, logs)
        if logs is not None:
            logs.update({f"view_{name}": mean for name, mean in self.means.items()})

    def draw(self, path, title):
        seen = [self.model.render(camera, **self.options) for camera in self.views.cameras]
        scores = beside(path, self.views, seen, title)
        self.means = {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def beside(path, views, seen, title=""):
    """A picture with a row for each view: photograph, rendered, rendered depth, and true depth where it is known.

    Args:
        path: The PNG file.
        views: `keraszoo.data.Views`.
        seen: What `render` gives of each of their cameras.
        title: Above all of them.

    Returns:
        A list of dicts, as `keraszoo.diagnostics.view_scores` gives them.
    """
    columns = 3 if views.depths is None else 4
    figure, panels = pictures.sheet(columns * len(views), width=2.4, height=2.6, columns=columns)
    scores = []
    for i, rendered in enumerate(seen):
        true = None if views.depths is None else views.depths[i]
        scores.append(view_scores(rendered, views.images[i], true))
        depth = rendered.depth / np.maximum(rendered.opacity, 0.5)
        depth = np.where(rendered.opacity >= 0.5, depth, np.nan)
        known = depth if true is None else np.where(np.isfinite(true), true, np.nan)
        ends = (np.nanmin(known), np.nanmax(known)) if np.isfinite(known).any() else (0, 1)
        told = scores[-1]
        said = f"{told['psnr']:.1f} dB" + (f", SSIM {told['ssim']:.3f}" if "ssim" in told else "")
        row = [
            ("photograph", views.images[i]),
            (said, np.clip(rendered.color, 0, 1)),
            (f"depth, off by {told['depth_error']:.3g}" if "depth_error" in told else "depth", depth),
            ("true depth", known),
        ]
        for panel, (caption, picture) in zip(panels[columns * i :], row, strict=False):
            ranged = dict(cmap="viridis_r", vmin=ends[0], vmax=ends[1]) if picture.ndim == 2 else {}
            panel.imshow(picture, **ranged)
            panel.set_title(caption, fontsize=9)
            panel.set_axis_off()
    figure.suptitle(title, fontsize=10)
    pictures.save(figure, path)
    return scores
