"""Settings that change while the program runs, and the keys of the preset `vim`, over recorded answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.platform.paths import Home
from registry_tui.terminal.preferences import PreferencesFile
from registry_tui.widgets.virtual_table import VirtualTable
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay

QUIET = "[terminal]\nremember = false\n"


@asynccontextmanager
async def program(answers: Mapping[str, Answer], folder: Path, text: str) -> AsyncIterator[Driver]:
    write(folder, text)
    file = PreferencesFile(Home(folder), {})
    app = RegistryApp(
        lambda: RegistryClient(transport=Replay(answers)),
        start_platform=False,
        preferences=file.load(),
        settings=file,
    )
    async with app.run_test(size=(120, 40)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await see.settled()
        yield see


def write(folder: Path, text: str) -> None:
    """Puts a whole file in place of the old one, as editors do."""
    (folder / "new").write_text(QUIET + text)
    (folder / "new").replace(Home(folder).config_file)


def footer(see: Driver) -> dict[str, str]:
    """The page's actions with their keys."""
    return {action.id: action.key for action in see.app.frame.all_actions()}


def notified(see: Driver) -> str:
    return "\n".join(each.message for each in see.app._notifications)


async def test_changed_settings_are_taken_over_at_once(answers: Mapping[str, Answer], tmp_path: Path) -> None:
    async with program(answers, tmp_path, '[themes.own]\nbackground = "#101010"\n') as see:
        dark = see.app.theme
        write(tmp_path, 'theme = "light"\nkeymap = "vim"\n[keys]\nhelp = "f1"\n')
        await see.until(lambda: see.app.theme != dark, "the other theme")
        assert see.app.theme.endswith("light")
        assert (footer(see)["help"], footer(see)["delete"]) == ("f1", "ctrl+k,delete")
        await see.until(lambda: "f1 help" in see.text, "the other key in the status line")
        await see.press("f1")
        await see.until(lambda: "What you can do here" in see.text, "the help")
        await see.press("escape")
        write(tmp_path, "mouse = false\n")
        await see.until(lambda: see.app.theme == dark, "the first theme")
        assert footer(see)["help"] == "question_mark"
        assert "mouse: from the next start" in notified(see)


async def test_other_colours_of_the_same_theme_are_seen(answers: Mapping[str, Answer], tmp_path: Path) -> None:
    async with program(answers, tmp_path, 'theme = "own"\n[themes.own]\nbackground = "#101010"\n') as see:
        write(tmp_path, 'theme = "own"\n[themes.own]\nbackground = "#202020"\n')
        await see.until(lambda: see.screen.styles.background.hex == "#202020", "the other background")


async def test_a_wrong_file_is_complained_of_and_changes_nothing(answers: Mapping[str, Answer], tmp_path: Path) -> None:
    async with program(answers, tmp_path, 'theme = "light"\n[keys]\nhelp = "f1"\n') as see:
        before = see.app.preferences
        for text, problem in (
            ("theme = 'pink'\n", "there is no theme 'pink'"),
            ("[terminal", "not valid TOML"),
            ("[keys]\nhlep = 'x'\n", "no action 'hlep'"),
        ):
            write(tmp_path, text)
            await see.until(lambda problem=problem: problem in notified(see), problem)  # type: ignore[misc]
            assert see.app.preferences is before
        write(tmp_path, 'theme = "dark"\n')
        await see.until(lambda: see.app.theme.endswith("dark"), "the right settings")


async def test_a_theme_that_was_chosen_for_now_stays(answers: Mapping[str, Answer], tmp_path: Path) -> None:
    async with program(answers, tmp_path, "") as see:
        see.app.choose_theme("high")
        chosen = see.app.theme
        write(tmp_path, 'notify = "bell"\n')
        await see.until(lambda: see.app.preferences.terminal.notify == "bell", "the other settings")
        assert see.app.theme == chosen


async def test_vim_keys_move_and_delete_has_another_key(answers: Mapping[str, Answer], tmp_path: Path) -> None:
    async with program(answers, tmp_path, 'keymap = "vim"\n') as see:
        await scenes.experiment(see)
        table: VirtualTable[Any] = see.screen.query_one(VirtualTable)
        assert table.cursor == 0
        await see.press("ctrl+d")
        half = table.cursor
        assert half > 5
        await see.press("k", "j")
        assert table.cursor == half
        await see.press("ctrl+u")
        assert table.cursor == 0
        await see.press("j", "g", "g")
        assert table.cursor == 0
        await see.press("G")
        assert table.cursor >= half
        await see.press("g")
        before = see.text
        await see.press("l")
        await see.until(lambda: see.text != before, "columns to the right")
        await see.press("h")
        await see.until(lambda: see.text == before, "columns to the left")


async def test_vim_deletes_with_ctrl_k_and_ctrl_d_asks_nothing(answers: Mapping[str, Answer], tmp_path: Path) -> None:
    async with program(answers, tmp_path, 'keymap = "vim"\n') as see:
        await scenes.deployments(see)
        await see.press("ctrl+d")
        assert see.screen is see.app.frame
        await see.press("ctrl+k")
        await see.until(lambda: see.screen is not see.app.frame, "the question")
