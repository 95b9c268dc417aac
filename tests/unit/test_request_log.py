"""The sampled request log in the gateway: the kept columns, the removal of files, a full queue."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from registry_tui.contracts.binary_columns import ARROW
from registry_tui.contracts.gateway_routes import Canary, Replica, Route, Routes
from registry_tui.contracts.gateway_routes import RequestLog as Rules
from registry_tui.contracts.request_columns import MASK, Columns, Kept, NotKept, of_answer, of_request
from registry_tui.gateway import request_log
from registry_tui.gateway.counts import Counts, summed
from registry_tui.gateway.request_log import RequestLog, files_of, prune, record_of, records
from registry_tui.gateway.upstream import Answered
from support.platforms import eventually

ROUTE = Route("d", "adder", "p", "access", True, (), ())
SPLIT = {"dataframe_split": {"columns": ["a", "ssn"], "data": [[1, "078-05-1120"], [2, "219-09-9999"]]}}
JSON = "application/json"


def asked(body: object, path: str = "invocations") -> dict[str, list[Any]]:
    return of_request(path, JSON, json.dumps(body).encode()).values


def predicted(value: object) -> Columns:
    return of_answer("invocations", JSON, json.dumps({"predictions": value}).encode())


def test_columns_of_each_form_of_a_request() -> None:
    two = {"a": [1, 2], "b": ["x", None]}
    assert asked({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}}) == two
    assert asked({"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2}]}) == two
    assert asked({"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": None}], "params": {"t": 1}}) == two
    assert asked({"inputs": two}) == two
    assert asked({"inputs": [[1, 2], [3, 4]]}) == {"0": [1, 3], "1": [2, 4]}
    tensors = {"inputs": [{"name": "a", "shape": [2], "datatype": "INT64", "data": [1, 2]}]}
    assert asked(tensors, "v2/models/m/infer") == {"a": [1, 2]}
    table = of_request("invocations", "text/csv; charset=utf-8", b"a,b\n1,x\n2,\n")
    assert (table.values, table.rows) == ({"a": [1.0, 2.0], "b": ["x", None]}, 2)
    assert predicted([1.5, 2]).values == {"predictions": [1.5, 2]}
    assert predicted([{"label": "a", "score": 0.5}]).values == {"label": ["a"], "score": [0.5]}
    assert predicted(3).values == {"predictions": [3]}
    many = of_request("invocations", JSON, json.dumps({"inputs": {"a": list(range(5000))}}).encode())
    assert (len(many.values["a"]), many.rows) == (1000, 5000)


def test_columns_of_streams_of_arrow() -> None:
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table({"a": [1, 2, None], "b": ["x", "y", "z"], "c": [0.5, float("nan"), 1.0]})
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    body = sink.getvalue().to_pybytes()
    found = of_request("invocations", ARROW, body, most=2)
    assert (found.rows, found.values["a"], found.values["b"]) == (3, [1, 2], ["x", "y"])
    assert Kept.of(["A"], ["b"]).of_columns(of_answer("invocations", ARROW, body)) == {
        "b": [MASK] * 3,
        "c": [0.5, None, 1.0],
    }


def test_columns_of_binary_tensors() -> None:
    values = {
        "a": ("FP32", struct.pack("<2f", 0.5, 2.0)),
        "flag": ("BOOL", b"\x01\x00"),
        "city": ("BYTES", b"\x04\x00\x00\x00rome\x00\x00\x00\x00"),
    }
    tensors = [
        {"name": name, "shape": [2, 1], "datatype": kind, "parameters": {"binary_data_size": len(data)}}
        for name, (kind, data) in values.items()
    ]
    tensors.insert(1, {"name": "plain", "shape": [2], "datatype": "INT64", "data": [7, 8]})
    wanted = {"a": [0.5, 2.0], "plain": [7, 8], "flag": [True, False], "city": ["rome", ""]}
    for name, read in (("inputs", of_request), ("outputs", of_answer)):
        head = json.dumps({name: tensors}).encode()
        body = head + b"".join(data for _, data in values.values())
        found = read("v2/models/m/infer", "application/octet-stream", body, json_length=str(len(head)))
        assert (found.values, found.rows) == (wanted, 2)
        for length in ("9999", "x", str(len(head) - 1)):
            with pytest.raises(NotKept):
                read("v2/models/m/infer", "application/octet-stream", body, json_length=length)
        with pytest.raises(NotKept, match="not of their type's length"):
            read("v2/models/m/infer", "application/octet-stream", body[:-1], json_length=str(len(head)))


CHAT = {
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "My number is 078"}]},
    ],
    "temperature": 0.5,
}


@pytest.mark.parametrize("path", ["v1/chat/completions", "invocations"])
def test_columns_of_chats(path: str) -> None:
    found = of_request(path, JSON, json.dumps(CHAT).encode())
    assert found.values == {"turns": [2], "characters": [24], "content": ["My number is 078"], "temperature": [0.5]}
    said = {"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
    answer = of_answer(path, JSON, json.dumps({**said, "usage": {"completion_tokens": 3}}).encode())
    assert answer.values == {"characters": [5], "content": ["Hello"], "finish_reason": ["stop"], "tokens": [3]}
    # A rule that leaves out the field with the texts leaves out the texts; lengths stay.
    for name in ("messages", "Content"):
        assert set(Kept.of([name], []).of_columns(found)) == {"turns", "characters", "temperature"}
        assert Kept.of([], [name]).of_columns(found)["content"] in (MASK, [MASK])
    assert "content" not in Kept.of(["choices"], []).of_columns(answer)


def test_columns_of_responses() -> None:
    found = of_request("v1/responses", JSON, b'{"input": "Hello", "max_output_tokens": 9}').values
    assert found == {"turns": [1], "characters": [5], "content": ["Hello"], "max_output_tokens": [9]}
    said = {"status": "completed", "output": [{"content": [{"type": "output_text", "text": "Hi"}]}]}
    assert of_answer("v1/responses", JSON, json.dumps(said).encode()).values["content"] == ["Hi"]


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("invocations", "application/vnd.apache.arrow.stream", b"x"),
        ("invocations", JSON, b"{"),
        ("invocations", JSON, b"[" * 100_000),
        ("invocations", JSON, b"[1]"),
        ("invocations", JSON, b'{"messages": []}'),
        ("invocations", JSON, b'{"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}'),
        ("invocations", "text/csv", b"a,b\n1\n"),
        ("v1/chat/completions", JSON, b'{"messages": []}'),
        ("v2/models/m/infer", JSON, b'{"inputs": [{"name": "a", "shape": [2, 2], "data": [1, 2, 3, 4]}]}'),
    ],
)
def test_what_is_not_understood_is_not_kept(path: str, kind: str, body: bytes) -> None:
    with pytest.raises(NotKept):
        of_request(path, kind, body)


def test_columns_that_may_not_be_kept_are_taken_out() -> None:
    kept = Kept.of(["SSN"], ["email"])
    found = of_request(
        "invocations",
        JSON,
        json.dumps({"inputs": {"a": [1], "ssn ": ["x"], "Email": ["e"], "who": [{"ssn": "y", "name": "n"}]}}).encode(),
    )
    assert kept.of_columns(found) == {"a": [1], "Email": [MASK], "who": [{"name": "n"}]}
    with pytest.raises(NotKept, match="no names"):
        kept.of_columns(of_request("invocations", JSON, b'{"instances": [["x", 1]]}'))
    long = Kept().of_columns(of_request("invocations", JSON, json.dumps({"inputs": {"t": ["x" * 2000]}}).encode()))
    assert long["t"] == ["x" * 1000 + "…"]


class Told:
    """Collects the counts that the log reports."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, deployment: str, kept: int, dropped: int) -> None:
        self.counts.update(kept=kept, dropped=dropped)

    async def until(self, **wanted: int) -> None:
        async def there() -> bool:
            return all(self.counts[name] >= count for name, count in wanted.items())

        await eventually(there, what=str(wanted))


