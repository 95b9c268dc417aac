"""The command line's reference, generated from the commands: `python -m registry_tui.cli.reference > docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from typer.main import get_command

from registry_tui.cli.main import app

_INTRODUCTION = """\
# The command line

`registry-tui` alone opens the terminal program; `registry-tui NOUN VERB` does one thing and ends.
This page is made from the commands, by `python -m registry_tui.cli.reference > docs/cli.md`; a test keeps it so.

- Data goes to stdout, messages, progress and questions to stderr. `--json` prints JSON: one object, or for lists
  an array that is written page by page. Into a pipe, tables are never cut.
- Names or IDs are accepted wherever something is named; an ambiguous name is an error that lists the candidates.
- `NO_COLOR` turns the bold titles of tables off. Control characters in texts of others are shown, never obeyed.
- Questions are asked only where a terminal can answer; otherwise `--yes` has to be given.
- A command that may have been carried out although it failed (no answer in time, a lost connection) can be repeated
  safely with `registry-tui --idempotency-key KEY NOUN VERB …`: the second time it gets the first one's answer.
- Interrupting a command that waits leaves the work going on: `registry-tui workflows wait ID` finds it again.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed: stderr has the error, what to do, and the request ID |
| 2 | wrong usage |
| 130 | interrupted |

| variable | meaning |
|---|---|
| `REGISTRY_TUI_HOME` | the platform's home, as `--data-dir` |
| `REGISTRY_TUI_USER` | act as this user, as `--user` |
| `REGISTRY_TUI_PROJECT` | default of `--project` |
| `REGISTRY_TUI_REGISTRY` | default of `--registry` |
| `NO_COLOR` | no bold titles |

Completion of commands, options and names: `registry-tui completion bash`, `zsh` or `fish` prints the script.
"""


def render() -> str:
    """The whole page as Markdown."""
    root = get_command(app)
    parts = [_INTRODUCTION, "## Options of every command\n", *_parameters(root)]
    for name in root.list_commands(None):  # type: ignore[attr-defined]
        command = root.get_command(None, name)  # type: ignore[attr-defined]
        parts += _command(command, name, level=2)
    return "\n".join(parts)


def _command(command: Any, path: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} {path}\n"
    yield f"{_help(command.help)}\n"
    if subcommands := getattr(command, "commands", None):
        for name, each in subcommands.items():
            yield from _command(each, f"{path} {name}", level + 1)
        return
    arguments = (each for each in command.params if each.param_type_name == "argument")
    shown = " ".join(_metavar(each) for each in arguments)
    yield f"```\nregistry-tui {path}{f' {shown}' if shown else ''} [OPTIONS]\n```\n"
    yield from _parameters(command)


def _metavar(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper()
    return name if argument.required else f"[{name}]"


def _parameters(command: Any) -> Iterator[str]:
    rows = []
    for each in command.params:
        if each.name in ("help", "install_completion", "show_completion") or getattr(each, "hidden", False):
            continue
        names = ", ".join(f"`{name}`" for name in [*each.opts, *each.secondary_opts])
        if each.param_type_name == "argument":
            names = f"`{_metavar(each)}`"
        notes = [each.help or ""]
        kind = getattr(each, "bare_type", None)
        if isinstance(kind, type) and issubclass(kind, Enum):
            notes.append(f"One of {', '.join(str(choice.value) for choice in kind)}.")
        if each.required and each.param_type_name == "option":
            notes.append("Required.")
        text = " ".join(note for note in notes if note).replace("|", "\\|")
        rows.append(f"| {names} | {text} |")
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows, ""])


def _help(text: str | None) -> str:
    """A command's help; its example becomes code."""
    paragraphs = (text or "").strip().split("\n\n")
    shown = []
    for each in paragraphs:
        joined = " ".join(line.strip() for line in each.splitlines())
        shown.append(f"Example: `{joined.removeprefix('Example: ')}`" if joined.startswith("Example: ") else joined)
    return "\n\n".join(shown)


if __name__ == "__main__":
    print(render(), end="")
