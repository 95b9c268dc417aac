"""API keys, which the service makes and the gateway checks, and tokens of people, which the service checks."""

from __future__ import annotations

import hashlib
import re
import secrets

#: The start of every API key, so that people and secret scanners know it.
PREFIX = "rtk"
#: The start of every person's token.
TOKEN_PREFIX = "rt"
#: A whole key or token: its public part, then its secret.
_WHOLE = re.compile(rf"\b((?:{PREFIX}|{TOKEN_PREFIX})_[0-9a-f]{{12}})_[A-Za-z0-9_-]+")


def new_key(prefix: str = PREFIX) -> tuple[str, str, str]:
    """A new API key or token: its ID, the whole of it (shown once), and the SHA-256 that is stored.

    The secret has 256 random bits, so that a plain hash is as good as a slow one.
    """
    id_, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return id_, f"{prefix}_{id_}_{secret}", digest(secret)


def id_of(text: str) -> str:
    """The ID that somebody named by the whole key or token, by its beginning, or by itself."""
    for prefix in (PREFIX, TOKEN_PREFIX):
        text = text.strip().removeprefix(f"{prefix}_")
    return text.partition("_")[0]


def redacted(text: str) -> str:
    """A text for logs, events and responses: without the secret of a key or token that somebody put into an address."""
    return _WHOLE.sub(r"\1_…", text)


def digest(secret: str) -> str:
    """The SHA-256 of a key's secret."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
