"""A home of an earlier version is upgraded to this one, or stays as it was if anything fails or is killed in between.

`support/homes/database-0011.tar.xz` is the home of a platform that ran with the code of eleven migrations: the model
`ElasticnetWineModel` with its alias `champion`, made by `examples/train_elasticnet.py`, the user `ada` with a token,
and the group `analysts`. It was made by `up`, the commands for these, `down`, and `tar -cJf` without `logs` and `run`.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from registry_tui.platform import lifecycle, lone_store, space
from registry_tui.platform.errors import Damaged, HomeUnusable, PartFailed
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import load_secrets
from registry_tui.platform.space import Space
from registry_tui.service import moving
from registry_tui.service.backup import restoring, snapshots, taking, upgrading
from registry_tui.service.backup.place import BackupPlace
from registry_tui.service.backup.snapshots import CannotBackUp
from registry_tui.service.backup.upgrading import UpgradeFailed
from registry_tui.service.database.database import LATEST_REVISION
from registry_tui.service.stores.directory import Directory
from registry_tui.service.stores.seaweedfs import ObjectStore
from support.platforms import Platform, clean_environment, run_python, temporary_folder

pytestmark = pytest.mark.long

EARLIER = Path(__file__).parents[1] / "support" / "homes" / "database-0011.tar.xz"
#: Upgrades, and ends as by `kill -9` when a step begins.
KILLED = """
import os, signal, sys
from pathlib import Path
from registry_tui.platform.paths import Home
from registry_tui.service.backup import upgrading
for each in upgrading.upgrade(Home(Path(sys.argv[1]))):
    print(each.what, flush=True)
    if each.what.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
"""
#: Migrates the service's database alone, and ends as by `kill -9` when a part answers.
KILLED_WHILE_STARTING = """
import os, signal, sys
from pathlib import Path
from registry_tui.platform import lifecycle
from registry_tui.platform.paths import Home
from registry_tui.schemas.operations import PartState
from registry_tui.service.backup import upgrading
def up(home, **_):
    yield lifecycle.PartProgress("gateway", PartState.HEALTHY, "answers")
lifecycle.up = up
name = "the service's database"
upgrading.MIGRATIONS = {name: upgrading.MIGRATIONS[name]}
for each in upgrading.upgrade(Home(Path(sys.argv[1]))):
    if each.what == "gateway: answers":
        os.kill(os.getpid(), signal.SIGKILL)
