"""The first arguments of every service function: the service's parts, and the acting principal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from registry_tui.service.core.kept import Kept, Locks

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry_tui.platform.paths import Home
    from registry_tui.platform.ports import Ports
    from registry_tui.platform.secrets import Secrets
    from registry_tui.schemas.operations import Workflow, WorkflowKind
    from registry_tui.service.adapters.access import Access
    from registry_tui.service.adapters.mlflow import Mlflow
    from registry_tui.service.backends.base import Backends
    from registry_tui.service.database.database import Database
    from registry_tui.service.settings import Settings
    from registry_tui.service.stores.base import Stores


@dataclass(frozen=True)
class Principal:
    """The acting person and the request's ID."""

    name: str
    crn: str
    request_id: str
    #: The owner of this installation's socket; may do everything.
    administrator: bool = False

    @property
    def sight(self) -> str | None:
        """The user whose view MLflow's server is asked to apply to models; None sees all."""
        return None if self.administrator else self.name


@dataclass(frozen=True)
class Resource:
    """The resource of an event or a workflow: its type (`project`, `registry`, `version`, …), ID and name."""

    type: str
    id: str
    name: str
    #: The registry it concerns, for that registry's *Events & Logs*.
    registry_id: str | None = None


class Workflows(Protocol):
    """Durable workflows, as rules use them; `engine/engine.py` runs them."""

    @property
    def launched(self) -> bool:
        """Whether workflows run; until then new ones stay queued."""

    def launch(self) -> None:
        """Begins to run workflows, interrupted ones first."""

    def start(
        self,
        principal: Principal,
        kind: WorkflowKind,
        *,
        resource: Resource,
        arguments: Mapping[str, Any] | None = None,
        prepare: Callable[[Session, str], None] | None = None,
    ) -> Workflow:
        """Begins a workflow; `prepare` is called with its ID in the transaction that makes it. Raises WrongState."""

    def cancel(self, workflow_id: str) -> Workflow:
        """Requests that a workflow be cancelled. Raises Missing, WrongState."""

    def retry(self, principal: Principal, workflow_id: str) -> Workflow:
        """Starts a failed or cancelled workflow's work again. Raises Missing, NotPermitted, WrongState."""

    def wait(self, workflow_id: str, timeout: float = 600.0) -> Workflow:
        """Blocks until a workflow is finished. Raises Missing, TimeoutError, Interrupted."""

    def observe(self, observer: Callable[[str, WorkflowKind, str], None]) -> None:
        """Calls `observer` around each step, with "before" or "after", the kind and the step's name."""

    def take_over(self, lives: Callable[[str], bool]) -> None:
        """Takes over the work of processes that ended; `lives` returns whether the process with a name still runs."""

    def stop(self, timeout: float = 5.0) -> None:
        """Stops taking up work; steps that check for it are interrupted and resume at the next start."""


@dataclass(frozen=True)
class Service:
    """The parts that service functions work with; made once at start."""

    home: Home
    ports: Ports
    secrets: Secrets
    settings: Settings
    database: Database
    mlflow: Mlflow
    stores: Stores
    access: Access
    backends: Backends
    workflows: Workflows
    locks: Locks = field(default_factory=Locks)
    kept: Kept = field(default_factory=Kept)
