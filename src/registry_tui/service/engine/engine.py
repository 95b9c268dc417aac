"""Runs definitions as durable workflows: DBOS keeps the finished steps, our table the state that people see.

Every step's outcome (done, failed, cancelled) is a *value* that DBOS records, so that a workflow resumed after a kill
takes the same branches again up to the interrupted step.
"""

from __future__ import annotations

import contextvars
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry_tui.platform.database_urls import is_postgresql, schema_of
from registry_tui.schemas.operations import EventOutcome, Workflow, WorkflowKind, WorkflowStatus
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import WorkflowRow, new_id, now
from registry_tui.service.engine.dbos_private import background_stops, go_on_with
from registry_tui.service.engine.patience import patiently
from registry_tui.service.engine.rows import ACTIVE, get_row, to_schema
from registry_tui.service.engine.runner import Observer, Runner
from registry_tui.service.engine.steps import Definition, Interrupted, Work
from registry_tui.service.errors import WrongState

if TYPE_CHECKING:
    from dbos import DBOS, DBOSConfig

logger = logging.getLogger(__name__)

#: The same for all versions of the program, so that newer ones resume the workflows of older ones.
_APPLICATION_VERSION = "1"

#: DBOS's states of a workflow that it does not resume.
_BROKEN = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
#: The error that people see of one.
BROKE_OFF = "The workflow broke off because of an error of the service itself"