def answered(body: Mapping[str, Any], status: int = 200) -> Answered:
    return Answered(status, json.dumps(body).encode(), {"content-type": JSON}, "d-1-0", 0)


def note(log: RequestLog, rules: Rules, id_: str, body: object = SPLIT, status: int = 200) -> None:
    answer = answered({"predictions": [3, 4]} if status == 200 else {"message": "ssn 078-05-1120 is wrong"}, status)
    log.note(ROUTE, rules, "invocations", JSON, json.dumps(body).encode(), answer, 0.25, id_)


async def test_requests_are_written_without_what_may_not_be_kept(tmp_path: Path) -> None:
    told = Told()
    log = RequestLog(tmp_path, "gateway", told)
    rules = Rules(1.0, 3600.0, 1 << 20, leave_out=("ssn",))
    note(log, rules, "one")
    note(log, rules, "two", status=400)
    note(log, rules, "three", {"inputs": {"a": ["x" * request_log.LARGEST]}})
    note(log, Rules(0.0, 3600.0, 1 << 20), "never")
    await asyncio.to_thread(log.close)
    await told.until(kept=3)
    ((path, stat),) = files_of(tmp_path / "d")
    assert stat.st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "078-05" not in text and "219-09" not in text
    three, two, one = records(tmp_path / "d")
    assert (one["id"], one["rows"], one["inputs"], one["outputs"]) == ("one", 2, {"a": [1, 2]}, {"predictions": [3, 4]})
    assert (one["status"], one["seconds"], one["replica"]) == (200, 0.25, "d-1-0")
    assert "inputs" not in two and two["status"] == 400 and "200" in two["note"]
    assert "inputs" not in three and "too large" in three["note"]


