"""Device codes (RFC 8628) that the service asks for itself, since it alone has the secret of its client.

People's machines never get the secret: whoever had it could ask the issuer in the name of this service.
"""

from __future__ import annotations

from registry_tui.schemas.sign_in import DeviceCode, DeviceCodeProof, DeviceSignedIn, DeviceWait, IdToken
from registry_tui.service.access import id_tokens, issuers, signing_in
from registry_tui.service.access.id_tokens import SignInRefused
from registry_tui.service.access.issuer_answers import IssuerClient, IssuerUnavailable, RefusedByIssuer
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import Missing

#: The issuer's words for a person's answer (RFC 8628, 3.5), and ours.
_ENDED = {
    "access_denied": ("The sign-in was denied at the issuer", "Sign in again, and allow it there"),
    "expired_token": ("The code has expired: nobody allowed the sign-in in time", "Sign in again"),
}
#: Its words for a client that is not set up for this (RFC 6749, 5.2); all others are about the code.
_CLIENT = frozenset({"", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})


def new_code(service: Service) -> DeviceCode:
    """A code that a person types at the issuer. Raises Missing, IssuerUnavailable."""
    client = _client(service)
    try:
        return client.device_code()
    except RefusedByIssuer as error:
        raise _not_let_in(client, error) from error


def sign_in(service: Service, request: DeviceCodeProof, request_id: str) -> DeviceSignedIn:
    """A token for the person who allowed the sign-in; before, why to ask again.

    Raises Missing, SignInRefused, UserSuspended, IssuerUnavailable.
    """
    client = _client(service)
    nobody = Principal(identity.NOBODY, "", request_id)
    with events.refusals(service, nobody, signing_in.ACTION, Resource("user", "", ""), also_at_the_door=True):
        try:
            found = client.tokens(request.device_code)
        except RefusedByIssuer as error:
            if error.code in _CLIENT:
                raise _not_let_in(client, error) from error
            unknown = f"The issuer does not know the code, or it was used before ({error.code})", "Sign in again"
            detail, action = _ENDED.get(error.code, unknown)
            raise SignInRefused(detail, action=action) from error
    if isinstance(found, DeviceWait):
        return DeviceSignedIn(waiting=found)
    return DeviceSignedIn(signed_in=signing_in.sign_in(service, IdToken(id_token=found), request_id))


def _client(service: Service) -> IssuerClient:
    settings, secret = issuers.settings_of(service), issuers.client_secret_of(service)
    if settings is None or not secret:
        raise Missing(
            "The service asks no issuer for codes: it has none, or one that people's own programs ask",
            action="Sign in as `GET /api/v1/sign-in` says",
        )
    return IssuerClient(settings, id_tokens.configuration(service, settings), secret)


def _not_let_in(client: IssuerClient, error: RefusedByIssuer) -> IssuerUnavailable:
    """The issuer refuses the client itself: the person can do nothing about that."""
    why = f"status {error.status}" + (f", {error.code}" if error.code else "")
    return IssuerUnavailable(
        f"{client.settings.url} gives this service no {error.what} ({why})",
        action="Tell the administrator: `registry-tui oidc set … --client-secret-file` tries the issuer again",
    )
