"""How the calls of a replica's model end, kept in a file that outlives its process. Standard library only."""

from __future__ import annotations

import json
import threading
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from registry_tui.contracts.counts import counted

#: Failed calls in a row that are each written down; of more, every hundredth.
EACH = 20


@dataclass(frozen=True)
class Calls:
    """`answered`: whether a call ever was. The counts are of calls since the last one that was answered."""

    answered: bool = False
    raised: int = 0
    hung: int = 0
    died: int = 0
    #: The problem, as one sentence; empty when the last call was answered.
    trouble: str = ""
    under_way: bool = False

    @classmethod
    def load(cls, path: Path) -> Calls:
        """The record of a replica; empty when it wrote none, or the disk was full."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()


class CallRecord:
    """Notes how calls end. Writes only changes, so that a replica that answers writes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known = Calls.load(path)
        if self._known.under_way:
            trouble = "calls end the replica: its process ended while the model answered"
            self._put(replace(self._known, under_way=False, died=self._known.died + 1, trouble=trouble))

    def began(self) -> None:
        """A call begins. Noted until one was answered: a process that ends during its first calls cannot report it."""
        with self._lock:
            if not self._known.answered and not self._known.under_way:
                self._put(replace(self._known, under_way=True))

    def answered(self) -> None:
        with self._lock:
            if self._known != Calls(answered=True):
                self._put(Calls(answered=True))

    def refused(self) -> None:
        """A call ended by its own error, or nothing is in progress any more. Neither is about the model."""
        with self._lock:
            if self._known.under_way:
                self._put(replace(self._known, under_way=False))

    def raised(self, cause: str) -> None:
        with self._lock:
            count = self._known.raised + 1
            known = replace(self._known, under_way=False, raised=count, trouble=f"calls fail: {cause}")
            if count <= EACH or count % 100 == 0:
                self._put(known)
            self._known = known

    def hangs(self, seconds: float) -> None:
        """A call has taken more than the time that a request has."""
        with self._lock:
            trouble = f"calls hang: the model has not answered one within {counted(seconds, 'second')}"
            self._put(replace(self._known, hung=self._known.hung + 1, trouble=trouble))

    def _put(self, known: Calls) -> None:
        self._known = known
        new = self._path.with_suffix(".calls-new")
        try:
            new.write_text(json.dumps(asdict(known)), encoding="utf-8")
            new.replace(self._path)
        except OSError:  # a full disk takes nothing from callers
            return


def last_line(error: BaseException) -> str:
    """The last line of an error: its type and message, without the traceback."""
    text = "".join(traceback.format_exception_only(error)).strip()
    return text.splitlines()[-1][:500] if text else type(error).__name__
