"""Receivers of webhooks that are gone, slow, redirect or may not be called."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.webhooks import DeliveryState, WebhookCreate, WebhookState
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import WebhookDeliveryRow, WebhookRow, now
from registry_tui.service.errors import InvalidInput
from registry_tui.service.loops import webhooks as loop
from registry_tui.service.loops.webhooks import Sender
from registry_tui.service.operations.events import list_events
from registry_tui.service.settings import Settings
from registry_tui.service.webhooks import deliveries, sending, subscriptions
from support.authorities import authority
from support.bare import bare_service, make_place
from support.platforms import wait_for
from support.webhook_messages import PLACE, create, happens, log_of, send_all, states
from support.webhook_receivers import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    settings = Settings(webhook_private_hosts=("localhost",), webhook_hosts=("*.example.com", "127.*", "2130706433"))
    with bare_service(tmp_path, settings=settings) as found:
        found.database.committing.append(deliveries.note)
        make_place(found, PLACE)
        yield found


@pytest.fixture
def owner(service: Service) -> Principal:
    return identity.owner_principal(service)


def test_a_receiver_that_asks_for_a_rest_gets_it_within_a_bound(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    made = create(service, owner, receiver.url)
    receiver.status, receiver.headers = 429, {"Retry-After": "999999"}
    for _ in range(2):
        happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    send_all(service, made)
    send_all(service, made)
    assert len(receiver.got) == 1
    with service.database.reading() as session:
        rest = session.scalars(sa.select(WebhookRow.rest_until)).one()
    assert rest is not None
    assert timedelta(minutes=59) < rest - now() <= timedelta(seconds=sending.LONGEST_REST)


def test_a_redirection_is_not_followed(service: Service, owner: Principal, receiver: Receiver) -> None:
    with receiving() as other:
        made = create(service, owner, receiver.url)
        receiver.status, receiver.headers = 307, {"Location": other.url}
        happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
        send_all(service, made)
        assert (len(receiver.got), other.got) == (1, [])
    assert log_of(service, owner, made)[0].attempts[0].status == 307


def test_a_receiver_that_is_gone_pauses_its_webhook_with_an_event(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    made = create(service, owner, receiver.url)
    receiver.status = 410
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    send_all(service, made)
    found = subscriptions.get_webhook(service, owner, "hook")
    assert (found.state, "410" in found.reason) == (WebhookState.PAUSED, True)
    receiver.status = 200
    subscriptions.resume_webhook(service, owner, "hook")
    with service.database.session() as session:
        session.execute(sa.update(WebhookDeliveryRow).values(next_at=now()))
    send_all(service, made)
    assert log_of(service, owner, made)[0].state is DeliveryState.DELIVERED


def test_many_failures_pause_a_webhook(service: Service, owner: Principal, receiver: Receiver) -> None:
    made = create(service, owner, receiver.url)
    receiver.status = 503
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    with service.database.session() as session:
        long_ago = now() - loop.GIVES_UP_AFTER
        session.execute(sa.update(WebhookRow).values(failures=loop.GIVES_UP - 1, failing_since=long_ago))
    watching = create(service, owner, receiver.url, "watching", events=["webhook.*"])
    make_place(service, "elsewhere")
    subscriptions.create_webhook(
        service, owner, WebhookCreate(name="far", environment="elsewhere", url=receiver.url, events=["webhook.*"])
    )
    send_all(service, made)
    assert subscriptions.get_webhook(service, owner, "hook").state is WebhookState.PAUSED
    (told,) = log_of(service, owner, watching)
    assert (told.type, told.payload["data"]["resource"]["name"]) == ("webhook.paused", "hook")
    assert "has failed since" in told.payload["data"]["detail"]
    assert states(service, "far") == [] and states(service, "hook") == [DeliveryState.PENDING.value]
    found = list_events(service, owner, action="webhook.pause").items
    assert [(each.outcome, each.resource_name) for each in found] == [(EventOutcome.FAILED, "hook")]


def test_a_receivers_certificate_is_checked_by_the_authority_that_is_named(tmp_path: Path) -> None:
    trusted, unknown = authority("webhooks"), authority("unknown")
    ca = tmp_path / "ca.pem"
    ca.write_text(trusted.pem)
    settings = Settings(webhook_private_hosts=("localhost",), webhook_ca=str(ca))
    with bare_service(tmp_path, settings=settings) as service:
        service.database.committing.append(deliveries.note)
        make_place(service, PLACE)
        owner = identity.owner_principal(service)
        for signer, names, arrives in ((trusted, ["localhost"], 1), (unknown, ["localhost"], 0), (trusted, ["x.y"], 0)):
            folder = tmp_path / f"receiver-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            with receiving(signer.sign(folder, names)) as receiver:
                made = create(service, owner, receiver.url, folder.name)
                happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
                send_all(service, made)
                assert len(receiver.got) == arrives
                (attempt,) = log_of(service, owner, made)[0].attempts
            if arrives:
                assert (attempt.status, len(receiver.verified(made.secret))) == (204, 1)
            else:
                assert attempt.status is None and "certificate" in attempt.answer.lower()


def test_a_receiver_that_does_not_answer_holds_up_no_other(
    service: Service, owner: Principal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "WHOLE", 1.0)
    with receiving() as slow:
        slow.go_on.clear()
        create(service, owner, slow.url, "slow")
        quick = create(service, owner, receiver.url, "quick")
        for _ in range(30):
            happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
        stopping, sender = threading.Event(), Sender(service, lambda: True)
        service.database.committed.append(sender.written)
        thread = threading.Thread(target=sender.run, args=(stopping,))
        thread.start()
        try:
            wait_for(lambda: len(receiver.got) == 30, what="the quick receiver's messages")
            happens(service, owner, "version.archive", EventOutcome.FAILED)
            wait_for(lambda: len(receiver.got) == 31, what="one more, without a look at the clock")
            wait_for(lambda: slow.got, what="the slow receiver's message")
        finally:
            stopping.set()
            sender.wake()
            slow.go_on.set()
            thread.join(60)
        assert not thread.is_alive()
    assert [each["type"] for each in receiver.verified(quick.secret)] == ["version.ready"] * 30 + ["version.failed"]


@pytest.mark.parametrize(
    "url",
    [
        "https://other.com/x",
        "ftp://a.example.com/x",
        "https://ann:secret@a.example.com/x",
        "http://127.0.0.1:1/x",
        "http://127.1/x",
        "http://2130706433/x",
        "http:///x",
        "not a url",
    ],
)
def test_addresses_that_are_refused(service: Service, owner: Principal, url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        create(service, owner, url)
    assert refused.value.action
    assert "secret" not in refused.value.detail


def test_a_message_goes_to_the_address_that_was_looked_at(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    made = create(service, owner, receiver.url)
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    # As with a name that leads to a private address from now on.
    strict = Settings(webhook_hosts=("localhost",))
    answer = sending.send(receiver.url, "{}", {}, strict, sending.trust(strict))
    assert (answer.status, "private address" in answer.text) == (None, True)
    assert receiver.got == []
    send_all(service, made)
    assert receiver.got[0][0]["Host"] == receiver.url.split("/")[2]
    assert json.loads(receiver.got[0][1])["type"] == "version.ready"
