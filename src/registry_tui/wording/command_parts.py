"""The parts of requests' commands: words with their arguments and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Options with their values; None: an option that takes none.
Options = Sequence[tuple[str, Any]]
Line = list[str]
#: The parts that match the stars of an address; the body's fields, or the query.
Names = tuple[str, ...]
Body = dict[str, Any]
Make = Callable[[Names, Body, Body], list[Line]]
YES = ("--yes", True)


def simple(words: str, *options: tuple[str, Any]) -> Make:
    """A command whose arguments are the address's names."""
    return lambda names, query, body: [line(words, names, options)]


class NoCommand(Exception):
    """No command line does this; the message has the reason."""


def line(words: str, arguments: Sequence[Any] = (), options: Options = ()) -> Line:
    """A command with its arguments and options, of which those without a value are left out."""
    made = words.split()
    for name, value in options:
        if value is True:
            made.append(name)
        elif value is not None and value is not False:
            text = str(value)
            # A value that begins with a hyphen would be read as another option.
            made += [f"{name}={text}"] if text.startswith("-") else [name, text]
    given = [str(each) for each in arguments if each is not None]
    return [*made, *(["--"] if any(each.startswith("-") for each in given) else []), *given]


def tagged(tags: Sequence[Mapping[str, str]]) -> Options:
    """The options that set tags. Raises NoCommand."""
    if any("=" in each["key"] for each in tags):
        raise NoCommand("a tag's key holds a “=”, which the command line takes for its end")
    return [("--tag", f"{each['key']}={each['value']}") for each in tags]


def switch(name: str, value: bool | None, usual: bool | None = None) -> Options:
    """The option for a yes or no, none where it is not given or as usual."""
    return [] if value is None or value is usual else [(f"--{'' if value else 'no-'}{name}", True)]
