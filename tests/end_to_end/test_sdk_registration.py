"""Stock MLflow code against a whole platform, as the README shows it."""

from __future__ import annotations

from collections.abc import Callable

from registry_tui.schemas.places import Project
from support.platforms import Platform, run_python, unique

REGISTER = """
import sys, mlflow, numpy
from sklearn.linear_model import ElasticNet
mlflow.set_experiment("wines")
with mlflow.start_run() as run:
    model = ElasticNet().fit(numpy.arange(8.0).reshape(4, 2), [1.0, 2.0, 3.0, 4.0])
    info = mlflow.sklearn.log_model(model, name="model", registered_model_name=sys.argv[1])
version = mlflow.MlflowClient().get_model_version(sys.argv[1], info.registered_model_version)
print("RESULT", version.version, version.status, run.info.run_id)
"""
LOAD = """
import sys, mlflow, numpy
mlflow.MlflowClient().delete_run(sys.argv[2]) if len(sys.argv) > 2 else None
print("RESULT", mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}/1").predict(numpy.ones((1, 2)))[0])
"""
REFUSED = """
import sys, mlflow
from mlflow.exceptions import MlflowException
mlflow.set_experiment("wines")
with mlflow.start_run() as run:
    mlflow.log_text("no model", "notes/readme.txt")
try:
    mlflow.register_model(f"runs:/{run.info.run_id}/notes", sys.argv[1])
except MlflowException as error:
    print("RESULT", error.message)
print([model.name for model in mlflow.MlflowClient().search_registered_models()])
"""


def result(output: str) -> list[str]:
    return next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]


def test_stock_code_waits_until_its_version_is_stored_and_other_projects_load_it(
    platform: Platform, project: Project, sdk: Callable[..., str]
) -> None:
    name = unique("Wine")
    version, status, run_id = result(sdk(REGISTER, name))
    assert (version, status) == ("1", "READY")
    assert result(sdk(REGISTER, name))[:2] == ["2", "READY"]
    assert result(sdk(LOAD, name, run_id))

    other = platform.new_project()
    assert result(run_python(LOAD, platform.exports(other.id), name))
    registry = project.registry_name
    assert registry is not None
    listed = platform.ask(lambda client: client.versions(registry, name)).items
    assert sorted(version.version for version in listed) == [1, 2]
    assert {version.origin.project_id for version in listed} == {project.id}
    assert all(version.archive_uri and version.archive_files for version in listed)


def test_what_is_no_model_leaves_no_model_in_the_list(sdk: Callable[..., str]) -> None:
    name = unique("Nothing")
    output = sdk(REFUSED, name)
    assert result(output)
    assert name not in output.splitlines()[-1]
