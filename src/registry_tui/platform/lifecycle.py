"""Starting and stopping a platform: `up`, `down`, `restart`."""

from __future__ import annotations

import errno
import os
import re
import resource
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_tui.platform import (
    database_choice,
    endings,
    extras,
    object_store,
    processes,
    relocation,
    space,
    supervisor,
)
from registry_tui.platform.errors import (
    Busy,
    HomeUnusable,
    LimitTooLow,
    PartFailed,
    PortTaken,
    StillRunning,
    SupervisorUnavailable,
)
from registry_tui.platform.locks import Locked, is_held, only_one
from registry_tui.platform.paths import GATEWAYS, Home
from registry_tui.platform.ports import Ports, choose_ports, load_ports, require_free
from registry_tui.platform.secrets import Secrets, load_secrets
from registry_tui.platform.unfinished import require_finished
from registry_tui.schemas.operations import PartState

if TYPE_CHECKING:
    # httpx: `down` needs no probes.
    from registry_tui.platform.probes import Probe

#: Open files that supervisord and the object store need (`minfds` of supervisord's configuration).
MIN_FILES = supervisor.MIN_FILES

#: Seconds that all parts together may take to come up.
PATIENCE = 180.0

#: Seconds in which all parts together may stop by themselves.
_STOP_SECONDS = 60.0

#: The parts that answer callers of deployments, in the order in which they end; and the seconds for requests in
#: progress.
SERVING = ("gateway", "replica")
_ANSWER_SECONDS = 120.0

#: Characters misread in a path: by supervisord's configuration, SQLite's URLs, the object store's lists.
_MISREAD = re.compile(r"""[?#%;,"'\\\x00-\x1f\x7f]""")


@dataclass(frozen=True)
class PartProgress:
    """How a part's start is going."""

    part: str
    state: PartState
    detail: str


def up(
    home: Home,
    *,
    new_ports: bool = False,
    database: database_choice.Choice | None = None,
    patience: float = PATIENCE,
    unfinished: bool = False,
) -> Generator[PartProgress, None, None]:
    """Starts the parts that do not run, and yields each change until every part is healthy.

    Running parts stay as they are.

    `database`: the database for the rows of a new platform, or of this one; None: from the settings.

    Raises OtherDatabase, UnusableAddress, HomeUnusable, PortTaken, BinaryMissing, PartFailed, Busy, StillRunning.
    """
    _require_programs()
    _require_files()
    _prepare(home)
    with _only_one(home), _words(home):
        if not unfinished:
            require_finished(home)
        secrets = load_secrets(home)
        move = relocation.since_last_start(home)
        supervised, choice = _supervised(home), database_choice.news(home, database)
        if choice is not None:
            if supervised:
                raise StillRunning(
                    "The platform is running on its database",
                    action="Stop it first: `registry-tui down`, then `registry-tui up --database URL`",
                )
            database_choice.keep(home, choice)
        if not supervised:
            left = processes.ours(home)
            serving = {} if new_ports else {pid: part for pid, part in left.items() if part in SERVING}
            processes.end(left.keys() - serving.keys(), home)
            changed = [] if move is None else relocation.settle(home, move)
            before = load_ports(home)
            fresh = new_ports or (move is not None and relocation.same_ports(home, move))
            ports = _free_ports(home, fresh, set(serving.values()), keep=move is None)
            relocation.record(home)
            if move is not None:
                if ports != before:
                    changed.insert(0, f"it has ports of its own, MLflow's is {ports.mlflow_url}")
                yield PartProgress("home", PartState.HEALTHY, f"{move}{': ' if changed else ''}{', '.join(changed)}")
            supervisor.start(home)
        elif new_ports:
            raise StillRunning(
                "The platform is running on its ports",
                action="Stop it first: `registry-tui down`, then `registry-tui up --new-ports`",
            )
        else:
            ports = choose_ports(home)
            if supervisor.PROGRAMS.keys() - supervisor.processes(home).keys():
                # Started by an older version, which knew fewer parts.
                supervisor.configure(home)
                supervisor.reread(home)
        known = supervisor.processes(home)
        for program, part in supervisor.PROGRAMS.items():
            info = known[program]
            ends = bool(info.pid) and endings.is_ending(home, part, info.pid)
            if ends:
                supervisor.stop_part(home, program)
            # Also next to a process that supervisord restarted by itself: the reason is its predecessor's.
            endings.works(home, part)
            if ends or not info.running:
                supervisor.start_part(home, program)
        yield from _until_healthy(home, ports, secrets, tuple(supervisor.PARTS), patience)
        yield from _hand_over(home, patience)


