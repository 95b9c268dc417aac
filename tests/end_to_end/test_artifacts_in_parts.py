"""Large artifacts in parts between stock MLflow clients and the store, and through the server where that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from registry_tui.schemas.places import Environment, EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.opening import open_store
from support.other_stores import described
from support.platforms import PATIENCE, Platform, run_python, unique

#: Prints the addresses that a file was transferred through: those of the store, or the server.
TRANSFER = """
import os
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "true"
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = "1000"
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = str(5 << 20)
import pathlib, sys, tempfile, mlflow, requests
from urllib.parse import urlsplit
sent, ask = [], requests.Session.request
def noting(session, method, url, **options):
    answer = ask(session, method, url, **options)
    if "data" in options and options["data"] is not None and method.upper() == "PUT":
        sent.append(("up", urlsplit(url).netloc))
    elif "Range" in (options.get("headers") or {}):
        sent.append(("down", urlsplit(url).netloc))
    return answer
requests.Session.request = noting
content = os.urandom(12_000_000)
mlflow.set_experiment("parts")
with mlflow.start_run() as run, tempfile.TemporaryDirectory() as made:
    file = pathlib.Path(made) / sys.argv[1]
    file.write_bytes(content)
    mlflow.log_artifact(str(file), "large")
    fetched = mlflow.MlflowClient().download_artifacts(run.info.run_id, f"large/{file.name}", made)
    assert pathlib.Path(fetched).read_bytes() == content
server = urlsplit(mlflow.get_tracking_uri()).netloc
for way in ("up", "down"):
    places = [place for kind, place in sent if kind == way]
    print(way, len(places), "server" if set(places) <= {server} else "store")
print("RESULT", run.info.run_id, run.info.experiment_id)
"""


@pytest.fixture(scope="module", params=["embedded", "seaweedfs", "moto", "azurite", "google", "directory"])
def place(request: pytest.FixtureRequest, platform: Platform) -> Iterator[tuple[str, Project, Bucket | None]]:
    if request.param == "embedded":
        yield request.param, platform.new_project(), None
        return
    with described(request.param) as started:
        asked = EnvironmentCreate(name=unique("parts"), store=started.store)
        environment: Environment = platform.ask(lambda client: client.create_environment(asked))
        workspace = platform.ask(
            lambda client: client.create_workspace(WorkspaceCreate(name="team", environment=environment.name))
        )
        project = platform.ask(
            lambda client: client.create_project(ProjectCreate(name=unique("p"), workspace=workspace.id))
        )
        yield request.param, project, open_store(started.store)
        platform.ask(lambda client: client.delete_project(project.id, force=True))
        platform.ask(lambda client: client.delete_workspace(workspace.id))
        platform.ask(lambda client: client.delete_environment(environment.id))


def test_a_file_goes_up_and_down_in_parts_or_through_the_server(
    platform: Platform, place: tuple[str, Project, Bucket | None]
) -> None:
    kind, project, bucket = place
    output = run_python(TRANSFER, platform.exports(project.id), "a-large.bin").splitlines()
    if kind == "directory":
        assert {"up 1 server", "down 0 server"} <= set(output), output
    else:
        assert {"up 3 store", "down 3 store"} <= set(output), output
    if bucket is not None:
        sizes = {each.key.rpartition("/")[2]: each.size for each in bucket.list()}
        assert sizes.pop("a-large.bin") == 12_000_000
        assert not [name for name in sizes if name.isdecimal()], "parts are left"


def asking(platform: Platform, project: Project) -> httpx.Client:
    exports = platform.exports(project.id)
    return httpx.Client(
        base_url=exports["MLFLOW_TRACKING_URI"],
        auth=(exports["MLFLOW_TRACKING_USERNAME"], exports["MLFLOW_TRACKING_PASSWORD"]),
        timeout=PATIENCE,
        trust_env=False,
    )


def test_an_upload_is_good_for_its_own_file_only_and_can_be_given_up(
    platform: Platform, place: tuple[str, Project, Bucket | None]
) -> None:
    kind, project, _ = place
    with asking(platform, project) as http:
        made: dict[str, Any] = http.post("/api/2.0/mlflow/experiments/create", json={"name": unique("e")}).json()
        folder = f"workspaces/{project.mlflow_workspace}/{made['experiment_id']}/run/artifacts"

        def mpu(what: str, name: str, **fields: Any) -> httpx.Response:
            return http.post(f"/api/2.0/mlflow-artifacts/mpu/{what}/{folder}", json={"path": name, **fields})

        begun = mpu("create", "/home/ann/f.bin", num_parts=1)
        if kind == "directory":
            assert (begun.status_code, begun.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
            assert http.get(f"/api/2.0/mlflow-artifacts/presigned/{folder}/none").status_code == 404
            return
        begun.raise_for_status()
        (part,) = begun.json()["credentials"]
        upload = begun.json()["upload_id"]
        url = urlsplit(part["url"])
        named = parse_qs(url.query)
        lasts = next(named[each][0] for each in ("X-Amz-Expires", "X-Goog-Expires", "se") if each in named)
        assert lasts == "3600" or lasts.count("T") == 1
        # The address is for this object: with another name in it, the store refuses.
        if kind not in ("google", "moto"):  # which do not look at signatures
            elsewhere = part["url"].replace("f.bin", "g.bin")
            assert elsewhere != part["url"]
            assert httpx.put(elsewhere, content=b"x" * 100).status_code in (401, 403)
        sent = httpx.put(part["url"], content=b"x" * 100)
        assert sent.is_success, sent.text
        parts = [{"part_number": 1, "etag": sent.headers.get("etag", ""), "url": part["url"]}]
        if kind != "moto":  # which does not look at the name either
            other = mpu("complete", "g.bin", upload_id=upload, parts=parts)
            assert 400 <= other.status_code < 500, other.text
        assert http.get(f"/api/2.0/mlflow-artifacts/artifacts/{folder}/f.bin").status_code == 404
        mpu("abort", "f.bin", upload_id=upload).raise_for_status()
        if kind not in ("azurite", "moto"):  # Azure throws parts away by itself, moto answers 500
            gone = mpu("complete", "f.bin", upload_id=upload, parts=parts)
            assert gone.status_code == 404, gone.text
        for name in ("..", ".", "f.bin/", "a/.."):
            assert mpu("create", name, num_parts=1).status_code == 400, name
        assert mpu("create", "f.bin", num_parts=10_001).status_code == 400
        assert mpu("create", "f.bin", num_parts=0).status_code == 400
        # A file and a folder cannot have the same name, whichever way it came.
        http.put(f"/api/2.0/mlflow-artifacts/artifacts/{folder}/taken", content=b"1").raise_for_status()
        below = http.post(f"/api/2.0/mlflow-artifacts/mpu/create/{folder}/taken", json={"path": "x", "num_parts": 1})
        assert below.status_code == 400 and "same name" in below.json()["message"]
        signed = http.get(f"/api/2.0/mlflow-artifacts/presigned/{folder}/taken").json()
        assert signed["file_size"] == 1 and httpx.get(signed["url"], headers=signed["headers"]).content == b"1"
        info = http.get("/api/3.0/mlflow/server-info").json()
        assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (False, False)
