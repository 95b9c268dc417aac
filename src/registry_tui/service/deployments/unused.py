"""Unused environments of models and logs of replicas: finding and removing them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.cleaning import PlatformClean, PlatformCleaned, Unused, UnusedKind, UnusedThings
from registry_tui.schemas.deployments import RevisionState
from registry_tui.service.core import events, identity, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import DeploymentRow, RevisionRow
from registry_tui.service.deployments import python_environments as environments

#: Items of one response.
MOST = 1_000
#: Seconds for which an environment stays after its last use: a rollout that has just found it names it in its revision
#: a moment later. And seconds after which an incomplete one is abandoned.
_JUST_USED, _HALF_MADE = 600.0, environments.LONGEST + 600.0
#: One removal at a time.
_LOCK = "remove what nobody uses"
_RESOURCE = Resource("platform", "platform", "platform")
_DAY = 86_400.0


@dataclass(frozen=True)
class _Found:
    """An unused thing, and its files or folder."""

    shown: Unused
    paths: tuple[Path, ...]


def list_unused(service: Service, principal: Principal, older_than_days: float = 0.0) -> UnusedThings:
    """The things that have been unused for so many days. Raises NotPermitted."""
    permissions.require(principal, Action.PLATFORM_CLEAN)
    found = [each.shown for each in _older(find(service), older_than_days)]
    return UnusedThings(items=found[:MOST], count=len(found), size_bytes=sum(each.size_bytes for each in found))


def clean(service: Service, principal: Principal, request: PlatformClean) -> PlatformCleaned:
    """Removes the things that have been unused for so many days. Raises NotPermitted."""
    with events.recording(service, principal, "platform.clean", _RESOURCE) as event:
        permissions.require(principal, Action.PLATFORM_CLEAN)
        with service.locks.of(_LOCK):
            gone = _remove(service, _older(find(service), request.older_than_days))
        event.detail = said(gone)
    return PlatformCleaned(items=gone[:MOST], count=len(gone), size_bytes=sum(each.size_bytes for each in gone))


def by_rule(service: Service) -> list[Unused]:
    """Removes things that have been unused for `unused_days`; beyond `unused_bytes`, the least recently used.

    Environments in use are marked as used now, so that they stay for as long after their last use.
    """
    with service.locks.of(_LOCK):
        for key in _used_environments(service):
            _mark_used(_environment(service, key), every=_DAY / 2)
        found = find(service)
        old = {each.shown.name for each in _older(found, service.settings.unused_days)}
        left = sum(each.shown.size_bytes for each in found if each.shown.name not in old)
        for each in found:
            if left > service.settings.unused_bytes and each.shown.name not in old:
                old.add(each.shown.name)
                left -= each.shown.size_bytes
        gone = _remove(service, [each for each in found if each.shown.name in old])
    if gone:
        owner = identity.owner_principal(service)
        with events.recording(service, owner, "platform.clean", _RESOURCE) as event:
            event.detail = f"by rule: {said(gone)}"
    return gone


def said(gone: Iterable[Unused]) -> str:
    """The removed things, in words."""
    kinds = [each.kind for each in gone]
    words = [counted(kinds.count(kind), kind.value) for kind in UnusedKind if kind in kinds]
    return f"removed {' and '.join(words) or 'nothing'}, {counted(sum(each.size_bytes for each in gone), 'byte')}"


def find(service: Service) -> list[_Found]:
    """All unused things, least recently used first."""
    found = [*_environments(service), *_logs(service)]
    return sorted(found, key=lambda each: (each.shown.used_at, each.shown.name))


def _older(found: Iterable[_Found], days: float) -> list[_Found]:
    until = time.time() - days * _DAY
    return [each for each in found if each.shown.used_at.timestamp() <= until]


def _remove(service: Service, found: Iterable[_Found]) -> list[Unused]:
    """Removes them; one that came into use meanwhile, or that cannot be removed, stays."""
    gone = []
    used = _used_environments(service)
    for each in found:
        if each.shown.kind is UnusedKind.ENVIRONMENT and not _take_away(service, each.paths[0], used):
            continue
        if each.shown.kind is UnusedKind.LOG:
            for path in each.paths:
                path.unlink(missing_ok=True)
            with suppress(OSError):  # the folder holds logs of others
                each.paths[0].parent.rmdir()
        if not any(path.exists() for path in each.paths):
            gone.append(each.shown)
    return gone


# -- environments ----------------------------------------------------------------------------------------


def _environment(service: Service, key: str) -> Path:
    return service.home.serving / "environments" / key


def _used_environments(service: Service) -> set[str]:
    """Environments of replicas that run or are about to; a stopped deployment's too, which starts again with it."""
    live = (RevisionState.ACTIVE.value, RevisionState.PENDING.value)
    with service.database.reading() as session:
        generations = select(RevisionRow.deployment_id, RevisionRow.generation).where(RevisionRow.state.in_(live))
        pairs = {(row.deployment_id, row.generation) for row in session.execute(generations)}
        rows = session.execute(
            select(RevisionRow.deployment_id, RevisionRow.generation, RevisionRow.python_environment).where(
                RevisionRow.deployment_id.in_({deployment for deployment, _ in pairs})
            )
        )
        return {key for deployment, generation, key in rows if key and (deployment, generation) in pairs}


