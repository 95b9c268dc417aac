"""The package of this program for the nodes of a Ray cluster."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import registry_tui

_PARTS = ("__init__.py", "contracts", "on_ray", "serving")


def package() -> bytes:
    """A package with all that a node imports: the same bytes for the same sources."""
    root = Path(registry_tui.__file__).parent
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in _PARTS:
            files = [root / part] if part.endswith(".py") else sorted((root / part).rglob("*.py"))
            for file in files:
                named = zipfile.ZipInfo(f"registry_tui/{file.relative_to(root).as_posix()}")
                named.external_attr = 0o600 << 16
                archive.writestr(named, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()
