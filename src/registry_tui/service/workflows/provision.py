"""Making a Model Registry: its machine user on the object store, its MLflow workspace, its storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.schemas.registries import RegistryStatus, StorageAccess
from registry_tui.service.core import nfs, room
from registry_tui.service.core.machine_keys import machine_key
from registry_tui.service.core.own_stores import EMBEDDED_FOLDER, own_store, problem_of, require_there
from registry_tui.service.database.tables import RegistryRow
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import Missing, WrongState
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.registries import storage_access


def _row(context: StepContext) -> RegistryRow:
    row = registries.load(context.service, context.resource.id)
    if row is None:
        raise Missing(f"Model Registry {context.resource.name} was deleted")
    return row


def _user(row: RegistryRow) -> str:
    assert row.machine_user_workload_name is not None, "set when the row is made"
    return row.machine_user_workload_name


def _begin(context: StepContext) -> None:
    """Refuses a retried old workflow whose registry a later one has made. Raises Missing, WrongState."""
    row = _row(context)
    making = (RegistryStatus.PROVISION_STARTED, RegistryStatus.INSTALLATION_STARTED)
    failed = (RegistryStatus.PROVISION_FAILED, RegistryStatus.INSTALLATION_FAILED)
    if RegistryStatus(row.status) not in making + failed:
        raise WrongState(f"Model Registry {row.name} was made already: {RegistryStatus(row.status).label}")
    registries.change(
        context.service,
        context.resource.id,
        status=RegistryStatus.PROVISION_STARTED.value,
        workflow_id=context.workflow_id,
    )


def _check_environment(context: StepContext) -> None:
    row = _row(context)
    context.service.stores.objects.create_bucket(row.environment.bucket)
    context.log(f"environment {row.environment.name}, bucket {row.environment.bucket}")
    own = own_store(context.service, row.environment_id)
    if own is not None:
        problem = problem_of(own)
        require_there(own, row.environment_id)  # a store that is unavailable now is waited for
        if problem is not None:
            raise problem
        context.log(f"archives lie in {own.uri}{row.prefix}/")
    if (share := nfs.try_again(context.service, row, 0)) is not None:
        # A registry works without it: each host fetches the files that it serves.
        if share.mounted:
            context.log(f"{row.existing_nfs} is mounted at {share.folder}")
        else:
            context.log(f"{share.state.label}: {nfs.why_not(share)}", "warning")


def _create_user(context: StepContext) -> None:
    name = _user(_row(context))
    context.service.stores.users.create_user(name)
    context.log(f"machine user {name}")


def _delete_user(context: StepContext) -> None:
    row = registries.load(context.service, context.resource.id)
    if row is not None:
        context.service.stores.users.delete_user(_user(row))
        registries.change(context.service, row.id, machine_user_access_key_id=None, machine_user_secret_access_key=None)
        context.log(f"machine user {_user(row)} deleted again")


def _create_key(context: StepContext) -> None:
    row = _row(context)
    key = context.service.stores.users.create_access_key(_user(row))
    registries.change(
        context.service,
        row.id,
        machine_user_access_key_id=key.access_key_id,
        machine_user_secret_access_key=key.secret_access_key,
        status=RegistryStatus.INSTALLATION_STARTED.value,
    )
    context.log(f"access key {key.access_key_id}")


def _create_workspace(context: StepContext) -> None:
    row = _row(context)
    # A registry that was deleted by force may have left models under this name.
    context.service.mlflow.delete_workspace(row.mlflow_workspace, cascade=True)
    context.service.mlflow.create_workspace(row.mlflow_workspace, f"Model Registry {row.name}")
    context.log(f"MLflow workspace {row.mlflow_workspace}")


def _delete_workspace(context: StepContext) -> None:
    row = registries.load(context.service, context.resource.id)
    if row is not None:
        context.service.mlflow.delete_workspace(row.mlflow_workspace, cascade=True)


def _grant(context: StepContext) -> None:
    row = _row(context)
    if not row.grant_storage_access:
        if row.prefix != EMBEDDED_FOLDER:
            context.log("its archives are reached with the environment's credentials")
            return
        command = f"registry-tui registries grant-storage {row.name}"
        context.log(f"storage access is not granted yet: `{command}` does", "warning")
        return
    if storage_access.decided_outside(context.service, row):
        context.log("storage access is decided by the environment's outside Ranger", "warning")
        return
    storage_access.grant(context.service, row, context.principal.name)
    context.log(f"may use s3://{row.environment.bucket}/{row.prefix}/ and read run artifacts")


def _revoke(context: StepContext) -> None:
    row = registries.load(context.service, context.resource.id)
    if row is not None and not storage_access.decided_outside(context.service, row):
        storage_access.revoke(context.service, row, context.principal.name)


def _verify(context: StepContext) -> Mapping[str, Any] | None:
    row = _row(context)
    if row.storage_access != StorageAccess.GRANTED.value:
        return None
    key = machine_key(row)
    if key is None:
        raise WrongState("The machine user has no key", action="Retry the workflow")
    with room.storing(context.service):
        context.service.stores.users.probe_prefix(key, row.environment.bucket, row.prefix, row.name)
    context.log("the machine user put, got and deleted an object")
    return None


def _finish(context: StepContext) -> None:
    registries.change(
        context.service,
        context.resource.id,
        status=RegistryStatus.INSTALLATION_FINISHED.value,
        workflow_id=None,
    )
    routing.publish(context.service)


def _fail(context: StepContext) -> None:
    row = registries.load(context.service, context.resource.id)
    if row is None or row.workflow_id != context.workflow_id:
        return
    installing = row.status == RegistryStatus.INSTALLATION_STARTED.value
    failed = RegistryStatus.INSTALLATION_FAILED if installing else RegistryStatus.PROVISION_FAILED
    registries.change(context.service, row.id, status=failed.value, workflow_id=None)


PROVISION = Definition(
    kind=WorkflowKind.PROVISION,
    action="registry.create",
    permit=permits.in_environment(Action.REGISTRY_CREATE),
    steps=(
        Step("check environment", _check_environment),
        Step("create machine user", _create_user, undo=_delete_user),
        Step("create access key", _create_key),
        Step("create MLflow workspace", _create_workspace, undo=_delete_workspace),
        Step("grant storage access", _grant, undo=_revoke),
        Step("verify storage", _verify),
        Step("publish", _finish),
    ),
    on_start=_begin,
    on_failure=_fail,
    on_cancel=_fail,
)
