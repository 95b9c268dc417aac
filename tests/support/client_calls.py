"""Every method of the client, the operation of the REST API that it calls, and the arguments used in the walks."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import httpx
from pydantic import BaseModel

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import ServiceProblem
from registry_tui.platform.paths import Home
from support.permission_stage import BODIES, NAMES, Stage, filled
from support.platforms import PATIENCE

#: Methods without requests of their own: they only repeat other calls, or make errors to raise.
NO_CALLS = frozenset({"close", "every", "problem", "remember_answers", "unavailable", "wait_for_workflow"})
#: Each method with its operation, where that has another name, and with its optional arguments, where it needs some.
_ROWS = """
    add_member add_group_member
    approval get_approval
    approvals list_approvals
    artifact_totals measure_artifacts
    artifacts list_artifacts
    ask_approval
    attach_server
    attached_models list_attached_models
    attached_server get_attached_server
    attached_servers list_attached_servers
    attached_versions list_attached_versions
    begin_verification
    bom get_bom
    card get_card
    cancel_workflow
    change_server
    change_backend
    change_store
    change_user
    changes follow
    check_access authorize
    check_environment_store
    check_rules
    check_store
    clean_up_storage
    canary get_canary
    collaborators list_collaborators
    create_deployment
    create_environment
    create_experiment
    create_key
    create_policy create_ranger_policy
    create_ranger_role
    create_project
    create_registry
    create_token
    create_workspace
    credentials get_credentials
    decide_approval
    decide_canary
    delete_alias
    delete_deployment
    delete_environment
    delete_exception
    delete_experiments
    delete_group
    delete_idbroker_mappings
    delete_issuer
    delete_model
    delete_policy delete_ranger_policy
    delete_project
    delete_ranger_role
    delete_ranger_source
    delete_registry
    delete_runs
    delete_user
    delete_version
    delete_workspace
    dependents get_dependents
    dependents_of_all get_dependents_of_all
    deployment get_deployment
    deployment_example get_example
    deployments list_deployments
    detach_server
    download_archive_file read_archive
    download_artifact read_artifact
    environment get_environment
    environment_roles list_environment_roles
    environments list_environments
    event_choices
    event_links
    event_logs
    events list_events
    exceptions list_exceptions
    experiment get_experiment
    experiments list_experiments
    forget_store_key
    give_store_key
    grant_storage_access
    group get_group
    group_runs
    groups list_groups
    idbroker_mappings get_idbroker_mappings
    idbroker_sync_status get_idbroker_mappings_sync_status
    issuer get_issuer
    keys list_keys
    lineage get_lineage
    make_bom
    manifest get_manifest
    metric_curve
    metric_history
    model get_model
    models list_models
    neighbours list_neighbours
    new_device_code
    policies list_policies_of_service service
    policies list_ranger_policies
    policy get_policy_of_service
    project get_project
    projects list_projects
    promote_version
    promotion_rules get_promotion_rules
    purge_runs
    put_group
    put_user
    ranger_definitions list_service_definitions
    ranger_role get_ranger_role_by_name
    ranger_roles list_ranger_roles
    ranger_service get_ranger_service
    ranger_services list_ranger_services
    read_archive
    read_artifact
    register_model
    import_attached import_attached_models
    registered_from
    registries list_registries
    registry get_registry
    remove_collaborator
    remove_member remove_group_member
    replica_log read_replica_log
    replica_logs list_replica_logs
    replicas list_replicas
    restart_deployment
    restore_experiments
    restore_runs
    retry_workflow
    revisions list_revisions
    limit_key
    drift get_drift
    set_drift_rules
    profile get_profile
    set_profile
    request_log get_request_log
    set_request_log
    logged_request get_request
    logged_requests list_requests
    delete_requests
    revoke_key
    revoke_storage_access
    revoke_token
    roll_back_deployment roll_back
    rotate_secrets
    unused list_unused
    clean_platform
    rules get_rules
    rules_history list_rules
    run get_run
    scan get_scan
    scan_version
    sign_version
    signatures get_signatures
    signing_keys list_signing_keys
    add_signing_key
    remove_signing_key
    rotate_signing_key
    read_signature
    download_signature read_signature
    search
    search_runs
    served_at
    set_alias
    set_card
    set_collaborator
    set_exception
    set_group_roles
    set_idbroker_mappings
    set_issuer
    set_promotion_rules
    set_ranger_source
    set_rules
    set_stage
    set_user_roles
    sign_in
    sign_in_ways
    sign_in_with_device_code
    stages list_stages
    status platform_status
    stop_deployment
    storage get_storage
    storage_access get_storage_access
    storage_archives list_storage_archives
    storage_models list_storage_models
    suggest_deployment
    sync_idbroker_mappings
    synchronize_registry
    test_deployment
    tokens list_tokens
    update_deployment
    update_experiment
    update_model
    update_policy update_ranger_policy
    update_ranger_role
    update_runs
    update_version
    user get_user
    users list_users
    verify_archive
    verify_events
    version get_version
    versions list_versions
    versions_using
    whoami
    workflow get_workflow
    workflow_logs
    workflows list_workflows
    workspace get_workspace
    workspaces list_workspaces
    change_webhook
    create_webhook
    delete_webhook
    pause_webhook
    replay_webhook
    resume_webhook
    rotate_webhook_secret
    test_webhook
    webhook get_webhook
    webhook_deliveries list_webhook_deliveries
    webhooks list_webhooks
