"""Every kind of workflow that the engine runs: the definitions of this package's modules."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service import workflows
from registry_tui.service.engine.steps import Definition


def definitions_in(package: str, folders: Sequence[str]) -> Mapping[WorkflowKind, Definition]:
    """The definitions in the modules of a package, by their kind. Raises ValueError when two have the same one."""
    found: dict[WorkflowKind, Definition] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(folders)):
        # This module is being imported still.
        if f"{package}.{name}" == __name__:
            continue
        for each in vars(importlib.import_module(f"{package}.{name}")).values():
            if isinstance(each, Definition) and found.setdefault(each.kind, each) is not each:
                raise ValueError(f"Two workflows are of the kind {each.kind}; the second one is in {package}.{name}")
    return MappingProxyType(found)


DEFINITIONS = definitions_in(workflows.__name__, workflows.__path__)
