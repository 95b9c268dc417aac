"""The texts about the rotation of secrets match its effects."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from registry_tui.platform.secrets import Secrets
from registry_tui.schemas.secrets import SecretKind
from registry_tui.service.operations.rotating import FIELDS
from registry_tui.wording.secrets import COVERED, LEFT, replaced

#: The secrets of an installation that no kind replaces, with a word of the line about them. A name is not a secret.
STAY = {
    "mlflow_crypto_passphrase": "passphrase",
    "idempotency_seed": "repeated requests",
    "signing_seed": "keys that sign versions",
}
NAMES = {"mlflow_admin_user"}


def test_every_secret_is_of_a_kind_or_said_to_stay() -> None:
    of_kinds = {name for names in FIELDS.values() for name in names}
    assert of_kinds | set(STAY) | NAMES == {each.name for each in fields(Secrets)}
    assert set(COVERED) == set(FIELDS) == set(SecretKind)
    for word in STAY.values():
        assert [what for what in LEFT if word in what]


@pytest.mark.parametrize("kinds", [list(SecretKind), [SecretKind.PEOPLE]])
def test_a_rotation_says_what_was_replaced_and_what_was_not(kinds: list[SecretKind]) -> None:
    done, left = replaced(kinds).split("Not replaced:")
    for kind in SecretKind:
        assert (f"{kind}: {COVERED[kind]}" in done) is (kind in kinds)
        assert (f"`registry-tui secrets rotate --kind {kind}`" in left) is (kind not in kinds)
    for what, how in LEFT.items():
        assert f"{what}: {how}" in left


def test_the_reference_says_the_same() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "cli.md").read_text().split())
    for each in (*COVERED.values(), *LEFT):
        assert each in text
