"""Profiles of files: Parquet in bounded memory, and many values beside all of them."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path

import numpy
import pyarrow
import pytest
from pyarrow import parquet

from registry_tui.client import profiling
from registry_tui.client.errors import RegistryError
from registry_tui.contracts import profiles, request_columns
from registry_tui.schemas.drift import Side


def test_parquet_has_the_profile_of_the_same_csv(tmp_path: Path) -> None:
    table = pyarrow.table({"a": [1.5, None, 3.0, 4.0], "city": ["rome", "oslo", None, "rome"], "y": [0, 1, 1, 0]})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    (tmp_path / "t.csv").write_text("a,city,y\n1.5,rome,0\n,oslo,1\n3.0,,1\n4.0,rome,0\n")
    found, other = (profiling.of_file(tmp_path / name, ["y"]).profiled("y") for name in ("t.parquet", "t.csv"))
    assert (found.columns, found.rows) == (other.columns, 4)
    assert [each.numeric for each in found.columns] == [True, False, False]


def test_many_values_need_no_more_memory_and_have_nearly_the_same_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "SAMPLE", 5_000)
    values = numpy.random.default_rng(3).normal(0.0, 1.0, 100_000)
    gathered = profiles.Gathering()
    tracemalloc.start()
    try:
        for part in range(0, len(values), 1_000):
            gathered.add(values[part : part + 1_000].tolist())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    found = gathered.profile("x")
    assert found is not None and (found.count, found.numeric) == (100_000, True)
    # As lists, they would take more than three times as much.
    assert peak < 1 << 20
    compared = profiles.compare(found, values.tolist())
    assert compared.psi < 0.01 and compared.ks is not None and compared.ks < 0.03


def test_many_names_are_counted_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "NAMES", 100)
    gathered = profiles.Gathering()
    for part in range(50):
        gathered.add(["often"] * 50 + [f"once {part} {each}" for each in range(50)])
    found = gathered.profile("x")
    assert found is not None and found.count == 5_000
    assert found.shares[found.categories.index("often")] == 0.5 and sum(found.shares) == pytest.approx(1.0)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RegistryError) as refused:
        profiling.of_file(tmp_path / "t.parquet")
    assert "not installed" in refused.value.message and "pip install pyarrow" in (refused.value.action or "")


def lines(path: Path, *objects: object) -> Path:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in objects), encoding="utf-8")
    return path


def chat(*texts: str, **more: object) -> dict[str, object]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)], **more}


def test_chats_have_the_columns_that_the_request_log_has(tmp_path: Path) -> None:
    answer = {"choices": [{"message": {"content": "Yes"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
    file = lines(
        tmp_path / "chats.jsonl",
        chat("Why?", "So", temperature=0.5),
        chat("Is it?", "No", "Really?", "Never"),
        chat("And now?", **answer),
        chat("Unanswered"),
    )
    found = profiling.of_file(file).profiled(None)
    sides = {(each.side, each.name): each for each in found.columns}
    assert found.rows == 4 and found.source == "chats.jsonl"
    assert sides.keys() == {
        (Side.INPUT, "turns"),
        (Side.INPUT, "characters"),
        (Side.INPUT, "temperature"),
        (Side.OUTPUT, "characters"),
        (Side.OUTPUT, "finish_reason"),
        (Side.OUTPUT, "tokens"),
    }
    assert sides[Side.INPUT, "turns"].points == [1, 1, 1, 3]
    assert sides[Side.INPUT, "characters"].points == [4, 8, 10, 15]
    assert sides[Side.OUTPUT, "characters"].points == [2, 3, 5]
    # Their texts do not leave the machine.
    assert "Why?" not in found.model_dump_json() and "Never" not in found.model_dump_json()
    with pytest.raises(RegistryError, match="compared with answers"):
        profiling.of_file(file).profiled("turns")


def test_the_profile_of_chats_fits_kept_requests(tmp_path: Path) -> None:
    file = lines(tmp_path / "chats.jsonl", *(chat("x" * length, "y") for length in range(1, 200)))
    column = next(each for each in profiling.of_file(file).profiled(None).columns if each.name == "characters")
    request = request_columns.of_request(
        "v1/chat/completions", "application/json", json.dumps(chat("x" * 1_000)).encode()
    )
    found = profiles.ColumnProfile.from_json(column.model_dump(exclude={"side"}))
    assert profiles.compare(found, request.values["characters"]).ks == 1.0


def test_rows_of_json_lines_have_the_profile_of_the_same_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "_BATCH", 2)
    rows = [{"a": 1.5, "city": "rome"}, {"city": "oslo"}, {"a": 3.0, "y": 1}, {"a": 4.0, "city": "rome", "y": 0}]
    (tmp_path / "t.csv").write_text("a,city,y\n1.5,rome,\n,oslo,\n3.0,,1\n4.0,rome,0\n")
    found = profiling.of_file(lines(tmp_path / "t.jsonl", *rows)).profiled("y")
    other = profiling.of_file(tmp_path / "t.csv").profiled("y")
    assert (found.columns, found.rows) == (other.columns, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "t.jsonl is empty"),
        ("{}\n[1]\n", "Line 2 of t.jsonl is not a JSON object"),
        ('\n{"messages": [{"role": "user", "content": "x"}]}\n{"a": 1}\n', "Line 3 of t.jsonl has no messages"),
    ],
    ids=["empty", "a list", "a row among chats"],
)
def test_a_line_that_cannot_be_read_is_named(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    with pytest.raises(RegistryError) as refused:
        profiling.of_file(tmp_path / "t.jsonl")
    assert refused.value.message.startswith(said) and "one object a line" in (refused.value.action or "")
