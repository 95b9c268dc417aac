"""Lineage: what a thing came from and what depends on it, as nodes with words for their edges."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema

#: Levels of a tree, and children that are listed of each of its nodes: by default and at most.
DEPTH, MAX_DEPTH = 3, 8
EACH, MAX_EACH = 100, 1000
#: Things of which one question asks what depends on them.
MAX_ASKED = 1000


class NodeKind(StrEnum):
    """What a node is. `hidden` stands for so many things that the person may not see."""

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
    """`origins`: what it came from. `dependents`: what came from it, serves it or uses it."""

    ORIGINS = "origins"
    DEPENDENTS = "dependents"


class LineageNode(Schema):
    """A thing in a lineage, and how it is related to the node above."""

    kind: NodeKind
    #: How it is asked for again: `version:REGISTRY/MODEL/3`; empty where nothing can be asked.
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
    """A node with what it came from and what depends on it, as deep as was asked.

    `more_origins` and `more_dependents` are tokens that go on behind the children listed here.
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
    """What breaks when something is deleted, in sentences; `refused` says why the deletion would be refused now."""

    lines: list[str]
    refused: str = ""
