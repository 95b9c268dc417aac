"""Groups of commands: their lists have the whole first sentence of each, and wrong usage gets a plain message.

The help has the bounds of numbers in words.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

#: Longer than every first sentence: the formatter wraps it, where Typer would cut it off.
_WHOLE = 10_000


#: Other names under which people know a command.
_MEANT = {
    **dict.fromkeys(("sign-in", "signin", "sign_in", "log-in", "auth"), ("login",)),
    **dict.fromkeys(("sign-out", "signout", "sign_out", "log-out"), ("logout",)),
    **dict.fromkeys(("start", "run", "serve"), ("up",)),
    **dict.fromkeys(("stop", "shutdown"), ("down",)),
    **dict.fromkeys(("rm", "remove"), ("delete", "remove")),
    **dict.fromkeys(("add", "new", "make"), ("create", "add")),
    **dict.fromkeys(("ls", "all"), ("list",)),
    **dict.fromkeys(("get", "describe", "info", "cat"), ("show",)),
}


def bounded(command: Any) -> Any:
    """A command whose help names the bounds of numbers, in place of Typer's `int range` and `x>=1`."""
    for each in getattr(command, "params", ()):
        if not isinstance(each, TyperOption | TyperArgument) or not (bounds := _bounds(each.min, each.max)):
            continue
        each.min = each.max = None  # they are for the help alone: the parameter's annotation is checked
        if each.metavar is None:
            each.display_type = partial(_type_with, bounds)  # type: ignore[method-assign]
        else:
            each.help = f"{each.help}  [{bounds}]"
    return command


def _bounds(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"{least} or more"
    return f"at most {most}" if least is None else f"{least} to {most}"


def _type_with(bounds: str, _: Any) -> str:
    return f"<{bounds}>"


class CommandGroup(TyperGroup):
    """The common behaviour of all groups of commands."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of the group; None when the name is unknown."""
        return bounded(super().get_command(ctx, cmd_name))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Lists the commands, each with the first sentence of its help."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, each.get_short_help_str(_WHOLE)) for name, each in found if each and not each.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Finds the command by name; for an unknown one, suggests similar names."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            meant = [name for name in _MEANT.get(args[0].lower(), ()) if name in known]
            like = meant or get_close_matches(args[0], known)
            ctx.fail(f"There is no command {args[0]!r}" + (f": did you mean {' or '.join(like)}?" if like else ""))
        found: tuple[str | None, Any, list[str]] = super().resolve_command(ctx, args)
        return found

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. An invalid value gets our own message, not that of Typer's schema."""
        from pydantic import ValidationError

        from registry_tui.wording.mistakes import said

        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if isinstance(error.__cause__, ValidationError) and error.param is not None:
                error.message = said(error.__cause__.errors()[0])
            raise
