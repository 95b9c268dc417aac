"""Webhooks with a real receiver, which checks signatures with the library that receivers use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry_tui.platform.database_urls import Databases
from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.webhooks import DeliveryState, WebhookReplay
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import UserRow, WebhookDeliveryRow, WebhookRow, now
from registry_tui.service.errors import InvalidInput, NotPermitted
from registry_tui.service.loops import webhooks as loop
from registry_tui.service.loops.webhooks import deliver_next
from registry_tui.service.settings import Settings
from registry_tui.service.webhooks import deliveries, sending, subscriptions
from support.bare import bare_service, make_place
from support.platforms import PATIENCE
from support.postgres import PostgresServer
from support.webhook_messages import PLACE, create, happens, log_of, send_all, states
from support.webhook_receivers import Receiver, receiving

TESTS = Path(__file__).resolve().parent.parent


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


def test_every_type_of_event_arrives_signed_and_in_order(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    create(service, owner, receiver.url, "other", events=["webhook.paused"])
    made = create(service, owner, receiver.url)
    for action, outcome in deliveries.TYPES:
        happens(service, owner, action, outcome, detail="champion v3")
    for each in deliveries.WORKFLOWS:
        happens(service, owner, "registry.create", each, workflow_id="w-1")
    send_all(service, made)
    messages = receiver.verified(made.secret)
    known = [name for name, _ in (*deliveries.TYPES.values(), *deliveries.WORKFLOWS.values())]
    assert [each["type"] for each in messages] == known
    assert {"timestamp", "data", "type"} == set(messages[0])
    assert states(service, "other") == []
    assert messages[0]["data"] | {"model": "wine", "version": 3, "actor": owner.name} == messages[0]["data"]
    assert {each.state for each in log_of(service, owner, made)} == {DeliveryState.DELIVERED}
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(known)


def test_filters_of_events_registry_and_model(service: Service, owner: Principal, receiver: Receiver) -> None:
    make_place(service, "other")
    ready = create(service, owner, receiver.url, "ready", events=["version.ready"])
    beer = create(service, owner, receiver.url, "beer", model="beer")
    mine = create(service, owner, receiver.url, "mine", registry=f"{PLACE}-registry", events=["version.*"])
    happens(service, owner, "version.archive", EventOutcome.STARTED)
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    assert [each.type for each in log_of(service, owner, ready)] == ["version.ready"]
    assert [each.type for each in log_of(service, owner, mine)] == ["version.ready", "version.registered"]
    assert log_of(service, owner, beer) == []
    with pytest.raises(InvalidInput):
        create(service, owner, receiver.url, "strange", events=["nothing.at_all"])
    with pytest.raises(InvalidInput):
        create(service, owner, receiver.url, "elsewhere", registry="other-registry")


def test_an_event_that_is_rolled_back_is_not_told(service: Service, owner: Principal, receiver: Receiver) -> None:
    made = create(service, owner, receiver.url)
    resource = Resource("version", "v-1", "wine v3", f"{PLACE}-registry")
    with pytest.raises(RuntimeError), service.database.session() as session:
        session.add(
            events.event_row(owner, action="version.archive", resource=resource, outcome=EventOutcome.SUCCEEDED)
        )
        session.flush()
        deliveries.note(session, list(session.identity_map.values()))
        session.flush()
        raise RuntimeError
    assert log_of(service, owner, made) == []


def test_a_failed_attempt_is_repeated_later_with_the_same_id(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    made = create(service, owner, receiver.url)
    receiver.status, receiver.body = 500, b"no \x1b[31mroom" + b"x" * 5000
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    happens(service, owner, "version.archive", EventOutcome.FAILED)
    before = now()
    send_all(service, made)
    late, first = log_of(service, owner, made)
    assert (first.state, late.attempt_count) == (DeliveryState.PENDING, 0)
    assert first.attempts[0].status == 500
    assert len(first.attempts[0].answer) <= sending.ANSWER
    assert "\x1b" not in first.attempts[0].answer
    assert timedelta(seconds=4) < first.next_at - before < timedelta(seconds=60)
    receiver.status = 204
    with service.database.session() as session:
        session.execute(sa.update(WebhookDeliveryRow).values(next_at=before))
    send_all(service, made)
    assert [each.state for each in log_of(service, owner, made)] == [DeliveryState.DELIVERED] * 2
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]


def test_after_the_last_attempt_a_delivery_has_failed_and_can_be_sent_again(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    made = create(service, owner, receiver.url)
    receiver.status = 500
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    for _ in range(len(loop.PAUSES) + 1):
        with service.database.session() as session:
            session.execute(sa.update(WebhookDeliveryRow).values(next_at=now()))
        send_all(service, made)
    assert log_of(service, owner, made)[0].state is DeliveryState.FAILED
    receiver.status = 200
    again = WebhookReplay(since=now() - timedelta(hours=1))
    assert subscriptions.replay(service, owner, "hook", again).count == 1
    send_all(service, made)
    (done,) = log_of(service, owner, made)
    assert done.state is DeliveryState.DELIVERED
    assert subscriptions.replay(service, owner, "hook", again).count == 0
    assert subscriptions.replay(service, owner, "hook", WebhookReplay(delivery=done.id)).count == 1


def test_messages_are_written_and_sent_on_postgresql(
    postgres: PostgresServer, tmp_path: Path, receiver: Receiver
) -> None:
    database = Database(Databases.on_postgresql(postgres.new_database()).service)
    database.migrate()
    with bare_service(tmp_path, database=database, settings=Settings(webhook_private_hosts=("localhost",))) as service:
        service.database.committing.append(deliveries.note)
        make_place(service, PLACE)
        owner = identity.owner_principal(service)
        made = create(service, owner, receiver.url)
        for outcome in (EventOutcome.STARTED, EventOutcome.SUCCEEDED):
            happens(service, owner, "version.archive", outcome)
        send_all(service, made)
        receiver.status = 500
        happens(service, owner, "approval.ask", EventOutcome.SUCCEEDED)
        send_all(service, made)
        types = [each["type"] for each in receiver.verified(made.secret)]
        assert types == ["version.registered", "version.ready", "approval.asked"]
        reached = [each.state for each in log_of(service, owner, made)]
        assert reached == [DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.DELIVERED]
        with service.database.session() as session:
            deliveries.prune(session, made.webhook.id, now() + 2 * deliveries.KEPT_FOR)
        assert [each.state for each in log_of(service, owner, made)] == [DeliveryState.PENDING]
        subscriptions.delete_webhook(service, owner, "hook")
        assert states(service, "hook") == []


def test_a_creator_who_is_gone_or_lost_their_role_pauses_the_webhook(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    made = create(service, owner, receiver.url)
    row = identity.ensure_user(service, "bob")
    bob = identity.principal_of_row(service, row, "r")
    with pytest.raises(NotPermitted):
        subscriptions.resume_webhook(service, _with_role(service, bob), "hook")
    with service.database.session() as session:
        session.execute(sa.update(WebhookRow).values(creator="bob", creator_crn=row.crn))
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    send_all(service, made)
    assert receiver.got == []
    assert "bob" in subscriptions.get_webhook(service, owner, "hook").reason


def _with_role(service: Service, person: Principal) -> Principal:
    """A person who may see the environment, and no more."""
    from registry_tui.service.database.tables import EnvironmentRoleRow

    with service.database.session() as session:
        session.add(EnvironmentRoleRow(environment_id=PLACE, user=person.name, role="MLUser"))
    return person


def test_messages_are_signed_with_both_secrets_after_a_rotation(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    made = create(service, owner, receiver.url)
    new = subscriptions.rotate_secret(service, owner, "hook")
    # Its answer was lost: the secret that receivers know stays valid.
    newest = subscriptions.rotate_secret(service, owner, "hook")
    assert len({made.secret, new.secret, newest.secret}) == 3
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    send_all(service, made)
    assert receiver.verified(made.secret) == receiver.verified(newest.secret)
    with service.database.session() as session:
        session.execute(sa.update(WebhookRow).values(old_secret_until=now()))
        stored = [str(each) for each in session.execute(sa.text("SELECT secret, old_secret FROM webhooks")).one()]
    assert not any("whsec" in each for each in stored)
    receiver.got.clear()
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    send_all(service, made)
    assert len(receiver.got[0][0]["webhook-signature"].split()) == 1
    receiver.verified(newest.secret)


def test_ten_thousand_waiting_deliveries_cost_a_bounded_look(
    service: Service, owner: Principal, receiver: Receiver
) -> None:
    made = create(service, owner, receiver.url)
    with service.database.session() as session:
        row: dict[str, Any] = {
            "webhook_id": made.webhook.id,
            "type": "webhook.test",
            "concerns": {},
            "state": "pending",
            "reason": "",
        }
        row |= {
            "payload": {"type": "webhook.test"},
            "attempt_count": 0,
            "log": {},
            "next_at": now(),
            "created_at": now(),
        }
        session.execute(sa.insert(WebhookDeliveryRow), [{**row, "id": f"msg_{number}"} for number in range(10_050)])
    began = time.process_time()
    assert deliver_next(service, made.webhook.id, sending.trust(service.settings))
    assert time.process_time() - began < 2
    with service.database.session() as session:
        deliveries.prune(session, made.webhook.id, now())
        assert deliveries.waiting(session, made.webhook.id) == deliveries.KEPT


#: A process that sends due deliveries and is killed at a function, before or after its call.
KILLED = """
import os, signal, sys
from pathlib import Path
from registry_tui.service.database.database import Database
from registry_tui.service.loops import webhooks as loop
from registry_tui.service.operations.events import list_events
from registry_tui.service.settings import Settings
from registry_tui.service.webhooks import sending
from support.authorities import authority
from support.bare import bare_service

