"""The demo: real models in two clouds' worth of environments. `load` makes what is missing, `remove` takes it away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from registry_tui.platform.paths import Home


@dataclass(frozen=True)
class Progress:
    """What the demo is doing; `lasting` tells what is done, otherwise how far something is."""

    text: str
    lasting: bool


Tell = Callable[[Progress], None]


def load(home: Home, tell: Tell) -> None:
    """Loads the demo into a running platform, or repairs it. Raises PlatformError, RegistryError."""
    import asyncio

    from registry_tui.demo import loading

    asyncio.run(loading.load(home, tell))


def remove(home: Home, tell: Tell) -> None:
    """Removes what the demo made, and nothing else. Raises PlatformError, RegistryError."""
    import asyncio

    from registry_tui.demo import removing

    asyncio.run(removing.remove(home, tell))
