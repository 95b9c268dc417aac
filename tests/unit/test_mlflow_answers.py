"""Answers of attached servers that are otherwise than MLflow's: lists without end, odd fields, impossible numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlflow.exceptions import MlflowException

from registry_tui.mlflow_plugin import numbers
from registry_tui.service.adapters import attached_mlflow, mlflow_answers
from registry_tui.service.adapters.attached_mlflow import AttachedMlflow, ServerAddress
from registry_tui.service.adapters.mlflow_answers import OddAnswer, as_mlflow_does, check_answer, pages
from registry_tui.service.errors import Missing, PartUnavailable
from registry_tui.service.models import registered
from registry_tui.service.registering import importing
from registry_tui.service.tracking.folders import run_artifacts
from registry_tui.service.workflows import import_models
from support.little_mlflow import SEARCH, Answer, serving

API = "/api/2.0/mlflow"
Attached = tuple[dict[str, Answer], AttachedMlflow]


@pytest.fixture
def attached() -> Iterator[Attached]:
    """The answers of a server, and a client of it."""
    answers: dict[str, Answer] = {}
    with serving(answers) as server, closing(AttachedMlflow(ServerAddress(server.url))) as client:
        yield answers, client


def test_pages_end_with_the_last_one() -> None:
    answers: dict[str, dict[str, Any]] = {
        "": {"next_page_token": "b"},
        "b": {"next_page_token": "c"},
        "c": {"next_page_token": None},
    }
    assert list(pages("x", answers.__getitem__)) == list(answers.values())


def test_a_list_that_begins_again_ends_with_an_error() -> None:
    asked: list[str] = []

    def first_page(token: str) -> dict[str, str]:
        asked.append(token)
        return {"next_page_token": "second"}

    with pytest.raises(OddAnswer, match="A list of MLflow at lab does not end"):
        list(pages("lab", first_page))
    assert asked == ["", "second"]


def test_a_list_with_ever_new_pages_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_answers, "MOST_PAGES", 5)
    numbers_ = itertools.count()
    with pytest.raises(OddAnswer, match="does not end"):
        list(pages("lab", lambda _: {"next_page_token": str(next(numbers_))}))
    assert next(numbers_) == 5


def test_folders_models_and_versions_end_where_a_proxy_drops_the_page_token(attached: Attached) -> None:
    answers, client = attached
    answers[f"{API}/artifacts/list"] = (200, {"files": [{"path": "a", "file_size": "1"}], "next_page_token": "t"})
    model, version = {"name": "churn"}, {"name": "churn", "version": "1"}
    answers[f"{API}/registered-models/search"] = (200, {"registered_models": [model], "next_page_token": "t"})
    answers[f"{API}/model-versions/search"] = (200, {"model_versions": [version], "next_page_token": "t"})
    looks: list[None] = []
    for reads in (
        lambda: run_artifacts(client, "r").entries(""),
        lambda: importing.model_names(client, lambda: looks.append(None)),
        lambda: importing.versions_of(client, "churn", lambda: looks.append(None)),
    ):
        with pytest.raises(OddAnswer, match="does not end"):
            reads()
    # Before each page there was a look whether to go on.
    assert len(looks) == 4


def test_an_answer_that_drips_is_given_up(attached: Attached, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, client = attached
    answers[SEARCH] = (200, {"experiments": []})
    monkeypatch.setattr(attached_mlflow, "WHOLE_SECONDS", -1.0)
    with pytest.raises(PartUnavailable, match="has not sent its answer within"):
        client.call("POST", "experiments/search", json={})


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("runs/get", {}),
        ("runs/get", {"run": {"info": {}}}),
        ("runs/get", {"run": [1]}),
        ("experiments/get", {"experiment": None}),
        ("registered-models/get", {"registered_model": {"name": 5}}),
        ("runs/search", {"runs": [{"info": {"run_id": "r"}}, {}]}),
        ("model-versions/search", {"model_versions": "none"}),
        ("artifacts/list", {"files": 7}),
    ],
)
def test_an_answer_without_what_mlflow_puts_into_it_is_no_error_of_ours(
    attached: Attached, path: str, answer: dict[str, Any]
) -> None:
    answers, client = attached
    answers[f"{API}/{path}"] = (200, answer)
    with pytest.raises(OddAnswer, match="does not respond as MLflow does"):
        client.call("GET", path)


def test_answers_as_mlflow_gives_them_are_taken() -> None:
    check_answer("x", "runs/search", {})
    check_answer("x", "runs/search", {"runs": [{"info": {"run_id": "r"}, "data": {}}]})
    check_answer("x", "runs/get", {"run": {"info": {"run_id": "r"}}})
    check_answer("x", "anything/else", {"odd": 1})


def test_errors_of_the_service_are_not_the_answers_fault() -> None:
    with pytest.raises(Missing), as_mlflow_does("x"):
        raise Missing("gone")


@pytest.mark.parametrize("number", ["x", "0", "-1", "1.5", "", None, 1_000_001, 3_000_000_000, str(2**63 - 1), "٣"])
def test_a_number_that_no_version_can_have_here_is_refused(number: object) -> None:
    with pytest.raises(Exception, match="is not one from 1 to 1,000,000"):
        importing.number_of({"version": number})


def test_numbers_up_to_a_million_are_taken_and_no_others_by_the_store_either() -> None:
    assert importing.number_of({"version": "1000000"}) == 1_000_000
    assert importing.number_of({"version": 7}) == 7
    for number in (0, 1_000_001, 3_000_000_000, 2**63 - 1):
        with pytest.raises(MlflowException, match="cannot be imported") as raised:
            numbers.free_number(cast(Any, None), "w", "churn", number)
        assert raised.value.error_code == "INVALID_PARAMETER_VALUE"


def test_odd_versions_are_left_out_of_an_import_one_by_one(attached: Attached, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, client = attached
    url = client.address.url
    versions = [
        {"name": "churn", "version": "2", "source": "s3://elsewhere/model"},
        {"name": "churn", "version": "x"},
        {"name": "churn"},
        {"name": "churn", "version": 3_000_000_000},
        {"name": "churn", "version": "1", "model_id": {"odd": 5}},
        {"name": "churn", "version": "3", "source": "s3://elsewhere/model", "tags": [5]},
    ]
    answers[f"{API}/registered-models/get"] = (200, {"registered_model": {"name": "churn"}})
    answers[f"{API}/model-versions/search"] = (200, {"model_versions": versions})
    monkeypatch.setattr(importing, "imported_from", lambda *_: url)
    monkeypatch.setattr(registered, "fetch_model", lambda *_, **__: SimpleNamespace(name="churn", aliases={}))
    monkeypatch.setattr(import_models, "_search_here", lambda *_: [])
    logged: list[str] = []
    context = SimpleNamespace(
        service=None,
        principal=SimpleNamespace(sight=None),
        log=lambda text, *_: logged.append(text),
        progress=lambda _: None,
        check_cancelled=lambda: None,
    )
    registry = SimpleNamespace(workspace="w")
    work = import_models._Import(cast(Any, context), cast(Any, None), cast(Any, registry), client, len(versions))
    import_models._bring_model(work, "churn")
    assert work.skipped == len(versions)
    odd, number = "does not respond as MLflow does", "is not one from 1 to 1,000,000"
    expected = {"x": number, "None": number, "3000000000": number, "1": odd, "3": odd, "2": "reaches no model"}
    for version, reason in expected.items():
        assert any(line.startswith(f"Skipped churn v{version}: ") and reason in line for line in logged), (
            version,
            logged,
        )
