"""Scenes of `scenes.py`: signatures of versions with the keys, cards, bills of materials."""

from __future__ import annotations

from support.program import Driver
from support.scene_names import ENVIRONMENT, MODEL, REGISTRY, Scene

VERSION = {"registry": REGISTRY, "model": MODEL, "version": "3"}
#: A requirement of many versions of the demo.
USES = "numpy>=2"


async def signatures(see: Driver) -> None:
    see.go("signatures", **VERSION)
    await see.rows("signatures")
    await see.shows("Trusted by", "valid")


async def sign(see: Driver) -> None:
    await signatures(see)
    await see.press("n")
    await see.shows("Signature file", "Sign")


async def signing_keys(see: Driver) -> None:
    see.go("signing_keys", environment=ENVIRONMENT)
    await see.rows("signing_keys")
    await see.shows("signs now")


async def trust_key(see: Driver) -> None:
    await signing_keys(see)
    await see.press("n")
    await see.shows("Public key", "Trust")


async def card(see: Driver) -> None:
    see.go("card", **VERSION)
    await see.shows("Intended use")


async def write_card(see: Driver) -> None:
    await card(see)
    await see.press("e")
    await see.shows("ctrl+s saves")


async def bom(see: Driver) -> None:
    see.go("bom", **VERSION)
    await see.rows("bom")
    await see.shows("CycloneDX", "numpy")


async def bom_difference(see: Driver) -> None:
    see.go("bom", **VERSION, against="2")
    await see.rows("bom")
    await see.shows("metric")


async def uses(see: Driver) -> None:
    see.go("uses", uses=USES)
    await see.rows("uses")
    await see.shows("numpy==")


async def evidence(see: Driver) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")
    await see.press("ctrl+e")
    await see.shows("Evidence pack of", "Also the files of the model")
    # The real folder is one of the person who records this.
    see.screen.query_one("#folder").value = "/srv/audit/wine-3"
    await see.settled()


KNOWN_SCENES: dict[str, Scene] = {
    "signatures": signatures,
    "sign": sign,
    "signing_keys": signing_keys,
    "trust-key": trust_key,
    "card": card,
    "write-card": write_card,
    "bom": bom,
    "bom-difference": bom_difference,
    "uses": uses,
    "evidence": evidence,
}
