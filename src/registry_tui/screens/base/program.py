"""The protocol of the program for its screens. `app.RegistryApp` provides it; screens import only this protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from registry_tui.terminal.commands import Place
from registry_tui.terminal.memory import Memory
from registry_tui.terminal.preferences import Preferences

if TYPE_CHECKING:
    # Pydantic and httpx take longer to import than the first paint does.
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.people import User


class Owner(Protocol):
    """The screen or dialog that sends a change."""

    @property
    def is_attached(self) -> bool: ...

    def failed(self, error: Exception) -> None:
        """Shows an error."""


class Frame(Protocol):
    """The place in view, as dialogs see it."""

    def flash(self, text: str, style: str = "$accent") -> None:
        """Shows a short message in the status line."""

    def refresh_soon(self) -> None:
        """Reloads from the service in a moment."""


class Program(Protocol):
    """The running program: client, settings, memory, history, messages."""

    preferences: Preferences
    memory: Memory
    #: Whether the service responded the last time.
    answering: bool

    @property
    def connecting(self) -> bool:
        """Whether it is unknown so far whether the service responds."""

    @property
    def client(self) -> RegistryClient:
        """The service's client. Raises RuntimeError before it is connected."""

    @property
    def frame(self) -> Frame:
        """The place in view, below any dialog."""

    # -- places -------------------------------------------------------------------------------------

    def open(self, place: Place) -> None:
        """Drills into a place; esc comes back from it."""

    def jump(self, place: Place) -> None:
        """Goes to another place; esc goes up from there."""

    def back(self) -> None:
        """Goes to where the place was opened from, else one up."""

    def step_history(self, by: int) -> None:
        """Moves through the visited places."""

    def missing(self, place: Place, error: Exception) -> None:
        """Leaves a place that does not exist, and shows why."""

    def show_early(self) -> None:
        """Shows the first page if it was requested before the client existed."""

    # -- commands and keys --------------------------------------------------------------------------

    @property
    def commands_given(self) -> list[str]:
        """Commands given before, the last one first."""

    def remember_command(self, text: str) -> None:
        """Keeps a command that was given."""

    def obey(self, text: str) -> None:
        """Runs a command."""

    def hold_keys(self) -> None:
        """Queues the typed keys until the next screen is shown, which gets them."""

    def opening(self, begins: bool) -> None:
        """Marks the begin or the end of a request after which a screen opens: keys are queued in between."""

    def show_help(self) -> None:
        """Shows every action of the place in view."""

    def show_code(self) -> None:
        """Shows the texts that can be copied as code at the place in view."""

    def show_command_box(self) -> None:
        """Shows the box that finds commands, pages, actions and objects by name."""

    def show_actions_menu(self) -> None:
        """Shows the actions on the selection or the place in view."""

    # -- the service --------------------------------------------------------------------------------

    @property
    def who(self) -> str:
        """The acting user."""

    @property
    def me(self) -> User | None:
        """The signed-in user, with roles; None while unknown."""

    def look_at_me(self) -> None:
        """Requests the roles of the signed-in user again."""

    @property
    def running(self) -> int:
        """How many workflows run now."""

    @property
    def approvals_waiting(self) -> int:
        """How many approvals wait for the decision of the signed-in user."""

    def count_approvals(self) -> None:
        """Counts the approvals that wait for the user again."""

    def parts_shown(self) -> tuple[tuple[str, str, str], ...]:
        """(part, style, words) for the status line."""

    def look_now(self) -> None:
        """Checks the platform's health now."""

    def send_change(
        self, words: str, owner: Owner, send: Callable[[], Awaitable[Any]], then: Callable[[Any], None]
    ) -> None:
        """Sends a change once; `then` gets the response while the owner is shown."""

    # -- messages -----------------------------------------------------------------------------------

    def report(self, error: Exception) -> None:
        """Shows an error, and how to fix it."""

    def copy_text(self, text: str, tell: Callable[[str], None] | None = None) -> None:
        """Copies to the terminal's clipboard, and shows a message; with `tell` only that gets the message."""

    def paint_anew(self) -> None:
        """Sends the whole screen again."""
