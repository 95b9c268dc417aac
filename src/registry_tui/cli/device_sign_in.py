"""A sign-in with a device code, on the command line."""

from __future__ import annotations

import asyncio

from registry_tui.cli import output
from registry_tui.client.errors import NotFound, Refused, RegistryError
from registry_tui.platform.contexts import Context
from registry_tui.schemas.sign_in import DeviceCode, IdToken, Issuer


def issuer_of(context: Context) -> Issuer | None:
    """The issuer that users of a service sign in at. Raises ServiceUnavailable, RegistryError."""
    from registry_tui.client.client import RegistryClient

    async def ask() -> Issuer | None:
        async with RegistryClient(context=context, signed_in=False) as client:
            try:
                return (await client.sign_in_ways()).issuer
            except (NotFound, Refused):
                # A service of an older version requires a token here.
                return None

    return asyncio.run(ask())


def token_of(context: Context, issuer: Issuer) -> str:
    """The token that a service returns for a sign-in at its issuer; shows the code, and waits for the user.

    Raises SignInFailed, ServiceUnavailable, Refused.
    """
    from registry_tui.client.client import RegistryClient
    from registry_tui.client.device_code import DeviceSignIn, token_by_service

    async def sign_in() -> str:
        async with RegistryClient(context=context, signed_in=False) as client:
            if issuer.confidential:
                code = await client.new_device_code()
                _show(context, issuer, code)
                return await token_by_service(client, code, output.note)
            async with DeviceSignIn(issuer) as device:
                code = await device.begin()
                _show(context, issuer, code)
                given = IdToken(id_token=await device.id_token(code, output.note))
            return (await client.sign_in(given)).token

    return asyncio.run(sign_in())


def _show(context: Context, issuer: Issuer, code: DeviceCode) -> None:
    # Shows both: a confirmation authorizes this service, and a service may name any issuer and client as its own.
    output.note(f"Signing in to {context.url} (client {issuer.client_id} at {issuer.url})")
    output.note(f"Open {code.verification_uri} in a browser, on any machine, and type the code there:")
    output.note(f"  {code.user_code}")
    if code.verification_uri_complete:
        output.note(f"Or open the address that holds it: {code.verification_uri_complete}")
    minutes = max(round(code.expires_in / 60), 1)
    output.note(f"Waiting for the sign-in, {minutes} min at most; Ctrl+C gives up")


def no_issuer(url: str) -> RegistryError:
    """The error about a service where users sign in with tokens only."""
    return RegistryError(
        f"People sign in to {url} with tokens only: it has no issuer",
        action=f"Sign in with a token: `registry-tui login {url}`; an administrator names one: `registry-tui oidc set`",
    )
