"""Calls about the keys that sign versions."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.schemas.base import Page
from registry_tui.schemas.signatures import SigningKey, SigningKeyAdd


class Signing(Transport):
    """Calls about the keys that sign versions in an environment, or are trusted there."""

    async def signing_keys(self, environment: str, **page: Any) -> Page[SigningKey]:
        return await self._ask(Page[SigningKey], "GET", self._keys(environment), params=page)

    async def add_signing_key(self, environment: str, request: SigningKeyAdd) -> SigningKey:
        """Trusts an existing public key."""
        return await self._ask(SigningKey, "POST", self._keys(environment), body=request)

    async def rotate_signing_key(self, environment: str) -> SigningKey:
        """Creates a new key, which signs from now on."""
        return await self._ask(SigningKey, "POST", f"{self._keys(environment)}/rotate")

    async def remove_signing_key(self, environment: str, key: str) -> None:
        """Stops trusting a key, by name or fingerprint."""
        await self._send("DELETE", f"{self._keys(environment)}/{segment(key)}")

    @staticmethod
    def _keys(environment: str) -> str:
        return f"/environments/{segment(environment)}/signing-keys"
