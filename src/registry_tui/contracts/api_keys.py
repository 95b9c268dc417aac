"""API keys: the service makes them, the gateway checks them."""

from __future__ import annotations

import hashlib
import secrets

#: The start of every API key, so that people and secret scanners know it.
PREFIX = "rtk"


def new_key() -> tuple[str, str, str]:
    """A new API key: its ID, the whole key (shown once), and the SHA-256 that is stored.

    The secret has 256 random bits, so that a plain hash is as good as a slow one.
    """
    id_, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return id_, f"{PREFIX}_{id_}_{secret}", digest(secret)


def digest(secret: str) -> str:
    """The SHA-256 of a key's secret."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
