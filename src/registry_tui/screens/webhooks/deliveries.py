"""A webhook: its sent and queued deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content
from textual.widget import Widget

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.screens.base.tones import styled
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.webhooks import WEBHOOK
from registry_tui.terminal.commands import Place
from registry_tui.widgets.facts import AwaitedFacts, facts
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.text import safe
from registry_tui.wording.webhooks import delivery_lines, delivery_state, last_attempt, webhook_state
from registry_tui.wording.words import Cell, absolute, ago, both

if TYPE_CHECKING:
    from registry_tui.schemas.webhooks import Webhook, WebhookDelivery

_STATES = tuple((state, state) for state in ("pending", "delivered", "failed", "skipped"))


class WebhookScreen(ListScreen):
    """The deliveries of a webhook, the newest first."""

    SECTION = "environments"
    ACTIONS = WEBHOOK
    CONCERNS = frozenset({"webhook"})
    BINDINGS = bindings(WEBHOOK)
    CSS_PATH = "../../styles/webhooks/webhook.tcss"
    FILTERS = (Filter("state", "state", _STATES),)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("state", "State", delivery_state, 0, min_width=11),
        Column("type", "Event", lambda row: row.type, 0, max_width=40),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 1),
        Column("attempts", "Attempts", lambda row: str(row.attempt_count), 2, right=True),
        Column("last", "Answer", last_attempt, 1, max_width=60),
        Column("next", "Next", lambda row: absolute(row.next_at) if row.next_at else "", 3),
        Column("id", "ID", lambda row: Cell(row.id, "dim"), 4),
    )
    EMPTY = Empty("Nothing was sent yet", ("T sends a test message.",), "send_test")

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.webhook: Webhook | None = None

    def compose_content(self) -> Iterable[Widget]:
        yield AwaitedFacts(id="facts")
        yield from super().compose_content()

    def crumbs(self) -> tuple[Crumb, ...]:
        webhook = self.webhook
        if webhook is not None and webhook.model is not None and webhook.registry_id is not None:
            of_it = {"registry": webhook.registry_id, "model": webhook.model}
            models = Place("models", {"registry": webhook.registry_id})
            above = (("Registered Models", models), (webhook.model, Place("model", of_it)))
            return (*above, ("Webhooks", Place("webhooks", of_it)), (webhook.name, None))
        name = self.place.args["webhook"] if webhook is None else webhook.name
        return (("Environments", Place("environments")), ("Webhooks", Place("webhooks")), (name, None))

    @property
    def section(self) -> str:
        return self.SECTION if self.webhook is None or self.webhook.model is None else "models"

    async def prepare(self) -> None:
        self.webhook = webhook = await self.client.webhook(self.place.args["webhook"])
        self.query_one("#facts", AwaitedFacts).show(lambda room: _facts(webhook, room))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        from registry_tui.schemas.webhooks import DeliveryState

        client, webhook, state = self.client, self.place.args["webhook"], filters.get("state")
        wanted = DeliveryState(state) if state else None

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.webhook_deliveries(webhook, state=wanted, page_token=token)

        return fetch

    def key_of(self, row: WebhookDelivery) -> str:
        return row.id

    def named(self, row: WebhookDelivery) -> str:
        return f"{row.type} {row.id}"

    def copied(self, row: WebhookDelivery) -> str:
        return row.id

    def why_not(self, action: str) -> str | None:
        if action == "send_test":
            return None if self.webhook is not None else "the webhook is not known yet"
        return super().why_not(action)

    def row_why_not(self, action: str, row: WebhookDelivery | None) -> str | None:
        if action == "replay" and row is not None and row.state.value == "pending":
            return "it is sent anyway"
        return None

    def open_row(self, row: WebhookDelivery) -> None:
        from registry_tui.screens.base.viewer import View

        note = "\n".join(safe(line, 300) for line in delivery_lines(row))
        self.app.push_screen(View(row.type, json.dumps(row.payload, indent=2), note=note))

    def do_replay(self) -> None:
        from registry_tui.schemas.webhooks import WebhookReplay

        row: WebhookDelivery = self.current
        client, webhook = self.client, self.place.args["webhook"]
        request = WebhookReplay(delivery=row.id)
        send = lambda: client.replay_webhook(webhook, request)  # noqa: E731
        self.change(f"{row.type} {row.id[:12]}: replay", send, lambda _: self._done(f"{row.type} is sent again"))

    def do_send_test(self) -> None:
        client, webhook = self.client, self.place.args["webhook"]
        name = "" if self.webhook is None else self.webhook.name
        self.change(f"{name}: test", lambda: client.test_webhook(webhook), lambda _: self._done("a test is sent"))

    def _done(self, words: str) -> None:
        self.flash(words)
        self.refresh_data()


def _facts(webhook: Webhook, room: int) -> Content:
    known = [
        ("Address", webhook.url),
        ("Events", ", ".join(webhook.events)),
        ("Environment", webhook.environment_name),
        ("Model", webhook.model or ""),
        ("Why", webhook.reason),
        ("Failing", f"{webhook.failures} times since {both(webhook.failing_since)}" if webhook.failures else ""),
        ("Old secret", f"good until {absolute(webhook.old_secret_until)}" if webhook.old_secret_until else ""),
    ]
    parts = [(f"{safe(webhook.name, 64)}  ", "bold"), styled(webhook_state(webhook)), ("\n", "")]
    parts += facts(known, 12, room)
    *listed, (last, style) = parts
    return Content.assemble(*listed, (last.rstrip("\n"), style))
