"""Watches deployments: memory limits, moved aliases, replicas that gave up, use of API keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from registry_tui.platform import processes as platform_processes
from registry_tui.platform import supervisor
from registry_tui.platform.database_changes import DatabaseChanges
from registry_tui.platform.database_urls import databases_of
from registry_tui.platform.errors import SupervisorUnavailable
from registry_tui.schemas.deployments import GIB, DeploymentState, RevisionState
from registry_tui.schemas.models import ModelVersion, RegisteredModel, VersionStatus
from registry_tui.service.access import api_keys
from registry_tui.service.backends.base import ReplicaName
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import DeploymentRow
from registry_tui.service.deployments import first_calls
from registry_tui.service.deployments import rules as deployments
from registry_tui.service.errors import InUse, Missing, ServiceError, WrongState
from registry_tui.service.loops.minding import creator_of, report
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.registries.place import enter_registry

logger = logging.getLogger(__name__)

#: Seconds between two checks of memory, of aliases, and of keys; and before a replica that gave up is started again.
MEMORY_EVERY, ALIASES_EVERY, KEYS_EVERY = 0.5, 3.0, 30.0
AGAIN_AFTER = 30.0
#: Seconds for which rows of the database are cached, unless something was written; and supervisord's process states,
#: unless a running replica has ended or one was added.
ROWS_KEPT, PROCESSES_KEPT = 30.0, 3.0


class Minder:
    """The work of one thread, in `look`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._local = service.backends.replicas
        self._due = {"aliases": 0.0, "keys": 0.0, "rows": 0.0, "processes": 0.0}
        self._rows: Sequence[DeploymentRow] = ()
        self._known: Mapping[str, supervisor.ProcessInfo] = {}
        self._writes: Hashable = None
        self._models = DatabaseChanges.of(databases_of(service.home).mlflow)
        self._gave_up: dict[str, float] = {}
        #: Versions that an alias named when rolling to them failed: not tried again until it moves.
        self._failed: dict[str, int] = {}
        #: Why a deployment could not be rolled back, as last reported.
        self._said: dict[str, str] = {}

    def look(self) -> None:
        """Does the checks that are due. Raises ServiceError, SupervisorUnavailable."""
        rows = self._deployed()
        moment = time.monotonic()
        if rows:
            self._look_at_processes(rows)
        going_back = {row.id for row in rows if row.state == DeploymentState.DEPLOYED.value and self._judge(row)}
        if moment >= self._due["aliases"]:
            self._due["aliases"] = moment + ALIASES_EVERY
            self._follow_all([row for row in rows if row.id not in going_back])
        if moment >= self._due["keys"]:
            self._due["keys"] = moment + KEYS_EVERY
            api_keys.note_uses(self._service)

    def _deployed(self) -> Sequence[DeploymentRow]:
        moment = time.monotonic()
        writes = self._service.database.stamp()
        if writes != self._writes or moment >= self._due["rows"]:
            self._writes = writes
            self._rows = self._read_rows()
            self._due.update(rows=moment + ROWS_KEPT, processes=0.0)
            self._models.forget()
        return self._rows

    def _read_rows(self) -> Sequence[DeploymentRow]:
        states = (DeploymentState.DEPLOYED.value, DeploymentState.DEPLOYING.value)
        query = select(DeploymentRow).where(DeploymentRow.state.in_(states))
        with self._service.database.reading() as session:
            return session.scalars(query.options(selectinload(DeploymentRow.revisions))).all()

    # -- processes ----------------------------------------------------------------------------------

    def _look_at_processes(self, rows: Sequence[DeploymentRow]) -> None:
        names_of = {row.id: self._local.names(row.id) for row in rows}
        # A cluster's nodes limit their replicas' memory, and restart them, themselves.
        elsewhere = self._service.backends.clusters.has
        known = self._processes([name.program for names in names_of.values() for name in names if not elsewhere(name)])
        for row in rows:
            limits = {revision.generation: revision.memory_bytes for revision in row.revisions}
            active = gateway_link.active_revision(row)
            if active is not None:
                limits[active.generation] = active.memory_bytes
            names = names_of[row.id]
            if active is not None and row.state == DeploymentState.DEPLOYED.value:
                self._take_away(row, [name for name in names if not gateway_link.is_of(name, active)])
            for name in names:
                info = known.get(name.program)
                if info is None:
                    continue
                if info.pid and name.generation in limits:
                    self._limit(row, name, info.pid, limits[name.generation])
                # A rollout judges its own replicas, not those that serve meanwhile (for long next to a canary).
                serving = active is not None and name.generation == active.generation
                if info.state == "FATAL" and (serving or row.state == DeploymentState.DEPLOYED.value):
                    self._start_again(row, name)

    def _processes(self, programs: Sequence[str]) -> Mapping[str, supervisor.ProcessInfo]:
        """supervisord's state of them; read again when one is not known, starts, or has ended."""
        infos = [self._known.get(program) for program in programs]
        settled = all(
            info is not None
            and (info.state == "FATAL" or (info.state == "RUNNING" and platform_processes.alive(info.pid)))
            for info in infos
        )
        moment = time.monotonic()
        if not settled or moment >= self._due["processes"]:
            self._known = supervisor.processes(self._service.home)
            self._due["processes"] = moment + PROCESSES_KEPT
        return self._known

    def _take_away(self, row: DeploymentRow, strays: Sequence[ReplicaName]) -> None:
        """Ends replicas that no caller reaches: a rollout could not, while the supervisor did not respond."""
        if not strays:
            return
        with self._service.database.reading() as session:
            present = session.get(DeploymentRow, row.id)
            if present is None or present.state != row.state or present.revision != row.revision:
                return  # a rollout began meanwhile: the replicas are its own
        logger.info("deployment %s: %s replicas of before are taken away", row.name, len(strays))
        self._local.remove(strays)

    def _judge(self, row: DeploymentRow) -> bool:
        """Rolls back a deployment whose first calls fail; returns whether it does."""
        try:
            if first_calls.judge(self._service, self._local, row):
                # The followed alias still names that version: it is not rolled out again until the alias moves.
                self._failed[row.id] = row.version
                return True
        except InUse:  # another change is under way
            return False
        except ServiceError as error:
            if self._said.get(row.id) != error.detail:
                self._said[row.id] = error.detail
                report(self._service, row, "deployment.roll-back", f"cannot go back from failing calls: {error.detail}")
        return False

    def _limit(self, row: DeploymentRow, name: ReplicaName, pid: int, limit: int) -> None:
        used = self._local.memory(pid)
        if used is None or used <= limit:
            return
        why = (
            f"{name.program} used {used / GIB:.2f} GiB of the {limit / GIB:.2f} GiB that it may use, and was restarted"
        )
        self._local.kill(name, pid, why)
        report(self._service, row, "deployment.replica-over-memory", why)
        with self._service.database.session() as session:
            present = session.get(DeploymentRow, row.id)
            if present is not None:
                present.reason = why

    def _start_again(self, row: DeploymentRow, name: ReplicaName) -> None:
        """Restarts a replica that ended repeatedly, after a while: the cause may have been fixed."""
        first = self._gave_up.setdefault(name.program, time.monotonic())
        if time.monotonic() - first < AGAIN_AFTER:
            return
        del self._gave_up[name.program]
        report(
            self._service,
            row,
            "deployment.replica-gave-up",
            f"{name.program} ended again and again; it is started once more",
        )
        supervisor.start_part(self._service.home, name.program)

    # -- aliases ---------------------------------------------------------------------------------------

    def _follow_all(self, rows: Sequence[DeploymentRow]) -> None:
        following = [row for row in rows if row.follow_alias and row.alias]
        stamp = self._models.stamp()
        if not following or not self._models.due(stamp):
            return
        settled = [row.state == DeploymentState.DEPLOYED.value and self._follow(row) for row in following]
        if all(settled):
            self._models.done(stamp)

    def _follow(self, row: DeploymentRow) -> bool:
        """Rolls a deployment to the version that its alias names now, or notes why it cannot.

        Returns whether nothing is left to do until somebody changes the model.
        """
        service = self._service
        try:
            place = enter_registry(service, row.registry_id)
            model = models.fetch_model(service, place, row.model_id)
            number = None if model is None else model.aliases.get(row.alias or "")
            named = versions.find_version(service, place, model, number) if model and number else None
        except (Missing, WrongState):
            return False
        if row.id not in self._failed:
            # Nothing was tried since this service started: a version whose rollout failed before is not tried again.
            failed = [each.version for each in row.revisions if each.state == RevisionState.FAILED.value]
            self._failed[row.id] = failed[-1] if failed else 0
        active = gateway_link.active_revision(row)
        # One whose first calls failed is being rolled back: its version must not be rolled out again.
        if number == row.version and not (active is not None and active.error):
            self._failed[row.id] = 0
        self._note(row, "" if number == row.version else _problem(row, model, named))
        if (
            named is None
            or named.status is not VersionStatus.READY
            or number in (row.version, self._failed.get(row.id))
        ):
            return True
        try:
            deployments.alias_moved(service, creator_of(service, row), row, named.version)
            # One rollout per move: when it fails, the next move tries again.
            self._failed[row.id] = named.version
        except InUse:
            return False
        except WrongState as error:
            if "workflow" not in error.detail:
                self._failed[row.id] = named.version
                report(
                    self._service,
                    row,
                    "deployment.follow",
                    f"cannot follow {row.alias} to version {number}: {error.detail}",
                )
        except ServiceError as error:
            self._failed[row.id] = named.version
            report(
                self._service,
                row,
                "deployment.follow",
                f"cannot follow {row.alias} to version {number}: {error.detail}",
            )
        return self._failed.get(row.id) == named.version

    def _note(self, row: DeploymentRow, problem: str) -> None:
        """Stores with a deployment why it cannot follow its alias; records an event once."""
        if problem == row.follow_problem:
            return
        with self._service.database.session() as session:
            present = session.get(DeploymentRow, row.id)
            if present is not None:
                present.follow_problem = problem
        if problem:
            report(self._service, row, "deployment.follow", problem)


