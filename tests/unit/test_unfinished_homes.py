"""A home that is half restored or half upgraded reports it, and admits nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp
from typer.testing import CliRunner

from registry_tui.cli.main import app
from registry_tui.mlflow_plugin.shut_doors import ShutDoors
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.platform.unfinished import Doors
from registry_tui.service.http.middleware import RequestMiddleware


def restoring(home: Home) -> Path:
    return home.restoring_file


def upgrading(home: Home) -> Path:
    return home.upgrading_file


@pytest.mark.parametrize(("file", "remedy"), [(restoring, "registry-tui restore"), (upgrading, "registry-tui upgrade")])
def test_status_names_what_did_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Callable[[Home], Path], remedy: str
) -> None:
    home = Home(tmp_path)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    assert remedy not in CliRunner().invoke(app, ["status"]).output
    file(home).write_text("{}")
    assert remedy in CliRunner().invoke(app, ["status"]).output


async def _open(_: object) -> PlainTextResponse:
    return PlainTextResponse("in")


INSIDE = Starlette(routes=[Route("/{path:path}", _open)])


def asked(app: ASGIApp, path: str, user: str = "") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://registry-tui") as client:
            return await client.get(path, auth=(user, "x") if user else None)

    return asyncio.run(ask())


def test_the_service_lets_only_other_parts_in_until_an_upgrade_is_done(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.upgrading_file.touch()
    app = RequestMiddleware(INSIDE, max_request_bytes=1, doors=Doors(home))
    for path in ("/api/v1/health", "/api/v1/internal/pending-versions"):
        assert asked(app, path).text == "in"
    refused = asked(app, "/api/v1/models")
    assert refused.status_code == 503 and refused.headers["Retry-After"]
    assert refused.json()["code"] == "part-unavailable" and "registry-tui upgrade" in refused.json()["action"]
    home.upgrading_file.unlink()
    assert asked(app, "/api/v1/models").text == "in"


def test_mlflow_lets_only_the_service_in_until_an_upgrade_is_done(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.upgrading_file.touch()
    app = ShutDoors(INSIDE, Doors(home), "registry-tui")
    assert asked(app, "/api/2.0/mlflow/runs/search", "registry-tui").text == "in"
    for user in ("ada", ""):
        refused = asked(app, "/api/2.0/mlflow/runs/search", user)
        assert refused.status_code == 503 and refused.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    # The service tries there whether the password of a person fits.
    assert asked(app, "/api/2.0/mlflow/users/current", "ada").text == "in"
    home.upgrading_file.unlink()
    assert asked(app, "/api/2.0/mlflow/runs/search", "ada").text == "in"
