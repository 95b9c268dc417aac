"""A stock MLflow server that is attached: its experiments and runs, as its user may read them, and nothing changes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from packaging.version import Version
from typer.testing import CliRunner

from registry_tui.cli.main import app
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.service.core.context import Service
from support.bare import acting, asking, bare_service, make_place, prepared_app, set_roles
from support.little_mlflow import ATTACHABLE, SEARCH, serving
from support.platforms import temporary_folder, wait_for
from support.stock_mlflow import StockServer, stock_server
from support.team import free_port

PLACE = "lab"
RUNS = 7


@pytest.fixture(scope="module")
def stock() -> Iterator[StockServer]:
    """With users and below a path prefix; experiments `churn` with runs, and `secret`."""
    with temporary_folder() as folder, stock_server(folder, prefix="/ml", auth=True) as server:
        churn = server.experiment("churn")
        parent = server.run(churn, "search", params={"depth": "3"}, tags={"team": "a"}, metrics={"loss": [0.5]})
        for number in range(RUNS - 1):
            server.run(
                churn,
                f"trial-{number}",
                params={"depth": str(number)},
                metrics={"loss": [2.0, 1.0 / (number + 1)]},
                tags={"mlflow.parentRunId": parent} if number % 2 else {},
            )
        secret = server.experiment("secret")
        server.run(secret, "hidden", metrics={"loss": [0.1]})
        yield server


@pytest.fixture(scope="module")
def reader(stock: StockServer) -> StockServer:
    """A user of the server who may not see the experiment `secret`."""
    reader = stock.user("reader")
    found = stock.call("GET", "experiments/get-by-name", params={"experiment_name": "secret"})["experiment"]
    stock.deny("reader", str(found["experiment_id"]))
    return reader


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path) as made:
        make_place(made, PLACE)
        yield made


@contextlib.contextmanager
def answering(service: Service, home: Home) -> Iterator[None]:
    """The service answers at a home's socket, for commands."""
    home.service_socket.parent.mkdir(parents=True, mode=0o700)
    config = uvicorn.Config(prepared_app(service), uds=str(home.service_socket), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, what="the service")
        yield
    finally:
        server.should_exit = True
        thread.join()


def body(server: StockServer, **changed: Any) -> dict[str, Any]:
    assert server.auth is not None
    user, secret = server.auth
    return {"name": "theirs", "environment": PLACE, "url": server.url, "user": user, "secret": secret, **changed}


async def attach(http: httpx.AsyncClient, server: StockServer, **changed: Any) -> dict[str, Any]:
    answer = await http.post("/attached-servers", json=body(server, **changed))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def every(http: httpx.AsyncClient, path: str, page_size: int, search: Any = None) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    found: list[dict[str, Any]] = []
    token = None
    while True:
        if search is None:
            params: dict[str, Any] = {"page_size": page_size} | ({"page_token": token} if token else {})
            answer = await http.get(path, params=params)
        else:
            answer = await http.post(path, json=search | {"page_size": page_size, "page_token": token})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        token = page["next_page_token"]
        if token is None:
            return found


async def test_an_attached_server_shows_the_experiments_and_runs_that_it_has(
    service: Service, stock: StockServer
) -> None:
    async with asking(service) as http:
        made = await attach(http, stock)
        assert made["version"] == str(stock.version)
        project = (await http.get("/projects/theirs")).raise_for_status().json()
        assert (project["attached_url"], project["workspace_name"]) == (stock.url, "theirs")
        experiments = await every(http, "/projects/theirs/experiments", 1)
        theirs = stock.call("POST", "experiments/search", json={"max_results": 1000})["experiments"]
        assert {(each["id"], each["name"]) for each in experiments} == {
            (each["experiment_id"], each["name"]) for each in theirs
        }
        churn = (await http.get("/projects/theirs/experiments/churn")).raise_for_status().json()["id"]
        runs_path, ordered = "/projects/theirs/runs/search", {"order_by": ["metrics.loss ASC"]}
        runs = await every(http, runs_path, 2, {"experiment_ids": [churn], **ordered})
        answered = stock.call("POST", "runs/search", json={"experiment_ids": [churn], **ordered})
        assert [each["id"] for each in runs] == [each["info"]["run_id"] for each in answered["runs"]]
        assert len(runs) == RUNS
        assert {each["name"]: each["metrics"]["loss"] for each in runs}["trial-3"] == 0.25
        filtered = await every(http, runs_path, 2, {"experiment_ids": [churn], "filter": "params.depth = '3'"})
        assert {each["name"] for each in filtered} == {"search", "trial-3"}
        top = await every(http, runs_path, 2, {"experiment_ids": [churn], "top_level": True})
        assert {each["name"] for each in top} == {"search", "trial-0", "trial-2", "trial-4"}
        one = (await http.get(f"/projects/theirs/runs/{filtered[0]['id']}")).raise_for_status().json()
        assert one["params"]["depth"] == "3"
        history = await http.get(f"/projects/theirs/runs/{runs[0]['id']}/metric-history", params={"metric": "loss"})
        assert [point["step"] for point in history.raise_for_status().json()["items"]] == [0, 1]


