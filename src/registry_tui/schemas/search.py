"""Results of a search over everything."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from registry_tui.schemas.base import Schema

#: Characters of the searched text; results of each kind in a response, by default and at most.
MAX_TEXT, DEFAULT_LIMIT, MAX_LIMIT = 200, 10, 100


class FoundKind(StrEnum):
    """Kinds of things that are searched; for equally good matches, the order of the kinds decides."""

    PROJECT = "project"
    REGISTRY = "registry"
    MODEL = "model"
    DEPLOYMENT = "deployment"
    EXPERIMENT = "experiment"
    ENVIRONMENT = "environment"
    RUN = "run"


class Found(Schema):
    """Something with a name, and where it is."""

    kind: FoundKind
    id: str
    name: str
    environment_name: str | None = None
    registry_id: str | None = None
    registry_name: str | None = None
    project_id: str | None = None
    project_name: str | None = None
    experiment_id: str | None = None
    experiment_name: str | None = None
    #: When it changed, or a run started.
    updated_at: datetime | None = None


class SearchAnswer(Schema):
    """The best matches, the best first."""

    items: list[Found]
    #: Kinds of which at least one more matches.
    more: list[FoundKind] = []
    #: Kinds that could not be searched, since MLflow's server does not respond.
    not_searched: list[FoundKind] = []
