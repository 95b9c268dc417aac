"""Which addresses are reached over TLS, to decide whether a certificate is checked."""

from __future__ import annotations

from urllib.parse import urlsplit


def has_tls(url: str) -> bool:
    """Whether a connection to an address has TLS; also for an address that cannot be parsed, to be safe.

    `HTTPS://` is `https://`: HTTP clients read the scheme in either spelling.
    """
    try:
        return urlsplit(url).scheme != "http"
    except ValueError:
        return True
