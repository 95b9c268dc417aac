"""The remedy for a service that admits a person no more: a command that repairs that very context."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.platform import listening, server_certificate
from registry_tui.platform.contexts import Context
from registry_tui.service.database.tables import UserTokenRow, now
from support.lone_doors import lone_door, really
from support.team import LIGHT, Machine


def action(context: Context) -> str:
    """The remedy for a context that does not work."""

    async def ask() -> None:
        async with RegistryClient(context=context) as client:
            await client.whoami()

    with pytest.raises(RegistryError) as caught:
        asyncio.run(ask())
    return str(caught.value.action)


@pytest.mark.parametrize(
    ("name", "url", "command"),
    [
        ("lab", "https://models.lab:8443", "registry-tui login https://models.lab:8443 --name lab"),
        ("models.lab:8443", "https://models.lab:8443", "registry-tui login https://models.lab:8443"),
        ("models.lab", "https://models.lab", "registry-tui login https://models.lab"),
        ("::1:8443", "https://[::1]:8443", "registry-tui login https://[::1]:8443"),
    ],
)
def test_the_command_that_signs_in_again_keeps_the_contexts_name(name: str, url: str, command: str) -> None:
    context = Context(name, url)
    assert context.login == command
    assert f"`{command}`" in action(context), "signed out"


def test_expired_tokens_and_changed_certificates_name_the_context_that_is_to_be_mended(tmp_path: Path) -> None:
    for each in ("d", "m"):
        (tmp_path / each).mkdir()
    with lone_door(tmp_path / "d", tls=True) as door:
        door.parts["service"].handler = really(door.service)
        url = door.url.replace("http:", "https:")
        shown = listening.fingerprint(door.service.home.tls / "certificate.pem")
        machine = Machine(tmp_path / "m")
        login = [sys.executable, "-c", LIGHT, "login", url, "--fingerprint", shown, "--name", "lab"]
        machine.run(login, REGISTRY_TUI_TOKEN=door.token("ada"))
        file = machine.folder / "contexts" / "contexts.json"
        (kept,) = json.loads(file.read_text())["contexts"]
        context = Context(**kept)
        command = f"`registry-tui login {url} --name lab`"
        with door.service.database.session() as session:
            session.execute(update(UserTokenRow).values(expires_at=now() - timedelta(days=1)))
        assert command in action(context)
        other, _ = server_certificate.make(["127.0.0.1"])
        Path(context.trusted).write_text(other)
        assert command in action(context)
