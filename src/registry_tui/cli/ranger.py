"""`ranger`: services and policies of RAZ-enabled environments, which decide the access of machine users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from registry_tui.cli import output, ranger_documents, ranger_roles, session
from registry_tui.cli import ranger_source as source
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.ranger import (
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    RangerService,
    ServiceDefinition,
)
from registry_tui.wording.policies import allowed_to, asked_resource, containers, period, places, verdicts

app = session.new_app("Ranger: the policies of RAZ-enabled environments.")
services = session.new_app("Services: one for each RAZ-enabled environment, cm_s3 or cm_adls.")
policies = session.new_app("Policies: who may do what with which objects.")
app.add_typer(services, name="services")
app.add_typer(policies, name="policies")
app.add_typer(ranger_roles.app, name="roles")
app.add_typer(source.app, name="source")


async def _service_names(client: RegistryClient) -> list[str]:
    return [each.name for each in await client.ranger_services()]


ServiceArgument = Annotated[
    str,
    typer.Argument(help="Name of a service, or of its environment.", autocompletion=session.completes(_service_names)),
]
ServiceOption = Annotated[
    str,
    typer.Option("--service", "-s", help="The service.", autocompletion=session.completes(_service_names)),
]
#: For commands about an existing policy.
ServiceOfPolicyOption = Annotated[
    str | None,
    typer.Option(
        "--service",
        "-s",
        help="The service; default: cm_s3, and for an ID the one that has the policy.",
        autocompletion=session.completes(_service_names),
    ),
]
FileOption = Annotated[
    str | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="The whole policy as Ranger's JSON: a file, - for standard input, or the JSON itself.",
    ),
]
PolicyArgument = Annotated[str, typer.Argument(help="Name or ID of a policy.")]

SERVICE_COLUMNS = [
    Column[RangerService]("NAME", lambda each: each.name),
    Column[RangerService]("TYPE", lambda each: each.type),
    Column[RangerService]("ENVIRONMENT", lambda each: each.configs.get("environment")),
    Column[RangerService]("BUCKET", lambda each: each.configs.get("bucket"), flexible=True),
    Column[RangerService]("POLICY VERSION", lambda each: each.policy_version, right=True),
]
POLICY_COLUMNS = [
    Column[RangerPolicy]("ID", lambda each: each.id, right=True),
    Column[RangerPolicy]("NAME", lambda each: each.name, flexible=True),
    Column[RangerPolicy]("SERVICE", lambda each: each.service),
    Column[RangerPolicy]("ENABLED", lambda each: each.is_enabled),
    Column[RangerPolicy]("PRIORITY", lambda each: "override" if each.policy_priority else "normal"),
    Column[RangerPolicy]("RESOURCES", places, flexible=True),
    Column[RangerPolicy]("USERS", lambda each: sorted({user for item in each.policy_items for user in item.users})),
]


@services.command("list")
def list_services(as_json: session.JsonOption = False) -> None:
    """List the services."""
    _print_all(session.ask(lambda client: client.ranger_services()), SERVICE_COLUMNS, as_json)


@services.command("show")
def show_service(service: ServiceArgument, as_json: session.JsonOption = False) -> None:
    """Show one service."""
    found = session.ask(lambda client: client.ranger_service(service))
    fields = {
        "name": found.name,
        "ID": found.id,
        "type": found.type,
        "environment": found.configs.get("environment"),
        "bucket": found.configs.get("bucket"),
        "policy version": found.policy_version,
    }
    output.print_one(found, fields, as_json=as_json)


@policies.command("list")
def list_policies(
    service: Annotated[
        str | None,
        typer.Option(
            "--service", "-s", help="Only policies of this service.", autocompletion=session.completes(_service_names)
        ),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the policies of all services, or of one."""
    _print_all(session.ask(lambda client: client.policies(service)), POLICY_COLUMNS, as_json)


