"""No name that a caller gives can change which address a request of the client or of the service goes to."""

from __future__ import annotations

from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import InvalidName
from registry_tui.contracts import names
from registry_tui.platform.ports import Ports
from registry_tui.service.adapters import mlflow, mlflow_rest
from registry_tui.service.errors import InvalidInput
from support.client_questions import MARKED, arguments, parts_of, questions, sent_parts
from support.climbing import ENCODED, REFUSED


@pytest.mark.parametrize(("method", "parameter"), sorted(questions()))
async def test_a_name_is_one_part_of_the_address_or_nothing_is_sent(method: str, parameter: str) -> None:
    values = arguments(method)
    usual = await sent_parts(method, {**values, parameter: MARKED})
    places = [place for place, part in enumerate(usual) if part == MARKED]
    for name in (*REFUSED, *ENCODED):
        try:
            sent = await sent_parts(method, {**values, parameter: name})
        except InvalidName:
            assert places and name in REFUSED, f"{method}({parameter}={name!r}) must be sent"
            continue
        assert not places or name in ENCODED, f"{method}({parameter}={name!r}) was sent as {sent}"
        assert [unquote(part) for part in sent] == [
            name if place in places else part for place, part in enumerate(usual)
        ]


def test_every_kind_of_question_was_asked() -> None:
    asked = {method for method, _ in questions()}
    assert {"delete_alias", "remove_collaborator", "delete_model", "replica_log", "revoke_key"} <= asked


async def test_a_path_that_a_method_does_not_encode_is_not_sent() -> None:
    async with RegistryClient(transport=httpx.MockTransport(lambda request: httpx.Response(204))) as client:
        for path in ("/projects/../users", "/projects//collaborators", "/projects/a?force=true", "/projects/a#b"):
            with pytest.raises(InvalidName):
                await client._send("DELETE", path)


@pytest.mark.parametrize("name", REFUSED)
def test_the_service_asks_mlflow_nothing_about_such_a_name(name: str) -> None:
    with pytest.raises(InvalidInput):
        mlflow_rest.segment(name)


@pytest.mark.parametrize("path", ["logged-models/../experiments", "/api/2.0/mlflow/x/%2e%2e", "a?b", "a#b", "a//b"])
def test_the_service_sends_mlflow_no_path_that_leads_elsewhere(path: str) -> None:
    class Keys:
        mlflow_admin_user, mlflow_admin_password = "user", "password"

    calls = mlflow.Mlflow(Ports(*range(1, 1 + len(Ports.__dataclass_fields__))), Keys())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        calls.call("DELETE", path)
    with pytest.raises(InvalidInput), calls.stream(path):
        pass
    calls.close()


@given(st.text(max_size=40))
def test_what_is_encoded_comes_back_as_it_was(name: str) -> None:
    try:
        part = names.segment(name)
    except names.UnusableName:
        return
    assert unquote(part) == name
    assert parts_of(httpx.URL(f"http://h/a/{part}/b")) == ["", "a", part, "b"]


def test_a_name_that_is_encoded_without_end_is_refused_at_once() -> None:
    assert names.problem("%" + "25" * 100_000) == "is percent-encoded too often"
