"""Drift of deployments: the logged requests, compared with the profile of the version that serves.

Columns that may not be kept are not compared: they are not in the log. `watch` reports when drift begins and ends.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.contracts.profiles import ColumnProfile, Comparison, compare, psi_of
from registry_tui.contracts.request_columns import MASK
from registry_tui.gateway import request_log as files
from registry_tui.schemas.drift import (
    ColumnDrift,
    Drift,
    DriftRules,
    DriftSlice,
    NotCompared,
    ProfiledColumn,
    Side,
)
from registry_tui.schemas.operations import EventOutcome
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import DeploymentRow
from registry_tui.service.deployments import request_logs
from registry_tui.service.deployments.finding import find_for, resource_of
from registry_tui.service.models import profiles
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.wording.drift import drift_told, rules_told

logger = logging.getLogger(__name__)

#: Rows of a window at most: comparing them takes about a second.
ROWS = 50_000
#: The most parts of a window, as many as a narrow chart has dots for; the most reasons that are counted.
SLICES, REASONS = 24, 5
#: The rules that a request may override.
OVERRIDES = ("max_psi", "max_ks", "hours", "requests", "min_rows")


def get_drift(
    service: Service, principal: Principal, deployment: str, overrides: Mapping[str, float | None] | None = None
) -> Drift:
    """A deployment's newest requests against its version's profile, by its rules or other ones for this request.

    Raises Missing, InvalidInput, NotPermitted.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_REQUESTS)
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    return measure(service, row, DriftRules.model_validate({**rules_of(row).model_dump(), **given}))


def set_rules(service: Service, principal: Principal, deployment: str, rules: DriftRules) -> Drift:
    """Sets how drift is judged from now on, and whether it is reported. Raises Missing, InvalidInput, NotPermitted."""
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_REQUESTS)
    with events.recording(service, principal, "deployment.drift-rules", resource_of(row)) as event:
        event.detail = rules_told(rules)
        with service.database.session() as session:
            present = session.get(DeploymentRow, row.id)
            if present is not None:
                present.drift = {**present.drift, "rules": rules.model_dump(mode="json")}
    return get_drift(service, principal, row.id)


def rules_of(row: DeploymentRow) -> DriftRules:
    """How a deployment's drift is judged."""
    return DriftRules.model_validate(row.drift.get("rules", {}))


def measure(service: Service, row: DeploymentRow, rules: DriftRules) -> Drift:
    """Compares the newest requests of a deployment with the profile of the version that serves."""
    active = gateway_link.active_revision(row)
    version_id, version = (row.version_id, row.version) if active is None else (active.version_id, active.version)
    with service.database.reading() as session:
        profile = profiles.profile_of(session, version_id)
    found = Drift(
        deployment_id=row.id, deployment_name=row.name, model_name=row.model_name, version=version, rules=rules
    )
    gateway_link.write_request_logs(service)
    window = _window(service, row, rules)
    found = found.model_copy(
        update={"requests": len(window.requests), "rows": window.rows, **window.times, "not_compared": window.reasons}
    )
    if profile is None:
        return found.model_copy(update={"problem": f"version {version} has no profile of its training data"})
    known = {(each.side, each.name) for each in profile.columns}
    unknown = sorted(f"{side.value} {name}" for side, name in window.values.keys() - known)
    slices = window.slices(rules.min_rows)
    columns = [_column(each, window, slices, rules) for each in profile.columns]
    problem = "" if window.rows >= rules.min_rows else _too_few(row, window.rows, rules)
    if not problem and not any(each.count or each.missing for each in columns):
        problem = f"none of the columns of {profile.source} is in the requests"
    if problem:
        columns = [each.model_copy(update={"drifted": False}) for each in columns]
    return found.model_copy(
        update={
            "profile_source": profile.source,
            "columns": sorted(columns, key=lambda each: (-each.psi, each.side.value, each.name)),
            "unknown": unknown,
            "problem": problem,
            "slices": [DriftSlice(since=each[-1].at, until=each[0].at, rows=_rows(each)) for each in slices],
        }
    )


def watch(service: Service) -> bool:
    """Measures the drift of all watched deployments, and reports where it began or ended. Whether any is watched."""
    with service.database.reading() as session:
        rows = [
            row
            for row in session.scalars(select(DeploymentRow).where(DeploymentRow.state == "deployed"))
            if rules_of(row).watch
        ]
        for row in rows:
            row.revisions  # noqa: B018 - read while the session is there
    for row in rows:
        try:
            _look(service, row)
        except Exception:
            # One deployment's broken log must not stop watching the others.
            logger.exception("looking at the drift of deployment %s", row.name)
    return bool(rows)


