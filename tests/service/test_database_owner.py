"""A database on PostgreSQL belongs to one home, and a home that has rows begins nowhere anew."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from registry_tui.platform.database_owner import ForeignRows, claim, require_own
from registry_tui.platform.database_urls import Databases, for_psycopg
from registry_tui.platform.paths import Home
from registry_tui.service.core.shared_locks import SharedLocks
from registry_tui.service.database.database import Database
from support.postgres import PostgresServer


def home_at(path: Path) -> Home:
    made = Home(path)
    made.create()
    return made


def migrated(server: PostgresServer) -> str:
    url = Databases.on_postgresql(server.new_database()).service
    database = Database(url)
    database.migrate()
    database.close()
    return url


def marks(url: str) -> list[str]:
    with psycopg.connect(for_psycopg(url)) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM installation WHERE key = 'home'")]


def test_another_home_is_not_let_onto_a_platforms_rows(postgres: PostgresServer, tmp_path: Path) -> None:
    first, second, url = home_at(tmp_path / "a"), home_at(tmp_path / "b"), migrated(postgres)
    require_own(first, url)
    claim(first, url)
    for _ in range(2):
        require_own(first, url)
        claim(first, url)
    assert marks(url) == [first.installation_file.read_text()]
    for let_in in (require_own, claim):
        with pytest.raises(ForeignRows) as refused:
            let_in(second, url)
        assert "another platform" in refused.value.message and postgres.password not in str(refused.value.action)
    assert not second.installation_file.exists()
    second.installation_file.write_text("another-id")
    with pytest.raises(ForeignRows):
        require_own(second, url)


def test_a_home_that_has_rows_does_not_begin_on_an_empty_database(postgres: PostgresServer, tmp_path: Path) -> None:
    home, url = home_at(tmp_path / "a"), migrated(postgres)
    claim(home, url)
    empty = Databases.on_postgresql(postgres.new_database()).service
    with pytest.raises(ForeignRows) as refused:
        require_own(home, empty)
    assert "no rows of this platform" in refused.value.message
    with pytest.raises(ForeignRows):
        claim(home, migrated(postgres))
    assert marks(url) == [home.installation_file.read_text()]


def test_a_first_start_that_was_cut_off_goes_on(postgres: PostgresServer, tmp_path: Path) -> None:
    """Before the row is written, and before the file."""
    home, url = home_at(tmp_path / "a"), migrated(postgres)
    home.installation_file.write_text("my-id new")
    for _ in range(2):
        require_own(home, url)
        claim(home, url)
        assert (marks(url), home.installation_file.read_text()) == (["my-id"], "my-id")
        home.installation_file.write_text("my-id new")


def test_processes_that_start_at_once_mark_the_database_once(postgres: PostgresServer, tmp_path: Path) -> None:
    home, url = home_at(tmp_path / "a"), migrated(postgres)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: claim(home, url), range(4)))
    assert marks(url) == [home.installation_file.read_text()]


def test_a_platform_in_sqlite_has_no_id(tmp_path: Path) -> None:
    home = home_at(tmp_path / "a")
    require_own(home, Databases.in_home(home).service)
    claim(home, Databases.in_home(home).service)
    assert not home.installation_file.exists()


def test_many_shared_locks_of_one_piece_of_work_take_one_connection(postgres: PostgresServer) -> None:
    url, names = migrated(postgres), [f"environment {number}" for number in range(70)]
    one, other = SharedLocks(url), SharedLocks(url)
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    try:
        with psycopg.connect(for_psycopg(url)) as asking:
            with one.all_of(names):
                assert asking.execute(count).fetchone() == (1,)
                assert not any(other.keep(name) for name in names)
            assert all(other.keep(name) for name in names[:3])
    finally:
        one.close()
        other.close()
