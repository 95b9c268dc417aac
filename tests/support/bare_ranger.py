"""A service without any part, with an environment that has Ranger: its rules are tried without an object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EnvironmentRow, RegistryRow
from registry_tui.service.ranger import policies
from registry_tui.service.stores.base import Stores
from support.bare import bare_service, make_place

PLACE = "raz"


@contextmanager
def bare_ranger(folder: Path, store: Any) -> Iterator[Service]:
    """The environment `PLACE` has its first policies, and its registry the machine user `srv`. `store` plays the
    object store."""
    with bare_service(folder, stores=cast(Any, Stores(objects=store, users=cast(Any, None)))) as made:
        make_ranger_place(made, PLACE, "srv")
        yield made


def make_ranger_place(service: Service, place: str, machine_user: str) -> None:
    """An environment in which Ranger decides, with its first policies."""
    make_place(service, place)
    with service.database.session() as session:
        session.get_one(EnvironmentRow, place).raz_enabled = True
        session.get_one(RegistryRow, f"{place}-registry").machine_user_workload_name = machine_user
    policies.ensure(service, place)