def _hand_over(home: Home, patience: float) -> Iterator[PartProgress]:
    """Ends processes that still answer callers after their supervisord was killed, once their replacements answer."""
    known = supervisor.processes(home)
    kept = {info.pid for info in known.values() if info.pid}
    left = {
        pid: part
        for pid, part in processes.ours(home).items()
        if part in SERVING and not kept & set(processes.parents(pid))
    }
    if not left:
        return
    until, reported = time.monotonic() + patience, ""
    while True:
        known = supervisor.processes(home)
        replicas = [info for name, info in known.items() if name not in supervisor.PROGRAMS and info.state != "FATAL"]
        gateways = [known[name] for name in GATEWAYS]
        waiting = [info for info in (*replicas, *gateways) if not _listens(home, info)]
        text = f"{len(replicas) - len([info for info in replicas if info in waiting])} of {len(replicas)} answer"
        if text != reported:
            yield PartProgress("replicas", PartState.STARTING if waiting else PartState.HEALTHY, text)
        reported = text
        if not waiting or time.monotonic() > until:
            break
        time.sleep(0.1)
    for part in SERVING:
        processes.end([pid for pid, its in left.items() if its == part], home, patience=_ANSWER_SECONDS)


def _listens(home: Home, info: supervisor.ProcessInfo) -> bool:
    """Whether this very process made the socket that its callers connect to; it does so once it can respond."""
    path = (home.run if info.name in GATEWAYS else home.replicas) / f"{info.name}.sock"
    age = processes.uptime(info.pid) if info.pid else None
    try:
        return age is not None and path.stat().st_mtime > time.time() - age
    except FileNotFoundError:
        return False


def _supervised(home: Home) -> bool:
    """Whether supervisord runs; waits for the end of one that is shutting down."""
    until = time.monotonic() + _STOP_SECONDS
    while (state := supervisor.state(home)) == "stopping" and time.monotonic() < until:
        time.sleep(0.05)
    return state == "running"


def _free_ports(home: Home, fresh: bool, besides: Collection[str] = (), *, keep: bool = True) -> Ports:
    """This home's ports, none taken by others. Raises PortTaken when somebody took one that it has to keep, OSError."""
    first = load_ports(home) is None or not keep
    ports = choose_ports(home, fresh=fresh)
    try:
        require_free(ports, besides)
    except PortTaken:
        if not first:
            raise
        # Another command was quicker; nothing uses these ports yet.
        ports = choose_ports(home, fresh=True)
        require_free(ports)
    return ports


def down(home: Home) -> list[str]:
    """Stops every part, then supervisord; leaves no process. Returns the names of the parts that ran. Raises Busy."""
    if not home.root.exists():
        return []
    with _only_one(home):
        running: list[str] = []
        try:
            known = supervisor.processes(home)
            names = [supervisor.PROGRAMS.get(name, name) for name, info in known.items() if info.running]
            running = list(dict.fromkeys(names))
            pid = supervisor.pid(home)
            supervisor.shutdown(home)
            until = time.monotonic() + _STOP_SECONDS
            while processes.alive(pid) and time.monotonic() < until:
                time.sleep(0.05)
        except SupervisorUnavailable:
            pass
        # Parts that outlived a supervisor that was killed.
        left = processes.ours(home)
        processes.end(left, home)
        _clear_up(home)
        return running or sorted(set(left.values()) & supervisor.PARTS.keys())


@contextmanager
def stopped(home: Home, *, unfinished: bool = False) -> Iterator[None]:
    """Locks a stopped platform for work on its files, so that nobody starts it meanwhile.

    `unfinished`: also of a home that is being restored or upgraded. Raises StillRunning, Busy, HomeUnusable.
    """
    with _only_one(home), _words(home):
        if not unfinished:
            require_finished(home)
        if _supervised(home) or processes.ours(home):
            raise StillRunning("The platform is running", action="Stop it first: `registry-tui down`")
        yield


def _clear_up(home: Home) -> None:
    """Removes the sockets of processes that are gone."""
    object_store.remove_sockets(home)
    gateways = (*home.gateway_sockets, *home.gateway_listeners_sockets, *home.gateway_load_files)
    for path in (home.supervisor_socket, home.supervisor_pid, home.service_socket, home.listening_file, *gateways):
        path.unlink(missing_ok=True)


def restart(home: Home, part: str, patience: float = PATIENCE) -> Iterator[PartProgress]:
    """Stops and starts one part. Raises SupervisorUnavailable, PartFailed, Busy."""
    if not home.root.exists():
        raise SupervisorUnavailable("The platform is not running", action="Start it with `registry-tui up`")
    with _only_one(home), _words(home):
        # One after the other: the gateway's other process keeps answering callers.
        for program in supervisor.programs_of(part):
            supervisor.stop_part(home, program)
            endings.works(home, part)
            supervisor.start_part(home, program)
            yield from _until_healthy(home, choose_ports(home), load_secrets(home), (part,), patience)


