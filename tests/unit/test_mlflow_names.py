"""Names and IDs of registered models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from registry_tui.mlflow_plugin.names import MAX_NAME, check_model_name, new_id
from registry_tui.mlflow_plugin.routes import ID_PATTERN


@pytest.mark.parametrize("name", ["ElasticnetWineModel", "a", "ü 模型", "v1.2-final_(new)", "x" * MAX_NAME])
def test_good_names(name: str) -> None:
    check_model_name(name)


@given(st.text(max_size=300))
def test_no_name_that_passes_can_leave_a_path_or_hide(name: str) -> None:
    try:
        check_model_name(name)
    except MlflowException as error:
        assert error.error_code == "INVALID_PARAMETER_VALUE"
        return
    assert 0 < len(name) <= MAX_NAME
    assert not {"/", "\\", ":"} & set(name)
    assert ".." not in name


def test_ids_are_four_groups_of_four() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(ID_PATTERN.fullmatch(id_) for id_ in ids)