class Engine:
    """Starts, cancels and resumes workflows. One a process, because DBOS is; on PostgreSQL several processes may.

    `start` works before `launch`, which begins the work; until then workflows stay queued.
    """

    def __init__(
        self,
        database_url: str,
        definitions: Mapping[WorkflowKind, Definition],
        *,
        threads: int = 8,
        patience: float = 120.0,
        process: str = "service",
    ) -> None:
        """`definitions`: the kinds of workflows that it runs. `database_url`: where DBOS keeps finished steps.

        `process`: the name of this process, which resumes its workflows after a restart.

        `patience`: seconds that a step waits for a part of the platform that does not respond.
        """
        self._observers: list[Observer] = []
        self._patience = patience
        self.stopping = threading.Event()
        self._url = database_url
        self._process = process
        self._missed: set[str] = set()
        self._threads = threads
        self._definitions = definitions
        self._service: Service | None = None
        self._dbos: type[DBOS] | None = None
        self._run: Callable[[str, str | None], None] | None = None
        self._guard = threading.Lock()
        self._cancels: dict[str, threading.Event] = {}
        self._running = 0
        self._resting = False
        self._instance: DBOS | None = None
        self._idle = threading.Condition(self._guard)

    # -- life ------------------------------------------------------------------------------------

    def attach(self, service: Service) -> None:
        """Gives the engine the service that its steps work with."""
        self._service = service

    @property
    def service(self) -> Service:
        assert self._service is not None, "attach comes first"
        return self._service

    @property
    def launched(self) -> bool:
        return self._run is not None

    def definition(self, kind: WorkflowKind) -> Definition:
        """The definition of a kind of workflow."""
        return self._definitions[kind]

    def observe(self, observer: Observer) -> None:
        """Calls `observer` around each step from now on."""
        self._observers.append(observer)

    def launch(self) -> None:
        """Starts DBOS, resumes every interrupted workflow, and starts the queued ones."""
        # dbos takes a second to import; the service's address responds before.
        from dbos import DBOS

        if not is_postgresql(self._url):
            _prefer_wal(self._url)
        instance = DBOS(config=_config(self._url, self._threads, self._process))

        @DBOS.workflow(name="registry-tui.run", max_recovery_attempts=None)  # type: ignore[untyped-decorator]
        def run(workflow_id: str, abandon: str | None) -> None:
            self._body(workflow_id, abandon)

        try:
            DBOS.launch()
        except BaseException:
            DBOS.destroy(destroy_registry=True)  # it can be launched again
            raise
        self._dbos = DBOS
        self._instance = instance
        with self._guard:
            self._run = run
        self._resume()
        self._rest()

    def stop(self, timeout: float = 5.0) -> None:
        """Stops taking up work. Steps that check it are interrupted, and resume at the next start, as after a kill."""
        self.stopping.set()
        for event in self._cancels.values():
            event.set()
        with self._idle:
            self._idle.wait_for(lambda: self._running == 0, timeout)
            self._run = None
        if self._dbos is not None:
            self._dbos.destroy(destroy_registry=True)
            self._dbos, self._instance, self._resting = None, None, False

    # -- work ------------------------------------------------------------------------------------

    def start(
        self,
        principal: Principal,
        kind: WorkflowKind,
        *,
        resource: Resource,
        arguments: Mapping[str, Any] | None = None,
        prepare: Callable[[Session, str], None] | None = None,
    ) -> Workflow:
        """Begins a workflow, and returns at once.

        `prepare` is called with the workflow's ID in the transaction that makes it, so that the caller's rows and the
        workflow are written together.

        Raises WrongState when another workflow works on the resource, and the errors of `prepare`.
        """
        definition = self.definition(kind)
        row = WorkflowRow(
            id=new_id(),
            kind=kind.value,
            status=WorkflowStatus.QUEUED.value,
            resource_type=resource.type,
            resource_id=resource.id,
            resource_name=resource.name,
            registry_id=resource.registry_id,
            lock=f"{resource.type}:{resource.id}",
            actor=principal.name,
            actor_crn=principal.crn,
            actor_administrator=principal.administrator,
            request_id=principal.request_id,
            arguments=dict(arguments or {}),
            state={},
            steps=[step.name for step in definition.steps],
            progress={},
        )
        try:
            with self.service.database.session() as session:
                session.add(row)
                session.flush()
                if prepare is not None:
                    prepare(session, row.id)
                session.add(
                    events.event_row(
                        principal,
                        action=definition.action or f"{row.resource_type}.{row.kind}",
                        resource=resource,
                        outcome=EventOutcome.STARTED,
                        workflow_id=row.id,
                    )
                )
        except IntegrityError as error:
            if "workflows.lock" not in str(error.orig) and "uq_workflows_lock" not in str(error.orig):
                raise
            raise self._busy(resource) from error
        self._submit(row.id)
        return to_schema(row)

    def cancel(self, workflow_id: str) -> Workflow:
        """Requests that a workflow be cancelled; its finished steps are undone. Raises Missing, WrongState."""
        with self.service.database.session() as session:
            row = get_row(session, workflow_id)
            if row.status not in ACTIVE:
                raise WrongState(f"The workflow is {row.status}; there is nothing to cancel")
            if row.outcome is not None:
                raise WrongState("The workflow is ending already; it cannot be cancelled any more")
            row.cancel_requested = True
            row.status = WorkflowStatus.CANCELLING.value
            row.updated_at = now()
        self.cancel_event(workflow_id).set()
        return to_schema(row)

    def retry(self, principal: Principal, workflow_id: str) -> Workflow:
        """Starts a failed or cancelled workflow's work again, as a new workflow.

        Raises Missing, WrongState, NotPermitted unless the principal may begin this work now.
        """
        with self.service.database.reading() as session:
            row = get_row(session, workflow_id)
        kind, resource = WorkflowKind(row.kind), resource_of(row)
        self.definition(kind).permit(self.service, principal, Work(resource, row.arguments))
        if row.status not in (WorkflowStatus.FAILED, WorkflowStatus.CANCELLED):
            raise WrongState(
                f"The workflow is {row.status}", action="Only failed and cancelled workflows can be tried again"
            )
        return self.start(principal, kind, resource=resource, arguments=row.arguments)

    def wait(self, workflow_id: str, timeout: float = 600.0) -> Workflow:
        """Blocks until a workflow is finished. Raises Missing, TimeoutError, Interrupted."""
        deadline = time.monotonic() + timeout
        while True:
            row = patiently(lambda: self._row(workflow_id), self.stopping)
            if row.status not in ACTIVE:
                return to_schema(row)
            if time.monotonic() > deadline:
                raise TimeoutError(f"workflow {workflow_id} is {row.status}")
            if self.stopping.wait(0.1):
                raise Interrupted

    def cancel_event(self, workflow_id: str) -> threading.Event:
        """An event that is set once the workflow is to be cancelled, or the service stops."""
        with self._guard:
            return self._cancels.setdefault(workflow_id, threading.Event())

    # -- underneath ------------------------------------------------------------------------------

    def _busy(self, resource: Resource) -> WrongState:
        query = select(WorkflowRow).where(WorkflowRow.lock == f"{resource.type}:{resource.id}")
        with self.service.database.reading() as session:
            other = session.scalars(query).first()
        if other is None:  # it ended just now
            return WrongState(f"Another workflow was working on {resource.name}", action="Try again")
        return WrongState(
            f"A workflow ({other.kind}) is working on {resource.name} already",
            action=f"Wait for it, or cancel it: `registry-tui workflows cancel {other.id}`",
        )

    def _submit(self, workflow_id: str, abandon: str | None = None) -> None:
        with self._guard:
            run, dbos = self._run, self._dbos
        if run is None or dbos is None or self.stopping.is_set():
            return  # queued: `launch` starts it

        def submit() -> None:
            # As in `launch`.
            from dbos import SetWorkflowID

            name, number = workflow_id, 0
            # Undoing it may have failed too; DBOS runs nothing twice under one name.
            while abandon is not None and (number == 0 or _is_broken(dbos, name)):
                number += 1
                name = f"{workflow_id}-abandoned-{number}"
            with SetWorkflowID(name):
                dbos.start_workflow(run, workflow_id, abandon)

        # In a context of its own: a step that starts another workflow is not its parent.
        contextvars.Context().run(submit)

    def _resume(self) -> None:
        assert self._dbos is not None
        with self.service.database.reading() as session:
            active = list(session.scalars(select(WorkflowRow).where(WorkflowRow.status.in_(ACTIVE))))
        for row in active:
            known = self._dbos.get_workflow_status(row.id)
            if known is None:
                self._submit(row.id)
            elif known.status in _BROKEN:
                logger.error("workflow %s broke off: %s; undoing it", row.id, known.status)
                self._submit(row.id, abandon=BROKE_OFF)

    def take_over(self, lives: Callable[[str], bool]) -> None:
        """Resumes the workflows of other processes that were gone at the last call too. Raises DBOS's errors.

        `lives` returns whether the process with a name still runs.
        """
        if self._dbos is None:
            return
        begun = self._dbos.list_workflows(status="PENDING", load_input=False, load_output=False)
        others = {each.executor_id for each in begun if each.executor_id} - {self._process}
        missed = {name for name in others if not lives(name)}
        for name in missed & self._missed:
            logger.warning("going on with the workflows of %s, which is gone", name)
            go_on_with(self._dbos, name)
        self._missed = missed
        self._resume()

    def _rest(self) -> None:
        """Ends DBOS's threads that poll every second for kinds of work that we do not have.

        Its recovery of interrupted workflows ends with them: so only once none of ours is active.
        """
        if self._resting or is_postgresql(self._url):  # another process may leave its work there
            return
        with self.service.database.reading() as session:
            if session.scalars(select(WorkflowRow.id).where(WorkflowRow.status.in_(ACTIVE)).limit(1)).first():
                return
        self._resting = True
        if self._instance is not None:
            for stop in background_stops(self._instance):
                stop.set()

    def _body(self, workflow_id: str, abandon: str | None) -> None:
        """The one DBOS workflow that runs every definition."""
        if self.stopping.is_set():
            raise Interrupted
        with self._idle:
            self._running += 1
        try:
            row = patiently(lambda: self._row(workflow_id), self.stopping)
            # One that ended is known to DBOS as begun where a restoration ended it, or a kill came just then.
            if row.finished_at is None:
                self._work(row, abandon)
            with self._guard:
                self._cancels.pop(workflow_id, None)
        except Exception:
            # Not an error of a step, but for example of the database between two. Its lock would block all other work.
            if abandon is None:
                logger.exception("workflow %s broke off; undoing it", workflow_id)
                self._submit(workflow_id, abandon=BROKE_OFF)
            raise
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()
        patiently(self._rest, self.stopping)

    def _work(self, row: WorkflowRow, abandon: str | None) -> None:
        cancel = self.cancel_event(row.id)
        if row.cancel_requested:
            cancel.set()
        runner = Runner(
            self.service,
            self.definition(WorkflowKind(row.kind)),
            row,
            cancel=cancel,
            stopping=self.stopping,
            patience=self._patience,
            observers=self._observers,
        )
        runner.run(abandon)

    def _row(self, workflow_id: str) -> WorkflowRow:
        with self.service.database.reading() as session:
            return get_row(session, workflow_id)


