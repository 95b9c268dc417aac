"""Forms that create and change webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import App
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.contracts.webhook_events import offered
from registry_tui.screens.base.form import Form, Result, row
from registry_tui.screens.base.names import name_problem

if TYPE_CHECKING:
    from registry_tui.schemas.webhooks import Webhook, WebhookSecret

_EVENTS = "*, version.ready, deployment.* …"


def _hint(typed: str) -> str:
    return " ".join(offered(typed))


def show_secret(app: App[Any], made: WebhookSecret) -> None:
    """Shows a webhook's new secret, which is visible only once."""
    from registry_tui.screens.base.viewer import View

    note = (
        f"The secret of the webhook {made.webhook.name}, with which its messages are signed. "
        "It is shown only now: copy it with c and keep it somewhere safe."
    )
    app.push_screen(View("Secret of the webhook", made.secret, note=note))


class _WebhookForm(Form[Result]):
    """The rows common to creating and changing."""

    def address_rows(self, url: str = "", events: Sequence[str] = ("*",)) -> Iterable[Widget]:
        yield row("Address", Input(url, compact=True, id="url", placeholder="https://hooks.example.com/registry"))
        given = ", ".join(events)
        yield row("Events", Input(given, compact=True, id="events", placeholder=_EVENTS))
        yield Static(_hint(given), id="offered", classes="hint", markup=False)

    @on(Input.Changed, "#events")
    def _offer(self, event: Input.Changed) -> None:
        self.query_one("#offered", Static).update(_hint(event.value))

    def typed(self, name: str) -> str:
        """The text in a field."""
        return self.query_one(f"#{name}", Input).value.strip()

    @property
    def events(self) -> list[str]:
        """The typed patterns."""
        return [part.strip() for part in self.typed("events").split(",") if part.strip()]

    def problem_of(self) -> str | None:
        if not self.typed("url"):
            return "type an address"
        return None if self.events else "type events: * for all"


class CreateWebhook(_WebhookForm["WebhookSecret"]):
    """Creates a webhook; its secret is shown once."""

    TITLE_TEXT = "Create webhook"
    AFTERWARDS = "the secret is shown when it is there"

    def __init__(self, environments: Sequence[str], registry: str = "", model: str = "") -> None:
        super().__init__()
        self.environments, self.registry, self.model = environments, registry, model

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Name", Input(compact=True, id="name", placeholder="lowercase letters, digits, hyphens"))
        choices = [(name, name) for name in self.environments]
        yield row(
            "Environment",
            Select(choices, value=self.environments[0], allow_blank=False, compact=True, id="environment"),
        )
        yield from self.address_rows()
        yield row(
            "Registry", Input(self.registry, compact=True, id="registry", placeholder="only of this Model Registry")
        )
        of_model = "only of this model; its owner names it here"
        yield row("Model", Input(self.model, compact=True, id="model", placeholder=of_model))
        hint = "Hosts are permitted by the setting webhook_hosts"
        yield Static(hint, classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#name").focus()

    def problem_of(self) -> str | None:
        return name_problem(self.typed("name")) or super().problem_of()

    async def send(self) -> WebhookSecret:
        from registry_tui.schemas.webhooks import WebhookCreate

        request = WebhookCreate(
            name=self.typed("name"),
            environment=str(self.query_one("#environment", Select).value),
            url=self.typed("url"),
            events=self.events,
            registry=self.typed("registry") or None,
            model=self.typed("model") or None,
        )
        return await self.program.client.create_webhook(request)

    def answered_late(self, result: WebhookSecret) -> None:
        """The secret is shown anyway: it cannot be seen later."""
        show_secret(self.app, result)


class ChangeWebhook(_WebhookForm["Webhook"]):
    """Changes the address or the events."""

    OK = "Change"

    def __init__(self, webhook: Webhook) -> None:
        super().__init__()
        self.webhook = webhook

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Change {self.webhook.name}"

    def compose_fields(self) -> Iterable[Widget]:
        yield from self.address_rows(self.webhook.url, self.webhook.events)

    def on_mount(self) -> None:
        self.query_one("#url").focus()

    async def send(self) -> Webhook:
        from registry_tui.schemas.webhooks import WebhookChange

        url, events = self.typed("url"), self.events
        request = WebhookChange(
            url=None if url == self.webhook.url else url, events=None if events == self.webhook.events else events
        )
        return await self.program.client.change_webhook(self.webhook.id, request)
