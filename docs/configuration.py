"""`python docs/configuration.py > docs/configuration.md`: every setting and key, from the code itself."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from types import ModuleType
from typing import Any

import registry_tui.service.settings
import registry_tui.terminal.preferences
from registry_tui.service.settings import PREFIX, Settings
from registry_tui.terminal.action import Action, key_shown
from registry_tui.terminal.actions import ALL
from registry_tui.terminal.preferences import BUILT_IN_THEMES, COLORS, Terminal

_HEAD = """\
# Configuration

Settings are in `config.toml` in the platform's home (`registry-tui status` says where that is). Each setting of
`[terminal]` and `[service]` can also be given as an environment variable, which wins. A wrong setting of the terminal
program is reported when it opens, and its default is taken; the service does not start with one.

The terminal program reads the file again when it changes: themes, keys, images and notifications change at once,
`plain`, `frame_rate`, `mouse` and `links` with the next start. When something is newly wrong in the file, the program
says what, and all stays as it was.

```toml
[terminal]
theme = "light"
start = "models"

[keys]
help = ["f1", "?"]          # everywhere
models.delete = "ctrl+x"    # on one screen

[themes.evening]
dark = true
primary = "#d08770"
background = "#1b1b22"

[service]
workflow_threads = 4
```
"""

_AFTER_TERMINAL = """
`NO_COLOR`, and a terminal without colours (`vt100`, `xterm-mono`), take away every colour; what stands out is reversed.
`TERM=dumb` cannot show the program. Over SSH (`SSH_CONNECTION`) fewer frames are drawn by themselves; nothing is ever
animated. `registry-tui --plain` is `plain = true` for once: a screen reader meets no frames and no glyphs, and every
state as a word.

Copying uses the terminal's clipboard (OSC 52), which not every terminal allows: what was copied is shown, too. Inside
tmux a copy also is in tmux's newest buffer (`prefix ]`); over SSH tmux needs `set -g set-clipboard on`. GNU screen
passes copies on by itself. At most 74 KB are copied. Notifications reach the terminal around tmux with
`set -g allow-passthrough on`, and tmux tells who has the focus with `set -g focus-events on`. iTerm2 is not asked to
report all keys, since dead keys and input methods are lost then; `TEXTUAL_DISABLE_KITTY_KEY=1` does so elsewhere.
"""

_ELSEWHERE = """
The OpenID provider where people sign in is not a setting of this file: `registry-tui oidc set` tries it and names it
while the platform works, see [the commands](cli.md)."""

_KEYS = """
## `[keys]`
An action's name with a key, or a list of keys; `SCREEN.ACTION` for one screen alone. Keys are characters (`x`, `?`),
names (`enter`, `escape`, `tab`, `space`, `f1` … `f24`, `home`, `pgup` …), and these with `ctrl+`, `shift+` or `alt+`.
A key that already means something else on the screen is refused, with a message. Status line, `?` and command box
show the keys as they are."""


def _comments(module: ModuleType, name: str) -> dict[str, str]:
    """The `#:` comments above the fields of a class; fields that follow without one share it."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    body = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name).body
    found, text = {}, ""
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above: list[str] = []
            at = node.lineno - 2
            while lines[at].strip().startswith("#:"):
                above.insert(0, lines[at].strip().removeprefix("#:").strip())
                at -= 1
            text = " ".join(above) or text
            found[node.target.id] = text
    return found


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{each}"' for each in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _rows(defaults: dict[str, Any], told: dict[str, str]) -> list[str]:
    rows = ["| setting | default | variable | |", "|---|---|---|---|"]
    return rows + [
        f"| `{name}` | {_value(default)} | `{PREFIX}{name.upper()}` | {told[name]} |"
        for name, default in defaults.items()
    ]


def _keys(actions: tuple[Action, ...]) -> list[str]:
    return [
        "| action | key | |",
        "|---|---|---|",
        *(f"| `{each.id}` | `{key_shown(each.key)}` | {each.help.replace('|', '&#124;')} |" for each in actions),
    ]


def render() -> str:
    """The whole page."""
    terminal = {each.name: each.default for each in fields(Terminal)}
    service = {name: field.default for name, field in Settings.model_fields.items()}
    lines = [_HEAD, "## `[terminal]`", *_rows(terminal, _comments(registry_tui.terminal.preferences, "Terminal"))]
    lines += [_AFTER_TERMINAL, "## `[themes.NAME]`"]
    themes, colors = (", ".join(f"`{name}`" for name in names) for names in (BUILT_IN_THEMES, COLORS))
    lines += [
        f"There are {themes} already; `:theme NAME` takes one until the end.",
        f'A theme of your own has `dark` (true or false), and colours as `"#rrggbb"`: {colors}.',
        "Those that are left out are the ones of `dark` or `light`.",
        "",
        "## `[service]`",
        *_rows(service, _comments(registry_tui.service.settings, "Settings")),
        _ELSEWHERE,
        _KEYS,
    ]
    for screen, actions in ALL.items():
        lines += ["", f"### {screen}", *_keys(actions)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(render(), end="")