def _look(service: Service, row: DeploymentRow) -> None:
    found = measure(service, row, rules_of(row))
    if found.problem:
        return
    drifted = sorted(f"{each.side.value} {each.name}" for each in found.drifted)
    before = row.drift.get("drifted", [])
    if drifted == before:
        return
    with service.database.session() as session:
        present = session.get(DeploymentRow, row.id)
        if present is None or present.drift.get("drifted", []) != before:
            return  # it was deleted, or another process was first
        present.drift = {**present.drift, "drifted": drifted}
        if not set(drifted) - set(before) and drifted:
            return  # fewer columns than before drift: nothing new
        session.add(
            events.event_row(
                identity.owner_principal(service),
                action="deployment.drift",
                resource=resource_of(row),
                outcome=EventOutcome.FAILED if drifted else EventOutcome.SUCCEEDED,
                detail=drift_told(found),
            )
        )


@dataclass(frozen=True)
class _Request:
    """A request with its columns and those of its answer."""

    at: datetime
    rows: int
    columns: Mapping[tuple[Side, str], list[Any]]


@dataclass
class _Window:
    """Requests, the newest first, and the values of all by side and column."""

    requests: list[_Request] = field(default_factory=list)
    rows: int = 0
    values: dict[tuple[Side, str], list[Any]] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, record: Mapping[str, Any]) -> None:
        if record.get("note"):
            self.notes[str(record["note"])] += 1
        if "inputs" not in record:
            return
        rows = max((len(each) for each in record["inputs"].values()), default=0)
        columns = {
            (side, name): [each for each in values if each != MASK]
            for side, found in ((Side.INPUT, record["inputs"]), (Side.OUTPUT, record.get("outputs") or {}))
            for name, values in found.items()
        }
        for key, values in columns.items():
            self.values.setdefault(key, []).extend(values)
        self.requests.append(_Request(datetime.fromtimestamp(record["at"], UTC), rows, columns))
        self.rows += rows

    @property
    def times(self) -> dict[str, datetime]:
        """When the first and the last request came."""
        return {"since": self.requests[-1].at, "until": self.requests[0].at} if self.requests else {}

    @property
    def reasons(self) -> list[NotCompared]:
        """Why requests, or their answers, have no columns."""
        return [NotCompared(why=why, requests=count) for why, count in self.notes.most_common(REASONS)]

    def slices(self, least: int) -> list[list[_Request]]:
        """The window in parts of about as many rows, `least` at least; the oldest first. None where it has one part."""
        size = max(least, -(-self.rows // SLICES))
        if self.rows < 2 * size:
            return []
        parts: list[list[_Request]] = [[]]
        for each in self.requests:
            if _rows(parts[-1]) >= size:
                parts.append([])
            parts[-1].append(each)
        if _rows(parts[-1]) < size:
            last = parts.pop()
            parts[-1] += last
        return parts[::-1]


def _rows(requests: Sequence[_Request]) -> int:
    return sum(each.rows for each in requests)


def _window(service: Service, row: DeploymentRow, rules: DriftRules) -> _Window:
    window = _Window()
    folder = request_logs.folder_of(service, row.id)
    for record in files.records(folder, oldest=time.time() - rules.hours * 3600):
        window.add(record)
        if len(window.requests) >= rules.requests or window.rows >= ROWS:
            break
    return window


def _column(
    profiled: ProfiledColumn, window: _Window, slices: Sequence[Sequence[_Request]], rules: DriftRules
) -> ColumnDrift:
    key = (profiled.side, profiled.name)
    reference = ColumnProfile.from_json(profiled.model_dump(exclude={"side"}))
    found: Comparison = compare(reference, window.values.get(key, ()))
    far = rules.max_psi is not None and found.psi > rules.max_psi
    far = far or (rules.max_ks is not None and found.ks is not None and found.ks > rules.max_ks)
    return ColumnDrift(
        side=profiled.side,
        name=profiled.name,
        numeric=profiled.numeric,
        drifted=far,
        psi=found.psi,
        ks=found.ks,
        p_value=found.p_value,
        trained=profiled.count,
        count=found.count,
        missing=found.missing,
        labels=list(reference.labels),
        expected=list(reference.shares),
        actual=list(found.shares),
        psi_by_slice=[
            psi_of(reference, [value for each in part for value in each.columns.get(key, ())]) for part in slices
        ],
    )


def _too_few(row: DeploymentRow, rows: int, rules: DriftRules) -> str:
    if not rows and not request_logs.rules_of(row).share:
        return "no requests are kept"
    return f"{counted(rows, 'row')} in the window, and {rules.min_rows:,} are needed"
