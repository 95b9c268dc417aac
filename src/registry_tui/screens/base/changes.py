"""Changes that a screen sends to the service: each is sent once, continues when its screen is left, and reports its
end."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import App

from registry_tui.screens.base.program import Frame, Owner

if TYPE_CHECKING:
    from registry_tui.client import Intent

#: Seconds between checks of how long a response has taken so far.
EVERY = 1.0
#: The message about a request that may have been carried out although no response came.
SAFE_AGAIN = "Trying again is safe: what was carried out is not done twice."


class Changes(App[None]):
    """The part of the program that sends changes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: When each change that has no response yet was sent (`time.monotonic`), by its words.
        self._sent: dict[str, float] = {}
        #: Changes without a response that may have been carried out, by their words: a retry is the same intent.
        self._unanswered: dict[str, Intent] = {}

    def send_change(
        self, words: str, owner: Owner, send: Callable[[], Awaitable[Any]], then: Callable[[Any], None]
    ) -> None:
        """Sends a change, unless one with the same words is in flight; `then` gets the response while the owner is
        there. `words` name the change for people: "wine-api: stop"."""
        if (since := self._sent.get(words)) is not None:
            self.frame.flash(f"{words}: sent {time.monotonic() - since:.0f} s ago, waiting for the answer", "$warning")
            return
        self._sent[words] = time.monotonic()
        self.run_worker(self._change(words, owner, send, then), group="changes", exit_on_error=False)

    async def _change(
        self, words: str, owner: Owner, send: Callable[[], Awaitable[Any]], then: Callable[[Any], None]
    ) -> None:
        from registry_tui.client import Intent, may_be_done

        intent = self._unanswered.pop(words, None) or Intent()
        timer = self.set_interval(EVERY, partial(self._tell_sending, words), name="sending")
        try:
            with intent:
                answer = await send()
        except Exception as error:
            if may_be_done(error):
                self._unanswered[words] = intent
                self.doubtful(words, error)
            elif owner.is_attached:
                owner.failed(error)
            else:
                self.report(error)
            return
        finally:
            timer.stop()
            del self._sent[words]
        if owner.is_attached:
            then(answer)
        else:
            self.notify(f"{words}: done", markup=False)

    def _tell_sending(self, words: str) -> None:
        if (since := self._sent.get(words)) is not None:
            waited = f"{time.monotonic() - since:.0f} s"
            self.frame.flash(f"{words}: sending … {waited}; esc leaves, it goes on all the same")

    def doubtful(self, words: str, error: Exception) -> None:
        """Shows that it is unknown whether a change was carried out."""
        from registry_tui.wording.text import safe

        text = f"{words}: {error}\nIt may have been carried out. {SAFE_AGAIN}"
        self.notify(safe(text.splitlines()[0], 400) + "\n" + text.splitlines()[-1], severity="warning", markup=False)
        self.look_now()

    @property
    def frame(self) -> Frame:
        """The visible screen with a frame."""
        raise NotImplementedError

    def report(self, error: Exception) -> None:
        """Shows an error."""
        raise NotImplementedError

    def look_now(self) -> None:
        """Checks the service's health and the running workflows."""
        raise NotImplementedError
