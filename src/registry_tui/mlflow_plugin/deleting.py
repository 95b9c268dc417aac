"""Whoever may change runs and experiments may delete and restore them, as at the service's own doors.

MLflow's auth app asks for MANAGE, which contributors have only for experiments that they made. Both are undone by the
other, so the service asks for the role that changes ask for (`service/tracking/item_changes.py`).
"""

from __future__ import annotations

from typing import Any


def install(auth: Any) -> None:
    """Makes `mlflow.server.auth` check deleting and restoring as it checks updating."""
    instead = {
        auth.validate_can_delete_experiment: auth.validate_can_update_experiment,
        auth.validate_can_delete_run: auth.validate_can_update_run,
    }
    validators = auth.BEFORE_REQUEST_VALIDATORS
    validators.update({route: instead[validator] for route, validator in validators.items() if validator in instead})
