"""The Python environment that a model's replicas run in: the platform's own where it satisfies the model's
requirements, else one made from them with uv, once for all models with the same requirements.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import uv
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import registry_tui
from registry_tui.service.core.context import Service
from registry_tui.service.deployments.model_requirements import (
    Wanted,
    canonical,
    check_indexes,
    missing_here,
    same_python,
    sha256,
)
from registry_tui.service.deployments.requirement_files import Requirements
from registry_tui.service.errors import InvalidInput, WrongState

#: Written last: an environment with it is complete. Its modification time is the last use.
MARK = "complete.json"
#: Packages that a replica itself needs in addition to the model's requirements.
_SERVING = ("uvicorn", "httptools", "uvloop", "orjson")
#: Longest seconds for making an environment, and seconds between two checks that it is still wanted.
LONGEST, CHECK_EVERY = 1800.0, 0.5
#: The name of the environment that the platform itself runs in.
PLATFORM = "platform"

Log = Callable[[str], None]


@dataclass(frozen=True)
class PythonEnvironment:
    """An environment that is ready: `key` is `platform` or a digest of its requirements."""

    key: str
    python: Path
    #: Whether it had to be made now.
    built: bool = False


def ensure(service: Service, wanted: Wanted, log: Log, check: Callable[[], None] = lambda: None) -> PythonEnvironment:
    """An environment that satisfies the requirements; made now if missing.

    Raises InvalidInput naming the unsatisfiable requirement, WrongState.
    """
    if wanted.left_out:
        log(f"not installed, because only pip's packages are: conda's {', '.join(wanted.left_out)}")
    if wanted.python and same_python(wanted.python) and wanted.python != platform.python_version():
        log(f"the model asks for Python {wanted.python}; the nearest here is {platform.python_version()}")
    missing = missing_here(wanted)
    if not missing:
        log("the platform's environment satisfies all requirements")
        return PythonEnvironment(PLATFORM, Path(sys.executable))
    check_indexes(wanted, service.settings.package_indexes)
    key = key_of(wanted, service.settings.package_indexes)
    folder = service.home.serving / "environments" / key
    python = folder / "bin" / "python"
    # One build of an environment at a time; the second build finds the result of the first.
    with service.locks.of(f"environment {key}"):
        if (folder / MARK).is_file():
            mark_used(folder)
            log(f"environment {key} was made earlier from the same requirements")
            return PythonEnvironment(key, python)
        log(f"the platform's environment lacks {', '.join(missing)}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _build(wanted, folder, log, check, service.settings.package_indexes)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        lines = [required.text for required in wanted.requirements.required]
        (folder / MARK).write_text(json.dumps({"requirements": lines}), encoding="utf-8")
    return PythonEnvironment(key, python, built=True)


def used_at(folder: Path) -> float | None:
    """The time of an environment's last use, in seconds since 1970; None for an incomplete one."""
    try:
        return (folder / MARK).stat().st_mtime
    except OSError:
        return None


def mark_used(folder: Path) -> None:
    """Marks an environment as used now."""
    with suppress(OSError):  # a full or read-only disk takes no rollout away
        os.utime(folder / MARK)


def of_key(service: Service, key: str) -> Path:
    """The Python of an environment that was made. Raises WrongState if it does not exist any more."""
    if key == PLATFORM:
        return Path(sys.executable)
    python = service.home.serving / "environments" / key / "bin" / "python"
    if not python.exists():
        raise WrongState(f"The environment {key} is gone", action="Deploy the version again")
    return python


def key_of(wanted: Wanted, indexes: Sequence[str] = ()) -> str:
    """Names an environment by its requirements, in any order, with the contents of archives next to the model."""
    named = wanted.requirements
    lines = sorted(canonical(required) for required in named.required)
    # Without constraints, options and folders the key stays that of earlier releases.
    lines += [f"constraint {each}" for each in sorted(canonical(required) for required in named.constraints)]
    lines += sorted(named.options)
    archives = [path for folder in named.folders for path in folder.iterdir() if path.is_file()]
    lines += sorted(f"{path.name} {sha256(path)}" for path in archives)
    lines += [f"index {each}" for each in indexes]
    lines += _needed_to_check(named)
    text = "\n".join([*lines, *_serving_requirements(), wanted.python or "", platform.python_version(), sys.prefix])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _needed_to_check(named: Requirements) -> list[str]:
    """The package with which a replica checks signatures, unless the model's MLflow requires it: older ones do not."""
    names = {required.name for required in named.required}
    if "cryptography" in names or not names & {"mlflow", "mlflow-skinny"}:
        return []
    ours = f"mlflow=={version('mlflow')}"
    return [] if any(required.text.replace(" ", "") == ours for required in named.required) else ["cryptography"]


def _serving_requirements() -> list[str]:
    return [f"{name}=={version(name)}" for name in _SERVING]


def lines_of(named: Requirements) -> list[str]:
    """The requirements of a model and of its replica, as lines for uv."""
    names = {required.name for required in named.required}
    # The model's own version of a package wins: the replica uses only features of all versions of these packages.
    own = [line for line in _serving_requirements() if line.partition("==")[0] not in names]
    if not names & {"mlflow", "mlflow-skinny"}:
        own.append(f"mlflow=={version('mlflow')}")
    own += _needed_to_check(named)
    return [*named.options, *(required.line for required in named.required), *own]


