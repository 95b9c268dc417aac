"""Bills of materials of versions, and the search for versions by component."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from registry_tui.schemas.base import Schema

#: Characters of the longest query for versions by component.
MAX_USES = 500
#: Queries in one request.
MAX_QUESTIONS = 10


class ComponentKind(StrEnum):
    """The kinds of components of a version."""

    PACKAGE = "package"
    #: The Python that it was logged with.
    PYTHON = "python"
    DATASET = "dataset"
    #: Its base model, such as one of the Hugging Face Hub.
    BASE_MODEL = "base-model"


class VersionBom(Schema):
    """A version's bill of materials: a CycloneDX document, format 1.6."""

    version_id: str
    made_at: datetime
    document: dict[str, Any]


class Component(Schema):
    """One component of a version."""

    kind: ComponentKind
    #: A package's canonical name, a data set's or model's name.
    name: str
    #: The requirement as the model has it, a data set's digest, a base model's revision; empty where none is known.
    detail: str = ""


class VersionUse(Schema):
    """A version that uses a queried component, with the matching components."""

    registry_id: str
    registry_name: str
    model_id: str
    model_name: str
    version: int
    version_id: str
    registered_at: datetime
    components: list[Component]
