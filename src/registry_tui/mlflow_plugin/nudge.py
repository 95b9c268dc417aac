"""Tells the service that the registry changed, so that it need not wait for its next look."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import httpx

_logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 2.0


def nudge_service(socket: Path) -> None:
    """Best effort and in the background: the service looks for itself every few seconds."""
    threading.Thread(target=_post, args=(socket,), name="nudge-service", daemon=True).start()


def _post(socket: Path) -> None:
    try:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket), verify=False, trust_env=False), timeout=_TIMEOUT_SECONDS
        ) as client:
            client.post("http://registry-tui/api/v1/internal/pending-versions")
    except httpx.HTTPError as error:
        _logger.info("The service did not take the notice (%s); it finds the version by itself.", error)
