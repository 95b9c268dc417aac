"""`:contexts`: the program ends its work with one service, and starts again with another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App

from registry_tui.platform import contexts
from registry_tui.platform.contexts import LOCAL, Context
from registry_tui.platform.errors import PlatformError

if TYPE_CHECKING:
    from registry_tui.screens.base.frame import FrameScreen


class Switching(App[None]):
    """The part of the program that knows the services that the user has signed in to."""

    #: The remote service that it works with; None for this machine's.
    context: Context | None = None
    #: The context to start again in, once this program has ended; empty: none.
    next_context = ""

    @property
    def frame(self) -> FrameScreen:
        """The place in view, below any dialog."""
        raise NotImplementedError

    @property
    def context_name(self) -> str:
        """The context's name, also this machine's own."""
        return LOCAL if self.context is None else self.context.name

    def choose_context(self, name: str) -> None:
        """Switches to the context of this name; without one, lists them all."""
        # Imported with the first menu, not before the first paint.
        from registry_tui.screens.base.dialogs import Menu, MenuItem

        try:
            known = contexts.load()
        except PlatformError as error:
            self.frame.flash(f"{error.message}. {error.action}", "$error")
            return
        if name:
            self._switch(name, known)
            return
        items = [MenuItem(LOCAL, LOCAL, note="this machine's platform")]
        for each in known.known.values():
            out = None if each.token else f"signed out; {each.login}"
            items.append(MenuItem(each.name, each.name, out, f"{each.user} at {each.url}"))

        def chosen(choice: str | None) -> None:
            if choice is not None:
                self._switch(choice, known)

        self.push_screen(Menu("Contexts", items, self.context_name), chosen)

    def _switch(self, name: str, known: contexts.Contexts) -> None:
        try:
            found = known.named(name)
        except PlatformError as error:
            self.frame.flash(error.message, "$warning")
            return
        if found is not None and not found.token:
            self.frame.flash(f"You are signed out of {name}: {found.login}", "$warning")
        elif name == self.context_name:
            self.frame.flash(f"This is {name} already")
        else:
            self.next_context = name
            self.exit()
