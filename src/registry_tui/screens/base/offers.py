"""The lines of the command box for the typed text: commands, pages, actions, visited places, and objects by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from registry_tui.contracts.matching import SPREAD, match
from registry_tui.terminal.commands import COMMANDS, Command, CommandError, Place, find_command, parse
from registry_tui.terminal.recent import Visit
from registry_tui.wording.found import place_of

if TYPE_CHECKING:
    from registry_tui.schemas.search import Found

#: Lines in the list, and visited places before anything is typed.
MOST, VISITS = 60, 8
#: Kinds of objects that a command's arguments name.
_THINGS = frozenset({"project", "registry", "model", "deployment", "experiment", "run", "environment"})
#: Kinds of lines: of equally good matches, the earlier ones come first.
_GROUPS = ("page", "command", "action")


@dataclass(frozen=True)
class Offer:
    """A line of the box: its name, and its effect when chosen."""

    kind: str
    name: str
    note: str = ""
    #: The key that does the same on the page in view.
    key: str = ""
    #: Where it goes, or the action of the page that it runs; without either, `line` is run as a command.
    place: Place | None = None
    action: str = ""
    #: The command that does the same: tab puts it into the field. One that ends with a space needs more arguments.
    line: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """Identifies the line, also in the list built after the next key."""
        if self.place is not None:
            return (self.place.kind, *(sorted(self.place.args.values()) or [self.name]))
        return ("action", self.action) if self.action else ("line", self.line)


@dataclass(frozen=True)
class Query:
    """A query to the service. Without kinds, all kinds of objects are wanted."""

    text: str
    kinds: tuple[str, ...] = ()
    project: str | None = None
    registry: str | None = None


@dataclass(frozen=True)
class Typed:
    """The parsed input: text to search for, or a command with arguments."""

    line: str
    query: Query | None
    #: The command whose argument is being typed, the arguments before it, and its position.
    command: Command | None = None
    before: tuple[str, ...] = ()

    @property
    def argument(self) -> str:
        """The argument that is being typed, as the command calls it."""
        if self.command is None:
            return ""
        return self.command.arguments[len(self.before)].strip("[]")

    @property
    def text(self) -> str:
        """The letters that names are compared with."""
        if self.command is None or self.query is not None:
            return self.query.text if self.query is not None else self.line.strip()
        return self.line.split(" ", 1)[1].strip()

    @property
    def is_whole(self) -> bool:
        """Whether it is a complete command that can be run."""
        try:
            parse(self.line)
        except CommandError:
            return False
        return True


def understood(typed: str) -> Typed:
    """Text, or a command with the argument that is being typed."""
    line = typed.lstrip().lstrip(":").lstrip()
    head, space, rest = line.partition(" ")
    command = find_command(head.lower()) if space else None
    if command is None or not command.arguments:
        text = line.strip()
        return Typed(line, Query(text) if text else None)
    *before, text = rest.lstrip().split(" ", len(command.arguments) - 1)
    typed_so_far = Typed(line, None, command, tuple(before))
    kinds = [typed_so_far.argument, _target(command)]
    if before:
        kinds = kinds[1:]
    things = tuple(dict.fromkeys(kind for kind in kinds if kind in _THINGS))
    if not things:
        return typed_so_far
    named = dict(zip(command.arguments, before, strict=False))
    query = Query(text.strip(), things, named.get("project"), named.get("registry"))
    return replace(typed_so_far, query=query)


def _target(command: Command) -> str:
    """The kind of object that a command goes to."""
    return command.arguments[-1].strip("[]")


# -- lines ------------------------------------------------------------------------------------------------


def offers_of_commands() -> list[Offer]:
    """Every command by its name and its other names; those that list something are pages."""
    found = []
    for command in COMMANDS:
        needs = any(not argument.startswith("[") for argument in command.arguments)
        words = " ".join(argument if argument.startswith("[") else argument.upper() for argument in command.arguments)
        kind = "page" if command.kind is not None and not needs else "command"
        for name in (command.name, *command.aliases):
            note = f"{words}  {command.help}" if words else command.help
            if name != command.name:
                note = f"{note} ({command.name})"
            found.append(Offer(kind, name, note, line=f"{command.name} " if needs else command.name))
    return found


def offers_of_visits(visits: Iterable[Visit]) -> list[Offer]:
    """The visited places, by the names of their objects."""
    return [Offer(visit.place.kind, visit.name, visit.where, place=visit.place) for visit in visits]


def offer_of(found: Found, typed: Typed) -> Offer:
    """An object that the service found, as a line that fits the input."""
    kind, note, name = str(found.kind), place_of(found), found.name
    command = typed.command
    if command is None:
        return Offer(kind, name, note, place=_place(found), line=_line(found))
    if kind == typed.argument and len(typed.before) + 1 < len(command.arguments):
        # One more argument follows.
        return Offer(kind, name, note, line=f"{command.name} {name} ")
    if kind == command.kind or command.kind is None:
        return Offer(kind, name, note, place=_place(found), line=_line(found))
    place = Place(command.kind, {_target(command): found.id})
    return Offer(kind, name, note, place=place, line=f"{command.name} {name}")


def _place(found: Found) -> Place:
    """Where an object is shown."""
    places: Mapping[str, Mapping[str, str | None]] = {
        "project": {"project": found.id},
        "registry": {"registry": found.id},
        "deployment": {"deployment": found.id},
        "model": {"registry": found.registry_id, "model": found.name},
        "experiment": {"project": found.project_id, "experiment": found.id},
        "run": {"project": found.project_id, "run": found.id},
    }
    if found.kind == "environment":
        return Place("environments", state={"cursor": (0, found.id)})
    return Place(str(found.kind), {name: value or "" for name, value in places[found.kind].items()})


def _line(found: Found) -> str:
    """The command that goes to an object."""
    lines = {
        "model": f"model {found.registry_name} {found.name}",
        "experiment": f"runs {found.project_name} {found.name}",
        "run": f"run {found.project_name} {found.id}",
        "environment": "environments",
    }
    return lines.get(found.kind, f"{found.kind} {found.name}")


# -- ranking ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """All possible offers: of the page in view, of the program, and of the service's responses."""

    actions: Sequence[Offer] = ()
    #: Actions that are on every page, and those that only move.
    moves: Sequence[Offer] = ()
    visits: Sequence[Offer] = ()
    themes: Sequence[str] = ()
    #: Responses by query; the latest one last.
    answers: Mapping[Query, Sequence[Found]] = field(default_factory=dict)


