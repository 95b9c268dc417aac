"""Addresses of a platform's databases: files of SQLite in the home, or schemas of PostgreSQL.

Only the standard library is imported. An address of PostgreSQL is written as for every program of it
(`postgresql://user:password@host:port/database?sslmode=…`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from registry_tui.platform.errors import Damaged, PlatformError
from registry_tui.platform.paths import Home

#: SQLAlchemy's name of the driver; without it, it would look for psycopg 2.
DRIVER = "postgresql+psycopg"
_SCHEMES = frozenset({"postgresql", "postgres", DRIVER})
#: libpq's settings that notice a machine or a network that is gone within a minute (the kernel's take hours), for every
#: part's connections; those of an address go first.
_NOTICING = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_SEARCH_PATH = re.compile(r"-c\s*search_path=(\w+)")


class UnusableAddress(PlatformError):
    """An address is not that of a PostgreSQL database."""


@dataclass(frozen=True, repr=False)
class Databases:
    """The databases of the parts, as SQLAlchemy's URLs. Never printed: they may hold a password."""

    service: str
    workflows: str
    mlflow: str
    mlflow_auth: str

    @classmethod
    def in_home(cls, home: Home) -> Databases:
        """A file of SQLite for each."""
        files = (home.service_database, home.workflows_database, home.mlflow_database, home.mlflow_auth_database)
        return cls(*(f"sqlite:///{path}" for path in files))

    @classmethod
    def on_postgresql(cls, service: str, workflows: str = "", mlflow: str = "") -> Databases:
        """A schema for each, of one database or of up to three. Raises UnusableAddress."""
        mlflow = mlflow or service
        return cls(
            with_schema(service, "registry_tui_service"),
            with_schema(workflows or service, "registry_tui_workflows"),
            with_schema(mlflow, "registry_tui_mlflow"),
            with_schema(mlflow, "registry_tui_mlflow_auth"),
        )


def databases_of(home: Home) -> Databases:
    """The databases of a home's parts: those saved by `database_choice.py`, or files of the home.

    Raises OSError, Damaged.
    """
    path = home.databases_file
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Databases.on_postgresql(str(kept["service"]), str(kept["workflows"]), str(kept["mlflow"]))
    except FileNotFoundError:
        return Databases.in_home(home)
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{path} is damaged", action="Name the database again: `registry-tui up --database URL`"
        ) from error


def is_postgresql(url: str) -> bool:
    """Whether an address is one of PostgreSQL's; its rest may still be wrong."""
    return url.partition("://")[0] in _SCHEMES


def with_schema(url: str, schema: str) -> str:
    """An address for SQLAlchemy whose connections see the tables of one schema only, and notice a server that is gone.

    Raises UnusableAddress.
    """
    parts = urlsplit(url)
    advice = "Write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    if parts.scheme not in _SCHEMES:
        raise UnusableAddress("The database's address does not begin with postgresql://", action=advice)
    if not parts.path.strip("/"):
        raise UnusableAddress("The database's address names no database", action=advice)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "search_path" in query.get("options", ""):
        raise UnusableAddress(
            "The database's address sets search_path", action="Leave it out: each part has a schema of its own"
        )
    query["options"] = f"{query.get('options', '')} -csearch_path={schema}".strip()
    for name, value in _NOTICING.items():
        query.setdefault(name, value)
    # psycopg and SQLAlchemy do not read + as a space.
    return urlunsplit((DRIVER, parts.netloc, parts.path, urlencode(query, quote_via=quote), ""))


def schema_of(url: str) -> str:
    """The schema that `with_schema` chose."""
    found = _SEARCH_PATH.search(dict(parse_qsl(urlsplit(url).query)).get("options", ""))
    return found[1] if found else "public"


def for_psycopg(url: str) -> str:
    """The same address as psycopg and PostgreSQL's own programs read it."""
    return f"postgresql{url[url.index(':') :]}"


def without_password(url: str) -> tuple[str, str]:
    """An address of PostgreSQL for a command line, which every user of the machine sees, and its password apart.

    libpq reads the password from `PGPASSWORD`.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    account, at, servers = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    password = query.pop("password", "") or unquote(password)
    rest = urlencode(query, quote_via=quote)
    return urlunsplit((parts.scheme, f"{user}{at}{servers}", parts.path, rest, "")), password


def shown(url: str) -> str:
    """An address for people and logs: without its password and options."""
    if not is_postgresql(url):
        return url.removeprefix("sqlite:///")
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return f"postgresql://{user}{parts.netloc.rpartition('@')[2]}{parts.path}"
