"""Page tokens and keyset pages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from registry_tui.service.core.paging import Key, Keyset, decode_token, encode_token, keyset_page
from registry_tui.service.database.tables import EventRow
from registry_tui.service.errors import InvalidInput
from support.databases import new_database


@given(st.text(), st.text(), st.integers())
def test_tokens_come_back(scope: str, name: str, number: int) -> None:
    assert decode_token(scope, encode_token(scope, name, number), str, int) == [name, number]


@given(st.text())
def test_no_text_breaks_decoding(token: str) -> None:
    with pytest.raises(InvalidInput):
        decode_token("a scope that no text hits", token, str)


def test_a_token_of_another_list_or_type_is_refused() -> None:
    for token in (encode_token("other", "x"), encode_token("list", 1), encode_token("list", "x", "y"), "AAAA" * 2000):
        with pytest.raises(InvalidInput) as refused:
            decode_token("list", token, str)
        assert refused.value.errors[0].field == "page_token"


def test_pages_hold_every_row_once_in_mixed_order(tmp_path: Path) -> None:
    database = new_database(tmp_path)
    actors = ["b", "a", "c", "a", "b", "a", "c"]
    with database.session() as session:
        session.add_all(
            EventRow(
                actor=actor,
                actor_crn="",
                action="x",
                resource_type="x",
                resource_id=str(number),
                resource_name="x",
                outcome="succeeded",
                request_id="r",
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
            for number, actor in enumerate(actors)
        )

    def page(size: int, token: str | None, keys: list[Key]) -> Keyset[EventRow]:
        with database.reading() as session:
            return keyset_page(session, select(EventRow), keys, scope="t", page_size=size, page_token=token)

    keys = [Key(EventRow.created_at), Key(EventRow.actor), Key(EventRow.id, descending=True)]
    expected = [row.id for row in page(100, None, keys).rows]
    assert expected == sorted(expected, key=lambda id_: (actors[id_ - 1], -id_))
    for size in (1, 2, 3, 7):
        found, token = [], None
        while True:
            part = page(size, token, keys)
            found += [row.id for row in part.rows]
            token = part.next_page_token
            if token is None:
                break
        assert found == expected
    first = page(2, None, keys).next_page_token
    with pytest.raises(InvalidInput):
        page(2, first, [Key(EventRow.id)])
    with pytest.raises(InvalidInput):
        page(0, None, keys)
