"""Verifying a version's archive: every file is read again and compared with the manifest; the result is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.schemas.models import ArchiveCheck
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.engine.steps import Definition, Step, StepContext, Work
from registry_tui.service.errors import WrongState
from registry_tui.service.models import archives as version_archives
from registry_tui.service.models import registered as models
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.signing import archives as signing
from registry_tui.service.workflows.advancing import Advancing


def _permit(service: Service, principal: Principal, work: Work) -> None:
    """Permits people who may see the model. Raises Missing, NotPermitted."""
    place = enter_registry(service, work.arguments["registry_id"], reader=principal)
    models.find_model(service, principal, place, work.arguments["model"])


def _read(context: StepContext) -> Mapping[str, Any]:
    arguments = context.arguments
    place = enter_registry(context.service, arguments["registry_id"])
    version = signing.version_at(context.service, place, arguments["model_id"], arguments["version_id"])
    check = version_archives.check_stored(
        context.service, version, progress=lambda files: Advancing(context, files), check=context.check_cancelled
    )
    return {"check": check.model_dump(mode="json")}


def _note(context: StepContext) -> None:
    """Raises WrongState when the archive differs from its manifest."""
    arguments, check = context.arguments, ArchiveCheck.model_validate(context.state["check"])
    place = enter_registry(context.service, arguments["registry_id"])
    version_archives.note_check(context.service, place, arguments["model"], arguments["version"], check)
    if not check.sound:
        raise WrongState(
            f"The archive is not as it was stored: {check.damage}",
            action="Register the model again from its run, or restore the bucket from a backup",
        )
    context.log(f"as stored: {counted(check.files, 'file')}, {counted(check.bytes, 'byte')}")


VERIFY = Definition(
    kind=WorkflowKind.VERIFY,
    permit=_permit,
    steps=(Step("read archive", _read), Step("note", _note)),
)
