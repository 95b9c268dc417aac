"""POSTs about keys, tokens, sign-ins, webhooks and the platform's own secrets and files."""

from __future__ import annotations

from typing import Any

from support.platforms import unique
from support.posts.calls import Call, Place, changes_of


def key(place: Place) -> Call:
    name = unique("k")
    count = lambda: len([each for each in place.items("/keys") if each["name"] == name])  # noqa: E731
    return Call("/keys", {"name": name}, count)


def token(place: Place) -> Call:
    user = unique("u")
    place.http.put(f"/users/{user}").raise_for_status()
    return Call(f"/users/{user}/tokens", {"name": "laptop"}, lambda: len(place.items(f"/users/{user}/tokens")))


def sign_in(place: Place) -> Call:
    user = unique("u")
    place.http.put(f"/users/{user}").raise_for_status()
    id_token = place.issuer.id_token(user, preferred_username=user)
    return Call("/sign-in/id-token", {"id_token": id_token}, lambda: len(place.items(f"/users/{user}/tokens")))


def device_code(place: Place) -> Call:
    before = len(place.issuer.codes)
    return Call("/sign-in/device-code", None, lambda: len(place.issuer.codes) - before)


def device_token(place: Place) -> Call:
    user = unique("u")
    place.http.put(f"/users/{user}").raise_for_status()
    place.issuer.people[user] = {"preferred_username": user}
    code = place.send("/sign-in/device-code").raise_for_status().json()
    place.issuer.answer(code["verification_uri_complete"], user)
    body = {"device_code": code["device_code"]}
    return Call("/sign-in/device-token", body, lambda: len(place.items(f"/users/{user}/tokens")))


def secrets_rotated(place: Place) -> Call:
    before = len(place.items("/events", action="secrets.rotate"))
    count = lambda: len(place.items("/events", action="secrets.rotate")) - before  # noqa: E731
    return Call("/secrets/rotate", {}, count)


def cleaned(place: Place) -> Call:
    before = len(place.items("/events", action="platform.clean"))
    count = lambda: len(place.items("/events", action="platform.clean")) - before  # noqa: E731
    # No thing is that old: on the shared platform others still use things just left.
    return Call("/unused/clean", {"older_than_days": 36_500}, count)


def webhook(place: Place) -> Call:
    name = unique("w")
    count = lambda: [each["name"] for each in place.items("/webhooks")].count(name)  # noqa: E731
    return Call("/webhooks", {"name": name, "environment": "local", "url": "http://localhost:1/"}, count)


def webhook_changed(place: Place, verb: str, body: Any = None) -> Call:
    made = webhook(place)
    id_ = place.send(made.path, made.body).raise_for_status().json()["webhook"]["id"]
    return Call(f"/webhooks/{id_}/{verb}", body, lambda: len(changes_of(place, f"webhook.{verb}", id_)))
