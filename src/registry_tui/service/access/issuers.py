"""The OpenID provider where people sign in: its settings, made by the administrator and tried first."""

from __future__ import annotations

import ssl

from registry_tui.client import tls
from registry_tui.contracts import issuers
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.sign_in import DeviceWait, Issuer, IssuerChange, IssuerSettings, SignInWays
from registry_tui.service.access import id_tokens
from registry_tui.service.access.issuer_answers import (
    IssuerClient,
    RefusedByIssuer,
    configuration_of,
    keys_of,
)
from registry_tui.service.core import events, idempotency, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import InstallationRow
from registry_tui.service.errors import InvalidInput, Missing

_KEY = "sign_in_issuer"
#: A row of its own, so that nothing that shows the settings contains it.
_SECRET_KEY = "sign_in_issuer_secret"


def ways(service: Service) -> SignInWays:
    """How people sign in; for everybody, also before they did."""
    found = settings_of(service)
    return SignInWays() if found is None else SignInWays(issuer=Issuer.model_validate(found.model_dump()))


def settings_of(service: Service) -> IssuerSettings | None:
    """The issuer's settings; None while people sign in with tokens only."""
    with service.database.reading() as session:
        row = session.get(InstallationRow, _KEY)
    return None if row is None else IssuerSettings.model_validate_json(row.value)


def client_secret_of(service: Service) -> str:
    """The secret of the service's client at the issuer; empty for a public client."""
    with service.database.reading() as session:
        row = session.get(InstallationRow, _SECRET_KEY)
    return "" if row is None else row.value


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
        secret = _secret(service, change)
        settings = IssuerSettings(
            **change.model_dump(exclude={"url", "groups_claim", "client_secret"}),
            url=configuration.issuer,
            groups_claim=change.groups_claim or "",
            confidential=bool(secret),
        )
        _try_client(IssuerClient(settings, configuration, secret))
        with service.database.session() as session:
            session.merge(InstallationRow(key=_KEY, value=settings.model_dump_json()))
            if secret:
                session.merge(InstallationRow(key=_SECRET_KEY, value=secret))
            elif (before := session.get(InstallationRow, _SECRET_KEY)) is not None:
                session.delete(before)
        id_tokens.forget(service)
        event.detail = (
            f"client {settings.client_id}{' with a secret' if secret else ''}, users by {settings.user_claim}"
            + (", made when new" if settings.create_users else "")
        )
    return settings


def delete_issuer(service: Service, principal: Principal) -> None:
    """Lets people sign in with tokens only; existing tokens stay valid. Raises NotPermitted, Missing."""
    found = settings_of(service)
    with events.recording(service, principal, "issuer.delete", Resource("issuer", "", found.url if found else "")):
        permissions.require(principal, Action.SIGN_IN_CHANGE)
        with service.database.session() as session:
            row = session.get(InstallationRow, _KEY)
            if row is None:
                raise _none()
            session.delete(row)
            if (secret := session.get(InstallationRow, _SECRET_KEY)) is not None:
                session.delete(secret)
            idempotency.takes(session)


# -- underneath -------------------------------------------------------------------------------------------


def _check(change: IssuerChange) -> None:
    problems = []
    if (found := issuers.problem(change.url)) is not None:
        problems.append(FieldProblem(field="url", message=found))
    if "openid" not in change.scopes.split():
        problems.append(FieldProblem(field="scopes", message="must hold openid, else the issuer gives no ID token"))
    if change.authority:
        try:
            tls.trusting(change.authority)
        except (ssl.SSLError, ValueError):
            problems.append(FieldProblem(field="authority", message="is not a certificate (PEM)"))
    if problems:
        detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
        raise InvalidInput(f"The issuer cannot be used: {detail}", errors=problems)


def _secret(service: Service, change: IssuerChange) -> str:
    """The given secret, or the earlier one of the same client at the same issuer."""
    if change.client_secret is not None:
        return change.client_secret
    known = settings_of(service)
    if known is None or known.client_id != change.client_id or not issuers.same(known.url, change.url):
        return ""
    return client_secret_of(service)


def _try_client(client: IssuerClient) -> None:
    """Requests a device code, which nobody will use, and polls for its token, as a sign-in does.

    Some issuers check the client only when it polls. Raises InvalidInput, IssuerUnavailable.
    """
    settings = client.settings
    try:
        found = client.tokens(client.device_code().device_code)
    except RefusedByIssuer as error:
        why = f"status {error.status}" + (f", {error.code}" if error.code else "")
        message = f"{settings.url} gives it no {error.what} ({why})"
        if client.secret:
            field, action = "client_secret", "Compare the client ID and the secret with those that it has there"
        else:
            field = "client_id"
            action = (
                "Register it there as a public client, without a secret; or name its secret: `--client-secret-file`"
            )
        raise InvalidInput(
            f"{field}: {message}",
            action=f"{action}. It has to be allowed the device authorization grant with the scopes {settings.scopes}",
            errors=[FieldProblem(field=field, message=message)],
        ) from error
    if not isinstance(found, DeviceWait):
        raise InvalidInput(
            f"client_id: {settings.url} signs somebody in whom nobody allowed to",
            action="Do not use this issuer: with a code, a person has to say yes first",
        )


def _none() -> Missing:
    return Missing(
        "People sign in here with tokens only: there is no issuer", action="Set one with `registry-tui oidc set`"
    )
