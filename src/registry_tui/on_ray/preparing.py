"""A node's copies of archives and Python environments, checked before any of it runs. Standard library only."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from registry_tui.contracts import archive_check, file_paths
from registry_tui.contracts.carried import Carried
from registry_tui.contracts.replica_spec import ReplicaSpec

#: Where a node keeps copies; the variable names another folder.
CACHE_VARIABLE = "REGISTRY_TUI_NODE_CACHE"
#: Seconds after which an unused copy is removed. Running replicas touch their copies every few minutes.
KEPT_SECONDS = 7 * 86400.0
#: The timeout of a download in seconds without a byte, and that of making an environment.
_SILENT_SECONDS, _BUILD_SECONDS = 60.0, 1800.0
_CHUNK = 1 << 20
_COMPLETE = "complete"

Log = Callable[[str], None]


class CannotPrepare(Exception):
    """Why a node cannot serve a version, as a sentence."""


@dataclass(frozen=True)
class Prepared:
    """The files that a replica's process is started with."""

    python: Path
    spec: ReplicaSpec
    spec_file: Path


def cache() -> Path:
    """The folder of this node's copies; made when it is missing. Raises OSError."""
    named = os.environ.get(CACHE_VARIABLE)
    folder = Path(named) if named else Path.home() / ".cache" / "registry-tui" / "node"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def prepare(carried: Carried, folder: Path, log: Log) -> Prepared:
    """Fetches the archive and makes the environment unless this node has them; `folder` is the replica's own.

    Raises CannotPrepare, OSError.
    """
    place = cache()
    drop_unused(place)
    model = _archive(carried, place, log)
    python = _environment(carried, model, place, log)
    spec = replace(
        carried.spec,
        model=str(model),
        socket=str(folder / "s"),
        manifest_sha256=carried.manifest_sha256,
        signature=_written(folder / "signature", carried.signature),
        trusted_keys=_written(folder / "trusted", carried.trusted_keys),
        files="",
        shared=False,
    )
    spec_file = folder / "spec.json"
    spec_file.touch(mode=0o600)
    spec_file.write_text(spec.to_json(), encoding="utf-8")
    return Prepared(python, spec, spec_file)


def still_used(carried: Carried) -> None:
    """Notes that a replica of this node uses its copies."""
    place = cache()
    for used in (_model_folder(place, carried), _environment_folder(place, carried)):
        if used.exists():
            os.utime(used)


def drop_unused(place: Path) -> None:
    """Removes copies that no replica has used for days, also incomplete ones."""
    for each in [*(place / "models").glob("*"), *(place / "environments").glob("*")]:
        if each.is_dir() and time.time() - each.stat().st_mtime > KEPT_SECONDS:
            with _alone(place, each.name):
                shutil.rmtree(each, ignore_errors=True)


def _written(path: Path, content: str) -> str:
    if not content:
        return ""
    path.write_bytes(base64.b64decode(content))
    return str(path)


# -- archives ------------------------------------------------------------------------------------------------


def _model_folder(place: Path, carried: Carried) -> Path:
    return place / "models" / carried.manifest_sha256


def _archive(carried: Carried, place: Path, log: Log) -> Path:
    """The archive on this node, by the digest of its manifest. Raises CannotPrepare, OSError."""
    target = _model_folder(place, carried)
    manifest = base64.b64decode(carried.manifest)
    if hashlib.sha256(manifest).hexdigest() != carried.manifest_sha256:
        raise CannotPrepare("The manifest of the archive is not the one that the registry has")
    with _alone(place, target.name):
        if target.exists():
            try:
                archive_check.check(target)
                os.utime(target)
                return target
            except (archive_check.ArchiveDamaged, OSError):
                shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
        try:
            (partial / archive_check.MANIFEST).write_bytes(manifest)
            began = time.monotonic()
            (partial / archive_check.FILES).mkdir()
            for path, url in carried.files.items():
                if problem := file_paths.problem(path):
                    raise CannotPrepare(f"The archive's manifest names {path[:200]!r}, whose path {problem}")
                _download(url, partial / archive_check.FILES / path, path)
            archive_check.check(partial)
            partial.rename(target)
        except archive_check.ArchiveDamaged as error:
            raise CannotPrepare(f"The archive that was fetched is damaged: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    log(f"fetched the archive: all sums as in the manifest ({time.monotonic() - began:.1f} s)")
    return target


def _download(url: str, target: Path, path: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Without proxies: the address is that of the registry's store.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=_SILENT_SECONDS) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file, _CHUNK)
    except urllib.error.HTTPError as error:
        raise CannotPrepare(f"The store answers {error.code} for {path}: the address may have expired") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        host = urllib.parse.urlsplit(url).netloc
        raise CannotPrepare(f"This node does not reach the registry's store at {host}: {reason}") from None


# -- environments --------------------------------------------------------------------------------------------


def _environment_folder(place: Path, carried: Carried) -> Path:
    made_of = [carried.python, carried.requirements, carried.constraints, carried.indexes]
    # Archives next to the model are a part of its requirements.
    made_of += [carried.manifest_sha256] if carried.folders else []
    text = json.dumps([*made_of, sys.platform], sort_keys=True)
    return place / "environments" / hashlib.sha256(text.encode()).hexdigest()[:32]


def _environment(carried: Carried, model: Path, place: Path, log: Log) -> Path:
    """The Python that the model requires, with the packages that the registry chose. Raises CannotPrepare, OSError."""
    target = _environment_folder(place, carried)
    python = target / "bin" / "python"
    with _alone(place, target.name):
        if (target / _COMPLETE).exists():
            os.utime(target)
            return python
        began = time.monotonic()
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            uv = _uv()
            _run([uv, "venv", "--quiet", "--no-project", "--python", carried.python, str(target)])
            lists = {"requirements": carried.requirements, "constraints": carried.constraints}
            files = archive_check.FILES
            for name, lines in lists.items():
                text = "".join(f"{line.replace('{model}', str(model / files))}\n" for line in lines)
                (target / f"{name}.txt").write_text(text, encoding="utf-8")
            command = [uv, "pip", "install", "--quiet", "--color", "never", "--python", str(python)]
            command += ["-r", str(target / "requirements.txt"), "-c", str(target / "constraints.txt")]
            for folder in carried.folders:
                command += ["--find-links", str(model / files / folder)]
            _run(command, {"UV_INDEX": " ".join(carried.indexes)} if carried.indexes else {})
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        (target / _COMPLETE).touch()
    log(f"made the model's environment ({time.monotonic() - began:.1f} s)")
    return python


def _uv() -> str:
    """The program that makes environments. Raises CannotPrepare."""
    if importlib.util.find_spec("uv") is not None:
        import uv

        return str(uv.find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        raise CannotPrepare("This node has no uv, which makes the model's environment: install it beside Ray")
    return found


def _run(command: list[str], variables: Mapping[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
            env={**clean_variables(), **(variables or {})},
        )
    except subprocess.TimeoutExpired:
        raise CannotPrepare("Making the model's environment took too long") from None
    if done.returncode:
        reason = " ".join(done.stderr.split())[-1000:] or "uv gave no reason"
        raise CannotPrepare(f"The model's environment cannot be made on this node: {reason}")


def clean_variables() -> dict[str, str]:
    """This process's variables without Ray's own and those that choose a Python or its packages."""
    dropped = ("RAY_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


@contextmanager
def _alone(place: Path, name: str) -> Iterator[None]:
    """Locks the copy of this name against other processes of this node."""
    locks = place / "locks"
    locks.mkdir(mode=0o700, exist_ok=True)
    with (locks / name).open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
