"""A model's requirements and its Python, and whether the platform's own environment satisfies them."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from registry_tui.contracts import bounded_yaml
from registry_tui.contracts.bounded_yaml import InvalidYaml
from registry_tui.service.deployments import requirement_files
from registry_tui.service.deployments.requirement_files import Required, Requirements
from registry_tui.service.errors import InvalidInput

_NOT_INSTALLED = "not installed here"
_VERSION = re.compile(r"\d{1,3}(\.\d{1,3}){0,2}")
#: `channel::name[build]=1.2` and such.
_CONDA_NAME = re.compile(r"\s*(?:[^\s:]+::)?([\w.-]+).*", re.DOTALL)
_CONDA_PYTHON = re.compile(r"python\s*={1,2}\s*(\d+(?:\.\d+){1,2})(?:\.\*|=.*)?")


@dataclass(frozen=True)
class Wanted:
    """A model's requirements, and the Python it was logged with (`3.11.2`), if stated."""

    requirements: Requirements
    python: str | None
    #: Packages of conda, which are not installed: only pip's are.
    left_out: tuple[str, ...] = ()


def read_wanted(model: Path) -> Wanted:
    """The requirements of the model in a folder. Raises InvalidInput if it states none, or they are not supported."""
    conda = _values(model / "conda.yaml")
    virtualenv = _values(model / "python_env.yaml")
    python = _python_version(virtualenv.get("python")) or _conda_python(conda)
    path = model / "requirements.txt"
    if path.is_file():
        found = requirement_files.read(path, model)
    elif conda:
        found = requirement_files.of_lines(_pip_lines(conda), model)
    elif isinstance(dependencies := virtualenv.get("dependencies"), list):
        found = requirement_files.of_lines([str(each) for each in dependencies], model)
    else:
        raise InvalidInput(
            "The model states no requirements: its archive has neither requirements.txt nor conda.yaml",
            action="Log it again with MLflow's log_model, which writes them, and register that as a new version",
        )
    return Wanted(found, python, left_out(conda))


def left_out(conda: Mapping[str, Any]) -> tuple[str, ...]:
    """The packages of a conda.yaml that are not installed here: all but Python and those of pip."""
    own = [each for each in _dependencies(conda) if isinstance(each, str)]
    return tuple(each for each in own if _CONDA_NAME.sub(r"\1", each).lower() not in ("python", "pip"))


def _dependencies(conda: Mapping[str, Any]) -> list[Any]:
    found = conda.get("dependencies")
    return found if isinstance(found, list) else []


def _pip_lines(conda: Mapping[str, Any]) -> Iterator[str]:
    for dependency in _dependencies(conda):
        lines = dependency.get("pip") if isinstance(dependency, dict) else None
        if isinstance(lines, list):
            yield from (str(line) for line in lines)


def _conda_python(conda: Mapping[str, Any]) -> str | None:
    """The Python that a conda.yaml pins."""
    for dependency in _dependencies(conda):
        if isinstance(dependency, str) and (pinned := _CONDA_PYTHON.fullmatch(dependency.strip())):
            return pinned[1]
    return None


def _python_version(value: Any) -> str | None:
    """A version of Python as python_env.yaml has it. Raises InvalidInput if it is not a version."""
    if value is None:
        return None
    # YAML reads an unquoted 3.10 as the number 3.1.
    text = "3.10" if value == 3.1 else str(value).strip()
    if not _VERSION.fullmatch(text):
        raise InvalidInput(
            f"The model's python_env.yaml asks for Python {text[:80]!r}, which is not a version",
            action="Log the model again, as a new version",
        )
    return text


def _values(path: Path) -> dict[str, Any]:
    """The values of one of the model's YAML files; nothing when it is missing. Raises InvalidInput."""
    if not path.is_file():
        return {}
    try:
        found = bounded_yaml.load(path.read_bytes())
    except InvalidYaml as error:
        raise InvalidInput(
            f"The model's {path.name} {error}", action="Log the model again, as a new version"
        ) from error
    return found if isinstance(found, dict) else {}


def missing_here(wanted: Wanted) -> list[str]:
    """The requirements that the platform's own environment does not satisfy, each with the version here."""
    missing = []
    if wanted.python and not same_python(wanted.python):
        missing.append(f"Python {wanted.python} (here {platform.python_version()})")
    for required in wanted.requirements.required:
        requirement = required.plain
        if required.archive is not None:
            missing.append(f"{required.text} (it comes with the model)")
        elif requirement is None or required.url:
            missing.append(f"{required.text} (it comes from an address)")
        elif (problem := _problem_here(requirement)) is not None:
            missing.append(f"{required.text} ({problem})")
    for required in wanted.requirements.constraints:
        # A constraint requires no package, only one of these versions where it is installed.
        if required.plain is not None and _problem_here(required.plain) not in (None, _NOT_INSTALLED):
            missing.append(f"{required.text} ({_problem_here(required.plain)}, a constraint)")
    return missing


def _problem_here(requirement: Requirement) -> str | None:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    try:
        here = version(requirement.name)
    except PackageNotFoundError:
        return _NOT_INSTALLED
    return None if requirement.specifier.contains(here, prereleases=True) else f"here {here}"


def same_python(wanted: str) -> bool:
    """Whether a wanted Python has this one's major and minor version: each can load the other's pickles."""
    return wanted.split(".")[:2] == platform.python_version().split(".")[:2]


def canonical(required: Required) -> str:
    hashes = "".join(f" {each}" for each in sorted(required.hashes))
    if required.archive is not None:
        return f"{required.archive.name} {sha256(required.archive)}{hashes}"
    requirement = required.plain
    if requirement is None:
        return f"{required.text}{hashes}"
    extras = ",".join(sorted(requirement.extras))
    name = canonicalize_name(requirement.name)
    return f"{name}[{extras}]{requirement.specifier}@{requirement.url or ''};{requirement.marker or ''}{hashes}"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_indexes(wanted: Wanted, allowed: Sequence[str]) -> None:
    """Raises InvalidInput for an index that nobody allowed: it could give another package of the same name."""
    known = {each.rstrip("/") for each in allowed}
    for index in wanted.requirements.indexes:
        if index.rstrip("/") not in known:
            raise InvalidInput(
                f"The model's requirements name the package index {_without_password(index)}, which is not used here",
                action="Add it to `package_indexes` in config.toml and restart the service, or log the model again",
            )


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()[:200]
