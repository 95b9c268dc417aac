"""The hash chain over the events: changed, deleted, inserted and reordered events are found."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import MetaData, Table, text

from registry_tui.contracts.event_chain import GENESIS, canonical, chained, digest
from registry_tui.platform.database_urls import Databases
from registry_tui.schemas.operations import ChainCheck, EventOutcome
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database import dialects
from registry_tui.service.database.database import Database
from registry_tui.service.database.migrations import upgrade, versions
from registry_tui.service.operations import event_chain
from support.platforms import Platform
from support.postgres import PostgresServer

ADA = Principal("ada", "crn:ada", "request", administrator=True)


@dataclass(frozen=True)
class Recorded:
    """A database with events."""

    service: Service

    def record(self, count: int = 1) -> None:
        for number in range(count):
            events.record(
                self.service,
                ADA,
                action="model.update",
                resource=Resource("model", f"m{number}", "Ünï\x7f\u2028 😀"),
                outcome=EventOutcome.SUCCEEDED,
                duration_ms=3,
            )

    def check(self) -> ChainCheck:
        after, checked = 0, 0
        while True:
            found = event_chain.verify_events(self.service, ADA, after)
            checked += found.checked
            if found.next_after is None:
                return found.model_copy(update={"checked": checked})
            after = found.next_after

    def do(self, *statements: str) -> None:
        with self.service.database.engine.begin() as connection:
            for each in statements:
                connection.execute(text(each))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return Databases.on_postgresql(server.new_database()).service


@pytest.fixture
def recorded(url: str) -> Iterator[Recorded]:
    database = Database(url)
    database.migrate()
    yield Recorded(cast(Service, SimpleNamespace(database=database)))
    database.close()


def test_a_chain_is_sound_until_somebody_changes_a_row(recorded: Recorded) -> None:
    assert recorded.check().checked == 0
    recorded.record(6)
    sound = recorded.check()
    assert (sound.checked, sound.problem, sound.head_id) == (6, "", 6)
    recorded.do("UPDATE events SET actor = 'eve' WHERE id = 3")
    assert recorded.check().broken_id == 3
    recorded.do("UPDATE events SET actor = 'ada' WHERE id = 3")
    assert recorded.check().problem == ""


_SWAPPED = [f"UPDATE events SET id = {new} WHERE id = {old}" for old, new in ((3, 99), (4, 3), (99, 4))]


@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        (["DELETE FROM events WHERE id = 1"], 2),
        (["DELETE FROM events WHERE id = 4"], 5),
        (["DELETE FROM events WHERE id > 4"], 6),
        (["DELETE FROM events"], 6),
        (_SWAPPED, 3),
        (["UPDATE events SET id = 7 WHERE id = 6"], 7),
        (["UPDATE events SET chain = '' WHERE id = 2"], 2),
        (["UPDATE events SET duration_ms = NULL WHERE id = 6"], 6),
        (["UPDATE events SET created_at = '2020-01-01 00:00:00' WHERE id = 5"], 5),
    ],
    ids=["first", "middle", "last", "all", "order", "number", "hash", "field", "time"],
)
def test_what_was_changed_or_taken_away_is_found(recorded: Recorded, statements: list[str], broken: int) -> None:
    recorded.record(6)
    recorded.do(*statements)
    found = recorded.check()
    assert found.broken_id == broken, found.problem


def test_long_chains_are_looked_at_in_parts(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_chain, "_PART", 2)
    recorded.record(4)
    assert recorded.check().checked == 4
    recorded.do("DELETE FROM events WHERE id = 3")
    assert recorded.check().broken_id == 4


def test_threads_write_one_chain(recorded: Recorded) -> None:
    writers = [threading.Thread(target=recorded.record, args=(15,)) for _ in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert (recorded.check().checked, recorded.check().problem) == (60, "")


def test_events_from_before_are_put_into_the_chain(url: str) -> None:
    database = Database(url)
    dialects.prepare(url)
    own = next(each.name[:4] for each in Path(versions.__path__[0]).glob("*_event_chain.py"))
    with database.engine.begin() as connection:
        upgrade(connection, f"{int(own) - 1:04}")
        events_table = Table("events", MetaData(), autoload_with=connection)
        values = {column.name: "text" for column in events_table.columns if column.name not in ("id", "duration_ms")}
        for _ in range(3):
            connection.execute(events_table.insert().values({**values, "created_at": datetime(2026, 1, 2, tzinfo=UTC)}))
    database.migrate()
    before = Recorded(cast(Service, SimpleNamespace(database=database)))
    assert (before.check().checked, before.check().problem) == (3, "")
    before.record()
    assert (before.check().checked, before.check().problem) == (4, "")
    database.close()


def test_the_format_stays_what_it_is() -> None:
    """Evidence packs are verified years later: these sums may never change."""
    event: dict[str, Any] = {
        "id": 1,
        "created_at": datetime(2026, 11, 30, 8, 0, 0, 5),
        "actor": "ada",
        "actor_crn": "crn",
        "action": "model.update",
        "resource_type": "model",
        "resource_id": "m",
        "resource_name": "Wein é",
        "registry_id": None,
        "outcome": "succeeded",
        "request_id": "r",
        "workflow_id": None,
        "duration_ms": 7,
        "detail": "",
    }
    assert canonical(event) == (
        '{"action":"model.update","actor":"ada","actor_crn":"crn","created_at":"2026-11-30T08:00:00.000005+00:00",'
        '"detail":"","duration_ms":7,"id":1,"outcome":"succeeded","registry_id":null,"request_id":"r",'
        '"resource_id":"m","resource_name":"Wein \\u00e9","resource_type":"model","workflow_id":null}'
    )
    assert digest(event) == "dc58c1873c5b62a2582a3074c2b64751ae91bf01dfdfedf1690d2f9f61e3690f"
    assert chained(GENESIS, digest(event)) == "a1445235e671dced93a5c7ad0298c2f3f0b4c88b1e8e3f1036f49122c3dfbf78"


def test_events_of_a_platform_are_verified(platform: Platform) -> None:
    platform.new_project()
    found = platform.command("events", "verify", "--json")
    assert '"problem": ""' in found.stdout
    links = platform.ask(lambda client: client.event_links(page_size=1))
    kept = links.items[0]
    assert platform.command("events", "verify", "--expect", f"{kept.id}:{kept.hash}").returncode == 0
    other = platform.command("events", "verify", "--expect", f"{kept.id}:{GENESIS}", check=False)
    assert other.returncode == 1
    assert "had another hash when it was kept" in other.stderr
