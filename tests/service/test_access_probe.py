"""Details show the present access of the machine user: its access is tried for each reader, also past the service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core.context import Service
from registry_tui.service.core.probing import Tried, Tries, note_access, note_access_again
from registry_tui.service.database.tables import EnvironmentRow, RegistryRow, now
from registry_tui.service.errors import NotPermitted, PartUnavailable
from support.bare import bare_service
from support.machine_users import new_registry, take_access_away
from support.platforms import PATIENCE, Platform, wait_for

ENVIRONMENT = "environment"


class Users:
    """An object store that responds to a try as the test requires, and only when the test lets it."""

    def __init__(self) -> None:
        self.tries = 0
        self.at_once = 0
        self.error: Exception | None = None
        self.answer = threading.Event()
        self.answer.set()
        self._under_way = 0
        self._guard = threading.Lock()
        self.begun = threading.Event()

    def probe_prefix(self, key: AccessKey | None, bucket: str, prefix: str, registry: str | None = None) -> None:
        with self._guard:
            self.tries += 1
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
        self.begun.set()
        error = self.error
        assert self.answer.wait(PATIENCE)
        with self._guard:
            self._under_way -= 1
        if error is not None:
            raise error


class Stores:
    def __init__(self) -> None:
        self.users = Users()


@pytest.fixture
def stores() -> Stores:
    return Stores()


@pytest.fixture
def service(tmp_path: Path, stores: Stores) -> Any:
    with bare_service(tmp_path, stores=stores) as service:
        with service.database.session() as session:
            values: dict[str, Any] = {"id": ENVIRONMENT, "name": "lab", "crn": "crn", "cloud": "aws", "creator": "ada"}
            session.add(EnvironmentRow(**values, bucket="lab", state="ready", raz_enabled=True))
            session.flush()
            registry: dict[str, Any] = {
                "environment_id": ENVIRONMENT,
                "machine_user_access_key_id": "id",
                "machine_user_secret_access_key": "secret",
                "machine_user_workload_name": "srv_1",
            }
            for name in ("id", "name", "crn", "status", "location", "owner", "creator", "mlflow_workspace", "version"):
                registry[name] = name
            session.add(RegistryRow(**registry))
        yield service


def noted(service: Service) -> str:
    with service.database.reading() as session:
        return session.get_one(RegistryRow, "id").storage_access


def test_a_recent_try_is_not_repeated_and_an_old_one_is(service: Service, stores: Stores) -> None:
    note_access_again(service, ENVIRONMENT, 3600)
    assert stores.users.tries == 1 and noted(service) == StorageAccess.GRANTED
    stores.users.error = NotPermitted("access denied")
    note_access_again(service, ENVIRONMENT, 3600)
    assert stores.users.tries == 1 and noted(service) == StorageAccess.GRANTED
    service.kept.of(Tries).keep(ENVIRONMENT, Tried(now() - timedelta(hours=2)))
    note_access_again(service, ENVIRONMENT, 3600)
    assert stores.users.tries == 2 and noted(service) == StorageAccess.NOT_GRANTED


def test_many_who_look_at_the_same_time_have_one_try(service: Service, stores: Stores) -> None:
    stores.users.answer.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(note_access_again, service, ENVIRONMENT, 3600) for _ in range(8)]
        assert stores.users.begun.wait(PATIENCE)
        stores.users.answer.set()
        for each in asked:
            each.result()
    assert stores.users.tries == stores.users.at_once == 1


def test_who_waits_for_a_try_that_began_meanwhile_takes_it(
    service: Service, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def waited_for(_: str) -> Iterator[None]:
        service.kept.of(Tries).keep(ENVIRONMENT, Tried(now()))
        yield

    monkeypatch.setattr(service.locks, "of", waited_for)
    note_access_again(service, ENVIRONMENT, 0)
    assert stores.users.tries == 0


def test_who_looks_while_the_store_hangs_goes_on_with_what_is_known(
    service: Service, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = service.kept.of(Tries)
    monkeypatch.setattr(tries, "turn", partial(tries.turn, seconds=0.01))
    stores.users.answer.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(note_access_again, service, ENVIRONMENT, 0)
        assert stores.users.begun.wait(PATIENCE)
        for _ in range(5):
            note_access_again(service, ENVIRONMENT, 0)
        assert not first.done()
        stores.users.answer.set()
        first.result()
    assert stores.users.tries == 1


def test_a_try_from_before_a_change_does_not_have_the_last_word(service: Service, stores: Stores) -> None:
    stores.users.answer.clear()
    stores.users.error = NotPermitted("access denied")
    with ThreadPoolExecutor(2) as pool:
        looking = pool.submit(note_access_again, service, ENVIRONMENT, 0)
        assert stores.users.begun.wait(PATIENCE)
        stores.users.error = None  # somebody grants it now, and the grant tries by itself
        granting = pool.submit(note_access, service, ENVIRONMENT)
        stores.users.answer.set()
        looking.result()
        granting.result()
    assert stores.users.tries == 2 and stores.users.at_once == 1
    assert noted(service) == StorageAccess.GRANTED


def test_a_store_that_is_away_changes_nothing_and_is_named(service: Service, stores: Stores) -> None:
    note_access(service, ENVIRONMENT)
    stores.users.error = PartUnavailable("the object store does not answer")
    note_access_again(service, ENVIRONMENT, -1)
    tried = service.kept.of(Tries).last(ENVIRONMENT)
    assert noted(service) == StorageAccess.GRANTED
    assert tried is not None and tried.problem == "the object store does not answer"


def test_an_environment_without_registry_or_that_is_gone_is_not_tried(service: Service, stores: Stores) -> None:
    note_access_again(service, "gone", 0)
    assert stores.users.tries == 0 and service.kept.of(Tries).last("gone") is None


@pytest.mark.parametrize("raz", [True, False])
def test_commands_say_that_access_was_taken_away_behind_the_service(platform: Platform, raz: bool) -> None:
    registry = new_registry(platform, raz=raz)
    assert registry.storage_access is StorageAccess.GRANTED and registry.storage_access_tried_at is not None

    take_access_away(platform, registry)
    step = f"`registry-tui registries grant-storage {registry.name}` grants it"

    def said(*command: str) -> str:
        shown = platform.command(*command).stdout
        return next(line for line in shown.splitlines() if line.startswith("storage access")).split(maxsplit=2)[2]

    # Some seconds after the grant's own try.
    wait_for(lambda: "not granted" in said("registries", "show", registry.name), what="what is true now")
    for command in (("registries", "show", registry.name), ("environments", "show", registry.environment_name)):
        assert said(*command) == f"not granted (tried just now): {step}"
    platform.command("registries", "grant-storage", registry.name)
    assert said("registries", "show", registry.name) == "granted (tried just now)"
