"""`serve`: the platform for other machines, in the foreground.

Functions import their dependencies, so that the help and errors of a missing extra come without the platform.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Annotated

import typer

from registry_tui.cli import listening, platform
from registry_tui.platform import extras
from registry_tui.platform.paths import Home


def serve(
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where other machines are let in.")],
    certificate: listening.CertificateOption = None,
    key: listening.KeyOption = None,
    name: listening.NameOption = None,
    new_certificate: listening.NewCertificateOption = False,
    plain_http: listening.PlainOption = False,
) -> None:
    """Start the platform for other machines too, and stay until Ctrl+C, which stops it again.

    One port and one certificate for the service, MLflow and deployments. Everybody needs a token.

    Example: registry-tui serve --listen 0.0.0.0:8443
    """
    extras.require("platform")
    from registry_tui.platform import lifecycle

    home = Home.resolve()
    chosen = listening.choose(listen, certificate, key, name, plain_http, new_certificate)
    assert chosen is not None
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    platform.start(home, chosen, new_certificate=new_certificate)
    print(listening.describe(home), file=sys.stderr, flush=True)
    ended.wait()
    print("Stopping …", file=sys.stderr, flush=True)
    lifecycle.down(home)
