"""The keys that sign versions in an environment, or whose signatures are trusted there."""

from __future__ import annotations

from registry_tui.schemas.base import Page
from registry_tui.schemas.signatures import SigningKey, SigningKeyAdd
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.signing import trust

router = new_router("signing keys")

_KEYS = "/environments/{environment}/signing-keys"


@router.get(_KEYS)
def list_signing_keys(service: ServiceIn, principal: Acting, page: PageIn, environment: str) -> Page[SigningKey]:
    """The keys that an environment trusts, the oldest first; private halves are shown to nobody."""
    return trust.list_keys(service, principal, environment, page_size=page.page_size, page_token=page.page_token)


@router.post(_KEYS, status_code=201)
def add_signing_key(service: ServiceIn, principal: Acting, environment: str, request: SigningKeyAdd) -> SigningKey:
    """Adds somebody's public key to the trusted ones; for the environment's administrators."""
    return trust.add_key(service, principal, environment, request)


@router.post(f"{_KEYS}/rotate", status_code=201)
def rotate_signing_key(service: ServiceIn, principal: Acting, environment: str) -> SigningKey:
    """Makes a new key, which signs from now on; earlier signatures stay valid."""
    return trust.rotate_key(service, principal, environment)


@router.delete(f"{_KEYS}/{{key}}", status_code=204)
def remove_signing_key(service: ServiceIn, principal: Acting, environment: str, key: str) -> None:
    """Removes trust in a key, by name or fingerprint; for the environment's administrators."""
    trust.remove_key(service, principal, environment, key)
