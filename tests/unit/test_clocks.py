"""The service's clock, from its responses, and the times that depend on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from registry_tui.cli import session
from registry_tui.client.client import RegistryClient
from registry_tui.contracts import clocks
from registry_tui.schemas.people import User, UserToken
from registry_tui.widgets.timespan import parse_span
from registry_tui.wording import people, words

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def noted(clock: clocks.Clock, there: datetime, asked: datetime, took: float = 0.1) -> None:
    clock.note(format_datetime(there, usegmt=True), asked.timestamp(), asked.timestamp() + took)


@pytest.mark.parametrize(
    ("ahead", "words_for_it"),
    [
        (HOUR, "60 minutes behind the service's"),
        (-HOUR, "60 minutes ahead of the service's"),
        (timedelta(minutes=5, seconds=2), "5 minutes behind the service's"),
        (timedelta(minutes=4), ""),
        (timedelta(seconds=50), ""),
        (timedelta(), ""),
    ],
)
def test_a_difference_is_named_from_five_minutes_on(ahead: timedelta, words_for_it: str) -> None:
    clock = clocks.Clock()
    noted(clock, NOW + ahead, NOW)
    assert clock.difference == words_for_it
    within = ahead if abs(ahead) >= clocks.SAME else timedelta()
    assert abs(clock.ahead - within) < timedelta(seconds=2)


def test_an_answer_that_was_long_on_its_way_makes_no_difference() -> None:
    clock = clocks.Clock()
    noted(clock, NOW, NOW, took=600)
    noted(clock, NOW + timedelta(seconds=599), NOW, took=600)
    assert clock.ahead == timedelta()


def test_quick_answers_make_it_exact_again_after_a_slow_one() -> None:
    clock = clocks.Clock()
    noted(clock, NOW + HOUR, NOW)
    exact = clock.ahead
    noted(clock, NOW + HOUR + timedelta(seconds=300), NOW, took=600)
    assert clock.ahead == exact


def test_a_clock_that_is_set_right_differs_no_longer() -> None:
    clock = clocks.Clock()
    noted(clock, NOW + HOUR, NOW)
    noted(clock, NOW + HOUR, NOW + HOUR)
    assert clock.ahead == timedelta() and not clock.difference


def test_answers_without_a_time_change_nothing() -> None:
    clock = clocks.Clock()
    for nothing in ("", "yesterday", "Sun, 99 Nov 2026 12:00:00 GMT"):
        clock.note(nothing, 0.0, 0.0)
    assert not clock.known and clock.ahead == timedelta()


def client_of_a_service(ahead: timedelta) -> RegistryClient:
    """A client of a service whose clock is ahead of this machine's."""
    known = User(name="ann", crn="crn", entitlements=[], created_at=NOW)

    def answer(request: httpx.Request) -> httpx.Response:
        date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
        return httpx.Response(200, content=known.model_dump_json(), headers={"Date": date})

    return RegistryClient(base_url="https://models.example:8443", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
async def test_ages_spans_and_expiry_count_by_the_services_clock(ahead: timedelta) -> None:
    clocks.follow()
    async with client_of_a_service(ahead) as client:
        await client.whoami()
    there = datetime.now(UTC) + ahead
    assert words.ago(there - timedelta(hours=3)) == "3 h ago"
    since, _ = parse_span("10m")
    assert since is not None and abs(since - (there - timedelta(minutes=10))) < timedelta(minutes=20)
    token = UserToken(id="t", name="t", prefix="rt_t", user="ann", created_at=there - HOUR, expires_at=there + HOUR / 2)
    assert people.token_state(token).text == "● good"
    over = token.model_copy(update={"expires_at": there - HOUR / 2})
    assert people.token_state(over).text == "✗ expired"


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
async def test_how_long_ago_on_the_command_line_asks_for_the_services_time(ahead: timedelta) -> None:
    async with client_of_a_service(ahead) as client:
        found = await session.by_the_service(client, session.moment("10m"))
    assert found is not None
    assert abs(found - (datetime.now(UTC) + ahead - timedelta(minutes=10))) < timedelta(minutes=20)
    assert await session.by_the_service(client, NOW) == NOW and await session.by_the_service(client, None) is None


async def test_one_service_says_nothing_about_anothers_clock() -> None:
    async with client_of_a_service(HOUR) as one, client_of_a_service(timedelta()) as other:
        await one.whoami()
        await other.whoami()
        assert one.clock.difference and not other.clock.difference
