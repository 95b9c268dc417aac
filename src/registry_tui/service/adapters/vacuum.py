"""Frees the disk space of objects deleted in the embedded object store, which keeps deleted bytes until it compacts.

SeaweedFS compacts by itself every 14 minutes and only volumes with 30 % garbage; its master does so at once on request
(`/vol/vacuum`, SeaweedFS's wiki, Master Server API). The master's port requires the store's own certificate.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from registry_tui.platform.paths import Home
from registry_tui.platform.ports import LOOPBACK, Ports
from registry_tui.service.errors import PartUnavailable

#: Volumes with a smaller share of garbage are left.
_GARBAGE = 0.001
#: Attempts, and the pause between them: the store removes deleted objects from its volumes a moment later.
_TRIES, _PAUSE = 8, 1.0
_TIMEOUT = 600.0
#: Fewer bytes are not worth waiting for: other work on the resource would wait.
_WORTH_WAITING = 4 << 20
#: The share of the deleted bytes that is enough to stop waiting.
_ENOUGH = 0.9


def reclaim(home: Home, ports: Ports, deleted: int, *, pause: Callable[[float], object] = time.sleep) -> int:
    """Compacts the object store after so many bytes were deleted; returns the bytes that the disk got back.

    Raises PartUnavailable.
    """
    context = ssl.create_default_context(cafile=str(home.run / "authority.pem"))
    context.load_cert_chain(home.run / "object-store.pem", home.run / "object-store-key.pem")
    before, freed = _used(home.object_store), 0
    try:
        with httpx.Client(verify=context, trust_env=False, timeout=_TIMEOUT) as client:
            for attempt in range(_TRIES if deleted >= _WORTH_WAITING else 1):
                if attempt:
                    pause(_PAUSE)
                answer = client.get(
                    f"https://{LOOPBACK}:{ports.master}/vol/vacuum", params={"garbageThreshold": str(_GARBAGE)}
                )
                answer.raise_for_status()
                freed = max(0, before - _used(home.object_store))
                if freed >= deleted * _ENOUGH:
                    break
    except (httpx.HTTPError, OSError) as error:
        raise PartUnavailable(
            "The object store does not compact its volumes now", action="See `registry-tui logs object-store`"
        ) from error
    return freed


def _used(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except FileNotFoundError:  # compacted away meanwhile
            continue
    return total
