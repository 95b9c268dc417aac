"""The terminal program's settings: `[terminal]`, `[keys]` and `[themes]` of `config.toml`, read before the first paint.

Only the standard library is imported. A wrong setting is reported in plain words and left at its default, so that a
typing mistake locks nobody out of the program. docs/configuration.md describes every setting.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from registry_tui.platform.paths import Home
from registry_tui.terminal.action import Action, key_shown
from registry_tui.terminal.actions import ALL, EVERYWHERE, SECTIONS
from registry_tui.terminal.commands import PLAIN_PLACES
from registry_tui.terminal.links import can_link
from registry_tui.terminal.presets import PRESETS, Preset, with_preset

#: Ways to show images: by the terminal's name, or always the same.
IMAGES = ("auto", "kitty", "sixel", "blocks")
#: How the program reports the end of the user's own work while the terminal has no focus.
NOTIFY = ("auto", "osc", "bell", "off")
BUILT_IN_THEMES = ("dark", "light", "high-contrast", "monochrome")
#: Colours of a user's theme; those left out are taken from the built-in theme that `dark` chooses.
COLORS = ("primary", "accent", "foreground", "background", "surface", "panel", "success", "warning", "error")
#: Maximum frames a second: on this machine, and over SSH.
FRAMES, FRAMES_OVER_SSH = 60, 15
#: Keys that have a name rather than a character, in Textual's words.
NAMED_KEYS = frozenset(
    {
        *("enter", "escape", "tab", "space", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown"),
        *("up", "down", "left", "right"),
        *(f"f{number}" for number in range(1, 25)),
    }
)
#: Patterns that few settings need: compiled on first use, not before the first paint.
_MODIFIED = r"((?:ctrl|shift|alt)\+)+(.+)"
_COLOR = r"#[0-9a-fA-F]{6}"
_NAME = r"[a-z0-9][a-z0-9-]{0,30}"


@dataclass(frozen=True)
class UserTheme:
    """Colours (#rrggbb) of a user's theme."""

    name: str
    dark: bool
    colors: Mapping[str, str]


@dataclass(frozen=True)
class Terminal:
    """The settings of `[terminal]`, or as `REGISTRY_TUI_<NAME>`."""

    #: One of the themes below, or one of your own.
    theme: str = "dark"
    #: No box drawing, no glyph without a word.
    plain: bool = False
    #: Frames a second at most; 0: 60, and 15 over SSH.
    frame_rate: int = 0
    #: Whether mouse reports are enabled; without them the terminal's own selection works.
    mouse: bool = True
    #: Images: `auto` (by the terminal's name), `kitty`'s protocol, `sixel`, or half `blocks`.
    images: str = "auto"
    #: The place to start at, as after `:`, when none is remembered.
    start: str = "registries"
    #: Whether the program starts where it was left.
    remember: bool = True
    #: Whether addresses are links, in the terminal program and in tables of the command line, where the terminal can.
    links: bool = True
    #: When work that you started ends while the terminal has no focus: `osc` for the terminal's notification, `bell`,
    #: `off`, or `auto` for the notification where the terminal is known to show it.
    notify: str = "auto"
    #: The set of keys: `default` or `vim` ([keys.md](keys.md) has both). Keys of your own, below, go before it.
    keymap: str = "default"


@dataclass(frozen=True)
class Preferences:
    """All settings of the terminal program, and the problems with rejected ones."""

    terminal: Terminal = Terminal()
    themes: tuple[UserTheme, ...] = ()
    #: Kind of screen to its actions with the user's own keys (Textual's names, comma-separated).
    keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    #: Colours are not wanted or not available (NO_COLOR, a monochrome terminal).
    colorless: bool = False
    over_ssh: bool = False
    #: The terminal does not support links.
    linkless: bool = False

    def keymap(self, kind: str) -> dict[str, str]:
        """The keys that differ from the usual ones on a kind of screen, in lists and boxes, by their bindings' IDs."""
        # Textual is imported after the settings are read.
        from registry_tui.terminal.keys import box_keymap

        return {**self.preset.lists, **box_keymap(self.preset), **self.keys.get(kind, {})}

    @property
    def links(self) -> bool:
        """Whether addresses are links."""
        return self.terminal.links and not self.linkless

    @property
    def preset(self) -> Preset:
        """The chosen set of keys."""
        return PRESETS[self.terminal.keymap]

    @property
    def frame_rate(self) -> int:
        """Maximum frames a second."""
        return self.terminal.frame_rate or (FRAMES_OVER_SSH if self.over_ssh else FRAMES)

    @property
    def theme_names(self) -> tuple[str, ...]:
        """The themes to choose from."""
        return (*BUILT_IN_THEMES, *(theme.name for theme in self.themes))


class PreferencesFile:
    """A home's settings, and whether their file has changed since they were read."""

    def __init__(self, home: Home, environment: Mapping[str, str]) -> None:
        self._home = home
        # The program changes its own environment.
        self._environment = dict(environment)
        self._read = self._seen = self._stamp()

    def load(self) -> Preferences:
        """The current settings. Never raises: mistakes are in `problems`."""
        self._read = self._seen = self._stamp()
        return load_preferences(self._home, self._environment)

    def changed(self) -> bool:
        """Whether the file differs from the one that was read, and has been written completely: two checks find it
        equal."""
        before, self._seen = self._seen, self._stamp()
        return self._seen == before and self._seen != self._read

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._home.config_file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def load_preferences(home: Home, environment: Mapping[str, str] = os.environ) -> Preferences:
    """This home's settings with the environment's. Never raises: mistakes are in `problems`."""
    tables, problems = _read(home)
    themes = _themes(_table(tables, "themes", problems), problems)
    terminal = _terminal(_table(tables, "terminal", problems), environment, problems)
    known = (*BUILT_IN_THEMES, *(theme.name for theme in themes))
    if terminal.theme not in known:
        problems.append(f"terminal.theme: there is no theme {terminal.theme!r}; there are {', '.join(known)}")
        terminal = _replaced(terminal, "theme", Terminal.theme)
    return Preferences(
        terminal=terminal,
        themes=themes,
        keys=_keys(_table(tables, "keys", problems), PRESETS[terminal.keymap], problems),
        problems=tuple(problems),
        colorless=bool(environment.get("NO_COLOR")) or _monochrome(environment.get("TERM", "")),
        linkless=not can_link(environment),
        over_ssh="SSH_CONNECTION" in environment or "SSH_TTY" in environment,
    )


def _read(home: Home) -> tuple[dict[str, Any], list[str]]:
    path = home.config_file
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{path} cannot be read: {error}"]
    # Only imported where there are settings.
    import tomllib

    try:
        return tomllib.loads(text), []
    except tomllib.TOMLDecodeError as error:
        return {}, [f"{path} is not valid TOML: {error}"]


def _table(tables: Mapping[str, Any], name: str, problems: list[str]) -> Mapping[str, Any]:
    found = tables.get(name, {})
    if isinstance(found, Mapping):
        return found
    problems.append(f"{name}: write a table, [{name}]")
    return {}


def _replaced(terminal: Terminal, name: str, value: Any) -> Terminal:
    return Terminal(
        **{each.name: value if each.name == name else getattr(terminal, each.name) for each in fields(Terminal)}
    )


# -- [terminal] ---------------------------------------------------------------------------------------


def _terminal(table: Mapping[str, Any], environment: Mapping[str, str], problems: list[str]) -> Terminal:
    chosen: dict[str, Any] = {}
    kinds = {each.name: type(each.default) for each in fields(Terminal)}
    for name, value in table.items():
        if name not in kinds:
            problems.append(f"terminal.{name}: there is no such setting; there are {', '.join(kinds)}")
        elif (why := _wrong(name, kinds[name], value)) is not None:
            problems.append(f"terminal.{name}: {why}")
        else:
            chosen[name] = value
    for name, kind in kinds.items():
        variable = f"REGISTRY_TUI_{name.upper()}"
        if (raw := environment.get(variable)) is None:
            continue
        value = _from_text(kind, raw)
        if (why := _wrong(name, kind, value)) is not None:
            problems.append(f"{variable}: {why}")
        else:
            chosen[name] = value
    return Terminal(**chosen)


def _from_text(kind: type[Any], raw: str) -> Any:
    if kind is bool:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}.get(
            raw.lower()
        )
    if kind is int:
        return int(raw) if raw.isdigit() else None
    return raw


