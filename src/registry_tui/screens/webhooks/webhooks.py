"""Webhooks: addresses that get signed messages about events of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.webhooks import WEBHOOKS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.webhooks import webhook_state
from registry_tui.wording.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.models import RegisteredModel
    from registry_tui.schemas.webhooks import Webhook, WebhookDelivery, WebhookSecret


class WebhooksScreen(ListScreen):
    """Those of the environments that the user administers, and their own; or those that are notified about a model."""

    SECTION = "environments"
    #: Whose webhooks are shown; None for those of environments.
    model: RegisteredModel | None = None
    ACTIONS = WEBHOOKS
    CONCERNS = frozenset({"webhook"})
    BINDINGS = bindings(WEBHOOKS)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, max_width=40),
        Column("state", "State", webhook_state, 0, min_width=9),
        Column("url", "Address", lambda row: row.url, 1, max_width=60, keeps_end=True),
        Column("events", "Events", lambda row: ", ".join(row.events), 2, max_width=40),
        Column("environment", "Environment", lambda row: row.environment_name, 3, max_width=30),
        Column("about", "Only", lambda row: row.model or "", 5, max_width=30),
        Column("reason", "Why", lambda row: Cell(row.reason, "warn"), 4, max_width=60),
        Column("creator", "Creator", lambda row: row.creator, 6),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 7),
    )
    EMPTY = Empty(
        "No webhooks",
        ("n makes one: it gets signed messages about events.", "In a script: registry-tui webhooks create NAME URL"),
        action="create",
    )

    def crumbs(self) -> tuple[Crumb, ...]:
        registry, model = self.place.args.get("registry"), self.place.args.get("model")
        if registry is not None and model is not None:
            of_it = {"registry": registry, "model": model}
            models = Place("models", {"registry": registry})
            return (("Registered Models", models), (model, Place("model", of_it)), ("Webhooks", None))
        return (("Environments", Place("environments")), ("Webhooks", None))

    @property
    def section(self) -> str:
        return self.SECTION if "model" not in self.place.args else "models"

    async def prepare(self) -> None:
        registry, model = self.place.args.get("registry"), self.place.args.get("model")
        if registry is not None and model is not None:
            self.model = await self.client.model(registry, model)

    def concerned(self, action: str) -> object | None:
        """Owners of a model make webhooks for it."""
        return self.model if action == "create" else super().concerned(action)

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, args = self.client, self.place.args
        about = {name: args.get(name) for name in ("environment", "registry", "model")}

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.webhooks(**about, page_token=token)

        return fetch

    def key_of(self, row: Webhook) -> str:
        return row.id

    def copied(self, row: Webhook) -> str:
        return row.url

    def open_row(self, row: Webhook) -> None:
        self.program.open(Place("webhook", {"webhook": row.id}))

    # -- actions ------------------------------------------------------------------------------------

    def do_create(self) -> None:
        self.opening(self._create(), "form")

    async def _create(self) -> None:
        from registry_tui.screens.webhooks.webhook_forms import CreateWebhook

        if (registry := self.place.args.get("registry")) is not None:
            found = await self.client.registry(registry)
            form = CreateWebhook([found.environment_name], found.name, self.place.args.get("model", ""))
            self.app.push_screen(form, self._made)
            return
        names = [each.name for each in (await self.client.environments(page_size=1000)).items]
        if not names:
            self.flash("create: not now, there is no environment", "$warning")
            return
        self.app.push_screen(CreateWebhook(names), self._made)

    def _made(self, made: WebhookSecret | None) -> None:
        from registry_tui.screens.webhooks.webhook_forms import show_secret

        if made is not None:
            self.refresh_data()
            show_secret(self.app, made)

    def do_edit(self) -> None:
        from registry_tui.screens.webhooks.webhook_forms import ChangeWebhook

        self.app.push_screen(ChangeWebhook(self.current), self._changed)

    def _changed(self, changed: Webhook | None) -> None:
        if changed is not None:
            self.flash(f"{changed.name} is changed")
            self.refresh_data()

    def do_enable(self) -> None:
        row: Webhook = self.current
        client, paused = self.client, row.state.value == "paused"
        send = client.resume_webhook if paused else client.pause_webhook
        words = "goes on, waiting messages first" if paused else "pauses; messages wait meanwhile"
        self.change(
            f"{row.name}: {'go on' if paused else 'pause'}", lambda: send(row.id), lambda _: self._done(row, words)
        )

    def do_send_test(self) -> None:
        row: Webhook = self.current
        client = self.client

        def sent(_: WebhookDelivery) -> None:
            self._done(row, "a test is sent; enter shows what becomes of it")

        self.change(f"{row.name}: test", lambda: client.test_webhook(row.id), sent)

    def do_rotate(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        row: Webhook = self.current
        client = self.client
        lines = (
            f"Messages to {row.url} are signed with a new secret, which is shown once.",
            "For a day they are signed with the secret of now, too.",
        )

        def answered(ok: bool | None) -> None:
            if ok:
                self.change(f"{row.name}: new secret", lambda: client.rotate_webhook_secret(row.id), self._made)

        about = reference("webhook-secret", row.id)
        question = Confirm(f"New secret of {row.name}", lines, "New secret", danger=True, about=about)
        self.app.push_screen(question, answered)

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        row: Webhook = self.current
        client = self.client
        lines = (f"{row.url} gets no message any more.", "Its deliveries are forgotten.")

        def answered(ok: bool | None) -> None:
            if ok:
                send = lambda: client.delete_webhook(row.id)  # noqa: E731
                self.change(f"{row.name}: delete", send, lambda _: self._done(row, "is deleted"))

        about = reference("webhook", row.id)
        self.app.push_screen(Confirm(f"Delete {row.name}", lines, "Delete", danger=True, about=about), answered)

    def _done(self, row: Webhook, words: str) -> None:
        self.flash(f"{row.name}: {words}")
        self.refresh_data()