"""
LISTENING = '{"host": "0.0.0.0", "port": 8443}'
LOAD = """
import mlflow
print(mlflow.pyfunc.load_model("models:/ElasticnetWineModel@champion").metadata.run_id)
"""


@pytest.fixture
def home() -> Iterator[Home]:
    """The home of an earlier version, stopped."""
    with temporary_folder() as folder:
        with tarfile.open(EARLIER) as archive:
            archive.extractall(folder / "h", filter="data")
        yield Home(folder / "h")


def contents(home: Home) -> dict[str, list[str]]:
    """Everything that the databases hold."""
    found = {}
    for name, path in snapshots.files_of(home).items():
        with closing(sqlite3.connect(path)) as database:
            found[name] = list(database.iterdump())
    return found


def listens(home: Home) -> None:
    """Makes it a home whose platform listened for other machines, and was killed."""
    home.create_run()
    home.listening_file.write_text(LISTENING)


def revision(home: Home) -> str:
    with closing(sqlite3.connect(home.service_database)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def only_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "the service's database"
    monkeypatch.setattr(upgrading, "MIGRATIONS", {name: upgrading.MIGRATIONS[name]})


def test_a_migration_that_fails_leaves_the_home_as_it_was(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(home)
    listens(home)
    assert revision(home) == "0011" < LATEST_REVISION
    only_the_service(monkeypatch)

    def fail(url: str) -> None:
        moving.MAKERS["service"](url)
        with closing(sqlite3.connect(home.mlflow_database)) as database, database:
            database.execute("DROP TABLE metrics")
        raise UpgradeFailed("half of it is done")

    monkeypatch.setitem(
        upgrading.MIGRATIONS, "the service's database", lambda home: fail(f"sqlite:///{home.service_database}")
    )
    with pytest.raises(UpgradeFailed, match=r"as it was before: half of it is done") as failed:
        list(upgrading.upgrade(home))
    assert contents(home) == before and not home.upgrading_file.exists()
    assert home.listening_file.read_text() == LISTENING
    (aside,) = home.root.glob("after-upgrade-*")
    assert str(aside) in str(failed.value.action)
    with closing(sqlite3.connect(aside / "service.db")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == (LATEST_REVISION,)


def test_a_migration_that_loses_rows_and_a_part_that_does_not_start_leave_the_home_as_it_was(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(home)
    only_the_service(monkeypatch)

    def start(home: Home, **_: object) -> Iterator[lifecycle.PartProgress]:
        assert revision(home) == LATEST_REVISION, "it was started before it was migrated"
        yield from ()
        raise PartFailed("The part service does not start")

    monkeypatch.setattr(lifecycle, "up", start)
    with pytest.raises(UpgradeFailed, match="does not start"):
        list(upgrading.upgrade(home))
    assert contents(home) == before

    def lose(home: Home) -> None:
        with closing(sqlite3.connect(home.service_database)) as database, database:
            database.execute("DELETE FROM events WHERE rowid = 1")

    monkeypatch.setitem(upgrading.MIGRATIONS, "another one", lose)
    with pytest.raises(UpgradeFailed, match=r"The table events of service\.db had"):
        list(upgrading.upgrade(home))
    assert contents(home) == before and revision(home) == "0011"


def killed(script: str, home: Home, *arguments: str) -> str:
    """The output of a script that ended as by `kill -9`."""
    command = [sys.executable, "-c", script, str(home.root), *arguments]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout


def test_what_people_did_after_an_upgrade_that_was_killed_while_the_platform_started_is_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_the_service(monkeypatch)
    listens(home)
    killed(KILLED_WHILE_STARTING, home)
    lifecycle.down(home)
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("CREATE TABLE since (x)")
    after = contents(home)

    def fail(home: Home, **_: object) -> Iterator[lifecycle.PartProgress]:
        yield from ()
        raise PartFailed("The part service does not start")

    def start(home: Home, **_: object) -> Iterator[lifecycle.PartProgress]:
        assert contents(home) == after and home.listening_file.read_text() == LISTENING
        yield from ()

    monkeypatch.setattr(lifecycle, "up", fail)
    with pytest.raises(UpgradeFailed, match="databases are of this version"):
        list(upgrading.upgrade(home))
    monkeypatch.setattr(lifecycle, "up", start)
    steps = [each.what for each in upgrading.upgrade(home)]
    assert steps == ["going on with an upgrade that was cut off when the platform started"]
    assert contents(home) == after and not home.upgrading_file.exists()
    # Of another version: the upgrade begins with the existing state.
    upgrading._note(home, {"to": "0.0.1", "stage": "starting", "rows": {}, "files": {}})
    list(upgrading.upgrade(home))
    assert contents(home) == after == contents_of_copies(home)


def test_what_cannot_be_upgraded_is_not_stopped(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Home] = []
    monkeypatch.setattr(lifecycle, "down", stopped.append)
    with monkeypatch.context() as full:
        full.setattr(space, "space_of", lambda folder: Space(folder, free=0, total=1 << 40))
        with pytest.raises(CannotBackUp, match="copied first"):
            list(upgrading.upgrade(home))
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UpgradeFailed, match="newer version"):
        list(upgrading.upgrade(home))
    assert not stopped


def test_a_platform_that_was_stopped_for_an_upgrade_that_cannot_begin_is_said_to_be_stopped(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "down", lambda home: ["service"])

    def fail(*_: object) -> None:
        raise CannotBackUp("There is no room")

    monkeypatch.setattr(snapshots, "copy", fail)
    with pytest.raises(CannotBackUp, match=r"There is no room\. The platform is stopped now"):
        list(upgrading.upgrade(home))


def test_a_home_of_a_newer_version_is_refused(home: Home) -> None:
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = contents(home)
    with pytest.raises(UpgradeFailed, match="newer version"):
        list(upgrading.upgrade(home))
    assert contents(home) == before and not home.before_upgrade.exists()


def test_copies_that_were_changed_are_not_gone_back_to(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    only_the_service(monkeypatch)
    work = upgrading.upgrade(home)
    while next(work).what != "comparing the rows of all tables":
        pass
    with (home.before_upgrade / "auth.db").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Damaged, match="was changed"):
        work.close()
    assert home.upgrading_file.exists()


def test_an_earlier_home_is_backed_up_while_it_is_stopped_and_restored(home: Home) -> None:
    place = home.root.with_name("backups")
    place.mkdir()
    bucket, platform = Directory(place), Platform(home)
    for _ in taking.take(home, bucket, "correct horse battery"):
        pass
    assert BackupPlace(bucket).manifest(BackupPlace(bucket).newest()).revision == "0011"
    there = Home(home.root.with_name("there"))
    for _ in restoring.restore(there, bucket, "correct horse battery"):
        pass
    assert revision(there) == LATEST_REVISION
    name = "mlflow.db"
    assert contents(there)[name] == contents(home)[name]
    assert load_secrets(there) == platform.secrets
    with lone_store.running(there) as (ports, secrets):
        found = ObjectStore(ports, secrets).listing("local-bb0b8a6b", "")
        assert {each.key.split("/")[0] for each in found} == {"modelregistry", "workspaces"}


def test_an_upgrade_that_is_left_goes_back_at_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(home)
    only_the_service(monkeypatch)
    work = upgrading.upgrade(home)
    while next(work).what != "comparing the rows of all tables":
        pass
    assert revision(home) == LATEST_REVISION
    work.close()
    assert contents(home) == before and not home.upgrading_file.exists()


def test_an_earlier_home_is_upgraded_whatever_kills_came_between(home: Home) -> None:
    before = contents(home)
    platform = Platform(home)
    try:
        outputs = []
        for step in ("migrating MLflow's database", "starting the platform", "gateway: "):
            outputs.append(killed(KILLED, home, step))
            assert revision(home) == LATEST_REVISION
            with pytest.raises(HomeUnusable, match="upgrade"):
                list(lifecycle.up(home))
        assert "going back from an upgrade that was cut off" in outputs[-1]
        upgraded = platform.command("upgrade", "--yes")
        assert "going on with an upgrade that was cut off" in upgraded.stderr
        assert contents_of_copies(home) == before
        assert run_python(LOAD, platform.exports("default")).strip()
        assert platform.ask(lambda client: client.user("ada")).name == "ada"
        assert [each.name for each in platform.ask(lambda client: client.groups()).items] == ["analysts"]
        verified = platform.command("models", "verify", "ElasticnetWineModel", "1")
        assert "sound" in verified.stdout
        assert not home.upgrading_file.exists()
    finally:
        platform.down()


def contents_of_copies(home: Home) -> dict[str, list[str]]:
    found = {}
    for name in snapshots.files_of(home):
        with closing(sqlite3.connect(home.before_upgrade / name)) as database:
            found[name] = list(database.iterdump())
    return found
