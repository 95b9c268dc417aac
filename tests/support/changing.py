"""Checks for changing a list's rows by keys: the rows, and the question before they go."""

from __future__ import annotations

from registry_tui.screens.base.dialogs import Confirm
from support.program import Driver


async def listed(driver: Driver, *names: str, in_order: bool = True) -> None:
    """Waits until the list in view has exactly these rows."""

    def shown() -> bool:
        source = driver.screen.table.source
        rows = [source.row(index) for index in range(source.height)]
        found = [row.name for row in rows if row is not None]
        return found == list(names) if in_order else sorted(found) == sorted(names)

    await driver.until(shown, f"the rows {names}")


async def asked(driver: Driver, *texts: str) -> None:
    """Waits for a question with these texts that starts on Cancel."""
    await driver.until(lambda: isinstance(driver.screen, Confirm), "the question")
    await driver.shows(*texts)
    await driver.until(lambda: driver.screen.focused.id == "cancel", "Cancel")
