"""Every secret of a platform, and the places where one was found."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from registry_tui.platform import processes
from registry_tui.platform.secrets import mlflow_password
from support.platforms import Platform


def platform_secrets(platform: Platform) -> dict[str, str]:
    """The platform's own secrets by name: what is in its file, and everybody's password."""
    found: dict[str, str] = {}
    for name, value in asdict(platform.secrets).items():
        if isinstance(value, dict):
            found[name] = value["secret_access_key"]
        elif name != "mlflow_admin_user":
            found[name] = value
    for user in column(platform, "SELECT name FROM users"):
        found[f"password of {user}"] = mlflow_password(platform.secrets, user)
    return found


def machine_secrets(platform: Platform) -> dict[str, str]:
    """The secret keys of registries' machine users, by the registry's name."""
    names = column(platform, "SELECT name FROM registries")
    keys = column(platform, "SELECT coalesce(machine_user_secret_access_key, '') FROM registries")
    return {f"machine user of {name}": key for name, key in zip(names, keys, strict=True) if key}


def column(platform: Platform, query: str) -> list[str]:
    """The first column of what a query finds in the service's database."""
    with closing(sqlite3.connect(f"file:{platform.home.service_database}?mode=ro", uri=True)) as database:
        return [str(row[0]) for row in database.execute(query)]


def files(folders: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Every file below the folders, with its content."""
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for path in (Path(parent) / name for name in names):
                try:
                    if path.is_file() and not path.is_symlink():
                        yield str(path), path.read_bytes()
                except FileNotFoundError:
                    continue  # it was removed meanwhile


def process_lists(platform: Platform) -> Iterator[tuple[str, bytes]]:
    """What other programs can learn of each process of the platform: its command line and its first environment."""
    for pid, part in processes.ours(platform.home).items():
        for name in ("cmdline", "environ"):
            try:
                yield f"{part} {name}", Path(f"/proc/{pid}/{name}").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue


def places(secrets: Mapping[str, str], texts: Iterable[tuple[str, bytes]]) -> set[tuple[str, str]]:
    """The names of secrets, each with a place that holds it."""
    sought = {name: value.encode() for name, value in secrets.items()}
    return {(name, where) for where, text in texts for name, value in sought.items() if value in text}
