"""A model is opened with few questions: the list of its versions brings the model, looked up once with its rights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.schemas import mlflow_tags
from registry_tui.service.core.context import Principal
from registry_tui.service.errors import Missing
from registry_tui.service.models import versions

PLACE = SimpleNamespace(id="r", name="wines", workspace="registry-wines")


class Questions:
    """MLflow's server with one model, which everybody but `stranger` sees; notes what is asked, and for whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def call(self, _method: str, path: str, *, seen_by: str | None = None, **_options: Any) -> dict[str, Any]:
        self.asked.append((path, seen_by))
        if path == "model-versions/search":
            return {"model_versions": [_version("2"), _version("1")]}
        if seen_by == "stranger":
            return {}
        aliases = [{"alias": "champion", "version": "2"}]
        tags = [{"key": mlflow_tags.MODEL_ID, "value": "aaaa-bbbb-cccc-dddd"}]
        return {"registered_models": [{"name": "Wine", "tags": tags, "aliases": aliases, **_TIMES}]}


_TIMES = {"creation_timestamp": 1, "last_updated_timestamp": 2}


def _version(number: str) -> dict[str, Any]:
    return {"name": "Wine", "version": number, "status": "READY", **_TIMES}


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Questions:
    monkeypatch.setattr(versions, "enter_registry", lambda *_, **options: PLACE if options["reader"] else None)
    return Questions()


def _list(mlflow: Questions, user: str) -> Any:
    return versions.list_versions(
        cast(Any, SimpleNamespace(mlflow=mlflow)), Principal(user, f"crn:{user}", "request"), "wines", "Wine"
    )


def test_versions_and_their_model_are_two_questions_to_mlflow(mlflow: Questions) -> None:
    page = _list(mlflow, "ada")
    assert [path for path, _ in mlflow.asked] == ["registered-models/search", "model-versions/search"]
    assert mlflow.asked[0][1] == "ada", "the model is looked up with the reader's rights"
    assert (page.model.name, page.model.id, page.model.aliases) == ("Wine", "aaaa-bbbb-cccc-dddd", {"champion": 2})
    assert [(each.version, each.aliases) for each in page.items] == [(2, ["champion"]), (1, [])]


def test_whoever_does_not_see_the_model_gets_neither_it_nor_versions(mlflow: Questions) -> None:
    with pytest.raises(Missing):
        _list(mlflow, "stranger")
    assert mlflow.asked == [("registered-models/search", "stranger")]
