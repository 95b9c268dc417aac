"""The sampled request logs of deployments: setting their rules, reading, deleting and cleaning them up.

The gateway writes them (`gateway/request_log.py`), by the rules in its routes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.gateway import request_log as files
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.request_log import LoggedRequest, RequestLog, RequestLogRules
from registry_tui.service.core import events, paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import DeploymentRow
from registry_tui.service.deployments.finding import find_for, resource_of
from registry_tui.service.errors import Missing
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.wording.request_logs import rules_told


def get_request_log(service: Service, principal: Principal, deployment: str) -> RequestLog:
    """The rules of a deployment's request log, and its counts. Raises Missing, InvalidInput, NotPermitted."""
    return _shown(service, find_for(service, principal, deployment, Action.DEPLOYMENT_REQUESTS))


def set_request_log(service: Service, principal: Principal, deployment: str, rules: RequestLogRules) -> RequestLog:
    """Sets the rules from now on; logged requests stay until the log is too old or too large.

    Raises Missing, InvalidInput, NotPermitted, PartUnavailable.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_REQUESTS)
    with events.recording(service, principal, "deployment.request-log", resource_of(row)) as event:
        event.detail = rules_told(rules)
        with service.database.session() as session:
            present = session.get(DeploymentRow, row.id)
            if present is not None:
                present.request_log = rules.model_dump(mode="json")
        gateway_link.publish(service)
    return get_request_log(service, principal, row.id)


def list_requests(
    service: Service,
    principal: Principal,
    deployment: str,
    *,
    values: int | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[LoggedRequest]:
    """The requests that were kept, newest first, with so many values of each column, or all.

    Raises Missing, InvalidInput, NotPermitted.
    """
    paging.check_page_size(page_size)
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_REQUESTS)
    scope = f"requests:{row.id}"
    before = None
    if page_token is not None:
        at, id_ = paging.decode_token(scope, page_token, (int, float), str)
        before = (float(at), str(id_))
    else:
        gateway_link.write_request_logs(service)
    found: list[LoggedRequest] = []
    last: Mapping[str, Any] = {}
    for record in files.records(folder_of(service, row.id), oldest=_oldest(row), before=before):
        if len(found) == page_size:
            # Its time as it was written: the displayed time is rounded to microseconds.
            return Page(items=found, next_page_token=paging.encode_token(scope, last["at"], last["id"]))
        found.append(to_schema(record, values))
        last = record
    return Page(items=found)


def get_request(
    service: Service, principal: Principal, deployment: str, request: str, *, at: datetime | None = None
) -> LoggedRequest:
    """A kept request with all its values: the newest with this ID, or the one of that time, as callers choose IDs.

    Raises Missing, InvalidInput, NotPermitted.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_REQUESTS)
    gateway_link.write_request_logs(service)
    moment = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    found = files.record_of(
        folder_of(service, row.id),
        request,
        oldest=_oldest(row),
        is_it=lambda record: moment is None or _time_of(record) == moment,
    )
    if found is None:
        raise Missing(
            f"No request {request!r} of {row.name} is kept",
            action=f"See `registry-tui deployments requests list {row.name}`; it may have been too old to keep",
        )
    return to_schema(found)


def delete_requests(service: Service, principal: Principal, deployment: str) -> RequestLog:
    """Deletes everything that was kept until now. Raises Missing, InvalidInput, NotPermitted."""
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_REQUESTS)
    with events.recording(service, principal, "deployment.delete-requests", resource_of(row)) as event:
        # Queued requests would be written after the deletion.
        gateway_link.write_request_logs(service)
        kept = files.files_of(folder_of(service, row.id))
        for path, _ in kept:
            path.unlink(missing_ok=True)
        event.detail = counted(sum(stat.st_size for _, stat in kept), "byte")
    return _shown(service, row)


def clean_up(service: Service) -> None:
    """Deletes the requests that their rules no longer keep, and the logs of deleted deployments."""
    root = service.home.request_logs
    folders = [each for each in root.iterdir() if each.is_dir()] if root.is_dir() else []
    if not folders:
        return
    with service.database.reading() as session:
        query = select(DeploymentRow).where(DeploymentRow.id.in_([each.name for each in folders]))
        kept = {row.id: rules_of(row) for row in session.scalars(query)}
    for folder in folders:
        rules = kept.get(folder.name)
        if rules is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            files.prune(folder, gateway_link.rules_for_gateway(rules), time.time())


def rules_of(row: DeploymentRow) -> RequestLogRules:
    """The rules of a deployment's request log; by default nothing is kept."""
    return RequestLogRules.model_validate({"share": 0.0, **row.request_log})


def folder_of(service: Service, deployment: str) -> Path:
    """Where a deployment's requests are kept."""
    return service.home.request_logs / deployment


def to_schema(record: Mapping[str, Any], values: int | None = None) -> LoggedRequest:
    """A request as it is shown, with so many values of each column, or all."""
    shown = {**record, "at": _time_of(record)}
    for side in ("inputs", "outputs"):
        if values is not None and (columns := record.get(side)) is not None:
            shown[side] = {name: each[:values] for name, each in columns.items()}
    return LoggedRequest.model_validate(shown)


def _time_of(record: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(record["at"], UTC)


def _oldest(row: DeploymentRow) -> float:
    """Before this time (s since 1970) requests are too old, though their file is still there."""
    return time.time() - rules_of(row).days * 86_400


def _shown(service: Service, row: DeploymentRow) -> RequestLog:
    logged = gateway_link.stats(service).get("logs", {}).get(row.id, {})
    return RequestLog(
        deployment_id=row.id,
        deployment_name=row.name,
        rules=rules_of(row),
        kept=logged.get("kept", 0),
        dropped=logged.get("dropped", 0),
        bytes=sum(stat.st_size for _, stat in files.files_of(folder_of(service, row.id))),
    )
