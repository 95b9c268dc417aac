"""Lineage: the origins and dependents of a thing, as nodes with words for their edges."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema

#: Levels of a tree, and children that are listed of each of its nodes: by default and at most.
DEPTH, MAX_DEPTH = 3, 8
EACH, MAX_EACH = 100, 1000
#: Things in one request for dependents.
MAX_ASKED = 1000


class NodeKind(StrEnum):
    """The kind of a node. `hidden` stands for so many things that the person may not see."""

    ENVIRONMENT = "environment"
    REGISTRY = "registry"
    PROJECT = "project"
    EXPERIMENT = "experiment"
    RUN = "run"
    DATASET = "dataset"
    #: Of the code that a run executed.
    COMMIT = "commit"
    LOGGED_MODEL = "logged-model"
    MODEL = "model"
    VERSION = "version"
    ALIAS = "alias"
    DEPLOYMENT = "deployment"
    KEY = "key"
    HIDDEN = "hidden"


class Direction(StrEnum):
    """`origins`: things that it came from. `dependents`: things that came from it, serve it or use it."""

    ORIGINS = "origins"
    DEPENDENTS = "dependents"


class LineageNode(Schema):
    """A thing in a lineage, and how it is related to the node above."""

    kind: NodeKind
    #: Its reference in requests: `version:REGISTRY/MODEL/3`; empty where it has no lineage.
    ref: str
    name: str
    #: The edge in words: "came from", "served by"; empty at the root.
    relation: str = ""
    detail: str = ""
    #: Whether it was deleted: only its name is left.
    gone: bool = False
    #: How many a hidden node stands for.
    count: int = 1


class LineageTree(Schema):
    """A node with its origins and dependents, to the requested depth.

    `more_origins` and `more_dependents` are tokens for the children after those listed here.
    """

    node: LineageNode
    origins: list[LineageTree] = Field(default_factory=list)
    dependents: list[LineageTree] = Field(default_factory=list)
    more_origins: str | None = None
    more_dependents: str | None = None
    #: Whether nodes were left out because the tree would be too large.
    cut: bool = False


class DependentsAsked(RequestSchema):
    """Things that are deleted together, by their references."""

    nodes: list[Annotated[str, Field(max_length=4000)]] = Field(min_length=1, max_length=MAX_ASKED)


class Dependents(Schema):
    """Effects of a deletion, in sentences; `refused` is the reason why the deletion would be refused now."""

    lines: list[str]
    refused: str = ""
