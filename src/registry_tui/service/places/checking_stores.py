"""Trying a store before an environment uses it."""

from __future__ import annotations

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.stores import StoreCheck, StoreProblem, StoreReport
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal
from registry_tui.service.errors import InvalidInput
from registry_tui.service.stores.opening import open_store


def check_store(principal: Principal, request: StoreCheck) -> StoreReport:
    """Puts, reads, copies and deletes an object of its own there; says what is missing. Raises NotPermitted."""
    permissions.require(principal, Action.ENVIRONMENT_CREATE)
    try:
        bucket = open_store(request.store)
    except InvalidInput as error:
        return StoreReport(uri="", problems=[StoreProblem(text=error.detail, action=error.action or "")])
    return StoreReport(uri=bucket.uri, problems=list(bucket.probe()))