async def test_a_metric_of_an_attached_server_is_drawn_as_here(service: Service, stock: StockServer) -> None:
    churn = stock.call("GET", "experiments/get-by-name", params={"experiment_name": "churn"})["experiment"]
    values = [float(step % 7) for step in range(900)]
    values[333] = 99.0
    run = stock.run(str(churn["experiment_id"]), "long", metrics={"loss": values})
    async with asking(service) as http:
        await attach(http, stock)
        path = f"/projects/theirs/runs/{run}"
        drawn = await http.get(f"{path}/metric-curve", params={"metric": "loss", "points": 20})
        curve = drawn.raise_for_status().json()
        assert (curve["count"], curve["not_finite"], curve["one_step"]) == (900, 0, False)
        assert 20 <= len(curve["points"]) <= 42
        assert {"step": 333, "value": 99.0}.items() <= max(curve["points"], key=lambda each: each["value"]).items()
        assert (curve["points"][0]["step"], curve["points"][-1]["step"]) == (0, 899)
        part = await http.get(f"{path}/metric-curve", params={"metric": "loss", "low": 10, "high": 19})
        assert [each["step"] for each in part.raise_for_status().json()["points"]] == list(range(10, 20))
        steps: list[int] = []
        params: dict[str, Any] = {"metric": "loss", "page_size": 400}
        while True:
            page = (await http.get(f"{path}/metric-history", params=params)).raise_for_status().json()
            steps += [point["step"] for point in page["items"]]
            if page["next_page_token"] is None:
                break
            params["page_token"] = page["next_page_token"]
        assert steps == list(range(900))
    stock.call("POST", "runs/delete", json={"run_id": run})


async def test_artifacts_and_models_of_an_attached_server_are_listed_and_read(
    service: Service, stock: StockServer
) -> None:
    experiment = stock.experiment("with-files")
    run = stock.run(experiment, "files")
    info = stock.call("GET", "runs/get", params={"run_id": run})["run"]["info"]
    content = bytes(range(256)) * 1000
    stock.upload(info["artifact_uri"], "plots/curve.bin", content)
    stock.upload(info["artifact_uri"], "readme.txt", b"hello")
    if logged := stock.version >= Version("3.0"):
        made = {"experiment_id": experiment, "name": "model", "source_run_id": run}
        model = stock.call("POST", "logged-models", json=made)["model"]["info"]
        stock.upload(model["artifact_uri"], "MLmodel", b"flavors: {}\n")
        stock.upload(model["artifact_uri"], "data/weights.bin", b"12345")
    async with asking(service) as http:
        await attach(http, stock)
        path = f"/projects/theirs/runs/{run}/artifacts"

        async def listed(folder: str) -> dict[str, Any]:
            answer = await http.get(path, params={"path": folder})
            found: dict[str, Any] = answer.raise_for_status().json()
            return found

        root = await listed("")
        assert {(each["path"], each["is_folder"], each["size"]) for each in root["entries"]} == {
            ("plots", True, None),
            ("readme.txt", False, 5),
            *([("model", True, None)] if logged else []),
        }
        (inside,) = (await listed("plots"))["entries"]
        assert (inside["path"], inside["size"]) == ("plots/curve.bin", len(content))
        totals = (await http.get(f"{path}/totals")).raise_for_status().json()
        files = 4 if logged else 2
        assert (totals["files"], totals["complete"]) == (files, True)
        whole = await http.get(f"{path}/content", params={"path": "plots/curve.bin"})
        assert whole.content == content
        wanted = {"Range": "bytes=70000-200999"}
        part = await http.get(f"{path}/content", params={"path": "plots/curve.bin"}, headers=wanted)
        assert part.status_code == 206 and part.content == content[70_000:201_000]
        assert part.headers["Content-Range"] == f"bytes 70000-200999/{len(content)}"
        for wrong, status in (("plots", 422), ("none.txt", 404), ("../x", 422), ("plots/../readme.txt", 422)):
            assert (await http.get(f"{path}/content", params={"path": wrong})).status_code == status, wrong
        if logged:
            assert (await listed("model"))["is_model"] is True
            assert [each["path"] for each in (await listed("model/data"))["entries"]] == ["model/data/weights.bin"]
            weights = await http.get(f"{path}/content", params={"path": "model/data/weights.bin"})
            assert weights.content == b"12345"
    stock.call("POST", "runs/delete", json={"run_id": run})


