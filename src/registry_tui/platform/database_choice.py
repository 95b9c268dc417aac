"""Which databases a home has, kept in a file of its own: `up --database`, or `database_url` in `config.toml`.

A platform's rows are in one place. Naming another one does not bring them there (`registry-tui database move` does),
so a choice that would show an empty platform in place of a full one is refused: one of another name here, one that has
no rows of this platform when the parts start (`database_owner.py`).
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from registry_tui.platform.database_urls import Databases, UnusableAddress, databases_of, shown
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private

_SETTINGS = {"service": "database_url", "workflows": "workflows_database_url", "mlflow": "mlflow_database_url"}


class OtherDatabase(PlatformError):
    """The platform's rows are somewhere else."""


@dataclass(frozen=True, repr=False)
class Choice:
    """Addresses as people write them; empty: that of `service`."""

    service: str
    workflows: str = ""
    mlflow: str = ""

    @property
    def databases(self) -> Databases:
        """Raises UnusableAddress."""
        return Databases.on_postgresql(self.service, self.workflows, self.mlflow)


def configured(home: Home, environment: Mapping[str, str] = os.environ) -> Choice | None:
    """The databases in the settings; None for SQLite. Raises UnusableAddress, OSError.

    Errors of an unreadable file are left to the service, which reads all settings.
    """
    try:
        table: dict[str, Any] = tomllib.loads(home.config_file.read_text(encoding="utf-8")).get("service", {})
    except (FileNotFoundError, ValueError):
        table = {}
    found = {
        name: str(environment.get(f"REGISTRY_TUI_{setting.upper()}") or table.get(setting) or "")
        for name, setting in _SETTINGS.items()
    }
    if not any(found.values()):
        return None
    if not found["service"]:
        raise UnusableAddress(
            "The setting database_url is missing", action="Set it, or none of the databases' addresses"
        )
    return Choice(**found)


def news(home: Home, asked: Choice | None) -> Choice | None:
    """The choice to save before the parts start; None if they use it already. `asked` overrides the settings.

    Raises OtherDatabase, UnusableAddress, OSError, Damaged.
    """
    wanted = asked or configured(home)
    if wanted is None:
        return None
    databases = wanted.databases
    if not home.databases_file.exists():
        if home.service_database.exists():
            raise OtherDatabase(
                f"This platform has its rows in SQLite, in {home.root}",
                action="Bring them to PostgreSQL with `registry-tui database move URL`",
            )
    elif (kept := databases_of(home)) == databases:
        return None
    elif _names(kept) != _names(databases):
        raise OtherDatabase(
            f"This platform has its rows in {shown(kept.service)}",
            action="Name that database, with another user, password or server where those changed; for "
            f"{shown(databases.service)} use another home",
        )
    return wanted


def keep(home: Home, choice: Choice) -> None:
    """Writes the file that the parts read, mode 0600. Raises OSError."""
    write_private(home.databases_file, json.dumps(asdict(choice)))


def _names(databases: Databases) -> list[str]:
    return [urlsplit(url).path for url in asdict(databases).values()]
