"""Saved views of an experiment's runs: filter, sort and columns under a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from textual.widget import Widget
from textual.widgets import Input

from registry_tui.screens.base.dialogs import Menu, MenuItem
from registry_tui.screens.base.form import Form
from registry_tui.screens.base.name_field import Choice, NameField, at_once, named_row
from registry_tui.screens.tracking.run_list import RunList, RunView


def views_of(memory: Any, experiment: str) -> dict[str, RunView]:
    """The saved views of an experiment, by name; invalid ones are left out."""
    kept = memory.get(f"views {experiment}", {})
    return {name: view for name, value in kept.items() if (view := _view(value)) is not None}


def keep(memory: Any, experiment: str, views: Mapping[str, RunView]) -> None:
    """Saves an experiment's views."""
    memory.set(f"views {experiment}", {name: asdict(view) for name, view in views.items()} or None)


def default_view(memory: Any, experiment: str) -> tuple[str, RunView] | None:
    """The default view of an experiment, by name; None if there is none."""
    name = memory.get(f"view {experiment}")
    view = views_of(memory, experiment).get(name) if isinstance(name, str) else None
    return None if view is None else (name, view)


def make_default(memory: Any, experiment: str, name: str | None) -> None:
    """Opens an experiment with a saved view from now on; None: without one."""
    memory.set(f"view {experiment}", name)


def _view(value: Any) -> RunView | None:
    try:
        sort = tuple((str(key), bool(down)) for key, down in value["sort"])
        columns = None if value["columns"] is None else [str(key) for key in value["columns"]]
        return RunView(str(value["filter"]), sort, columns, bool(value.get("nested")))
    except (KeyError, TypeError, ValueError):
        return None


def open_views(screen: RunList) -> None:
    """Offers the saved views, saving the current one, and deleting one."""
    experiment = screen.place.args["experiment"]
    memory = screen.program.memory
    views = views_of(memory, experiment)
    default = next(iter(default_view(memory, experiment) or ()), None)

    def note(name: str) -> str:
        return " · ".join(filter(None, ("opens by itself" if name == default else "", views[name].filter)))

    items = [MenuItem(f"show {name}", name, note=note(name)) for name in views]
    items.append(MenuItem("keep", "Keep this view under a name …"))
    items += [MenuItem(f"default {name}", f"Open with {name} from now on") for name in views if name != default]
    if default is not None:
        items.append(MenuItem("plain", "Open without a view from now on"))
    items += [MenuItem(f"delete {name}", f"Delete {name}") for name in views]

    def chosen(choice: str | None) -> None:
        if choice is None:
            return
        verb, _, name = choice.partition(" ")
        if verb == "show":
            screen.show_view(views[name])
        elif verb == "delete":
            keep(memory, experiment, {key: view for key, view in views.items() if key != name})
            if name == default:
                make_default(memory, experiment, None)
            screen.flash(f"view {name} is deleted")
        elif verb == "default":
            make_default(memory, experiment, name)
            screen.flash(f"this experiment opens with view {name} from now on")
        elif verb == "plain":
            make_default(memory, experiment, None)
            screen.flash("this experiment opens without a view from now on")
        else:
            screen.app.push_screen(NameView(list(views)), named)

    def named(name: str | None) -> None:
        if name is not None:
            keep(memory, experiment, {**views, name: screen.view_now()})
            screen.flash(f"view {name} is kept; V shows it again")

    screen.app.push_screen(Menu("Views of this experiment", items), chosen)


class NameView(Form[str]):
    """The name of a view."""

    TITLE_TEXT = "Keep this view"
    SENDS = False

    def __init__(self, known: list[str]) -> None:
        super().__init__()
        self.known = known

    def compose_fields(self) -> Iterable[Widget]:
        known = [Choice(name, "replaced") for name in self.known]
        yield named_row("Name", NameField(id="name", find=at_once(known), placeholder="best runs"))

    def on_mount(self) -> None:
        self.query_one("#name").focus()

    def problem_of(self) -> str | None:
        return None if self.query_one("#name", Input).value.strip() else "type a name"

    async def send(self) -> str:
        return self.query_one("#name", Input).value.strip()
