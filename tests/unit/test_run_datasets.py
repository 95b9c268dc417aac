"""Datasets of runs as text."""

from __future__ import annotations

import json

import pytest

from registry_tui.schemas.tracking import DatasetInput
from registry_tui.screens.tracking.run_datasets import datasets_text

ODD = ["", "[/bold]\x1b[2J", "[" * 100_000, "NaN", '{"mlflow_colspec": [1, {}]}', "null", "7"]


def _dataset(**changes: str) -> DatasetInput:
    facts = {"name": "wine", "digest": "401d", "source_type": "http", "source": '{"url": "https://example.org/w.csv"}'}
    return DatasetInput.model_validate(facts | changes)


def test_each_dataset_tells_source_size_and_columns() -> None:
    schema = {"mlflow_colspec": [{"type": "double", "name": "ash"}, {"type": "long", "name": "hue"}]}
    code = {"mlflow.source.name": "train.py", "mlflow.source.git.commit": "0123456789abcdef"}
    text = datasets_text(
        [
            _dataset(profile='{"num_rows": 124, "num_elements": 1612}', dataset_schema=json.dumps(schema)),
            _dataset(source=json.dumps({"tags": code})),
        ],
        100,
    ).plain
    for expected in ("url https://example.org/w.csv", "rows 124, elements 1612", "ash double, hue long"):
        assert expected in text
    assert "train.py at 0123456789ab\n" in text
    assert text.count("wine") == 2  # the same name and digest twice are two


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_json_of_mlflows_is_shown_as_it_is(odd: str) -> None:
    shown = datasets_text([_dataset(source=odd, profile=odd, dataset_schema=odd)], 100).plain
    assert "401d" in shown and "\x1b" not in shown
