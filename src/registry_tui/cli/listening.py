"""Options of `up` and `serve` that open the platform to other machines.

Functions import their dependencies, so that the help and errors of a missing extra come without the platform.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry_tui.platform import listening
from registry_tui.platform.errors import SupervisorUnavailable
from registry_tui.platform.listening import Listening
from registry_tui.platform.paths import Home

ListenOption = Annotated[
    str | None,
    typer.Option(
        "--listen", metavar="HOST:PORT", help="Let other machines in at this address, over HTTPS and with tokens."
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        metavar="FILE",
        help="The certificate in PEM, with its chain after it; default: one is made and kept.",
    ),
]
KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The certificate's key, in PEM, without a password.")
]
NameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="HOST",
        help="Another name of this machine, for its ports and for a certificate that is made.",
    ),
]
NewCertificateOption = Annotated[
    bool,
    typer.Option(
        "--new-certificate", help="Make the certificate again, for the names of now; everybody signs in again then."
    ),
]
PlainOption = Annotated[
    bool,
    typer.Option(
        "--plain-http", help="Listen without TLS, on an address of this machine only; tokens are still needed."
    ),
]


def choose(
    listen: str | None,
    certificate: Path | None,
    key: Path | None,
    names: list[str] | None,
    plain_http: bool,
    new_certificate: bool,
) -> Listening | None:
    """The options' choice; None without --listen. Raises CannotListen, BadParameter."""
    if listen is None:
        if certificate or key or names or plain_http or new_certificate:
            raise typer.BadParameter("this needs --listen HOST:PORT", param_hint="--listen")
        return None
    if new_certificate and (certificate or plain_http):
        raise typer.BadParameter("here no certificate is made", param_hint="--new-certificate")
    return listening.parse(
        listen,
        certificate=str(certificate or ""),
        key=str(key or ""),
        plain_http=plain_http,
        names=names or (),
    )


def keep(home: Home, chosen: Listening, *, new_certificate: bool = False) -> bool:
    """Stores the choice for this start; returns whether a running service must restart. Raises CannotListen."""
    from registry_tui.platform import server_certificate

    before = listening.load(home)
    if not new_certificate:
        server_certificate.require_names(home, chosen)
        if chosen == before:
            return False
    if before is None or before.address != chosen.address:
        listening.open_socket(chosen).close()
    home.create()
    if new_certificate:
        server_certificate.forget(home)
    listening.save(home, chosen)
    return _service_runs(home)


def _service_runs(home: Home) -> bool:
    from registry_tui.platform import supervisor

    try:
        return supervisor.processes(home)["service"].running
    except (SupervisorUnavailable, KeyError):
        return False


def describe(home: Home) -> str:
    """Where the platform listens and how to sign in; empty where it does not listen."""
    where = listening.load(home)
    if where is None:
        return ""
    lines = [f"Other machines sign in with: registry-tui login {where.url}"]
    if not where.plain_http:
        certificate = Path(where.certificate) if where.certificate else home.tls / "certificate.pem"
        lines.append(f"Its certificate's SHA-256 fingerprint: {listening.fingerprint(certificate)}")
    return "\n".join(lines)
