"""The external Ranger Admin whose policies apply in an environment: its form, and the actions on one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.screens.base.dialogs import MenuItem
from registry_tui.screens.base.form import Form, row
from registry_tui.wording.policies import source_lines
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.ranger import RangerService, RangerSource

#: Seconds between polls: the default, the least and the most.
_EVERY, _LEAST, _MOST = 30.0, 1.0, 3600.0


def choices(source: RangerSource) -> list[MenuItem]:
    """The actions where an external Ranger is in use."""
    return [
        MenuItem("change", "Change it", None, "another address, other credentials"),
        MenuItem("show", "Show how it stands", None, "when it was asked, and what cannot be obeyed here"),
        MenuItem("own", "Bring back own policies", None, f"without Ranger at {source.url}"),
    ]


def as_text(source: RangerSource) -> str:
    """An external Ranger in full, for reading."""
    differs = ["What cannot be obeyed here as it is meant there:", *(f"- {each}" for each in source.notes)]
    same = ["Everything can be obeyed here as it is meant there."]
    return "\n".join([*source_lines(source), "", *(differs if source.notes else same)])


class SourceForm(Form["RangerService"]):
    """Makes an environment use a service of an external Ranger, whose policies are fetched and enforced first."""

    OK = "Fetch"
    WORK = "Fetching the policies"

    def __init__(self, service: RangerService) -> None:
        super().__init__()
        self.service, self.source = service, service.source

    @property
    def environment(self) -> str:
        """The name of the environment."""
        return self.service.configs.get("environment", "")

    def title_text(self) -> str:
        return f"Policies of {self.environment} from another Ranger"

    def compose_fields(self) -> Iterable[Widget]:
        now = self.source
        address = "https://ranger.example.com:6182"
        yield row("Ranger Admin", Input(now.url if now else "", compact=True, id="url", placeholder=address))
        there = now.service if now else self.service.display_name or ""
        yield row("Service there", Input(there, compact=True, id="service", placeholder="cm_s3"))
        user = (now.user if now else None) or ""
        yield row("User", Input(user, compact=True, id="user", placeholder="empty: asked without credentials"))
        kept = "empty: as before" if user else "never shown again"
        yield row("Password", Input(compact=True, id="password", password=True, placeholder=kept))
        every = now.every if now else _EVERY
        yield row("Asked every", Input(f"{every:g}", compact=True, id="every", placeholder="seconds"))
        yield Static(self._hint(), classes="hint", markup=False)

    def _hint(self) -> str:
        if self.source is not None:
            return "\n".join(safe(each, 300) for each in source_lines(self.source))
        return (
            "Its policies are enforced here as they are there, and cannot be changed here. "
            "While it does not answer, the last ones count. Own policies are kept, and can be brought back."
        )

    def on_mount(self) -> None:
        self.query_one("#url").focus()

    def _entered(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()

    @property
    def _password(self) -> str:
        # Spaces may belong to it.
        return self.query_one("#password", Input).value

    @property
    def _every(self) -> float | None:
        try:
            seconds = float(self._entered("every"))
        except ValueError:
            return None
        return seconds if _LEAST <= seconds <= _MOST else None

    @property
    def _keeps_password(self) -> bool:
        """Whether the password given before is still valid for the current input."""
        now = self.source
        return now is not None and (now.url, now.user) == (self._entered("url"), self._entered("user"))

    def problem_of(self) -> str | None:
        if not self._entered("url"):
            return "type the address of Ranger Admin"
        if not self._entered("service"):
            return "type the name of the service there"
        if self._entered("user") and not self._password and not self._keeps_password:
            return "type the user's password"
        if self._password and not self._entered("user"):
            return "type whose password this is"
        return None if self._every is not None else f"type {_LEAST:g} to {_MOST:g} seconds"

    async def send(self) -> RangerService:
        from registry_tui.schemas.ranger import RangerSourceChange

        change = RangerSourceChange(
            url=self._entered("url"),
            service=self._entered("service"),
            user=self._entered("user") or None,
            password=self._password or None,
            every=self._every or _EVERY,
        )
        return await self.program.client.set_ranger_source(self.environment, change)
