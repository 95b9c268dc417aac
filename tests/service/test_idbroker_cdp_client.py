"""CDP's own command line reads, sets and synchronizes the mappings of this service."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_tui.schemas.places import Cloud, Environment, EnvironmentCreate
from support.forwarding import forwarded
from support.platforms import PATIENCE, Platform, clean_environment, unique

ROLE = "arn:aws:iam::123456789012:role/lab-data-access"
AUDIT = "arn:aws:iam::123456789012:role/lab-ranger-audit"

Cdp = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(platform: Platform) -> Iterator[Environment]:
    request = EnvironmentCreate(name=unique("cdp").lower(), cloud=Cloud.AWS, raz_enabled=False)
    made = platform.ask(lambda client: client.create_environment(request))
    yield made
    platform.ask(lambda client: client.delete_environment(made.id))


@pytest.fixture
def cdp(platform: Platform, tmp_path: Path) -> Iterator[Cdp]:
    """Runs `cdp environments …` on this service. Its requests are signed with a key of its own, which nobody checks."""
    key = {"CDP_ACCESS_KEY_ID": "key", "CDP_PRIVATE_KEY": base64.b64encode(b"x" * 32).decode()}
    with forwarded(platform.home.service_socket) as url:

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [Path(sys.executable).with_name("cdp"), "--endpoint-url", url, "environments", *arguments],
                env=clean_environment({**key, "HOME": str(tmp_path)}),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )

        yield run


def test_the_stock_command_line_works_on_mappings(platform: Platform, environment: Environment, cdp: Cdp) -> None:
    def answer(*arguments: str) -> Any:
        done = cdp(*arguments, "--environment-name", environment.name)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    person = platform.ask(lambda client: client.whoami()).crn
    roles = ("--data-access-role", ROLE, "--ranger-audit-role", AUDIT)
    first = answer("get-id-broker-mappings")
    assert first["mappings"] == [] and first["dataAccessRole"] != ROLE
    saved = answer("set-id-broker-mappings", *roles, "--mappings", f"accessorCrn={person},role={ROLE}")
    assert saved["mappings"] == [{"accessorCrn": person, "role": ROLE}]
    assert saved["mappingsVersion"] == first["mappingsVersion"] + 1
    assert answer("get-id-broker-mappings") == saved
    status = answer("get-id-broker-mappings-sync-status")
    assert (status["globalStatus"], status["syncNeeded"]) == ("NEVER_RUN", True)
    answer("sync-id-broker-mappings")
    status = answer("get-id-broker-mappings-sync-status")
    assert (status["globalStatus"], status["syncNeeded"]) == ("COMPLETED", False)
    assert [each["status"] for each in status["statuses"].values()] == ["COMPLETED"]

    refused = cdp("set-id-broker-mappings", *roles, "--environment-name", environment.name)
    assert refused.returncode != 0 and "setEmptyMappings: must be true" in refused.stderr
    assert answer("set-id-broker-mappings", *roles, "--set-empty-mappings")["mappings"] == []
    gone = cdp("get-id-broker-mappings", "--environment-name", "nowhere")
    assert gone.returncode != 0 and "There is no environment 'nowhere'" in gone.stderr
