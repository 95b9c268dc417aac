"""The themes: dark and light with one calm accent, high contrast, monochrome, and those of `config.toml`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from textual.theme import Theme

from registry_tui.terminal.preferences import UserTheme

#: The prefix of our themes' names in Textual, so that they hide none of its own.
PREFIX = "registry-"


def _theme(name: str, *, dark: bool, primary: str, secondary: str, accent: str, **colors: Any) -> Theme:
    selection = f"{accent} {35 if dark else 25}%"
    return Theme(
        name=PREFIX + name,
        dark=dark,
        primary=primary,
        secondary=secondary,
        accent=accent,
        variables={"footer-key-foreground": accent, "input-selection-background": selection},
        **colors,
    )


DARK = _theme(
    "dark",
    dark=True,
    primary="#5fb3b3",
    secondary="#7a8fa6",
    accent="#5fb3b3",
    foreground="#d5dae0",
    background="#14181d",
    surface="#1a1f26",
    panel="#222831",
    success="#8fbf7f",
    warning="#d9b36c",
    error="#dd7f7f",
)
LIGHT = _theme(
    "light",
    dark=False,
    primary="#1f6f78",
    secondary="#52677a",
    accent="#1f6f78",
    foreground="#20262d",
    background="#fbfbf9",
    surface="#f3f3ef",
    panel="#e9e9e4",
    success="#2f7d32",
    warning="#92610a",
    error="#b3382f",
)
HIGH_CONTRAST = _theme(
    "high-contrast",
    dark=True,
    primary="#ffd800",
    secondary="#ffffff",
    accent="#ffd800",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    success="#5cff5c",
    warning="#ffb000",
    error="#ff8080",
)
MONOCHROME = _theme(
    "monochrome",
    dark=True,
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    success="#ffffff",
    warning="#ffffff",
    error="#ffffff",
)
BUILT_IN = (DARK, LIGHT, HIGH_CONTRAST, MONOCHROME)


def theme_of(own: UserTheme) -> Theme:
    """A theme of the user's own colours, over those of the dark or light one."""
    base = DARK if own.dark else LIGHT
    colors: dict[str, Any] = {"accent": own.colors.get("primary", base.accent), **own.colors}
    selection = f"{colors['accent']} {35 if own.dark else 25}%"
    variables = {"footer-key-foreground": colors["accent"], "input-selection-background": selection}
    return replace(base, name=PREFIX + own.name, variables=variables, **colors)
