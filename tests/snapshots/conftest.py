"""Drawing from recordings: no platform, and the time of the recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import pytest

from registry_tui.app import watching
from support import recorded
from support.program import messages_stay
from support.recorded import Answer


@pytest.fixture(scope="session")
def recording() -> tuple[datetime, Mapping[str, Answer]]:
    """When the answers were recorded, and the answers."""
    return recorded.load()


@pytest.fixture
def answers(recording: tuple[datetime, Mapping[str, Answer]]) -> Iterator[Mapping[str, Answer]]:
    """The answers; on the screen it is an hour after they were given, and everywhere the same time of day."""
    made, found = recording
    with recorded.an_hour_after(made):
        yield found


@pytest.fixture(autouse=True)
def forget_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lets go of pictures that are as before: syrupy keeps each twice until the end of the run."""
    kept = request.getfixturevalue("snapshot").session._assertions if "snapshot" in request.fixturenames else []
    yield
    for assertion in kept:
        for result in assertion.executions.values():
            if result.success and not (result.created or result.updated):
                result.asserted_data, result.recalled_data = None, ""


@pytest.fixture(autouse=True)
def _messages_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    messages_stay(monkeypatch)
    # Recorded answers come at once; waiting for the processor here does not mean a slow service.
    monkeypatch.setattr(watching, "SLOW", float("inf"))
