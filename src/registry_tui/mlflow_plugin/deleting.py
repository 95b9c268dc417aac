"""Lets everybody who may change runs and experiments delete and restore them, as in the service's API.

MLflow's auth app requires MANAGE, which contributors have only for experiments that they made. Deleting and restoring
undo each other, so the service requires the same role as for changes (`service/tracking/item_changes.py`).
"""

from __future__ import annotations

from typing import Any


def install(auth: Any) -> None:
    """Makes `mlflow.server.auth` check deleting and restoring like updating."""
    instead = {
        auth.validate_can_delete_experiment: auth.validate_can_update_experiment,
        auth.validate_can_delete_run: auth.validate_can_update_run,
    }
    validators = auth.BEFORE_REQUEST_VALIDATORS
    validators.update({route: instead[validator] for route, validator in validators.items() if validator in instead})
