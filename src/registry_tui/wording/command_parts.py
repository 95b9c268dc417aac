"""What the commands of requests are made of: words with their arguments and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

#: Options with their values; None: an option that takes none.
Options = Sequence[tuple[str, Any]]
Line = list[str]
#: What stands for the stars of an address; the body's fields, or the query.
Names = tuple[str, ...]
Body = dict[str, Any]
Make = Callable[[Names, Body, Body], list[Line]]
YES = ("--yes", True)


def simple(words: str, *options: tuple[str, Any]) -> Make:
    """A command whose arguments are the address' names."""
    return lambda names, query, body: [line(words, names, options)]


class NoCommand(Exception):
    """No command line does this; the message says why."""


def line(words: str, arguments: Sequence[Any] = (), options: Options = ()) -> Line:
    """A command with its arguments and options, of which those without a value are left out."""
    made = words.split()
    for name, value in options:
        if value is True:
            made.append(name)
        elif value is not None and value is not False:
            text = str(value)
            # What begins with a hyphen would be read as another option.
            made += [f"{name}={text}"] if text.startswith("-") else [name, text]
    given = [str(each) for each in arguments if each is not None]
    return [*made, *(["--"] if any(each.startswith("-") for each in given) else []), *given]