def _wrong(name: str, kind: type[Any], value: Any) -> str | None:
    """Why a value is not valid."""
    if type(value) is not kind:
        return {bool: "write true or false", int: "write a number", str: "write a text in quotes"}[kind]
    if name == "frame_rate" and not 0 <= int(value) <= 120:
        return "write a number from 0 (by itself) to 120"
    if name == "images" and value not in IMAGES:
        return f"write one of {', '.join(IMAGES)}"
    if name == "notify" and value not in NOTIFY:
        return f"write one of {', '.join(NOTIFY)}"
    if name == "keymap" and value not in PRESETS:
        return f"write one of {', '.join(PRESETS)}"
    if name == "start" and value not in PLAIN_PLACES:
        return f"there is no place {value!r} to start at; there are {', '.join(PLAIN_PLACES)}"
    return None


def _monochrome(term: str) -> bool:
    """Terminals without colours, by terminfo's naming: `vt100`, `xterm-mono`, `xterm-m`."""
    return term in ("vt100", "vt102", "vt220", "vt320") or term.endswith(("-m", "-mono"))


# -- [themes.NAME] ------------------------------------------------------------------------------------


def _themes(table: Mapping[str, Any], problems: list[str]) -> tuple[UserTheme, ...]:
    found = []
    for name, values in table.items():
        where = f"themes.{name}"
        if not re.fullmatch(_NAME, name) or name in BUILT_IN_THEMES:
            problems.append(f"{where}: choose another name, of small letters, digits and hyphens")
        elif not isinstance(values, Mapping):
            problems.append(f"{where}: write a table, [{where}]")
        else:
            found.append(_theme(name, values, problems))
    return tuple(found)


