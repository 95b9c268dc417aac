"""Searching a platform's files for secrets: piece by piece, and nothing is overlooked."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.secret_search import _HIDDEN, _LONG, PIECE, files, hidden, places

SECRET = "k" * 40


@pytest.mark.parametrize("at", [0, PIECE - 39, PIECE - 1, PIECE, 2 * PIECE - 20, 2 * PIECE + 7])
def test_a_secret_is_found_wherever_pieces_of_its_file_end(at: int, tmp_path: Path) -> None:
    content = bytearray(2 * PIECE + 100)
    content[at : at + len(SECRET)] = SECRET.encode()
    (tmp_path / "volume").write_bytes(content)
    assert places({"key": SECRET}, files([tmp_path])) == {("key", str(tmp_path / "volume"))}


def test_no_more_than_a_piece_is_in_memory_and_a_folder_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "volume").write_bytes(bytes(2 * PIECE))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "users").write_text(SECRET)
    read = list(files([tmp_path], without=tmp_path / "store"))
    assert {name for name, _ in read} == {str(tmp_path / "volume")}
    assert max(len(piece) for _, piece in read) < 2 * PIECE


def test_what_a_test_hides_is_a_long_word_of_its_own_form() -> None:
    values = {hidden() for _ in range(3)}
    assert len(values) == 3
    for value in values:
        assert _LONG.fullmatch(value.encode()) and _HIDDEN.fullmatch(value.encode())
