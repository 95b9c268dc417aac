"""The command box's offers for a typed text, and their order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from registry_tui.schemas.search import Found
from registry_tui.screens.base.offers import Known, Offer, Query, offers, offers_of_visits, understood, weak
from registry_tui.terminal.commands import COMMANDS, Place
from registry_tui.terminal.recent import Visit

ACTIONS = (Offer("action", "Create", "make one", "n", action="create"), Offer("action", "Model", action="model"))
WHERE = {"project_id": "p-1", "project_name": "wine", "registry_id": "r-1", "registry_name": "main"}


def found(kind: str, name: str, id_: str = "id-1") -> Found:
    fields = {"id": id_, "name": name, "experiment_id": "7", "experiment_name": "sweep", **WHERE}
    return Found.model_validate({"kind": kind, **fields})


def lines(typed: str, *answer: Found, known: Known | None = None, query: Query | None = None) -> Sequence[Offer]:
    text = understood(typed)
    asked = query or text.query
    answers = {} if asked is None else {asked: answer}
    base = known or Known(ACTIONS, themes=("dark", "light"))
    return offers(text, Known(base.actions, base.moves, base.visits, base.themes, answers))


def shown(found: Sequence[Offer]) -> list[tuple[str, str]]:
    return [(offer.kind, offer.name) for offer in found]


@pytest.mark.parametrize("name", [name for command in COMMANDS for name in (command.name, *command.aliases)])
def test_a_command_that_is_typed_whole_is_first_whatever_else_is_found(name: str) -> None:
    command = next(each for each in COMMANDS if name in (each.name, *each.aliases))
    first = lines(name, found("model", name), found("run", f"{name}-1"))[0]
    assert first.line.strip() == command.name
    assert first.line.endswith(" ") == any(not argument.startswith("[") for argument in command.arguments)


def test_letters_find_commands_pages_actions_and_things_the_best_first() -> None:
    answer = [found("model", "mode-of-travel", "a"), found("run", "mode", "b"), found("project", "my-own-demo", "c")]
    assert shown(lines("mode", *answer))[:5] == [
        ("run", "mode"),
        ("page", "models"),
        ("command", "model"),
        ("action", "Model"),
        ("model", "mode-of-travel"),
    ]
    assert shown(lines("mode", *answer))[-1] == ("project", "my-own-demo")


def test_what_the_service_found_by_its_id_is_listed_too() -> None:
    [first] = lines("8a2f61", found("run", "baseline", "8a2f61d0"))
    assert first.place == Place("run", {"project": "p-1", "run": "8a2f61d0"})


def test_ranger_completes_environments_and_goes_to_their_policies() -> None:
    assert understood("ranger dem").query == Query("dem", ("environment",))
    [first, *_] = lines("ranger dem", found("environment", "demo-aws", "e-1"))
    assert first.place == Place("policies", {"environment": "e-1"}) and first.line == "ranger demo-aws"


def test_things_found_for_other_letters_are_kept_while_they_match() -> None:
    earlier = [found("model", "wine-quality", "a"), found("model", "whisky", "b")]
    assert shown(lines("wiq", *earlier, query=Query("wi"))) == [("model", "wine-quality")]
    assert not lines("project wiq", *earlier, query=Query("wi"))[1:]


@pytest.mark.parametrize(
    ("kind", "place", "line"),
    [
        ("project", Place("project", {"project": "id-1"}), "project x"),
        ("registry", Place("registry", {"registry": "id-1"}), "registry x"),
        ("deployment", Place("deployment", {"deployment": "id-1"}), "deployment x"),
        ("model", Place("model", {"registry": "r-1", "model": "x"}), "model main x"),
        ("experiment", Place("experiment", {"project": "p-1", "experiment": "id-1"}), "runs wine x"),
        ("run", Place("run", {"project": "p-1", "run": "id-1"}), "run wine id-1"),
        ("environment", Place("environments"), "environments"),
    ],
)
def test_a_thing_leads_to_its_page_and_names_the_command_for_it(kind: str, place: Place, line: str) -> None:
    [offer] = [each for each in lines("x", found(kind, "x")) if each.kind == kind and each.name == "x"]
    assert (offer.place, offer.line) == (place, line)
    assert understood(line).is_whole


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("", None),
        ("  ", None),
        (":wine", Query("wine")),
        ("wine quality", Query("wine quality")),
        ("project ", Query("", ("project",))),
        ("proj wi", Query("wi", ("project",))),
        ("models wi", Query("wi", ("registry",))),
        ("model wi", Query("wi", ("registry", "model"))),
        ("model main wi q", Query("wi q", ("model",), registry="main")),
        ("runs wine sw", Query("sw", ("experiment",), project="wine")),
        ("run wine 8a", Query("8a", ("run",), project="wine")),
        ("theme d", None),
        ("workflow 7", None),
        ("quit now", Query("quit now")),
    ],
)
def test_words_behind_a_command_narrow_the_question(typed: str, query: Query | None) -> None:
    assert understood(typed).query == query


def test_words_behind_a_command_are_completed_one_after_the_other() -> None:
    [registry, model] = lines("model m", found("registry", "main"), found("model", "merlot"))
    assert (registry.line, registry.place) == ("model main ", None)
    assert model.place == Place("model", {"registry": "r-1", "model": "merlot"})
    [only] = lines("models ma", found("registry", "main"))[:1]
    assert (only.place, only.line) == (Place("models", {"registry": "id-1"}), "models main")
    assert shown(lines("theme l"))[0] == ("theme", "light")


def test_a_command_typed_whole_with_its_words_is_obeyed_as_typed_until_nothing_has_that_name() -> None:
    typed = understood("project wi")
    as_typed = ("command", "project wi")
    assert shown(offers(typed, Known())) == [as_typed]
    assert shown(lines("project wi", found("project", "wine"))) == [("project", "wine"), as_typed]
    assert shown(lines("project wine", found("project", "wine"))) == [("project", "wine")]
    assert shown(lines("project wi")) == [as_typed]


def test_before_anything_is_typed_the_visited_places_come_first_then_what_can_be_done_here() -> None:
    visits = [Visit(Place("project", {"project": str(number)}), f"p-{number}") for number in range(12)]
    known = Known(ACTIONS, (Offer("action", "Back", action="back"),), offers_of_visits(visits), ("dark",))
    found = shown(lines("", known=known))
    assert found[:8] == [("project", f"p-{number}") for number in range(8)]
    assert found[8:10] == [("action", "Create"), ("action", "Model")]
    assert found[10] == ("page", "registries") and found[-1] == ("action", "Back")
    # Later ones are found by their letters.
    assert ("project", "p-11") in shown(lines("p-11", known=known))


def test_a_visited_thing_is_listed_once() -> None:
    visits = offers_of_visits([Visit(Place("project", {"project": "id-1"}), "wine", "Projects")])
    assert shown(lines("wine", found("project", "wine"), known=Known(visits=visits))).count(("project", "wine")) == 1


def test_a_match_of_letters_far_apart_is_weak() -> None:
    assert weak(understood("wq"), Offer("model", "wine-quality"))
    assert not weak(understood("qual"), Offer("model", "wine-quality"))
