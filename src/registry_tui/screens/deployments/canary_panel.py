"""The panel of a canary: the tried and the serving version with live figures, and the bounds that decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from registry_tui.screens.base.tones import styled
from registry_tui.wording import rollouts
from registry_tui.wording.text import safe
from registry_tui.wording.words import milliseconds, percent

if TYPE_CHECKING:
    from registry_tui.schemas.canaries import Canary, Generation

_MUTED = "$foreground-muted"


def panel(found: Canary) -> Content:
    """Six lines, one more for compared answers, and one for the reason if the canary stands still."""
    copies = found.strategy == "shadow"
    parts: list[tuple[str, str]] = [
        (f"{found.strategy.value.capitalize()} ", "bold"),
        styled(rollouts.canary_state(found.state)),
        (f"   {rollouts.step(found)}\n", ""),
    ]
    if found.reason:
        parts.append((f"{safe(found.reason, 200)}\n", "$warning"))
    parts.append((f"{'':14}{'copies' if copies else 'share':>8}{'requests':>11}{'errors':>9}{'p99':>10}\n", _MUTED))
    parts += _side("old", found.old, shown_share="all" if copies else "", worse=False)
    parts += _side("new", found.new, shown_share="", worse=found.new.errors > 0)
    if found.compared:
        differ = f"answers differ {rollouts.disagreement(found)}\n"
        parts.append((differ, "$warning" if found.disagreeing else ""))
    limits = rollouts.bounds(found)
    parts.append((f"rolls back above {limits}" if limits else "no bounds are set", ""))
    pauses = "! goes on" if found.state == "paused" else "! pauses"
    parts.append((f"\nctrl+y promotes it   u goes back   {pauses}", _MUTED))
    return Content.assemble(*parts)


def _side(word: str, side: Generation, *, shown_share: str, worse: bool) -> list[tuple[str, str]]:
    name = f"{word} v{side.version}"
    share = shown_share or f"{side.share:g} %"
    latency = milliseconds(side.p99)
    return [
        (f"{safe(name, 13):<14}{share:>8}{side.requests:>11,}".replace(",", " "), ""),
        (f"{percent(side.error_rate):>9}", "$error" if worse else ""),
        (f"{latency:>10}\n", ""),
    ]
