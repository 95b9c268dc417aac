"""Makes the object store enforce an environment's policies: compiles them for its users, sets its bucket policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from registry_tui.schemas.places import Cloud
from registry_tui.schemas.ranger import RangerPolicy, RangerRole, ServiceDefinition
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EnvironmentRow
from registry_tui.service.ranger.compiling import Compiled, compile_for
from registry_tui.service.ranger.definitions import SERVICES
from registry_tui.service.ranger.evaluator import Asker, moment_of, roles_of


@dataclass(frozen=True)
class Place:
    """An environment, as its Ranger service sees it."""

    environment_id: str
    name: str
    cloud: Cloud
    bucket: str
    #: The names that its machine users have on the object store.
    users: tuple[str, ...]
    #: The groups of its machine users, in addition to the one with everybody.
    groups: frozenset[str] = frozenset()

    @property
    def service(self) -> str:
        """The documented name of its service."""
        return SERVICES[self.cloud][0]

    @property
    def containers(self) -> dict[str, str]:
        """The levels of its resources above the path. Azure's storage account has the environment's name."""
        if self.cloud is Cloud.AWS:
            return {"bucket": self.bucket}
        return {"storageaccount": self.name, "storageaccountcontainer": self.bucket}


def place_of(row: EnvironmentRow) -> Place:
    """The place of an environment; its registry is loaded."""
    registry = row.model_registry
    name = None if registry is None else registry.machine_user_workload_name
    groups = frozenset[str]() if registry is None else frozenset(group.name for group in registry.groups)
    return Place(row.id, row.name, Cloud(row.cloud), row.bucket, (name,) if name else (), groups)


def lock_of(environment_id: str) -> str:
    """The name of the lock under which an environment's policies are enforced and kept."""
    return f"ranger:{environment_id}"


def definition_of(place: Place) -> ServiceDefinition:
    """The definition of an environment's own service."""
    return SERVICES[place.cloud][1]


def enforce(
    service: Service,
    place: Place,
    definition: ServiceDefinition,
    policies: Sequence[RangerPolicy],
    roles: Sequence[RangerRole],
) -> bool:
    """Sets the rights of the machine users of an environment, from the next request on.

    Returns whether the store enforces exactly the policies; it may deny more where it cannot express them. Raises
    PartUnavailable, InvalidInput when the policies are too large for the store.
    """
    compiled = [
        _compiled(place, definition, policies, Asker(user, place.groups, roles_of(user, place.groups, roles)))
        for user in place.users
    ]
    statements = [statement for each in compiled for statement in each.statements]
    service.stores.objects.put_bucket_policy(place.bucket, statements)
    return all(each.exact for each in compiled)


def next_change(policies: Iterable[RangerPolicy], after: datetime) -> datetime | None:
    """The time when a validity period next begins or ends, so that the policies must be set again."""
    moments = []
    for policy in policies:
        if not policy.is_enabled:
            continue
        for schedule in policy.validity_schedules:
            for text in (schedule.start_time, schedule.end_time):
                if text and (moment := moment_of(text, schedule.time_zone)) > after:
                    moments.append(moment)
    return min(moments, default=None)


def _compiled(place: Place, definition: ServiceDefinition, policies: Sequence[RangerPolicy], asker: Asker) -> Compiled:
    return compile_for(definition, policies, asker, place.bucket, place.containers, datetime.now(UTC))
