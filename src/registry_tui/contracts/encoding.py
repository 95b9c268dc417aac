"""Percent-encoding, decoded as often as any proxy on the way might decode it."""

from __future__ import annotations

from urllib.parse import unquote

#: More layers than any real name has. Each one costs a pass over the text.
MAX_LAYERS = 8


class EncodedTooOften(ValueError):
    """The text is still percent-encoded after `MAX_LAYERS` decodings."""


def fully_decoded(text: str) -> str:
    """The text after every layer of percent-encoding. Raises EncodedTooOften."""
    for _ in range(MAX_LAYERS):
        if (once := unquote(text)) == text:
            return text
        text = once
    raise EncodedTooOften


def is_text(text: str) -> bool:
    """Whether the text can be sent and stored as UTF-8: it holds no lone surrogates."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def holds_control_characters(text: str) -> bool:
    """Whether the text holds a C0 control character or DEL."""
    return any(ord(character) < 32 or ord(character) == 127 for character in text)
