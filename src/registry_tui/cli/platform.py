"""`up`, `down`, `status`, `logs`, `restart`: the platform of one home.

Functions import their dependencies, so that the help and errors of a missing extra come without the platform.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry_tui.cli import listening
from registry_tui.contracts import clocks
from registry_tui.platform import contexts, extras, unfinished
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.listening import Listening
from registry_tui.platform.paths import Home

if TYPE_CHECKING:
    from registry_tui.client.client import RegistryClient
    from registry_tui.platform.lifecycle import PartProgress
    from registry_tui.schemas.operations import PlatformStatus

JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout, for scripts.")]


class Part(StrEnum):
    """A part of the platform."""

    OBJECT_STORE = "object-store"
    MLFLOW = "mlflow"
    SERVICE = "service"
    GATEWAY = "gateway"


class Log(StrEnum):
    """A part that writes a log."""

    OBJECT_STORE = "object-store"
    MLFLOW = "mlflow"
    SERVICE = "service"
    GATEWAY = "gateway"
    SUPERVISOR = "supervisor"


def up(
    as_json: JsonOption = False,
    new_ports: Annotated[
        bool, typer.Option("--new-ports", help="Choose other ports if another program uses one of them.")
    ] = False,
    listen: listening.ListenOption = None,
    certificate: listening.CertificateOption = None,
    key: listening.KeyOption = None,
    name: listening.NameOption = None,
    new_certificate: listening.NewCertificateOption = False,
    plain_http: listening.PlainOption = False,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            help="Keep a new platform's rows in PostgreSQL: postgresql://USER@HOST/DATABASE; or name it again.",
        ),
    ] = None,
) -> None:
    """Start the platform: object store, MLflow server, service. Running parts stay as they are.

    Only this machine's owner reaches it, through a socket, unless --listen lets other machines in until `down`.

    --database is kept for the next starts. A password in it can be seen by others of this machine while the command
    runs; the setting database_url and PostgreSQL's file ~/.pgpass keep it from them.

    With --json each change is a line {"part", "state", "detail"}; the last line is
    {"done": true, "healthy", "error", "action"}.
    """
    home = Home.resolve()
    chosen = listening.choose(listen, certificate, key, name, plain_http, new_certificate)
    start(home, chosen, as_json=as_json, new_ports=new_ports, new_certificate=new_certificate, database=database)
    if not as_json:
        print(f"The platform is up. Its data is in {home.root}", file=sys.stderr)
        if where := listening.describe(home):
            print(where, file=sys.stderr)


def start(
    home: Home,
    chosen: Listening | None,
    *,
    as_json: bool = False,
    new_ports: bool = False,
    new_certificate: bool = False,
    database: str | None = None,
) -> None:
    """Starts the platform with progress, listening as `chosen`; None leaves that unchanged."""
    _tell(_up(home, chosen, new_ports, new_certificate, database), as_json)


def _up(
    home: Home, chosen: Listening | None, new_ports: bool, new_certificate: bool, database: str | None
) -> Iterator[PartProgress]:
    """Starts the platform; a missing extra is reported like any other failure."""
    extras.require("platform")
    from registry_tui.platform import lifecycle
    from registry_tui.platform.database_choice import Choice

    again = chosen is not None and listening.keep(home, chosen, new_certificate=new_certificate)
    yield from lifecycle.up(home, new_ports=new_ports, database=Choice(database) if database else None)
    if again:
        yield from lifecycle.restart(home, "service")


def restart(part: Annotated[Part, typer.Argument(help="The part.")], as_json: JsonOption = False) -> None:
    """Stop and start one part."""
    from registry_tui.platform import lifecycle

    _tell(lifecycle.restart(Home.resolve(), part.value), as_json)


def _tell(progress: Iterator[PartProgress], as_json: bool) -> None:
    """Shows each change of a part; with JSON lines, a failure is the last line in addition to the exit code."""
    began = time.monotonic()
    try:
        for one in progress:
            if as_json:
                print(json.dumps({"part": one.part, "state": one.state.value, "detail": one.detail}), flush=True)
            else:
                print(
                    f"{time.monotonic() - began:6.1f} s  {one.part:<13} {one.state.value:<9} {one.detail}",
                    file=sys.stderr,
                )
    except PlatformError as error:
        if as_json:
            print(
                json.dumps({"done": True, "healthy": False, "error": error.message, "action": error.action}), flush=True
            )
            raise typer.Exit(1) from error
        raise
    if as_json:
        print(json.dumps({"done": True, "healthy": True, "error": None, "action": None}), flush=True)


def down() -> None:
    """Stop the platform. No data is lost; `up` brings everything back."""
    from registry_tui.platform import lifecycle

    stopped = lifecycle.down(Home.resolve())
    print(f"Stopped: {', '.join(stopped)}" if stopped else "The platform was not running", file=sys.stderr)


async def _status_elsewhere(client: RegistryClient) -> tuple[PlatformStatus, str]:
    """The parts' health, and how this machine's clock differs from the service's."""
    return await client.status(), client.clock.difference


def status(as_json: JsonOption = False) -> None:
    """Each part's health, by asking it to do something real. Exits with 1 when a part is not well."""
    from registry_tui.cli.output import with_links

    if contexts.chosen() is not None:
        from registry_tui.cli import session

        found, difference = session.ask(_status_elsewhere)
    else:
        from registry_tui.platform.probes import platform_status

        found, difference = platform_status(Home.resolve()), ""
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        print(f"{'PART':<13} {'STATE':<10} {'VERSION':<9} {'PID':>7} {'MEMORY':>8} {'UPTIME':>9}  DETAIL")
        for part in found.parts:
            memory = "-" if part.memory_bytes is None else f"{part.memory_bytes / 1e6:.0f} MB"
            uptime = "-" if part.uptime_seconds is None else _duration(part.uptime_seconds)
            detail = part.detail if part.probe_ms is None else f"{part.detail} in {part.probe_ms:.0f} ms"
            where = with_links(f" ({part.address})" if part.address else "")
            print(
                f"{part.name:<13} {part.state.value:<10} {part.version or '-':<9} {part.pid or '-':>7} {memory:>8} "
                f"{uptime:>9}  {detail}{where}"
            )
            if part.action:
                print(f"{'':<13} {part.action}")
        print(f"home: {found.home}")
        if difference:
            print(clocks.sentence(difference))
        if contexts.chosen() is None and (problem := unfinished.problem(Home.resolve())) is not None:
            print(f"{problem.message}. {problem.action}")
    if not found.healthy:
        raise typer.Exit(1)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"


def logs(
    part: Annotated[Log, typer.Argument(help="The part.")],
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="Number of last lines.")] = 100,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Keep printing new lines.")] = False,
) -> None:
    """The last lines of a part's log."""
    from registry_tui.platform import supervisor

    home = Home.resolve()
    path = home.logs / f"{part.value}.log"
    if not path.exists():
        raise PlatformError(f"{part.value} has written no log yet", action=extras.how_to_start())
    print(supervisor.tail(home, part.value, lines))
    if follow:
        _follow(path)


def _follow(path: Path) -> None:
    """Prints lines added to a file, also after it was rotated, until interrupted."""
    file = path.open(encoding="utf-8", errors="replace")
    file.seek(0, 2)
    while True:
        if line := file.readline():
            print(line, end="", flush=True)
            continue
        time.sleep(0.2)
        if not path.exists() or path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            continue
        file.close()
        file = path.open(encoding="utf-8", errors="replace")