url, folder, webhook, module, name, when = sys.argv[1:]
where = {"loop": loop, "sending": sending}[module]
whole = getattr(where, name)

def killed(*arguments):
    answer = whole(*arguments) if when == "after" else None
    os.kill(os.getpid(), signal.SIGKILL)

setattr(where, name, killed)
settings = Settings(webhook_private_hosts=("localhost",))
with bare_service(Path(folder), database=Database(url), settings=settings) as service:
    service.secrets.idempotency_seed = os.environ["SEED"]
    loop.deliver_next(service, webhook, sending.trust(settings))
"""


@pytest.mark.parametrize(
    ("module", "name", "when", "arrived"),
    [
        ("sending", "signed", "before", 1),
        ("sending", "send", "before", 1),
        ("sending", "send", "after", 2),
        ("loop", "_note", "before", 2),
        ("loop", "_note", "after", 1),
    ],
)
def test_a_kill_loses_no_message_and_repeats_it_with_its_id(
    service: Service,
    owner: Principal,
    receiver: Receiver,
    tmp_path: Path,
    module: str,
    name: str,
    when: str,
    arrived: int,
) -> None:
    made = create(service, owner, receiver.url)
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    arguments = [service.database.url, str(tmp_path), made.webhook.id, module, name, when]
    # Both have the secrets of one home.
    variables = {**os.environ, "PYTHONPATH": str(TESTS), "SEED": service.secrets.idempotency_seed}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], env=variables, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    send_all(service, made)
    assert len(receiver.got) == arrived
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert log_of(service, owner, made)[0].state is DeliveryState.DELIVERED


def test_a_deleted_person_takes_no_message_along(service: Service, owner: Principal, receiver: Receiver) -> None:
    made = create(service, owner, receiver.url)
    with service.database.session() as session:
        session.execute(sa.update(UserRow).where(UserRow.name == owner.name).values(crn="somebody-else"))
    happens(service, owner, "version.archive", EventOutcome.SUCCEEDED)
    send_all(service, made)
    assert receiver.got == []
