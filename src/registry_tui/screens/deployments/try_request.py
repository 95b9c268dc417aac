"""Trying a deployment: a request to edit and send, and its answer beside it."""

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
    from registry_tui.schemas.deployments import TestAnswer


class Request(TextArea):
    """The field for the request's body."""

    BINDINGS: ClassVar[list[BindingType]] = [UNDO]


class TryRequest(Horizontal):
    """The request on the left, or above; status, latency, replica and prediction beside it."""

    def __init__(self, deployment: str, typed: str) -> None:
        super().__init__()
        self._deployment, self._typed = deployment, typed
        self.answer: TestAnswer | None = None
        #: Since when an answer is waited for (`time.monotonic`).
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
        """Begins with the model's own example, unless something is typed. Raises RegistryError."""
        if self.request:
            self._tell_how("")
            return
        suggestion = await client.deployment_example(self._deployment)
        if not self.request:
            self.query_one("#request", TextArea).text = suggestion.example
        self._tell_how(suggestion.example_from)

    def _tell_how(self, example: str) -> None:
        words = f"ctrl+t sends   {example}".rstrip()
        self.query_one("#request-words", Static).update(Content.assemble((safe(words, 200), "$foreground-muted")))

    @property
    def waits(self) -> bool:
        """Whether a request was sent and has no answer yet."""
        return self._since is not None

    async def send(self, client: RegistryClient) -> None:
        """Sends what is typed, and shows what came back; only when no answer is waited for."""
        from registry_tui.client import RegistryError
        from registry_tui.schemas.deployments import TestRequest

        self._since = time.monotonic()
        self._words(("sending …", "$accent"))
        timer = self.set_interval(1.0, self._tell_waiting, name="sending")
        try:
            answer = await client.test_deployment(self._deployment, TestRequest(body=self.request))
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
    """JSON indented; other text as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