def _problem(row: DeploymentRow, model: RegisteredModel | None, named: ModelVersion | None) -> str:
    """Why a deployment does not serve the version that its alias names; empty when it can follow."""
    if model is None:
        return f"model {row.model_name} was deleted, so the alias {row.alias} names no version; {_still(row)}"
    if named is None:
        return f"model {model.name} has no alias {row.alias} any more; {_still(row)}. Set the alias again"
    if named.status is VersionStatus.PENDING_REGISTRATION:
        return f"the alias {row.alias} names version {named.version}, which is still being stored; {_still(row)}"
    if named.status is VersionStatus.FAILED_REGISTRATION:
        why = named.status_message.rstrip(".") or "the reason is not known"
        return (
            f"the alias {row.alias} names version {named.version}, which could not be stored ({why}); {_still(row)}. "
            "Register the model again and move the alias"
        )
    return ""


def _still(row: DeploymentRow) -> str:
    return f"version {row.version} goes on serving"


class Looking(Protocol):
    """Watches deployments."""

    def look(self) -> None:
        """Does one round of checks. Raises ServiceError, SupervisorUnavailable."""


def guarded_look(minder: Looking, said: str) -> str:
    """Runs `look` once; logs an error that differs from `said`, the last one logged. Returns the error's text."""
    try:
        minder.look()
        return ""
    except SupervisorUnavailable:
        return said
    except ServiceError as error:
        if error.detail != said:
            logger.warning("looking after deployments: %s", error.detail)
        return error.detail
    except Exception as error:
        # An error must not end the limits of all later replicas.
        if repr(error) != said:
            logger.exception("looking after deployments")
        return repr(error)
