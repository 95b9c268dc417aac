"""Logs the demo's runs with MLflow: each has a key, so that a second call makes only the missing ones."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import Any

import mlflow
import numpy
import pandas
from mlflow.entities import Metric, Param, Run
from mlflow.models import infer_signature

from registry_tui.demo.plan import MARK, ROLE, describe
from registry_tui.schemas.mlflow_tags import PARENT_RUN

#: Parts of scikit-learn's models that skops, which stores them without pickles, does not trust by itself.
TRUSTED = ["sklearn.tree._tree.Tree", "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"]


@dataclass
class Trained:
    """A trained model with everything that its run shall show."""

    key: str
    model: Any
    params: Mapping[str, Any]
    #: Values by step: the curve of each metric.
    curves: Mapping[str, Sequence[float]]
    metrics: Mapping[str, float]
    #: The metric by which the sweep is judged, turned so that more is better.
    score: float
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Logs the run's artifacts, inside the run: a plot of the training, and much more in detail.
    artifacts: Callable[[bool], None] | None = None
    #: The run that this one is nested in.
    parent: str | None = None


@dataclass(frozen=True)
class Data:
    """A data set as the runs saw it."""

    name: str
    train: pandas.DataFrame
    validation: pandas.DataFrame
    target: str

    @cached_property
    def datasets(self) -> dict[str, Any]:
        """MLflow's data sets, by context; made once, because their digests and schemas take a while."""
        parts = {"training": self.train, "validation": self.validation}
        return {
            context: mlflow.data.from_pandas(part, name=f"{self.name}-{context}", targets=self.target)
            for context, part in parts.items()
        }

    @property
    def features(self) -> pandas.DataFrame:
        return self.train.drop(columns=self.target)


def tell(**progress: Any) -> None:
    """One line of progress for the demo's loader."""
    print(json.dumps(progress), flush=True)


def open_experiment(name: str, description: str) -> str:
    """The demo's experiment of this name, made when missing; its ID."""
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(name)
    if found is None:
        experiment_id = client.create_experiment(name, tags={MARK: name, "mlflow.note.content": description})
    else:
        if found.tags.get(MARK) != name:
            sys.exit(f"There is an experiment {name} already that the demo did not make; rename it first")
        if found.lifecycle_stage != "active":
            client.restore_experiment(found.experiment_id)
        experiment_id = found.experiment_id
    mlflow.set_experiment(experiment_id=experiment_id)
    return str(experiment_id)


def finished_runs(experiment_id: str) -> dict[str, Run]:
    """The demo's complete runs by key. Half-done runs of an interrupted call are deleted."""
    client = mlflow.MlflowClient()
    found: dict[str, Run] = {}
    for run in client.search_runs([experiment_id], max_results=1000):
        key = run.data.tags.get(MARK)
        if key is None:
            continue
        if run.info.status == "FINISHED" and key not in found:
            found[key] = run
        else:
            client.delete_run(run.info.run_id)
    return found


def log_sweep(experiment: str, description: str, data: Data, trained: Sequence[Trained]) -> None:
    """Logs a sweep's runs that are not there yet. The best, the second best and a baseline keep their models."""
    experiment_id = open_experiment(experiment, description)
    known = finished_runs(experiment_id)
    roles = _roles(trained)
    for index, each in enumerate(trained):
        if each.key not in known:
            known[each.key] = _log_run(experiment_id, data, each, roles.get(each.key), known)
        tell(experiment=experiment, done=index + 1, total=len(trained))


def _roles(trained: Sequence[Trained]) -> dict[str, str]:
    candidates = [each for each in trained if each.model is not None]
    ranked = sorted(candidates, key=lambda each: each.score, reverse=True)
    roles = {ranked[0].key: "best", ranked[1].key: "runner-up"}
    baseline = next(each for each in candidates if each.key not in roles)
    return {**roles, baseline.key: "baseline"}


def _log_run(experiment_id: str, data: Data, trained: Trained, role: str | None, known: Mapping[str, Run]) -> Run:
    # MLflow takes 1000 metric points at a time; the longest curves here have 240.
    tags = {MARK: trained.key, **trained.tags}
    if role is not None:
        tags[ROLE] = role
    if trained.parent is not None:
        tags[PARENT_RUN] = known[trained.parent].info.run_id
    with mlflow.start_run(experiment_id=experiment_id, run_name=trained.key, tags=tags) as run:
        now = int(time.time() * 1000)
        points = [
            Metric(name, float(value), now + step, step)
            for name, curve in trained.curves.items()
            for step, value in enumerate(curve, start=1)
        ]
        points += [Metric(name, float(value), now, 0) for name, value in trained.metrics.items()]
        params = [Param(name, str(value)) for name, value in trained.params.items()]
        mlflow.MlflowClient().log_batch(run.info.run_id, metrics=points, params=params)
        mlflow.log_inputs(
            list(data.datasets.values()), contexts=list(data.datasets), tags_list=[None] * len(data.datasets)
        )
        if trained.artifacts is not None:
            trained.artifacts(role is not None or trained.model is None)
        if role is not None:
            _log_model(trained.model, data)
    return run


def _log_model(model: Any, data: Data) -> None:
    example = data.features.head(3)
    mlflow.sklearn.log_model(
        model,
        name="model",
        signature=infer_signature(data.features, numpy.asarray(model.predict(data.features))),
        input_example=example,
        skops_trusted_types=TRUSTED,
        # Known here; finding them out by importing the model again takes seconds.
        pip_requirements=[
            f"{package}=={version(package)}" for package in ("mlflow", "scikit-learn", "numpy", "pandas")
        ],
    )


def register(experiment: str, role: str, name: str, key: str, notes: str) -> None:
    """Registers the model of a run of the sweep as a version of `name`, with notes."""
    client = mlflow.MlflowClient()
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    found = client.search_runs([experiment_id], f"tags.`{ROLE}` = '{role}' and attributes.status = 'FINISHED'")
    run = found[0]
    uri = f"runs:/{run.info.run_id}/model"
    # Its number is known at once; the loader waits for all archives together.
    made = mlflow.register_model(uri, name, tags={MARK: key}, await_registration_for=0)
    client.update_model_version(name, made.version, describe(notes, run.data.params, run.data.metrics))
    tell(registered=f"{name} version {made.version}")
