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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import registry_tui
from registry_tui.service.context import Service
from registry_tui.service.errors import InvalidInput, WrongState

#: Written last: what has it is whole.
_MARK = "complete.json"
#: What a replica itself needs beside the model's requirements.
_SERVING = ("uvicorn", "httptools", "uvloop")
#: Seconds that making an environment may take, and between two looks whether it is still wanted.
LONGEST, CHECK_EVERY = 1800.0, 0.5
#: The name of the environment that the platform itself runs in.
PLATFORM = "platform"

_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()

Log = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What a model asks for: requirement lines, and the Python it was logged with (`3.11.2`), if it says so."""

    requirements: tuple[str, ...]
    python: str | None


@dataclass(frozen=True)
class PythonEnvironment:
    """An environment that is ready: `key` is `platform` or the digest of what it was made of."""

    key: str
    python: Path
    #: Whether it had to be made now.
    built: bool = False


def read_wanted(model: Path) -> Wanted:
    """What the model in a folder asks for. Raises InvalidInput when it does not say so."""
    python = None
    environment = model / "python_env.yaml"
    if environment.is_file():
        python = str(_yaml(environment).get("python") or "") or None
    requirements = model / "requirements.txt"
    if requirements.is_file():
        lines = _lines(requirements.read_text(encoding="utf-8", errors="replace"))
    elif (model / "conda.yaml").is_file():
        lines = tuple(_of_conda(_yaml(model / "conda.yaml")))
    else:
        raise InvalidInput(
            "The model does not say what it requires: its archive has neither requirements.txt nor conda.yaml",
            action="Log it again with MLflow's log_model, which writes them, and register that as a new version",
        )
    return Wanted(lines, python)


def _lines(text: str) -> tuple[str, ...]:
    found = (line.split(" #")[0].strip() for line in text.splitlines())
    return tuple(line for line in found if line and not line.startswith("#"))


def _of_conda(values: dict[str, Any]) -> Iterator[str]:
    for dependency in values.get("dependencies", ()):
        if isinstance(dependency, dict):
            yield from (str(line) for line in dependency.get("pip", ()))


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path.name} of the model is damaged: {error}", action="Log the model again") from error
    return found if isinstance(found, dict) else {}


def missing_here(wanted: Wanted) -> list[str]:
    """Those requirements that the platform's own environment does not satisfy, each with what is here instead."""
    missing = []
    if wanted.python and not same_python(wanted.python):
        missing.append(f"Python {wanted.python} (here {platform.python_version()})")
    for line in wanted.requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            missing.append(f"{line} (not a plain requirement)")
            continue
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            here = version(requirement.name)
        except PackageNotFoundError:
            missing.append(f"{line} (not installed here)")
            continue
        if requirement.url or not requirement.specifier.contains(here, prereleases=True):
            missing.append(f"{line} (here {here})")
    return missing


def same_python(wanted: str) -> bool:
    """Whether a wanted Python has this one's major and minor number: what is pickled by one the other loads."""
    return wanted.split(".")[:2] == platform.python_version().split(".")[:2]


