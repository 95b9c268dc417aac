"""Limits of API keys in the gateway: a rate with a burst, quotas of a day and a month, counted by two processes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_tui.contracts.gateway_routes import Key
from registry_tui.gateway.counts import Counts, summed
from registry_tui.gateway.limits import KeyLimits, OverLimit, Use, read

#: 100 s before a month ends.
END = datetime(2026, 11, 30, 23, 58, 20, tzinfo=UTC).timestamp()


def key(id_: str = "0a1b2c3d4e5f", **limits: float) -> Key:
    return Key(id_, "sha", "ada", 4e9, **limits)  # type: ignore[arg-type]


def refused(limits: KeyLimits, of: Key, now: float = END, clock: float = 50.0) -> OverLimit:
    with pytest.raises(OverLimit) as found:
        limits.take(of, now, clock)
    assert found.value.status == 429
    return found.value


def test_a_key_without_limits_is_not_counted(tmp_path: Path) -> None:
    limits = KeyLimits(tmp_path / "limits")
    assert limits.take(key()) == {}
    assert not (tmp_path / "limits").exists()


def test_two_processes_share_a_rate(tmp_path: Path) -> None:
    one, other = KeyLimits(tmp_path / "limits"), KeyLimits(tmp_path / "limits")
    slow = key(per_second=2.0, burst=3)
    assert one.take(slow, END, 50.0) == {"RateLimit-Policy": '"rate";q=3;w=2', "RateLimit": '"rate";r=2;t=1'}
    other.take(slow, END, 50.0)
    assert other.take(slow, END, 50.0)["RateLimit"] == '"rate";r=0;t=2'
    for each in (one, other):
        over = refused(each, slow)
        assert (over.code, over.limit, over.headers["Retry-After"]) == ("rate-limited", "rate", "1")
        assert over.headers["RateLimit"] == '"rate";r=0;t=2'
        assert over.detail == "The API key 0a1b2c3d4e5f may send 2 requests a second, 3 at once"
    # Half a second later there is room for one.
    other.take(slow, END, 50.5)
    refused(one, slow, clock=50.5)
    one.take(slow, END, 1e9)
    # A machine that started again counts its time anew: nobody waits for the old one.
    one.take(slow, END, 3.0)


def test_a_slow_rate_says_how_long_to_wait(tmp_path: Path) -> None:
    limits = KeyLimits(tmp_path / "limits")
    slow = key(per_second=0.1, burst=1)
    limits.take(slow, END, 50.0)
    assert refused(limits, slow, clock=53.0).headers["Retry-After"] == "7"


def test_quotas_outlive_a_process_and_end_with_day_and_month(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    both = key(per_day=2, per_month=3)
    first = KeyLimits(path)
    told = first.take(both, END)
    assert told["RateLimit-Policy"] == f'"day";q=2;w=86400, "month";q=3;w={30 * 86400}'
    assert told["RateLimit"] == '"day";r=1;t=100, "month";r=2;t=100'
    first.close()
    second = KeyLimits(path)
    second.take(both, END)
    over = refused(second, both)
    assert (over.code, over.limit, over.headers["Retry-After"]) == ("quota-used", "day", "100")
    assert read(path, END) == {both.id: Use(2, 2)}
    # The next day is also the next month.
    second.take(both, END + 101)
    assert read(path, END + 101) == {both.id: Use(1, 1)}
    monthly = key("ffffffffffff", per_month=1)
    second.take(monthly, END - 86_400)
    over = refused(second, monthly, END)
    assert (over.limit, "1 request that it may send in a month" in over.detail) == ("month", True)
    assert read(path, END + 40 * 86_400)[both.id] == Use()


def test_what_a_rate_refuses_uses_no_quota(tmp_path: Path) -> None:
    limits = KeyLimits(tmp_path / "limits")
    both = key(per_second=1.0, burst=1, per_day=10)
    limits.take(both, END, 50.0)
    for _ in range(5):
        refused(limits, both)
    assert read(tmp_path / "limits", END)[both.id].today == 1


def test_many_keys_each_have_their_place(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    one, other = KeyLimits(path), KeyLimits(path)
    for number in range(600):
        each = key(f"{number:012x}", per_day=1000)
        for process in (one, other)[: 1 + number % 2]:
            process.take(each, END)
    found = read(path, END)
    assert len(found) == 600
    assert all(found[f"{number:012x}"].today == 1 + number % 2 for number in range(600))


def test_limits_hold_where_the_file_cannot_be_made(tmp_path: Path) -> None:
    limits = KeyLimits(tmp_path / "missing" / "limits")
    once = key(per_day=1)
    limits.take(once, END)
    assert refused(limits, once).limit == "day"


def test_refused_calls_are_counted_until_their_deployment_is_gone(tmp_path: Path) -> None:
    counted = Counts(tmp_path / "counts.json")
    for deployment, limit in (("d", "day"), ("d", "day"), ("d", "rate"), ("gone", "day")):
        counted.refused(deployment, limit)
    counted.keep_only((id_ for id_ in ("d",)), ())
    counted.store()
    again = Counts(tmp_path / "counts.json")
    assert summed([again.dump(), counted.dump()])["limited"] == {"d": {"day": 4, "rate": 2}}
