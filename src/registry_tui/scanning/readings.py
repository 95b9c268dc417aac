"""The result of scanning a stream of pickles, and the rest of its budget."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Opcodes read in one file and in files packed into it: some seconds of a processor.
MAX_OPCODES = 2_000_000
#: Problems that are kept, and imports that are known.
MAX_NAMED = 50
_MAX_NAME = 200


@dataclass
class Opcodes:
    """How many opcodes may still be read."""

    left: int = MAX_OPCODES


@dataclass
class Reading:
    """The result of scanning a stream of pickles."""

    imports: dict[str, None] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)
    #: Whether the first pickle has an end.
    whole: bool = False
    #: Whether functions or classes are made from code in it.
    makes_code: bool = False
    #: Whether some of it could not be read.
    unread: bool = False
    #: Whether joblib put arrays between the opcodes.
    arrays: bool = False

    def problem(self, words: str, *, unread: bool = False) -> None:
        self.unread = self.unread or unread
        if len(self.problems) < MAX_NAMED:
            self.problems[words[:_MAX_NAME]] = None
