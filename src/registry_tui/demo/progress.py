"""Progress of loading or removing the demo, as the command line shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One line; `lasting` is true for something finished, false for how far something is."""

    text: str
    lasting: bool


Tell = Callable[[Progress], None]
