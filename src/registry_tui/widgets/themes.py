"""Two themes with one calm accent: dark and light."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="registry-dark",
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
    dark=True,
    variables={"footer-key-foreground": "#5fb3b3", "input-selection-background": "#5fb3b3 35%"},
)
LIGHT = Theme(
    name="registry-light",
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
    dark=False,
    variables={"footer-key-foreground": "#1f6f78", "input-selection-background": "#1f6f78 25%"},
)
