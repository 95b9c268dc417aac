"""Limits of API keys: at the gateway's processes, and the permission to set them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import httpx
import pytest

from registry_tui.client import RegistryClient
from registry_tui.client.errors import NotFound, Refused
from registry_tui.gateway import counts
from registry_tui.platform.paths import GATEWAYS
from registry_tui.schemas.deployments import ApiKeyCreate, KeyLimits
from registry_tui.schemas.people import UserChange
from support.gateways import Gateways, PlayedReplica, echo, gateways
from support.platforms import PATIENCE, Platform, unique

ROW = {"dataframe_split": {"columns": ["a"], "data": [[1]]}}


def ask(both: Gateways, path: str = "invocations", *, method: str = "POST") -> httpx.Response:
    """A call on a new connection, which either process may take."""
    url = f"{both.ports.gateway_url}/endpoints/access-key/{path}"
    headers = {"Authorization": f"Bearer {both.key[1]}"}
    body = ROW if method == "POST" else None
    return httpx.request(method, url, json=body, headers=headers, timeout=PATIENCE, trust_env=False)


def test_limits_hold_for_both_processes_and_over_a_kill(short_path: Path) -> None:
    replica = PlayedReplica(short_path / "r.sock", echo)
    with replica.running(), gateways(short_path) as both:
        both.route(replica.socket, authentication=True, limits={"per_day": 12, "per_second": 1000.0, "burst": 1000})
        first = ask(both)
        assert first.status_code == 200, first.text
        assert first.headers["RateLimit-Policy"] == '"rate";q=1000;w=1, "day";q=12;w=86400'
        assert '"day";r=11;t=' in first.headers["RateLimit"]
        # Requests other than predictions are free.
        assert "RateLimit" not in ask(both, "ping", method="GET").headers
        for _ in range(5):
            assert ask(both).status_code == 200
        both.kill(GATEWAYS[0])
        both.start(GATEWAYS[0])
        answers = [ask(both) for _ in range(9)]
        assert Counter(each.status_code for each in answers) == {200: 6, 429: 3}
        over = answers[-1]
        assert over.json()["code"] == "quota-used" and over.json()["success"] is False
        assert 0 < int(over.headers["Retry-After"]) <= 86_400
        wrapped = httpx.post(
            f"{both.ports.gateway_url}/model",
            json={"accessKey": "access-key", "request": ROW},
            headers={"Authorization": f"Bearer {both.key[1]}"},
            timeout=PATIENCE,
            trust_env=False,
        )
        assert wrapped.status_code == 429
        chat = ask(both, "v1/chat/completions")
        assert chat.json()["error"]["type"] == "insufficient_quota"
        assert replica.asked.count("/invocations") == 12
        told = counts.summed(both.ask(name, "GET", "/stats").json() for name in GATEWAYS)
        assert told["limited"] == {"d": {"day": 5}}
        # Without limits the same key is let in again at once.
        both.route(replica.socket, authentication=True)
        assert ask(both).status_code == 200


def test_who_may_set_limits(platform: Platform) -> None:
    owner, other = unique("owner"), unique("other")
    for name in (owner, other):
        platform.call(RegistryClient.put_user, name, UserChange())
    made = platform.ask(
        lambda client: client.create_key(ApiKeyCreate(name=unique("k"), limits=KeyLimits(per_day=5))), user=owner
    ).api_key
    assert (made.limits, made.limits_by) == (KeyLimits(per_day=5), "")

    def limit(user: str | None, **limits: float) -> KeyLimits:
        wanted = KeyLimits.model_validate(limits)
        return platform.ask(lambda client: client.limit_key(made.id, wanted), user=user).limits

    assert limit(owner, per_second=2.5).at_once == 3
    with pytest.raises(NotFound):
        limit(other, per_day=1)
    assert limit(None, per_day=7) == KeyLimits(per_day=7)
    with pytest.raises(Refused, match="set the limits of the API key"):
        limit(owner)
    (listed,) = [each for each in platform.ask(lambda client: client.keys(), user=owner).items if each.id == made.id]
    assert listed.limits == KeyLimits(per_day=7) and listed.limits_by and listed.used_today == 0
    # Once the administrator has taken them away, they are the owner's own again.
    assert not limit(None)
    assert limit(owner, per_month=3) == KeyLimits(per_month=3)
    events = platform.ask(lambda client: client.events(resource=made.id, action="key.limit")).items
    assert {(each.actor == owner, each.outcome.value) for each in events} == {
        (True, "succeeded"),
        (False, "succeeded"),
        (False, "failed"),
        (True, "denied"),
    }
    assert "2.5 requests a second, 3 at once" in {each.detail for each in events}
