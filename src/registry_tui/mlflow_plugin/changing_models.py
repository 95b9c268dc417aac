"""Lets everybody who may read a model reach the rules about changing it, as in the service's own API.

MLflow's auth app lets only contributors of the project send such requests. A viewer may own a model, be an MLAdmin, or
be named by a protected alias: the store decides (`ownership.py`), with the service's table for rights beyond ownership.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import request
from mlflow.exceptions import MlflowException
from mlflow.protos import model_registry_pb2 as calls

from registry_tui.mlflow_plugin import mlflow_private, prompts

#: MLflow's calls that change a model or a version which is there.
CHANGES = (
    calls.UpdateRegisteredModel,
    calls.RenameRegisteredModel,
    calls.DeleteRegisteredModel,
    calls.SetRegisteredModelTag,
    calls.DeleteRegisteredModelTag,
    calls.SetRegisteredModelAlias,
    calls.DeleteRegisteredModelAlias,
    calls.UpdateModelVersion,
    calls.DeleteModelVersion,
    calls.SetModelVersionTag,
    calls.DeleteModelVersionTag,
    calls.TransitionModelVersionStage,
)


def install(auth: Any) -> None:
    """Makes `mlflow.server.auth` let readers of a model ask for changes of it. Prompts stay with contributors."""
    reads = auth.BEFORE_REQUEST_HANDLERS[calls.GetRegisteredModel]
    instead = {
        theirs: partial(_may_ask, theirs, reads) for theirs in (auth.BEFORE_REQUEST_HANDLERS[each] for each in CHANGES)
    }
    validators = auth.BEFORE_REQUEST_VALIDATORS
    validators.update({route: instead[validator] for route, validator in validators.items() if validator in instead})


def _may_ask(theirs: Callable[[], bool], reads: Callable[[], bool]) -> bool:
    return bool(theirs()) or (bool(reads()) and _is_model())


def _is_model() -> bool:
    body = request.get_json(silent=True)
    name = body.get("name") if isinstance(body, dict) else None
    store = mlflow_private.registry_store()
    if store is None or not isinstance(name, str):
        return False
    try:
        return not prompts.is_prompt(store.get_registered_model(name).tags)
    except MlflowException:
        return False
