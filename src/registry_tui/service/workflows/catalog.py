"""Every kind of workflow that the engine runs. A new kind is one module here and one line below."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.engine.steps import Definition
from registry_tui.service.workflows.archive import ARCHIVE as ARCHIVE
from registry_tui.service.workflows.clean_up_storage import CLEAN_UP as CLEAN_UP
from registry_tui.service.workflows.delete_archive import DELETE_ARCHIVE as DELETE_ARCHIVE
from registry_tui.service.workflows.deploy import DEPLOY as DEPLOY
from registry_tui.service.workflows.deprovision import DEPROVISION as DEPROVISION
from registry_tui.service.workflows.provision import PROVISION as PROVISION
from registry_tui.service.workflows.purge_runs import PURGE_RUNS as PURGE_RUNS
from registry_tui.service.workflows.stop import STOP as STOP
from registry_tui.service.workflows.synchronize import SYNCHRONIZE as SYNCHRONIZE
from registry_tui.service.workflows.undeploy import UNDEPLOY as UNDEPLOY
from registry_tui.service.workflows.verify import VERIFY as VERIFY

#: The definitions that are imported above, by their kind.
DEFINITIONS: Mapping[WorkflowKind, Definition] = MappingProxyType(
    {each.kind: each for each in list(globals().values()) if isinstance(each, Definition)}
)
