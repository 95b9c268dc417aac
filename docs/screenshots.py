"""Makes the screenshots of the documentation, and the recorded walk: the program itself, on a platform with the demo.

    python docs/screenshots.py [--home HOME] [--only NAME] [--size 80x24] [--theme light] [--to FOLDER]

Without `--home` a platform is started in a temporary folder, gets the demo, and is stopped at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from textual.pilot import Pilot
from textual.widgets import Input

from registry_tui.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.commands import Place
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home

FOLDER = Path(__file__).parent / "screenshots"
PROJECT, EXPERIMENT, MODEL, REGISTRY = "wine-quality", "alcohol-elasticnet", "WineAlcoholRegressor", "registry-aws"
#: Looks at a condition before a shot is given up, a twentieth of a second apart.
PATIENCE = 400


class Photographer:
    """Drives the program and waits for what is to be seen."""

    def __init__(self, app: RegistryApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> Any:
        return self.app.screen

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(PATIENCE):
            await self.pilot.pause(0.05)
            if condition():
                return
        raise TimeoutError(f"{self.app.screen!r} did not get there")

    async def rows(self, kind: str) -> None:
        """Waits for the rows of a list."""
        await self.until(lambda: self.app.frame.place.kind == kind and self.app.screen is self.app.frame)
        await self.until(lambda: self.screen.table.source is not None and self.screen.table.source.seen)
        await self.pilot.pause()

    async def sees(self, *texts: str) -> None:
        """Waits for texts on the screen."""

        def seen() -> bool:
            strips = self.app.screen._compositor.render_strips()
            text = "\n".join("".join(segment.text for segment in strip) for strip in strips)
            return all(wanted in text for wanted in texts)

        await self.until(seen)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def go(self, kind: str, **arguments: str) -> None:
        self.app.jump(Place(kind, arguments))


async def registries(see: Photographer) -> None:
    await see.rows("registries")


async def create_registry(see: Photographer) -> None:
    await see.rows("registries")
    await see.press("n")
    await see.until(lambda: see.screen.environments)


async def registry(see: Photographer) -> None:
    see.go("registry", registry=REGISTRY)
    await see.sees("Workload user name")


async def events(see: Photographer) -> None:
    await registry(see)
    await see.press("tab")
    await see.sees("version.archive")


async def projects(see: Photographer) -> None:
    see.go("projects")
    await see.rows("projects")


async def project(see: Photographer) -> None:
    see.go("project", project=PROJECT)
    await see.rows("project")


async def experiment(see: Photographer) -> None:
    see.go("experiment", project=PROJECT, experiment=EXPERIMENT)
    await see.rows("experiment")


async def run(see: Photographer) -> None:
    await registered_run(see)
    await see.sees("Overview", "finished")


async def registered_run(see: Photographer) -> None:
    version = (await see.app.client.versions(REGISTRY, MODEL, page_size=1)).items[0]
    assert version.origin.run_id is not None
    see.go("run", project=PROJECT, run=version.origin.run_id)
    await see.sees("Overview")


async def metrics(see: Photographer) -> None:
    await registered_run(see)
    await see.press("tab")
    await see.sees("train_rmse")
    await see.press("down", "down")
    await see.sees("● train_rmse")


async def artifacts(see: Photographer) -> None:
    await registered_run(see)
    await see.press("tab", "tab")
    await see.sees("Flavours")


async def register_model(see: Photographer) -> None:
    await artifacts(see)
    await see.until(lambda: see.screen.reason("register") is None)
    await see.press("R")
    await see.sees("Register Model", "Version notes")
    see.screen.query_one("#name", Input).value = MODEL
    await see.sees("adds version")


async def models(see: Photographer) -> None:
    see.go("models", registry=REGISTRY)
    await see.rows("models")


async def model(see: Photographer) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")


async def version(see: Photographer) -> None:
    await model(see)
    await see.press("enter")
    await see.sees("all sums")


async def storage(see: Photographer) -> None:
    see.go("registry", registry=REGISTRY)
    await see.sees("Workload user name")
    see.screen.query_one("#tabs").active = "storage"
    await see.sees("objects")


async def compare(see: Photographer) -> None:
    await experiment(see)
    await see.press("space", "space", "space", "equals_sign")
    await see.sees("rmse", "alpha")


async def curves(see: Photographer) -> None:
    await compare(see)
    await see.press("tab")
    see.screen.query_one("#metric-names").focus()
    await see.press("end", "up")
    await see.until(lambda: see.screen.query_one("#chart")._series)


async def diff(see: Photographer) -> None:
    await model(see)
    await see.press("space", "space", "equals_sign")
    await see.sees("version 2", "version 3")


async def deploy(see: Photographer) -> None:
    await model(see)
    await see.press("D")
    await see.sees("select project")
    await see.press("enter")
    await see.sees("suggested memory")


async def deployments(see: Photographer) -> None:
    see.go("deployments")
    await see.rows("deployments")


async def deployment(see: Photographer) -> None:
    await _calls(see)
    await deployments(see)
    await see.press("enter")
    await see.sees("requests/s", "● ready")
    await see.until(lambda: see.screen.query_one("#rate").display)


async def _calls(see: Photographer) -> None:
    """Some requests, so that the charts have something to show."""
    found = (await see.app.client.deployments()).items[0]
    example = (await see.app.client.deployment_example(found.id)).example
    url, headers = f"{found.endpoint_url}/invocations", {"Content-Type": "application/json"}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        for second in range(12):
            for _ in range(10 + second % 5 * 6):
                await http.post(url, content=example, headers=headers)
            await see.pilot.pause(0.4)


async def trial(see: Photographer) -> None:
    await deployments(see)
    await see.press("T")
    await see.sees("dataframe_split")
    await see.press("ctrl+s")
    await see.sees("predictions")


async def environments(see: Photographer) -> None:
    see.go("environments")
    await see.rows("environments")


async def activity(see: Photographer) -> None:
    see.go("activity")
    await see.rows("activity")


async def workflow(see: Photographer) -> None:
    await activity(see)
    await see.press("enter")
    await see.sees("succeeded")


async def help_(see: Photographer) -> None:
    await models(see)
    await see.press("question_mark")
    await see.sees("What you can do here")


Scene = Callable[[Photographer], Awaitable[None]]
SCENES: dict[str, Scene] = {
    "registries": registries,
    "create-registry": create_registry,
    "registry": registry,
    "events": events,
    "projects": projects,
    "project": project,
    "experiment": experiment,
    "run": run,
    "metrics": metrics,
    "artifacts": artifacts,
    "register-model": register_model,
    "models": models,
    "model": model,
    "version": version,
    "storage": storage,
    "compare": compare,
    "curves": curves,
    "diff": diff,
    "deploy": deploy,
    "deployments": deployments,
    "deployment": deployment,
    "test": trial,
    "environments": environments,
    "activity": activity,
    "workflow": workflow,
    "help": help_,
}
#: What is made without `--only`; a run's overview shows a path of the machine that logged it.
GALLERY = tuple(name for name in SCENES if name != "run")


async def take(home: Home, name: str, size: tuple[int, int], theme: str, folder: Path) -> Path:
    """One screenshot. Raises TimeoutError when the scene does not come about."""
    app = RegistryApp(lambda: RegistryClient(home), start_platform=False)
    async with app.run_test(size=size) as pilot:
        app.theme = f"registry-{theme}"
        see = Photographer(app, pilot)
        await see.rows("registries")
        await SCENES[name](see)
        await see.until(lambda: app.status is not None)
        await pilot.pause()
        return Path(app.save_screenshot(f"{name}.svg", str(folder)))


def make(arguments: argparse.Namespace, home: Home) -> None:
    width, height = (int(part) for part in arguments.size.split("x"))
    folder = Path(arguments.to)
    folder.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else GALLERY:
        print(asyncio.run(take(home, name, (width, height), arguments.theme, folder)), flush=True)
    if not arguments.only:
        walk = [sys.executable, str(Path(__file__).parent / "recording.py"), "--home", str(home.root)]
        subprocess.run([*walk, "--to", str(folder / "walk.cast")], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", help="a running platform with the demo loaded")
    parser.add_argument("--only", choices=SCENES, metavar="NAME", help=f"one of {', '.join(SCENES)}")
    parser.add_argument("--size", default="110x30", help="columns by rows")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--to", default=FOLDER, help="the folder to write to")
    arguments = parser.parse_args()
    if arguments.home:
        make(arguments, Home.resolve(arguments.home))
        return
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        home = Home(Path(folder) / "h")
        environment = {**os.environ, ENVIRONMENT_VARIABLE: str(home.root)}
        command = [sys.executable, "-m", "registry_tui"]
        try:
            subprocess.run([*command, "up"], env=environment, check=True)
            subprocess.run([*command, "demo"], env=environment, check=True)
            make(arguments, home)
        finally:
            subprocess.run([*command, "down"], env=environment, check=False)


if __name__ == "__main__":
    main()
