"""The documented procedure for RAZ-enabled environments, word for word, in a real terminal by keys alone."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.schemas.models import VersionStatus
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Cloud, EnvironmentCreate, Project, WorkspaceCreate
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete, StorageAccess
from support.platforms import Platform, run_python, unique, wait_for
from support.terminal import Terminal, terminal

PROGRAM = [sys.executable, "-m", "registry_tui"]

LOG_MODEL = """
import mlflow, numpy
from sklearn.linear_model import LinearRegression
mlflow.set_experiment("raz")
with mlflow.start_run(run_name="quiet-otter"):
    model = LinearRegression().fit(numpy.arange(8.0).reshape(4, 2), [1.0, 2.0, 3.0, 4.0])
    mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
"""


@dataclass(frozen=True)
class Raz:
    """A RAZ-enabled environment with a model in a project, whose registry may not store anything."""

    platform: Platform
    registry: ModelRegistry
    project: Project
    service: str


@pytest.fixture(params=[Cloud.AWS, Cloud.AZURE], ids=["cm_s3", "cm_adls"])
def raz(request: pytest.FixtureRequest, own_platform: Platform) -> Iterator[Raz]:
    platform = own_platform
    name = unique("rz")
    platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=name, cloud=request.param)))
    platform.ask(lambda client: client.create_workspace(WorkspaceCreate(name=f"{name}-w", environment=name)))
    nfs = (
        {} if request.param is Cloud.AWS else {"existing_nfs": "nfs.example.com:/models", "nfs_protocol_version": "4.1"}
    )
    wanted = RegistryCreate.model_validate({"environment": name, "grant_storage_access": False, **nfs})
    made = platform.ask(lambda client: client.create_registry(wanted))
    done = platform.ask(lambda client: client.wait_for_workflow(made.workflow.id))
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    project = platform.new_project(f"{name}-w")
    synchronized = platform.call(RegistryClient.synchronize_registry, made.resource.id)
    platform.call(RegistryClient.wait_for_workflow, synchronized.workflow.id)
    project = platform.call(RegistryClient.project, project.id)
    run_python(LOG_MODEL, platform.exports(project.id))
    registry = platform.call(RegistryClient.registry, made.resource.id)
    service = platform.call(RegistryClient.ranger_service, name)
    yield Raz(platform, registry, project, service.display_name or "")
    gone = platform.call(RegistryClient.delete_registry, registry.id, RegistryDelete(delete_archives=True, force=True))
    platform.call(RegistryClient.wait_for_workflow, gone.workflow.id)


def copied(screen: Terminal) -> str:
    """The last copied text, by OSC 52."""
    found = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)", bytes(screen.written))
    return base64.b64decode(found[-1]).decode() if found else ""


def go(screen: Terminal, command: str) -> None:
    screen.press(":")
    screen.shows("Go, do, find")
    screen.press(f"{command}\r")


def test_access_is_granted_in_ranger_and_the_refused_registration_finishes(raz: Raz) -> None:
    """Copy the Machine User Workload User Name, Ranger, *all - bucket, path*, Select User, save, retry."""
    assert raz.registry.storage_access is StorageAccess.NOT_GRANTED
    name, whole = unique("Raz"), raz.registry.machine_user_workload_name or ""
    policy = {"cm_s3": "all - bucket, path", "cm_adls": "all - storageaccount, storageaccountcontainer, relativepath"}
    with terminal(PROGRAM, raz.platform.environment(), columns=130, rows=40) as screen:
        screen.shows("Model Registries", "command")
        # Registering is refused by the object store.
        go(screen, f"project {raz.project.name}")
        screen.shows("Experiments", "raz")
        screen.press("enter")
        screen.shows("quiet-otter", "finished")
        screen.press("enter")
        screen.shows("Overview", "Status", "finished")
        screen.press("tab", "tab")
        screen.shows("Artifacts", "Flavours", "sklearn")
        screen.press("R")
        screen.shows("Register Model", "Version notes")
        screen.press(*name)
        screen.shows("a new model, version 1")
        screen.press("enter")
        screen.shows("was not stored", "refuses access")
        screen.press("escape")
        wait_for(lambda: "Version notes" not in screen.text, what="the form to close")

        # The name is copied from the registry's Details.
        go(screen, f"registry {raz.registry.name}")
        screen.shows("Workload user name", whole, "not granted")
        screen.press("down", "down", "down", "down", "c")
        wait_for(lambda: copied(screen) == whole, what="the copied name")

        # Environments, Ranger, the service's first policy, Select User.
        environment = raz.registry.environment_name
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press(*environment)
        screen.shows(f"environment {environment}")
        screen.press("enter")
        screen.shows(f"Workspaces of {environment}")
        screen.press("@")
        screen.shows(f"{raz.service}", policy[raz.service][:15], "Users, groups")
        screen.press("e")
        screen.shows("Policy all", "Exclude from allow")
        screen.press("enter")
        screen.shows("Select User", "Permissions")
        screen.press(*copied(screen).rpartition("_")[2])
        screen.shows(whole, "machine user of")
        screen.press("enter")
        wait_for(lambda: screen.text.count(whole) == 1 and "machine user of" not in screen.text, what="the whole name")
        screen.press("enter")
        screen.shows("Policy all", "Exclude from deny", whole)
        # Below the conditions: deny everything else, then a field, in which enter saves.
        screen.press("tab", "tab", "enter")
        screen.shows("is saved; the next request to the store obeys")

        # Back; the refused registration is tried again, and finishes.
        go(screen, f"registry {raz.registry.name}")
        screen.shows("Storage access", "granted")
        go(screen, "activity")
        screen.shows("Activity", f"{name}", "failed")
        screen.press("r")
        wait_for(
            lambda: raz.platform.call(RegistryClient.version, raz.registry.id, name, 1).status is VersionStatus.READY,
            what="the archive",
        )
        go(screen, f"model {raz.registry.name} {name}")
        screen.shows(name, "● Ready", "quiet-otter")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    assert raz.platform.call(RegistryClient.registry, raz.registry.id).storage_access is StorageAccess.GRANTED
