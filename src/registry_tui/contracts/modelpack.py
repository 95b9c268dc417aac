"""Media types and annotations of bundles: an OCI image layout with a model in the CNCF's ModelPack format.

Every file of a model is one raw layer, so that its digest is the file's SHA-256. Our own files are layers too, of media
types of our own.
"""

from __future__ import annotations

from pathlib import PurePosixPath

LAYOUT = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
WEIGHTS = "application/vnd.cncf.model.weight.v1.raw"
WEIGHT_CONFIG = "application/vnd.cncf.model.weight.config.v1.raw"
DOCUMENT = "application/vnd.cncf.model.doc.v1.raw"
CODE = "application/vnd.cncf.model.code.v1.raw"
#: The archive's `manifest.json`, a version in the API's format, a signature, a wheel, and its bill of materials.
ARCHIVE_MANIFEST = "application/vnd.registry-tui.manifest.v1+json"
VERSION = "application/vnd.registry-tui.version.v1+json"
SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"
WHEEL = "application/vnd.registry-tui.wheel.v1"
BOM = "application/vnd.cyclonedx+json"
#: The model card that a person wrote, and one made from the registry's data.
CARD = "application/vnd.registry-tui.card.v1+markdown"
MADE_CARD = "application/vnd.registry-tui.made-card.v1+markdown"

#: Layers that are files of the model.
OF_MODEL = frozenset({WEIGHTS, WEIGHT_CONFIG, DOCUMENT, CODE})
#: The annotation with the path of a layer's file.
FILE_PATH = "org.cncf.model.filepath"
NAME = "org.opencontainers.image.ref.name"

_BY_SUFFIX = {
    ".md": DOCUMENT,
    ".rst": DOCUMENT,
    ".pdf": DOCUMENT,
    ".py": CODE,
    ".ipynb": CODE,
    ".json": WEIGHT_CONFIG,
    ".yaml": WEIGHT_CONFIG,
    ".yml": WEIGHT_CONFIG,
    ".txt": WEIGHT_CONFIG,
}


def type_of(path: str) -> str:
    """The type of the layer that a file of a model is."""
    name = PurePosixPath(path)
    if name.name in ("MLmodel", "conda.yaml", "python_env.yaml"):
        return WEIGHT_CONFIG
    if name.name.upper() in ("LICENSE", "README", "NOTICE"):
        return DOCUMENT
    return _BY_SUFFIX.get(name.suffix.lower(), WEIGHTS)
