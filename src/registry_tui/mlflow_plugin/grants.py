"""MLflow's auth app keeps no grants by name for models and prompts.

MLflow grants the creator of a model or prompt MANAGE on its name, in the workspace of the request. Here models live in
the registry's workspace, where the projects' roles and the store's own rules decide (`ownership.py`); such a grant
would decide nothing, but outlive its model, and collide with the next one when a model is renamed.
"""

from __future__ import annotations

from typing import Any

from mlflow.server.auth.db.models import SqlRole, SqlRolePermission
from sqlalchemy import delete, select

_RESOURCES = ("registered_model", "prompt")


def install(auth: Any) -> None:
    """Makes `mlflow.server.auth` grant nothing by name, and deletes the grants of earlier versions.

    Raises MlflowException when its database does not respond.
    """
    unwanted = auth.set_can_manage_registered_model_permission
    for route in [route for route, handler in auth.AFTER_REQUEST_HANDLERS.items() if handler is unwanted]:
        del auth.AFTER_REQUEST_HANDLERS[route]
    with auth.store.ManagedSessionMaker(read_only=False) as session:
        personal = select(SqlRole.id).where(SqlRole.name.startswith("__user_", autoescape=True))
        session.execute(
            delete(SqlRolePermission)
            .where(SqlRolePermission.resource_type.in_(_RESOURCES), SqlRolePermission.resource_pattern != "*")
            .where(SqlRolePermission.role_id.in_(personal))
            .execution_options(synchronize_session=False)
        )
