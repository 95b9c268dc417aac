"""Names and IDs of registered models."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.store.artifact.utils.models import _parse_model_uri

from registry_tui.contracts.mlflow_routes import ID_PATTERN
from registry_tui.mlflow_plugin.mlflow_private import check_alias_name
from registry_tui.mlflow_plugin.names import check_model_name, new_id
from registry_tui.schemas.names import MAX_MODEL_NAME, alias_problem, model_name_problem


@pytest.mark.parametrize(
    "name", ["ElasticnetWineModel", "a", "ü 模型", "v1.2-final_(new)", "100%", "a;b+c&d=[e]", "x" * MAX_MODEL_NAME]
)
def test_good_names(name: str) -> None:
    check_model_name(name)


@given(st.text(max_size=300))
def test_no_name_that_passes_can_leave_a_path_or_hide(name: str) -> None:
    try:
        check_model_name(name)
    except MlflowException as error:
        assert error.error_code == "INVALID_PARAMETER_VALUE"
        return
    assert 0 < len(name) <= MAX_MODEL_NAME
    assert not {"/", "\\", ":"} & set(name)
    assert ".." not in name


@given(st.text(max_size=MAX_MODEL_NAME + 1))
def test_mlflow_reads_every_name_that_passes_from_a_model_uri(name: str) -> None:
    assume(model_name_problem(name) is None)
    for uri, version, alias in (
        (f"models:/{name}/1", "1", None),
        (f"models:/{name}@champion", None, "champion"),
        (f"models:/{name}/latest", None, None),
    ):
        assert _parse_model_uri(uri) == (None, name, version, None, alias)
        assert ModelsArtifactRepository.split_models_uri(f"{uri}/code/x.py") == (uri, "code/x.py")


@given(st.one_of(st.text(max_size=300), st.from_regex(r"[vV]?[0-9a-z_-]{1,5}|(?i:latest)\n?")))
def test_the_rule_for_aliases_is_mlflows_own(alias: str) -> None:
    try:
        check_alias_name(alias)
        taken = True
    except MlflowException:
        taken = False
    # MLflow's pattern before 3.18 lets a line break at the end pass.
    assert (alias_problem(alias) is None) == (taken and not alias.endswith("\n"))


def test_ids_are_four_groups_of_four() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(ID_PATTERN.fullmatch(id_) for id_ in ids)