@policies.command("show")
def show_policy(
    policy: PolicyArgument, service: ServiceOfPolicyOption = None, as_json: session.JsonOption = False
) -> None:
    """Show one policy."""
    _print_policy(session.ask(lambda client: _found(client, policy, service)), as_json)


@policies.command("create")
def create_policy(
    name: Annotated[str | None, typer.Argument(help="The policy's name.")] = None,
    service: ServiceOption = "cm_s3",
    path: Annotated[
        list[str] | None, typer.Option("--path", help="A path below the bucket, with * and ?; repeatable.")
    ] = None,
    bucket: Annotated[
        list[str] | None, typer.Option("--bucket", help="A bucket, or Azure's container; default: the environment's.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive/--not-recursive", help="Whether paths include everything below them.")
    ] = True,
    user: Annotated[list[str] | None, typer.Option("--user", "-u", help="Who is allowed; repeatable.")] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="A group; public is everybody. Repeatable.")
    ] = None,
    permission: Annotated[
        list[str] | None, typer.Option("--permission", "-p", help="read, write, list or delete; repeatable.")
    ] = None,
    deny: Annotated[bool, typer.Option("--deny", help="Deny instead of allowing.")] = False,
    override: Annotated[bool, typer.Option("--override", help="Decide before all normal policies.")] = False,
    file: FileOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Add a policy, by options or as Ranger's JSON.

    Example: registry-tui ranger policies create readers --path shared --user ana --permission read
    """
    if file is not None:
        request = ranger_documents.read(file, RangerPolicy, "policy")
    else:
        if not name or not path or not (user or group) or not permission:
            raise typer.BadParameter("give a name, --path, --user or --group, and --permission; or --file")
        item = PolicyItem(
            users=user or [],
            groups=group or [],
            accesses=[PolicyItemAccess(type=each) for each in permission],
        )
        resources = PolicyResource(values=path, is_recursive=recursive)

        async def build(client: RegistryClient) -> RangerPolicy:
            described = await client.ranger_service(service)
            kinds = await client.ranger_definitions()
            definition = next(each for each in kinds if each.name == described.type)
            return RangerPolicy(
                service=described.name,
                name=name,
                policy_priority=1 if override else 0,
                resources=_resources(definition, described, bucket, resources),
                policy_items=[] if deny else [item],
                deny_policy_items=[item] if deny else [],
            )

        request = session.ask(build)
    _print_policy(session.ask(lambda client: client.create_policy(request)), as_json)


@policies.command("update")
def update_policy(
    policy: PolicyArgument,
    file: FileOption = None,
    service: ServiceOfPolicyOption = None,
    add_user: Annotated[
        list[str] | None,
        typer.Option("--add-user", help="Add somebody to the first allow condition; repeatable."),
    ] = None,
    remove_user: Annotated[
        list[str] | None, typer.Option("--remove-user", help="Remove somebody from all allow conditions; repeatable.")
    ] = None,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether the policy applies.")] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Replace a policy by Ranger's JSON, or change some of it.

    Example: registry-tui ranger policies update "all - bucket, path" --add-user 82a49
    """
    if file is None and not add_user and not remove_user and enable is None:
        raise typer.BadParameter("give --file, --add-user, --remove-user, --enable or --disable")

    async def change(client: RegistryClient) -> RangerPolicy:
        before = await _found(client, policy, service)
        after = before if file is None else ranger_documents.read(file, RangerPolicy, "policy")
        after = _with_people(after, add_user or [], remove_user or [])
        if enable is not None:
            after = after.model_copy(update={"is_enabled": enable})
        return await client.update_policy(before.id or 0, after)

    _print_policy(session.ask(change), as_json)


