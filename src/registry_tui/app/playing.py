"""Plays a walk: presses keys like a user, with captions, and hands over when the user presses one."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from textual import events
from textual.keys import REPLACED_KEYS
from textual.widgets import Static

from registry_tui.app.kept_keys import KeptKeys
from registry_tui.app.watching import Watching
from registry_tui.screens.base.frame import FrameScreen

if TYPE_CHECKING:
    from registry_tui.demo.walk import Scene

#: Seconds between two keys, before the first key of a scene, and for each character of its caption.
KEY_GAP, LOOK, READING = 0.35, 1.0, 0.045
#: Seconds between two checks whether a page is complete, and how many idle ones in a row mean that it is.
GLANCE, QUIET = 0.1, 4
#: Seconds that a page may take to appear before the walk is abandoned.
PATIENCE = 120.0
#: Possible factors of the speed.
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
CONTROLS = "space pause · → next · + - speed · any other key: you take over"

#: The last words.
END = "That was the walk. The keys are yours."


class Caption(Static):
    """The caption of a scene, with the keys that control the walk."""


class Playing(KeptKeys, Watching):
    """The part of the program that plays a walk."""

    def __init__(self, *arguments: Any, walk: Sequence[Scene] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._scenes = walk
        #: Keys that the walk pressed; all others are the user's.
        self._pressed: WeakSet[events.Key] = WeakSet()
        self._caption = ""
        self._speed = SPEEDS.index(1.0)
        self._paused = False
        self._next = asyncio.Event()
        self._playing: asyncio.Task[None] | None = None

    @property
    def plays(self) -> bool:
        """Whether the walk controls the keys."""
        return self._playing is not None and not self._playing.done()

    @property
    def frame(self) -> FrameScreen:
        """The place in view, below any dialog."""
        return next(screen for screen in reversed(self.screen_stack) if isinstance(screen, FrameScreen))

    def on_mount(self) -> None:
        if self._scenes:
            self.screen_change_signal.subscribe(self, lambda _: self._show_caption())
            self._playing = asyncio.create_task(self._play(), name="walk")

    async def on_event(self, event: events.Event) -> None:
        if self.plays and isinstance(event, events.Key) and not event.is_forwarded and event not in self._pressed:
            self._control(event.key)
        else:
            await super().on_event(event)

    # -- the user's keys ----------------------------------------------------------------------------

    def _control(self, key: str) -> None:
        if key == "space":
            self._paused = not self._paused
        elif key == "right":
            self._next.set()
        elif key in ("plus", "minus"):
            by = 1 if key == "plus" else -1
            self._speed = min(max(self._speed + by, 0), len(SPEEDS) - 1)
        elif key == "ctrl+q":
            self.exit()
            return
        else:
            self._hand_over("The walk has stopped. The keys are yours.")
            return
        self._show_caption()

    def _hand_over(self, words: str) -> None:
        """Returns control of the keys to the user."""
        if self._playing is not None:
            self._playing.cancel()
        self._caption = ""
        self._show_caption()
        self.notify(words, markup=False)

    # -- the walk -----------------------------------------------------------------------------------

    async def _play(self) -> None:
        total = len(self._scenes)
        for number, scene in enumerate(self._scenes, 1):
            if not await self._arrived(scene.at):
                self._hand_over(f"The walk stopped: the page {scene.at} did not appear. The keys are yours.")
                return
            self._caption = f"{number}/{total}  {scene.caption}"
            self._show_caption()
            await self._read(LOOK + READING * len(scene.caption))
            for part in scene.keys:
                await self._press_part(part)
        self._hand_over(END)

    async def _press_part(self, part: str) -> None:
        if part.startswith('"'):
            for character in part[1:]:
                self._press(character)
                await asyncio.sleep(KEY_GAP / 4 / SPEEDS[self._speed])
        else:
            self._press(self._key_of(part[1:]) if part.startswith("!") else part)
            await asyncio.sleep(KEY_GAP / SPEEDS[self._speed])

    def _key_of(self, action: str) -> str:
        """The key of an action on the page in view."""
        return next(known.key for known in self.frame.all_actions() if known.id == action).split(",")[0]

    def _press(self, key: str) -> None:
        character = key if len(key) == 1 else " " if key == "space" else None
        if character is not None and not character.isalnum():
            name = unicodedata.name(character).lower().replace("-", "_").replace(" ", "_")
            key = REPLACED_KEYS.get(name, name)
        event = events.Key(key, character)
        self._pressed.add(event)
        self.post_message(event)

    async def _arrived(self, at: str) -> bool:
        """Waits until a kind of place is in view and nothing is loading. Returns whether that happened."""
        until, quiet = time.monotonic() + PATIENCE, 0
        while quiet < QUIET:
            await asyncio.sleep(GLANCE)
            quiet = quiet + 1 if self._complete(at) else 0
            if time.monotonic() > until:
                return False
        return True

    def _complete(self, at: str) -> bool:
        screen = self.screen
        here = isinstance(screen, FrameScreen) and screen.is_mounted and screen.place.kind == at
        return self.answering and here and all(worker.is_finished for worker in self.workers)

    async def _read(self, seconds: float) -> None:
        """Waits that long at the chosen speed, and while it is paused; stepping on ends it."""
        left = seconds
        while (left > 0 or self._paused) and not self._next.is_set():
            before = time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._next.wait(), GLANCE / 2)
            if not self._paused:
                left -= (time.monotonic() - before) * SPEEDS[self._speed]
        self._next.clear()

    # -- the caption --------------------------------------------------------------------------------

    def _show_caption(self) -> None:
        """Puts the caption on the visible screen, and removes it from all others."""
        for screen in self.screen_stack:
            if not self._caption or screen is not self.screen:
                screen.query(Caption).remove()
        if not self._caption or not self.screen.is_mounted:
            return
        state = "❚❚ paused" if self._paused else f"▶ {SPEEDS[self._speed]:g}×"
        text = f"{self._caption}\n{state} · {CONTROLS}"
        shown = next(iter(self.screen.query(Caption)), None)
        if shown is None:
            self.screen.mount(Caption(text, markup=False))
        else:
            shown.update(text)
