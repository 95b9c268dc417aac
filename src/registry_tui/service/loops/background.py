"""The service's background work: finishing its start, archiving waiting versions, cleaning up interrupted work."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from registry_tui.platform import endings
from registry_tui.platform.database_changes import DatabaseChanges
from registry_tui.platform.database_urls import databases_of
from registry_tui.platform.databases import DatabaseFault
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import DeploymentRow, EnvironmentBackendRow
from registry_tui.service.deployments import drift, request_logs, shared_files, unused
from registry_tui.service.engine.patience import FIRST_PAUSE, LONGEST_PAUSE
from registry_tui.service.engine.steps import Interrupted
from registry_tui.service.errors import PartUnavailable, ServiceError
from registry_tui.service.loops import bootstrap
from registry_tui.service.loops.cluster_minder import LOOK_EVERY as CLUSTERS_EVERY
from registry_tui.service.loops.cluster_minder import ClusterMinder
from registry_tui.service.loops.minder import MEMORY_EVERY, Minder, guarded_look
from registry_tui.service.loops.nfs_minder import LOOK_EVERY, NfsMinder
from registry_tui.service.loops.resting import Resting
from registry_tui.service.loops.webhooks import Sender
from registry_tui.service.operations import rotating
from registry_tui.service.places import environments, projects
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.ranger import sources
from registry_tui.service.registering import archiving, older
from registry_tui.service.registries import storage_access
from registry_tui.service.signing import keys as signing_keys
from registry_tui.service.tracking import artifact_uploads

logger = logging.getLogger(__name__)

#: Seconds between checks for outside Rangers that are due.
SOURCES_EVERY = 0.5
#: The lock of the process that leads.
_LEADER = "leader"
#: Seconds between checks for secrets that another process has rotated; old ones work for longer.
SECRETS_EVERY = 0.5
#: Seconds between cleanups of interrupted work.
CLEAN_UP_EVERY = 30.0
#: The same where another process may have ended.
TAKE_OVER_EVERY = 5.0
#: Seconds between checks for registries with versions from before bills of materials.
DESCRIBE_EVERY = 5.0
#: Seconds between looks at the drift of deployments, where one is watched.
DRIFT_EVERY = 60.0
#: Seconds until the first check for uploads in parts that nobody completed, and between two checks.
UPLOADS_AFTER, UPLOADS_EVERY = 600.0, 3600.0


class Background:
    """Ten threads, twelve where other processes may work too, from `start` to `stop`.

    The parts of the platform may come up later than the service.

    Of several processes on one database, one leads: it does the work that must be done once. Each holds a lock as a
    sign of life.
    """

    def __init__(self, service: Service, process: str = "service") -> None:
        self._service = service
        self._process = process
        self._begun = False
        # Not at the start, which must not wait for a store elsewhere.
        self._uploads_at = time.monotonic() + UPLOADS_AFTER
        self._stopping = threading.Event()
        self._pending = threading.Event()
        self._launched = threading.Event()
        self._threads: list[threading.Thread] = []
        #: The fault that keeps the service from working at all, with an action; None without one.
        self.failure: DatabaseFault | None = None
        #: The step that the start waits for, for people; empty once it is done.
        self.waiting_for = "the service's start"
        self.ready = threading.Event()
        self.minder = Minder(service)
        self._nfs = NfsMinder(service)
        self._clusters = ClusterMinder(service)
        self._clusters_rest = Resting(CLUSTERS_EVERY, DeploymentRow, EnvironmentBackendRow)
        self._drift_rest = Resting(DRIFT_EVERY, DeploymentRow)
        self._sender = Sender(service, lambda: self.ready.is_set() and self._leads_now())

    def start(self) -> None:
        """Starts the threads."""
        runs = [
            ("start", self._start),
            ("pending-versions", self._archive_pending),
            ("minder", self._mind),
            ("nfs", self._mind_nfs),
            ("clusters", self._mind_clusters),
            ("nfs-removals", self._remove_from_nfs),
            ("sources", self._ask_sources),
            ("older-versions", self._describe_older),
            ("drift", self._watch_drift),
            ("webhooks", lambda: self._sender.run(self._stopping)),
        ]
        for each in (self._sender, self._clusters_rest, self._drift_rest):
            self._service.database.committed.append(each.written)
        if self._service.database.shared:
            runs += [("secrets", self._follow_secrets), ("take-over", self._take_over)]
        for name, run in runs:
            thread = threading.Thread(target=self._guarded, args=(run,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 5.0) -> None:
        """Stops the threads, waiting for their work at most `timeout` seconds each."""
        self._stopping.set()
        self._pending.set()
        for each in (self._sender, self._clusters_rest, self._drift_rest):
            each.wake()
        for thread in self._threads:
            thread.join(timeout)

    @property
    def wakes(self) -> tuple[type[object], ...]:
        """The tables with rows that may need a resting thread."""
        return (*self._clusters_rest.tables, *self._drift_rest.tables)

    def wake(self) -> None:
        """Another process may have written such a row."""
        for each in (self._clusters_rest, self._drift_rest):
            each.wake()

    def nudge(self) -> None:
        """A version waits for its archive: check now."""
        self._pending.set()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Interrupted:
            return
        except Exception as error:
            logger.exception("the thread %s ended because of an error", threading.current_thread().name)
            self.failure = self._fault(error) or DatabaseFault(
                f"Its start failed because of an error of the service itself ({type(error).__name__})",
                "See `registry-tui logs service`, then `registry-tui restart service`",
                final=True,
            )
            self.waiting_for = self.failure.detail
            endings.leave(self._service.home, "service", endings.Ending(self.failure.detail, self.failure.action))

    def _fault(self, error: Exception) -> DatabaseFault | None:
        """The database that prevents the start, with the fault."""
        return endings.database_ending(error, self._service.home, "service", "workflows")

    def _start(self) -> None:
        service = self._service
        self._until_done("writing routes", lambda: routing.publish(service))
        self._until_done("writing the gateway's routes", lambda: gateway_link.publish(service))
        self._until_done("writing trusted keys", lambda: signing_keys.publish_all(service))
        self._until_done("starting workflows", service.workflows.launch)
        self._launched.set()
        self._pending.set()
        self._until_done("looking which process leads", self._begin)
        if not self._stopping.is_set():
            self.waiting_for = ""
            self.ready.set()
            logger.info("ready")
        # Where another process led that has ended, this one begins soon.
        while not self._stopping.wait(TAKE_OVER_EVERY if service.database.shared else CLEAN_UP_EVERY):
            self._until_done("clearing up", self._go_on, told=False)

    def _leads(self) -> bool:
        """Raises SQLAlchemyError."""
        lives = self._service.locks.keep(f"process {self._process}")
        return lives and self._service.locks.keep(_LEADER)

    def _leads_now(self) -> bool:
        """The same, False while the database is unavailable."""
        try:
            return self._leads()
        except Exception:
            logger.debug("whether this process leads is not known", exc_info=True)
            return False

    def _begin(self) -> None:
        """The start of the process that leads, once it does."""
        if self._begun or not self._leads():
            return
        service = self._service
        self._until_done("rotating secrets", lambda: rotating.resume(service))
        self._until_done("clearing up", self._clean_up)
        self._until_done("enforcing policies", lambda: storage_access.adopt(service))
        self._until_done("mirroring access", lambda: routing.mirror_all(service))
        self._until_done("the first environment and its registry", lambda: bootstrap.run(service))
        self._begun = True

    def _go_on(self) -> None:
        self._begin()
        if self._leads():
            self._clean_up()

    def _take_over(self) -> None:
        """Resumes workflows of processes that ended; this thread never waits for parts of the platform."""
        logged = ""
        while not self._stopping.wait(TAKE_OVER_EVERY):
            try:
                if self._launched.is_set() and self._leads_now():
                    self._service.workflows.take_over(self._lives)
                logged = ""
            except Exception as error:
                if repr(error) != logged:
                    logger.exception("looking for workflows of processes that are gone")
                    logged = repr(error)

    def _lives(self, process: str) -> bool:
        name = f"process {process}"
        if not self._service.locks.keep(name):
            return True
        self._service.locks.give_up(name)
        return False

    def _ask_sources(self) -> None:
        """Polls outside Rangers for their policies, once this service's own start is done."""
        while not self._stopping.wait(SOURCES_EVERY):
            if not self.ready.is_set():
                continue
            try:
                if self._leads_now():
                    sources.ask_due(self._service)
            except Exception:
                logger.exception("asking outside Rangers")

    def _watch_drift(self) -> None:
        while self._drift_rest.pause(self._stopping):
            try:
                if self.ready.is_set() and self._leads_now():
                    self._drift_rest.wanted = drift.watch(self._service)
            except Exception:
                logger.exception("looking at the drift of deployments")

    def _describe_older(self) -> None:
        logged = ""
        while not self._stopping.wait(DESCRIBE_EVERY):
            if not self.ready.is_set():
                continue
            try:
                if self._leads_now():
                    older.describe_all(self._service, self._stopping)
                logged = ""
            except ServiceError as error:
                if error.detail != logged:
                    logger.warning("describing older versions: %s", error.detail)
                    logged = error.detail
            except Exception as error:
                if repr(error) != logged:
                    logger.exception("describing older versions")
                    logged = repr(error)

    def _follow_secrets(self) -> None:
        logged = ""
        while not self._stopping.wait(SECRETS_EVERY):
            try:
                rotating.follow(self._service)
                logged = ""
            except Exception as error:
                if repr(error) != logged:
                    logger.exception("looking for rotated secrets")
                    logged = repr(error)

    def _clean_up(self) -> None:
        projects.clean_up(self._service)
        environments.clean_up(self._service)
        request_logs.clean_up(self._service)
        if time.monotonic() >= self._uploads_at:
            self._uploads_at = time.monotonic() + UPLOADS_EVERY
            artifact_uploads.abort_abandoned(self._service)
            gone = unused.by_rule(self._service)
            if gone:
                logger.info("%s that nobody used", unused.said(gone))

    def _until_done(self, what: str, work: Callable[[], None], *, told: bool = True) -> None:
        """Does the work, retrying with growing pauses while a part does not respond or it fails."""
        pause = FIRST_PAUSE
        logged = ""
        while not self._stopping.is_set():
            try:
                work()
                return
            except PartUnavailable as error:
                why = error.detail
            except ServiceError as error:
                why = error.detail
                pause = LONGEST_PAUSE
            except Exception as error:
                fault = self._fault(error)
                if fault is not None and fault.final:
                    raise
                why = (
                    fault.detail
                    if fault is not None
                    else (f"an error of the service itself ({type(error).__name__}), see `registry-tui logs service`")
                )
                if why != logged:
                    logger.exception("%s", what)
                pause = LONGEST_PAUSE
            if told:
                self.waiting_for = f"{what}: {why}"
            if why != logged:
                logger.warning("%s: %s; trying again", what, why)
                logged = why
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _archive_pending(self) -> None:
        logged = ""
        changes = DatabaseChanges.of(databases_of(self._service.home).mlflow)
        while not self._stopping.is_set():
            nudged = self._pending.wait(self._service.settings.pending_versions_every)
            if self._stopping.is_set():
                return
            self._pending.clear()
            stamp = changes.stamp()
            if not self._service.workflows.launched or not (nudged or (changes.due(stamp) and self._leads_now())):
                continue
            try:
                archiving.start_pending(self._service)
                changes.done(stamp)
                logged = ""
            except ServiceError as error:
                if error.detail != logged:
                    logger.warning("looking for versions that wait for their archive: %s", error.detail)
                    logged = error.detail
            except Exception as error:
                # An error must not end the archiving of all later versions.
                if repr(error) != logged:
                    logger.exception("looking for versions that wait for their archive")
                    logged = repr(error)

    def _mind(self) -> None:
        logged = ""
        while not self._stopping.wait(MEMORY_EVERY):
            if self._service.workflows.launched and self._leads_now():
                logged = guarded_look(self.minder, logged)

    def _mind_nfs(self) -> None:
        logged = ""
        while not self._stopping.wait(LOOK_EVERY):
            if self._service.workflows.launched and self._leads_now():
                logged = guarded_look(self._nfs, logged)

    def _mind_clusters(self) -> None:
        logged = ""
        while self._clusters_rest.pause(self._stopping):
            if self._service.workflows.launched and self._leads_now():
                logged = guarded_look(self._clusters, logged)
                self._clusters_rest.wanted = self._clusters.wanted

    def _remove_from_nfs(self) -> None:
        """Removes files that could not be removed from an NFS earlier; may block for hours: nothing else waits."""
        while not self._stopping.wait(CLEAN_UP_EVERY):
            try:
                if self._service.workflows.launched and self._leads_now():
                    shared_files.remove_pending(self._service)
            except Exception:
                logger.exception("removing unpacked files from an NFS")
