"""Durable workflows: the engine, and a module for each kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_tui.schemas.operations import WorkflowKind
    from registry_tui.service.engine.steps import Definition

#: Every kind of workflow; each module adds its own: `DEFINITIONS[PROVISION.kind] = PROVISION`.
DEFINITIONS: dict[WorkflowKind, Definition] = {}

#: The modules that define workflows, in this package.
MODULES = (
    "provision",
    "synchronize",
    "deprovision",
    "archive",
    "delete_archive",
    "deploy",
    "stop",
    "undeploy",
    "clean_up_storage",
    "verify",
    "purge_runs",
)


def load_definitions() -> dict[WorkflowKind, Definition]:
    """All definitions. Imports their modules, which is why it is not done while this package is imported."""
    import importlib

    for module in MODULES:
        importlib.import_module(f"{__name__}.{module}")
    return DEFINITIONS
