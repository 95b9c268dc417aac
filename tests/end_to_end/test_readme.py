"""What the README tells a newcomer to type works, in its order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.platforms import Platform

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_the_shell_examples_run_in_their_order(own_platform: Platform) -> None:
    shell = [each for each in blocks("sh") if ".venv" not in each]
    assert len(shell) == 5
    environment = own_platform.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    script = "set -euo pipefail\n" + "\n".join(shell)
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "ElasticnetWineModel version 1 is registered" in done.stdout
    assert '"registry-local"' in done.stdout

    python = "\n".join(blocks("python"))
    listed = subprocess.run(
        [sys.executable, "-c", python], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert listed.stdout == "ElasticnetWineModel 1\n", listed.stderr

    again = script.splitlines()[0] + "\n" + shell[0]
    done = subprocess.run(
        ["bash", "-c", again], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    assert "ElasticnetWineModel version 2 is registered" in done.stdout


def test_the_two_commands_are_targets_that_do_what_is_said() -> None:
    for target, wanted in (("demo", ("registry-tui up", "registry-tui demo")), ("test", ("pytest",))):
        plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert all(each in plan for each in wanted), plan


def test_everything_that_is_linked_is_there() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links {target}"


def test_the_keys_are_those_of_the_program() -> None:
    from registry_tui.terminal import actions

    keys = {key for screen in actions.ALL.values() for action in screen for key in action.key.split(",")}
    assert {"slash", "R", "colon", "ctrl+p", "question_mark", "ctrl+q"} <= keys
    assert [name for _, _, name in actions.SECTIONS] == [
        "Registries",
        "Projects",
        "Models",
        "Deployments",
        "Environments",
        "Activity",
    ]
