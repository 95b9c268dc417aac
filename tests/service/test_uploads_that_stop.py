"""Uploads that stop in the middle, at MLflow's own server: nobody else waits for them."""

from __future__ import annotations

import base64
import os
import socket
from contextlib import ExitStack

from registry_tui.contracts.bodies import UPLOADS_EACH
from registry_tui.schemas.places import Project
from support.platforms import PATIENCE, Platform
from support.raw_mlflow import RawMlflow, contributor

#: More than asyncio has threads of its own, where a person may have as many uploads.
STOPPED = min((os.cpu_count() or 1) + 6, UPLOADS_EACH - 2)
#: Two parts and a little more.
SIZE = (16 << 20) + 5


def begun(platform: Platform, raw: RawMlflow, project: Project, path: str, size: int) -> socket.socket:
    """A connection with the head of an upload and its first byte."""
    connection = socket.create_connection(("127.0.0.1", platform.ports.mlflow), timeout=PATIENCE)
    credentials = base64.b64encode(":".join(raw.auth).encode()).decode()
    lines = [
        f"PUT /api/2.0/mlflow-artifacts/artifacts/{path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Basic {credentials}",
        f"X-MLFLOW-WORKSPACE: {project.mlflow_workspace}",
        f"Content-Length: {size}",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + b"x")
    return connection


def test_uploads_that_stop_let_others_through(platform: Platform, project: Project) -> None:
    raw = contributor(platform, project.id)
    run = raw.ask("POST", "runs/create", json={"start_time": 1}).raise_for_status().json()["run"]["info"]
    folder = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    with ExitStack() as stack:
        stopped = [
            stack.enter_context(begun(platform, raw, project, f"{folder}/stopped{number}", SIZE))
            for number in range(STOPPED)
        ]
        other = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/other"
        raw.ask("PUT", other, content=b"whole").raise_for_status()
        assert raw.ask("GET", other).content == b"whole"
        # One that goes on is stored.
        large = b"x" + os.urandom(SIZE - 1)
        stopped[0].sendall(large[1:])
        assert stopped[0].recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    found = raw.ask("GET", f"/api/2.0/mlflow-artifacts/artifacts/{folder}/stopped0")
    assert found.content == large


def test_a_download_says_its_length_before_the_first_byte_and_a_folder_is_none(
    platform: Platform, project: Project
) -> None:
    raw = contributor(platform, project.id)
    run = raw.ask("POST", "runs/create", json={"start_time": 1}).raise_for_status().json()["run"]["info"]
    folder = f"/api/2.0/mlflow-artifacts/artifacts/{run['artifact_uri'].removeprefix('mlflow-artifacts:/')}"
    for path, content in (("a/large.bin", os.urandom(SIZE)), ("a/empty.txt", b"")):
        raw.ask("PUT", f"{folder}/{path}", content=content).raise_for_status()
        got = raw.ask("GET", f"{folder}/{path}")
        assert (got.status_code, got.content, got.headers["Content-Length"]) == (200, content, str(len(content)))
        assert got.headers["Content-Disposition"] == f"attachment; filename={path.removeprefix('a/')}"
    assert raw.ask("GET", f"{folder}/a").status_code == 400
    assert raw.ask("GET", f"{folder}/none").status_code == 404
