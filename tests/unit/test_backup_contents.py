"""A backup can be restored with its passphrase alone, and changed content is never accepted."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from registry_tui.cli.backups import PASSPHRASE as PASSPHRASE_VARIABLE
from registry_tui.cli.main import app
from registry_tui.platform import lifecycle
from registry_tui.platform.database_choice import Choice, keep
from registry_tui.platform.errors import Busy, HomeUnusable, PlatformError, StillRunning
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.platform.ports import choose_ports
from registry_tui.platform.secrets import Secrets, load_secrets, save_secrets
from registry_tui.service import moving
from registry_tui.service.backup import manifest as manifests
from registry_tui.service.backup import postgresql_snapshots, restoring, sealing, snapshots, taking
from registry_tui.service.backup.manifest import Kept, Manifest, Sealed
from registry_tui.service.backup.place import BackupPlace, NoSuchBackup
from registry_tui.service.backup.sealing import DamagedBackup, Derivation, Sealer, WrongPassphrase
from registry_tui.service.backup.snapshots import CannotBackUp
from registry_tui.service.database.copying import CannotMove
from registry_tui.service.database.database import LATEST_REVISION
from registry_tui.service.stores.directory import Directory

PASSPHRASE = "correct horse battery"
DIGEST = hashlib.sha256(b"x").hexdigest()
SEALER = Sealer(PASSPHRASE, Derivation.fresh())


@pytest.fixture
def place(tmp_path: Path) -> BackupPlace:
    (tmp_path / "place").mkdir()
    return BackupPlace(Directory(tmp_path / "place"))


def manifest(**fields: Any) -> Manifest:
    derivation = fields.setdefault("derivation", Derivation.fresh())
    given = {
        "format": manifests.FORMAT,
        "id": "20261130T000000Z-0123abcd",
        "made_at": datetime.now(UTC),
        "platform": "p",
        "home": "/h",
        "host": "m",
        "version": "0.1.0",
        "revision": LATEST_REVISION,
        "check": Sealer(PASSPHRASE, derivation).check(),
        "sealed": [Sealed(name=name, sha256=DIGEST, size=1) for name in manifests.DATABASES],
        "objects": [],
    }
    return Manifest(**{**given, **fields})


def kept(key: str) -> Kept:
    return Kept(bucket="local-1", key=key, size=1, sha256=DIGEST, etag="e", modified=datetime.now(UTC))


# -- sealing ---------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 30))
def test_what_is_sealed_is_unsealed_however_it_is_cut(pieces: list[bytes], cut: int) -> None:
    whole = b"".join(SEALER.seal("service.db", pieces))
    cuts = [whole[start : start + cut] for start in range(0, len(whole), cut)]
    assert b"".join(SEALER.unseal("service.db", cuts)) == b"".join(pieces)
    assert not b"".join(pieces) or b"".join(pieces) not in whole or len(b"".join(pieces)) < 4


def test_what_is_sealed_in_several_pieces_is_unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_PIECE", 100)
    for size in (0, 1, 99, 100, 101, 200, 1000):
        content = os.urandom(size)
        assert b"".join(SEALER.unseal("a", SEALER.seal("a", [content]))) == content


def test_pieces_that_were_changed_exchanged_or_left_out_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_PIECE", 100)
    whole = b"".join(SEALER.seal("a", [os.urandom(350)]))
    salt, pieces = whole[:16], [whole[16 + 116 * number :][:116] for number in range(4)]
    flipped = bytearray(whole)
    flipped[200] ^= 1
    for changed in (
        bytes(flipped),
        salt + pieces[1] + pieces[0] + pieces[2] + pieces[3],
        salt + pieces[0] + pieces[1] + pieces[2],
        salt + pieces[0] + pieces[2] + pieces[3],
        whole[:-1],
        whole + b"\0",
        salt,
        b"",
    ):
        with pytest.raises(DamagedBackup):
            list(SEALER.unseal("a", [changed]))


def test_a_sealed_file_is_not_taken_for_another_one() -> None:
    with pytest.raises(DamagedBackup):
        list(SEALER.unseal("auth.db", SEALER.seal("service.db", [b"x"])))


def test_a_derivation_from_outside_is_bounded() -> None:
    salt = Derivation.fresh().salt
    for fields in ({"n": 1 << 30}, {"r": 1000}, {"p": 100}, {"n": 2}, {"salt": "x"}):
        with pytest.raises(ValidationError):
            Derivation.model_validate({"salt": salt, **fields})


# -- the manifest ----------------------------------------------------------------------------------------


def test_a_manifest_is_read_with_its_passphrase_alone() -> None:
    made = manifest(objects=[kept("modelregistry/a/b")])
    packed = manifests.written(made, Sealer(PASSPHRASE, made.derivation))
    assert manifests.proven(packed, "k", PASSPHRASE)[0] == made == manifests.read(packed, "k")
    with pytest.raises(WrongPassphrase):
        manifests.proven(packed, "k", "another one")


def test_a_manifest_that_was_changed_is_refused() -> None:
    made = manifest(objects=[kept("modelregistry/a/b")])
    packed = manifests.written(made, Sealer(PASSPHRASE, made.derivation))
    text = gzip.decompress(packed)
    changed = gzip.compress(text.replace(b"modelregistry/a/b", b"modelregistry/a/c"))
    with pytest.raises(DamagedBackup, match="was changed"):
        manifests.proven(changed, "k", PASSPHRASE)
    for damaged in (packed[:-20], b"", b"no gzip", gzip.compress(text[:100])):
        with pytest.raises(DamagedBackup):
            manifests.proven(damaged, "k", PASSPHRASE)


def test_a_manifest_of_a_later_format_says_so() -> None:
    made = manifest(format=manifests.FORMAT + 1)
    with pytest.raises(DamagedBackup, match="does not know"):
        manifests.read(manifests.written(made, SEALER), "k")


def test_a_manifest_that_nothing_could_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    made = manifest(objects=[kept("modelregistry/a/b")])
    longest = len(gzip.decompress(manifests.written(made, SEALER)))
    monkeypatch.setattr(manifests, "_MOST", longest)
    assert manifests.read(manifests.written(made, SEALER), "k") == made
    monkeypatch.setattr(manifests, "_MOST", longest - 1)
    with pytest.raises(CannotBackUp, match="cannot hold 1 object"):
        manifests.written(made, SEALER)


@pytest.mark.parametrize(
    "name", ["../service.db", "tls/../secrets.json", "/etc/passwd", "tls/", "run/x", "tls/a/b", ""]
)
def test_names_of_files_that_climb_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Sealed(name=name, sha256=DIGEST, size=1)


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/x", "a//b", ".", "a\\b", "a\nb"])
def test_keys_of_objects_that_climb_are_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        kept(key)
    for bucket in ("..", "a/b", "A"):
        with pytest.raises(ValidationError):
            Kept(**{**kept("x").model_dump(), "bucket": bucket})


# -- the place -------------------------------------------------------------------------------------------


def test_content_is_kept_once_and_read_back(place: BackupPlace) -> None:
    content = os.urandom(100)
    sha256 = hashlib.sha256(content).hexdigest()
    place.keep(sha256, [content[:50], content[50:]], 100)
    place.keep(sha256, content, 100)
    assert place.content() == {sha256: 100}
    assert b"".join(place.read(sha256, 100)) == content


def test_content_that_is_not_what_its_digest_says_is_neither_kept_nor_read(place: BackupPlace) -> None:
    with pytest.raises(DamagedBackup):
        place.keep(DIGEST, iter([b"y"]), 1)
    assert place.content() == {}
    place.bucket.put(f"content/{DIGEST[:2]}/{DIGEST}", b"y")
    with pytest.raises(DamagedBackup):
        list(place.read(DIGEST, 1))
    place.bucket.delete([f"content/{DIGEST[:2]}/{DIGEST}"])
    with pytest.raises(DamagedBackup, match="missing"):
        list(place.read(DIGEST, 1))


def test_only_what_has_a_manifest_is_a_backup(place: BackupPlace) -> None:
    with pytest.raises(NoSuchBackup):
        place.newest()
    place.keep(DIGEST, b"x", 1)
    place.bucket.put("backups/notes.txt", b"x")
    assert place.ids() == []
    older, newer = manifest(), manifest(id="20261201T000000Z-0123abcd")
    for each in (newer, older):
        place.finish(each.id, manifests.written(each, SEALER))
    assert place.ids() == [newer.id, older.id] and place.newest() == newer.id
    assert place.manifest(older.id) == older
    for wrong in ("../x", "20261130T000001Z-0123abcd"):
        with pytest.raises(NoSuchBackup):
            place.packed(wrong)


def test_a_list_names_backups_that_cannot_be_read_beside_those_that_can(place: BackupPlace, tmp_path: Path) -> None:
    sound = finished(place, objects=[kept("a")])
    cut, later = "20261201T000000Z-0123abcd", manifest(id="20261202T000000Z-0123abcd", format=manifests.FORMAT + 1)
    place.bucket.put(f"backups/{cut}.json.gz", manifests.written(sound, SEALER)[:-20])
    place.finish(later.id, manifests.written(later, SEALER))
    done = CliRunner().invoke(app, ["backups", "list", str(tmp_path / "place")])
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert list(lines) == [later.id, cut, sound.id]
    assert "does not know" in lines[later.id] and "cut off" in lines[cut] and "m:/h" in lines[sound.id]
    listed = json.loads(CliRunner().invoke(app, ["backups", "list", str(tmp_path / "place"), "--json"]).stdout)
    assert ["damaged" in each for each in listed] == [True, True, False]


def test_a_backup_that_was_damaged_is_found_without_its_passphrase(place: BackupPlace) -> None:
    made = manifest(objects=[kept("a")])
    place.finish(made.id, manifests.written(made, Sealer(PASSPHRASE, made.derivation)))
    with pytest.raises(DamagedBackup, match="missing"):
        list(restoring.verify(place, made.id, None))
    place.keep(DIGEST, b"x", 1)
    assert list(restoring.verify(place, made.id, None))
    with pytest.raises(DamagedBackup):
        list(restoring.verify(place, made.id, PASSPHRASE))  # the sealed content is one letter


def test_only_a_backup_of_the_same_passphrase_that_nobody_changed_spares_reading_objects(place: BackupPlace) -> None:
    older = finished(place, objects=[kept("older")])
    newer = manifest(id="20261201T000000Z-0123abcd", objects=[kept("newer")])
    packed = manifests.written(newer, Sealer(PASSPHRASE, newer.derivation))
    text = gzip.decompress(packed)
    forged = gzip.compress(text.replace(DIGEST.encode(), hashlib.sha256(b"y").hexdigest().encode()))
    place.finish(newer.id, forged)
    known = taking._known(place, older.platform, PASSPHRASE)
    assert [(key, each.sha256) for (_, key), each in known.items()] == [("older", DIGEST)]
    place.bucket.put(f"backups/{newer.id}.json.gz", packed)
    assert {key for _, key in taking._known(place, older.platform, PASSPHRASE)} == {"newer"}
    assert taking._known(place, "another platform", PASSPHRASE) == {}
    assert taking._known(place, older.platform, "another passphrase") == {}


# -- databases -------------------------------------------------------------------------------------------


def databases_in(home: Home) -> None:
    home.create()
    for path in snapshots.files_of(home).values():
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE t (x)")
            database.commit()


def test_databases_are_copied_as_they_were_at_one_moment(tmp_path: Path) -> None:
    home = Home(tmp_path / "h")
    databases_in(home)
    files = snapshots.files_of(home)
    writers = {name: sqlite3.connect(path, isolation_level=None) for name, path in files.items()}
    try:
        with snapshots.one_moment(home) as readers:
            for name, writer in writers.items():
                writer.execute("INSERT INTO t VALUES ('later')")
                snapshots.copy(readers[name], tmp_path / name)
                with closing(sqlite3.connect(tmp_path / name)) as copied:
                    assert copied.execute("SELECT count(*) FROM t").fetchone() == (0,), name
                assert writer.execute("SELECT count(*) FROM t").fetchone() == (1,), "a writer was kept waiting"
    finally:
        for writer in writers.values():
            writer.close()


def test_a_database_that_somebody_writes_to_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "h")
    databases_in(home)
    monkeypatch.setattr(snapshots, "_PATIENCE", 0.01)
    with closing(sqlite3.connect(home.mlflow_database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(CannotBackUp, match="without a pause"), snapshots.one_moment(home):
            pass
        writer.execute("ROLLBACK")
        with snapshots.one_moment(home) as readers:
            assert set(readers) == set(manifests.DATABASES)


def test_a_home_without_a_platform_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotBackUp, match="no platform"):
        taking.require_home(Home(tmp_path / "h"))


def test_a_server_of_postgresql_that_is_away_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_snapshots, "_CONNECTING", 0.0)
    home = Home(tmp_path / "h")
    home.create()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    keep(home, Choice(f"postgresql://registry:secret@127.0.0.1:{port}/registry"))
    with pytest.raises(CannotBackUp, match="cannot be reached") as refused, taking._one_moment(home):
        pass
    assert "secret" not in str(refused.value)


def test_the_backup_of_a_running_platform_goes_on_when_its_secrets_are_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, after = Home(tmp_path / "h"), Secrets()
    home.create()
    choose_ports(home)
    before = load_secrets(home)

    def runs(_: Home) -> NoReturn:
        raise StillRunning("The platform is running")

    monkeypatch.setattr(lifecycle, "stopped", runs)
    with taking._object_store(home) as store:
        signs_with = store._newest(before.object_store_admin)
        assert signs_with() == before.object_store_admin
        save_secrets(home, after)
        assert signs_with() == after.object_store_admin


# -- the home that is restored into ----------------------------------------------------------------------


def finished(place: BackupPlace, **fields: Any) -> Manifest:
    made = manifest(**fields)
    place.finish(made.id, manifests.written(made, Sealer(PASSPHRASE, made.derivation)))
    return made


def fill_folder(root: Path) -> None:
    root.mkdir()
    (root / "x").touch()


@pytest.mark.parametrize("fill", [fill_folder, Path.touch])
def test_a_home_that_holds_something_is_not_restored_into(
    tmp_path: Path, place: BackupPlace, fill: Callable[[Path], None]
) -> None:
    finished(place)
    fill(tmp_path / "h")
    with pytest.raises(restoring.CannotRestore, match="not empty"):
        list(restoring.restore(Home(tmp_path / "h"), place.bucket, PASSPHRASE))


def test_a_home_that_was_filled_while_its_manifest_was_read_is_not_restored_into(
    tmp_path: Path, place: BackupPlace
) -> None:
    home = Home(tmp_path / "h")
    finished(place)
    # By another restoration, which is done.
    home.root.mkdir()
    home.restoring_file.write_text("{}")
    work = restoring.restore(home, place.bucket, PASSPHRASE)
    assert next(work).what == "reading the manifest"
    home.secrets_file.write_text("of the other one")
    home.restoring_file.unlink()
    with pytest.raises(restoring.CannotRestore, match="not empty"):
        next(work)
    assert home.secrets_file.exists() and not home.restoring_file.exists()


def test_a_restoration_that_waits_for_the_file_of_one_that_ends_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    home.restoring_file.write_text("{}")
    home.secrets_file.write_text("of the other one")
    lock = fcntl.flock

    def end_first(file: TextIO, operation: int) -> None:
        home.restoring_file.unlink()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", end_first)
    with pytest.raises(Busy, match="just restored"), restoring._being_restored(home, "file:///b", "1"):
        pass
    assert home.secrets_file.exists()


def test_a_backup_of_a_newer_version_or_without_a_database_is_refused_before_anything_is_made(
    tmp_path: Path, place: BackupPlace
) -> None:
    home = Home(tmp_path / "h")
    finished(place, revision="9999")
    with pytest.raises(restoring.CannotRestore, match="newer version"):
        list(restoring.restore(home, place.bucket, PASSPHRASE))
    shutil.rmtree(tmp_path / "place" / "backups")
    finished(place, sealed=[])
    with pytest.raises(DamagedBackup, match="lacks"):
        list(restoring.restore(home, place.bucket, PASSPHRASE))
    with pytest.raises(WrongPassphrase):
        list(restoring.restore(home, place.bucket, "another one"))
    assert not home.root.exists()


def test_a_database_that_cannot_take_the_rows_is_refused_before_anything_is_restored(
    tmp_path: Path, place: BackupPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(place)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "h"))
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # where nobody listens
        url = f"postgresql://registry@127.0.0.1:{taken.getsockname()[1]}/registry"
        refused = CliRunner().invoke(app, ["restore", str(tmp_path / "place"), "--database", url])
    assert isinstance(refused.exception, CannotMove)
    assert not (tmp_path / "h").exists()


def test_a_restoration_whose_rows_cannot_be_moved_says_that_the_home_is_whole(
    tmp_path: Path, place: BackupPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finished(place)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "h"))
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)

    def restored(*_: object) -> Generator[taking.Progress, None, tuple[Manifest, list[str]]]:
        yield from ()
        return made, []

    def fail(*_: object) -> NoReturn:
        raise CannotMove("The server is away", action="Start it")

    monkeypatch.setattr(restoring, "restore", restored)
    monkeypatch.setattr(moving, "require_place", lambda choice: None)
    monkeypatch.setattr(moving, "bring_rows", fail)
    url = "postgresql://registry@127.0.0.1/registry"
    refused = CliRunner().invoke(app, ["restore", str(tmp_path / "place"), "--database", url])
    assert isinstance(refused.exception, PlatformError)
    assert "is restored" in refused.exception.message and "The server is away" in refused.exception.message
    assert "registry-tui database move" in str(refused.exception.action)


def test_a_restoration_that_failed_leaves_a_home_that_does_not_start_and_begins_again(
    tmp_path: Path, place: BackupPlace
) -> None:
    home = Home(tmp_path / "h")
    finished(place)
    with pytest.raises(DamagedBackup, match="missing"):
        list(restoring.restore(home, place.bucket, PASSPHRASE))
    assert json.loads(home.restoring_file.read_text())["backup"] == "20261130T000000Z-0123abcd"
    home.secrets_file.write_text("half")
    with pytest.raises(DamagedBackup, match="missing"):
        list(restoring.restore(home, place.bucket, PASSPHRASE))
    assert not home.secrets_file.exists(), "what the first one left is there still"
    with pytest.raises(HomeUnusable, match="restoration"):
        list(lifecycle.up(home))
