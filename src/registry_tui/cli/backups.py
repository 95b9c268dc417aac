"""`backup`, `restore`, `backups`, `upgrade`: whole platforms, in and out of a folder or a store."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from registry_tui.cli import asking, output, session, stores
from registry_tui.contracts.counts import counted
from registry_tui.platform import extras
from registry_tui.platform.database_urls import shown
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home
from registry_tui.schemas.stores import DirectoryStore, Store
from registry_tui.wording import text
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.service.backup.manifest import Manifest
    from registry_tui.service.backup.place import BackupPlace
    from registry_tui.service.backup.taking import Progress, Taken
    from registry_tui.service.stores.base import Bucket

#: The variable for a passphrase, as an alternative to a file; no process that the platform starts gets it.
PASSPHRASE = "REGISTRY_TUI_BACKUP_PASSPHRASE"
_OR_VARIABLE = f", or {PASSPHRASE}"

_Result = TypeVar("_Result")

app = session.new_app("Backups of whole platforms.")

_PlaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="PLACE", help="A folder, s3://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX or gs://BUCKET/PREFIX."
    ),
]
_PassphraseOption = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help=f"Holds the backup's passphrase; - for standard input. Else {PASSPHRASE} counts, else you are asked.",
    ),
]


@stores.with_options
def backup(
    place: _PlaceArgument,
    reached: stores.Reached,
    passphrase_file: _PassphraseOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Back the platform up, running or stopped: databases, artifacts, archives, secrets and settings.

    Another backup in the same place copies only new data. Rows in PostgreSQL are backed up as SQLite's are, and
    restored into either. Databases and secrets are encrypted with a passphrase, without which nobody can restore them;
    artifacts and archives are kept as they are. An interrupted backup does not count as one; the next backup reuses
    the files that it copied.

    Objects in an environment's own store are not copied, nor are logs, replicas and models' environments. The command
    needs the home's files: only its owner can use it.

    Example: registry-tui backup /mnt/backups/registry
    """
    extras.require("platform")
    store = _store(place, reached)
    home = Home.resolve()
    if isinstance(store, DirectoryStore):
        folder = Path(store.address.path)
        if folder.is_relative_to(home.root) or home.root.is_relative_to(folder):
            raise typer.BadParameter(f"{folder} and the home {home.root} lie in each other", param_hint="PLACE")
    from registry_tui.service.backup import taking

    taking.require_home(home)
    if isinstance(store, DirectoryStore):
        Path(store.address.path).mkdir(mode=0o700, exist_ok=True, parents=True)
    passphrase = _new_passphrase(passphrase_file)
    with _words():
        bucket = _opened(store)
        _require_usable(bucket)
        taken = _shown(taking.take(home, bucket, passphrase))
    _tell_taken(taken, bucket, as_json)


def _tell_taken(taken: Taken, bucket: Bucket, as_json: bool) -> None:
    manifest, copied = taken.manifest, taken.copied
    if as_json:
        counts = {"new": copied.new, "new_bytes": copied.new_bytes, "gone": copied.gone, "left_out": copied.left_out}
        print(json.dumps({**_summary(manifest), **counts}))
        return
    output.note(
        f"Backup {manifest.id} is in {bucket.uri}: {counted(len(manifest.objects), 'object')}, "
        f"{copied.new} of them new there ({size(copied.new_bytes)})"
    )
    if copied.gone:
        output.note(f"{counted(copied.gone, 'object')} went away meanwhile")
    for name in copied.left_out:
        output.note(f"Left out, because no restoration could write that name: {name}")
    for environment, uri in manifest.elsewhere.items():
        output.note(
            f"The backup does not contain the files that the environment {environment} keeps in its own store, {uri}"
        )


