"""Cells as words outside tables: with the theme's colour of their tone."""

from __future__ import annotations

from registry_tui.wording.words import Cell

_STYLES = {
    "good": "$success",
    "busy": "$accent",
    "warn": "$warning",
    "bad": "$error",
    "dim": "$foreground-muted",
    "accent": "$accent",
}


def styled(cell: Cell) -> tuple[str, str]:
    """A cell's text and style, as `Content.assemble` takes them."""
    return cell.text, _STYLES.get(cell.tone, "")
