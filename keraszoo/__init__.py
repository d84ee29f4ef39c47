"""keraszoo."""