async def test_what_finds_no_room_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    log = RequestLog(tmp_path, "gateway", told)
    with log._writing:  # nothing is written meanwhile
        for number in range(request_log.WAITING + 7):
            note(log, Rules(1.0, 3600.0, 1 << 30), str(number))
    assert told.counts["dropped"] == 7
    await asyncio.to_thread(log.close)
    assert len(list(records(tmp_path / "d"))) == request_log.WAITING
    # On a full disk requests are dropped and counted; callers do not notice.
    monkeypatch.setattr(request_log, "space_of", lambda folder: Full())
    other = RequestLog(tmp_path / "other", "gateway", told)
    note(other, Rules(1.0, 3600.0, 1 << 30), "x")
    await asyncio.to_thread(other.close)
    await told.until(dropped=8)


class Full:
    def lacks(self, needed: int) -> bool:
        return True


def written(folder: Path, name: str, start: float, count: int, size: int = 100) -> Path:
    """A file of the log whose requests are a second apart."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    lines = [{"at": start + number, "id": f"{name}-{number}", "pad": "x" * size} for number in range(count)]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    os.utime(path, (start + count, start + count))
    return path


def test_files_go_by_age_and_by_size(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    old, middle, new = (written(folder, f"{at}-g.jsonl", 1000.0 * at, 10, 1000) for at in (1, 2, 3))
    assert prune(folder, Rules(1.0, 5000.0, 1 << 30), 6500.0) == 1
    assert not old.exists()
    assert prune(folder, Rules(1.0, 1e9, 15_000), 6500.0) == 1
    assert not middle.exists() and new.exists()
    assert prune(folder, Rules(1.0, 1e9, 15_000), 6500.0, room_for=10_000) == 1
    assert prune(tmp_path / "none", Rules(1.0, 1.0, 1), 0.0) == 0


def test_requests_of_two_processes_are_read_newest_first_and_in_pages(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    written(folder, "1-gateway.jsonl", 1000.0, 50)
    written(folder, "2-gateway-2.jsonl", 1020.5, 50)
    written(folder, "3-gateway.jsonl", 1060.2, 30)
    with (folder / "3-gateway.jsonl").open("a") as file:
        file.write('{"at": 1200, "id": "to')
    found = [(each["at"], each["id"]) for each in records(folder)]
    assert found == sorted(found, reverse=True) and len(found) == 130
    assert [(each["at"], each["id"]) for each in records(folder, before=found[39])] == found[40:]
    assert len(list(records(folder, oldest=1060.0))) == len([at for at, _ in found if at >= 1060.0])


def test_rules_pass_through_the_routes_file() -> None:
    rules = Rules(0.5, 60.0, 1 << 20, ("a",), ("b",))
    route = Route("d", "adder", "p", "access", True, (), (), request_log=rules)
    assert Routes.from_json(Routes((route,)).to_json()).deployments[0].request_log == rules


def test_counts_of_a_log_last_until_its_deployment_is_gone(tmp_path: Path) -> None:
    counted = Counts(tmp_path / "counts.json")
    counted.logged("d", 3, 0)
    counted.logged("d", 1, 2)
    counted.logged("gone", 1, 0)
    counted.keep_only((id_ for id_ in ("d",)), ())
    counted.store()
    again = Counts(tmp_path / "counts.json")
    assert summed([again.dump(), counted.dump()])["logs"] == {"d": {"kept": 8, "dropped": 4}}


def test_one_request_is_found_by_its_id_in_the_files_of_several_processes(tmp_path: Path) -> None:
    def write(name: str, mtime: float, *requests: tuple[float, str]) -> None:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"at": at, "id": id_, "path": id_}) + "\n" for at, id_ in requests) + '{"at')
        os.utime(path, (mtime, mtime))

    write("1-a.jsonl", 30.0, (10.0, "mine"), (12.0, "other"), (29.0, "mine, and more"))
    write("2-b.jsonl", 25.0, (11.0, "mine"), (20.0, 'quo"ted'))
    write("0-c.jsonl", 9.0, (8.0, "mine"))
    found = record_of(tmp_path, "mine")
    assert found is not None and found["at"] == 11.0
    assert record_of(tmp_path, "mine", is_it=lambda each: each["at"] == 8.0) == {
        "at": 8.0,
        "id": "mine",
        "path": "mine",
    }
    assert record_of(tmp_path, 'quo"ted') is not None and record_of(tmp_path, "other") is not None
    assert record_of(tmp_path, "mine", oldest=11.5) is None and record_of(tmp_path, "min") is None
    assert record_of(tmp_path / "nothing", "mine") is None


def test_the_version_that_answered_and_the_id_of_the_key_are_kept(tmp_path: Path) -> None:
    tried = Canary("c", False, 0.5, (Replica("new", "s2", version=4),), False, 0.0)
    route = Route("d", "adder", "p", "access", True, (), (Replica("old", "s1", version=3),), canary=tried)
    assert Routes.from_json(Routes((route,)).to_json()).deployments == (route,)
    rules = Rules(share=1.0, seconds=60.0, max_bytes=1 << 20)

    async def both() -> None:
        log = RequestLog(tmp_path, "0", lambda *_: None)
        for replica, version, key in (("old", 3, "k1"), ("new", 4, ""), ("unknown", 0, "")):
            answered = Answered(500, b"", {}, replica, 0, version=version)
            log.note(route, rules, "invocations", JSON, b"{}", answered, 0.01, replica, key=key)
        log.close()

    asyncio.run(both())
    kept = {each["id"]: (each["version"], each["key_id"]) for each in records(tmp_path / "d")}
    assert kept == {"old": (3, "k1"), "new": (4, ""), "unknown": (None, "")}
