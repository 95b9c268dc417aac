"""Trying a deployment: a request to edit and send, and its response next to it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static, TextArea

from registry_tui.screens.base.form import UNDO
from registry_tui.widgets.awaited import Awaited
from registry_tui.wording.text import safe, safe_lines
from registry_tui.wording.words import milliseconds

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.deployments import SuggestedRequest, TestAnswer


class Request(TextArea):
    """The field for the request's body."""

    BINDINGS: ClassVar[list[BindingType]] = [UNDO]


class TryRequest(Horizontal):
    """The request on the left, or above; status, latency, replica and prediction next to it."""

    def __init__(self, deployment: str, typed: str) -> None:
        super().__init__()
        self._deployment, self._typed = deployment, typed
        #: A request for each protocol of the endpoint, which one is shown, and the typed text for each.
        self._known: list[SuggestedRequest] = []
        self._shown = 0
        self._drafts: dict[int, str] = {}
        self._example = ""
        self.answer: TestAnswer | None = None
        #: Since when a response has been awaited (`time.monotonic`).
        self._since: float | None = None

    def compose(self) -> Iterable[Widget]:
        with Vertical(id="request-side"):
            yield Awaited(id="request-words")
            yield Request(self._typed, id="request", language=None, soft_wrap=True, compact=True)
        with Vertical(id="answer-side"):
            yield Static("", id="answer-words", markup=False)
            with VerticalScroll(id="answer-scroll"):
                yield Static("", id="answer", markup=False)

    @property
    def request(self) -> str:
        """The typed request."""
        return self.query_one("#request", TextArea).text

    async def fill(self, client: RegistryClient) -> None:
        """Starts with the model's own example, unless something is typed. Raises RegistryError."""
        typed = self.request
        self._tell_how()
        suggestion = await client.deployment_example(self._deployment)
        self._known = suggestion.requests
        if not typed and not self.request:
            self._example = suggestion.example_from
            self.query_one("#request", TextArea).text = suggestion.example
        self._tell_how()

    @property
    def path(self) -> str:
        """The endpoint's path for the displayed request."""
        return self._known[self._shown].path if self._known else "/invocations"

    def other_protocol(self) -> str | None:
        """Shows the typed request for the next protocol of the endpoint; returns why there is none."""
        if len(self._known) < 2:
            return "the endpoint has an example for one protocol only"
        self._drafts[self._shown] = self.request
        self._shown = (self._shown + 1) % len(self._known)
        known = self._known[self._shown]
        self.query_one("#request", TextArea).text = self._drafts.get(self._shown, known.body)
        self._tell_how()
        return None

    def _tell_how(self) -> None:
        words = f"ctrl+t sends   {self._example}".rstrip()
        if len(self._known) > 1:
            words = f"{self.path.rpartition('/')[2]}   ctrl+o others   ctrl+t sends"
        self.query_one("#request-words", Static).update(Content.assemble((safe(words, 200), "$foreground-muted")))

    @property
    def waits(self) -> bool:
        """Whether a request was sent and has no response yet."""
        return self._since is not None

    async def send(self, client: RegistryClient) -> None:
        """Sends the typed request, and shows the response; call it only when no response is awaited."""
        from registry_tui.client import RegistryError
        from registry_tui.schemas.deployments import TestRequest

        self._since = time.monotonic()
        self._words(("sending …", "$accent"))
        timer = self.set_interval(1.0, self._tell_waiting, name="sending")
        try:
            answer = await client.test_deployment(self._deployment, TestRequest(body=self.request, path=self.path))
        except RegistryError as error:
            self._words((safe(error.message, 400), "$error"))
            self.query_one("#answer", Static).update(safe(error.action or "", 400))
            return
        finally:
            timer.stop()
            self._since = None
        self.answer = answer
        self._words(
            (f"{answer.status}", "bold $success" if answer.status == 200 else "bold $error"),
            (f"   {milliseconds(answer.seconds)}   replica {safe(answer.replica, 40)}", ""),
            ("\nc curl  C Python  T edit", "$foreground-muted"),
        )
        self.query_one("#answer", Static).update(safe_lines(_pretty(answer.body), 20_000))

    def _tell_waiting(self) -> None:
        if self._since is not None:
            self._words((f"sending … {time.monotonic() - self._since:.0f} s", "$accent"))

    def _words(self, *parts: tuple[str, str]) -> None:
        self.query_one("#answer-words", Static).update(Content.assemble(*parts))


def _pretty(body: str) -> str:
    """JSON indented; other text unchanged."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
