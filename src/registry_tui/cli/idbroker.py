"""`idbroker`: mappings of environments without RAZ, which decide the access of machine users."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.idbroker import IdBrokerMappings, IdBrokerSyncStatus, SetIdBrokerMappings, SyncStatus
from registry_tui.wording.idbroker import parsed, synchronized

app = session.new_app("IDBroker: mappings of machine users to roles, in environments without RAZ.")

#: Outcomes of a synchronization that leave the object store unchanged.
_NOT_DONE = (SyncStatus.FAILED, SyncStatus.REJECTED, SyncStatus.TIMEDOUT)


@app.command()
def show(environment: session.EnvironmentArgument, as_json: session.JsonOption = False) -> None:
    """Show the roles and mappings of an environment as they were set last."""
    _print_mappings(session.ask(lambda client: client.idbroker_mappings(environment)), as_json)


@app.command("set")
def set_(
    environment: session.EnvironmentArgument,
    data_access_role: Annotated[
        str | None, typer.Option("--data-access-role", metavar="ROLE", help="The Data Access Role; default: as it is.")
    ] = None,
    ranger_audit_role: Annotated[
        str | None,
        typer.Option("--ranger-audit-role", metavar="ROLE", help="The Ranger Audit Role; default: as it is."),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--mapping",
            "-m",
            metavar="CRN=ROLE",
            help="A user's, group's or machine user's role; CRN alone gives the Data Access Role; repeatable.",
        ),
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Remove all mappings.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Synchronize them as well.")] = False,
    as_json: session.JsonOption = False,
) -> None:
    """Overwrite all mappings of an environment; they have no effect until they are synchronized.

    Roles are ARNs for AWS and resource IDs of managed identities for Azure.

    Example: registry-tui idbroker set lab --mapping "$CRN" --sync
    """
    if empty == bool(mapping):
        raise typer.BadParameter(
            "give either --mapping, once or more, or --empty: all present mappings are overwritten"
        )

    async def change(client: RegistryClient) -> IdBrokerMappings:
        before = await client.idbroker_mappings(environment)
        access = data_access_role or before.data_access_role
        request = session.build(
            SetIdBrokerMappings,
            environment_name=environment,
            data_access_role=access,
            ranger_audit_role=ranger_audit_role or before.ranger_audit_role,
            ranger_cloud_access_authorizer_role=before.ranger_cloud_access_authorizer_role,
            baseline_role=before.baseline_role,
            mappings=[each for line in mapping or [] for each in parsed(line, access)],
            set_empty_mappings=empty or None,
        )
        return await client.set_idbroker_mappings(request)

    found = session.ask(change)
    if sync:
        session.ask(lambda client: client.sync_idbroker_mappings(environment))
    _print_mappings(found, as_json)
    status_now = session.ask(lambda client: client.idbroker_sync_status(environment))
    if status_now.sync_needed and not sync:
        output.note(f"They have no effect yet: registry-tui idbroker sync {environment}")
    _end(status_now, sync)


@app.command()
def delete(
    environment: session.EnvironmentArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False
) -> None:
    """Remove all mappings of an environment and give it its first roles again; synchronize to make that count."""
    question = f"Remove all IDBroker mappings of environment {environment}?"
    session.confirm_deletion(question, reference("mappings", environment), yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.delete_idbroker_mappings(environment))
    output.note(f"The mappings are removed; to make that count: registry-tui idbroker sync {environment}")


@app.command()
def sync(environment: session.EnvironmentArgument, as_json: session.JsonOption = False) -> None:
    """Make the object store enforce the mappings, from the next request on."""

    async def run(client: RegistryClient) -> IdBrokerSyncStatus:
        await client.sync_idbroker_mappings(environment)
        return await client.idbroker_sync_status(environment)

    found = session.ask(run)
    _print_status(found, as_json)
    _end(found, True)


@app.command()
def status(environment: session.EnvironmentArgument, as_json: session.JsonOption = False) -> None:
    """Show how the last synchronization went, and whether mappings were changed since."""
    _print_status(session.ask(lambda client: client.idbroker_sync_status(environment)), as_json)


# -- underneath -------------------------------------------------------------------------------------------


def _end(found: IdBrokerSyncStatus, asked: bool) -> None:
    """A failed synchronization is an error if it was requested."""
    if asked and found.global_status in _NOT_DONE:
        output.note(synchronized(found))
        raise typer.Exit(1)


def _print_mappings(found: IdBrokerMappings, as_json: bool) -> None:
    fields: dict[str, object] = {
        "Data Access Role": found.data_access_role,
        "Ranger Audit Role": found.ranger_audit_role,
        "RAZ role": found.ranger_cloud_access_authorizer_role,
        "mappings": [f"{each.accessor_crn} = {each.role}" for each in found.mappings],
        "version": found.mappings_version,
    }
    output.print_one(found, fields, as_json=as_json)


def _print_status(found: IdBrokerSyncStatus, as_json: bool) -> None:
    fields: dict[str, object] = {"status": found.global_status, "needed": found.sync_needed}
    for crn, each in found.statuses.items():
        fields |= {
            "data lake": crn,
            "started": each.start_date,
            "ended": each.end_date,
            "error": each.error_detail,
        }
    output.print_one(found, fields, as_json=as_json)