@stores.with_options
def restore(
    place: _PlaceArgument,
    reached: stores.Reached,
    backup_id: Annotated[
        str | None,
        typer.Option("--backup", metavar="ID", help="The backup, as in `backups list`; default: the newest."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            "--database", metavar="URL", help="Bring the rows to PostgreSQL: postgresql://USER@HOST/DATABASE."
        ),
    ] = None,
    passphrase_file: _PassphraseOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Restore a backup into an empty home, on this machine or another one. Everything is read back and compared.

    An interrupted restore starts over when the command is repeated; until it is done, nothing starts in that home.
    Deployments are stopped there. Objects in an environment's own store stay where they are: never run two platforms
    of one backup that both use such a store.

    Example: registry-tui --data-dir ~/restored restore /mnt/backups/registry
    """
    extras.require("platform")
    store = _store(place, reached)
    from registry_tui.platform.database_choice import Choice, configured
    from registry_tui.service import moving
    from registry_tui.service.backup import restoring
    from registry_tui.service.backup.place import BackupPlace

    home = Home.resolve()
    choice = Choice(database) if database else None
    if choice is not None:
        # A target that cannot take the rows is refused before anything is done.
        moving.require_place(choice)
    with _words():
        restoring.require_empty(home)
        bucket = _opened(store)
        chosen = _there(BackupPlace(bucket), backup_id)
        passphrase = _passphrase(passphrase_file)
        manifest, stopped = _shown(restoring.restore(home, bucket, passphrase, chosen))
    try:
        for moved in () if choice is None else moving.bring_rows(home, choice):
            output.note(f"{moved.part}: {counted(moved.rows, 'row')} in PostgreSQL")
    except PlatformError as error:
        raise PlatformError(
            f"The backup is restored into {home.root}, with its rows in SQLite: {error.message}",
            action=f"{error.action or 'Mend the cause'}; then go on with `registry-tui database move URL`",
        ) from error
    if as_json:
        print(json.dumps({**_summary(manifest), "stopped": stopped}))
        return
    output.note(
        f"{home.root} is the platform of {manifest.host}:{manifest.home} as of {manifest.made_at:%Y-%m-%d %H:%M} UTC"
    )
    for name in stopped:
        output.note(f"The deployment {name} is stopped: `registry-tui deployments restart {name}` starts it")
    for environment, uri in manifest.elsewhere.items():
        output.note(
            f"The environment {environment} goes on to use its own store, {uri}, which only one platform may do"
        )
    if (named := configured(home)) is not None and named != choice:
        output.note(
            f"The settings (config.toml or the environment) name the database of before, {shown(named.service)}: "
            "take database_url out of them first, since two platforms cannot share it"
        )
    output.note("Start the platform with `registry-tui up`")


@app.command("list")
@stores.with_options
def list_backups(place: _PlaceArgument, reached: stores.Reached, as_json: session.JsonOption = False) -> None:
    """The backups in a place, the newest first; those that cannot be read with the reason."""
    extras.require("platform")
    store = _store(place, reached)
    from registry_tui.service.backup.place import BackupPlace

    with _words():
        found = BackupPlace(_opened(store))
        listed = [_summary_of(found, id_) for id_ in found.ids()]
    if as_json:
        print(json.dumps(listed, indent=1))
        return
    heads = ("BACKUP", "PLATFORM", "VERSION", "OBJECTS", "SIZE")
    rows = [heads]
    for each in listed:
        if "damaged" in each:
            rows.append((str(each["id"]), str(each["damaged"]), "", "", ""))
        else:
            platform, bytes_ = f"{each['host']}:{each['home']}", int(str(each["bytes"]))
            rows.append((str(each["id"]), platform, str(each["version"]), str(each["objects"]), size(bytes_)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.safe(value).ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


@app.command("verify")
@stores.with_options
def verify(
    place: _PlaceArgument,
    reached: stores.Reached,
    backup_id: Annotated[
        str | None, typer.Option("--backup", metavar="ID", help="The backup; default: the newest.")
    ] = None,
    digests_only: Annotated[
        bool, typer.Option("--digests-only", help="Check without the passphrase: neither encryption nor signature.")
    ] = False,
    passphrase_file: _PassphraseOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Read all files of a backup and compare their digests; decrypt the encrypted ones."""
    extras.require("platform")
    store = _store(place, reached)
    from registry_tui.service.backup import restoring
    from registry_tui.service.backup.place import BackupPlace

    with _words():
        found = BackupPlace(_opened(store))
        chosen = _there(found, backup_id)
        passphrase = None if digests_only else _passphrase(passphrase_file)
        manifest = _shown(restoring.verify(found, chosen, passphrase))
    if as_json:
        print(json.dumps(_summary(manifest)))
    else:
        output.note(
            f"Backup {manifest.id} is whole: {counted(len(manifest.objects), 'object')}, {size(manifest.bytes)}"
        )


@app.command("prune")
@stores.with_options
def prune(
    place: _PlaceArgument,
    reached: stores.Reached,
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=1, help="Number of backups of each platform to keep.")
    ],
    cut_off: Annotated[
        bool,
        typer.Option("--cut-off", help="Continue after an interrupted backup or pruning; none may be running there."),
    ] = False,
    yes: session.YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the backups that would go.")] = False,
    as_json: session.JsonOption = False,
) -> None:
    """Delete older backups: all but each platform's newest, and the artifacts and archives that only they had.

    One that is cut off is ended by the next. No backup can be made there meanwhile.

    Example: registry-tui backups prune /mnt/backups/registry --keep 7
    """
    extras.require("platform")
    store = _store(place, reached)
    from registry_tui.service.backup import pruning
    from registry_tui.service.backup.place import BackupPlace

    with _words():
        found = BackupPlace(_opened(store))
        gone = pruning.older(found, keep)
        if dry_run:
            output.write("".join(f"{output.cell(each)}\n" for each in gone))
            output.note("Nothing was changed")
            return
        if gone:
            session.confirm(f"Delete {counted(len(gone), 'backup')} from {found.bucket.uri}?", yes=yes)
        done = _shown(pruning.prune(found, keep, cut_off=cut_off))
    if as_json:
        print(json.dumps({"backups": done.backups, "contents": done.contents, "bytes": done.bytes}))
        return
    for id_ in done.backups:
        output.note(f"Deleted: the backup {id_}")
    output.note(f"{counted(done.contents, 'object')} went that no backup needs ({size(done.bytes)})")