def _theme(name: str, values: Mapping[str, Any], problems: list[str]) -> UserTheme:
    colors = {}
    dark = values.get("dark", True)
    if not isinstance(dark, bool):
        problems.append(f"themes.{name}.dark: write true or false")
        dark = True
    for key, value in values.items():
        if key == "dark":
            continue
        if key not in COLORS:
            problems.append(f"themes.{name}.{key}: there is no such colour; there are {', '.join(COLORS)}")
        elif not isinstance(value, str) or not re.fullmatch(_COLOR, value):
            problems.append(f"themes.{name}.{key}: write a colour as “#5fb3b3”")
        else:
            colors[key] = value
    return UserTheme(name, dark, colors)


# -- [keys] -------------------------------------------------------------------------------------------


def _keys(table: Mapping[str, Any], preset: Preset, problems: list[str]) -> dict[str, dict[str, str]]:
    """Keys by kind of screen, where they are not the usual ones.

    `help = "f1"` is for every screen with that action, `models.delete = "x"` for one.
    """
    general: dict[str, str] = {}
    special: dict[tuple[str, str], str] = {}
    everyone = {action.id for actions in ALL.values() for action in actions}
    for name, value in _flat(table):
        screen, _, action = name.rpartition(".")
        if screen and screen not in ALL:
            problems.append(f"keys.{name}: there is no screen {screen!r}; there are {', '.join(ALL)}")
        elif action not in (everyone if not screen else {each.id for each in _actions_of(screen)}):
            where = f" on the screen {screen}" if screen else ""
            problems.append(f"keys.{name}: there is no action {action!r}{where}; see docs/configuration.md")
        elif isinstance(parsed := _parse_keys(value), str):
            if screen and screen != "everywhere":
                special[screen, action] = parsed
            else:
                general[action] = parsed
        else:
            problems.append(f"keys.{name}: {parsed[0]}")
    screens = [screen for screen in ALL if screen != "everywhere"]
    return {screen: keys for screen in screens if (keys := _of_screen(screen, preset, general, special, problems))}


