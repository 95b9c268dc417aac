"""Settings, keys and themes of the terminal program, its state, and the files it writes."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from registry_tui.client.stream import EventParser
from registry_tui.platform.paths import Home
from registry_tui.terminal.memory import Memory
from registry_tui.terminal.preferences import Preferences, PreferencesFile, Terminal, load_preferences
from registry_tui.widgets.exporting import TableWriter, as_yaml, csv_text, occurrences
from registry_tui.widgets.line_filters import WithoutColors, plain_text
from registry_tui.widgets.table_layout import Column
from registry_tui.widgets.themes import theme_of
from registry_tui.wording.words import Cell

ROOT = Path(__file__).parents[2]


def settings(folder: Path, text: str, **environment: str) -> Preferences:
    home = Home(folder)
    home.config_file.write_text(text)
    return load_preferences(home, environment)


def test_every_setting_and_key_is_documented() -> None:
    made = subprocess.run(
        [sys.executable, "docs/configuration.py"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    assert made.stdout == (ROOT / "docs/configuration.md").read_text(), (
        "run `python docs/configuration.py > docs/configuration.md`"
    )
    assert "|  |" not in made.stdout, "a setting without a word about it"


def test_settings_are_read_and_the_environment_wins(tmp_path: Path) -> None:
    assert load_preferences(Home(tmp_path / "none"), {}) == Preferences()
    text = '[terminal]\ntheme = "dusk"\nframe_rate = 20\n[themes.dusk]\nprimary = "#aabbcc"\n[service]\nx = 1\n'
    found = settings(tmp_path, text, REGISTRY_TUI_PLAIN="true", SSH_CONNECTION="1 2 3 4", NO_COLOR="1")
    assert found.problems == ()
    assert found.terminal == Terminal(theme="dusk", frame_rate=20, plain=True)
    assert found.colorless and found.over_ssh
    theme = theme_of(found.themes[0])
    assert (theme.primary, theme.accent, theme.dark) == ("#aabbcc", "#aabbcc", True)
    assert settings(tmp_path, "", SSH_CONNECTION="x").frame_rate < settings(tmp_path, "").frame_rate


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[terminal", "not valid TOML"),
        ("terminal = 1", "write a table"),
        ("[terminal]\ntheem = 'x'", "no such setting; there are theme"),
        ("[terminal]\nplain = 'yes'", "terminal.plain: write true or false"),
        ("[terminal]\nframe_rate = 1000", "from 0"),
        ("[terminal]\nstart = 'model'", "no place 'model'"),
        ("[terminal]\ntheme = 'pink'", "no theme 'pink'; there are dark"),
        ("[themes.dark]\nprimary = '#aabbcc'", "choose another name"),
        ("[themes.own]\nprimary = 'blue'", "write a colour"),
        ("[terminal]\nkeymap = 'emacs'", "write one of default, vim"),
        ("[terminal]\nnotify = 'mail'", "write one of auto, osc, bell, off"),
        ("[keys]\nhelp = 'ctrl+'", "no key 'ctrl+'"),
        ("[keys]\nhlep = 'x'", "no action 'hlep'"),
        ("[keys]\nmodls.delete = 'x'", "no screen 'modls'"),
        ("[keys]\nmodels.register = 'x'", "no action 'register' on the screen models"),
        ("[keys]\nhelp = []", "write a key"),
    ],
)
def test_a_wrong_setting_is_told_and_left_at_its_default(tmp_path: Path, text: str, told: str) -> None:
    found = settings(tmp_path, text)
    assert told in " ".join(found.problems)
    assert found.terminal == Terminal()
    assert found.keys == {}


def test_keys_are_for_all_screens_or_for_one_and_may_be_swapped(tmp_path: Path) -> None:
    found = settings(tmp_path, '[keys]\nhelp = ["f1", "?"]\nmodels.delete = "X"\n"run.copy" = "Y"\n')
    assert found.problems == ()
    assert found.keys["registries"] == {"help": "f1,question_mark"}
    assert found.keys["models"] == {"help": "f1,question_mark", "delete": "X"}
    assert found.keys["run"]["copy"] == "Y"
    swapped = settings(tmp_path, '[keys]\nactivity.cancel = "r"\nactivity.retry = "x"\n')
    assert swapped.problems == ()
    assert swapped.keys == {"activity": {"cancel": "r", "retry": "x"}}


def test_a_key_that_means_something_else_is_told_with_what_it_means(tmp_path: Path) -> None:
    found = settings(tmp_path, '[keys]\nactivity.cancel = "r"\nkeys.revoke = "1"\n')
    told = " ".join(found.problems)
    assert "r is retry on the screen activity already; it stays S" in told
    assert "section Registries" in told
    assert found.keys == {}


def test_a_preset_gives_keys_and_own_keys_go_before_it(tmp_path: Path) -> None:
    found = settings(tmp_path, '[terminal]\nkeymap = "vim"\n[keys]\nmodels.delete = "x"\nrun.time = "ctrl+u"\n')
    assert found.keys["environments"] == {"delete": "ctrl+k,delete"}
    assert found.keys["models"] == {"delete": "x"}
    assert found.keymap("models")["list.half-down"] == "ctrl+down,ctrl+d"
    assert found.keymap("models")["box.collaborators.remove"] == "ctrl+k,delete"
    assert found.problems == ("keys.time: ctrl+u is moving in lists on the screen run already; it stays W",)
    assert found.keys["run"]["time"] == "W"
    found = settings(tmp_path, '[terminal]\nkeymap = "vim"\n[keys]\nmodels.copy = "h"\n')
    assert found.problems == ("keys.copy: h is moving in lists on the screen models already; it stays c",)


def test_a_changed_file_is_noticed_once_it_is_whole(tmp_path: Path) -> None:
    home = Home(tmp_path)
    file = PreferencesFile(home, {})
    assert file.load() == Preferences()
    assert not file.changed() and not file.changed()
    home.config_file.write_text("[termin")
    assert not file.changed(), "somebody may be writing it"
    home.config_file.write_text('[terminal]\ntheme = "light"\n')
    assert not file.changed()
    assert file.changed() and file.load().terminal.theme == "light"
    assert not file.changed()
    home.config_file.unlink()
    assert not file.changed()
    assert file.changed() and file.load() == Preferences()


def test_memory_outlives_the_program_and_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "terminal.json"
    one, other = Memory(path), Memory(path)
    one.set("place", {"kind": "models"})
    other.set("views", ["a"])
    one.set("columns", [1])
    assert json.loads(path.read_text()) == {"place": {"kind": "models"}, "views": ["a"], "columns": [1]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["terminal.json"]
    one.set("views", None)
    assert Memory(path).get("views", "none") == "none"
    path.write_text("{broken")
    assert Memory(path).get("place") is None
    Memory(path).set("place", 1)
    assert Memory(path).get("place") == 1
    Memory(Path("/proc/none/x")).set("place", 1)


class _Row(BaseModel):
    name: str
    created_at: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    status: str = "ready"


COLUMNS = (
    Column[_Row]("name", "Name", lambda row: row.name),
    Column[_Row]("created", "Created", lambda row: "3 min ago", sort="created_at"),
    Column[_Row]("state", "State", lambda row: Cell(f"● {row.status}", "good")),
)


def test_exports_are_exact_and_harmless(tmp_path: Path) -> None:
    rows = [_Row(name="=HYPERLINK(1)"), _Row(name='a,"b"\nc'), _Row(name="-1.5"), _Row(name="\x1b[31m‮")]
    writer = TableWriter(tmp_path / "rows.csv", COLUMNS)
    writer.write(rows)
    writer.finish()
    text = (tmp_path / "rows.csv").read_bytes().decode()
    assert text.splitlines()[:2] == ["Name,Created,State", "'=HYPERLINK(1),2026-01-02T00:00:00+00:00,ready"]
    assert '"a,""b""\nc"' in text
    assert "\n-1.5," in text
    with pytest.raises(FileExistsError):
        TableWriter(tmp_path / "rows.csv", COLUMNS)
    writer = TableWriter(tmp_path / "rows.json", COLUMNS)
    writer.write(rows[:2])
    writer.write(rows[2:])
    writer.finish()
    assert [_Row(**each) for each in json.loads((tmp_path / "rows.json").read_text())] == rows
    stopped = TableWriter(tmp_path / "stopped.csv", COLUMNS)
    stopped.write(rows)
    stopped.give_up()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["rows.csv", "rows.json"]
    assert csv_text(None) == "" and csv_text(float("nan")) == "nan"


def test_texts_are_turned_into_yaml_and_searched() -> None:
    assert as_yaml('{"b": [1, null], "a": "é"}') == "b:\n- 1\n- null\na: é\n"
    with pytest.raises(ValueError):
        as_yaml("{no")
    assert occurrences("one Two\ntwo twotwo", "two") == [(0, 4), (1, 0), (1, 4), (1, 7)]
    assert occurrences("x", "") == []


def test_plain_lines_are_as_wide_as_before_and_keep_every_script() -> None:
    assert plain_text("╭─ ● Müller 模型 ▲") == "   * Müller 模型 ^"
    segments = WithoutColors().apply(
        [Segment("a", Style.parse("red on #204040")), Segment("b", Style.parse("bold #ffffff on #101010"))],
        Color(0, 0, 0),
    )
    assert [(one.style.color, one.style.bgcolor, one.style.reverse) for one in segments if one.style] == [
        (None, None, True),
        (None, None, None),
    ]
    assert segments[1].style is not None and segments[1].style.bold


def test_server_sent_events_are_put_together() -> None:
    parser = EventParser()
    lines = [":", "", "id: 1", "event: x", 'data: {"a":', "data:1}", "", "data: " + "x" * (2 << 20), "", "data: y", ""]
    assert [data for line in lines if (data := parser.line(line)) is not None] == ['{"a":\n1}', "y"]
