"""Scenes of `scenes.py`: deployments and API keys."""

from __future__ import annotations

from contextlib import suppress

import httpx
from textual.containers import VerticalScroll
from textual.widgets import Select

from support.platforms import PATIENCE
from support.program import Driver
from support.scene_names import Scene
from support.tracking_scenes import project


async def deployments(see: Driver) -> None:
    see.go("deployments")
    await see.rows("deployments")


async def deployment(see: Driver) -> None:
    await _calls(see)
    await deployments(see)
    await see.press("enter")
    await see.shows("requests/s", "● ready")
    await see.until(lambda: see.screen.query_one("#rate").display, "the scene")


async def _calls(see: Driver) -> None:
    """Some requests, so that the charts have something to show."""
    found = (await see.app.client.deployments()).items[0]
    example = (await see.app.client.deployment_example(found.id)).example
    url, headers = f"{found.endpoint_url}/invocations", {"Content-Type": "application/json"}
    # The recorded answers contain the calls: no gateway runs here.
    with suppress(httpx.ConnectError):
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            for second in range(12):
                for _ in range(10 + second % 5 * 6):
                    await http.post(url, content=example, headers=headers)
                await see.pilot.pause(0.4)


async def trial(see: Driver) -> None:
    await deployments(see)
    await see.press("T")
    await see.shows("dataframe_split")
    await see.press("ctrl+t")
    await see.shows("predictions")


async def project_deployments(see: Driver) -> None:
    await project(see)
    await see.press("tab")
    await see.shows("alcohol-api")


async def deploy_from_project(see: Driver) -> None:
    await project_deployments(see)
    await see.press("D")
    await see.shows("Registered Model")


def _deployment_tab(tab: str, *texts: str) -> Scene:
    async def scene(see: Driver) -> None:
        await deployments(see)
        await see.press("enter")
        await see.shows("alcohol-api", "deployed")
        see.screen.query_one("#tabs").active = tab
        await see.shows(*texts)

    return scene


async def change_deployment(see: Driver) -> None:
    await deployments(see)
    await see.press("e")
    await see.shows("Change alcohol-api")


async def change_by_canary(see: Driver) -> None:
    await change_deployment(see)
    for id_ in ("strategy", "follow-strategy"):
        see.screen.query_one(f"#{id_}", Select).value = "canary" if id_ == "strategy" else "shadow"
    await see.until(lambda: see.screen.query_one("#tolerance").region.width > 0, "the rows about both")
    field = see.screen.query_one("#max-error-rate")
    rows = next(each for each in field.ancestors if isinstance(each, VerticalScroll))
    field.focus(scroll_visible=False)
    # Again until it is there: rows that have come make the form longer.
    await see.until(lambda: not rows.scroll_to_widget(field, animate=False, top=True), "its place")
    await see.shows("Errors at most")


async def keep_requests(see: Driver) -> None:
    await _deployment_tab("requests", "of the requests are kept")(see)
    await see.press("W")
    await see.shows("Keep a share of them")
    await see.press("enter")
    await see.shows("Size at most")


async def kept_request(see: Driver) -> None:
    await _deployment_tab("requests", "of the requests are kept", "malic_acid=")(see)
    await see.press("enter")
    await see.shows("answered", "# ", "malic_acid")


async def judge_drift(see: Driver) -> None:
    await _deployment_tab("drift", "PSI above")(see)
    await see.press("J")
    await see.shows("Rows at least")


async def keys(see: Driver) -> None:
    see.go("keys")
    await see.at("keys")
    await see.shows("No API keys")


async def new_key(see: Driver) -> None:
    await keys(see)
    await see.press("n")
    await see.shows("New API key")


DEPLOYMENT_SCENES: dict[str, Scene] = {
    "deployments": deployments,
    "deployment": deployment,
    "test": trial,
    "project-deployments": project_deployments,
    "deploy-from-project": deploy_from_project,
    "deployment-logs": _deployment_tab("logs", "Application startup complete"),
    "deployment-requests": _deployment_tab("requests", "of the requests are kept", "malic_acid="),
    "deployment-drift": _deployment_tab("drift", "columns drift", "▀ trained", "malic_acid"),
    "keep-requests": keep_requests,
    "kept-request": kept_request,
    "judge-drift": judge_drift,
    "deployment-builds": _deployment_tab("builds", "● built"),
    "deployment-history": _deployment_tab("history", "● active"),
    "deployment-settings": _deployment_tab("settings", "access key"),
    "change-deployment": change_deployment,
    "change-by-canary": change_by_canary,
    "keys": keys,
    "new-key": new_key,
}
