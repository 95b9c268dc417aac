"""Links (OSC 8) on addresses that are shown whole: the target is the displayed text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

#: An address of the web: printable ASCII, so that it contains no control characters, without quotes and brackets.
_ADDRESS = re.compile(r"https?://[!#-&(-;=?-\[\]_a-z~]+")
#: Punctuation that may follow an address in a sentence.
_BEHIND = ".,:;!?)]"
#: Maximum characters of an address that becomes a link; terminals take about as many.
LONGEST = 2_000


def can_link(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal may support links; False for those known to display the sequences as text, or to drop
    them."""
    term = environment.get("TERM", "")
    return (
        not term.startswith(("linux", "dumb", "unknown", "vt1", "vt2", "vt3"))
        and environment.get("TERM_PROGRAM") != "Apple_Terminal"
        and not environment.get("STY")
    )


def addresses(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of whole addresses. One that was shortened, which an ellipsis shows, is left out."""
    for found in _ADDRESS.finditer(text):
        address = found[0].rstrip(_BEHIND)
        whole = not text.startswith("…", found.end()) and len(address) <= LONGEST
        if whole and len(address) > len("https://"):
            yield found.start(), found.start() + len(address)


def linked(text: str) -> str:
    """The text with its whole addresses as links."""
    parts, at = [], 0
    for start, end in addresses(text):
        address = text[start:end]
        parts.append(f"{text[at:start]}\x1b]8;;{address}\x1b\\{address}\x1b]8;;\x1b\\")
        at = end
    return "".join((*parts, text[at:]))
