"""Rotating the platform's own secrets: with calls going on, cut off at each stage, and where secrets are afterwards."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest
from botocore.exceptions import ClientError

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.platform import object_store, rotation
from registry_tui.platform.rotation import Stage
from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import AccessKey, Secrets, save_secrets
from registry_tui.schemas.deployments import ApiKeyCreate, EnvironmentVariable
from registry_tui.schemas.models import RegisterModel
from registry_tui.schemas.operations import EventOutcome, WorkflowStatus
from registry_tui.schemas.people import UserTokenCreate
from registry_tui.schemas.places import CollaboratorChange, Project, Role
from registry_tui.schemas.secrets import SecretKind, SecretsRotate
from registry_tui.service.operations.rotating import FIELDS
from support import secret_search, served
from support.platforms import PATIENCE, Platform, unique, wait_for
from support.registered import log_model, mlflow_client

ALL = SecretsRotate()
#: Kinds that no person knows a secret of.
INNER = SecretsRotate(kinds=[SecretKind.OBJECT_STORE, SecretKind.MACHINE_USERS, SecretKind.MLFLOW])
FIELD_NAMES = tuple(name for kind in SecretKind for name in FIELDS[kind])


@pytest.fixture(scope="module")
def project(own_platform: Platform) -> Project:
    return own_platform.new_project()


def knows_key(platform: Platform, key: AccessKey) -> bool:
    client = s3_client("s3", platform.ports.s3_endpoint, key, attempts=1)
    try:
        client.list_buckets()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidAccessKeyId", error
        return False
    return True


def knows_password(platform: Platform, user: str, password: str) -> bool:
    url = f"{platform.ports.mlflow_url}/api/2.0/mlflow/users/current"
    return httpx.get(url, auth=(user, password), timeout=PATIENCE, trust_env=False).status_code == 200


def machine_keys(platform: Platform) -> list[AccessKey]:
    ids = secret_search.column(platform, "SELECT machine_user_access_key_id FROM registries ORDER BY id")
    keys = secret_search.column(platform, "SELECT machine_user_secret_access_key FROM registries ORDER BY id")
    return [AccessKey(id_, key) for id_, key in zip(ids, keys, strict=True)]


def check_replaced(platform: Platform, before: Secrets, machines: list[AccessKey] | None = None) -> None:
    """The new secrets work, and none of the old ones does."""
    after = platform.secrets
    for name in FIELD_NAMES:
        assert getattr(after, name) != getattr(before, name), name
    for name in FIELDS[SecretKind.OBJECT_STORE]:
        assert knows_key(platform, getattr(after, name)) and not knows_key(platform, getattr(before, name))
    user = before.mlflow_admin_user
    assert knows_password(platform, user, after.mlflow_admin_password)
    assert not knows_password(platform, user, before.mlflow_admin_password)
    for old, new in zip(machines or [], machine_keys(platform), strict=False):
        assert knows_key(platform, new) and not knows_key(platform, old)
    assert not platform.home.rotation_file.exists()


@contextmanager
def going_on(*calls: Callable[[], object]) -> Iterator[list[str]]:
    """Repeats each call in a thread of its own; yields the failures."""
    failed: list[str] = []
    stop = threading.Event()
    done = [threading.Event() for _ in calls]

    def repeat(call: Callable[[], object], once: threading.Event) -> None:
        while not stop.is_set():
            try:
                call()
            except Exception as error:
                failed.append(f"{call}: {error!r}"[:500])
                stop.set()
            once.set()

    threads = [threading.Thread(target=repeat, args=pair) for pair in zip(calls, done, strict=True)]
    for thread in threads:
        thread.start()
    try:
        assert all(each.wait(PATIENCE) for each in done), "every call was made once"
        yield failed
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)


def test_no_call_fails_while_secrets_are_rotated(own_platform: Platform, project: Project) -> None:
    platform = own_platform
    run = log_model(platform, project)
    credentials = platform.ask(lambda client: client.credentials(project.id))
    large = os.urandom(12 << 20)
    address = f"/api/2.0/mlflow-artifacts/artifacts/{run.key}/large.bin"

    def upload_and_read() -> None:
        with mlflow_client(credentials) as http:
            http.put(address, content=large).raise_for_status()
            assert http.get(address).raise_for_status().content == large

    def track() -> None:
        with mlflow_client(credentials) as http:
            body = {"run_id": run.run_id, "key": "loss", "value": 1.0, "timestamp": 1}
            http.post("/api/2.0/mlflow/runs/log-metric", json=body).raise_for_status()

    def register() -> None:
        request = RegisterModel(name=unique("r"), run_id=run.run_id, artifact_path=run.artifact_path)
        accepted = platform.ask(lambda client: client.register_model(project.id, request))
        ended = platform.ask(lambda client: client.wait_for_workflow(accepted.workflow.id))
        assert ended.status is WorkflowStatus.SUCCEEDED, ended.error

    def read() -> None:
        assert platform.ask(lambda client: client.run(project.id, run.run_id)).id == run.run_id
        # A probe that takes long on a busy machine is not a refusal.
        details = [part.detail for part in platform.ask(lambda client: client.status()).parts]
        assert not [each for each in details if "AccessKey" in each or "401" in each or "password" in each], details

    before, machines = platform.secrets, machine_keys(platform)
    with going_on(upload_and_read, track, register, read) as failed:
        for _ in range(3):
            rotated = platform.ask(lambda client: client.rotate_secrets(INNER))
            assert rotated.kinds == INNER.kinds and not failed
    assert not failed
    platform.ask(lambda client: client.rotate_secrets(SecretsRotate(kinds=[SecretKind.PEOPLE])))
    check_replaced(platform, before, machines)
    assert not knows_password(platform, credentials.username, credentials.password), "of before the rotation"
    newer = platform.ask(lambda client: client.credentials(project.id))
    assert knows_password(platform, newer.username, newer.password)


def test_everybodys_password_is_replaced_and_suspended_people_stay_out(
    own_platform: Platform, project: Project
) -> None:
    platform, users = own_platform, [unique("ann"), unique("bob")]
    for user in users:
        change = CollaboratorChange(role=Role.CONTRIBUTOR)
        platform.call(RegistryClient.set_collaborator, project.id, user, change)
    kept = {user: platform.ask(lambda client: client.credentials(project.id), user=user).password for user in users}
    assert all(knows_password(platform, user, password) for user, password in kept.items())
    suspended = platform.command("users", "suspend", users[1], "--yes", check=False)
    assert suspended.returncode == 0, suspended.stderr
    done = platform.command("secrets", "rotate", "--kind", "people", "--yes")
    assert "everybody's password" in done.stderr and "--new-certificate" in done.stderr
    assert not any(knows_password(platform, user, password) for user, password in kept.items())
    now = platform.ask(lambda client: client.credentials(project.id), user=users[0])
    assert knows_password(platform, users[0], now.password)
    new = secret_search.platform_secrets(platform)[f"password of {users[1]}"]
    assert not knows_password(platform, users[1], new)


def test_only_administrators_rotate_and_events_say_who_did(own_platform: Platform, project: Project) -> None:
    user, before = unique("eve"), own_platform.secrets
    change = CollaboratorChange(role=Role.ADMIN)
    own_platform.ask(lambda client: client.set_collaborator(project.id, user, change))
    with pytest.raises(RegistryError, match="may not rotate secrets"):
        own_platform.ask(lambda client: client.rotate_secrets(ALL), user=user)
    assert own_platform.secrets == before
    own_platform.ask(lambda client: client.rotate_secrets(INNER))
    told = own_platform.ask(lambda client: client.events(action="secrets.rotate")).items
    assert (told[0].outcome, told[0].detail) == (EventOutcome.SUCCEEDED, "object-store, machine-users, mlflow")
    denied = next(each for each in told if each.actor == user)
    assert denied.outcome is EventOutcome.DENIED


def cut_off(platform: Platform, stage: str) -> None:
    """Leaves a rotation as a kill of the service at a stage does."""
    home, secrets = platform.home, platform.secrets
    under_way = rotation.begin(home, tuple(SecretKind), secrets, FIELD_NAMES)
    after = under_way.after(secrets)
    object_store.write_identities(home, secrets)
    object_store.read_identities_again(home)
    wait_for(lambda: knows_key(platform, after.object_store_admin), what="the object store to take up the key")
    if stage == "accepted":
        return
    user, old, new = secrets.mlflow_admin_user, secrets.mlflow_admin_password, after.mlflow_admin_password
    body = {"username": user, "password": new, "current_password": old}
    url = f"{platform.ports.mlflow_url}/api/2.0/mlflow/users/update-password"
    httpx.patch(url, json=body, auth=(user, old), timeout=PATIENCE, trust_env=False).raise_for_status()
    if stage == "password changed":
        return
    save_secrets(home, after)
    assert stage == "retiring"
    rotation.keep(home, replace(under_way, stage=Stage.RETIRING))


@pytest.mark.parametrize("stage", ["accepted", "password changed", "retiring"])
def test_a_rotation_that_was_cut_off_goes_on_at_the_next_start(
    own_platform: Platform, project: Project, stage: str
) -> None:
    platform, before = own_platform, own_platform.secrets
    cut_off(platform, stage)
    assert stat.S_IMODE(platform.home.rotation_file.stat().st_mode) == 0o600
    platform.kill("object-store")
    platform.kill("service")
    wait_for(lambda: not platform.home.rotation_file.exists(), what="the rotation to go on")
    platform.up()
    check_replaced(platform, before)
    assert log_model(platform, project).run_id


def test_a_rotation_whose_file_is_damaged_is_set_aside_at_the_next_start(own_platform: Platform) -> None:
    """Also where MLflow has a new password already that nobody else knows."""
    platform, before = own_platform, own_platform.secrets
    cut_off(platform, "password changed")
    home = platform.home
    home.rotation_file.write_text(home.rotation_file.read_text()[:-20])
    platform.down()
    platform.up()
    assert platform.secrets == before and not home.rotation_file.exists()
    assert stat.S_IMODE(home.damaged_rotation_file.stat().st_mode) == 0o600
    assert knows_password(platform, before.mlflow_admin_user, before.mlflow_admin_password)
    assert knows_key(platform, before.object_store_admin)
    told = platform.ask(lambda client: client.events(action="secrets.rotate")).items[0]
    assert told.outcome is EventOutcome.FAILED and str(home.damaged_rotation_file) in told.detail
    platform.ask(lambda client: client.rotate_secrets(ALL))
    check_replaced(platform, before)
    assert not home.damaged_rotation_file.exists()


def test_an_object_store_that_is_starting_is_not_ended_by_asking_it_to_read_its_keys(own_platform: Platform) -> None:
    platform = own_platform
    platform.kill("object-store")

    def asked() -> bool:
        for _ in range(20):
            object_store.read_identities_again(platform.home)
            time.sleep(0.01)
        return knows_key(platform, platform.secrets.object_store_admin)

    wait_for(asked, what="the object store to answer")
    ends = re.findall("exited: object-store (.+)", (platform.home.logs / "supervisor.log").read_text())
    assert ends and not [each for each in ends if "SIGHUP" in each]


def test_a_kill_in_the_middle_changes_nothing_about_the_end(own_platform: Platform) -> None:
    platform, before, machines = own_platform, own_platform.secrets, machine_keys(own_platform)
    store = platform.running("object-store")
    os.kill(store, signal.SIGSTOP)  # so that the rotation waits for it
    try:
        asking = threading.Thread(target=lambda: platform.command("secrets", "rotate", "--yes", check=False))
        asking.start()
        wait_for(platform.home.rotation_file.exists, what="the rotation to begin")
        platform.kill("service")
        asking.join(PATIENCE)
    finally:
        os.kill(store, signal.SIGCONT)
    wait_for(lambda: not platform.home.rotation_file.exists(), what="the rotation to go on")
    platform.up()
    check_replaced(platform, before, machines)


def test_secrets_are_found_in_their_own_places_only(own_platform: Platform, project: Project) -> None:
    platform, hidden = own_platform, unique("variable")
    model = served.register(platform, project)
    variable = EnvironmentVariable(name="TOKEN", value=hidden, secret=True)
    deployment = served.deploy(platform, model, environment=[variable], authentication=True)
    key = platform.ask(lambda client: client.create_key(ApiKeyCreate(name=unique("key")))).key
    answered = served.call(deployment, headers={"Authorization": f"Bearer {key}"})
    assert answered.status_code == 200, answered.text
    before = {**secret_search.platform_secrets(platform), **secret_search.machine_secrets(platform)}
    shown = [
        platform.command(*words.split(), check=False)
        for words in ("status", "secrets rotate --yes", "events list", "workflows list", "deployments list --json")
    ]
    now = {**secret_search.platform_secrets(platform), **secret_search.machine_secrets(platform)}
    old = {f"{name} (old)": value for name, value in before.items() if value not in now.values()}
    assert len(old) > 6
    sought, home = {**now, **old, "API key": key, "variable": hidden}, platform.home
    # The store keeps its users' keys among its data.
    for name, where in secret_search.places(sought, secret_search.files([home.root], without=home.object_store)):
        assert where in secret_search.own_places(platform, name) or (
            # A deployment's variables are in the specs of its replicas.
            name == "variable" and where.startswith(f"{home.serving}/deployments/")
        ), (name, where)
    # A replica is given its variables.
    told = [text for text in secret_search.process_lists(platform) if text[0] != "replica environ"]
    told += [(str(each.args), (each.stdout + each.stderr).encode()) for each in shown]
    assert not secret_search.places(sought, told)
    events = platform.ask(lambda client: client.events(page_size=500))
    lines = json.dumps([each.model_dump(mode="json") for each in events.items]).encode()
    assert not secret_search.places(sought, [("events", lines)])


def test_the_search_at_the_end_of_a_run_finds_what_is_out_of_place(own_platform: Platform) -> None:
    platform = own_platform
    log = platform.home.logs / "planted.log"
    user = platform.ask(lambda client: client.whoami()).name
    password = secret_search.platform_secrets(platform)[f"password of {user}"]
    token = platform.ask(lambda client: client.create_token(user, UserTokenCreate(name="planted"))).token
    header = base64.b64encode(f"{user}:{password}".encode()).decode()
    assert secret_search.out_of_place(platform) == []
    try:
        # The second piece in which the file is read begins inside of the token.
        before = f"password={password} Basic {header} {secret_search.hidden()}\n"
        log.write_text(before.ljust(secret_search.PIECE - 30) + f"{token}\n")
        found = secret_search.out_of_place(platform)
        assert found == sorted(
            [
                f"a hidden value of a test: {log}",
                f"a token or an API key: {log}",
                f"password of {user}: {log}",
                f"password of {user} in a header: {log}",
            ]
        )
        assert not [each for each in (password, token, header) if each in "".join(found)]
        with pytest.raises(AssertionError, match=r"planted\.log"):
            secret_search.require_none_out_of_place(platform)
    finally:
        log.unlink()
