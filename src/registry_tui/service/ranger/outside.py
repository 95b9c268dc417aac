"""An outside Ranger Admin: fetches a service's policies as Ranger's plugins do, and fits them to the service here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.ranger import (
    AccessType,
    PolicyResource,
    RangerPolicy,
    ServiceDefinition,
    ServicePolicies,
)
from registry_tui.service.adapters.http_reasons import reason_of
from registry_tui.service.errors import InvalidInput, PartUnavailable
from registry_tui.service.ranger.definitions import DELETE, LIST, READ, WRITE
from registry_tui.service.ranger.evaluator import EVERYBODY, moment_of

#: Timeouts in seconds of a read, and of the whole response; most bytes of a response.
_TIMEOUT, WHOLE_SECONDS, _MOST_BYTES = 10.0, 60.0, 32 << 20
#: Permissions that imply these in definitions without them, as in the vendor's definition.
_GOES_WITH = {LIST: READ, DELETE: WRITE}
#: The object store reads these as an escape and as a variable of its own.
_UNENFORCEABLE = re.compile(r"\\|\$\{|[\x00-\x1f\x7f]")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MOST_NOTES = 20


@dataclass(frozen=True)
class Address:
    """The URL of an outside Ranger Admin, one of its services, and the credentials for it."""

    url: str
    service: str
    user: str | None
    password: str | None = field(repr=False)


class SourceProblem(PartUnavailable):
    """An outside Ranger Admin returns no policies that could be enforced; the reason is for people."""


class _Answer(ServicePolicies):
    """The response of Ranger Admin; policies of security zones are separate in it."""

    security_zones: dict[str, object] | None = None


@dataclass(frozen=True)
class Fitted:
    """An outside service's policies with the names of this environment's service, and notes on the differences."""

    version: int
    definition: ServiceDefinition
    policies: tuple[RangerPolicy, ...]
    notes: tuple[str, ...]


def check_address(address: Address) -> None:
    """Raises InvalidInput for an address that cannot be used, or that would reveal a password to others."""
    problems = []
    try:
        parts = urlsplit(address.url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        problems.append(FieldProblem(field="url", message="must look like https://ranger.example.com:6182"))
    elif parts.username or parts.password or parts.query or parts.fragment:
        problems.append(FieldProblem(field="url", message="must hold neither a user nor anything behind ? or #"))
    elif address.password and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        problems.append(FieldProblem(field="url", message="must begin with https://, since a password is sent"))
    if not address.service.strip():
        problems.append(FieldProblem(field="service", message="is the name of a service there, e.g. cm_s3"))
    if bool(address.user) != bool(address.password):
        problems.append(FieldProblem(field="password", message="a user and a password belong together"))
    if problems:
        detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
        raise InvalidInput(f"The outside Ranger cannot be asked: {detail}", errors=problems)


def download(address: Address, known_version: int = -1) -> ServicePolicies | None:
    """A service's policies, or None while they are those of `known_version`. Raises SourceProblem."""
    url = f"{address.url.rstrip('/')}/service/plugins/policies/download/{quote(address.service, safe='')}"
    query: Mapping[str, str | int] = {
        "lastKnownVersion": known_version,
        "lastActivationTime": 0,
        "pluginId": "registry-tui",
        "supportsPolicyDeltas": "false",
    }
    try:
        # An event loop, since only that ends a response that trickles in byte by byte.
        body = asyncio.run(_answer_to(address, url, query))
    except TimeoutError as error:
        detail = f"Ranger at {address.url} did not send its policies within {WHOLE_SECONDS:g} seconds"
        raise SourceProblem(detail, action=_action(address)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        detail = f"Ranger at {address.url} does not answer: {reason_of(error)}"
        raise SourceProblem(detail, action=_action(address)) from error
    if body is None:
        return None
    try:
        found = _Answer.model_validate_json(body)
    except ValidationError as error:
        raise SourceProblem(
            f"Ranger at {address.url} answers with something that is not a service's policies", action=_action(address)
        ) from error
    if found.security_zones:
        raise SourceProblem(
            f"Service {address.service} of Ranger at {address.url} has security zones, which cannot be obeyed here",
            action="Use a service without security zones",
        )
    return found


def fitted(own: ServiceDefinition, service: str, first_id: int, answer: ServicePolicies) -> Fitted:
    """Another Ranger's policies in the words of a service here; `first_id` is added to their IDs.

    Policies that cannot be enforced exactly allow less, never more, and are noted. Raises SourceProblem.
    """
    definition, names = _definition(own, answer.service_def)
    notes: list[str] = []
    policies = []
    for number, policy in enumerate(answer.policies):
        id_ = first_id + (policy.id if policy.id is not None else number)
        placed = _placed(names, definition.resources[-1].name, policy)
        kept, remarks = _enforceable(placed.model_copy(update={"id": id_, "service": service}))
        policies.append(kept)
        notes.extend(remarks)
    if answer.tag_policies is not None and answer.tag_policies.policies:
        notes.append("its policies about tags are not obeyed: objects have no tags here")
    if len(notes) > _MOST_NOTES:
        notes = [*notes[:_MOST_NOTES], f"and {len(notes) - _MOST_NOTES} more"]
    return Fitted(answer.policy_version or 0, definition, tuple(policies), tuple(notes))


# -- underneath -------------------------------------------------------------------------------------------


async def _answer_to(address: Address, url: str, query: Mapping[str, str | int]) -> bytes | None:
    """The body of the response; None if nothing is newer. Raises SourceProblem, TimeoutError, httpx's errors."""
    auth = (address.user, address.password) if address.user and address.password else None
    # Follows no redirects, and uses no proxies or netrc of the environment: the credentials are for this address.
    async with (
        asyncio.timeout(WHOLE_SECONDS),
        httpx.AsyncClient(timeout=_TIMEOUT, auth=auth, trust_env=False) as client,
        client.stream("GET", url, params=query, headers={"Accept": "application/json"}) as answer,
    ):
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if answer.status_code != httpx.codes.OK:
            raise SourceProblem(_refusal(address, answer.status_code), action=_action(address))
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                raise SourceProblem(f"Ranger at {address.url} answers with more than {_MOST_BYTES >> 20} MiB")
        return bytes(body)


def _refusal(address: Address, status: int) -> str:
    words = {
        401: "does not accept the credentials",
        403: "does not let these credentials read the policies",
        404: f"has no service {address.service!r}",
    }
    return f"Ranger at {address.url} {words.get(status, f'answers with status {status}')}"


def _action(address: Address) -> str:
    return f"Try it: the address, the service {address.service!r}, the credentials; `registry-tui ranger source show`"


def _definition(own: ServiceDefinition, theirs: ServiceDefinition) -> tuple[ServiceDefinition, dict[str, str]]:
    """The own definition with the other's permissions, and the own names of the other's levels."""
    levels = sorted(theirs.resources, key=lambda level: level.level)
    if len(levels) != len(own.resources):
        here = ", ".join(level.name for level in own.resources)
        there = ", ".join(level.name for level in levels) or "none"
        raise SourceProblem(f"The outside service has the resources {there}; this environment needs {here}")
    names = {level.name: mine.name for level, mine in zip(levels, own.resources, strict=True)}
    known = {access.name for access in theirs.access_types}
    if not {READ, WRITE} <= known:
        there = ", ".join(sorted(known)) or "none"
        raise SourceProblem(f"The outside service has the permissions {there}; read and write are needed")
    added = {
        with_: [each for each, goes in _GOES_WITH.items() if goes == with_ and each not in known] for with_ in known
    }
    accesses = [
        access.model_copy(update={"implied_grants": [*access.implied_grants, *added[access.name]]})
        for access in theirs.access_types
    ]
    accesses += [AccessType(name=each, label=each.capitalize()) for each in _GOES_WITH if each not in known]
    # Implied permissions also bring along their added ones.
    accesses = [
        access.model_copy(update={"implied_grants": [*access.implied_grants, *_added_to(access.implied_grants, added)]})
        for access in accesses
    ]
    return own.model_copy(update={"access_types": accesses}), names


def _added_to(implied: Sequence[str], added: Mapping[str, Sequence[str]]) -> list[str]:
    return [each for name in implied for each in added.get(name, ()) if each not in implied]


def _placed(names: Mapping[str, str], path: str, policy: RangerPolicy) -> RangerPolicy:
    """A policy with the own names of its resources, and keys without a leading slash."""

    def renamed(resources: Mapping[str, PolicyResource]) -> dict[str, PolicyResource]:
        found = {names.get(name, name): values for name, values in resources.items()}
        if path in found:
            values = [value.removeprefix("/") or "*" for value in found[path].values]
            found[path] = found[path].model_copy(update={"values": values})
        return found

    return policy.model_copy(
        update={
            "resources": renamed(policy.resources),
            "additional_resources": [renamed(each) for each in policy.additional_resources],
        }
    )


def _require_readable_times(policy: RangerPolicy) -> None:
    # Java knows more time zone names, and later evaluation must not fail.
    try:
        for each in policy.validity_schedules:
            for text in filter(None, (each.start_time, each.end_time)):
                moment_of(text, each.time_zone)
    except ValueError as error:
        raise SourceProblem(
            f"Policy {policy.name!r} of the outside Ranger has a validity period that cannot be read: {error}",
            action="Name its time zone as the tz database does, such as Europe/Berlin",
        ) from error


def _enforceable(policy: RangerPolicy) -> tuple[RangerPolicy, list[str]]:
    """A policy that the object store can enforce, with notes on its restrictions. Raises SourceProblem."""
    called = f"policy {policy.name!r}"
    _require_readable_times(policy)
    notes = []
    sets = (policy.resources, *policy.additional_resources)
    if any(_UNENFORCEABLE.search(value) for each in sets for one in each.values() for value in one.values):
        notes.append(f"{called} has a value that the store cannot match: it allows nothing, and denies everywhere")
        everywhere = {
            name: PolicyResource(values=["*"], is_recursive=one.is_recursive) for name, one in sets[0].items()
        }
        policy = policy.model_copy(
            update={
                "resources": everywhere,
                "additional_resources": [],
                "policy_items": [],
                "allow_exceptions": [],
                "deny_exceptions": [],
            }
        )
    items = (*policy.policy_items, *policy.deny_policy_items, *policy.allow_exceptions, *policy.deny_exceptions)
    if policy.conditions or any(each.recurrences for each in policy.validity_schedules):
        notes.append(f"{called} has conditions or recurring periods that cannot be judged here: it allows nothing")
    elif any(item.conditions for item in items):
        notes.append(f"{called} has items with conditions that cannot be judged here: those allow nothing")
    denying = (*policy.deny_policy_items, *policy.allow_exceptions)
    unknown = sorted({name for item in denying for name in (*item.groups, *item.roles)} - {EVERYBODY})
    if unknown:
        notes.append(
            f"{called} denies to {', '.join(unknown[:5])}: here, only groups of this installation have members"
        )
    return policy, notes
