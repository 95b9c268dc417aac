"""Scenes of `scenes.py`: stages and approvals of versions."""

from __future__ import annotations

from support.program import Driver
from support.scene_names import MODEL, REGISTRY, Scene


async def approvals(see: Driver) -> None:
    see.go("approvals")
    await see.rows("approvals")
    await see.shows("◆ for you")


async def approval(see: Driver) -> None:
    await approvals(see)
    await see.press("enter")
    await see.shows("Question", "Asked by")


async def decide(see: Driver) -> None:
    await approvals(see)
    await see.press("ampersand")
    await see.shows("approve: it may go on")


async def ask_approval(see: Driver) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")
    await see.press("ampersand")
    await see.shows("Ask for approval of")


LIFE_CYCLE_SCENES: dict[str, Scene] = {
    "approvals": approvals,
    "approval": approval,
    "decide": decide,
    "ask-approval": ask_approval,
}
