"""How people and clients spell a model's folder: one rule for MLflow's server and for the service.

Only the standard library is imported, so that either side may use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar
from urllib.parse import quote, unquote

_SCHEME = "mlflow-artifacts:"


class Logged(Protocol):
    """A logged model, as either side has it."""

    @property
    def id(self) -> str: ...

    @property
    def created(self) -> int: ...


AnyLogged = TypeVar("AnyLogged", bound=Logged)


def parse_runs_source(source: str) -> tuple[str, str]:
    """The run's ID and the path of `runs:/RUN/PATH`; the path is empty for the root of the run's artifacts.

    A `#`, `?` or `%` is a part of the path: unlike MLflow's client, this never parses it as a URL.
    """
    run, _, path = source.removeprefix("runs:").lstrip("/").partition("/")
    return run, folder(path)


def folder(path: str) -> str:
    """A folder's path without empty parts: `.`, `./model/` and `model//` become "", `model` and `model`."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def candidates(path: str) -> list[str]:
    """The paths that a spelling may mean, in the order of attempts: its own bytes, then percent-decoded."""
    decoded = unquote(path)
    return [path] if decoded == path else [path, decoded]


def artifact_source(path: str) -> str:
    """The `mlflow-artifacts:/…` address of a path of MLflow's proxy, percent-encoded once."""
    return f"{_SCHEME}/{quote(path.lstrip('/'), safe='/')}"


def artifact_candidates(source: str) -> list[str]:
    """The proxy's paths that an `mlflow-artifacts:/…` source may mean: clients append parts without encoding them."""
    return candidates(source.removeprefix(_SCHEME).lstrip("/"))


def registered_of(models: Iterable[AnyLogged], steps: Mapping[str, int]) -> AnyLogged | None:
    """Of a run's logged models with one name the one that `runs:/RUN/NAME` registers: of the largest step, the newest.

    `steps` are those of the run's model outputs, by the model's ID.
    """
    return max(models, key=lambda model: (steps.get(model.id, -1), model.created, model.id), default=None)
