"""Environments of models and logs of replicas that nobody uses: which they are, and that they go."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.schemas.cleaning import PlatformClean
from registry_tui.schemas.deployments import RevisionState
from registry_tui.service.backends.base import ReplicaName
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import RevisionRow
from registry_tui.service.deployments import python_environments, unused
from registry_tui.service.errors import NotPermitted
from registry_tui.service.settings import Settings
from support.bare import acting, asking, bare_service, make_place

DAY = 86_400.0
DEPLOYMENT = "place-deployment"


def aged(path: Path, days: float) -> None:
    os.utime(path, (time.time() - days * DAY,) * 2)


def environment(service: Service, key: str, days: float, *, whole: bool = True) -> Path:
    """An environment of 64 KiB that was used so many days ago."""
    folder = service.home.serving / "environments" / key
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_bytes(bytes(64 << 10))
    (folder / "code").symlink_to(service.home.serving)  # its target stays
    if whole:
        (folder / python_environments.MARK).write_text('{"requirements": ["numpy==2.0"]}')
        aged(folder / python_environments.MARK, days)
    aged(folder, days)
    return folder


def log(service: Service, deployment: str, name: str, days: float) -> Path:
    path = service.home.deployment_logs / deployment / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a line\n")
    path.with_suffix(".log.1").write_text("an older line\n")
    for each in (path, path.with_suffix(".log.1")):
        aged(each, days)
    return path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service whose one deployment serves with `used`, from the replica 2-0; its revision 1 had `former`."""
    settings = Settings(unused_days=30.0, unused_bytes=100 << 10)
    with bare_service(tmp_path, settings=settings) as service:
        make_place(service, "place")
        states = ((1, "former", RevisionState.REPLACED), (2, "used", RevisionState.ACTIVE))
        with service.database.session() as session:
            for number, key, state in states:
                session.add(
                    RevisionRow(
                        deployment_id=DEPLOYMENT,
                        number=number,
                        generation=number,
                        version=1,
                        version_id="v",
                        replicas=1,
                        cpu=1.0,
                        memory_bytes=1 << 30,
                        environment=[],
                        batching="auto",
                        creator="ann",
                        state=state.value,
                        python_environment=key,
                    )
                )
        spec = service.backends.replicas.spec(ReplicaName(DEPLOYMENT, 2, 0))  # type: ignore[attr-defined]
        spec.parent.mkdir(parents=True)
        spec.write_text(ReplicaSpec("r", DEPLOYMENT, "m", "m", 1, "s").to_json())
        yield service


def names(service: Service) -> list[str]:
    return [each.shown.name for each in unused.find(service)]


def test_what_nobody_uses_is_listed_with_what_its_removal_frees(service: Service) -> None:
    for key, days in (("used", 90), ("former", 40), ("just-made", 0)):
        environment(service, key, days)
    environment(service, "half", 1, whole=False)
    environment(service, "being-made", 0, whole=False)
    for name in ("1-0", "2-0"):
        log(service, DEPLOYMENT, name, 5)
    log(service, "gone", "1-0", 50)
    # A file that uv's cache has too stays on the disk.
    shared = service.home.serving / "environments" / "former" / "shared"
    shared.write_bytes(bytes(1 << 20))
    os.link(shared, service.home.serving / "cached")
    owner = identity.owner_principal(service)
    found = unused.list_unused(service, owner)
    assert [each.name for each in found.items] == ["gone/1-0", "former", f"{DEPLOYMENT}/1-0", "half"]
    assert [each.detail for each in found.items] == [
        "of a deployment that was deleted",
        "numpy==2.0",
        "of taster",
        "half made",
    ]
    assert 64 << 10 <= found.items[1].size_bytes < 128 << 10
    assert (found.count, found.size_bytes) == (4, sum(each.size_bytes for each in found.items))
    assert [each.name for each in unused.list_unused(service, owner, 45).items] == ["gone/1-0"]


def test_what_is_removed_is_what_was_listed(service: Service) -> None:
    kept, former = environment(service, "used", 90), environment(service, "former", 40)
    mine, gone = log(service, DEPLOYMENT, "2-0", 50), log(service, "gone", "1-0", 50)
    owner = identity.owner_principal(service)
    cleaned = unused.clean(service, owner, PlatformClean(older_than_days=30))
    assert {each.name for each in cleaned.items} == {"former", "gone/1-0"}
    assert (kept.exists(), former.exists(), mine.exists(), gone.parent.exists()) == (True, False, True, False)
    assert service.home.serving.exists() and names(service) == []
    assert unused.clean(service, owner, PlatformClean()).count == 0


def test_the_rule_removes_what_is_old_and_what_is_too_much(service: Service) -> None:
    environment(service, "used", 90)
    environment(service, "old", 31)
    for key, days in (("older", 20), ("newer", 10)):
        environment(service, key, days)
    # 100 KiB may stay, and each has 64: of the two the one goes that was used longest ago.
    assert {each.name for each in unused.by_rule(service)} == {"old", "older"}
    assert names(service) == ["newer"]
    assert unused.by_rule(service) == []
    # A used thing counts as used now: it stays for as long after its last use.
    at = python_environments.used_at(service.home.serving / "environments" / "used")
    assert at is not None and time.time() - at < DAY


def test_an_environment_that_a_rollout_found_meanwhile_stays(service: Service) -> None:
    folder = environment(service, "former", 40)
    found = unused.find(service)
    python_environments.mark_used(folder)
    assert unused._remove(service, found) == [] and folder.exists()


async def test_only_the_administrator_removes_and_the_event_says_what(service: Service) -> None:
    environment(service, "former", 40)
    identity.ensure_user(service, "ann")
    async with asking(service) as http:
        for refused in (
            await http.get("/unused", headers=acting("ann")),
            await http.post("/unused/clean", json={}, headers=acting("ann")),
        ):
            assert refused.status_code == 403, refused.text
    with pytest.raises(NotPermitted):
        unused.list_unused(service, identity.acting_principal(service, "ann", "1"))
