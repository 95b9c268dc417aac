"""Calls about signing in at an issuer."""

from __future__ import annotations

from registry_tui.client.transport import Transport
from registry_tui.schemas.people import NewUserToken
from registry_tui.schemas.sign_in import (
    DeviceCode,
    DeviceCodeProof,
    DeviceSignedIn,
    IdToken,
    IssuerChange,
    IssuerSettings,
    SignInWays,
)


class SignIn(Transport):
    """Calls about signing in at an issuer."""

    async def sign_in_ways(self) -> SignInWays:
        """The ways to sign in; needs no token."""
        return await self._ask(SignInWays, "GET", "/sign-in")

    async def sign_in(self, request: IdToken) -> NewUserToken:
        """A token for the user in the issuer's ID token; needs no token."""
        return await self._ask(NewUserToken, "POST", "/sign-in/id-token", body=request)

    async def new_device_code(self) -> DeviceCode:
        """A code for the issuer, where the service alone has the client's secret; needs no token."""
        return await self._ask(DeviceCode, "POST", "/sign-in/device-code")

    async def sign_in_with_device_code(self, request: DeviceCodeProof) -> DeviceSignedIn:
        """A token for the user who confirmed the sign-in, or the reason to poll again; needs no token."""
        return await self._ask(DeviceSignedIn, "POST", "/sign-in/device-token", body=request)

    async def issuer(self) -> IssuerSettings:
        return await self._ask(IssuerSettings, "GET", "/sign-in/issuer")

    async def set_issuer(self, change: IssuerChange) -> IssuerSettings:
        """Enables signing in at an issuer from now on."""
        return await self._ask(IssuerSettings, "PUT", "/sign-in/issuer", body=change)

    async def delete_issuer(self) -> None:
        """Allows signing in with tokens only."""
        await self._send("DELETE", "/sign-in/issuer")
