"""Every secret of a platform, and the places where one was found."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from registry_tui.contracts.api_keys import digest
from registry_tui.platform import processes
from registry_tui.platform.database_urls import databases_of, is_postgresql
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.secrets import mlflow_password
from registry_tui.schemas.secrets import SecretKind
from registry_tui.service.operations.rotating import FIELDS
from support.platforms import Platform
from support.rows import ask, tables

#: The fewest characters of a secret that is sought: shorter words are not searched.
_SHORTEST = 40
#: Words that are long enough to hold a secret, which has 43 characters; also of base64.
_LONG = re.compile(rb"[A-Za-z0-9_+/-]{40,}")
#: A person's token or an API key.
_TOKEN = re.compile(rb"rtk?_[0-9a-f]{12}_([A-Za-z0-9_-]{43})")
#: Secrets made up by tests: see `hidden`.
_HIDDEN = re.compile(rb"hidden-[0-9a-f]{40}")
#: Where such a value may be: in the rows that keep it for its use.
_HOLDING = ("revisions", "ranger_sources", "attached_servers")
#: The tables in which the service keeps secrets of other servers, and of its machine users.
_KEEPING = ("registries", "attached_servers", "environment_stores", "environment_backends")
#: Bytes of a file that are searched at a time, and those that are searched twice, so that none is cut in two.
PIECE, _TWICE = 1 << 22, 1 << 10
#: How the password of a PostgreSQL database is named.
_DATABASE = "password in the address of"


def hidden() -> str:
    """A new value that only the service may keep: a secret variable, a password for a server elsewhere.

    The search at the end of a run knows it by its form, also when its resource is gone by then.
    """
    return f"hidden-{token_hex(20)}"


def platform_secrets(platform: Platform) -> dict[str, str]:
    """The platform's own secrets by name: those in its file, and everybody's password."""
    found = file_secrets(platform)
    for user in column(platform, "SELECT name FROM users"):
        found[f"password of {user}"] = mlflow_password(platform.secrets, user)
    for url in set(asdict(databases_of(platform.home)).values()):
        if is_postgresql(url) and (password := urlsplit(url).password):
            found[f"{_DATABASE} {urlsplit(url).path.strip('/')}"] = password
    return found


def file_secrets(platform: Platform) -> dict[str, str]:
    """The secrets in the platform's file, by name."""
    found: dict[str, str] = {}
    for name, value in asdict(platform.secrets).items():
        if isinstance(value, dict):
            found[name] = value["secret_access_key"]
        elif name != "mlflow_admin_user":
            found[name] = value
    return found


def machine_secrets(platform: Platform) -> dict[str, str]:
    """The secret keys of registries' machine users, by the registry's name."""
    names = column(platform, "SELECT name FROM registries")
    keys = column(platform, "SELECT coalesce(machine_user_secret_access_key, '') FROM registries")
    return {f"machine user of {name}": key for name, key in zip(names, keys, strict=True) if key}


def attached_secrets(platform: Platform) -> dict[str, str]:
    """The passwords and tokens of attached MLflow servers, by the server's address."""
    urls = column(platform, "SELECT url FROM attached_servers")
    secrets = column(platform, "SELECT coalesce(secret, '') FROM attached_servers")
    return {f"attached server {url}": secret for url, secret in zip(urls, secrets, strict=True) if secret}


def store_secrets(platform: Platform) -> dict[str, str]:
    """The secrets of stores that environments brought along, by the store's address."""
    places = column(platform, "SELECT place FROM environment_stores")
    stores = column(platform, "SELECT CAST(store AS TEXT) FROM environment_stores")
    found = {}
    for place, raw in zip(places, stores, strict=True):
        credentials = json.loads(raw).get("credentials", {})
        for field in ("secret_access_key", "session_token", "account_key", "sas", "client_secret"):
            if len(credentials.get(field) or "") >= _SHORTEST:
                found[f"store of {place}: {field}"] = credentials[field]
    return found


def cluster_secrets(platform: Platform) -> dict[str, str]:
    """The tokens of the Ray clusters that environments' deployments run in, by the cluster's address."""
    addresses = column(platform, "SELECT address FROM environment_backends")
    tokens = column(platform, "SELECT token FROM environment_backends")
    found = zip(addresses, tokens, strict=True)
    return {f"cluster at {address}": token for address, token in found if len(token) >= _SHORTEST}


def issuer_secrets(platform: Platform) -> dict[str, str]:
    """The secret of the service's client at the OpenID provider, by its name."""
    query = "SELECT value FROM installation WHERE key = 'sign_in_issuer_secret'"
    found = column(platform, query)
    return {"client at the issuer": found[0]} if found else {}


def column(platform: Platform, query: str) -> list[str]:
    """The first column of a query's result in the service's database."""
    return [str(row[0]) for row in ask(databases_of(platform.home).service, query)]