def _until_healthy(
    home: Home, ports: Ports, secrets: Secrets, parts: Sequence[str], patience: float
) -> Iterator[PartProgress]:
    # httpx: `down` needs no probes.
    from registry_tui.platform.probes import Probe

    reported: dict[str, PartProgress] = {}
    probe = Probe(home, ports, secrets)
    until = time.monotonic() + patience
    try:
        while True:
            known = supervisor.processes(home)
            for part in parts:
                if part in reported and reported[part].state is PartState.HEALTHY:
                    continue
                progress = _progress(home, part, supervisor.part_info(known, part), probe)
                if reported.get(part) != progress:
                    reported[part] = progress
                    yield progress
                if progress.state is PartState.FAILED:
                    raise _failed(home, part, "does not start")
            if all(progress.state is PartState.HEALTHY for progress in reported.values()):
                return
            if time.monotonic() > until:
                slow = next(progress for progress in reported.values() if progress.state is not PartState.HEALTHY)
                raise _failed(home, slow.part, f"is not healthy after {patience:.0f} s ({slow.detail})")
            time.sleep(0.1)
    finally:
        probe.close()


def _progress(home: Home, part: str, info: supervisor.ProcessInfo, probe: Probe) -> PartProgress:
    state, detail = probe.ask(part) if info.running else (PartState.STARTING, "starting")
    if state is PartState.HEALTHY:
        endings.works(home, part)
        return PartProgress(part, state, detail)
    if (ending := endings.ending_of(home, part)) is not None:
        return PartProgress(part, PartState.FAILED, ending.detail)
    if info.state == "FATAL":
        return PartProgress(part, PartState.FAILED, info.description)
    if not info.running or state is PartState.UNHEALTHY:
        return PartProgress(part, PartState.STARTING, "starting again" if info.state == "BACKOFF" else "starting")
    return PartProgress(part, state, detail)


def _failed(home: Home, part: str, what: str) -> PartFailed:
    if (ending := endings.ending_of(home, part)) is not None:
        return PartFailed(f"The part {part} {what}: {ending.detail}", action=ending.action)
    log = supervisor.tail(home, part, 12)
    return PartFailed(
        f"The part {part} {what}. The last lines of its log:\n{log or '(nothing)'}",
        action=f"See `registry-tui logs {part}`, mend the cause, then `registry-tui up` again",
    )


def _require_files() -> None:
    """Makes sure that this shell lets processes open enough files. Raises LimitTooLow."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MIN_FILES:
        raise LimitTooLow(
            f"This shell limits the open files of a process to {hard}; the platform needs {MIN_FILES}",
            action=f"Run `ulimit -Hn {MIN_FILES}` in a new shell, or raise `nofile` in /etc/security/limits.conf",
        )


def _require_programs() -> None:
    extras.require("platform")
    object_store.find_weed()


def _prepare(home: Home) -> None:
    """Makes the folders, and makes sure that they can be written. Raises HomeUnusable."""
    advice = "Choose another place with `--data-dir` or REGISTRY_TUI_HOME"
    if found := _MISREAD.search(str(home.root)):
        raise HomeUnusable(f"The home's path {str(home.root)!r} has the character {found[0]!r} in it", action=advice)
    try:
        home.create()
        probe = home.run / f".write-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
        disk = space.space_of(home.root)
    except OSError as error:
        raise _unusable(home, error) from error
    # Less than the reserve is enough to clean up; less than this is not even enough to record a cleanup.
    if disk.free < space.LEAST:
        raise HomeUnusable(
            f"Only {disk.free // space.MIB} MiB are free on the disk of {home.root}; "
            f"{space.LEAST // space.MIB} MiB are needed",
            action=f"Free some space. {advice}",
        )


def _unusable(home: Home, error: OSError) -> HomeUnusable:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "its disk is full" if full else (error.strerror or str(error))
    return HomeUnusable(
        f"Cannot use {error.filename or home.root}: {reason}",
        action="Free some space" if full else "Choose another place with `--data-dir` or REGISTRY_TUI_HOME",
    )


@contextmanager
def _words(home: Home) -> Iterator[None]:
    """Turns errors of the file system into HomeUnusable."""
    try:
        yield
    except OSError as error:
        raise _unusable(home, error) from error


@contextmanager
def _only_one(home: Home, patience: float = PATIENCE + _STOP_SECONDS) -> Iterator[None]:
    """Lets one command at a time change the platform; another waits for it. Raises Busy, HomeUnusable."""
    with _words(home):
        home.create_run()
    busy = "Another command has been starting or stopping this platform for minutes"
    backup = "A backup of this platform is being made, which began while it was stopped"
    try:
        with only_one(
            home.run / "lifecycle.lock", patience, busy, lambda: backup if is_held(home.backup_lock) else None
        ):
            yield
    except Locked as error:
        raise Busy(str(error.strerror), action="Wait for it, or look with `registry-tui status`") from error
