"""The effects of deleting workspaces, servers elsewhere, webhooks, trusted keys, policies and mappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import aliased

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.lineage import Dependents, LineageNode, NodeKind
from registry_tui.schemas.ranger import PolicyItem, RangerRole
from registry_tui.service.core import permissions
from registry_tui.service.core.resolve import resolve_workspace
from registry_tui.service.database.tables import (
    DeploymentRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    SigningKeyRow,
    VersionSignatureRow,
)
from registry_tui.service.errors import Missing
from registry_tui.service.idbroker import mappings
from registry_tui.service.lineage.asker import Asker, hidden
from registry_tui.service.lineage.sentences import MOST, Rule, about, sentence, serving
from registry_tui.service.places.attached_servers import get_attached_server
from registry_tui.service.ranger import policies, roles
from registry_tui.service.ranger.finding import PolicyFilter
from registry_tui.service.ranger.finding import policies as policies_of
from registry_tui.service.ranger.known import all_known
from registry_tui.service.signing import trust
from registry_tui.service.webhooks import deliveries, subscriptions

_REGISTRY = "Model Registry"


def _of_workspace(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """Raises Missing."""
    with asker.service.database.reading() as session:
        seen = permissions.permitted_environments(session, asker.principal, Action.ENVIRONMENT_SEE)
        row = resolve_workspace(session, named["workspace"], seen)
        projects = sorted(row.projects, key=lambda each: each.name)
        server = row.attached_server
    own = [LineageNode(kind=NodeKind.PROJECT, ref="", name=each.name) for each in projects if asker.works_in(each.id)]
    found = [*own, *hidden(len(projects) - len(own), "project", "")]
    lines = sentence(found, "project", "is in it", "are in it")
    if server is not None:
        return Dependents(lines=lines, refused="It is not deleted while it shows an MLflow server: detach that first")
    return Dependents(lines=lines, refused="It is not deleted before it is empty" if projects else "")


def _of_server(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """Raises Missing."""
    server = get_attached_server(asker.service, asker.principal, named["workspace"], ask=False)
    of_it = select(ProjectRow.id).where(ProjectRow.workspace_id == server.id)
    lines = serving(asker, DeploymentRow.project_id.in_(of_it), "runs from it", "run from it")
    return Dependents(lines=lines, refused="It is not detached while models are deployed from it" if lines else "")


def _of_webhook(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """Raises Missing."""
    webhook = subscriptions.get_webhook(asker.service, asker.principal, named["webhook"])
    with asker.service.database.reading() as session:
        waiting = deliveries.waiting(session, webhook.id)
    if not waiting:
        return Dependents(lines=[])
    return Dependents(
        lines=[f"{counted(waiting, 'message')} {'waits and is' if waiting == 1 else 'wait and are'} lost"]
    )


def _of_signing_key(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """Versions that no other trusted key signed, and the deployments that serve these. Raises Missing."""
    key = trust.find_key(asker.service, asker.principal, named["environment"], named["key"])
    other = aliased(VersionSignatureRow)
    trusted = select(SigningKeyRow.fingerprint).where(
        SigningKeyRow.environment_id == key.environment_id, SigningKeyRow.fingerprint != key.fingerprint
    )
    in_it = select(RegistryRow.id).where(RegistryRow.environment_id == key.environment_id)
    otherwise = select(other.id).where(
        other.version_id == VersionSignatureRow.version_id, other.fingerprint.in_(trusted)
    )
    alone = (
        select(VersionSignatureRow.version_id)
        .where(
            VersionSignatureRow.fingerprint == key.fingerprint,
            VersionSignatureRow.registry_id.in_(in_it),
            ~otherwise.exists(),
        )
        .distinct()
    )
    with asker.service.database.reading() as session:
        number = len(session.scalars(alone.limit(MOST + 1)).all())
    more = "more than " if number > MOST else ""
    signed = counted(min(number, MOST), "version")
    lines = [f"{more}{signed} {'has' if number == 1 else 'have'} no other signature that is trusted"] if number else []
    lines += serving(
        asker, DeploymentRow.version_id.in_(alone), "serves one and starts no more", "serve one and start no more"
    )
    refused = f"It signs new versions: rotate the keys of {key.environment_name} first" if key.active else ""
    return Dependents(lines=lines, refused=refused)


def _of_policy(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The people, groups, roles and machine users that a policy of Ranger names. Raises Missing, NotPermitted."""
    policy = policies.get_policy(asker.service, asker.principal, named["policy"])
    if not policy.is_enabled:
        return Dependents(lines=["It is disabled, and decides nothing now"])
    place = next((each for each in all_known(asker.service) if each.service.name == policy.service), None)
    gives, denies = policy.policy_items, policy.deny_policy_items
    there = () if place is None else place.roles
    lines = _registries(asker, gives, there, "may use its storage by it", "may use their storage by it")
    lines += _registries(asker, denies, there, "is denied storage by it", "are denied storage by it")
    for items, verb, verbs in ((gives, "gets access by it", "get access by it"), (denies, "is denied", "are denied")):
        for noun, kind in (("user", "users"), ("group", "groups"), ("role", "roles")):
            names = sorted({name for item in items for name in getattr(item, kind)})
            lines += about(names, noun, verb, verbs)
    return Dependents(lines=lines)


