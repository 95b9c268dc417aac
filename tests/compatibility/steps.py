"""A data scientist's work, with any version of MLflow that runs this file. Prints one JSON object a step.

It is run by the Python of each generation, so it imports MLflow, scikit-learn and the standard library only.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
import traceback
import uuid
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LinearRegression

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
NAME = f"Model{uuid.uuid4().hex[:8]}"
PROMPT = f"prompt-{uuid.uuid4().hex[:8]}"
INPUT = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])


class NotInThisGeneration(Exception):
    """The client has no such call; the text has the first version with it."""


class Story:
    """The steps in order; later ones use the results of earlier ones."""

    def __init__(self) -> None:
        self.client = MlflowClient()
        self.model = LinearRegression().fit(INPUT, [1.0, 2.0, 3.0])
        self.expected = self.model.predict(INPUT).tolist()
        self.experiment = f"experiment {uuid.uuid4().hex[:8]}"
        self.run_id = ""

    def start_run_with_nothing_set(self) -> None:
        with mlflow.start_run() as run:
            mlflow.log_param("alpha", 0.5)
            mlflow.log_metric("rmse", 1.25)
        found = self.client.get_run(run.info.run_id)
        assert found.data.metrics == {"rmse": 1.25} and found.data.params == {"alpha": "0.5"}
        experiment = self.client.get_experiment(found.info.experiment_id)
        assert experiment.name == "Default", experiment
        assert self.client.get_experiment("0").experiment_id == found.info.experiment_id
        assert [each.info.run_id for each in self.client.search_runs(["0"], max_results=1)] == [run.info.run_id]

    def log(self) -> None:
        mlflow.set_experiment(self.experiment)
        with mlflow.start_run(run_name="first", tags={"team": "wine"}) as run:
            mlflow.log_params({"depth": 3, "kind": "é ünï"})
            for step in range(5):
                mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
            mlflow.set_tag("note", "x" * 500)
        self.run_id = run.info.run_id
        found = self.client.get_run(self.run_id)
        assert found.data.params == {"depth": "3", "kind": "é ünï"} and found.info.status == "FINISHED"
        assert [each.value for each in self.client.get_metric_history(self.run_id, "loss")] == [
            1,
            1 / 2,
            1 / 3,
            1 / 4,
            1 / 5,
        ]

    def log_batch(self) -> None:
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(f"m{number % 10}", float(number), 1000 + number, number) for number in range(900)]
        params = [Param(f"p{number}", str(number)) for number in range(90)]
        self.client.log_batch(self.run_id, metrics=metrics, params=params, tags=[RunTag("a", "b")])
        assert len(self.client.get_metric_history(self.run_id, "m3")) == 90
        found = self.client.get_run(self.run_id).data
        assert found.metrics["m9"] == 899.0 and found.params["p89"] == "89" and found.tags["a"] == "b"

    def artifacts(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "out"
            (local / "sub").mkdir(parents=True)
            contents = {"plain.txt": b"plain", "sub/with space é.bin": bytes(range(256)), "sub/empty": b""}
            for name, content in contents.items():
                (local / name).write_bytes(content)
            self.client.log_artifacts(self.run_id, str(local), "files")
            self.client.log_artifact(self.run_id, str(local / "plain.txt"))
            listed = {(each.path, each.is_dir, each.file_size) for each in self.client.list_artifacts(self.run_id)}
            assert listed == {("files", True, None), ("plain.txt", False, 5)}, listed
            got = Path(mlflow.artifacts.download_artifacts(run_id=self.run_id, artifact_path="files", dst_path=folder))
            assert {name: (got / name).read_bytes() for name in contents} == contents
            text = mlflow.artifacts.load_text(f"runs:/{self.run_id}/files/plain.txt")
            assert text == "plain"

    def log_model(self) -> None:
        with mlflow.start_run(run_id=self.run_id):
            where = {"name": "model"} if VERSION >= (3, 0) else {"artifact_path": "model"}
            mlflow.sklearn.log_model(self.model, input_example=INPUT[:1], **where)
        loaded = mlflow.pyfunc.load_model(f"runs:/{self.run_id}/model")
        assert loaded.predict(INPUT).tolist() == self.expected

    def register(self) -> None:
        version = mlflow.register_model(f"runs:/{self.run_id}/model", NAME)
        # It waits until the version is READY, and returns its first state.
        assert str(version.version) == "1" and self.client.get_model_version(NAME, "1").status == "READY", version
        again = mlflow.register_model(f"runs:/{self.run_id}/model", NAME, tags={"stage": "trial"})
        assert str(again.version) == "2" and self.client.get_model_version(NAME, "2").tags["stage"] == "trial"
        ours = [key for key in self.client.get_registered_model(NAME).tags if key.startswith("registry_tui")]
        assert not ours, ours

    def alias(self) -> None:
        self.client.set_registered_model_alias(NAME, "champion", "1")
        assert str(self.client.get_model_version_by_alias(NAME, "champion").version) == "1"
        aliases = self.client.get_registered_model(NAME).aliases
        assert {name: str(version) for name, version in aliases.items()} == {"champion": "1"}, aliases

    def load(self) -> None:
        for uri in (f"models:/{NAME}@champion", f"models:/{NAME}/2", f"models:/{NAME}/latest"):
            assert mlflow.pyfunc.load_model(uri).predict(INPUT).tolist() == self.expected, uri
        assert mlflow.sklearn.load_model(f"models:/{NAME}/1").predict(INPUT).tolist() == self.expected

    def search(self) -> None:
        assert [each.name for each in self.client.search_registered_models(f"name = '{NAME}'")] == [NAME]
        found = self.client.search_model_versions(f"name = '{NAME}'")
        assert sorted(int(each.version) for each in found) == [1, 2]
        assert len(self.client.search_model_versions(f"run_id = '{self.run_id}'")) == 2
        experiment = self.client.get_experiment_by_name(self.experiment)
        found = self.client.search_runs([experiment.experiment_id], "params.depth = '3' and metrics.loss < 0.3")
        assert [each.info.run_id for each in found] == [self.run_id]
        frame = mlflow.search_runs(experiment_names=[self.experiment])
        assert list(frame["run_id"]) == [self.run_id]
        assert self.experiment in [each.name for each in self.client.search_experiments()]

    def describe_and_stage(self) -> None:
        self.client.update_registered_model(NAME, "Wine by weather")
        self.client.update_model_version(NAME, "1", "The first")
        self.client.set_model_version_tag(NAME, "1", "seen", "yes")
        self.client.transition_model_version_stage(NAME, "1", "Staging")
        found = self.client.get_model_version(NAME, "1")
        assert (found.description, found.tags["seen"], found.current_stage) == ("The first", "yes", "Staging")
        assert str(self.client.get_latest_versions(NAME, ["Staging"])[0].version) == "1"

    def copy_version(self) -> None:
        copied = self.client.copy_model_version(f"models:/{NAME}/1", f"{NAME}Copy")
        assert str(copied.version) == "1"
        assert mlflow.pyfunc.load_model(f"models:/{NAME}Copy/1").predict(INPUT).tolist() == self.expected

    def logged_models(self) -> None:
        if VERSION < (3, 0):
            raise NotInThisGeneration("since 3.0")
        experiment = self.client.get_experiment_by_name(self.experiment)
        found = mlflow.search_logged_models(experiment_ids=[experiment.experiment_id], output_format="list")
        assert [each.name for each in found] == ["model"]
        assert mlflow.get_logged_model(found[0].model_id).source_run_id == self.run_id
        assert mlflow.pyfunc.load_model(f"models:/{found[0].model_id}").predict(INPUT).tolist() == self.expected

    def prompts(self) -> None:
        if VERSION < (2, 21):
            raise NotInThisGeneration("since 2.21")
        # MLflow 3.0 still has them at the top, as 2.21 has.
        genai: Any = getattr(mlflow, "genai", None)
        prompts: Any = genai if hasattr(genai, "register_prompt") else mlflow
        made = prompts.register_prompt(name=PROMPT, template="Hello {{name}}", commit_message="first")
        assert int(made.version) == 1
        prompts.register_prompt(name=PROMPT, template="Good day {{name}}")
        assert prompts.load_prompt(f"prompts:/{PROMPT}/1").format(name="Ada") == "Hello Ada"
        prompts.set_prompt_alias(PROMPT, alias="live", version=2)
        assert prompts.load_prompt(f"prompts:/{PROMPT}@live").template == "Good day {{name}}"
        if hasattr(prompts, "search_prompts"):
            assert PROMPT in [each.name for each in prompts.search_prompts()]
        assert PROMPT not in [each.name for each in self.client.search_registered_models()]

    def traces(self) -> None:
        mlflow.set_experiment(self.experiment)
        with mlflow.start_span("question") as span:
            span.set_inputs({"text": "how?"})
            span.set_outputs({"text": "so"})
        if hasattr(mlflow, "flush_trace_async_logging"):
            mlflow.flush_trace_async_logging()
        experiment = self.client.get_experiment_by_name(self.experiment).experiment_id
        until = time.monotonic() + 60
        while not (found := self.client.search_traces([experiment])) and time.monotonic() < until:
            time.sleep(0.2)
        assert len(found) == 1 and found[0].data.spans[0].name == "question"

    def error_codes(self) -> None:
        missing = "0123456789abcdef0123456789abcdef"
        questions = {
            "run": lambda: self.client.get_run(missing),
            "experiment": lambda: self.client.get_experiment("987654"),
            "model": lambda: self.client.get_registered_model("no such model"),
            "version": lambda: self.client.get_model_version(NAME, "99"),
            "alias": lambda: self.client.get_model_version_by_alias(NAME, "nobody"),
            "metric": lambda: self.client.log_metric(missing, "a", 1.0),
        }
        if VERSION >= (3, 0):
            questions["logged model"] = lambda: mlflow.get_logged_model(f"m-{missing}")
        for what, question in questions.items():
            code = _code(question)
            # A missing alias of a model that exists is a wrong parameter in MLflow's own store.
            assert code == ("INVALID_PARAMETER_VALUE" if what == "alias" else "RESOURCE_DOES_NOT_EXIST"), (what, code)
        assert _code(lambda: self.client.create_registered_model(NAME)) == "RESOURCE_ALREADY_EXISTS"
        assert _code(lambda: self.client.create_experiment(self.experiment)) == "RESOURCE_ALREADY_EXISTS"
        assert _code(lambda: self.client.get_experiment("abc")) == "INVALID_PARAMETER_VALUE"
        assert self.client.get_experiment_by_name("no such experiment") is None

    def delete(self) -> None:
        self.client.delete_registered_model_alias(NAME, "champion")
        self.client.delete_model_version(NAME, "2")
        self.client.delete_registered_model(NAME)
        assert _code(lambda: self.client.get_registered_model(NAME)) == "RESOURCE_DOES_NOT_EXIST"
        self.client.delete_run(self.run_id)
        assert self.client.get_run(self.run_id).info.lifecycle_stage == "deleted"
        self.client.restore_run(self.run_id)
        assert self.client.get_run(self.run_id).info.lifecycle_stage == "active"


STEPS = [
    Story.start_run_with_nothing_set,
    Story.log,
    Story.log_batch,
    Story.artifacts,
    Story.log_model,
    Story.register,
    Story.alias,
    Story.load,
    Story.search,
    Story.describe_and_stage,
    Story.copy_version,
    Story.logged_models,
    Story.prompts,
    Story.traces,
    Story.error_codes,
    Story.delete,
]


def _code(question: object) -> str:
    try:
        question()  # type: ignore[operator]
    except MlflowException as error:
        return str(error.error_code)
    return "no error"


def main() -> None:
    """Does every step, also after one that failed."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    story = Story()
    for step in STEPS:
        began = time.monotonic()
        outcome, reason = "ok", ""
        try:
            step(story)
        except NotInThisGeneration as error:
            outcome, reason = "none", str(error)
        except Exception as error:
            traceback.print_exc()
            outcome, reason = "failed", f"{type(error).__name__}: {error}"[:300]
        answer = {"step": step.__name__, "outcome": outcome, "reason": reason, "seconds": time.monotonic() - began}
        print(json.dumps({**answer, "mlflow": mlflow.__version__}), file=out, flush=True)


if __name__ == "__main__":
    main()
