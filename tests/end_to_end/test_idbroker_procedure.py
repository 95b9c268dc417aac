"""The documented procedure of an environment without RAZ, by keys alone: copy the CRN, map it, Save and Sync, retry."""

from __future__ import annotations

import base64
import os
import re
import signal
import sys

from registry_tui.platform import supervisor
from registry_tui.schemas.idbroker import SyncStatus
from registry_tui.schemas.models import ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate, StorageAccess
from support.platforms import Platform, run_python, unique, wait_for
from support.registered import log_model, object_names
from support.served import finish
from support.terminal import Terminal, terminal

LOAD = """
import sys, mlflow
print(sorted(each.path for each in mlflow.artifacts.list_artifacts(sys.argv[1])))
print(open(mlflow.artifacts.download_artifacts(sys.argv[1] + "/part-1.bin"), "rb").read())
"""

PROGRAM = [sys.executable, "-m", "registry_tui"]


def without_access(platform: Platform) -> tuple[Project, str]:
    """A project in an environment without RAZ, and the ID of its registry, which was given nothing."""
    name = unique("no-raz").lower()
    environment = EnvironmentCreate(name=name, raz_enabled=False)
    platform.ask(lambda client: client.create_environment(environment))
    workspace = platform.ask(lambda client: client.create_workspace(WorkspaceCreate(name=name, environment=name)))
    project = platform.ask(lambda client: client.create_project(ProjectCreate(name=name, workspace=workspace.id)))
    wanted = RegistryCreate(environment=name, grant_storage_access=False)
    made = platform.ask(lambda client: client.create_registry(wanted))
    finish(platform, made.workflow)
    finish(platform, platform.ask(lambda client: client.synchronize_registry(made.resource.id)).workflow)
    return project, made.resource.id


def copied(screen: Terminal) -> str:
    """The last copied text, by OSC 52."""
    found = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)", bytes(screen.written))
    return base64.b64decode(found[-1]).decode() if found else ""


def command(screen: Terminal, text: str) -> None:
    screen.press(":")
    screen.shows("Go, do, find")
    screen.press(f"{text}\r")


def test_the_machine_user_is_mapped_by_keys_and_the_failed_registration_finishes(platform: Platform) -> None:
    project, registry = without_access(platform)
    name = project.name
    log_model(platform, project)
    before = platform.ask(lambda client: client.registry(registry))
    assert before.storage_access is StorageAccess.NOT_GRANTED
    with terminal(PROGRAM, platform.environment()) as screen:
        # Registering ends in the store's own refusal, with the remedy.
        screen.shows("command", "Model Registries")
        command(screen, f"project {name}")
        screen.shows("experiment-")
        screen.press("enter")
        screen.shows("trained", "finished")
        screen.press("enter")
        screen.shows("Overview", "Status")
        screen.press("tab", "tab")
        screen.shows("Artifacts", "Flavours")
        screen.press("R")
        screen.shows("Register Model", "Version notes")
        screen.press(*"Mapped")
        screen.shows("a new model, version 1")
        screen.press("enter")
        screen.shows("was not stored", "AccessDenied", "machine user")
        screen.press("escape")
        wait_for(lambda: "Register Model" not in screen.text, what="the form to close")

        # Copy the machine user's CRN from Details.
        command(screen, f"registry {before.name}")
        screen.shows("Machine user CRN", "not granted")
        screen.press("down", "down", "down", "c")
        crn = wait_for(lambda: copied(screen) if ":machineUser:" in copied(screen) else "", what="the CRN")
        assert crn == before.machine_user_crn

        # One key leads to Environment → Manage access → IDBroker: map it to the Data Access Role, Save and Sync.
        screen.press("@")
        screen.shows(f"IDBroker mappings of {name}", "Data Access Role", "NEVER_RUN", "is not mapped")
        screen.press(f"\x1b[200~{crn}\x1b[201~", "enter")
        screen.shows("Storage access          granted", "COMPLETED")
        status = platform.ask(lambda client: client.idbroker_sync_status(name))
        assert status.global_status is SyncStatus.COMPLETED and not status.sync_needed
        mappings = platform.ask(lambda client: client.idbroker_mappings(name))
        assert [(each.accessor_crn, each.role) for each in mappings.mappings] == [(crn, mappings.data_access_role)]

        # Retrying finishes the same registration.
        stored = platform.ask(lambda client: client.version(registry, "Mapped", 1))
        assert stored.status is VersionStatus.FAILED_REGISTRATION
        command(screen, f"workflow {stored.workflow_id}")
        screen.shows("failed", "AccessDenied")
        screen.press("r")
        screen.shows("succeeded")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    stored = platform.ask(lambda client: client.version(registry, "Mapped", 1))
    assert stored.status is VersionStatus.READY


