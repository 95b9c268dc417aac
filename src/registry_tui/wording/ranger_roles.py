"""The members of Ranger's roles, in words; adding and removing them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from registry_tui.schemas.ranger import RoleMember


def members(there: Iterable[RoleMember]) -> list[str]:
    """Names of members, with those who may grant the role marked."""
    return [f"{each.name} (admin)" if each.is_admin else each.name for each in there]


def with_members(there: Sequence[RoleMember], names: Iterable[str]) -> list[RoleMember]:
    """Members, plus those with these names who are not members yet."""
    known = {each.name for each in there}
    return [*there, *(RoleMember(name=name) for name in dict.fromkeys(names) if name not in known)]


def without_members(there: Iterable[RoleMember], names: Sequence[str]) -> list[RoleMember]:
    """Members without those of these names; a machine user also by the last part of its name."""
    return [each for each in there if each.name not in names and each.name.rpartition("_")[2] not in names]