def _registries(
    asker: Asker, items: Iterable[PolicyItem], there: Iterable[RangerRole], verb: str, verbs: str
) -> list[str]:
    return named_registries(asker, whose_machine_users(asker, items, there), verb, verbs)


def whose_machine_users(asker: Asker, items: Iterable[PolicyItem], there: Iterable[RangerRole]) -> list[str]:
    """The IDs of registries whose machine users items of policies name, themselves, by a group or by a role."""
    items = list(items)
    users = {name for item in items for name in item.users}
    groups = {name for item in items for name in item.groups}
    wanted = {name for item in items for name in item.roles}
    for role in there:
        if role.name in wanted:
            users |= {member.name for member in role.users}
            groups |= {member.name for member in role.groups}
    with asker.service.database.reading() as session:
        rows = session.scalars(select(RegistryRow).order_by(RegistryRow.name)).all()
        return [
            row.id
            for row in rows
            if row.machine_user_workload_name in users or groups & {"public", *(group.name for group in row.groups)}
        ]


def named_registries(asker: Asker, ids: Iterable[str], verb: str, verbs: str) -> list[str]:
    """A sentence about registries; the person sees the names of those that they may read."""
    found = list(ids)
    read = [place.name for place in map(asker.registry, found) if place is not None]
    return about(read, _REGISTRY, verb, verbs, len(found) - len(read))


def _of_ranger_role(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """Raises Missing, NotPermitted."""
    role = roles.get_role(asker.service, asker.principal, named["role"])
    there = [policy for known in all_known(asker.service) for policy in known.policies]
    found = policies_of(there, PolicyFilter(role=role.name), ())
    lines = about([each.name for each in found], "policy", "names it", "name it")
    above = [
        each.name
        for each in roles.list_roles(asker.service, asker.principal)
        if any(member.name == role.name for member in each.roles)
    ]
    lines += about(above, "role", "names it", "name it")
    return Dependents(
        lines=lines, refused="It is not deleted while it is named: take it out there first" if lines else ""
    )


def _of_mappings(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """Whose machine users reach their storage by IDBroker's mappings. Raises Missing, NotPermitted."""
    found = mappings.get_mappings(asker.service, asker.principal, named["environment"])
    mapped = {each.accessor_crn for each in found.mappings}
    with asker.service.database.reading() as session:
        environment = session.scalars(
            select(EnvironmentRow).where(
                (EnvironmentRow.name == named["environment"]) | (EnvironmentRow.id == named["environment"])
            )
        ).first()
        if environment is None:
            raise Missing(f"There is no environment {named['environment']!r}")
        rows = session.scalars(select(RegistryRow).where(RegistryRow.environment_id == environment.id)).all()
        ids = [row.id for row in rows if row.machine_user_crn in mapped]
    lines = named_registries(asker, ids, "uses its storage by them", "use their storage by them")
    return Dependents(lines=[*lines, *([f"{counted(len(mapped), 'mapping')} in all"] if mapped else [])])


RULES: Mapping[str, Rule] = {
    "workspace": _of_workspace,
    "server": _of_server,
    "webhook": _of_webhook,
    "signing-key": _of_signing_key,
    "policy": _of_policy,
    "ranger-role": _of_ranger_role,
    "mappings": _of_mappings,
}