def ensure(service: Service, wanted: Wanted, log: Log, check: Callable[[], None] = lambda: None) -> PythonEnvironment:
    """An environment that satisfies the requirements; made now when there is none yet.

    Raises InvalidInput naming the requirement that cannot be had, WrongState.
    """
    missing = missing_here(wanted)
    if not missing:
        log("the platform's environment satisfies all requirements")
        return PythonEnvironment(PLATFORM, Path(sys.executable))
    key = key_of(wanted)
    folder = service.home.serving / "environments" / key
    python = folder / "bin" / "python"
    with _alone(key):
        if (folder / _MARK).is_file():
            log(f"environment {key} was made earlier from the same requirements")
            return PythonEnvironment(key, python)
        log(f"the platform's environment lacks {', '.join(missing)}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _build(wanted, folder, log, check)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        (folder / _MARK).write_text(json.dumps({"requirements": wanted.requirements}), encoding="utf-8")
    return PythonEnvironment(key, python, built=True)


def of_key(service: Service, key: str) -> Path:
    """The Python of an environment that was made. Raises WrongState when it is gone."""
    if key == PLATFORM:
        return Path(sys.executable)
    python = service.home.serving / "environments" / key / "bin" / "python"
    if not python.exists():
        raise WrongState(f"The environment {key} is gone", action="Deploy the version again")
    return python


def key_of(wanted: Wanted) -> str:
    """Names an environment by what it is made of, in any order."""
    lines = sorted(_canonical(line) for line in wanted.requirements)
    text = "\n".join([*lines, *_serving_requirements(), wanted.python or "", platform.python_version(), sys.prefix])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(line: str) -> str:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return line
    extras = ",".join(sorted(requirement.extras))
    name = canonicalize_name(requirement.name)
    return f"{name}[{extras}]{requirement.specifier}@{requirement.url or ''};{requirement.marker or ''}"


def _serving_requirements() -> list[str]:
    return [f"{name}=={version(name)}" for name in _SERVING]


def _build(wanted: Wanted, folder: Path, log: Log, check: Callable[[], None]) -> None:
    """Makes an environment with uv, whose cache all environments share. Raises InvalidInput."""
    import uv

    for line in wanted.requirements:
        if line.startswith("-"):
            raise InvalidInput(
                f"The requirement {line!r} is an option of pip, which is not followed here",
                action="Log the model with plain requirements",
            )
    program = uv.find_uv_bin()
    python = sys.executable if wanted.python is None or same_python(wanted.python) else wanted.python
    made = [program, "venv", "--quiet", "--no-project", "--python-preference", "only-system", "--python", python]
    said: list[str] = []
    if _run([*made, str(folder)], log, check, said):
        raise InvalidInput(
            f"The model was logged with Python {wanted.python}, which is not installed on this machine",
            action=f"Install it, or log the model with Python {platform.python_version()}",
        )
    own = _serving_requirements()
    if not any(_name(line) in ("mlflow", "mlflow-skinny") for line in wanted.requirements):
        own.append(f"mlflow=={version('mlflow')}")
    install = [program, "pip", "install", "--color", "never", "--python", str(folder / "bin" / "python")]
    said.clear()
    if _run([*install, *wanted.requirements, *own], log, check, said):
        raise InvalidInput(_what_failed(wanted.requirements, said), action="Log the model with requirements that exist")
    # uv lets everybody write its lock, for environments that users share.
    (folder / ".lock").unlink(missing_ok=True)
    # The replica's own code, which imports nothing but what is installed there.
    for site in (folder / "lib").glob("python*/site-packages"):
        (site / "registry_tui").symlink_to(Path(registry_tui.__file__).parent)


def _run(command: Sequence[str], log: Log, check: Callable[[], None], said: list[str]) -> int:
    """Runs a command, with each line that it says logged; ends it when `check` raises, also while it says nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
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
                said.append(text)
                log(text)
            check()
            if time.monotonic() > until:
                said.append(f"ended: it took more than {LONGEST / 60:.0f} minutes")
                process.kill()
    except BaseException:
        process.kill()
        raise
    finally:
        code = process.wait()
    return code


def _what_failed(requirements: Sequence[str], said: Sequence[str]) -> str:
    """Names the requirements that uv's message is about."""
    text = " ".join(said)
    guilty = [
        line
        for line in requirements
        if (name := _name(line)) and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-]*\w)", text, re.IGNORECASE)
    ]
    last = said[-1].strip("╰─▶ ") if said else "uv gave no reason"
    if guilty:
        return f"The requirement {', '.join(guilty[:3])} cannot be installed: {last}"
    return f"The requirements cannot be installed: {last}"


def _name(line: str) -> str:
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return ""


@contextmanager
def _alone(key: str) -> Iterator[None]:
    """One build of an environment at a time; the second finds what the first has made."""
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        yield
