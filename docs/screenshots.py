"""Makes the screenshots of the documentation, and the recorded walks: the program itself, on a platform with the demo.

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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from support.program import Driver
from support.scenes import SCENES

FOLDER = Path(__file__).parent / "screenshots"
#: The scenes made without `--only`; a run's overview shows a path of the machine that logged it, the rest are forms.
GALLERY = [name for name in list(SCENES)[: list(SCENES).index("help") + 1] if name != "run"]


async def take(home: Home, name: str, size: tuple[int, int], theme: str, folder: Path) -> Path:
    """One screenshot. Raises AssertionError when the scene does not come about."""
    app = RegistryApp(lambda: RegistryClient(home), start_platform=False)
    async with app.run_test(size=size) as pilot:
        app.theme = f"registry-{theme}"
        see = Driver(app, pilot)
        await see.rows("registries")
        await SCENES[name](see)
        await see.until(lambda: app.status is not None, "the parts' health")
        await pilot.pause()
        return Path(app.save_screenshot(f"{name}.svg", str(folder)))


def make(arguments: argparse.Namespace, home: Home) -> None:
    width, height = (int(part) for part in arguments.size.split("x"))
    folder = Path(arguments.to)
    folder.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else GALLERY:
        print(asyncio.run(take(home, name, (width, height), arguments.theme, folder)), flush=True)
    if not arguments.only:
        recording = [sys.executable, str(Path(__file__).parent / "recording.py")]
        for story in ("walk", "life"):
            command = [*recording, story, "--home", str(home.root), "--to", str(folder / f"{story}.cast")]
            subprocess.run(command, check=True)


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
        home.create()
        # Where the receiver of the second walk listens.
        home.config_file.write_text('[service]\nwebhook_private_hosts = ["localhost"]\n')
        try:
            subprocess.run([*command, "up"], env=environment, check=True)
            subprocess.run([*command, "demo"], env=environment, check=True)
            make(arguments, home)
        finally:
            subprocess.run([*command, "down"], env=environment, check=False)


if __name__ == "__main__":
    main()
