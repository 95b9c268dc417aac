"""The demo: real models in two clouds' worth of environments. `load` makes its missing parts, `remove` deletes it."""

from __future__ import annotations

import asyncio

from registry_tui.demo.progress import Tell
from registry_tui.platform.paths import Home


def load(home: Home, tell: Tell) -> None:
    """Loads the demo into a running platform, or repairs it. Raises PlatformError, RegistryError."""
    # Not at the top: the training processes import this package too, and need no client.
    from registry_tui.demo import loading

    asyncio.run(loading.load(home, tell))


def remove(home: Home, tell: Tell) -> None:
    """Removes everything that the demo made, and nothing else. Raises PlatformError, RegistryError."""
    # As above.
    from registry_tui.demo import removing

    asyncio.run(removing.remove(home, tell))