def _environments(service: Service) -> Iterator[_Found]:
    used = _used_environments(service)
    for folder in (service.home.serving / "environments").glob("*"):
        at = environments.used_at(folder)
        half_made = at is None
        with suppress(FileNotFoundError):  # another process removed it
            moment = folder.stat().st_mtime if at is None else at
            if folder.name in used or time.time() - moment < (_HALF_MADE if half_made else _JUST_USED):
                continue
            yield _Found(
                Unused(
                    kind=UnusedKind.ENVIRONMENT,
                    name=folder.name,
                    detail="half made" if half_made else _made_from(folder),
                    size_bytes=_freed(folder),
                    used_at=datetime.fromtimestamp(moment, UTC),
                ),
                (folder,),
            )


def _made_from(folder: Path) -> str:
    try:
        lines = json.loads((folder / environments.MARK).read_text(encoding="utf-8"))["requirements"]
    except (OSError, ValueError, KeyError):
        return ""
    return ", ".join(str(line) for line in lines)[:300]


def _take_away(service: Service, folder: Path, used: set[str]) -> bool:
    """Removes an environment unless a rollout chose it meanwhile; returns whether it did."""
    with service.locks.of(f"environment {folder.name}"):
        at = environments.used_at(folder)
        if folder.name in used or (at is not None and time.time() - at < _JUST_USED):
            return False
        # Without its mark it counts as incomplete, also when the removal is interrupted.
        (folder / environments.MARK).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _mark_used(folder: Path, *, every: float) -> None:
    at = environments.used_at(folder)
    if at is not None and time.time() - at > every:
        environments.mark_used(folder)


def _freed(folder: Path) -> int:
    """Bytes on the disk that go with a folder: not those of files that uv's cache, or another environment, shares."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                status = (Path(where) / name).lstat()
                total += status.st_blocks * 512 if status.st_nlink == 1 else 0
    return total


# -- logs ------------------------------------------------------------------------------------------------


def _logs(service: Service) -> Iterator[_Found]:
    with service.database.reading() as session:
        rows = session.execute(select(DeploymentRow.id, DeploymentRow.name))
        names = {row.id: row.name for row in rows}
    for folder in service.home.deployment_logs.glob("*"):
        there = {f"{name.generation}-{name.index}" for name in service.backends.replicas.names(folder.name)}
        parts: dict[str, list[Path]] = {}
        for path in folder.glob("*-*.log*"):
            parts.setdefault(path.name.partition(".")[0], []).append(path)
        for stem, paths in parts.items():
            if stem in there:
                continue
            with suppress(FileNotFoundError):
                known = [path.stat() for path in paths]
                deployment = names.get(folder.name)
                yield _Found(
                    Unused(
                        kind=UnusedKind.LOG,
                        name=f"{folder.name}/{stem}",
                        detail=f"of {deployment}" if deployment else "of a deployment that was deleted",
                        size_bytes=sum(status.st_blocks * 512 for status in known),
                        used_at=datetime.fromtimestamp(max(status.st_mtime for status in known), UTC),
                    ),
                    tuple(paths),
                )