def _of_screen(
    screen: str,
    preset: Preset,
    general: Mapping[str, str],
    special: Mapping[tuple[str, str], str],
    problems: list[str],
) -> dict[str, str]:
    """The keys that differ on a screen. One that already has another meaning there is reported, and not changed."""
    usual = _actions_of(screen)
    actions = {action.id: action.key for action in with_preset(usual, preset)}
    moves = {key for keys in preset.lists.values() for key in keys.split(",")}
    moves -= {key for keys in actions.values() for key in keys.split(",")}
    chosen = {action.id: actions[action.id] for action in usual if actions[action.id] != action.key}
    asked = {id_: keys for id_ in actions if (keys := special.get((screen, id_), general.get(id_))) is not None}
    while asked:
        taken: dict[str, str] = {number: f"section {word}" for number, _, word in SECTIONS}
        taken |= dict.fromkeys(moves, "moving in lists")
        clash = None
        # Unchanged actions get their keys first.
        for id_, default in sorted(actions.items(), key=lambda item: item[0] in asked):
            for key in asked.get(id_, default).split(","):
                if key in taken:
                    clash = (id_, key, taken[key])
                taken.setdefault(key, id_)
        if clash is None or clash[0] not in asked:
            break
        id_, key, other = clash
        stays = key_shown(actions[id_])
        problems.append(f"keys.{id_}: {key_shown(key)} is {other} on the screen {screen} already; it stays {stays}")
        del asked[id_]
    return chosen | asked


def _actions_of(screen: str) -> list[Action]:
    own = ALL[screen]
    return [*own, *(EVERYWHERE if screen != "everywhere" else ())]


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """`models.delete = …` is a table in TOML; `"models.delete" = …` is not. Both have the same meaning."""
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return found


def _parse_keys(value: Any) -> str | tuple[str]:
    """Keys as Textual names them, comma-separated; for a mistake, a tuple with its description."""
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(each, str) and each for each in listed):
        return ("write a key in quotes, or a list of them",)
    keys = []
    for each in listed:
        if (key := _key(each)) is None:
            return (f"there is no key {each!r}; write a character, f1, enter, ctrl+x …",)
        keys.append(key)
    return ",".join(dict.fromkeys(keys))


def _key(text: str) -> str | None:
    """A key in Textual's words: a character, a named key, or one of these with ctrl, shift or alt."""
    if len(text) == 1:
        return _character(text) if text.isprintable() and text != " " else None
    lowered = text.lower()
    known = {"esc": "escape", "del": "delete", "pgup": "pageup", "pgdn": "pagedown", "return": "enter"}
    lowered = known.get(lowered, lowered)
    if lowered in NAMED_KEYS:
        return lowered
    if (modified := re.fullmatch(_MODIFIED, lowered)) and (base := _key(modified[2])) is not None:
        return lowered[: modified.start(2)] + base
    names = {action.key for actions in ALL.values() for action in actions}
    return text if text in names else None


def _character(character: str) -> str:
    """Textual's name of a character's key: letters and digits are themselves, others have their Unicode name."""
    if character.isalnum() and character.isascii():
        return character
    import unicodedata

    name = unicodedata.name(character, "").replace("-", "_").replace(" ", "_").lower()
    # Textual's own short names.
    short = {"solidus": "slash", "reverse_solidus": "backslash", "commercial_at": "at", "hyphen_minus": "minus"}
    short |= {"plus_sign": "plus", "low_line": "underscore"}
    return short.get(name, name) or character