def make_tables(url: str) -> None:
    """Makes DBOS's tables, or migrates them to its version. Not in a process that runs an engine."""
    # As in `launch`.
    from dbos import DBOS

    DBOS(config=_config(url, 1))
    DBOS.launch()
    DBOS.destroy(destroy_registry=True)


def _config(url: str, threads: int, process: str = "service") -> DBOSConfig:
    # As in `launch`.
    from dbos import DBOSPortableJSONSerializer

    logging.getLogger("dbos").propagate = False
    return {
        "name": "registry-tui",
        "system_database_url": url,
        "db_engine_kwargs": {"hide_parameters": True},
        "dbos_system_schema": schema_of(url),  # without a meaning on SQLite
        "application_version": _APPLICATION_VERSION,
        "executor_id": process,
        "enable_otlp": False,
        "log_level": "WARNING",
        "max_executor_threads": threads + 4,  # DBOS uses a few itself
        "use_listen_notify": False,
        "serializer": DBOSPortableJSONSerializer(),
    }


def _is_broken(dbos: DBOS, workflow_id: str) -> bool:
    known = dbos.get_workflow_status(workflow_id)
    return known is not None and known.status in _BROKEN


def resource_of(row: WorkflowRow) -> Resource:
    """The resource that a workflow works on."""
    return Resource(row.resource_type, row.resource_id, row.resource_name, row.registry_id)


def _prefer_wal(url: str) -> None:
    """Readers and the writer of DBOS's database then do not wait for each other; SQLite remembers it in the file."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