def upgrade(yes: session.YesOption = False, as_json: session.JsonOption = False) -> None:
    """Bring a home of an earlier version to this one: stop, copy the databases, migrate, start, and compare all rows.

    If anything fails, the databases are put back as they were, and the files of the upgrade are moved aside. Run the
    command again after an interruption: it rolls back and starts over, or, once all rows were compared, goes on to
    start the platform. The copies stay in the home until the next upgrade; those of rows in PostgreSQL are schemas
    next to the platform's. Make a backup first, too.

    Example: registry-tui upgrade
    """
    extras.require("platform")
    from registry_tui.service.backup import upgrading

    home = Home.resolve()
    session.confirm(f"Stop the platform of {home.root} and bring it to this version?", yes=yes)
    work = upgrading.upgrade(home)
    try:
        while True:
            try:
                step = next(work)
            except StopIteration as ended:
                done: upgrading.Upgraded = ended.value
                break
            if as_json:
                print(json.dumps({"step": step.what}), flush=True)
            else:
                output.note(step.what)
    finally:
        work.close()  # interrupted here, it is rolled back immediately
    if as_json:
        print(json.dumps({"done": True, "rows": dict(done.rows), "before": str(done.before)}))
    else:
        rows = ", ".join(f"{name}: {counted(count, 'row')}" for name, count in done.rows.items())
        output.note(f"The platform is up with this version, and has everything that it had ({rows})")
        output.note(f"The databases of before are in {done.before}")


# -- shared ----------------------------------------------------------------------------------------------


def _summary(manifest: Manifest) -> dict[str, object]:
    return {
        "id": manifest.id,
        "made_at": manifest.made_at.isoformat(),
        "host": manifest.host,
        "home": manifest.home,
        "version": manifest.version,
        "objects": len(manifest.objects),
        "bytes": manifest.bytes,
        "elsewhere": manifest.elsewhere,
    }


def _summary_of(place: BackupPlace, id_: str) -> dict[str, object]:
    """A backup's line in a list; the manifest is not kept in memory, since it lists all of its objects."""
    from registry_tui.service.backup.sealing import DamagedBackup

    try:
        return _summary(place.manifest(id_))
    except DamagedBackup as error:
        return {"id": id_, "damaged": error.message}


def _shown(work: Generator[Progress, None, _Result]) -> _Result:
    """Runs work and shows its progress; returns its result."""
    status = output.Status()
    try:
        while True:
            try:
                each = next(work)
            except StopIteration as ended:
                result: _Result = ended.value
                return result
            of = "" if each.total is None else f" of {each.total}"
            count = f": {each.done}{of}" if each.done or each.total else ""
            status.show(f"{each.what}{count}{f', {size(each.bytes)}' if each.bytes else ''}", key=each.what)
    finally:
        work.close()
        status.close()


def _store(place: str, reached: stores.Reached) -> Store:
    """A backup's location; a folder is one of this machine, relative to the current directory."""
    return reached(place if "://" in place else str(Path(place).expanduser().absolute()))


def _opened(store: Store) -> Bucket:
    from registry_tui.service.stores.opening import open_store

    return open_store(store)


def _require_usable(bucket: Bucket) -> None:
    fatal = [each for each in bucket.probe() if each.fatal]
    if fatal:
        raise PlatformError(f"Nothing can be kept in {bucket.uri}: {fatal[0].text}", action=fatal[0].action or None)


@contextmanager
def _words() -> Iterator[None]:
    """Turns a store's errors into errors of the command line."""
    from registry_tui.service.errors import ServiceError

    try:
        yield
    except ServiceError as error:
        raise PlatformError(error.detail, action=error.action) from error


def _there(place: BackupPlace, backup_id: str | None) -> str:
    """The backup that is meant, the newest unless one is named: nobody is asked for a secret of one that is missing.

    Raises NoSuchBackup, ServiceError.
    """
    chosen = backup_id or place.newest()
    place.packed(chosen)
    return chosen


def _passphrase(file: str | None) -> str:
    if file is not None:
        return session.secret_from(file, "--passphrase-file")
    return os.environ.get(PASSPHRASE) or asking.secret("Passphrase of the backup", "--passphrase-file", _OR_VARIABLE)


def _new_passphrase(file: str | None) -> str:
    """A passphrase for a new backup; typed twice. Raises BadParameter for a short one."""
    from registry_tui.service.backup.sealing import SHORTEST

    if file is None and not os.environ.get(PASSPHRASE):
        question = "Passphrase for the backup (without it nobody can restore it)"
        found = asking.secret(question, "--passphrase-file", _OR_VARIABLE, twice=True)
    else:
        found = _passphrase(file)
    if len(found) < SHORTEST:
        raise typer.BadParameter(f"a passphrase has at least {SHORTEST} letters", param_hint="--passphrase-file")
    return found
