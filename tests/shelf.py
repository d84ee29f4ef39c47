"""The shelf as tests walk it: one name for each distinct builder and structure, nothing excluded."""

import pytest

from keraszoo import registry


def structures():
    """Names whose tiny versions differ: what `tiny` overrides is size, what is left is structure."""
    seen = {}
    for name, entry in registry.shelf().items():
        structure = {key: value for key, value in entry.size.items() if key not in entry.tiny}
        seen.setdefault((entry.family, entry.builder, repr(sorted(structure.items()))), name)
    return list(seen.values())


every_structure = pytest.mark.parametrize("name", structures())
every_name = pytest.mark.parametrize("name", list(registry.shelf()))
