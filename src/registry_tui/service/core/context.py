"""What every service function takes first: what it works with, and who is acting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_tui.platform.paths import Home
    from registry_tui.platform.ports import Ports
    from registry_tui.platform.secrets import Secrets
    from registry_tui.service.adapters.access import Access
    from registry_tui.service.adapters.mlflow import Mlflow
    from registry_tui.service.database.database import Database
    from registry_tui.service.engine.engine import Engine
    from registry_tui.service.settings import Settings
    from registry_tui.service.stores.seaweedfs import ObjectStore


@dataclass(frozen=True)
class Principal:
    """Who acts, under which request."""

    name: str
    crn: str
    request_id: str
    #: The owner of this installation's socket, who may do everything.
    administrator: bool = False

    @property
    def sight(self) -> str | None:
        """In whose name MLflow's server is asked for models; None sees all."""
        return None if self.administrator else self.name


@dataclass(frozen=True)
class Resource:
    """What an event or a workflow is about: its type (`project`, `registry`, `version`, …), ID and name."""

    type: str
    id: str
    name: str
    #: The registry it concerns, for that registry's *Events & Logs*.
    registry_id: str | None = None


@dataclass(frozen=True)
class Service:
    """The parts that service functions work with; made once at start."""

    home: Home
    ports: Ports
    secrets: Secrets
    settings: Settings
    database: Database
    mlflow: Mlflow
    object_store: ObjectStore
    access: Access
    workflows: Engine
