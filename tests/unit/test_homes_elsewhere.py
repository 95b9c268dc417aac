"""A home that was copied or moved is known as such at its next start, and fits its new place then."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.mlflow_plugin.launch import write_auth_config
from registry_tui.platform import object_store, relocation, supervisor
from registry_tui.platform.database_choice import Choice, keep
from registry_tui.platform.errors import Damaged, HomeUnusable
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import choose_ports
from support.platforms import temporary_folder


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that was started once, and is stopped."""
    with temporary_folder() as folder:
        made = Home(folder / "h")
        made.create()
        choose_ports(made)
        write_auth_config(made)
        relocation.record(made)
        yield made


def copy_of(home: Home, name: str = "copy") -> Home:
    shutil.copytree(home.root, home.root.with_name(name), symlinks=True)
    return Home(home.root.with_name(name))


def moved(home: Home, name: str = "moved") -> Home:
    return Home(home.root.rename(home.root.with_name(name)))


def test_a_home_that_stays_is_neither_copied_nor_moved(home: Home) -> None:
    assert relocation.since_last_start(home) is None


def test_a_home_under_another_name_of_the_same_folder_is_neither_copied_nor_moved(home: Home) -> None:
    link = home.root.with_name("link")
    link.symlink_to(home.root)
    assert relocation.since_last_start(Home(link)) is None


def test_a_copy_is_known_while_the_original_is_there_and_a_move_when_it_is_not(home: Home) -> None:
    copied = relocation.since_last_start(copy_of(home))
    assert copied is not None and copied.copied and copied.before == home
    there = relocation.since_last_start(moved(home))
    assert there is not None and not there.copied and there.before == home


