"""Is it learning, and if not, why: figures for what a model makes, beside what it learned from."""

from keraszoo.diagnostics.attention import rollout, seen
from keraszoo.diagnostics.curve import coverage, curve_error
from keraszoo.diagnostics.samples import (
    Judge,
    class_shares,
    classes_seen,
    features,
    frechet_distance,
    precision_recall,
    report,
    table,
)
from keraszoo.diagnostics.scenes import (
    chamfer_distance,
    depth_error,
    plot_cameras,
    psnr,
    ssim,
    view_scores,
)
from keraszoo.diagnostics.segmentation import overlaps, worst
from keraszoo.diagnostics.summaries import lead, rouge
from keraszoo.diagnostics.tagging import entities, entity_f1
from keraszoo.diagnostics.translation import bleu, by_source, exact

__all__ = [
    "Judge",
    "bleu",
    "by_source",
    "chamfer_distance",
    "class_shares",
    "classes_seen",
    "coverage",
    "curve_error",
    "depth_error",
    "entities",
    "entity_f1",
    "exact",
    "features",
    "frechet_distance",
    "lead",
    "overlaps",
    "plot_cameras",
    "precision_recall",
    "psnr",
    "report",
    "rollout",
    "rouge",
    "seen",
    "ssim",
    "table",
    "view_scores",
    "worst",
]
