"""Where the service reads artifacts: in the project that was entered, regardless of a run's or a model's address."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.platform.paths import Home
from registry_tui.service.core.context import Service
from registry_tui.service.errors import InvalidInput
from registry_tui.service.tracking.artifacts import locate
from registry_tui.service.tracking.project import ProjectPlace
from unit.test_mlflow_routes import IDS, ROUTES

WINE = ProjectPlace("id", "wine", "wine")


@pytest.fixture
def service(tmp_path: Path) -> Service:
    home = Home(tmp_path)
    home.mlflow.mkdir()
    home.routes_file.write_text(ROUTES.to_json(), encoding="utf-8")
    parts: dict[str, Any] = {
        "home": home,
        "stores": SimpleNamespace(objects=SimpleNamespace(s3=lambda key: key)),
        "secrets": SimpleNamespace(object_store_mlflow="the key to every project"),
    }
    return cast(Service, SimpleNamespace(**parts))


def test_a_folder_of_the_project_is_read(service: Service) -> None:
    assert locate(service, WINE, "mlflow-artifacts:/workspaces/wine/1/r/artifacts").prefix == (
        "workspaces/wine/1/r/artifacts/"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "mlflow-artifacts:/workspaces/lonely/1/r/artifacts",
        f"mlflow-artifacts:/workspaces/lonely/registry/{IDS[0]}/{IDS[1]}/files",
        "mlflow-artifacts:/workspaces/wine/../lonely/1",
        "mlflow-artifacts:/workspaces/wine/%2e%2e/lonely/1",
        "mlflow-artifacts:/workspaces/wine/%252e%252e/lonely/1",
        "mlflow-artifacts:/1/r/artifacts",
        "mlflow-artifacts://host/workspaces/wine/1",
        "mlflow-artifacts://[x",
        "file:///etc",
        "/etc",
        "s3://bucket/workspaces/wine/1",
        "",
    ],
)
def test_an_address_that_leads_elsewhere_is_not_followed(service: Service, uri: str) -> None:
    with pytest.raises(InvalidInput):
        locate(service, WINE, uri)
