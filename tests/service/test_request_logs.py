"""The sampled request log on a platform: kept without forbidden columns, read by few, deleted, counted."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy
import pyarrow
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from registry_tui.client.errors import Refused
from registry_tui.contracts.binary_columns import ARROW
from registry_tui.contracts.request_columns import MASK
from registry_tui.schemas.deployments import ApiKeyCreate
from registry_tui.schemas.places import CollaboratorChange, Role
from registry_tui.schemas.request_log import LoggedRequest, RequestLogRules
from support.platforms import PATIENCE, Platform, unique, wait_for
from support.served import Served, answer, deploy, split


def test_requests_are_kept_by_rule_read_by_few_and_deleted(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1, authentication=True)
    contributor = unique("member")
    platform.ask(
        lambda client: client.set_collaborator(two.project.id, contributor, CollaboratorChange(role=Role.CONTRIBUTOR))
    )
    key = platform.ask(lambda client: client.create_key(ApiKeyCreate(name="k")), user=contributor).key
    headers = {"Authorization": f"Bearer {key}", "X-Request-ID": unique("asked")}

    def listed() -> list[LoggedRequest]:
        return platform.ask(lambda client: client.logged_requests(deployment.id)).items

    assert answer(deployment, headers=headers) == [13.0]
    assert listed() == []
    rules = RequestLogRules(share=1, leave_out=["B"])
    shown = platform.ask(lambda client: client.set_request_log(deployment.id, rules))
    assert shown.rules == rules
    answer(deployment, split(a=[1, 2], b=[31.25, 41.75]), headers=headers)
    wrapped = {"accessKey": deployment.access_key, "request": split(a=[3], b=[51.5])}
    httpx.post(deployment.model_url, json=wrapped, headers=headers, timeout=PATIENCE, trust_env=False)
    second, first = wait_for(lambda: found if len(found := listed()) == 2 else None, what="two requests")
    assert (first.id, first.rows, first.inputs) == (headers["X-Request-ID"], 2, {"a": [1, 2]})
    assert first.outputs is not None and len(first.outputs["predictions"]) == 2
    assert second.inputs == {"a": [3]} and second.status == 200
    assert (first.version, first.key_id) == (1, key.split("_")[1])
    # Callers choose IDs: the newest with one is meant, unless its time is given.
    assert second.id == first.id
    assert platform.ask(lambda client: client.logged_request(deployment.id, first.id)) == second
    assert platform.ask(lambda client: client.logged_request(deployment.id, first.id, at=first.at)) == first
    shown_whole = platform.command("deployments", "requests", "show", deployment.id, second.id).stdout
    assert f"ID        {second.id}" in shown_whole and "ROW  a  → predictions" in shown_whole
    as_json = platform.command("deployments", "requests", "show", deployment.id, second.id, "--json").stdout
    assert LoggedRequest.model_validate_json(as_json) == second
    unknown = platform.command("deployments", "requests", "show", deployment.id, "unknown", check=False)
    assert unknown.returncode == 1 and "No request 'unknown'" in unknown.stderr, unknown.stderr
    short = platform.ask(lambda client: client.logged_requests(deployment.id, values=1)).items
    assert [(each.rows, each.inputs) for each in short] == [(1, {"a": [3]}), (2, {"a": [1]})]
    assert short[1].outputs is not None and len(short[1].outputs["predictions"]) == 1
    assert "a=1" in platform.command("deployments", "requests", "list", deployment.id).stdout
    page = platform.ask(lambda client: client.logged_requests(deployment.id, page_size=1))
    assert page.items == [second] and page.next_page_token
    following = platform.ask(lambda c: c.logged_requests(deployment.id, page_size=1, page_token=page.next_page_token))
    assert following.items == [first]
    # Neither the key nor the forbidden columns are on disk.
    folder = platform.home.request_logs / deployment.id
    text = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    assert key.split("_", 2)[2] not in text and "31.25" not in text and "51.5" not in text
    # Contributors change deployments, but do not see callers' requests.
    for ask in (
        lambda client: client.logged_requests(deployment.id),
        lambda client: client.logged_request(deployment.id, first.id),
        lambda client: client.request_log(deployment.id),
        lambda client: client.set_request_log(deployment.id, rules),
        lambda client: client.delete_requests(deployment.id),
    ):
        with pytest.raises(Refused):
            platform.ask(ask, user=contributor)
    out = platform.command("deployments", "requests", "list", deployment.id, "--json").stdout
    assert [each["inputs"] for each in json.loads(out)] == [{"a": [3]}, {"a": [1, 2]}]
    platform.command("deployments", "requests", "delete", deployment.id, "--yes")
    assert listed() == []
    told = wait_for(
        lambda: (
            platform.ask(lambda client: client.request_log(deployment.id))
            if platform.ask(lambda client: client.request_log(deployment.id)).kept == 2
            else None
        ),
        what="the count",
    )
    assert (told.dropped, told.bytes) == (0, 0)
    platform.command("deployments", "requests", "off", deployment.id)
    answer(deployment, headers=headers)
    assert listed() == [] and not platform.ask(lambda client: client.request_log(deployment.id)).rules.share
    events = platform.ask(lambda client: client.events(resource=deployment.id)).items
    assert {"deployment.request-log", "deployment.delete-requests"} <= {each.action for each in events}
    assert any("without B" in each.detail for each in events)


def test_drift_from_the_training_data(platform: Platform, two: Served, tmp_path: Path) -> None:
    deployment = deploy(platform, two)
    model, version = deployment.model_name, str(deployment.version)
    named = (model, version, "--registry", deployment.registry_id)

    def drift(*options: str) -> tuple[int, dict[str, Any]]:
        done = platform.command("deployments", "drift", deployment.id, "--json", *options, check=False)
        return done.returncode, json.loads(done.stdout)

    assert drift()[0] == 4 and "no profile" in drift()[1]["problem"]
    file = tmp_path / "train.csv"
    rows = [f"{number % 50},{number % 7},{number % 50 + number % 7 + 20}" for number in range(700)]
    file.write_text("\n".join(["a,b,sum", *rows]) + "\n")
    made = platform.command("models", "profile", *named, "--file", str(file), "--target", "sum", "--json").stdout
    assert [(each["side"], each["name"]) for each in json.loads(made)["columns"]] == [
        ("input", "a"),
        ("input", "b"),
        ("output", "predictions"),
    ]
    assert "train.csv" in platform.command("models", "profile", *named).stderr
    refused = platform.command("models", "profile", *named, "--from-example", check=False)
    assert refused.returncode == 1 and "has no input example" in refused.stderr
    assert drift()[0] == 4
    platform.command("deployments", "requests", "keep", deployment.id, "--share", "100%")
    answer(deployment, split(a=[each % 50 for each in range(350)], b=[each % 7 for each in range(350)]))
    same = wait_for(lambda: found if (found := drift())[1]["rows"] == 350 else None, what="the rows")
    assert same[0] == 0 and not same[1]["problem"] and same[1]["profile_source"] == "train.csv"
    answer(deployment, split(a=[each % 50 + 40 for each in range(350)], b=[each % 7 for each in range(350)]))
    wait_for(lambda: drift()[1]["rows"] == 700, what="the rows")
    code, found = drift("--requests", "1")
    assert code == 3
    assert {each["name"]: each["drifted"] for each in found["columns"]} == {"a": True, "b": False, "predictions": True}
    shown = platform.command("deployments", "drift", deployment.id, "--requests", "1", check=False)
    assert shown.returncode == 3 and "✗ drifts" in shown.stdout and "train.csv" in shown.stderr
    told = platform.command("deployments", "watch", deployment.id, "--max-psi", "9", "--watch").stderr
    assert "PSI above 9 is drift" in told and "reported by events and webhooks" in told
    assert drift("--requests", "1")[0] == 0


def test_arrow_and_binary_tensors_are_kept_by_their_columns(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)
    rules = RequestLogRules(share=1, mask=["b"])
    platform.ask(lambda client: client.set_request_log(deployment.id, rules))
    table = pyarrow.table({"a": [1.5, 2.5], "b": [41.75, 42.75]})
    with io.BytesIO() as written:
        with pyarrow.ipc.new_stream(written, table.schema) as stream:
            stream.write_table(table)
        content = written.getvalue()
    headers = {"Content-Type": ARROW, "Accept": ARROW}
    url = f"{deployment.endpoint_url}/invocations"
    answered = httpx.post(url, content=content, headers=headers, timeout=PATIENCE, trust_env=False)
    assert answered.status_code == 200 and answered.headers["Content-Type"] == ARROW
    tensors = []
    for name, value in (("a", 3.5), ("b", 43.75)):
        tensor = InferInput(name, [1], "FP64")
        tensor.set_data_from_numpy(numpy.array([value]), binary_data=True)
        tensors.append(tensor)
    address = deployment.endpoint_url.removeprefix("http://")
    with InferenceServerClient(address, network_timeout=PATIENCE, connection_timeout=PATIENCE) as client:
        output = InferRequestedOutput("predictions", binary_data=True)
        client.infer(deployment.model_name, tensors, outputs=[output])

    def both() -> list[LoggedRequest] | None:
        found = platform.ask(lambda client: client.logged_requests(deployment.id)).items
        return found if len(found) == 2 else None

    binary, arrow = wait_for(both, what="two requests")
    assert (arrow.path, arrow.rows) == ("invocations", 2)
    assert arrow.inputs == {"a": [1.5, 2.5], "b": [MASK, MASK]}
    assert arrow.outputs is not None and [len(each) for each in arrow.outputs.values()] == [2]
    assert (binary.path, binary.rows) == (f"v2/models/{deployment.model_name}/infer", 1)
    assert binary.inputs == {"a": [3.5], "b": [MASK]} and binary.outputs == {"predictions": [67.25]}
    folder = platform.home.request_logs / deployment.id
    text = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    assert "41.75" not in text and "43.75" not in text
