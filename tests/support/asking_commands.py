"""Requests whose commands ask the service something first, and those commands."""

from __future__ import annotations

from registry_tui.schemas.attached import AttachedServerChange, AttachedServerCreate
from registry_tui.schemas.idbroker import IdBrokerMapping, SetIdBrokerMappings
from registry_tui.schemas.places import EnvironmentCreate
from registry_tui.schemas.ranger import RangerSourceChange
from registry_tui.schemas.registries import RegistryDelete
from registry_tui.schemas.storage import StorageCleanUp
from registry_tui.schemas.stores import (
    AzureAddress,
    AzureCredentials,
    AzureStore,
    GoogleAddress,
    GoogleCredentials,
    GoogleStore,
    S3Address,
    S3Credentials,
    S3Store,
    StoreChange,
)
from registry_tui.schemas.tracking import ExperimentsChosen, RunPurge
from support.command_requests import NASTY, Ask

#: Commands that ask the service something first, as they are.
ASKING: dict[str, tuple[Ask, str]] = {
    "environment": (lambda c: c.delete_environment("e"), "environments delete --yes e"),
    "workspace": (lambda c: c.delete_workspace("w"), "workspaces delete --yes w"),
    "project": (lambda c: c.delete_project("p", force=True), "projects delete --force --yes p"),
    "registry": (
        lambda c: c.delete_registry("r", RegistryDelete(delete_archives=True)),
        "registries delete --delete-archives --yes r",
    ),
    "model": (lambda c: c.delete_model("r", "m"), "models delete --registry r --yes m"),
    "version": (
        lambda c: c.delete_version("r", "m", 3, keep_archive=True),
        "models delete --registry r --keep-archives --yes m 3",
    ),
    "deployment": (lambda c: c.delete_deployment("d", force=True), "deployments delete --force --yes d"),
    "archives": (lambda c: c.clean_up_storage("r", StorageCleanUp(archives=["a"])), "registries clean-up --yes r"),
    "verification": (lambda c: c.begin_verification("r", "m", 3), "models verify --registry r m 3"),
    # It asks for the roles that it has no option for, and keeps them.
    "mappings": (
        lambda c: c.set_idbroker_mappings(
            SetIdBrokerMappings(
                environment_name="lab",
                data_access_role="arn:aws:iam::1:role/a=b",
                ranger_audit_role="-audit",
                mappings=[
                    IdBrokerMapping(accessor_crn="crn:1", role="x=y"),
                    IdBrokerMapping(accessor_crn="-2", role="z"),
                ],
            )
        ),
        "idbroker set --data-access-role arn:aws:iam::1:role/a=b --ranger-audit-role=-audit"
        " --mapping crn:1=x=y --mapping=-2=z lab",
    ),
    "no mappings": (
        lambda c: c.set_idbroker_mappings(
            SetIdBrokerMappings(
                environment_name="lab",
                data_access_role="a",
                ranger_audit_role="b",
                mappings=[],
                set_empty_mappings=True,
            )
        ),
        "idbroker set --data-access-role a --ranger-audit-role b --empty lab",
    ),
    "policy": (lambda c: c.delete_policy(7), "ranger policies delete --yes 7"),
    "role of Ranger": (lambda c: c.delete_ranger_role(7), "ranger roles delete --yes 7"),
    "an outside Ranger": (
        lambda c: c.set_ranger_source(
            "e", RangerSourceChange(url="https://r:6182", user="u", password=NASTY, service="s")
        ),
        "ranger source set --url https://r:6182 --service s --user u --password-file ranger.secret --every 30 e",
    ),
    "an MLflow server as somebody": (
        lambda c: c.attach_server(
            AttachedServerCreate(
                name="lab", environment="e", url="https://m", user="u", secret=NASTY, certificate="PEM"
            )
        ),
        "attach --environment e --user u --password-file mlflow.secret --certificate mlflow.pem lab https://m",
    ),
    "an environment with a key": (
        lambda c: c.create_environment(
            EnvironmentCreate(
                name="lab",
                store=S3Store(
                    address=S3Address(bucket="acme"),
                    credentials=S3Credentials(access_key_id="AK", secret_access_key=NASTY),
                ),
            )
        ),
        "environments create --cloud aws --bucket s3://acme --access-key-id AK --secret-file store.secret lab",
    ),
    "a SAS of a store": (
        lambda c: c.change_store(
            "lab",
            StoreChange(
                store=AzureStore(
                    address=AzureAddress(account="acme", container="models"), credentials=AzureCredentials(sas=NASTY)
                )
            ),
        ),
        "environments change-store --sas --secret-file store.secret lab az://acme/models",
    ),
    "a service account of a store": (
        lambda c: c.change_store(
            "lab",
            StoreChange(
                store=GoogleStore(
                    address=GoogleAddress(bucket="acme"), credentials=GoogleCredentials(service_account=NASTY)
                )
            ),
        ),
        "environments change-store --secret-file store.secret lab gs://acme",
    ),
    "an MLflow server with a token": (
        lambda c: c.attach_server(AttachedServerCreate(name="lab", environment="e", url="https://m", secret=NASTY)),
        "attach --environment e --token mlflow.secret lab https://m",
    ),
    "an MLflow server with another token": (
        lambda c: c.change_server("lab", AttachedServerChange(url="https://m", secret=NASTY)),
        "attached change --token mlflow.secret lab https://m",
    ),
    "no MLflow server": (lambda c: c.detach_server("lab"), "detach --yes lab"),
    "own policies": (lambda c: c.delete_ranger_source("e"), "ranger source delete --yes e"),
    "experiments": (
        lambda c: c.delete_experiments("p", ExperimentsChosen(experiment_ids=["7", "8"])),
        "experiments delete --project p --yes 7 8",
    ),
    "experiments back": (
        lambda c: c.restore_experiments("p", ExperimentsChosen(experiment_ids=["7"])),
        "experiments restore --project p 7",
    ),
    "runs for good": (lambda c: c.purge_runs("p", RunPurge(run_ids=["a"])), "runs purge --project p --yes a"),
}
