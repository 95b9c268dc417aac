"""Importing one version: unreadable parts are left out, and failures resume from their place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import ModelVersion, Origin, RegisteredModel, VersionStatus
from registry_tui.service.adapters.attached_mlflow import AttachedMlflow, ServerAddress
from registry_tui.service.core.context import Principal
from registry_tui.service.errors import PartUnavailable
from registry_tui.service.models import changes
from registry_tui.service.registering import archiving, importing
from registry_tui.service.workflows import import_models
from support.little_mlflow import SEARCH, Server, serving, with_model

LIST = "/api/2.0/mlflow/artifacts/list"
CREATE = "model-versions/create"
FAILS: tuple[int, object] = (500, {"error_code": "INTERNAL_ERROR", "message": "AccessDenied on bucket old"})


class _Mlflow:
    """The Model Registry here: records its requests."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.tags: dict[str, str] = {}
        self.statuses: list[tuple[int | str, str]] = []

    def call(self, method: str, path: str, *, json: Any = None, **options: Any) -> dict[str, Any]:
        self.calls.append((path, json))
        return {"model_version": {**json, "version": "1", "status": "PENDING_REGISTRATION"}}

    def set_version_tags(self, workspace: str, name: str, version: int | str, tags: dict[str, str]) -> None:
        self.tags |= tags

    def set_version_status(self, workspace: str, name: str, version: int | str, status: str, message: str = "") -> None:
        self.statuses.append((version, status))


class _Named:
    """Has every attribute that it is made with."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class _Stage:
    """An import at work between a server there and the registry here."""

    def __init__(self, server: Server, client: AttachedMlflow, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.mlflow = server, _Mlflow()
        self.lines: list[str] = []
        self.begun: list[ModelVersion] = []
        #: The project that shows the server now.
        self.project = "new"
        monkeypatch.setattr(importing, "_PAUSE", 0.0)
        monkeypatch.setattr(importing, "source_of", self._source_of)
        monkeypatch.setattr(archiving, "start", lambda _service, _principal, _place, each: self.begun.append(each))
        monkeypatch.setattr(changes, "changed", lambda *_: None)
        context: Any = _Named(
            service=_Named(mlflow=self.mlflow),
            principal=Principal("ann", "crn", "r"),
            log=lambda text, level="info": self.lines.append(text),
            progress=lambda _: None,
            check_cancelled=lambda: None,
        )
        place: Any = _Named(workspace="lab", id="new")
        registry: Any = _Named(workspace="reg", id="registry")
        self.work = import_models._Import(context, place, registry, client, 1)
        moment = "2026-01-01T00:00:00Z"
        facts = {"id": "m", "name": "churn", "registry_id": "registry", "description": "", "owner": "ann"}
        self.model = RegisteredModel.model_validate(
            {**facts, "visibility": "private", "location": "", "created_at": moment, "updated_at": moment}
        )
        self.there = {"name": "churn", "version": "1", "status": "READY", "source": "runs:/r/model"}

    def _source_of(self, *_: Any) -> tuple[str, Origin]:
        self.work.client.call("GET", "artifacts/list", params={"run_id": "r"})
        source = f"registry-tui-attached:/{self.project}/runs/r/model"
        return source, Origin(project_id=self.project, source=source)

    def here(self, status: VersionStatus) -> dict[str, Any]:
        """The version as it was brought when another project showed the server."""
        mark = importing.mark(self.work.url, "churn", 1)
        origin = Origin(project_id="old", source="registry-tui-attached:/old/runs/r/model").model_dump_json()
        tags = {mlflow_tags.REQUEST: mark, mlflow_tags.ORIGIN: origin, mlflow_tags.VERSION_ID: "v"}
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        return {"name": "churn", "version": "1", "status": status.value, "tags": listed}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Stage]:
    answers = {path.partition("?")[0]: answer for path, answer in with_model("churn", 1).items()}
    with serving(answers) as server, closing(AttachedMlflow(ServerAddress(server.url))) as client:
        yield _Stage(server, client, monkeypatch)


def _fail(server: Server, *paths: str) -> None:
    """Lets the server fail there, with and without parameters."""
    for path in paths:
        server.answers |= {path: FAILS, f"{path}?run_id=r": FAILS}


def test_a_version_whose_folder_the_server_cannot_read_is_reported_as_such(stage: _Stage) -> None:
    _fail(stage.server, LIST)
    with pytest.raises(importing.Unreadable, match="AccessDenied on bucket old"):
        import_models._bring_version(stage.work, stage.model, None, 1, stage.there)
    assert importing.Unreadable in import_models._OF_ONE
    asked = [path.partition("?")[0] for path, _ in stage.server.seen]
    assert asked == [LIST, LIST, SEARCH]  # twice, and then whether it answers at all
    assert stage.mlflow.calls == []


def test_a_server_that_answers_nothing_any_more_is_waited_for(stage: _Stage) -> None:
    _fail(stage.server, LIST, SEARCH)
    with pytest.raises(PartUnavailable):
        import_models._bring_version(stage.work, stage.model, None, 1, stage.there)


def test_a_proxy_that_finds_no_server_is_not_about_one_version(stage: _Stage) -> None:
    stage.server.answers |= {f"{LIST}?run_id=r": (503, "<html>no server</html>")}
    with pytest.raises(PartUnavailable):
        import_models._bring_version(stage.work, stage.model, None, 1, stage.there)


def test_a_failed_version_begins_again_from_the_project_that_shows_the_server_now(stage: _Stage) -> None:
    stage.server.answers |= {f"{LIST}?run_id=r": (200, {"files": []})}
    failed = stage.here(VersionStatus.FAILED_REGISTRATION)
    import_models._bring_version(stage.work, stage.model, failed, 1, stage.there)
    (begun,) = stage.begun
    assert begun.origin.source == "registry-tui-attached:/new/runs/r/model"
    assert begun.status is VersionStatus.PENDING_REGISTRATION and begun.id == "v"
    # It is kept, so that a service that is killed now goes on from there.
    assert json.loads(stage.mlflow.tags[mlflow_tags.ORIGIN])["project_id"] == "new"
    assert stage.mlflow.statuses == [(1, "PENDING_REGISTRATION")]
    assert (stage.work.before, stage.work.waiting) == (1, [("churn", 1)])


@pytest.mark.parametrize("status", [VersionStatus.READY, VersionStatus.PENDING_REGISTRATION])
def test_other_versions_keep_their_origin(stage: _Stage, status: VersionStatus) -> None:
    import_models._bring_version(stage.work, stage.model, stage.here(status), 1, stage.there)
    assert stage.mlflow.tags == {} and stage.server.seen == []
    assert len(stage.begun) == (status is not VersionStatus.READY)


def test_a_new_model_is_asked_for_with_its_highest_number(stage: _Stage) -> None:
    there = [{"name": "churn", "version": each} for each in ("2", "11", "x")]
    import_models._create_model(stage.work, {"name": "churn"}, there)
    ((path, body),) = stage.mlflow.calls
    tags = {tag["key"]: tag["value"] for tag in body["tags"]}
    assert (path, tags[mlflow_tags.NUMBER]) == ("registered-models/create", "11")
