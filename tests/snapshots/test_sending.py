"""Every form and screen that sends, on a slow service: sent once, left, and sent again."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.widgets import Button, Input, Select, Static

from registry_tui import screens
from registry_tui.client import RegistryClient
from registry_tui.screens.base.form import Form
from registry_tui.screens.base.save import Save
from registry_tui.screens.known.card_form import CardForm
from registry_tui.screens.models.ask_approval import AskApproval
from registry_tui.screens.models.scan_form import ScanForm
from registry_tui.screens.models.verify import VerifyForm
from registry_tui.screens.registries.promotion_rules import SetPromotionRules
from registry_tui.screens.registries.registry_actions import Synchronize
from support import scenes
from support.filled_forms import FORMS
from support.filled_models import ask_approval, new_key
from support.filled_places import new_token
from support.recorded import Answer
from support.sending import notified, press_ok, program, the_version, typed

pytestmark = pytest.mark.slow


def test_every_form_that_sends_has_a_row() -> None:
    for module in pkgutil.walk_packages(screens.__path__, f"{screens.__name__}."):
        importlib.import_module(module.name)
    assert {form for form in _forms(Form) if form.SENDS} == set(FORMS)


def _forms(kind: type[Form[Any]]) -> Iterator[type[Form[Any]]]:
    for each in kind.__subclasses__():
        if each.send is not Form.send:
            yield each
        yield from _forms(each)


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
async def test_a_form_sends_once_and_after_a_timeout_the_same_again(
    kind: type[Form[Any]], answers: Mapping[str, Answer]
) -> None:
    async with program(answers) as (see, held):
        form = await FORMS[kind](see)
        before = typed(form)
        await press_ok(see, form)
        await see.until(lambda: held.sent, "the request")
        await see.shows("Sending …", "sending … ", "esc leaves, it goes on: ")
        await press_ok(see, form)
        assert len(held.sent) == 1 and see.screen is form
        held.time_out()
        await see.shows("did not answer in time", "Trying again is safe")
        assert typed(form) == before and str(form.query_one("#ok", Button).label) == form.OK
        assert not form.query_one(".fields").disabled and not form.query_one("#ok", Button).disabled

        form.query_one("#ok").focus()
        await see.press("enter", "enter", "enter")
        await see.until(lambda: len(held.sent) == 2, "the request once more")
        assert held.keys[0] == held.keys[1]
        assert held.sent[0].content == held.sent[1].content and held.sent[0].url == held.sent[1].url
        held.refuse()
        await see.shows("It is in use just now")
        assert "Trying again is safe" not in see.text and typed(form) == before

        # A refusal ends the intent: the next press is a new one.
        await see.until(lambda: not form.query_one("#ok", Button).disabled, "OK")
        form.query_one("#ok").focus()
        await see.press("enter")
        await see.until(lambda: len(held.sent) == 3, "another request")
        assert held.keys[2] != held.keys[0]
        held.refuse()
        await see.until(lambda: not form.busy, "its end")
        assert len(held.sent) == 3 and held.cut_off == 0


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
async def test_esc_leaves_a_form_that_sends_and_the_request_goes_on(
    kind: type[Form[Any]], answers: Mapping[str, Answer]
) -> None:
    async with program(answers) as (see, held):
        form = await FORMS[kind](see)
        await press_ok(see, form)
        await see.until(lambda: held.sent, "the request")
        await see.press("escape")
        await see.until(lambda: see.screen is not form, "the form to close")
        assert f"{form.WORK} goes on; {form.AFTERWARDS}" in notified(see)
        assert held.cut_off == 0 and held.answered == 0
        held.refuse()
        await see.until(lambda: "It is in use just now" in notified(see), "how it ended")
        assert len(held.sent) == 1 and held.cut_off == 0


def in_view(form: Form[Any], selector: str) -> bool:
    """Whether a widget of a form is seen whole."""
    region = form.query_one(selector).region
    return bool(region) and form.query_one(".box").content_region.contains_region(region)


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
async def test_buttons_problem_and_progress_stay_in_view_in_24_lines(
    kind: type[Form[Any]], answers: Mapping[str, Answer]
) -> None:
    async with program(answers, (80, 24)) as (see, held):
        form = await FORMS[kind](see)
        if kind is not VerifyForm:
            await see.until(lambda: in_view(form, "#ok") and in_view(form, "#cancel"), "the buttons")
            form.complain("This is refused because of something that takes long to explain. " * 4)
            await see.until(lambda: in_view(form, "#problem") and in_view(form, "#ok"), "the problem and the buttons")
            form.query_one("#ok").focus()
            await see.press("enter")
        await see.until(lambda: held.sent, "the request")
        form._tell_waiting()  # as its timer does
        await see.until(lambda: in_view(form, "#sending") and in_view(form, "#cancel"), "how long it is sending")
        if form.query("#progress"):
            form.query_one("#progress").display = form.query_one("#step").display = True
            form.fit()
            await see.until(lambda: in_view(form, "#progress") and in_view(form, "#cancel"), "the progress")


@pytest.mark.parametrize(
    "kind",
    # The others have no field of one line to type into.
    [kind for kind in FORMS if kind not in (VerifyForm, Synchronize, ScanForm, CardForm, SetPromotionRules)],
    ids=lambda kind: kind.__name__,
)
async def test_a_complaint_does_not_outlive_the_value_that_it_is_about(
    kind: type[Form[Any]], answers: Mapping[str, Answer]
) -> None:
    async with program(answers) as (see, held):
        form = await FORMS[kind](see)
        # Checks of the typed text by forms would bring complaints of their own.
        held.denies.clear()
        # The service's refusal, until something else is typed; text typed before may not be processed yet.
        field = form.query(Input).first()
        field.focus()
        await see.pilot.pause()
        before, field.value = field.value, f"{field.value}y"
        form.complain("It is in use just now")
        await see.pilot.pause()
        await see.shows("It is in use just now")
        form.check()
        assert form.query_one("#problem").display
        field.value = before
        await see.until(lambda: "It is in use just now" not in see.text, "the complaint to go")
        form.complain("It is in use just now")
        await see.shows("It is in use just now")
        await see.press("end", "x")
        await see.until(lambda: "It is in use just now" not in see.text, "the complaint to go")
        await see.press("backspace")
        await see.until(lambda: form.problem_of() is None, "the input as it was")
        # A problem of the input, until nothing is wrong with it, however that came about.
        form.tell("choose something else")
        form.check()
        assert not form.query_one("#problem").display


async def test_why_a_file_could_not_be_written_stays_until_another_is_named(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, _):
        form = Save("Save", "text", "words")
        see.app.push_screen(form)
        await see.until(lambda: form.is_attached and form.query("#file"), "the form")
        form.query_one("#file", Input).value = "/proc/nothing-can-be-made-here.txt"
        form.query_one("#file").focus()
        await see.press("enter")
        await see.until(lambda: not form.busy and "/proc/nothing-can-be-made" in _problem(form), "why not")
        form.check()
        assert "/proc/nothing-can-be-made" in _problem(form)
        await see.press("end", "x")
        await see.until(lambda: not _problem(form), "the complaint to go")
        form.query_one("#file", Input).value = "/nowhere/file.txt"
        await see.until(lambda: "There is no folder" in _problem(form), "what is wrong with the name")


def _problem(form: Form[Any]) -> str:
    """The complaint that a form shows, empty if none."""
    line = form.query_one("#problem", Static)
    return str(line.render()) if line.display else ""


async def test_a_key_that_came_after_its_form_was_left_is_shown(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, held):
        form = await new_key(see)
        await press_ok(see, form)
        await see.until(lambda: held.sent, "the request")
        await see.press("escape")
        moment = "2026-11-29T00:00:00Z"
        key = {"id": "k", "name": "ci", "owner": "ada", "created_at": moment, "expires_at": moment}
        held._ends.put_nowait(httpx.Response(201, json={"api_key": key, "key": "rtk_k_secret"}))
        await see.shows("rtk_k_secret", "shown only now")


async def test_a_token_that_came_after_its_form_was_left_is_shown(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, held):
        form = await new_token(see)
        await press_ok(see, form)
        await see.until(lambda: held.sent, "the request")
        await see.press("escape")
        moment = "2026-11-29T00:00:00Z"
        token = {"id": "t", "name": "ci", "user": "grace", "prefix": "rtt_t"}
        answer = {"user_token": {**token, "created_at": moment, "expires_at": moment}, "token": "rtt_t_secret"}
        held._ends.put_nowait(httpx.Response(201, json=answer))
        await see.shows("rtt_t_secret", "shown only now")


async def test_what_a_screen_sends_is_sent_once(answers: Mapping[str, Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    async with program(answers) as (see, held):
        await scenes.deployments(see)
        rows = see.screen.table.source.loaded_rows()
        deployed = next(index for index, row in enumerate(rows) if row.state == "deployed")
        await see.press(*["down"] * deployed)
        await see.until(lambda: see.screen.current.state == "deployed", "a deployment that serves")
        name = see.screen.current.name
        said: list[str] = []
        flash = see.screen.flash

        def listen(text: str, *style: str) -> None:
            said.append(text)
            flash(text, *style)

        monkeypatch.setattr(see.screen, "flash", listen)
        await see.press("r", "r", "r")
        await see.until(lambda: held.sent, "the request")
        await see.until(lambda: "waiting for the answer" in "".join(said), "what is said of the second")
        await see.shows(f"{name}: restarts", "sending … ", "esc leaves")
        assert len(held.sent) == 1
        held.time_out()
        await see.until(lambda: "Trying again is safe" in notified(see), "the advice")
        await see.until(lambda: see.app.answering, "the service to answer")
        await see.press("r")
        await see.until(lambda: len(held.sent) == 2, "the request once more")
        assert held.keys[0] == held.keys[1]
        # Elsewhere it continues, and is reported.
        see.go("projects")
        await see.at("projects")
        assert held.cut_off == 0
        held.refuse()
        await see.until(lambda: "It is in use just now" in notified(see), "how it ended")


async def test_a_confirmed_change_is_sent_once(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, held):
        await the_version(see)
        await see.press("ctrl+d")
        await see.shows("Delete version")
        await see.press("right", "enter", "enter", "enter")
        await see.until(lambda: held.sent, "the request")
        held.refuse()
        await see.until(lambda: held.answered, "the answer")
        assert len(held.sent) == 1


def test_nothing_is_sent_in_another_way() -> None:
    """Changes are asked for in a form's `send`, or in a function that `change` gets."""
    changing = {
        name
        for name, function in inspect.getmembers(RegistryClient, inspect.isfunction)
        if not name.startswith("_")
        and any(f'"{method}"' in inspect.getsource(function) for method in ("POST", "PUT", "PATCH", "DELETE"))
        and "reads=True" not in inspect.getsource(function)
    }
    assert {"register_model", "create_key", "revoke_key", "stop_deployment", "test_deployment"} <= changing
    found = []
    files = sorted(Path(str(screens.__path__[0])).rglob("*.py"))
    assert len(files) > 50
    for file in files:
        for function in _methods(ast.parse(file.read_text())):
            for node in _own_nodes(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in changing:
                    of_client = "client" in ast.unparse(node.func.value)
                    if of_client and function.name != "send":
                        found.append(f"{file.name}: {function.name}: {node.func.attr}")
        assert '"change", exclusive' not in file.read_text(), file.name
    assert not found


def _methods(tree: ast.Module) -> Iterator[ast.AsyncFunctionDef | ast.FunctionDef]:
    """Functions of modules and classes; those inside of functions are given to somebody."""
    for node in tree.body:
        for each in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(each, ast.AsyncFunctionDef | ast.FunctionDef):
                yield each


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Lambda | ast.AsyncFunctionDef | ast.FunctionDef):
            yield child
            yield from _own_nodes(child)


def there(form: Form[Any], name: str) -> bool:
    """Whether the row of a field is there."""
    return bool(form.query_one(name).region)


async def test_an_approval_has_a_name_only_where_it_may_have_one(answers: Mapping[str, Answer]) -> None:
    async with program(answers, (80, 24)) as (see, _):
        form = await ask_approval(see)
        assert isinstance(form, AskApproval) and not there(form, "#name")
        form.query_one("#purpose", Select).value = "promote"
        await see.until(lambda: there(form, "#name"), "the name")
        form.query_one("#name", Input).value = "registry-prod"
        assert form.purpose == "promote:registry-prod"
        form.query_one("#purpose", Select).value = "stage:QA"
        await see.until(lambda: not there(form, "#name"), "the name to go")
        assert form.purpose == "stage:QA"