def files(folders: Iterable[Path], without: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Every file below the folders, with its content in pieces that overlap by more than the length of a secret.

    Files below `without` are left out.
    """
    for folder in folders:
        for parent, folders_below, names in os.walk(folder):
            folders_below[:] = [name for name in folders_below if Path(parent) / name != without]
            for path in (Path(parent) / name for name in names):
                try:
                    if path.is_file() and not path.is_symlink():
                        yield from ((str(path), piece) for piece in _pieces(path))
                except FileNotFoundError:
                    continue  # it was removed meanwhile


def _pieces(path: Path) -> Iterator[bytes]:
    """A file's content, never more than a piece of it in memory: databases and volumes grow large."""
    with path.open("rb") as file:
        before = b""
        while piece := file.read(PIECE):
            yield before + piece
            before = (before + piece)[-_TWICE:]


def process_lists(platform: Platform) -> Iterator[tuple[str, bytes]]:
    """Data of each process of the platform visible to other programs: its command line and its initial environment."""
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


def own_places(platform: Platform, name: str) -> set[str]:
    """The files in which a secret may be."""
    home = platform.home
    if name.startswith(_DATABASE):
        return {str(home.databases_file), str(home.mlflow / "auth.ini")}
    if name == "client at the issuer":
        return {f"{home.service_database}{end}" for end in ("", "-wal")} | {"table installation"}
    if name == "variable" or name.startswith(("machine user", "attached server", "store of", "cluster at")):
        return {f"{home.service_database}{end}" for end in ("", "-wal")}
    if name in FIELDS[SecretKind.OBJECT_STORE]:
        return {str(home.secrets_file), str(home.run / "identities.json")}
    return {str(home.secrets_file)} if hasattr(platform.secrets, name) else set()


def require_none_out_of_place(platform: Platform) -> None:
    """Fails when a secret of the platform is where it should not be: see `out_of_place`."""
    found = out_of_place(platform)
    assert not found, "secrets are where they should not be:\n" + "\n".join(found)


def out_of_place(platform: Platform) -> list[str]:
    """The secrets that are where they should not be: each one's name and the place, never its value.

    Searched are all files below the home but the object store's data, the rows of the service's tables but those of
    the machine users, of attached servers and of environments' stores and clusters, the command lines of all processes,
    and the environments of the platform's parts. Of a platform that a test has damaged, it looks for the secrets that
    can still be read.
    """
    if not platform.home.secrets_file.exists():
        return []  # it never started, or a test took it away
    try:
        secrets = _sought(platform)
    except (OSError, PlatformError):
        return []  # a test damaged its file of secrets: nothing of the platform can be used
    tokens = set(_read(platform, "SELECT sha256 FROM user_tokens UNION SELECT sha256 FROM api_keys"))
    found = set()
    for where, words in _all_words(platform):
        for name, value in secrets.items():
            if value in words and where not in own_places(platform, name):
                found.add(f"{name}: {where}")
        if _HIDDEN.search(words) and not _may_hold_hidden(platform, where):
            found.add(f"a hidden value of a test: {where}")
        if any(digest(secret.decode()) in tokens for secret in _TOKEN.findall(words)):
            found.add(f"a token or an API key: {where}")
    return sorted(found)


def _may_hold_hidden(platform: Platform, where: str) -> bool:
    """Whether a place may hold variables and passwords: where they are kept, or given to a process that needs them."""
    home = platform.home
    return where.startswith((str(home.service_database), f"{home.serving}/deployments/")) or (
        where.removeprefix("table ") in _HOLDING
    )


def _sought(platform: Platform) -> dict[str, bytes]:
    """The secrets, and people's passwords as encoded in a request's header."""
    try:
        secrets = {
            **platform_secrets(platform),
            **machine_secrets(platform),
            **attached_secrets(platform),
            **store_secrets(platform),
            **cluster_secrets(platform),
            **issuer_secrets(platform),
        }
    except SQLAlchemyError:
        secrets = file_secrets(platform)
    found = {name: value.encode() for name, value in secrets.items()}
    for name, value in secrets.items():
        if user := name.partition("password of ")[2]:
            header = base64.b64encode(f"{user}:{value}".encode()).rstrip(b"=")
            found[f"{name} in a header"] = header
    return found


def _read(platform: Platform, query: str) -> list[str]:
    try:
        return column(platform, query)
    except SQLAlchemyError:
        return []


def _all_words(platform: Platform) -> Iterator[tuple[str, bytes]]:
    """Every place with its long words, one a line."""
    home = platform.home
    for folder in {home.root, home.run}:
        for parent, folders, names in os.walk(folder):
            if Path(parent) == home.root:
                folders[:] = [each for each in folders if each != home.object_store.name]
            for path in (Path(parent) / name for name in names):
                if path.is_file() and not path.is_symlink():
                    yield str(path), _words(path)
    for part, url in asdict(databases_of(home)).items():
        # Of SQLite, MLflow's and the workflows' are searched as files.
        if part == "service" or is_postgresql(url):
            yield from _rows(url)
    yield from (each for each in process_lists(platform) if each[0] != "replica environ")  # it is given variables
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield f"command line of process {path.parent.name}", path.read_bytes()


def _words(path: Path) -> bytes:
    words = set()
    with suppress(FileNotFoundError):
        for piece in _pieces(path):
            words.update(_LONG.findall(piece))
    return b"\n".join(words)


def _rows(url: str) -> Iterator[tuple[str, bytes]]:
    with suppress(SQLAlchemyError):
        for table in tables(url):
            if table not in _KEEPING:
                rows = repr(ask(url, f'SELECT * FROM "{table}"')).encode(errors="replace")
                yield f"table {table}", b"\n".join(_LONG.findall(rows))
