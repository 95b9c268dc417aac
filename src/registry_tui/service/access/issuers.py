"""The OpenID provider where people sign in: its settings, which the administrator makes, and a try of it before."""

from __future__ import annotations

import ssl
from typing import Any, TypeVar

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from pydantic import BaseModel, ValidationError

from registry_tui.client import tls
from registry_tui.contracts import issuers
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import FieldProblem, Schema
from registry_tui.schemas.sign_in import Configuration, Issuer, IssuerChange, IssuerSettings, SignInWays
from registry_tui.service.core import events, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import InstallationRow
from registry_tui.service.errors import InvalidInput, Missing, PartUnavailable

_KEY = "sign_in_issuer"
_KEY_TYPES = ("RSA", "EC", "OKP")
_CHECK = "Check its address: `registry-tui oidc show`; then try again in a moment"

Answer = TypeVar("Answer", bound=BaseModel)


class _Keys(Schema):
    keys: list[dict[str, Any]]


class IssuerUnavailable(PartUnavailable):
    """The issuer does not answer as an OpenID provider does; the reason is for people."""

    code, title = "issuer-unavailable", "The issuer does not answer"


def ways(service: Service) -> SignInWays:
    """How people sign in; for everybody, also before they did."""
    found = settings_of(service)
    return SignInWays() if found is None else SignInWays(issuer=Issuer.model_validate(found.model_dump()))


def settings_of(service: Service) -> IssuerSettings | None:
    """The issuer's settings; None while people sign in with tokens only."""
    with service.database.reading() as session:
        row = session.get(InstallationRow, _KEY)
    return None if row is None else IssuerSettings.model_validate_json(row.value)


def get_issuer(service: Service, principal: Principal) -> IssuerSettings:
    """The issuer's settings. Raises NotPermitted, Missing."""
    permissions.require(principal, Action.SIGN_IN_CHANGE)
    found = settings_of(service)
    if found is None:
        raise _none()
    return found


def set_issuer(service: Service, principal: Principal, change: IssuerChange) -> IssuerSettings:
    """Lets people sign in at an issuer from now on; it is tried first, and nothing is changed when it does not work.

    Raises NotPermitted, InvalidInput, IssuerUnavailable.
    """
    with events.recording(service, principal, "issuer.set", Resource("issuer", "", change.url)) as event:
        permissions.require(principal, Action.SIGN_IN_CHANGE)
        _check(change)
        configuration = configuration_of(change.url, change.authority)
        keys_of(configuration, change.authority)
        settings = IssuerSettings(
            **change.model_dump(exclude={"url", "groups_claim"}),
            url=configuration.issuer,
            groups_claim=change.groups_claim or "",
        )
        _try_client(settings, configuration)
        with service.database.session() as session:
            session.merge(InstallationRow(key=_KEY, value=settings.model_dump_json()))
        event.detail = f"client {settings.client_id}, users by {settings.user_claim}" + (
            ", made when new" if settings.create_users else ""
        )
    return settings


def delete_issuer(service: Service, principal: Principal) -> None:
    """Lets people sign in with tokens only; those that they have stay good. Raises NotPermitted, Missing."""
    found = settings_of(service)
    with events.recording(service, principal, "issuer.delete", Resource("issuer", "", found.url if found else "")):
        permissions.require(principal, Action.SIGN_IN_CHANGE)
        with service.database.session() as session:
            row = session.get(InstallationRow, _KEY)
            if row is None:
                raise _none()
            session.delete(row)


def configuration_of(url: str, authority: str) -> Configuration:
    """What an issuer says of itself. Raises IssuerUnavailable, also for one that cannot give device codes."""
    found = fetch(issuers.configuration_url(url), authority, Configuration)
    if not issuers.same(found.issuer, url):
        raise IssuerUnavailable(
            f"{url} describes another issuer, {found.issuer[:200]!r}", action="Name the issuer as it names itself"
        )
    if found.device_authorization_endpoint is None:
        raise IssuerUnavailable(
            f"The issuer {url} gives no device codes: it has no device_authorization_endpoint",
            action="Allow the device authorization grant (RFC 8628) there",
        )
    for each in (found.jwks_uri, found.token_endpoint, found.device_authorization_endpoint):
        if (wrong := issuers.endpoint_problem(each, url)) is not None:
            raise IssuerUnavailable(
                f"The issuer {url} names an address that cannot be used, {each[:200]!r}: it {wrong}",
                action="Have it name addresses that begin as its own does",
            )
    return found


