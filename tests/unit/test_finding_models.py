"""Which Model Registry a command means where only the model is named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.cli import session
from registry_tui.client.errors import Conflict, NotFound, RegistryError
from registry_tui.schemas.base import Problem


class Registries:
    """A client of some Model Registries, by the error that each gives about a model; None: it holds the model."""

    def __init__(self, answers: Mapping[str, RegistryError | None]) -> None:
        self._answers = answers
        self.registries = None

    async def every(self, listed: None) -> AsyncIterator[SimpleNamespace]:
        assert listed is None
        for name in self._answers:
            yield SimpleNamespace(id=name, name=name)

    async def model(self, registry: str, model: str) -> None:
        if (error := self._answers[registry]) is not None:
            raise error


def _problem(status: int) -> Problem:
    detail = "Model Registry new is not available: Installing"
    return Problem(type="t", title="t", status=status, code="code", detail=detail, request_id="r")


async def _found(answers: Mapping[str, RegistryError | None]) -> str:
    return await session.registry_for_model(cast(Any, Registries(answers)), None, "wine")


async def test_a_registry_that_is_being_made_hides_no_model_of_another() -> None:
    making, without = Conflict(_problem(409)), NotFound(_problem(404))
    assert await _found({"new": making, "other": without, "local": None}) == "local"
    with pytest.raises(Conflict, match="not available"):
        await _found({"new": making, "other": without})
    with pytest.raises(RegistryError, match="no registered model"):
        await _found({"other": without})