async def test_a_server_is_read_with_the_rights_of_the_user_that_it_was_attached_with(
    service: Service, stock: StockServer, reader: StockServer
) -> None:
    secret = stock.call("GET", "experiments/get-by-name", params={"experiment_name": "secret"})["experiment"]
    search = {"experiment_ids": [secret["experiment_id"]]}
    async with asking(service) as http:
        await attach(http, stock, name="whole")
        await attach(http, reader, name="part")
        names = {each["name"] for each in await every(http, "/projects/whole/experiments", 100)}
        assert {"churn", "secret"} <= names
        names = {each["name"] for each in await every(http, "/projects/part/experiments", 100)}
        assert "churn" in names and "secret" not in names
        assert len(await every(http, "/projects/whole/runs/search", 100, search)) == 1
        answer = await http.post("/projects/part/runs/search", json=search)
        if stock.version < Version("3"):
            # MLflow 2 gives everybody all runs of an experiment whose ID they know.
            assert reader.call("POST", "runs/search", json=search)["runs"]
        else:
            assert answer.status_code == 403 or answer.json()["items"] == [], answer.text
        assert (await http.get("/projects/part/experiments/secret")).status_code in (403, 404)


async def test_only_the_administrator_has_the_service_ask_an_address(service: Service, stock: StockServer) -> None:
    set_roles(service, "eve", PLACE, "EnvironmentAdmin", "MLAdmin")
    async with asking(service) as http:
        answer = await http.post("/attached-servers", json=body(stock), headers=acting("eve"))
        assert answer.status_code == 403 and "may not attach" in answer.json()["detail"], answer.text
        await attach(http, stock)
        seen = await http.get("/attached-servers/theirs", headers=acting("eve"))
        assert stock.auth is not None and stock.auth[1] not in seen.raise_for_status().text
        assert (await http.get("/projects/theirs/experiments", headers=acting("eve"))).status_code == 403


