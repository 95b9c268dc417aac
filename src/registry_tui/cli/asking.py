"""Questions to the user at the terminal: the only place that reads typed input, and only from an interactive
terminal."""

from __future__ import annotations

import sys

import typer


def possible() -> bool:
    """Whether the user can answer: questions are written to stderr, and answers read from standard input."""
    return bool(sys.stdin and sys.stderr and sys.stdin.isatty() and sys.stderr.isatty())


def yes(question: str, *, default: bool = False) -> bool:
    """Asks for yes or no. Raises Abort when input ends."""
    return typer.confirm(question, default=default, err=True)


def secret(question: str, option: str, instead: str = "", *, twice: bool = False) -> str:
    """Asks for a secret, which is not shown as it is typed; `twice` to confirm a new one.

    Raises BadParameter without an interactive terminal; the message names `option`, and the alternative `instead`.
    """
    if not possible():
        raise typer.BadParameter(f"nobody can be asked here: give it{instead}", param_hint=option)
    return str(typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))
