"""Ranger's roles without a platform: who has one, and what the object store obeys."""

from __future__ import annotations

from registry_tui.schemas.ranger import RangerRole, RoleMember
from registry_tui.service.ranger.evaluator import roles_of


def test_a_disabled_role_gives_nothing_neither_by_itself_nor_by_another_role() -> None:
    def roles(enabled: bool) -> list[RangerRole]:
        inner = RangerRole(name="inner", is_enabled=enabled, users=[RoleMember(name="ana")])
        return [inner, RangerRole(name="outer", roles=[RoleMember(name="inner")])]

    assert roles_of("ana", (), roles(True)) == {"inner", "outer"}
    assert roles_of("ana", (), roles(False)) == frozenset()
