"""A registry whose parts do not answer: still shown, deleted by force, and nothing of it comes back."""

from __future__ import annotations

from registry_tui.client.client import RegistryClient
from registry_tui.platform import supervisor
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete, RegistryStatus
from registry_tui.service.adapters.mlflow import Mlflow
from support.platforms import ENVIRONMENT, Platform


def test_deleted_by_force_while_mlflow_is_down(own_platform: Platform) -> None:
    platform = own_platform
    before = platform.ask(lambda client: client.registry(f"registry-{ENVIRONMENT}"))
    mlflow = Mlflow(platform.ports, platform.secrets)
    wine = {"name": "Wine", "description": "left behind"}
    mlflow.call("POST", "registered-models/create", workspace=before.mlflow_workspace, json=wine)
    mlflow.close()
    assert platform.ask(lambda client: client.registry(before.id)).model_count == 1
    supervisor.stop_part(platform.home, "mlflow")

    shown = platform.ask(lambda client: client.registry(before.id))
    assert shown.status.live and shown.model_count is None

    async def delete(client: RegistryClient) -> str:
        told = await client.delete_registry(before.id, RegistryDelete(force=True))
        ended = await client.wait_for_workflow(told.workflow.id)
        assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
        return "\n".join([line.text async for line in client.every(client.workflow_logs, ended.id)])

    log = platform.ask(delete)
    assert "went on although this failed: MLflow's server does not answer" in log
    assert f"machine user {before.machine_user_workload_name} removed" in log

    platform.up()

    async def create(client: RegistryClient) -> ModelRegistry:
        made = await client.create_registry(RegistryCreate(environment=ENVIRONMENT, grant_storage_access=True))
        ended = await client.wait_for_workflow(made.workflow.id)
        assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
        return await client.registry(made.resource.id)

    again = platform.ask(create)
    assert again.status is RegistryStatus.INSTALLATION_FINISHED
    assert (again.mlflow_workspace, again.model_count) == (before.mlflow_workspace, 0)
