"""Reloading `config.toml` when it changes: colours, keys, images and notifications change immediately."""

from __future__ import annotations

from typing import Any

from textual.app import App

from registry_tui.app.watching import Watching
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.terminal.preferences import Preferences, PreferencesFile
from registry_tui.widgets.themes import PREFIX, theme_of

#: Settings that are read at the start only: Textual reads them when it is imported, or the terminal is queried once.
AT_START = ("plain", "frame_rate", "mouse", "links")


class Reloading(Watching):
    """The part of the program that applies changed settings."""

    def __init__(self, *arguments: Any, settings: PreferencesFile | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._settings = settings

    def each_second(self) -> None:
        """Checks the file's times with the program's own tick: no extra wake-ups while idle."""
        super().each_second()
        if self._settings is not None and self._settings.changed():
            self.take_over(self._settings.load())

    def take_over(self, found: Preferences) -> None:
        """Applies settings; if there are new mistakes, it reports them and keeps all settings as they are."""
        before = self.preferences
        wrong = [each for each in found.problems if each not in before.problems]
        if wrong:
            text = "\n".join((*wrong, "The settings stay as they were."))
            self.notify(text, title="config.toml", severity="warning", markup=False, timeout=20)
            return
        self.preferences = found
        self._take_colors(before)
        for screen in self.screen_stack:
            if isinstance(screen, FrameScreen) and screen.is_mounted:
                self.set_keymap(found.keymap(screen.place.kind))
                screen.show_actions()
                screen.show_status()
        later = [name for name in AT_START if getattr(found.terminal, name) != getattr(before.terminal, name)]
        also = f"; {', '.join(later)}: from the next start" if later else ""
        self.notify(f"The settings were read again{also}", title="config.toml", markup=False)

    def _take_colors(self, before: Preferences) -> None:
        found = self.preferences
        for theme in before.themes:
            self.unregister_theme(PREFIX + theme.name)
        for theme in found.themes:
            self.register_theme(theme_of(theme))
        if found.colorless:
            return
        # A theme chosen with `:theme` stays, unless it was removed.
        chosen = self.theme.removeprefix(PREFIX)
        if found.terminal.theme != before.terminal.theme or chosen not in found.theme_names:
            self.theme = PREFIX + found.terminal.theme
        elif found.themes != before.themes:
            self.mutate_reactive(App.theme)
