"""Files on disk and sockets in reach of other users, after a registration; ports: `test_platform_doors.py`."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from registry_tui.platform import processes
from registry_tui.schemas.models import RegisterModel
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from support import secret_search
from support.platforms import Platform, unique
from support.registered import LoggedRun, log_model, object_names

NOBODY = 65534
REACH = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
for path in sys.argv[2:]:
    try:
        if path.endswith(".sock"):
            socket.socket(socket.AF_UNIX).connect(path)
        elif os.path.isdir(path):
            os.listdir(path)
        else:
            open(path).read(1)
        print("reached", path)
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        pass  # a file or a process that is gone by now is not reached either
"""


@pytest.fixture(scope="module")
def registered(platform: Platform) -> tuple[Project, LoggedRun]:
    """A project whose run was registered, so that every kind of secret is in use."""
    project = platform.new_project()
    run = log_model(platform, project)
    request = RegisterModel(name=unique("closed"), run_id=run.run_id, artifact_path=run.artifact_path)
    accepted = platform.ask(lambda client: client.register_model(project.id, request))
    done = platform.ask(lambda client: client.wait_for_workflow(accepted.workflow.id))
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    return project, run


def everything_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent) / name for name in (*folders, *files))


def mode_of(path: Path) -> int | None:
    """The mode of a file; None when it is gone: others work on the platform, and files come and go."""
    with suppress(FileNotFoundError):
        return path.lstat().st_mode
    return None


def test_everything_on_disk_is_behind_a_folder_for_the_owner_only(
    platform: Platform, registered: tuple[Project, LoggedRun]
) -> None:
    for folder in {platform.home.root, platform.home.run}:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    for path in (platform.home.secrets_file, platform.home.ports_file, *platform.home.service.iterdir()):
        if (mode := mode_of(path)) is not None:
            assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), path
    assert stat.S_IMODE(platform.home.service_socket.stat().st_mode) == 0o600
    modes = {path: mode_of(path) or 0 for path in everything_below(platform.home.root)}
    assert not [path for path, mode in modes.items() if mode & stat.S_IWOTH and not stat.S_ISLNK(mode)]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_reaches_nothing(platform: Platform) -> None:
    paths = [platform.home.root, platform.home.run, platform.home.secrets_file, platform.home.mlflow_database]
    sockets = [path for path in everything_below(platform.home.run) if path.suffix == ".sock"]
    assert platform.home.service_socket in sockets
    environments = [Path(f"/proc/{pid}/environ") for pid in processes.ours(platform.home)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", REACH, str(NOBODY), *map(str, (*paths, *sockets, *environments))],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == ""


def test_secrets_are_in_the_files_of_secrets_only(platform: Platform, registered: tuple[Project, LoggedRun]) -> None:
    project, _ = registered
    plain = asdict(platform.secrets)
    keys = [plain.pop(name)["secret_access_key"] for name in ("object_store_admin", "object_store_mlflow")]
    password = platform.exports(project.id)["MLFLOW_TRACKING_PASSWORD"]
    del plain["mlflow_admin_user"]
    secrets = [value.encode() for value in (*keys, *plain.values(), password)]
    # The object store is handed its first two users' keys in a file, and keeps them among its data.
    known = {platform.home.secrets_file, platform.home.run / "identities.json"}
    searched = secret_search.files([platform.home.root], without=platform.home.object_store)
    holding = {path for path, content in searched if any(secret in content for secret in secrets)}
    found = {path for path in map(Path, holding) if path not in known}
    assert not found


def test_nobody_changes_or_reads_artifacts_without_a_password(
    platform: Platform, registered: tuple[Project, LoggedRun]
) -> None:
    project, run = registered
    bucket = platform.ask(lambda client: client.environment(project.environment_id)).bucket
    before = sorted(object_names(platform, bucket, run.key))
    assert before
    proxied = f"{platform.ports.mlflow_url}/api/2.0/mlflow-artifacts/artifacts/{quote(run.key)}/model/MLmodel"
    direct = f"{platform.ports.s3_endpoint}/{bucket}/{quote(run.key)}/model/MLmodel"
    headers = {"X-MLFLOW-WORKSPACE": project.mlflow_workspace}
    for url in (proxied, direct):
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            content = b"x" if method in ("PUT", "POST") else None
            answer = httpx.request(method, url, content=content, headers=headers, timeout=300)
            assert answer.status_code in (401, 403, 405), (method, url, answer.status_code)
            assert b"flavors" not in answer.content
    for path in (
        f"get-artifact?path=model/MLmodel&run_uuid={run.run_id}",
        "ajax-api/2.0/mlflow/runs/search",
        "metrics",
    ):
        answer = httpx.get(f"{platform.ports.mlflow_url}/{path}", headers=headers, timeout=300)
        assert answer.status_code in (401, 403, 404, 405), (path, answer.status_code)
    assert sorted(object_names(platform, bucket, run.key)) == before
