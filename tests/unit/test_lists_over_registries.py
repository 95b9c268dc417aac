"""`models list` over all registries while one of them is being made."""

from __future__ import annotations

import json
from functools import partial

import httpx
import pytest
from typer.testing import CliRunner

from registry_tui.cli import session
from registry_tui.cli.main import app
from registry_tui.client import RegistryClient
from support import recorded

INSTALLING = {
    "type": "/problems/wrong-state",
    "title": "Wrong state",
    "status": 409,
    "detail": "Model Registry registry-aws is not available: Installing",
    "code": "wrong-state",
    "request_id": "r",
}


@pytest.fixture
def installing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the recorded registries, the one of AWS is being made."""
    _, answers = recorded.load()
    listed = json.loads(answers["GET /api/v1/registries?page_size=1000"].content)["items"]
    made = next(each["id"] for each in listed if each["name"] == "registry-aws")

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == f"/api/v1/registries/{made}/models":
            return httpx.Response(409, json=INSTALLING)
        size = 500 if path.endswith("/models") else 1000
        return (answers.get(f"GET {path}") or answers[f"GET {path}?page_size={size}"]).response()

    client = partial(RegistryClient, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(session, "RegistryClient", client)


@pytest.mark.usefixtures("installing")
def test_one_that_is_being_made_does_not_hide_the_models_of_others() -> None:
    shown = CliRunner().invoke(app, ["models", "list"])
    assert shown.exit_code == 0, shown.output
    assert "DigitReader" in shown.stdout and "WineAlcoholRegressor" not in shown.stdout
    assert "registry-aws is not available: Installing" in shown.stderr
