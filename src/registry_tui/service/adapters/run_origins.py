"""The origins of runs, from our route in MLflow's server or from MLflow's own objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.contracts.run_origins import OriginRow
from registry_tui.service.adapters.mlflow_words import fields_of_run

#: The tag in which clients note the commit of the code that a run executed.
GIT_COMMIT = "mlflow.source.git.commit"


def origins_of_row(row: list[Any]) -> OriginRow:
    """From an item of our route's response."""
    id_, name, experiment, status, stage, commit, datasets, models = row
    read, logged = ([(*each,) for each in of] for of in (datasets, models))
    return OriginRow(id_, name, experiment, status, stage, commit, read, logged)


def origins_of_run(found: Mapping[str, Any]) -> OriginRow:
    """From MLflow's `Run` object, which names logged models by their IDs."""
    fields = fields_of_run(found)
    given = [each.get("dataset", {}) for each in found.get("inputs", {}).get("dataset_inputs", ())]
    read = [each["model_id"] for each in found.get("inputs", {}).get("model_inputs", ())]
    logged = [each["model_id"] for each in found.get("outputs", {}).get("model_outputs", ())]
    return OriginRow(
        id=fields["id"],
        name=fields["name"],
        experiment_id=fields["experiment_id"],
        status=fields["status"],
        stage=fields["lifecycle_stage"],
        commit=fields["tags"].get(GIT_COMMIT, ""),
        datasets=[(each.get("name", ""), each.get("digest", ""), each.get("source_type", "")) for each in given],
        models=[*((id_, id_, True) for id_ in read), *((id_, id_, False) for id_ in logged)],
    )
