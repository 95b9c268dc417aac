"""Copied command lines, pasted into a shell, have the effect of the request."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from registry_tui.client import RegistryClient
from registry_tui.client.outgoing import NotSent, rehearsal
from registry_tui.schemas.deployments import ApiKeyCreate, KeyLimits
from registry_tui.schemas.places import Cloud, EnvironmentCreate, Project
from registry_tui.schemas.ranger import PolicyItem, PolicyItemAccess, PolicyResource, RangerPolicy
from registry_tui.schemas.tracking import ExperimentCreate, ExperimentsChosen, ExperimentUpdate
from registry_tui.wording.command_lines import as_typed, command_lines
from support.platforms import PATIENCE, Platform, unique

HOSTILE = "-n 'x' \"$(touch /tmp/never)\" `id`; é模 \\ "


async def pasted(platform: Platform, client: RegistryClient, ask: Callable[[], Awaitable[Any]]) -> str:
    """The output of a request's command line, run by bash; the request itself is not sent."""
    with rehearsal(), pytest.raises(NotSent) as rehearsed:
        await ask()
    line = as_typed(command_lines(rehearsed.value.request), {"REGISTRY_TUI_HOME": str(platform.home.root)})
    environment = {**platform.environment(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    del environment["REGISTRY_TUI_HOME"]
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", line],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


async def test_pasted_lines_do_what_was_asked_with_hostile_names(
    platform: Platform, client: RegistryClient, project: Project
) -> None:
    name = HOSTILE + unique("x")
    create = ExperimentCreate(name=name, note="two\nlines")
    await pasted(platform, client, lambda: client.create_experiment(project.id, create))
    (made,) = [each for each in (await client.experiments(project.id)).items if each.name == name]
    await pasted(
        platform, client, lambda: client.update_experiment(project.id, made.id, ExperimentUpdate(name=f"{name}2"))
    )
    assert (await client.experiment(project.id, made.id)).name == f"{name}2"
    chosen = ExperimentsChosen(experiment_ids=[made.id])
    await pasted(platform, client, lambda: client.delete_experiments(project.id, chosen))
    assert made.id not in [each.id for each in (await client.experiments(project.id)).items]


async def test_a_pasted_line_makes_and_revokes_a_key(platform: Platform, client: RegistryClient) -> None:
    name = HOSTILE + unique("k")
    made = await pasted(platform, client, lambda: client.create_key(ApiKeyCreate(name=name, days=2)))
    assert made.startswith("rtk_")
    (key,) = [each for each in (await client.keys(page_size=1000)).items if each.name == name]
    await pasted(platform, client, lambda: client.limit_key(key.id, KeyLimits(per_second=2, per_day=50)))
    (key,) = [each for each in (await client.keys(page_size=1000)).items if each.name == name]
    assert key.limits == KeyLimits(per_second=2, per_day=50)
    await pasted(platform, client, lambda: client.revoke_key(key.id))
    (key,) = [each for each in (await client.keys(page_size=1000)).items if each.name == name]
    assert key.revoked_at is not None


async def test_pasted_lines_make_change_and_delete_a_policy_with_hostile_names(
    platform: Platform, client: RegistryClient
) -> None:
    environment = await client.create_environment(EnvironmentCreate(name=unique("raz").lower(), cloud=Cloud.AZURE))
    service = await client.ranger_service(environment.name)
    levels = ("storageaccount", "storageaccountcontainer", "relativepath")
    request = RangerPolicy(
        service=service.name,
        name=HOSTILE.strip() + unique("x"),
        description="two\nlines",
        resources={level: PolicyResource(values=[HOSTILE.replace("\\", "").strip()]) for level in levels},
        deny_policy_items=[PolicyItem(users=[HOSTILE], accesses=[PolicyItemAccess(type="read")])],
    )
    await pasted(platform, client, lambda: client.create_policy(request))
    (made,) = [each for each in await client.policies(service.name) if each.name == request.name]
    assert (made.resources, made.deny_policy_items) == (request.resources, request.deny_policy_items)
    change = made.model_copy(update={"is_enabled": False, "policy_labels": [HOSTILE]})
    # The service of an ID needs not be named.
    await pasted(platform, client, lambda: client.update_policy(made.id or 0, change, version=made.version))
    now = await client.policy(made.name, service.name)
    assert (now.is_enabled, now.policy_labels, now.version) == (False, [HOSTILE], 2)
    await pasted(platform, client, lambda: client.delete_policy(made.id or 0))
    assert made.id not in [each.id for each in await client.policies(service.name)]
    await client.delete_environment(environment.id)
