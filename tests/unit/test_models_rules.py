"""Names, tags, filters and values of registered models and runs."""

from __future__ import annotations

import math
import sys

import pytest

from registry_tui.schemas.models import Tag
from registry_tui.service.adapters.mlflow_words import metric_value, mlflow_order, quoted, unquotable
from registry_tui.service.errors import InvalidInput
from registry_tui.service.models.registered import check_tags, to_model
from registry_tui.service.registering.register import check_name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " x",
        "x ",
        "a/b",
        "a:b",
        "../x",
        "a..b",
        ".",
        "a\\b",
        "x\ny",
        "a\u202eb",
        "n" * 251,
        "\ud800",
        "\u2028x",
        "a@b",
        "a#b",
        "a?b",
    ],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_name(name)
    assert caught.value.errors[0].field == "name"


@pytest.mark.parametrize("name", ["a", "ElasticnetWineModel", "Élan 'x' \"y\"", "模型", "n" * 250, "a.b-c_d (2)"])
def test_names_that_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("tags", "delete"),
    [
        ([Tag(key="a"), Tag(key="a", value="2")], []),
        ([Tag(key="a")], ["a"]),
        ([Tag(key="registry_tui.owner", value="me")], []),
        ([], ["registry_tui.archive"]),
        ([Tag(key=" a")], []),
    ],
)
def test_tags_that_are_refused(tags: list[Tag], delete: list[str]) -> None:
    with pytest.raises(InvalidInput):
        check_tags(tags, delete)


def test_quoting_in_mlflows_filter_language() -> None:
    assert quoted("wine") == "'wine'"
    assert quoted("Ann's") == '"Ann\'s"'
    assert unquotable("a'b\"c") and quoted("a'b\"c") == "'a_b\"c'"


def test_metrics_that_json_cannot_hold() -> None:
    assert math.isnan(metric_value("NaN"))
    assert metric_value("-Infinity") == -math.inf
    assert metric_value(sys.float_info.max) == math.inf
    assert metric_value(0.25) == 0.25


def test_order() -> None:
    assert mlflow_order("-name", {"name": "name"}) == "name DESC"
    with pytest.raises(InvalidInput):
        mlflow_order("size", {"name": "name"})


def test_a_model_without_our_tags_is_private_and_nobodys() -> None:
    model = to_model("r", {"name": "bare", "latest_versions": [{"version": "2"}, {"version": "10"}]})
    assert (model.id, model.owner, model.visibility.value, model.latest_version) == ("bare", "", "private", 10)
