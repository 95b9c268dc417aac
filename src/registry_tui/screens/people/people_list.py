"""The base of the lists about users: each shows in place of its rows why they may not be seen."""

from __future__ import annotations

from typing import Any

from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.widgets.virtual_table import Empty


class PeopleList(ListScreen):
    """Below Environments in the navigation."""

    SECTION = "environments"
    #: Actions that need no selected row.
    OF_PAGE: frozenset[str] = frozenset()

    async def start(self) -> None:
        self.table.say(None)
        await super().start()

    def list_failed(self, error: Exception) -> None:
        from registry_tui.client import Refused
        from registry_tui.client.errors import NotSignedIn

        if isinstance(error, Refused) and not isinstance(error, NotSignedIn):
            self.table.say(Empty(error.message, (error.action,) if error.action else ()))
        else:
            super().list_failed(error)

    def why_not(self, action: str) -> str | None:
        return self.page_why_not(action) if action in self.OF_PAGE else super().why_not(action)

    def page_why_not(self, action: str) -> str | None:
        """Why an action on the page's object is not possible, or None."""
        return None

    def key_of(self, row: Any) -> str:
        return str(row.name)

    def saved(self, words: str | None) -> None:
        """A form ended; with words if something was changed."""
        if words is not None:
            self.flash(words)
            self.refresh_data()