@policies.command("delete")
def delete_policy(
    policy: PolicyArgument,
    service: ServiceOfPolicyOption = None,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Delete a policy; permissions that only it gave end at once."""

    async def about(client: RegistryClient) -> str:
        return reference("policy", str((await _found(client, policy, service)).id))

    question = f"Delete the policy {policy}{f' of {service}' if service else ''}?"
    session.confirm_deletion(question, about, yes=yes, dry_run=dry_run)

    async def delete(client: RegistryClient) -> None:
        found = await _found(client, policy, service)
        await client.delete_policy(found.id or 0)

    session.ask(delete)
    output.note(f"Policy {policy} is deleted")


@policies.command("check")
def check(
    path: Annotated[str, typer.Argument(help="A path below the environment's bucket.")],
    user: Annotated[str, typer.Option("--user", "-u", help="The user whose access is checked.")],
    permission: Annotated[
        list[str] | None, typer.Option("--permission", "-p", help="read, write, list or delete; default: all.")
    ] = None,
    service: ServiceOption = "cm_s3",
    as_json: session.JsonOption = False,
) -> None:
    """Show whether the policies let somebody do something with a path, and which policy decides.

    Example: registry-tui ranger policies check modelregistry/x --user srv_cml_env_machine_user_82a49
    """

    async def ask(client: RegistryClient) -> None:
        described = await client.ranger_service(service)
        kinds = await client.ranger_definitions()
        definition = next(each for each in kinds if each.name == described.type)
        wanted = permission or [access.name for access in definition.access_types]
        resource = asked_resource(definition, described, path)
        answer = await client.check_access(described.name, user, resource, wanted)
        if as_json:
            output.print_json(answer)
            return
        for each in verdicts(answer, await client.policies(described.name)):
            decision = "allow" if each.allowed else "deny"
            output.write(f"{each.permission:<8}{decision:<7}{each.reason}\n")
        output.flush()

    session.ask(ask)


# -- underneath -------------------------------------------------------------------------------------------


async def _found(client: RegistryClient, policy: str, service: str | None) -> RangerPolicy:
    if service is None:
        for each in await client.policies() if policy.isdigit() else ():
            if str(each.id) == policy:
                return each
    return await client.policy(policy, service or "cm_s3")


def _print_all(items: Sequence[object], columns: Sequence[Column[Any]], as_json: bool) -> None:
    if as_json:
        output.print_json(items)
    elif items:
        output.Table(columns).print(items)
    else:
        output.note("Nothing found")


def _print_policy(found: RangerPolicy, as_json: bool) -> None:
    fields: dict[str, object] = {
        "name": found.name,
        "ID": found.id,
        "service": found.service,
        "enabled": found.is_enabled,
        "priority": "override" if found.policy_priority else "normal",
        "resources": places(found),
        "allowed": allowed_to(found.policy_items),
        "not allowed": allowed_to(found.allow_exceptions),
        "denied": allowed_to(found.deny_policy_items),
        "not denied": allowed_to(found.deny_exceptions),
        "valid": period(found),
        "labels": found.policy_labels,
        "description": found.description,
        "version": found.version,
    }
    output.print_one(found, fields, as_json=as_json)


def _resources(
    definition: ServiceDefinition, service: RangerService, buckets: list[str] | None, path: PolicyResource
) -> dict[str, PolicyResource]:
    *above, last = definition.resources
    own = containers(definition, service)
    found = {level.name: PolicyResource(values=[own[level.name]]) for level in above}
    if buckets:
        found[above[-1].name] = PolicyResource(values=buckets)
    return {**found, last.name: path}


def _with_people(policy: RangerPolicy, added: list[str], removed: list[str]) -> RangerPolicy:
    items = list(policy.policy_items)
    if added:
        if not items:
            raise typer.BadParameter("the policy has no allow condition", param_hint="--add-user")
        items[0] = items[0].model_copy(update={"users": list(dict.fromkeys([*items[0].users, *added]))})
    if removed:
        items = [
            item.model_copy(
                update={"users": [name for name in item.users if name not in removed and _last(name) not in removed]}
            )
            for item in items
        ]
        items = [item for item in items if item.users or item.groups or item.roles]
    return policy.model_copy(update={"policy_items": items})


def _last(name: str) -> str:
    """The last part of a machine user's name, which identifies it too."""
    return name.rpartition("_")[2]
