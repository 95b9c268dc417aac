"""The logs of a deployment's replicas: followed live, filtered, saved; also of removed replicas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Log, Static

from registry_tui.widgets.awaited import Awaited
from registry_tui.wording.text import safe
from registry_tui.wording.words import absolute

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.deployments import ReplicaLogFile

#: Lines of the log in view that are kept.
MAX_LINES = 10_000
#: Lines in one request.
_AT_ONCE = 2000


class ReplicaLogs(Vertical):
    """One of the deployment's logs at a time. The screen calls `look` to poll."""

    def __init__(self, deployment: str) -> None:
        super().__init__()
        self._deployment = deployment
        self.files: list[ReplicaLogFile] = []
        self.shown = ""
        self.lines: list[str] = []
        self._offset: int | None = None

    def compose(self) -> Iterable[Widget]:
        with Horizontal(classes="bar"):
            yield Awaited(id="log-words")
            yield Input(placeholder="only lines with …", compact=True, id="match")
        yield Log(id="log", max_lines=MAX_LINES, highlight=False)

    async def look(self, client: RegistryClient) -> None:
        """Shows the new lines of the log in view; raises RegistryError."""
        from registry_tui.client import NotFound

        self.files = await client.replica_logs(self._deployment)
        if not self.files:
            self._say("No replica has written anything yet", "$foreground-muted")
            return
        if self.shown not in [file.name for file in self.files]:
            self.show(self.files[0].name)
        wanted, first = self.shown, self._offset is None
        try:
            found = await client.replica_log(self._deployment, wanted, offset=self._offset, lines=_AT_ONCE)
        except NotFound as error:
            self._say(error.message, "$warning")
            return
        if wanted != self.shown:
            return  # another was chosen meanwhile
        self._offset = found.next_offset
        self.lines += found.lines
        del self.lines[:-MAX_LINES]
        log = self.query_one("#log", Log)
        log.write_lines(self._matching(found.lines), scroll_end=first or log.is_vertical_scroll_end)
        self._say_which()

    def show(self, name: str) -> None:
        """Switches to a log, from its last lines on."""
        self.shown, self._offset, self.lines = name, None, []
        self.query_one("#log", Log).clear()
        self._say_which()

    def show_next(self) -> None:
        """Switches to the log after the one in view: those of serving replicas first, then of the ones before."""
        names = [file.name for file in self.files]
        if names:
            at = names.index(self.shown) if self.shown in names else -1
            self.show(names[(at + 1) % len(names)])

    def _say_which(self) -> None:
        names = [file.name for file in self.files]
        if self.shown not in names:
            return
        at = names.index(self.shown)
        file = self.files[at]
        how = "following" if file.serving else f"gone, {absolute(file.updated_at)}"
        others = f"  . next ({at + 1} of {len(names)})" if len(names) > 1 else ""
        self._say(f"replica {file.name}, v{file.version}, {how}{others}  w save", "$foreground-muted")

    def _say(self, text: str, style: str) -> None:
        self.query_one("#log-words", Static).update(Content.assemble((safe(text, 300), style)))

    def _matching(self, lines: Iterable[str]) -> list[str]:
        match = self.query_one("#match", Input).value
        return [safe(line, 2000) for line in lines if match in line]

    @on(Input.Changed, "#match")
    def _matched(self) -> None:
        log = self.query_one("#log", Log)
        log.clear()
        log.write_lines(self._matching(self.lines))

    @on(Input.Submitted, "#match")
    def _match_given(self) -> None:
        self.query_one("#log").focus()