def keys_of(configuration: Configuration, authority: str) -> KeySet:
    """The keys that an issuer signs with. Raises IssuerUnavailable, also for one that shows none."""
    keys = KeySet(_usable(fetch(configuration.jwks_uri, authority, _Keys).keys))
    if not keys.keys:
        raise IssuerUnavailable(
            f"The issuer {configuration.issuer} has no key that can be used for signatures",
            action="Have it sign ID tokens with a key of its own, RSA or EC, not with a secret",
        )
    return keys


def fetch(url: str, authority: str, kind: type[Answer]) -> Answer:
    """A document of an issuer. Raises IssuerUnavailable."""
    try:
        with client(url, authority) as http, http.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise IssuerUnavailable(f"{url} answers with status {answer.status_code}", action=_CHECK)
            body = bytearray()
            for part in answer.iter_bytes():
                body += part
                if len(body) > issuers.MOST_BYTES:
                    raise IssuerUnavailable(f"{url} answers with more than {issuers.MOST_BYTES >> 20} MiB")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _away(url, error) from error
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        raise IssuerUnavailable(f"{url} is not a document of an OpenID provider", action=_CHECK) from error


def client(url: str, authority: str) -> httpx.Client:
    """A client for one question to an issuer: not sent on elsewhere, and without TLS not through a proxy."""
    secure = url.startswith("https:")
    return httpx.Client(
        timeout=issuers.PATIENCE,
        trust_env=secure,
        verify=trusted_by(authority) if secure else False,
        headers={"Accept": "application/json"},
    )


def trusted_by(authority: str) -> ssl.SSLContext:
    """What an issuer's certificate is checked with. Raises IssuerUnavailable."""
    context = tls.context_of()
    if authority:
        try:
            context.load_verify_locations(cadata=authority)
        except (ssl.SSLError, ValueError) as error:
            raise IssuerUnavailable("The issuer's authority is not a certificate (PEM)") from error
    return context


# -- underneath -------------------------------------------------------------------------------------------


def _usable(keys: list[dict[str, Any]]) -> list[Key]:
    """Public keys for signatures; others (for encryption, secrets, kinds not known here) are left out."""
    found = []
    for each in keys:
        if each.get("kty") not in _KEY_TYPES or each.get("use", "sig") != "sig":
            continue
        try:
            found.append(JWKRegistry.import_key(each))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found


def _check(change: IssuerChange) -> None:
    problems = []
    if (found := issuers.problem(change.url)) is not None:
        problems.append(FieldProblem(field="url", message=found))
    if "openid" not in change.scopes.split():
        problems.append(FieldProblem(field="scopes", message="must hold openid, else the issuer gives no ID token"))
    if change.authority:
        try:
            ssl.create_default_context().load_verify_locations(cadata=change.authority)
        except (ssl.SSLError, ValueError):
            problems.append(FieldProblem(field="authority", message="is not a certificate (PEM)"))
    if problems:
        detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
        raise InvalidInput(f"The issuer cannot be used: {detail}", errors=problems)


def _try_client(settings: IssuerSettings, configuration: Configuration) -> None:
    """Asks for a device code, which nobody will use. Raises InvalidInput, IssuerUnavailable."""
    url = str(configuration.device_authorization_endpoint)
    try:
        with client(url, settings.authority) as http:
            answer = http.post(url, data={"client_id": settings.client_id, "scope": settings.scopes})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _away(url, error) from error
    if answer.status_code >= 500:
        raise IssuerUnavailable(f"{url} answers with status {answer.status_code}", action=_CHECK)
    if answer.status_code != httpx.codes.OK:
        message = f"{settings.url} gives it no device code (status {answer.status_code}{_error_of(answer)})"
        raise InvalidInput(
            f"client_id: {message}",
            action="Register it there as a public client, without a secret, that may use the device authorization "
            f"grant with the scopes {settings.scopes}",
            errors=[FieldProblem(field="client_id", message=message)],
        )


def _error_of(answer: httpx.Response) -> str:
    """The error code of an answer, when it has one (RFC 6749, 5.2)."""
    try:
        found = answer.json().get("error")
    except (ValueError, AttributeError):
        return ""
    return f", {found[:60]}" if isinstance(found, str) and found.isprintable() else ""


def _away(url: str, error: Exception) -> IssuerUnavailable:
    why = str(error).strip() or type(error).__name__
    return IssuerUnavailable(f"{url} does not answer: {why}", action=_CHECK)


def _none() -> Missing:
    return Missing(
        "People sign in here with tokens only: there is no issuer", action="Set one with `registry-tui oidc set`"
    )
