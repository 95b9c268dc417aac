"""Textual's private names: the installed Textual has each as it is used, and they are used in one module only."""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from textual._compositor import Compositor
from textual.app import App
from textual.css.stylesheet import Stylesheet
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from registry_tui.terminal import textual_private
from registry_tui.terminal.textual_private import USED, keep_parsed, suggestion_of, write_raw

SOURCE = Path(__file__).resolve().parents[2] / "src"
HERE = Path(textual_private.__file__).resolve()
FILES = sorted(
    path
    for folder in ("app", "screens", "widgets", "terminal")
    for path in (SOURCE / "registry_tui" / folder).rglob("*.py")
    if path != HERE
)
#: Set on every subclass by Textual and Python themselves.
MADE = {name for base in (App, Screen, Widget) for name in vars(type("Sub", (base,), {}))} | {"_abc_impl"}


def owner_of(use: str) -> tuple[type, str]:
    module, _, rest = use.partition(":")
    name, _, attribute = rest.partition(".")
    return getattr(importlib.import_module(module), name), attribute


@cache
def made(owner: type) -> Any:
    return {App: App, Screen: Screen, Widget: Widget, Input: Input, Stylesheet: Stylesheet}[owner]()


@pytest.mark.parametrize("use", USED)
def test_the_installed_textual_has_the_name_as_it_is_used(use: str) -> None:
    owner, name = owner_of(use)
    parameters = USED[use]
    if parameters is None:
        assert hasattr(made(owner), name)
    elif parameters == ():
        assert isinstance(inspect.getattr_static(owner, name), property)
    else:
        assert tuple(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_updates_and_compositor_have_the_fields_that_are_read() -> None:
    updates = importlib.import_module("textual._compositor")
    assert {"strips", "region"} <= set(vars(updates.LayoutUpdate([], Region())))
    assert {"chops", "spans", "chop_ends"} <= set(vars(updates.ChopsUpdate([], [], [])))
    assert hasattr(Compositor(), "size") and hasattr(Compositor, "visible_widgets")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_other_module_uses_a_private_name_of_textual(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    names = {name for _, name in map(owner_of, USED) if name.startswith("_") and not name.startswith("__")}
    used = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in names]
    used += [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module is not None
        and node.module.startswith("textual.")
        and "._" in node.module
    ]
    module = importlib.import_module(".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"))
    for each in vars(module).values():
        if isinstance(each, type) and each.__module__ == module.__name__:
            used += [f"{each.__name__}.{name}" for name in vars(each) if overrides(each, name)]
    assert used == []


def overrides(each: type, name: str) -> bool:
    """Whether a private name of the class has another meaning in a class of Textual's that it derives from."""
    if not name.startswith("_") or name.startswith("__") or name in MADE:
        return False
    return any(name in vars(base) for base in each.__mro__[1:] if base.__module__.startswith("textual."))


def test_the_public_behaviour_takes_over_where_a_name_is_missing() -> None:
    class Bare:
        pass

    bare: Any = Bare()
    assert suggestion_of(bare) == ""
    write_raw(bare, "not written")
    keep_parsed(bare, 5)
    assert vars(bare) == {}