async def test_a_server_that_cannot_be_read_is_not_attached_and_the_answer_says_why(
    service: Service, stock: StockServer
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    async with asking(service) as http:
        for changed, status, words in (
            ({"secret": "wrong"}, 409, "does not accept"),
            ({"user": None, "secret": None}, 409, "lets nobody in without credentials"),
            ({"url": nobody}, 503, "does not answer"),
            ({"url": f"{stock.root}/elsewhere"}, 409, "no MLflow server"),
            ({"url": "http://mlflow.example.com"}, 422, "https://"),
            ({"url": "ftp://x"}, 422, "must look like"),
            ({"url": "https://ann:pass@mlflow.example.com"}, 422, "neither a user"),
            ({"proxy": "http://ann:pass@proxy:1"}, 422, "proxy"),
            ({"certificate": "no certificate"}, 422, "PEM"),
            ({"name": "team"}, 409, "already"),
            ({"environment": "elsewhere"}, 404, "no environment"),
        ):
            answer = await http.post("/attached-servers", json=body(stock, **changed))
            assert answer.status_code == status and words in answer.json()["detail"], (changed, answer.text)
        assert await every(http, "/attached-servers", 10) == []
        assert [each["name"] for each in await every(http, "/workspaces", 10)] == ["team"]


async def test_nothing_is_changed_in_a_project_that_shows_a_server_elsewhere(
    service: Service, stock: StockServer
) -> None:
    run = {"run_ids": ["0" * 32]}
    async with asking(service) as http:
        await attach(http, stock)
        for method, path, sent in (
            ("POST", "/projects/theirs/experiments", {"name": "mine"}),
            ("POST", "/projects/theirs/runs/delete", run),
            ("POST", "/projects/theirs/runs/purge", run),
            ("POST", "/projects/theirs/register", {"name": "m", "run_id": "0" * 32, "artifact_path": "model"}),
            ("POST", "/projects", {"name": "another", "workspace": "theirs"}),
            ("DELETE", "/projects/theirs", None),
            ("DELETE", "/workspaces/theirs", None),
            ("GET", "/projects/theirs/credentials", None),
        ):
            answer = await http.request(method, path, json=sent)
            assert answer.status_code == 409, f"{method} {path}: {answer.text}"
            assert answer.json()["action"]
        assert "mine" not in {each["name"] for each in await every(http, "/projects/theirs/experiments", 100)}


async def test_a_detached_server_leaves_nothing_behind_and_stays_as_it_was(
    service: Service, stock: StockServer
) -> None:
    assert stock.auth is not None
    async with asking(service) as http:
        made = await attach(http, stock)
        assert made["problem"] is None
        assert bool(made["limits"]) is (stock.version < Version("3.11"))
        assert await every(http, "/attached-servers", 10) == [made]
        assert (await http.get("/attached-servers/theirs")).raise_for_status().json() == made
        events = (await http.get("/events")).raise_for_status().text
        assert "attached-server.attach" in events
        assert stock.auth[1] not in events + str(made)
        assert (await http.delete("/attached-servers/theirs")).status_code == 204
        for path in ("/attached-servers/theirs", "/projects/theirs", "/workspaces/theirs"):
            assert (await http.get(path)).status_code == 404
        await attach(http, stock)  # the name is free again
    names = {each["name"] for each in stock.call("POST", "experiments/search", json={"max_results": 10})["experiments"]}
    assert {"churn", "secret"} <= names


async def test_registered_models_of_an_attached_server_are_listed_with_their_versions(
    service: Service, stock: StockServer
) -> None:
    for name in ("wine red", "beer"):
        tags = [{"key": "team", "value": "a"}]
        stock.call("POST", "registered-models/create", json={"name": name, "description": "d", "tags": tags})
    run = stock.run(stock.experiment("with-models"), "trained")
    for number in range(1, 4):
        info = stock.call("GET", "runs/get", params={"run_id": run})["run"]["info"]
        version = {"name": "wine red", "source": f"{info['artifact_uri']}/model", "run_id": run}
        made = stock.call("POST", "model-versions/create", json=version | {"description": f"note {number}"})
        assert made["model_version"]["version"] == str(number)
    stock.call("POST", "registered-models/alias", json={"name": "wine red", "alias": "champion", "version": "2"})
    stage = {"name": "wine red", "version": "1", "stage": "Production", "archive_existing_versions": False}
    stock.call("POST", "model-versions/transition-stage", json=stage)
    async with asking(service) as http:
        await attach(http, stock)
        models = await every(http, "/projects/theirs/attached-models", 1)
        assert [(each["name"], each["latest_version"]) for each in models] == [("beer", None), ("wine red", 3)]
        assert (models[1]["aliases"], models[1]["tags"]) == ({"champion": 2}, {"team": "a"})
        named = await http.get("/projects/theirs/attached-models", params={"name": "RED"})
        assert [each["name"] for each in named.raise_for_status().json()["items"]] == ["wine red"]
        versions = await every(http, "/projects/theirs/attached-models/wine%20red/versions", 2)
        assert [(each["version"], each["notes"], each["aliases"]) for each in versions] == [
            (3, "note 3", []),
            (2, "note 2", ["champion"]),
            (1, "note 1", []),
        ]
        assert (versions[2]["stage"], versions[2]["run_id"]) == ("Production", run)
        assert (await http.get("/projects/theirs/attached-models/none/versions")).status_code == 404
        assert (await http.get("/projects/wine/attached-models")).status_code == 409
    for name in ("wine red", "beer"):
        stock.call("DELETE", "registered-models/delete", json={"name": name})


def test_the_command_line_attaches_lists_and_detaches(
    service: Service, stock: StockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stock.auth is not None
    with temporary_folder() as folder, answering(service, Home(folder)):
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(folder))
        monkeypatch.delenv("REGISTRY_TUI_CONTEXT", raising=False)
        file = tmp_path / "password"
        file.write_text(f"{stock.auth[1]}\n")

        def said(*words: str) -> str:
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, f"{words}: {done.output} {done.exception!r}"
            return done.output

        attached = said(
            *("attach", "theirs", stock.url, "-e", PLACE, "--user", stock.auth[0], "--password-file", str(file))
        )
        assert str(stock.version) in attached and "readable" in attached and stock.auth[1] not in attached
        assert stock.url in said("attached", "list")
        moved = stock.url.replace("127.0.0.1", "localhost")
        assert moved in said("attached", "change", "theirs", moved)
        assert "churn" in said("experiments", "list", "--project", "theirs")
        runs = said("runs", "list", "--project", "theirs", "--experiment", "churn")
        assert "trial-3" in runs and "search" in runs
        said("detach", "theirs", "--yes")
        assert stock.url not in said("attached", "list")


async def test_a_server_that_moved_is_read_at_its_new_address_with_what_was_given_before(
    service: Service, stock: StockServer, reader: StockServer
) -> None:
    assert stock.auth is not None and reader.auth is not None
    moved, path = stock.url.replace("127.0.0.1", "localhost"), "/attached-servers/theirs"
    set_roles(service, "eve", PLACE, "EnvironmentAdmin", "MLAdmin")
    async with asking(service) as http:
        made = await attach(http, stock)
        found = (await http.put(path, json={"url": f"{moved}/"})).raise_for_status().json()
        assert found == {**made, "url": moved}
        assert (await http.get(path)).raise_for_status().json() == found
        assert (await http.get("/projects/theirs")).raise_for_status().json()["attached_url"] == moved
        names = {each["name"] for each in await every(http, "/projects/theirs/experiments", 100)}
        assert {"churn", "secret"} <= names
        user, secret = reader.auth
        other = (await http.put(path, json={"url": moved, "user": user, "secret": secret})).raise_for_status().json()
        assert other["user"] == user
        assert "secret" not in {each["name"] for each in await every(http, "/projects/theirs/experiments", 100)}
        events = (await http.get("/events")).raise_for_status().text
        assert "attached-server.change" in events and secret not in events and stock.auth[1] not in events
        # A refused change has no effect.
        nobody = f"http://127.0.0.1:{free_port()}"
        for sent, status, words in (
            ({"url": moved, "without": ["credentials"]}, 409, "lets nobody in without credentials"),
            ({"url": moved, "token": "x"}, 422, ""),
            ({"url": moved, "secret": "x", "without": ["credentials"]}, 422, "taken away at once"),
            ({"url": nobody}, 503, "does not answer"),
            ({"url": "http://mlflow.example.com"}, 422, "https://"),
        ):
            answer = await http.put(path, json=sent)
            assert answer.status_code == status and words in answer.text, (sent, answer.text)
        assert (await http.put(path, json={"url": moved}, headers=acting("eve"))).status_code == 403
        assert (await http.put("/attached-servers/team", json={"url": moved})).status_code == 404
        assert (await http.get(path)).raise_for_status().json() == other


async def test_a_server_that_stopped_is_reported_where_it_is_read(service: Service) -> None:
    found = {"experiments": [{"experiment_id": "7", "name": "churn", "lifecycle_stage": "active"}]}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving({**ATTACHABLE, SEARCH: (200, found)}))
        async with asking(service) as http:
            sent = {"name": "theirs", "environment": PLACE, "url": server.url}
            assert (await http.post("/attached-servers", json=sent)).status_code == 201
            assert await every(http, "/projects/theirs/experiments", 10)
            stack.close()
            answer = await http.get("/projects/theirs/experiments")
            assert answer.status_code == 503 and server.url in answer.json()["detail"]
            shown = (await http.get("/attached-servers/theirs")).raise_for_status().json()
            assert "does not answer" in shown["problem"]