def test_a_home_from_a_folder_that_this_user_may_not_read_counts_as_a_copy(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.listening_file.write_text(json.dumps({"address": "0.0.0.0:8443"}))
    copy = copy_of(home)
    system = Path.stat, Path.read_bytes

    def refuse(path: Path) -> None:
        if path.is_relative_to(home.root):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def stat(path: Path, **given: bool) -> os.stat_result:
        refuse(path)
        return system[0](path, **given)

    def read_bytes(path: Path) -> bytes:
        refuse(path)
        return system[1](path)

    # The administrator of the machine, who may run this, may read every folder.
    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    found = relocation.since_last_start(copy)
    assert found is not None and found.copied
    assert relocation.same_ports(copy, found)
    assert relocation.settle(copy, found) and not copy.listening_file.exists()
    keep(copy, Choice("postgresql://registry@db.example/registry"))
    with pytest.raises(HomeUnusable, match=r"may be a copy .* may not read"):
        relocation.since_last_start(copy)


def test_a_home_of_a_version_that_noted_no_place_is_known_by_mlflows_settings(home: Home) -> None:
    home.place_file.unlink()
    found = relocation.since_last_start(copy_of(home))
    assert found is not None and found.copied and found.before == home
    (home.mlflow / "auth.ini").unlink()
    assert relocation.since_last_start(copy_of(home, "other")) is None


def test_only_a_copy_with_the_originals_ports_needs_others(home: Home) -> None:
    copy = copy_of(home)
    found = relocation.since_last_start(copy)
    assert found is not None and relocation.same_ports(copy, found)
    choose_ports(copy, fresh=True)
    assert not relocation.same_ports(copy, found)
    there = moved(home)
    found = relocation.since_last_start(there)
    assert found is not None and not relocation.same_ports(there, found)


def test_a_copy_whose_rows_are_in_postgresql_is_refused_and_a_moved_home_is_not(home: Home) -> None:
    keep(home, Choice("postgresql://registry@db.example/registry"))
    with pytest.raises(HomeUnusable, match="both would change the same"):
        relocation.since_last_start(copy_of(home))
    assert relocation.since_last_start(moved(home)) is not None


def settled(home: Home) -> list[str]:
    """The changes in a home that was copied or moved."""
    found = relocation.since_last_start(home)
    assert found is not None
    return relocation.settle(home, found)


def test_a_copy_whose_environments_brought_stores_along_is_refused_and_a_moved_home_is_not(home: Home) -> None:
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("CREATE TABLE environments (id, name)")
        database.execute("INSERT INTO environments VALUES ('1', 'embedded'), ('2', 'outside')")
    assert settled(copy_of(home, "of-an-earlier-version")) == []
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("CREATE TABLE environment_stores (environment_id, store)")
    assert settled(copy_of(home, "without-stores")) == []
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("INSERT INTO environment_stores VALUES ('2', '{}')")
    with pytest.raises(HomeUnusable, match=r"the same objects .* \(outside\)"):
        settled(copy_of(home))
    assert settled(moved(home)) == []


def test_replicas_of_a_copied_home_start_in_the_copy(home: Home) -> None:
    spec = home.serving / "deployments" / "d" / "1-0.json"
    spec.parent.mkdir(parents=True)
    environment = {"PLACE": f"{home.root}/mine"}
    spec.write_text(
        ReplicaSpec(
            "d-1-0", "d", f"{home.serving}/models/m", "m", 1, f"{home.replicas}/d-1-0.sock", environment=environment
        ).to_json()
    )
    python = home.serving / "environments" / "e" / "bin" / "python"
    section = supervisor.program("d-1-0", [str(python), "-m", "x", str(spec)], part="replica", log=home.logs / "d.log")
    (home.replicas / "d-1-0.conf").write_text("\n".join(section))
    copy = copy_of(home)
    found = relocation.since_last_start(copy)
    assert found is not None
    assert relocation.settle(copy, found) == []
    text = (copy.replicas / "d-1-0.conf").read_text()
    assert f"{home.root}/" not in text and text.count(f"{copy.root}/") == 3
    read = ReplicaSpec.load(copy.serving / "deployments" / "d" / "1-0.json")
    assert read.model == f"{copy.serving}/models/m" and read.socket == f"{copy.replicas}/d-1-0.sock"
    assert read.environment == environment, "what a person set was changed"
    assert f"{home.root}/" in (home.replicas / "d-1-0.conf").read_text(), "the original was changed"


def test_replicas_start_where_sockets_have_a_folder_of_their_own(home: Home) -> None:
    (home.replicas / "d-1-0.conf").write_text(f"\ncommand=python '{home.serving}/deployments/d 1/1-0.json'")
    copy = copy_of(home, "long" * 25)
    assert not copy.run.is_relative_to(copy.root)
    found = relocation.since_last_start(copy)
    assert found is not None
    try:
        relocation.settle(copy, found)
        assert f"'{copy.serving}/deployments" in (copy.replicas / "d-1-0.conf").read_text()
    finally:
        shutil.rmtree(copy.run)


def test_a_copy_does_not_listen_where_the_original_does(home: Home) -> None:
    home.listening_file.write_text(json.dumps({"address": "0.0.0.0:8443"}))
    copy, other = copy_of(home), copy_of(home, "other")
    other.listening_file.write_text(json.dumps({"address": "0.0.0.0:9443"}))
    for each, listens in ((copy, False), (other, True)):
        found = relocation.since_last_start(each)
        assert found is not None
        assert bool(relocation.settle(each, found)) is not listens
        assert each.listening_file.exists() is listens
    assert home.listening_file.exists()


def test_a_database_that_was_torn_by_copying_is_refused(home: Home) -> None:
    with closing(sqlite3.connect(home.service_database)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 200)
        database.commit()
        copy = copy_of(home)
        torn = copy_of(home, "torn")
    found = relocation.since_last_start(copy)
    assert found is not None and relocation.settle(copy, found) == []
    with closing(sqlite3.connect(torn.service_database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with torn.service_database.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(20_000))
    torn.service_database.with_name("service.db-wal").touch()
    found = relocation.since_last_start(torn)
    assert found is not None
    with pytest.raises(Damaged, match="copied while its platform was running"):
        relocation.settle(torn, found)


def test_a_copy_leaves_the_sockets_of_an_object_store_that_answers(home: Home) -> None:
    ports = choose_ports(home)
    path = Path(f"/tmp/seaweedfs-filer-grpc-{ports.filer_grpc}.sock")
    with socket.socket(socket.AF_UNIX) as store:
        store.bind(str(path))
        store.listen()
        object_store.remove_sockets(copy_of(home))
        assert path.exists()
    object_store.remove_sockets(home)
    assert not path.exists()
