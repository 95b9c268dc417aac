"""Names of resources in addresses: which can be one part of a path without changing the address.

HTTP clients, proxies and servers resolve `.` and `..`, also percent-encoded (RFC 3986, 6.2.2.3), so encoding cannot
protect them: they are refused on both sides. Every other character is protected by encoding.
"""

from __future__ import annotations

from urllib.parse import quote

from registry_tui.contracts.encoding import EncodedTooOften, fully_decoded, holds_control_characters, is_text

_DOTS = (".", "..")


class UnusableName(ValueError):
    """The name cannot be part of an address; the text completes a sentence: "…, which holds '..' as a folder"."""


def problem(name: str) -> str | None:
    """The reason why a name cannot be in an address, as the end of a sentence; None for a usable name."""
    if not name:
        return "is empty"
    if not is_text(name):
        return "is not text"
    try:
        decoded = fully_decoded(name)
    except EncodedTooOften:
        return "is percent-encoded too often"
    if holds_control_characters(name) or holds_control_characters(decoded):
        return "holds a control character"
    for text in (name, decoded):
        for part in text.split("/"):
            if part in _DOTS:
                return f"holds {part!r} as a folder"
    return None


def segment(name: str | int) -> str:
    """A name as one part of a path, percent-encoded. Raises UnusableName."""
    if found := problem(str(name)):
        raise UnusableName(found)
    return quote(str(name), safe="")


def check_address(path: str) -> str:
    """An address's path, made of literal parts and `segment`s, as it was given. Raises UnusableName.

    The last check before a request is sent: a part that was put in without `segment` must not change the address.
    """
    if "?" in path or "#" in path:
        raise UnusableName("holds '?' or '#'")
    for part in path.removeprefix("/").split("/"):
        if found := problem(part):
            raise UnusableName(found)
    return path
