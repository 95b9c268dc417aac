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
COPY = """
import sys, mlflow, numpy
client = mlflow.MlflowClient()
name, copy = sys.argv[1:]
made = client.copy_model_version(f"models:/{name}/1", copy)
assert made.status == "PENDING_REGISTRATION", made.status
loaded = mlflow.pyfunc.load_model(f"models:/{copy}/1")
client.set_registered_model_alias(copy, "champion", 1)
by_alias = mlflow.pyfunc.load_model(f"models:/{copy}@champion")
logged = client.get_run(client.get_model_version(name, 1).run_id).outputs.model_outputs[0].model_id
pending = client.create_model_version(name, f"models:/{logged}", model_id=logged, await_creation_for=0)
client.set_registered_model_alias(name, "newest", pending.version)
newest = mlflow.pyfunc.load_model(f"models:/{name}@newest")
print("RESULT", *(each.predict(numpy.ones((1, 2)))[0] for each in (loaded, by_alias, newest)))
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


def test_a_copy_and_a_version_behind_a_new_alias_are_loaded_at_once(sdk: Callable[..., str]) -> None:
    name = unique("Wine")
    assert result(sdk(REGISTER, name))[1] == "READY"
    assert len(set(result(sdk(COPY, name, unique("Copy"))))) == 1


def test_what_is_no_model_leaves_no_model_in_the_list(sdk: Callable[..., str]) -> None:
    name = unique("Nothing")
    output = sdk(REFUSED, name)
    assert result(output)
    assert name not in output.splitlines()[-1]
