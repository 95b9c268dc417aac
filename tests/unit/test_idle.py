"""Work that a platform at rest avoids."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from registry_tui.platform import database_changes, processes
from registry_tui.platform.database_changes import SqliteChanges

CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "x = b'y' * (50 << 20); print(len(x), flush=True); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
input()
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        yield path, connection


def test_a_database_is_looked_at_again_only_after_a_write(database: tuple[Path, sqlite3.Connection]) -> None:
    path, connection = database
    changes = SqliteChanges(path)
    stamp = changes.stamp()
    assert changes.due(stamp), "the first look"
    changes.done(stamp)
    assert not changes.due(changes.stamp())
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT * FROM t").fetchall()
    assert not changes.due(changes.stamp()), "reading changes nothing"
    for statement in ("INSERT INTO t VALUES (1)", "UPDATE t SET x = 2", "DELETE FROM t"):
        connection.execute(statement)
        stamp = changes.stamp()
        assert changes.due(stamp), statement
        changes.done(stamp)
        assert not changes.due(changes.stamp())


def test_a_write_during_a_look_makes_another_one_due(database: tuple[Path, sqlite3.Connection]) -> None:
    path, connection = database
    changes = SqliteChanges(path)
    stamp = changes.stamp()
    connection.execute("INSERT INTO t VALUES (1)")
    changes.done(stamp)
    assert changes.due(changes.stamp())


def test_a_look_that_failed_and_one_long_ago_are_due(
    database: tuple[Path, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = SqliteChanges(database[0])
    assert changes.due(changes.stamp()) and changes.due(changes.stamp()), "not done yet"
    changes.done(changes.stamp())
    changes.forget()
    assert changes.due(changes.stamp())
    monkeypatch.setattr(database_changes, "AT_LEAST_EVERY", 0.0)
    changes.done(changes.stamp())
    assert changes.due(changes.stamp())


@pytest.mark.parametrize("listed", [True, False])
def test_memory_counts_what_a_process_started(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LISTS_CHILDREN", listed and processes._LISTS_CHILDREN)
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert (processes.memory(parent.pid) or 0) > 50 << 20
        parent.kill()
    assert processes.memory(parent.pid) is None
    assert (processes.memory(os.getpid()) or 0) > 0
