"""`registry-tui://HOST:PORT/PROJECT`: a project of a platform, and the credentials for it.

Neither MLflow nor another library is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from registry_tui.contracts import hosts
from registry_tui.contracts.mlflow_routes import project_path
from registry_tui.mlflow_plugin.addresses import TRACKING_URI_AT_START
from registry_tui.platform import contexts

SCHEME = "registry-tui"
_FORM = f"{SCHEME}://HOST:PORT/PROJECT"
#: Where the port for other machines has MLflow's server; on MLflow's own port it is at the root.
_MLFLOW = "/mlflow"


class UnusableAddress(ValueError):
    """The address or its credentials cannot be used; the text has the remedy."""


@dataclass(frozen=True)
class Address:
    """A project of a platform, and a path below it."""

    #: Host and port as they are written.
    place: str
    project: str
    #: Of an archive's files; empty for the registry itself.
    path: str = ""

    def __str__(self) -> str:
        project = f"{SCHEME}://{self.place}/{quote(self.project, safe='')}"
        return f"{project}/{quote(self.path)}" if self.path else project


@dataclass(frozen=True, repr=False)
class Access:
    """The tracking URI of a project, and how to sign in there. Never printed: it holds secrets."""

    url: str
    username: str | None = None
    password: str | None = None
    token: str | None = None
    #: The file with the certificate to trust; None: the authorities that this machine trusts.
    certificate: str | None = None


def parse(uri: str) -> Address:
    """The address that a URI names. Raises UnusableAddress, without the URI where it may hold a secret."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise UnusableAddress(f"The address is not of the form {_FORM}") from error
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UnusableAddress(
            f"The address must be of the form {_FORM}, without user, password or token: sign in with "
            "`registry-tui login URL`, or export the variables that `registry-tui env` prints"
        )
    project, _, path = parts.path.removeprefix("/").partition("/")
    if parts.scheme != SCHEME or not parts.hostname or port is None or not project:
        raise UnusableAddress(f"The address {uri!r} is not of the form {_FORM}")
    return Address(parts.netloc.lower(), unquote(project), unquote(path).strip("/"))


def access(address: Address, environment: Mapping[str, str] = os.environ) -> Access:
    """How the project is reached: by the variables of `registry-tui env` when they name the same host and port, else
    as somebody signed in with `registry-tui login`.

    Variables for another place are not sent here. Raises UnusableAddress, PlatformError, OSError.
    """
    if found := _by_variables(address, environment):
        return found
    kept = contexts.load(environment)
    # Of several people at one place, the command line's current one comes first.
    for context in sorted(kept.known.values(), key=lambda each: each.name != kept.current):
        if context.token and _place_of(context.url) == address.place:
            return Access(
                _project_url(urlsplit(context.url).scheme, address, _MLFLOW),
                token=context.token,
                certificate=context.trusted or None,
            )
    raise UnusableAddress(
        f"There are no credentials for {address.place}: sign in with `registry-tui login https://{address.place}`, or "
        f"export the variables that `registry-tui env --project {address.project}` prints"
    )


def _by_variables(address: Address, variables: Mapping[str, str]) -> Access | None:
    tracking = variables.get("MLFLOW_TRACKING_URI", "")
    if _place_of(tracking) is None:
        # An MLflow server's own database.
        tracking = variables.get(TRACKING_URI_AT_START, "")
    if _place_of(tracking) != address.place:
        return None
    token = variables.get("MLFLOW_TRACKING_TOKEN")
    name, password = variables.get("MLFLOW_TRACKING_USERNAME"), variables.get("MLFLOW_TRACKING_PASSWORD")
    if not token and not (name and password):
        return None
    parts = urlsplit(tracking)
    prefix = _MLFLOW if parts.path.startswith(f"{_MLFLOW}/") or parts.path == _MLFLOW else ""
    return Access(
        _project_url(parts.scheme, address, prefix),
        username=None if token else name,
        password=None if token else password,
        token=token or None,
        certificate=variables.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None,
    )


def _project_url(scheme: str, address: Address, prefix: str) -> str:
    if scheme == "http" and not hosts.is_loopback(urlsplit(f"//{address.place}").hostname or ""):
        raise UnusableAddress(f"{address.place} is another machine, and is not asked without TLS: use its HTTPS port")
    return f"{scheme}://{address.place}{prefix}{project_path(address.project)}"


def _place_of(url: str) -> str | None:
    """Host and port of an HTTP address; None for any other text."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port or (443 if parts.scheme == 'https' else 80)}"
