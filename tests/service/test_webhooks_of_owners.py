"""Webhooks of owners of models: their permissions, their events, and the end of the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry_tui.client.client import RegistryClient
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import ModelUpdate, Visibility
from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.people import UserChange
from registry_tui.schemas.places import CollaboratorChange, Role
from registry_tui.schemas.webhooks import (
    DeliveryState,
    WebhookChange,
    WebhookCreate,
    WebhookReplay,
    WebhookSecret,
    WebhookState,
)
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import WebhookDeliveryRow, now
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted, PartUnavailable, ServiceError, WrongState
from registry_tui.service.loops.webhooks import Sender, deliver_next
from registry_tui.service.models import mlflow_changes
from registry_tui.service.operations.events import list_events
from registry_tui.service.settings import Settings
from registry_tui.service.webhooks import deliveries, rights, sending, subscriptions
from support import served
from support.bare import bare_service, make_place, set_roles
from support.platforms import Platform, unique, wait_for
from support.webhook_receivers import Receiver, receiving

PLACE = "lab"
REGISTRY = f"{PLACE}-registry"


class Models:
    """MLflow's answers about models and whose they are."""

    def __init__(self) -> None:
        self.owners = {"wine": "bob", "beer": "cleo"}
        self.away = False

    def call(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        assert path == "registered-models/search"
        if self.away:
            raise PartUnavailable("MLflow does not answer", action="Wait")
        found = [
            {"name": name, "tags": [{"key": mlflow_tags.OWNER, "value": owner}]}
            for name, owner in self.owners.items()
            if f"'{name}'" in given["params"]["filter"]
        ]
        return {"registered_models": found}


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def service(tmp_path: Path, models: Models) -> Iterator[Service]:
    with bare_service(tmp_path, mlflow=models, settings=Settings(webhook_private_hosts=("localhost",))) as found:
        found.database.committing.append(deliveries.note)
        make_place(found, PLACE)
        yield found


@pytest.fixture
def administrator(service: Service) -> Principal:
    return identity.owner_principal(service)


@pytest.fixture
def bob(service: Service) -> Principal:
    """The owner of wine."""
    return set_roles(service, "bob", PLACE, "EnvironmentUser", "MLUser")


@pytest.fixture
def admin(service: Service) -> Principal:
    """An administrator of the environment."""
    return set_roles(service, "eve", PLACE, "EnvironmentAdmin")


def create(service: Service, who: Principal, url: str, name: str = "hook", **more: Any) -> WebhookSecret:
    return subscriptions.create_webhook(service, who, WebhookCreate(name=name, environment=PLACE, url=url, **more))


def happens(service: Service, actor: Principal, action: str = "version.archive", model: str = "wine") -> None:
    resource = Resource("version", "v-1", f"{model} v3", REGISTRY)
    if action.startswith("model."):
        resource = Resource("model", "m-1", model, REGISTRY)
    events.record(service, actor, action=action, resource=resource, outcome=EventOutcome.SUCCEEDED)


def send_all(service: Service, made: WebhookSecret) -> None:
    context = sending.trust(service.settings)
    while deliver_next(service, made.webhook.id, context):
        pass


def states(service: Service) -> list[str]:
    with service.database.reading() as session:
        return list(session.scalars(sa.select(WebhookDeliveryRow.state).order_by(WebhookDeliveryRow.number)))


def test_an_owner_hears_of_their_model_and_of_nothing_else(
    service: Service, bob: Principal, admin: Principal, receiver: Receiver
) -> None:
    made = create(service, bob, receiver.url, model="wine")
    assert (made.webhook.model, made.webhook.registry_id, made.webhook.creator) == ("wine", REGISTRY, "bob")
    happens(service, admin)
    happens(service, admin, model="beer")
    happens(service, admin, "model.set-alias")
    send_all(service, made)
    assert [(each["type"], each["data"]["model"]) for each in receiver.verified(made.secret)] == [
        ("version.ready", "wine"),
        ("version.alias_set", "wine"),
    ]
    log = subscriptions.list_deliveries(service, bob, "hook").items
    assert {each.state for each in log} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize(
    "about",
    [{}, {"registry": REGISTRY}, {"model": "beer"}, {"model": "beer", "registry": REGISTRY}, {"model": "none"}],
    ids=["all", "registry", "another's", "another's there", "missing"],
)
def test_an_owner_makes_none_for_what_is_not_theirs(
    service: Service, bob: Principal, administrator: Principal, receiver: Receiver, about: dict[str, str]
) -> None:
    with pytest.raises(NotPermitted) as refused:
        create(service, bob, receiver.url, **about)
    assert "model that you own" in (refused.value.action or "")
    assert subscriptions.list_webhooks(service, administrator).items == []
    found = list_events(service, administrator, action="webhook.create").items
    assert [(each.outcome, each.actor) for each in found] == [(EventOutcome.DENIED, "bob")]


def test_who_owns_a_model_but_does_not_see_the_environment_makes_none(
    service: Service, models: Models, receiver: Receiver
) -> None:
    stranger = set_roles(service, "bob", PLACE)
    with pytest.raises(Missing):
        create(service, stranger, receiver.url, model="wine")


@pytest.mark.parametrize("url", ["https://elsewhere.example.com/", "http://127.0.0.1:1/x"])
def test_an_owner_does_not_widen_where_messages_go(service: Service, bob: Principal, url: str) -> None:
    with pytest.raises(InvalidInput, match="may not be sent to"):
        create(service, bob, url, model="wine")
    create(service, bob, "http://localhost:1/", model="wine")
    with pytest.raises(InvalidInput, match="may not be sent to"):
        subscriptions.change_webhook(service, bob, "hook", WebhookChange(url=url))


#: Every rule about one webhook, as somebody does it.
DONE: dict[str, Callable[[Service, Principal, str], object]] = {
    "get": subscriptions.get_webhook,
    "delete": subscriptions.delete_webhook,
    "pause": subscriptions.pause_webhook,
    "change": lambda service, who, id_: subscriptions.change_webhook(
        service, who, id_, WebhookChange(events=["version.*"])
    ),
    "resume": subscriptions.resume_webhook,
    "rotate": subscriptions.rotate_secret,
    "test": subscriptions.test_webhook,
    "replay": lambda service, who, id_: subscriptions.replay(service, who, id_, WebhookReplay(since=now())),
    "deliveries": subscriptions.list_deliveries,
}
#: Operations left to a former owner of the model.
LEFT = {"get", "delete", "pause"}


@pytest.mark.parametrize("what", DONE)
def test_an_owner_does_with_their_own_what_an_administrator_does_and_nothing_with_others(
    service: Service, bob: Principal, administrator: Principal, models: Models, receiver: Receiver, what: str
) -> None:
    theirs = create(service, bob, receiver.url, "theirs", model="wine").webhook
    wide = create(service, administrator, receiver.url, "wide").webhook
    about_it = create(service, administrator, receiver.url, "about-it", model="wine", registry=REGISTRY).webhook
    cleo = set_roles(service, "cleo", PLACE, "EnvironmentUser", "MLUser")
    others = create(service, cleo, receiver.url, "others", model="beer").webhook
    assert [each.id for each in subscriptions.list_webhooks(service, bob).items] == [theirs.id]
    for each in (wide, about_it, others):
        with pytest.raises(NotPermitted):
            DONE[what](service, bob, each.id)
    DONE[what](service, bob, theirs.id)
    if what == "delete":
        theirs = create(service, bob, receiver.url, "theirs", model="wine").webhook
    models.owners["wine"] = "cleo"
    if what in LEFT:
        DONE[what](service, bob, theirs.id)
    else:
        with pytest.raises(NotPermitted, match="does not own the model wine any more"):
            DONE[what](service, bob, theirs.id)
    DONE[what](service, administrator, wide.id)


def test_a_name_means_a_persons_own_webhook(
    service: Service, bob: Principal, administrator: Principal, receiver: Receiver
) -> None:
    make_place(service, "other")
    set_roles(service, "bob", "other", "EnvironmentUser")
    wide = WebhookCreate(name="hook", environment="other", url=receiver.url)
    subscriptions.create_webhook(service, administrator, wide)
    theirs = create(service, bob, receiver.url, model="wine").webhook
    assert subscriptions.get_webhook(service, bob, "hook").id == theirs.id


def test_lists_of_what_hears_of_a_model(
    service: Service, bob: Principal, administrator: Principal, receiver: Receiver
) -> None:
    make_place(service, "other")
    for name, more in {"wide": {}, "wine": {"model": "wine"}, "beer": {"model": "beer"}}.items():
        create(service, administrator, receiver.url, name, **more)
    create(service, bob, receiver.url, "bob", model="wine")
    elsewhere = WebhookCreate(name="far", environment="other", url=receiver.url)
    subscriptions.create_webhook(service, administrator, elsewhere)

    def listed(who: Principal, **asked: Any) -> list[str]:
        return [each.name for each in subscriptions.list_webhooks(service, who, **asked).items]

    assert listed(administrator, registry=REGISTRY, model="wine") == ["wide", "wine", "bob"]
    assert listed(administrator, registry=REGISTRY) == ["wide", "wine", "beer", "bob"]
    assert listed(bob, registry=REGISTRY, model="wine") == ["bob"]
    assert listed(bob, registry=REGISTRY, model="beer") == []


def test_who_loses_a_model_hears_no_more_of_it(
    service: Service,
    bob: Principal,
    admin: Principal,
    administrator: Principal,
    models: Models,
    receiver: Receiver,
) -> None:
    made = create(service, bob, receiver.url, model="wine")
    models.owners["wine"] = "cleo"
    happens(service, admin)
    send_all(service, made)
    found = subscriptions.get_webhook(service, bob, "hook")
    assert (found.state, found.reason) == (
        WebhookState.PAUSED,
        "bob, who made it, does not own the model wine any more",
    )
    assert receiver.got == [] and states(service) == ["pending"]
    told = list_events(service, administrator, action="webhook.pause").items
    assert [(each.outcome, each.detail) for each in told] == [(EventOutcome.FAILED, f"Paused: {found.reason}")]
    models.owners["wine"] = "bob"
    subscriptions.resume_webhook(service, bob, "hook")
    send_all(service, made)
    assert states(service) == ["delivered"]


def test_another_owner_pauses_the_webhooks_of_the_one_before_at_once(
    service: Service, bob: Principal, administrator: Principal, models: Models, receiver: Receiver
) -> None:
    create(service, bob, receiver.url, "bob", model="wine")
    create(service, administrator, receiver.url, "wide", events=["version.*"])
    create(service, administrator, receiver.url, "about-it", model="wine", registry=REGISTRY)
    stopping, sender = threading.Event(), Sender(service, lambda: True)
    service.database.committed.append(sender.written)
    thread = threading.Thread(target=sender.run, args=(stopping,))
    thread.start()
    try:
        models.owners["wine"] = "cleo"
        happens(service, administrator, "model.update")
        found = wait_for(
            lambda: [each for each in subscriptions.list_webhooks(service, administrator).items if each.reason]
        )
        assert [each.name for each in found] == ["bob"]
    finally:
        stopping.set()
        sender.wake()
        thread.join(60)
    assert receiver.got == []


def test_nothing_is_sent_or_paused_while_it_is_not_known_who_owns_the_model(
    service: Service, bob: Principal, admin: Principal, models: Models, receiver: Receiver
) -> None:
    made = create(service, bob, receiver.url, model="wine")
    models.away = True
    happens(service, admin)
    send_all(service, made)
    (waits,) = subscriptions.list_deliveries(service, admin, "hook").items
    assert (waits.state, waits.attempt_count, waits.reason) == (DeliveryState.PENDING, 0, "MLflow does not answer")
    assert subscriptions.get_webhook(service, bob, "hook").state is WebhookState.ACTIVE
    with pytest.raises(ServiceError) as refused:
        subscriptions.list_deliveries(service, bob, "hook")
    assert isinstance(refused.value, PartUnavailable)


def test_an_administrator_helps_an_owner_without_taking_the_webhook(
    service: Service, bob: Principal, admin: Principal, models: Models, receiver: Receiver
) -> None:
    create(service, bob, receiver.url, model="wine")
    subscriptions.pause_webhook(service, admin, "hook")
    assert subscriptions.resume_webhook(service, admin, "hook").creator == "bob"
    models.owners["wine"] = "cleo"
    assert subscriptions.resume_webhook(service, admin, "hook").creator == "eve"
    with pytest.raises(NotPermitted):
        subscriptions.get_webhook(service, bob, "hook")


def test_who_gives_a_webhook_another_address_hears_only_what_they_may_see(
    service: Service, admin: Principal, administrator: Principal, receiver: Receiver
) -> None:
    create(service, administrator, receiver.url)
    changed = subscriptions.change_webhook(service, admin, "hook", WebhookChange(events=["version.*"]))
    assert changed.creator == administrator.name
    assert subscriptions.change_webhook(service, admin, "hook", WebhookChange(url=receiver.url)).creator == "eve"


def test_an_owner_has_a_bounded_number_of_webhooks(
    service: Service, bob: Principal, admin: Principal, receiver: Receiver
) -> None:
    for number in range(rights.MOST):
        create(service, bob, receiver.url, f"hook-{number}", model="wine")
    with pytest.raises(WrongState, match=f"{rights.MOST} webhooks"):
        create(service, bob, receiver.url, "one-more", model="wine")
    create(service, admin, receiver.url, "one-more", model="wine")


def test_an_owner_on_a_platform_until_the_model_is_another_persons(platform: Platform) -> None:
    project = platform.new_project()
    version = served.register(platform, project).version
    owner, other = unique("owner"), unique("other")
    for name in (owner, other):
        platform.call(RegistryClient.put_user, name, UserChange())
        platform.call(RegistryClient.set_collaborator, project.id, name, CollaboratorChange(role=Role.VIEWER))
    given = ModelUpdate(owner=owner, visibility=Visibility.PRIVATE)
    platform.call(RegistryClient.update_model, version.registry_id, version.model_name, given)
    environment = project.environment_id
    with receiving() as receiver:
        hook = WebhookCreate(name=unique("w"), environment=environment, url=receiver.url, model=version.model_name)
        made = platform.ask(lambda client: client.create_webhook(hook), user=owner)
        with pytest.raises(Exception, match="may not make webhooks"):
            platform.ask(lambda client: client.create_webhook(hook), user=other)
        platform.ask(
            lambda client: client.set_alias(version.registry_id, version.model_name, "told", version.version),
            user=owner,
        )
        wait_for(lambda: receiver.got, what="the message")
        assert receiver.verified(made.secret)[0]["type"] == "version.alias_set"
        given = ModelUpdate(owner=other)
        platform.call(RegistryClient.update_model, version.registry_id, version.model_name, given)

        def paused() -> bool:
            found = platform.ask(lambda client: client.webhook(made.webhook.id), user=owner)
            return "does not own" in found.reason

        wait_for(paused, what="the webhook to be paused")
        arrived = len(receiver.got)
        platform.ask(
            lambda client: client.set_alias(version.registry_id, version.model_name, "untold", version.version),
            user=other,
        )
        assert len(receiver.got) == arrived
        platform.ask(lambda client: client.delete_webhook(made.webhook.id), user=owner)


def test_what_a_message_tells_is_only_for_whom_may_see_it(
    service: Service, bob: Principal, admin: Principal, administrator: Principal, receiver: Receiver, models: Models
) -> None:
    """An administrator of an environment without a role for models sees deliveries, but not their messages."""
    made = create(service, administrator, receiver.url)
    happens(service, bob)
    send_all(service, made)

    def read(who: Principal) -> list[dict[str, object]]:
        return [each.payload for each in subscriptions.list_deliveries(service, who, made.webhook.id).items]

    assert "wine" in str(read(administrator)) and "wine" not in str(read(admin))
    assert [each["withheld"] for each in read(admin)] == ["eve may not see the event of this message"]
    seen = subscriptions.list_deliveries(service, admin, made.webhook.id).items[0]
    assert (seen.state, seen.type, seen.attempts[0].answer) == (DeliveryState.DELIVERED, "version.ready", "")
    both = set_roles(service, "eve", PLACE, "EnvironmentAdmin", "MLUser")
    assert "wine" in str(read(both))
    models.away = True
    assert "not known now" in str(read(both)) and "wine" not in str(read(both))


def test_a_webhook_follows_its_model_to_another_name(
    service: Service, bob: Principal, administrator: Principal, receiver: Receiver, models: Models
) -> None:
    made = create(service, bob, receiver.url, model="wine")
    everywhere = create(service, administrator, receiver.url, "everywhere", model="wine")
    other = create(service, administrator, receiver.url, "other", model="beer")
    happens(service, bob)
    models.owners["grape"] = models.owners.pop("wine")
    change = mlflow_changes.Change(
        registry_id=REGISTRY,
        user="bob",
        owner="",
        creator="",
        alias="",
        model_id="m-1",
        version_id="",
        name="grape",
        before="wine",
        after="None",
    )
    mlflow_changes.handle(service, administrator, "renamed", change)
    happens(service, bob, model="grape")
    for each in (made, everywhere, other):
        send_all(service, each)
    assert states(service) == ["delivered"] * 4, "also what waited under the name of before"
    named = [subscriptions.get_webhook(service, administrator, each.webhook.id).model for each in (made, other)]
    assert named == ["grape", "beer"]