def test_a_mapping_that_is_taken_out_stops_the_next_archive_and_not_what_is_stored(platform: Platform) -> None:
    project, registry = without_access(platform)
    bucket = platform.ask(lambda client: client.environment(project.environment_id)).bucket
    run = log_model(platform, project, size=5)
    request = RegisterModel(name="Stored", run_id=run.run_id, artifact_path=run.artifact_path)

    def register(ends: WorkflowStatus) -> ModelVersion:
        accepted = platform.ask(lambda client: client.register_model(project.id, request))
        finish(platform, accepted.workflow, ends)
        return platform.ask(lambda client: client.version(registry, "Stored", accepted.resource.version))

    crn = platform.ask(lambda client: client.registry(registry)).machine_user_crn or ""
    platform.command("idbroker", "set", project.name, "--mapping", crn, "--sync")
    register(WorkflowStatus.SUCCEEDED)
    kept = object_names(platform, bucket, "modelregistry/")
    assert len(kept) == 6  # its files, the manifest and the signature

    # Taken out alone, nothing changes yet.
    platform.command("idbroker", "set", project.name, "--empty")
    register(WorkflowStatus.SUCCEEDED)
    kept = object_names(platform, bucket, "modelregistry/")
    platform.command("idbroker", "sync", project.name)
    refused = register(WorkflowStatus.FAILED)
    assert refused.status is VersionStatus.FAILED_REGISTRATION and "AccessDenied" in refused.status_message
    assert object_names(platform, bucket, "modelregistry/") == kept
    versions = platform.ask(lambda client: client.versions(registry, "Stored")).items
    assert [each.version for each in versions if each.status is VersionStatus.READY] == [2, 1]
    loaded = run_python(LOAD, platform.exports(project.id), "models:/Stored/1")
    assert "part-2.bin" in loaded and repr(bytes([1]) * 5) in loaded


def test_a_service_that_stands_still_while_mappings_are_saved_gets_each_request_once(own_platform: Platform) -> None:
    project, registry = without_access(own_platform)
    found = own_platform.ask(lambda client: client.registry(registry))
    before = own_platform.ask(lambda client: client.idbroker_mappings(project.name)).mappings_version
    with terminal(PROGRAM, own_platform.environment(), columns=80, rows=24) as screen:
        screen.shows("command", "Model Registries")
        command(screen, f"registry {found.name}")
        screen.shows("Machine user CRN")
        screen.press("@")
        screen.shows("IDBroker mappings of", "Save and Sync")
        screen.press(f"\x1b[200~{found.machine_user_crn}\x1b[201~")
        screen.shows("machineUser")
        stopped = own_platform.running("service")
        os.kill(stopped, signal.SIGSTOP)
        try:
            screen.press("enter")
            screen.shows("Sending …", "esc leaves, it goes on")
            wait_for(lambda: re.search(r"sending … \d+ s", screen.text), what="the seconds")
            screen.press("enter", "enter")
        finally:
            os.kill(stopped, signal.SIGCONT)
        screen.shows("COMPLETED")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    assert own_platform.pid("service") == stopped
    mappings = own_platform.ask(lambda client: client.idbroker_mappings(project.name))
    assert [each.accessor_crn for each in mappings.mappings] == [found.machine_user_crn]
    assert mappings.mappings_version == before + 1
    events = own_platform.ask(lambda client: client.events()).items
    done = sorted(each.action for each in events if each.resource_id == project.environment_id)
    assert [action for action in done if action.startswith("idbroker.")] == ["idbroker.set", "idbroker.synchronize"]


def test_a_synchronization_that_failed_says_why_in_the_form_and_is_tried_again_there(own_platform: Platform) -> None:
    project, registry = without_access(own_platform)
    found = own_platform.ask(lambda client: client.registry(registry))
    with terminal(PROGRAM, own_platform.environment(), columns=80, rows=24) as screen:
        screen.shows("command", "Model Registries")
        command(screen, f"registry {found.name}")
        screen.shows("Machine user CRN")
        screen.press("@")
        screen.shows("IDBroker mappings of", "Save and Sync")
        screen.press(f"\x1b[200~{found.machine_user_crn}\x1b[201~")
        screen.shows("machineUser")
        supervisor.stop_part(own_platform.home, "object-store")
        screen.press("enter")
        # The buttons stay in view with every message.
        screen.shows("The mappings are saved", "FAILED", "object store", "Save and Sync again", "Cancel")
        status = own_platform.ask(lambda client: client.idbroker_sync_status(project.name))
        assert status.global_status is SyncStatus.FAILED and status.sync_needed
        own_platform.up()
        screen.press("enter")
        screen.shows("COMPLETED")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    mappings = own_platform.ask(lambda client: client.idbroker_mappings(project.name))
    assert [each.accessor_crn for each in mappings.mappings] == [found.machine_user_crn]
