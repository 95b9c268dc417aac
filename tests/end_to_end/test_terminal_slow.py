"""The real program on a real service that answers at once, after 2, after 20 seconds, and not before it gives up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.schemas.places import Project
from registry_tui.widgets.awaited import LOADING
from support.delaying import Delaying
from support.platforms import Platform, unique, wait_for
from support.terminal import Terminal, terminal

PROGRAM = [sys.executable, "-m", "registry_tui"]
#: Each section's key and the words on top of its page; the last is the one of the project.
SECTIONS = {
    "1": "Model Registries",
    "3": "Registered Models",
    "4": "Deployments",
    "5": "Environments",
    "6": "Activity",
    "2": "Projects",
}
#: Seconds that an answer takes while the test looks.
HELD = 3600.0
BACK_TAB = "\x1b[Z"


@contextmanager
def slow_program(platform: Platform, folder: Path, project: Project) -> Iterator[tuple[Terminal, Delaying]]:
    """The program on a project's page, and the proxy that makes the service slow from then on."""
    proxy = Delaying(platform.home.service_socket, Home(folder))
    environment = {**platform.environment(), ENVIRONMENT_VARIABLE: str(folder)}
    with proxy.open(), terminal(PROGRAM, environment) as screen:
        screen.shows("Model Registries", "registry-local", "Available")
        screen.press(f":project {project.name}\r")
        screen.shows(f"Projects › {project.name}", "Experiments", "Default")
        # The first look is over: a program that has no answer to it starts a platform in its home.
        wait_for(lambda: " ok" in screen.lines[-1], what="the parts of the platform")
        yield screen, proxy
        proxy.delay = 0
        screen.press("ctrl+q")
        assert screen.ended() == 0


def experiments(platform: Platform, project: Project, name: str) -> list[str]:
    """The notes of a project's experiments of a name, by the service itself."""
    found = platform.ask(lambda client: client.experiments(project.id, name=name)).items
    return [each.tags.get("mlflow.note.content", "") for each in found if each.name == name]


def visits_sections(screen: Terminal, proxy: Delaying) -> None:
    for key, title in SECTIONS.items():
        # The side bar has the words too.
        paints_at_once(screen, proxy, key, f" registry-tui   {title}", "? help")


def paints_at_once(screen: Terminal, proxy: Delaying, keys: str, *texts: str) -> None:
    """Presses keys, which show these texts before the service has answered, and that the rest is loading."""
    delay = proxy.delay
    if delay:
        # The answers do not come before that was seen, however slow this machine is.
        proxy.delay = HELD
    screen.press(keys)
    screen.shows(*texts, *([LOADING] if delay else []))
    proxy.delay = delay


def acts_on_the_first_row(screen: Terminal) -> None:
    """Keys that are pressed before the rows are there: they open the first project as text."""
    screen.press("down", "up", "y")
    screen.shows("mlflow_workspace:")
    screen.press("escape")
    wait_for(lambda: "mlflow_workspace:" not in screen.text, what="the box to close")


@pytest.mark.parametrize("delay", [0, 2])
def test_pages_keys_and_forms_on_a_service_that_answers_after(
    delay: float, platform: Platform, project: Project, short_path: Path
) -> None:
    name = unique("slow")
    with slow_program(platform, short_path / "h", project) as (screen, proxy):
        proxy.delay = delay
        # In one write, with the note before the name.
        screen.press(f"n\tnoted{BACK_TAB}{name}\r\r\r")
        screen.shows(f"Created {name}")
        assert len(proxy.sent("POST ")) == 1
        visits_sections(screen, proxy)
        acts_on_the_first_row(screen)
        paints_at_once(screen, proxy, f":project {project.name}\r", "Projects ›")
        screen.press("escape")
        wait_for(lambda: "Projects ›" not in screen.text, what="the page to be left")
        screen.shows("Projects", "Workspace")
    assert experiments(platform, project, name) == ["noted"]


def test_pages_keys_and_forms_on_a_service_that_takes_20_seconds_or_longer_than_the_program_waits(
    platform: Platform, project: Project, short_path: Path
) -> None:
    left, kept = unique("left"), unique("kept")
    with (
        slow_program(platform, short_path / "late", project) as (screen, late),
        slow_program(platform, short_path / "mute", project) as (other, mute),
    ):
        mute.delay = 600
        other.press(f"n{kept}\ta note\r\r\r")
        other.shows("Sending …")
        late.delay = 20
        screen.press(f"n{left}\r\r\r")
        screen.shows("Sending …", "sending … ")
        screen.press("escape")
        wait_for(lambda: "Create experiment" not in screen.text, what="the form to close")
        visits_sections(screen, late)
        acts_on_the_first_row(screen)
        wait_for(lambda: experiments(platform, project, left) == [""], what="what was sent before it was left")
        assert len(late.sent("POST ")) == 1

        # The program times out after 30 seconds, and keeps the typed text.
        other.shows("did not answer in time", "Trying again is safe", kept, "a note")
        assert len(mute.sent("POST ")) == 1
        mute.delay = 0
        other.press("enter")
        other.shows(f"Created {kept}")
        first, second = mute.sent("POST ")
        assert first == second != ""
    assert experiments(platform, project, kept) == ["a note"]
