"""Which artifact path leads where, and which lead nowhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from registry_tui.contracts.mlflow_routes import (
    Location,
    ProjectRoute,
    RegistryRoute,
    RouteError,
    Routes,
    RoutesFile,
    archive_uri,
    artifact_path,
    read_routes,
)
from registry_tui.platform.secrets import write_private

WINE = ProjectRoute("p1", "wine", "team", "env", "bucket-a", "mr-env")
LONELY = ProjectRoute("p2", "lonely", "team", "other", "bucket-b", None, "Ask ann to synchronize it.")
OWN = ProjectRoute("p3", "own", "team", "third", "bucket-c", None, folder="artifacts-e/own")
ROUTES = Routes(
    {"wine": WINE, "lonely": LONELY, "default": WINE, "own": OWN}, {"mr-env": RegistryRoute("r", "bucket-a", "models")}
)
IDS = ("a1b2-c3d4-e5f6-g7h8", "0000-1111-2222-3333")


def artifacts(workspace: str, path: str) -> Location:
    folder = f"workspaces/{workspace}"
    return Location(workspace, "bucket-a", f"{folder}/{path}", True, folder=folder)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("workspaces/wine/1/ab/artifacts/m", artifacts("wine", "1/ab/artifacts/m")),
        ("/workspaces//wine/1", artifacts("wine", "1")),
        ("1/abc", artifacts("default", "1/abc")),
        ("workspaces/own/1/ab/artifacts/m",
         Location("own", "bucket-c", "artifacts-e/own/1/ab/artifacts/m", True, outside=True, folder="artifacts-e/own")),
        (f"workspaces/wine/registry/{IDS[0]}/{IDS[1]}/files/MLmodel",
         Location("wine", "bucket-a", f"models/{IDS[0]}/{IDS[1]}/files/MLmodel", False, "mr-env", IDS[0])),
        (f"registry/{IDS[0]}/{IDS[1]}",
         Location("default", "bucket-a", f"models/{IDS[0]}/{IDS[1]}", False, "mr-env", IDS[0])),
        ("workspaces/wine/1/registry/x", artifacts("wine", "1/registry/x")),
    ],
)  # fmt: skip
def test_paths_lead_into_the_projects_bucket(path: str, location: Location) -> None:
    assert ROUTES.locate(path) == location


@pytest.mark.parametrize(
    "path",
    [
        "workspaces",
        "workspaces/nobody/1",
        "workspaces/wine/../beer/1",
        "workspaces/wine/./1",
        "workspaces/wine/a\\..\\b",
        "workspaces/wine/registry",
        f"workspaces/wine/registry/{IDS[0]}",
        f"workspaces/wine/registry/{IDS[0]}/..",
        f"workspaces/wine/registry/{IDS[0]}/manifest.json",
        f"workspaces/lonely/registry/{IDS[0]}/{IDS[1]}/files",
    ],
)
def test_other_paths_lead_nowhere(path: str) -> None:
    with pytest.raises(RouteError):
        ROUTES.locate(path)


def test_an_archives_uri_leads_back_to_it() -> None:
    uri = archive_uri("wine", *IDS)
    assert ROUTES.locate(artifact_path(uri)).key == f"models/{IDS[0]}/{IDS[1]}/files"


@pytest.mark.parametrize(
    "uri", ["s3://bucket/x", "mlflow-artifacts://host/x", "mlflow-artifacts://[x", "mlflow-artifacts:/x?y=1", "/x"]
)
def test_other_uris_are_no_artifacts_of_ours(uri: str) -> None:
    with pytest.raises(RouteError):
        artifact_path(uri)


def test_quoted_steps_upwards_are_seen() -> None:
    with pytest.raises(RouteError):
        ROUTES.locate(artifact_path("mlflow-artifacts:/workspaces/wine/%252e%252e/beer"))
    with pytest.raises(RouteError):
        artifact_path(f"mlflow-artifacts:/workspaces/wine/%{'25' * 500_000}2e")


def test_refusals_say_what_to_do() -> None:
    assert ROUTES.refusal_of("lonely") == "Ask ann to synchronize it."
    assert "registries synchronize" in Routes({"x": dataclasses.replace(LONELY, refusal="")}).refusal_of("x")
    assert "projects list" in ROUTES.refusal_of("nobody")
    assert ROUTES.registry_of("wine") == ROUTES.registry_of("mr-env") == "mr-env"
    assert ROUTES.registry_of("lonely") is ROUTES.registry_of("nobody") is None


def test_the_file_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    file = RoutesFile(path)
    assert file.load() == Routes()
    write_private(path, ROUTES.to_json())
    assert path.stat().st_mode & 0o777 == 0o600
    assert file.load() == ROUTES == read_routes(path)
    assert file.load() is file.load()
    write_private(path, Routes().to_json())
    assert file.load() == Routes()


@pytest.mark.parametrize("text", ["{", "{}", '{"format": 99, "projects": {}, "registries": {}}'])
def test_a_damaged_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "routes.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        read_routes(path)
