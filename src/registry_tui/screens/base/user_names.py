"""The names of users, for fields that take a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry_tui.screens.base.name_field import Choice, Find, once

if TYPE_CHECKING:
    from registry_tui.screens.base.dialogs import Dialog

MOST_USERS = 1000


def every_user(form: Dialog[Any]) -> Find:
    """All known users, requested when the field is first used."""

    async def ask() -> Sequence[Choice]:
        return [Choice(user.name) for user in (await form.program.client.users(page_size=MOST_USERS)).items]

    return once(ask)


def everybody_but(form: Dialog[Any], name: str) -> Find:
    """All known users except one."""
    find = every_user(form)

    async def others(typed: str) -> Sequence[Choice]:
        return [each for each in await find(typed) if each.name != name]

    return others
