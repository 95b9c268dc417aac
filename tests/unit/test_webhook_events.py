"""The types of messages that forms offer are those that the service sends."""

from __future__ import annotations

from registry_tui.contracts.webhook_events import NAMES, NOUNS, offered
from registry_tui.service.webhooks import deliveries


def test_every_type_that_is_sent_is_offered() -> None:
    sent = {name for name, _ in (*deliveries.TYPES.values(), *deliveries.WORKFLOWS.values())}
    assert set(NAMES) == sent and len(NAMES) == len(sent)


def test_what_is_typed_narrows_what_is_offered() -> None:
    assert offered("") == offered("*") == offered("nothing.at_all") == ["*", *(f"{noun}.*" for noun in NOUNS)]
    assert offered("version.*, appr") == [name for name in NAMES if name.startswith("approval.")]
    assert offered("version.re") == ["version.registered", "version.ready"]
    assert offered("w") == offered(""), "of several nouns, the nouns"