"""
#: Operations that the client does not call: Ranger's stock clients and plugins, probes and scrapers do.
NOT_OURS = frozenset(
    {
        *("health", "read_metrics", "download_policies", "get_ranger_policy", "get_ranger_service_by_name"),
        *("get_service_definition", "get_service_definition_by_name", "apply_ranger_policy"),
        *("delete_ranger_policy_by_name", "update_policy_of_service"),
        *("list_ranger_role_names", "list_ranger_roles_of_user", "get_ranger_role"),
        *("delete_ranger_role_by_name", "grant_ranger_role", "revoke_ranger_role", "download_roles"),
        *("create_service_definition", "update_service_definition", "update_service_definition_by_name"),
        *("delete_service_definition", "delete_service_definition_by_name"),
        *("create_ranger_service", "update_ranger_service", "update_ranger_service_by_name"),
        *("delete_ranger_service", "delete_ranger_service_by_name"),
        *("get_service_tags", "import_service_tags", "delete_policy_deltas", "purge_ranger_records"),
        *("list_security_zones", "find_security_zones", "list_security_zone_headers", "get_security_zone"),
        *("get_security_zone_by_name", "get_security_zone_v2", "get_security_zone_v2_by_name"),
        *("list_security_zones_of_resource", "list_service_headers_of_security_zone"),
        *("list_resources_of_security_zone", "list_resources_of_security_zone_by_name"),
        *("create_security_zone", "create_security_zone_v2", "update_security_zone", "update_security_zone_v2"),
        *("change_security_zone_v2", "delete_security_zone", "delete_security_zone_by_name"),
    }
)
#: Values of parameters that are not names of the stage.
_VALUES: Mapping[str, Any] = {
    "uses": ["mlflow"],
    "metric": "loss",
    "time": datetime(2026, 1, 1, tzinfo=UTC),
    "direction": "dependents",
    "to": "nobody-at-all",
    "resource": "path:nowhere/at/all",
    "permissions": ["read"],
    "run_ids": ["0" * 32],
    "decision": "pause",
}
#: Names of the stage for parameters that have another name, by method and parameter, or by parameter.
_NAMED: Mapping[str, str] = {
    "service": "ranger_service",
    "idbroker_mappings environment": "environment_name",
    "idbroker_sync_status environment": "environment_name",
    "sync_idbroker_mappings environment": "environment_name",
    "delete_idbroker_mappings environment": "environment_name",
}


def rows() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Method, operation and the optional arguments that it is called with."""
    for line in _ROWS.strip().splitlines():
        method, operation, optional = (*line.split(), "", "")[:3]
        yield method, operation or method, (optional,) if optional else ()


def methods() -> set[str]:
    """Every method of the client that sends something."""
    found = inspect.getmembers(RegistryClient, inspect.isfunction)
    return {name for name, _ in found if not name.startswith("_")} - NO_CALLS


def arguments(
    stage: Stage, kind: str, method: str, operation: str, optional: tuple[str, ...], folder: Path
) -> dict[str, Any]:
    """The arguments of a method: the same as in a raw HTTP request."""
    function = getattr(RegistryClient, method)
    names = stage.names_of(kind)
    hints, found = get_type_hints(function), dict[str, Any]()
    for name, parameter in inspect.signature(function).parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if name == "self" or not (needed or name in optional):
            continue
        wanted = hints[name]
        if inspect.isclass(wanted) and issubclass(wanted, BaseModel):
            found[name] = wanted.model_validate(filled(BODIES[operation], names))
        elif wanted is Path:
            found[name] = folder / "file"
        elif name == "path":
            found[name] = "MLmodel" if "archive" in operation else "model/MLmodel"
        elif name in _VALUES:
            found[name] = _VALUES[name]
        else:
            named = NAMES.get((operation, name)) or f"{{{_NAMED.get(f'{method} {name}') or _NAMED.get(name, name)}}}"
            value = filled(named, names)
            found[name] = int(value) if wanted is int else value
    return found


async def call(client: RegistryClient, method: str, values: Mapping[str, Any]) -> tuple[int, Mapping[str, Any], str]:
    """Status, problem and content of the answer to one call, as the client understood it."""
    try:
        answer = getattr(client, method)(**values)
        if inspect.isasyncgen(answer):
            found = await anext(answer)
            await answer.aclose()
        else:
            found = await answer
    except ServiceProblem as error:
        return error.problem.status, {"detail": error.problem.detail}, error.problem.detail
    return 200, {}, found.model_dump_json() if isinstance(found, BaseModel) else repr(found)[:300]


@asynccontextmanager
async def caller(home: Home, token: str) -> AsyncIterator[RegistryClient]:
    """Somebody's client at the service's socket."""
    async with RegistryClient(home, token=token, patience=httpx.Timeout(PATIENCE)) as client:
        yield client
