"""Features of every screen: keys of one's own, reading, saving, commands, state, plain and colourless lines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import yaml
from textual import events
from textual.widgets import Input

from registry_tui.platform.paths import Home
from registry_tui.screens.base.command_box import CommandField
from registry_tui.terminal.action import key_shown
from registry_tui.terminal.memory import Memory
from registry_tui.terminal.preferences import Preferences, Terminal, load_preferences
from support.platforms import Platform, unique
from support.program import Driver, Open


async def burst(driver: Driver, text: str) -> None:
    """Keys as a slow line delivers them: all at once, before the first has been looked at."""
    for character in text:
        driver.app.post_message(events.Key(character, character))
    await driver.pilot.pause()


async def test_what_is_typed_behind_a_key_that_opens_a_form_belongs_to_the_form(open_program: Open) -> None:
    async with open_program() as driver:
        await driver.press("2")
        await driver.rows("projects")
        await burst(driver, "ncab")
        await driver.shows("Create project")
        await driver.until(lambda: driver.app.screen.query_one("#name", Input).value == "cab", "the letters in order")
        assert "copied" not in driver.text
        await driver.type("_")
        await driver.shows("a name has lowercase letters")
        await driver.press("backspace")
        await driver.until(lambda: "a name has lowercase letters" not in driver.text, "nothing to be wrong any more")


async def test_a_place_that_is_not_there_is_told_and_left(open_program: Open) -> None:
    async with open_program() as driver:
        await driver.rows("registries")
        await driver.press("colon")
        await driver.type("project no-such-project")
        await driver.press("enter")
        await driver.rows("projects")
        assert any("no project 'no-such-project'" in said.message for said in driver.app._notifications)
        # It is not gone to again on the way back.
        await driver.press("left_square_bracket")
        await driver.rows("registries")


async def test_anything_is_read_as_yaml_or_json_searched_and_saved(open_program: Open, tmp_path: Path) -> None:
    async with open_program() as driver:
        # Not just the first one: others make registries, and take theirs away.
        await driver.rows("registries")
        await driver.on("registry-local")
        registry = driver.screen.current
        await driver.press("y")
        await driver.shows(f"name: {registry.name}", "y JSON")
        await driver.press("slash")
        await driver.type("crn:")
        await driver.press("enter")
        await driver.until(lambda: len(driver.screen.found) >= 2)
        await driver.shows(f"1 of {len(driver.screen.found)}")
        await driver.press("full_stop")
        await driver.shows(f"2 of {len(driver.screen.found)}")
        await driver.press("ctrl+s")
        await driver.shows("Save this text")
        target = tmp_path / "registry.yaml"
        driver.screen.query_one("#file", Input).value = str(target)
        await driver.press("enter")
        await driver.until(target.exists)
        assert yaml.safe_load(target.read_text())["id"] == registry.id
        await driver.shows("saved in")
        await driver.press("y")
        await driver.shows('"name"', "y YAML")
        await driver.press("ctrl+s")
        await driver.shows("Save this text")
        driver.screen.query_one("#file", Input).value = str(target)
        await driver.shows("already exists")
        await driver.press("enter")
        assert yaml.safe_load(target.read_text())["id"] == registry.id


async def test_a_table_is_exported_as_filtered(open_program: Open, platform: Platform, tmp_path: Path) -> None:
    names = sorted(platform.new_project(prefix="export").name for _ in range(3))
    async with open_program() as driver:
        await driver.press("2")
        await driver.rows("projects")
        await driver.press("slash")
        await driver.type("export")
        await driver.press("enter")
        await driver.until(lambda: {row.name for row in driver.screen.table.source.loaded_rows()} >= set(names))
        await driver.until(lambda: "default" not in {row.name for row in driver.screen.table.source.loaded_rows()})
        for name in ("rows.csv", "rows.json"):
            await driver.press("ctrl+s")
            await driver.shows("Export the table")
            driver.app.screen.query_one("#file", Input).value = str(tmp_path / name)
            await driver.press("enter")
            await driver.until((tmp_path / name).exists)
            await driver.until(lambda: driver.app.screen is driver.app.frame)
    with (tmp_path / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    known = json.loads((tmp_path / "rows.json").read_text())
    assert [row["Name"] for row in table] == [row["name"] for row in known]
    assert {row["Name"] for row in table} >= set(names)
    assert all(row["Name"].startswith("export") for row in table)
    assert sorted(path.name for path in files_in(tmp_path)) == ["rows.csv", "rows.json"]


async def test_keys_of_ones_own_work_and_are_told(open_program: Open, tmp_path: Path) -> None:
    Home(tmp_path).config_file.write_text('[keys]\nhelp = "f1"\nregistries.view = "v"\n')
    preferences = load_preferences(Home(tmp_path), {"REGISTRY_TUI_REMEMBER": "no"})
    assert preferences.problems == ()
    async with open_program(preferences=preferences) as driver:
        await driver.rows("registries")
        await driver.shows("f1 help")
        assert driver.text.splitlines()[0].rstrip().endswith(": command  f1 help")
        await driver.press("y")
        await driver.press("v")
        await driver.shows("y JSON")
        await driver.press("escape", "f1")
        await driver.shows("What you can do here", "Everything the service knows about it")
        await driver.press("escape", "2")
        await driver.rows("projects")
        await driver.press("y")
        await driver.shows("y JSON")


async def test_the_last_place_and_commands_are_remembered(
    open_program: Open, platform: Platform, tmp_path: Path
) -> None:
    project = platform.new_project(prefix="last")
    memory = Memory(tmp_path / "terminal.json")
    async with open_program(preferences=Preferences(), memory=memory) as driver:
        await driver.rows("registries")
        await driver.press("colon")
        await driver.type(f"project {project.name[:-2]}")
        await driver.shows(f"project     {project.name}")
        line = driver.screen.query_one(CommandField)
        await driver.press("tab")
        await driver.until(lambda: line.value == f"project {project.name}", "the completed line")
        await driver.press("enter")
        await driver.at("project")
        await driver.quit()
    async with open_program(preferences=Preferences(), memory=Memory(tmp_path / "terminal.json")) as driver:
        await driver.at("project")
        await driver.shows(project.name)
        await driver.press("colon", "up")
        await driver.until(lambda: driver.screen.query_one(CommandField).value == f"project {project.name}")
    memory.set("place", {"kind": "project", "args": {"project": unique("gone")}, "state": {}})
    async with open_program(preferences=Preferences(), memory=memory) as driver:
        await driver.rows("projects")
        await driver.shows("no longer exists")


async def test_plain_lines_hold_no_drawing_and_say_every_state_in_words(open_program: Open) -> None:
    plain = Preferences(terminal=Terminal(plain=True, remember=False))
    async with open_program(size=(80, 24), preferences=plain) as driver:
        await driver.rows("registries")
        await driver.shows("all ok")
        for key in ("question_mark", "n", "y"):
            await driver.press(key)
            await driver.until(lambda: driver.app.screen is not driver.app.frame)
            await driver.pilot.pause()
            assert not {character for character in driver.text if 0x2190 <= ord(character) <= 0x2BFF}, key
            await driver.press("escape")
        await driver.shows("enter open")
        await driver.pilot.resize_terminal(170, 30)
        await driver.shows("mlflow ok", "service ok")


async def test_no_colour_is_written_where_none_is_wanted(open_program: Open) -> None:
    async with open_program(preferences=Preferences(terminal=Terminal(remember=False), colorless=True)) as driver:
        await driver.rows("registries")
        # Textual filters each widget's lines when it draws them.
        segments = [segment for strip in driver.app.screen._compositor.render_strips() for segment in strip]
        assert all(segment.style is None or segment.style.color is None for segment in segments)
        assert any(segment.style and segment.style.reverse for segment in segments), "the cursor is seen"


async def test_every_action_can_be_clicked(open_program: Open) -> None:
    async with open_program(size=(120, 30)) as driver:
        await driver.rows("registries")
        line = driver.text.splitlines()[-1]
        await driver.pilot.click("#status", offset=(line.index("create") + 1, 0))
        await driver.shows("Create Model Registry")
        await driver.press("escape")
        await driver.pilot.click("#breadcrumbs", offset=(driver.text.splitlines()[0].index("? help"), 0))
        await driver.shows("What you can do here")
        await driver.press("escape", "ctrl+p")
        await driver.type("theme light")
        await driver.press("enter")
        await driver.until(lambda: not driver.app.current_theme.dark)


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def test_keys_read_as_people_know_them() -> None:
    assert key_shown("question_mark") == "?"
    assert key_shown("enter", plain=True) == "enter"
