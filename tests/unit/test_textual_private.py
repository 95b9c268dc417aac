"""The program's uses of Textual's private classes, and the fallbacks where a private name is missing."""

from __future__ import annotations

import importlib
from typing import Any

from textual._compositor import Compositor
from textual.geometry import Region

from registry_tui.terminal.textual_private import keep_parsed, suggestion_of, write_raw


def test_updates_and_compositor_have_the_fields_that_are_read() -> None:
    updates = importlib.import_module("textual._compositor")
    assert {"strips", "region"} <= set(vars(updates.LayoutUpdate([], Region())))
    assert {"chops", "spans", "chop_ends"} <= set(vars(updates.ChopsUpdate([], [], [])))
    assert hasattr(Compositor(), "size") and hasattr(Compositor, "visible_widgets")


def test_the_public_behaviour_takes_over_where_a_name_is_missing() -> None:
    class Bare:
        pass

    bare: Any = Bare()
    assert suggestion_of(bare) == ""
    write_raw(bare, "not written")
    keep_parsed(bare, 5)
    assert vars(bare) == {}
