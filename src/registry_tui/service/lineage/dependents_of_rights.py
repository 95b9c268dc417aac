"""The effects of ending storage access, an outside Ranger's policies, exceptions and secrets, without a deletion."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.admission import Verdict
from registry_tui.schemas.lineage import Dependents
from registry_tui.schemas.secrets import SecretKind
from registry_tui.service.admission import exceptions, rules
from registry_tui.service.core import permissions
from registry_tui.service.database.tables import DeploymentRow, EnvironmentRow, RegistryRow, UserRow, now
from registry_tui.service.errors import InvalidInput, Missing
from registry_tui.service.lineage.asker import Asker
from registry_tui.service.lineage.dependents_of_places import named_registries, whose_machine_users
from registry_tui.service.lineage.sentences import Rule, serving
from registry_tui.service.ranger.known import Known, known_in, known_service
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.registries.views import count_models
from registry_tui.service.webhooks import deliveries, subscriptions


def _of_storage_access(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The models and deployments that need the storage of a registry. Raises Missing, NotPermitted."""
    place = enter_registry(
        asker.service, named["registry"], reader=asker.principal, action=Action.REGISTRY_GRANT, any_status=True
    )
    models = count_models(asker.service, place.workspace)
    is_ = "is" if models == 1 else "are"
    lines = (
        [f"{counted(models, 'registered model')} {is_} neither downloaded nor deployed without it"] if models else []
    )
    of_it = DeploymentRow.registry_id == place.id
    return Dependents(lines=lines + serving(asker, of_it, "serves from it", "serve from it"))


def _of_ranger_source(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The registries that have storage by an outside Ranger only. Raises Missing, NotPermitted."""
    permissions.require(asker.principal, Action.POLICIES_SEE)
    outside = known_service(asker.service, named["environment"])
    if outside.source is None:
        raise Missing(f"The policies of environment {outside.place.name} are its own")
    query = select(EnvironmentRow).where(EnvironmentRow.id == outside.place.environment_id)
    with asker.service.database.reading() as session:
        row = session.scalars(query.options(joinedload(EnvironmentRow.model_registry))).one()
        own = known_in(session, row, own=True)
        here = set(session.scalars(select(RegistryRow.id).where(RegistryRow.environment_id == row.id)))
    lost = here & (_machine_users(asker, outside) - _machine_users(asker, own))
    lines = named_registries(asker, sorted(lost), "has its storage by them alone", "have their storage by them alone")
    given, back = len(outside.policies), len(own.policies)
    lines.append(f"{counted(given, 'policy', 'policies')} of Ranger {'counts' if given == 1 else 'count'} no more")
    lines.append(f"{counted(back, 'own policy', 'own policies')} {'counts' if back == 1 else 'count'} again")
    return Dependents(lines=lines)


def _machine_users(asker: Asker, known: Known) -> set[str]:
    """The registries whose machine users get something by policies."""
    items = [item for policy in known.policies if policy.is_enabled for item in policy.policy_items]
    return set(whose_machine_users(asker, items, known.roles))


def _of_exception(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The purposes refused again, and the deployments that stay. Raises Missing, NotPermitted, PartUnavailable."""
    number = named["version"]
    if not (number.isascii() and number.isdigit()):
        raise InvalidInput(f"There is no version {number!r}", action="Give its number")
    service, principal = asker.service, asker.principal
    place, version = exceptions.find_excepted(
        service, principal, named["registry"], named["model"], int(number), named["rule"]
    )
    found = rules.check_without(service, place, version, named["rule"])
    lines = [f"The environment has no rule {named['rule']} any more: nothing is refused by it"]
    if found is not None:
        refused = found.verdict is Verdict.REFUSED
        purposes = ", ".join(found.purposes)
        lines = [f"It is refused from then on for {purposes}: {found.reason}" if refused else "It meets the rule now"]
    serves = (DeploymentRow.registry_id == place.id) & (DeploymentRow.version_id == version.id)
    return Dependents(lines=lines + serving(asker, serves, "serves it and stays", "serve it and stay"))


def _of_webhook_secret(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The facts for a receiver whose webhook gets a new secret. Raises Missing, NotPermitted."""
    webhook = subscriptions.get_webhook(asker.service, asker.principal, named["webhook"])
    with asker.service.database.reading() as session:
        waiting = deliveries.waiting(session, webhook.id)
    at = now()
    until = webhook.old_secret_until
    if until is not None and until > at:
        # As `subscriptions.rotate_secret` keeps the one that receivers know.
        lines = ["Another new secret was given less than a day ago: that one is good no more, at once"]
    else:
        lines = []
    lines.append(f"The receiver needs the new one before {at + subscriptions.OVERLAP:%Y-%m-%d %H:%M} UTC")
    if waiting:
        waits = "waits and is" if waiting == 1 else "wait and are"
        lines.append(f"{counted(waiting, 'message')} {waits} signed with it, too")
    return Dependents(lines=lines)


def _of_secrets(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The people who need the platform's new secrets; its own parts get them. Raises NotPermitted, InvalidInput."""
    permissions.require(asker.principal, Action.SECRETS_ROTATE)
    if named["kind"] not in list(SecretKind):
        raise InvalidInput(f"There are no secrets {named['kind']!r}", action=f"Choose from: {', '.join(SecretKind)}")
    if named["kind"] != SecretKind.PEOPLE:
        return Dependents(lines=[])
    with asker.service.database.reading() as session:
        number = session.scalar(select(func.count()).select_from(UserRow)) or 0
    people = counted(number, "person has", "people have")
    return Dependents(lines=[f"{people} another password for MLflow then: `registry-tui env` prints it"])


RULES: Mapping[str, Rule] = {
    "storage-access": _of_storage_access,
    "ranger-source": _of_ranger_source,
    "exception": _of_exception,
    "webhook-secret": _of_webhook_secret,
    "secrets": _of_secrets,
}
