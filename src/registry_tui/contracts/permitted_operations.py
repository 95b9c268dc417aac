"""Which action of `permissions.py` each operation of the REST API is, by the operation's name in its description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from registry_tui.contracts.permissions import Action

#: Operations for anonymous callers.
FOR_NOBODY = frozenset({"health", "sign_in_ways", "sign_in", "new_device_code", "sign_in_with_device_code"})

_BY_ACTION: Mapping[Action, str] = {
    Action.STATUS_SEE: "platform_status follow search verify_events event_links",
    Action.METRICS_READ: "read_metrics",
    Action.SECRETS_ROTATE: "rotate_secrets",
    Action.PLATFORM_CLEAN: "list_unused clean_platform",
    Action.ENVIRONMENT_CREATE: (
        "create_environment check_store check_environment_store change_store change_backend give_store_key "
        "forget_store_key"
    ),
    Action.ENVIRONMENT_SEE: (
        "list_environments get_environment list_workspaces get_workspace list_registries get_registry "
        "list_attached_servers get_attached_server get_storage_access get_rules list_rules list_signing_keys"
    ),
    Action.ENVIRONMENT_DELETE: "delete_environment",
    Action.ROLES_GRANT: "list_environment_roles set_user_roles set_group_roles",
    Action.WEBHOOKS_CHANGE: (
        "list_webhooks get_webhook create_webhook change_webhook delete_webhook pause_webhook resume_webhook "
        "rotate_webhook_secret test_webhook replay_webhook list_webhook_deliveries"
    ),
    Action.WORKSPACE_CREATE: "create_workspace",
    Action.SERVER_ATTACH: "attach_server change_server",
    Action.WORKSPACE_DELETE: "delete_workspace detach_server",
    Action.PROJECT_CREATE: "create_project",
    Action.PROJECT_READ: "list_projects get_project list_collaborators get_credentials",
    Action.PROJECT_DELETE: "delete_project",
    Action.COLLABORATORS_CHANGE: "set_collaborator remove_collaborator",
    Action.REGISTRY_CREATE: "create_registry",
    Action.REGISTRY_SYNCHRONIZE: "synchronize_registry",
    Action.REGISTRY_DELETE: "delete_registry",
    Action.REGISTRY_GRANT: "grant_storage_access revoke_storage_access",
    Action.STORAGE_READ: "get_storage list_storage_archives list_storage_models",
    Action.STORAGE_CLEAN_UP: "clean_up_storage",
    Action.TRACKING_READ: (
        "list_experiments get_experiment search_runs registered_from group_runs get_run metric_history metric_curve "
        "list_artifacts measure_artifacts read_artifact list_attached_models list_attached_versions"
    ),
    Action.TRACKING_CHANGE: (
        "create_experiment delete_experiments restore_experiments update_experiment update_runs delete_runs "
        "restore_runs"
    ),
    Action.RUNS_PURGE: "purge_runs",
    Action.MODEL_REGISTER: "register_model import_attached_models",
    Action.MODEL_READ: (
        "list_models get_model list_versions get_version get_manifest get_scan get_bom get_card versions_using "
        "get_profile get_signatures read_signature verify_archive begin_verification "
        "read_archive suggest_deployment check_rules list_stages get_promotion_rules "
        # Of a model; of other things by the rule that shows them.
        "get_lineage list_neighbours get_dependents get_dependents_of_all"
    ),
    Action.MODEL_CHANGE: (
        "update_model delete_model set_alias delete_alias update_version delete_version scan_version make_bom set_card "
        "sign_version set_profile"
    ),
    Action.MODEL_PROMOTE: "promote_version",
    Action.RULES_CHANGE: "set_rules set_exception delete_exception list_exceptions",
    Action.SIGNING_CHANGE: "add_signing_key remove_signing_key rotate_signing_key",
    # To the later stages by VERSION_RELEASE.
    Action.VERSION_STAGE: "set_stage",
    Action.APPROVAL_ASK: "ask_approval list_approvals",
    # The requester sees and withdraws the approval too.
    Action.APPROVAL_DECIDE: "get_approval decide_approval",
    Action.PROMOTION_RULES: "set_promotion_rules",
    Action.DEPLOYMENT_READ: (
        "list_deployments get_deployment list_replicas list_revisions list_replica_logs read_replica_log served_at "
        "get_canary"
    ),
    Action.DEPLOYMENT_TEST: "get_example test_deployment",
    Action.DEPLOYMENT_CHANGE: (
        "create_deployment update_deployment delete_deployment stop_deployment restart_deployment roll_back "
        "decide_canary"
    ),
    Action.DEPLOYMENT_REQUESTS: (
        "get_request_log set_request_log list_requests get_request delete_requests get_drift set_drift_rules"
    ),
    Action.USERS_SEE: "whoami list_users get_user",
    Action.USERS_CHANGE: "put_user change_user delete_user",
    Action.GROUPS_CHANGE: "list_groups get_group put_group delete_group add_group_member remove_group_member",
    Action.SIGN_IN_CHANGE: "get_issuer set_issuer delete_issuer",
    Action.TOKENS: "list_tokens create_token revoke_token",
    Action.KEYS: "list_keys create_key limit_key revoke_key",
    Action.EVENTS: "list_events event_choices event_logs",
    Action.WORKFLOWS: "list_workflows get_workflow workflow_logs cancel_workflow retry_workflow",
    Action.POLICIES_SEE: (
        "list_service_definitions get_service_definition_by_name get_service_definition list_ranger_services "
        "get_ranger_service_by_name get_ranger_service list_policies_of_service get_policy_of_service "
        "list_ranger_policies get_ranger_policy download_policies authorize "
        "list_ranger_roles list_ranger_role_names list_ranger_roles_of_user get_ranger_role_by_name get_ranger_role "
        "download_roles list_security_zones find_security_zones list_security_zone_headers "
        "list_security_zones_of_resource get_security_zone get_security_zone_by_name get_security_zone_v2 "
        "get_security_zone_v2_by_name list_service_headers_of_security_zone list_resources_of_security_zone "
        "list_resources_of_security_zone_by_name get_service_tags "
        "get_idbroker_mappings get_idbroker_mappings_sync_status"
    ),
    Action.POLICIES_CHANGE: (
        "update_policy_of_service create_ranger_policy apply_ranger_policy delete_ranger_policy_by_name "
        "set_ranger_source delete_ranger_source "
        "create_ranger_role update_ranger_role delete_ranger_role delete_ranger_role_by_name "
        "grant_ranger_role revoke_ranger_role "
        # Refused with the reason, for everybody who may change policies.
        "create_service_definition update_service_definition update_service_definition_by_name "
        "delete_service_definition delete_service_definition_by_name "
        "create_ranger_service update_ranger_service update_ranger_service_by_name "
        "delete_ranger_service delete_ranger_service_by_name "
        "create_security_zone create_security_zone_v2 update_security_zone update_security_zone_v2 "
        "change_security_zone_v2 delete_security_zone delete_security_zone_by_name "
        "import_service_tags delete_policy_deltas purge_ranger_records "
        "update_ranger_policy delete_ranger_policy set_idbroker_mappings delete_idbroker_mappings "
        "sync_idbroker_mappings"
    ),
}


def _pairs() -> Iterator[tuple[str, Action]]:
    for action, names in _BY_ACTION.items():
        for name in names.split():
            yield name, action


OPERATIONS: Mapping[str, Action] = dict(_pairs())
