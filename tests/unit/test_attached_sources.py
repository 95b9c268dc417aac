"""Sources of versions from attached servers: written ones are parsed again, and no other text parses as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.contracts import names
from registry_tui.contracts.attached_sources import AttachedSource, is_attached, parse

PROJECT = "0f0e5cc5-3df4-44c4-a1a8-1b5ad7c09c1e"
PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=12)


@given(PARTS, st.lists(PARTS, max_size=3))
def test_a_source_that_is_written_is_read_again(run: str, folders: list[str]) -> None:
    source = AttachedSource(PROJECT, run_id=run, path="/".join(folders))
    if any(names.problem(part) for part in (run, *folders)):
        with pytest.raises(names.UnusableName):
            _ = source.uri
        return
    assert is_attached(source.uri) and parse(source.uri) == source


def test_a_logged_model_is_a_source_too() -> None:
    source = AttachedSource(PROJECT, model_id="m-0a1b")
    assert parse(source.uri) == source


@pytest.mark.parametrize(
    "text",
    [
        "",
        "runs:/abc/model",
        "mlflow-artifacts:/workspaces/wine/1/r/artifacts/model",
        "registry-tui-attached:/",
        f"registry-tui-attached:/{PROJECT}",
        f"registry-tui-attached:/{PROJECT}/runs",
        f"registry-tui-attached:/{PROJECT}/models/m-1/more",
        f"registry-tui-attached:/{PROJECT}/other/x",
        f"registry-tui-attached://host/{PROJECT}/runs/x",
    ],
)
def test_other_texts_are_none(text: str) -> None:
    assert parse(text) is None