def installed(python: Path) -> list[str]:
    """The packages of an environment with their versions, `name==version`. Raises WrongState."""
    command = [uv.find_uv_bin(), "pip", "freeze", "--python", str(python)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise WrongState(f"The packages of {python} cannot be read", action="Deploy the version again")
    return [line for line in done.stdout.split() if "==" in line and not line.startswith("registry-tui==")]


def _build(wanted: Wanted, folder: Path, log: Log, check: Callable[[], None], indexes: Sequence[str] = ()) -> None:
    """Makes an environment with uv, whose cache all environments share. Raises InvalidInput."""
    program = uv.find_uv_bin()
    named = wanted.requirements
    for required in named.required:
        if required.url.startswith("git+") and shutil.which("git") is None:
            raise InvalidInput(
                f"The requirement {required.text} is fetched with git, which is not installed on this machine",
                action="Install git, or log the model with a released version of the package",
            )
        if required.url:
            log(f"{required.text} is fetched from its own address: the file there may change")
    output: list[str] = []
    made = [program, "venv", "--quiet", "--no-project", "--python-preference", "only-system"]
    if _run([*made, "--python", _find_python(program, wanted.python, log), str(folder)], log, check, output):
        raise InvalidInput(
            f"No environment can be made: {output[-1] if output else 'uv gave no reason'}",
            action="See the workflow's log",
        )
    lists = folder / "lists"
    lists.mkdir()
    (lists / "requirements.txt").write_text("\n".join(lines_of(named)) + "\n", encoding="utf-8")
    (lists / "constraints.txt").write_text("".join(f"{each.line}\n" for each in named.constraints), encoding="utf-8")
    install = [program, "pip", "install", "--color", "never", "--python", str(folder / "bin" / "python")]
    install += ["-r", str(lists / "requirements.txt"), "-c", str(lists / "constraints.txt")]
    for beside in named.folders:
        install += ["--find-links", str(beside)]
    output.clear()
    # In the environment instead of the command line, because an index's address may hold a password.
    variables = {"UV_INDEX": " ".join(indexes)} if indexes else {}
    if _run(install, log, check, output, variables):
        texts = [required.text for required in named.required]
        raise InvalidInput(_what_failed(texts, output), action="Log the model with requirements that exist")
    # uv lets everybody write its lock, for environments that users share.
    (folder / ".lock").unlink(missing_ok=True)
    # The replica's own code, which imports only packages installed there.
    for site in (folder / "lib").glob("python*/site-packages"):
        (site / "registry_tui").symlink_to(Path(registry_tui.__file__).parent)


def _find_python(program: str, wanted: str | None, log: Log) -> str:
    """The interpreter for a version: the platform's own for its minor version, else the nearest patch on this machine.

    Raises InvalidInput when the machine has none of that minor version.
    """
    if wanted is None or same_python(wanted):
        return sys.executable
    listing = [program, "python", "list", "--only-installed", "--output-format", "json"]
    answer = subprocess.run(listing, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    numbers = [int(part) for part in wanted.split(".")]
    nearest: tuple[int, str, str] | None = None
    for each in json.loads(answer.stdout or "[]"):
        parts = each["version_parts"]
        plain = each["implementation"] == "cpython" and each.get("variant", "default") == "default"
        if plain and [parts["major"], parts["minor"]][: len(numbers)] == numbers[:2]:
            far = abs(parts["patch"] - numbers[2]) if len(numbers) > 2 else -parts["patch"]
            candidate = (far, str(each["path"]), str(each["version"]))
            nearest = candidate if nearest is None else min(nearest, candidate)
    if nearest is None:
        minor = ".".join(wanted.split(".")[:2])
        raise InvalidInput(
            f"The model was logged with Python {wanted}, and no Python {minor} is installed on this machine",
            action=f"Install it, or log the model with Python {platform.python_version()}",
        )
    if nearest[2] != wanted:
        log(f"the model asks for Python {wanted}; the nearest here is {nearest[2]}")
    return nearest[1]


def _run(
    command: Sequence[str],
    log: Log,
    check: Callable[[], None],
    messages: list[str],
    variables: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Runs a command, logging each line of its output; ends it when `check` raises, also while it prints nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, **variables},
    )
    output = process.stdout
    assert output is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        with output:
            for line in output:
                lines.put(line.rstrip())
        lines.put(None)

    threading.Thread(target=read, name="environment-output", daemon=True).start()
    until = time.monotonic() + LONGEST
    try:
        while True:
            try:
                text = lines.get(timeout=CHECK_EVERY)
            except queue.Empty:
                text = ""
            if text is None:
                break
            if text:
                messages.append(text)
                log(text)
            check()
            if time.monotonic() > until:
                messages.append(f"ended: it took more than {LONGEST / 60:.0f} minutes")
                process.kill()
    except BaseException:
        process.kill()
        raise
    finally:
        code = process.wait()
    return code


def _what_failed(requirements: Sequence[str], output: Sequence[str]) -> str:
    """Names the requirements that uv's message is about."""
    text = " ".join(output)
    guilty = [
        line
        for line in requirements
        if (name := _name(line)) and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-]*\w)", text, re.IGNORECASE)
    ]
    last = output[-1].strip("╰─▶ ") if output else "uv gave no reason"
    if guilty:
        return f"The requirement {', '.join(guilty[:3])} cannot be installed: {last}"
    return f"The requirements cannot be installed: {last}"


def _name(line: str) -> str:
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return ""
