"""`registry-tui upgrade`: upgrades a home of an earlier version to this version, or leaves it unchanged.

The former state is copied first, and a file of the home records that until all rows were compared and every part
responds. An upgrade that ends before the rows were compared is reverted by the next one; after that, the next one
continues with starting the platform. Going back moves the replaced files aside. No migration touches the object store's
content.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import registry_tui
from registry_tui.contracts.counts import counted
from registry_tui.platform import database_owner, lifecycle, space
from registry_tui.platform.children import isolated, known_environment
from registry_tui.platform.database_urls import Databases, databases_of, is_postgresql, without_password
from registry_tui.platform.errors import Damaged, PlatformError
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private
from registry_tui.schemas.operations import PartState
from registry_tui.service import moving
from registry_tui.service.backup import schemas_aside, snapshots
from registry_tui.service.backup.place import digest_of
from registry_tui.service.backup.snapshots import CannotBackUp
from registry_tui.service.database.database import LATEST_REVISION
from registry_tui.wording.words import size

#: Tables with the state of migrations.
_NOT_COMPARED = frozenset({"alembic_version", "alembic_version_auth", "dbos_migrations"})
#: Files next to the databases that a newer version may rewrite.
_FILES = ("secrets.json", "ports.json", "place.json")


class UpgradeFailed(PlatformError):
    """An upgrade failed, and the home is as it was before."""


@dataclass(frozen=True)
class Step:
    """A step of an upgrade that begins, for people."""

    what: str


@dataclass(frozen=True)
class Upgraded:
    """The rows that were compared, by database, and the place of the copies made before, for people."""

    rows: Mapping[str, int]
    before: str


Counts = dict[str, dict[str, int]]
#: In `upgrading.json` once all rows were compared: people may have worked with the platform since.
_STARTING = "starting"


def upgrade(home: Home, *, start: bool = True) -> Generator[Step, None, Upgraded]:
    """Stops the platform, copies, migrates, starts and compares; reverts everything when anything fails.

    Raises UpgradeFailed, CannotBackUp, Damaged, Busy, HomeUnusable, OSError.
    """
    if not home.service_database.exists() and not home.databases_file.exists():
        raise CannotBackUp(f"There is no platform in {home.root}", action="Name its home with `--data-dir`")
    if is_postgresql(databases_of(home).service):
        database_owner.require_own(home, databases_of(home).service)
    if _is_compared(home):
        if start and _is_of_this_version(home):
            return (yield from _go_on(home))
        # Everything is of the version that it was upgraded to, which is older than this one.
        _require_earlier(home)
        _require_room(home)
        listening = _listening(home)
        lifecycle.down(home)
        _listen_again(home, listening)
        home.upgrading_file.unlink()
    if not home.upgrading_file.exists():
        _require_earlier(home)
        _require_room(home)
    listening = _listening(home)
    yield Step("stopping the platform")
    ran = lifecycle.down(home)
    try:
        with lifecycle.stopped(home, unfinished=True):
            if home.upgrading_file.exists():
                yield Step("going back from an upgrade that was cut off")
                _go_back(home)
            _require_earlier(home)
            yield Step("copying the databases")
            _copy(home, listening)
    except BaseException as error:
        _listen_again(home, listening)
        if ran and isinstance(error, PlatformError):
            error.message += ". The platform is stopped now"
            error.args = (error.message,)
        raise
    # From here on `up` refuses the home, until it is upgraded or as before.
    try:
        with lifecycle.stopped(home, unfinished=True):
            before = _counts(home)
            for name, migrate in MIGRATIONS.items():
                yield Step(f"migrating {name}")
                migrate(home)
            yield Step("comparing the rows of all tables")
            _compare(before, _counts(home))
        _listen_again(home, listening)
        if start:
            yield Step("starting the platform")
            _note(home, {**_noted(home), "stage": _STARTING, "rows": _sums(before)})
            yield from _start(home)
    except BaseException as error:
        lifecycle.down(home)
        with lifecycle.stopped(home, unfinished=True):
            aside = _go_back(home)
            _listen_again(home, listening)
        if not isinstance(error, Exception):
            raise
        raise UpgradeFailed(
            f"The upgrade failed, and the home is as it was before: {_reason(error)}",
            action="Start it with the version that it had, or mend the cause and run `registry-tui upgrade` again. "
            f"The result of the upgrade is in {aside}",
        ) from error
    home.upgrading_file.unlink()
    return Upgraded(_sums(before), _before(home))


def _start(home: Home) -> Iterator[Step]:
    # Interrupted work resumes at the start, also deletions: rows are not compared again.
    with closing(lifecycle.up(home, unfinished=True)) as parts:
        for each in parts:
            if each.state is PartState.HEALTHY:
                yield Step(f"{each.part}: {each.detail}")


def _go_on(home: Home) -> Generator[Step, None, Upgraded]:
    """Finishes an upgrade interrupted after the comparison of all rows. Raises UpgradeFailed, Busy, HomeUnusable."""
    rows: dict[str, int] = _noted(home)["rows"]
    yield Step("going on with an upgrade that was cut off when the platform started")
    _listen_again(home, _listening(home))
    try:
        yield from _start(home)
    except Exception as error:
        raise UpgradeFailed(
            f"The databases are of this version, and the platform does not start: {_reason(error)}",
            action="Mend the cause and run `registry-tui upgrade` again: it goes on from here. "
            f"The databases of before are in {_before(home)}",
        ) from error
    home.upgrading_file.unlink()
    return Upgraded(rows, _before(home))


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, PlatformError) else str(error) or type(error).__name__


# -- the former state ---------------------------------------------------------------------------------------


def _noted(home: Home) -> dict[str, Any]:
    """The content of `upgrading.json`. Raises OSError, ValueError."""
    found: dict[str, Any] = json.loads(home.upgrading_file.read_text(encoding="utf-8"))
    return found


def _note(home: Home, found: Mapping[str, Any]) -> None:
    write_private(home.upgrading_file, json.dumps(found))


def _is_compared(home: Home) -> bool:
    """Whether an upgrade was interrupted after all rows had been compared."""
    return home.upgrading_file.exists() and _noted(home).get("stage") == _STARTING


def _is_of_this_version(home: Home) -> bool:
    return _noted(home)["to"] == registry_tui.__version__ and _revision(home) == LATEST_REVISION


def _on_postgresql(home: Home) -> Databases | None:
    """The databases of a home whose rows are in PostgreSQL. Raises OSError, Damaged."""
    found = databases_of(home)
    return found if is_postgresql(found.service) else None


def _before(home: Home) -> str:
    """Where the copies are, for people."""
    if (databases := _on_postgresql(home)) is not None:
        return schemas_aside.places(databases)
    return str(home.before_upgrade)


def _revision(home: Home) -> str | None:
    if (databases := _on_postgresql(home)) is not None:
        return schemas_aside.revision(databases)
    with closing(sqlite3.connect(home.service_database)) as database:
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if found is None else str(found[0])


def _require_earlier(home: Home) -> None:
    found = _revision(home)
    if found is not None and found > LATEST_REVISION:
        raise UpgradeFailed(
            f"The home was written by a newer version than {registry_tui.__version__} (its database is {found})",
            action="Install that version, or a newer one",
        )


def _require_room(home: Home) -> None:
    """Raises CannotBackUp where the databases cannot be copied. PostgreSQL does not report its free space."""
    if (databases := _on_postgresql(home)) is not None:
        schemas_aside.require_copies(databases)
        return
    needed = _bytes(
        path.with_name(f"{path.name}{beside}") for path in snapshots.files_of(home).values() for beside in ("", "-wal")
    )
    disk = space.space_of(home.root)
    if disk.free + _bytes(home.before_upgrade.glob("*")) - needed < space.LEAST:
        raise CannotBackUp(
            f"The databases have {size(needed)} and are copied first, and {size(disk.free)} are free on the disk of "
            f"{home.root}",
            action="Free some space, and run `registry-tui upgrade` again",
        )


def _bytes(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):  # a log that was just done with
            total += path.stat().st_size
    return total


def _listening(home: Home) -> str | None:
    """Where the platform listens for other machines, by its file, or did before it was stopped."""
    with suppress(FileNotFoundError):
        return home.listening_file.read_text(encoding="utf-8")
    kept: str | None = _noted(home).get("listening") if home.upgrading_file.exists() else None
    return kept


def _listen_again(home: Home, listening: str | None) -> None:
    """Restores listening for other machines, which stopping the platform ended, for its next start."""
    if listening is not None:
        home.create_run()
        write_private(home.listening_file, listening)


def _copy(home: Home, listening: str | None) -> None:
    """Copies everything that migrations change; writes the file that records it last. Raises CannotBackUp, OSError."""
    folder = home.before_upgrade
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    schemas: dict[str, Any] = {}
    if (databases := _on_postgresql(home)) is not None:
        id_ = token_hex(8)
        schemas = {"id": id_, "rows": schemas_aside.copy(databases, id_)}
    else:
        with snapshots.one_moment(home) as readers:
            for name, reader in readers.items():
                snapshots.copy(reader, folder / name)
    for name in _FILES:
        if (home.root / name).exists():
            write_private(folder / name, (home.root / name).read_text(encoding="utf-8"))
    digests = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    noted = {"to": registry_tui.__version__, "files": digests, "listening": listening, "schemas": schemas}
    _note(home, noted)


def _go_back(home: Home) -> str:
    """Restores all copies; may be repeated. Returns the place of the replaced files.

    Raises Damaged, CannotBackUp, OSError.
    """
    noted = _noted(home)
    files: Mapping[str, str] = noted["files"]
    databases = snapshots.files_of(home)
    for name, digest in files.items():
        if _digest(home.before_upgrade / name) != digest:
            raise Damaged(
                f"{home.before_upgrade / name} was changed, so the upgrade cannot go back to it",
                action="Restore a backup into an empty home: `registry-tui restore`",
            )
    # A new name each time: files moved there are not overwritten when this is repeated.
    at = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    aside = home.root / f"after-upgrade-{at}"
    aside.mkdir(mode=0o700)
    where, schemas = str(aside), noted.get("schemas")
    if schemas and (there := _on_postgresql(home)) is not None:
        schemas_aside.go_back(there, schemas["id"], schemas["rows"], beside := f"__after_{at}")
        where = f"{schemas_aside.places(there, beside)}, and in {aside}"
    for name in files:
        target = databases.get(name, home.root / name)
        whole = target.with_name(f".{target.name}.before")
        shutil.copyfile(home.before_upgrade / name, whole)
        whole.chmod(0o600)
        if name not in databases:
            with suppress(FileNotFoundError):
                shutil.copy2(target, aside / name)
        else:
            # The log's content belongs to the file that is replaced.
            for beside in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    target.with_name(f"{target.name}{beside}").rename(aside / f"{name}{beside}")
        whole.replace(target)
    home.upgrading_file.unlink()
    return where


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return digest_of(iter(lambda: file.read(1 << 20), b""))[0]


# -- migrations ------------------------------------------------------------------------------------------


def _migrate_mlflow(home: Home) -> None:
    """Runs MLflow's own command, then the migrations of our tables. Raises UpgradeFailed."""
    url = named = databases_of(home).mlflow
    added = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    if is_postgresql(url):
        named, password = without_password(url)
        added |= {"PGPASSWORD": password} if password else {}
    done = subprocess.run(
        isolated("mlflow", "db", "upgrade", named),
        env=known_environment(added),
        cwd=home.run,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["(nothing)"]
        raise UpgradeFailed(f"MLflow does not migrate its database: {lines[-1]}")
    moving.MAKERS["mlflow"](url)


MIGRATIONS: dict[str, Callable[[Home], None]] = {
    "the service's database": lambda home: moving.MAKERS["service"](databases_of(home).service),
    "the workflows' database": lambda home: moving.MAKERS["workflows"](databases_of(home).workflows),
    "MLflow's database": _migrate_mlflow,
    "MLflow's users": lambda home: moving.MAKERS["mlflow_auth"](databases_of(home).mlflow_auth),
}


# -- comparing -------------------------------------------------------------------------------------------


def _counts(home: Home) -> Counts:
    """The rows of each table of each database."""
    if (databases := _on_postgresql(home)) is not None:
        found = schemas_aside.counts(databases)
        return {
            part: {table: tables[table] for table in tables.keys() - _NOT_COMPARED} for part, tables in found.items()
        }
    return {name: _rows(path) for name, path in snapshots.files_of(home).items()}


def _rows(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path, timeout=30)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: int(database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])
            for table in tables
            if table not in _NOT_COMPARED and not table.startswith("sqlite_")
        }


def _sums(counts: Counts) -> dict[str, int]:
    return {name: sum(tables.values()) for name, tables in counts.items()}


def _compare(before: Counts, after: Counts) -> None:
    """Raises UpgradeFailed where a table that still exists has fewer rows."""
    for name, tables in before.items():
        for table, rows in tables.items():
            if (now := after[name].get(table, rows)) < rows:
                raise UpgradeFailed(f"The table {table} of {name} had {counted(rows, 'row')}, and now has {now}")
