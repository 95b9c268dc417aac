"""Registering while parts of the platform, or all of it, end without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count

from registry_tui.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError
from registry_tui.platform import processes, supervisor
from registry_tui.schemas.models import ArchiveCheck, ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.places import Project
from support.platforms import Platform, clean_environment, unique, wait_for
from support.registered import LoggedRun, log_model, object_names

#: Registrations before the power goes, and the registering people.
REQUESTS, PEOPLE = 9, 3
REGISTER = """
import sys, mlflow
version = mlflow.register_model(f"runs:/{sys.argv[1]}/model", sys.argv[2])
print("RESULT", version.version, mlflow.MlflowClient().get_model_version(sys.argv[2], version.version).status)
"""


def test_a_power_cut_during_registrations(own_platform: Platform) -> None:
    platform = own_platform
    project = platform.new_project()
    registry = str(project.registry_id)
    large, small = log_model(platform, project, size=4_000_000, files=8), log_model(platform, project)
    names = [unique("cut"), unique("cut")]

    acknowledged: list[tuple[str, int]] = []
    power_goes = threading.Event()

    def register(person: int) -> bool:
        """Registers again and again until the power is gone; returns whether a request got no answer then."""
        for number in count(person, PEOPLE):
            if number >= REQUESTS:
                power_goes.wait()
            name, run = names[number % 2], (large, small)[number // PEOPLE % 2]
            request = RegisterModel(name=name, run_id=run.run_id, artifact_path=run.artifact_path)
            try:
                accepted = platform.call(RegistryClient.register_model, project.id, request)
            except RegistryError:
                if power_goes.is_set():
                    return True
            else:
                acknowledged.append((name, accepted.resource.version))
        return False

    with ThreadPoolExecutor(PEOPLE) as people:
        working = [people.submit(register, person) for person in range(PEOPLE)]
        try:
            wait_for(lambda: len(acknowledged) >= 3, what="the first answers")
        finally:
            power_goes.set()
            kill_everything(platform)
        assert all(each.result() for each in working), "the power went while requests were under way"
    assert len(acknowledged) >= 3

    platform.up()
    wait_for(lambda: not pending(platform, registry, names), what="every version to be stored")
    there = {(name, version.version): version for name in names for version in versions_of(platform, registry, name)}
    assert set(acknowledged) <= set(there), "what was acknowledged is there"
    assert max(Counter(acknowledged).values()) == 1, "no number was issued twice"
    assert {version.status for version in there.values()} == {VersionStatus.READY}
    for version in there.values():
        check = verify(platform, version)
        assert check.sound, (version, check)
    place = platform.ask(lambda client: client.registry(registry))
    folders = {
        key.removeprefix(f"{place.prefix}/").split("/")[1]
        for version in there.values()
        for key in object_names(platform, place.bucket, f"{place.prefix}/{version.model_id}/")
    }
    assert folders == {version.id for version in there.values()}, "nothing lies in the store without a version"


def test_stock_code_that_registers_while_the_service_is_gone(own_platform: Platform) -> None:
    platform = own_platform
    project = platform.new_project()
    run: LoggedRun = log_model(platform, project)
    name = unique("alone")
    supervisor.stop_part(platform.home, "service")
    script = subprocess.Popen(
        [sys.executable, "-c", REGISTER, run.run_id, name],
        env=clean_environment({"MLFLOW_DISABLE_TELEMETRY": "true", **exports(platform, project)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert script.stdout is not None
    try:
        said = next((line for line in script.stdout if "Waiting up to" in line), "")
        assert "Waiting up to" in said, "MLflow's client waits for the version"
        supervisor.start_part(platform.home, "service")
        rest, _ = script.communicate(timeout=300)
    finally:
        script.kill()
        platform.up()
    assert "RESULT 1 READY" in rest


# -- underneath -------------------------------------------------------------------------------------------


def kill_everything(platform: Platform) -> None:
    """The supervisor first, so that it starts nothing again."""
    found = processes.ours(platform.home)
    for pid in sorted(found, key=lambda pid: found[pid] != "supervisor"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not processes.ours(platform.home), what="every process to end")


def exports(platform: Platform, project: Project) -> dict[str, str]:
    """The output of `registry-tui env`, put together from the home: the service is not needed for it."""
    from registry_tui.platform.secrets import mlflow_password

    user = project.creator
    return {
        "MLFLOW_TRACKING_URI": platform.ports.mlflow_url,
        "MLFLOW_WORKSPACE": project.mlflow_workspace,
        "MLFLOW_TRACKING_USERNAME": user,
        "MLFLOW_TRACKING_PASSWORD": mlflow_password(platform.secrets, user),
    }


def verify(platform: Platform, version: ModelVersion) -> ArchiveCheck:
    name, number = version.model_name, version.version
    return platform.ask(lambda client: client.verify_archive(version.registry_id, name, number))


def versions_of(platform: Platform, registry: str, name: str) -> list[ModelVersion]:
    """A model's versions; none when the model is not there."""
    with suppress(NotFound):
        return platform.ask(lambda client: client.versions(registry, name)).items
    return []


def pending(platform: Platform, registry: str, names: list[str]) -> bool:
    """Whether a version still waits for its archive."""
    states = {version.status for name in names for version in versions_of(platform, registry, name)}
    return VersionStatus.PENDING_REGISTRATION in states