def offers(typed: Typed, known: Known) -> list[Offer]:
    """The lines for the input, the best first. The service's response makes them complete."""
    if typed.command is not None:
        return _of_argument(typed, known)
    commands = [
        *offers_of_commands(),
        *(Offer("command", f"theme {name}", line=f"theme {name}") for name in known.themes),
    ]
    if typed.query is None:
        plain = [offer for offer in commands if offer.name == offer.line.strip() and " " not in offer.name]
        pages = [offer for offer in plain if offer.kind == "page"]
        others = [offer for offer in plain if offer.kind != "page"]
        return _once([*known.visits[:VISITS], *known.actions, *pages, *others, *known.moves])[:MOST]
    things = _things(typed, known)
    found = _ranked(typed.text, [*commands, *known.actions, *known.moves, *known.visits], things)
    whole = typed.line.strip().lower()
    exact = [offer for offer in found if offer.kind in _GROUPS[:2] and offer.name == whole]
    return _once([*exact, *found])[:MOST]


def weak(typed: Typed, offer: Offer) -> bool:
    """Whether a better match is likely: the letters are only spread over its name."""
    found = match(typed.text, offer.name)
    return found is None or found[0] == SPREAD


def _of_argument(typed: Typed, known: Known) -> list[Offer]:
    assert typed.command is not None
    if typed.argument == "theme":
        found = _ranked(typed.text, [Offer("theme", name, line=f"theme {name}") for name in known.themes], [])
    else:
        found = _ranked(typed.text, [], _things(typed, known))
    if not typed.is_whole or not typed.line.strip():
        return _once(found)[:MOST]
    as_typed = Offer("command", typed.line.strip(), typed.command.help, line=typed.line.strip())
    if any(typed.text.lower() in (offer.name.lower(), offer.line.lower()) for offer in found):
        return _once(found)[:MOST]
    answered = typed.query is None or typed.query in known.answers
    # A complete name is obeyed, unless the service knows no object of this name.
    return _once([*found, as_typed] if answered and typed.text else [as_typed, *found])[:MOST]


def _things(typed: Typed, known: Known) -> list[tuple[Offer, bool]]:
    """Objects that were found for the input, or earlier for other letters; and whether they surely match."""
    query = typed.query
    if query is None:
        return []
    if query in known.answers:
        return [(offer_of(found, typed), True) for found in known.answers[query]]
    return [
        (offer_of(found, typed), False)
        for asked, answer in known.answers.items()
        if (asked.project, asked.registry) == (query.project, query.registry)
        for found in answer
        if not query.kinds or found.kind in query.kinds
    ]


def _ranked(text: str, offers: Iterable[Offer], things: Iterable[tuple[Offer, bool]]) -> list[Offer]:
    ranked: list[tuple[tuple[int, int], int, int, Offer]] = []
    for offer, surely in [*((each, False) for each in offers), *things]:
        found = match(text, offer.name)
        if found is None and not surely:
            continue
        rank = (0, 0) if found is None else found[:2]
        group = _GROUPS.index(offer.kind) if offer.kind in _GROUPS else len(_GROUPS)
        ranked.append((rank, group, len(ranked), offer))
    return [offer for *_, offer in sorted(ranked, key=lambda entry: entry[:3])]


def _once(offers: Iterable[Offer]) -> list[Offer]:
    """Each line once: a page by its best name, an object as a visited place if it is one."""
    found: dict[tuple[str, ...], Offer] = {}
    for offer in offers:
        found.setdefault(offer.identity, offer)
    return list(found.values())
