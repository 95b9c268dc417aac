"""The table of permissions itself: the documented roles, and the page that is made from it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from registry_tui.contracts.permissions import RULES, Action, Holder
from registry_tui.contracts.permitted_operations import FOR_NOBODY, OPERATIONS
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal
from registry_tui.service.http import routes

ROOT = Path(__file__).parents[2]
H = Holder


def test_every_route_of_the_api_has_a_row() -> None:
    described = [*routes.routers(), *routes.routers(routes.FOREIGN)]
    names = {
        route.name  # type: ignore[attr-defined]
        for router in described
        for route in router.routes
        if route.include_in_schema  # type: ignore[attr-defined]
    }
    assert names - set(OPERATIONS) - FOR_NOBODY == set(), "put these operations into contracts/permitted_operations.py"
    assert set(OPERATIONS) - names == set(), "these operations are gone"


def test_every_action_has_one_rule() -> None:
    assert set(RULES) == set(Action) and all(rule.action is action for action, rule in RULES.items())


def test_a_refusal_joins_what_is_not_permitted_by_or() -> None:
    """“You may not see and change it” would permit one of both."""
    assert [rule.to_do for rule in RULES.values() if " and " in rule.to_do] == []


def test_the_service_decides_by_every_row() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/registry_tui/service").rglob("*.py"))
    unused = [action.name for action in Action if f"Action.{action.name}" not in code]
    assert unused == [], "nothing asks for these rows of the table"


def test_whoever_may_do_something_with_their_own_only_is_not_the_administrator() -> None:
    bob = Principal("bob", "crn:bob", "request")
    for action in (Action.EVENTS, Action.WORKFLOWS, Action.KEYS, Action.TOKENS, Action.USERS_CHANGE):
        assert permissions.own_only(bob, action)
        assert not permissions.own_only(replace(bob, administrator=True), action)
    assert not permissions.own_only(bob, Action.USERS_SEE)


@pytest.mark.parametrize(
    ("action", "held", "allowed"),
    [
        (Action.REGISTRY_CREATE, {H.ENVIRONMENT_ADMIN, H.ML_ADMIN}, True),
        (Action.REGISTRY_CREATE, {H.ML_ADMIN}, False),
        (Action.REGISTRY_CREATE, {H.ENVIRONMENT_ADMIN}, False),
        (Action.REGISTRY_DELETE, {H.ML_ADMIN}, True),
        (Action.REGISTRY_GRANT, {H.ML_ADMIN}, True),
        (Action.REGISTRY_GRANT, {H.ENVIRONMENT_ADMIN, H.ML_USER}, False),
        (Action.MODEL_READ, {H.ENVIRONMENT_USER, H.ML_USER}, True),
        (Action.MODEL_READ, {H.ENVIRONMENT_USER, H.ML_ADMIN}, True),
        (Action.MODEL_READ, {H.ENVIRONMENT_USER}, False),
        (Action.MODEL_READ, {H.ML_USER}, False),
        (Action.MODEL_READ, {H.COLLABORATOR}, True),
        (Action.ENVIRONMENT_SEE, set(), False),
        (Action.ENVIRONMENT_SEE, {H.ML_ADMIN}, True),
        (Action.PROJECT_DELETE, {H.OWNER}, True),
        (Action.PROJECT_DELETE, {H.CONTRIBUTOR}, False),
        (Action.TRACKING_READ, {H.OWNER}, True),
        (Action.ENVIRONMENT_CREATE, set(H), False),
    ],
)
def test_the_documented_roles_may_do_what_is_documented(action: Action, held: set[Holder], allowed: bool) -> None:
    assert RULES[action].allows(held) is allowed


def test_the_page_about_webhooks_is_made_from_the_code() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs/webhooks.py"], capture_output=True, text=True, check=True, timeout=300
    )
    assert made.stdout == (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")


def test_the_page_about_permissions_is_made_from_the_table() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs/permissions.py"], capture_output=True, text=True, check=True, timeout=300
    )
    assert made.stdout == (ROOT / "docs/permissions.md").read_text(encoding="utf-8")
