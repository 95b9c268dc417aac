"""The Open Inference Protocol through gateway and replica, by Triton's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from registry_tui.client import RegistryClient
from registry_tui.schemas.deployments import ApiKeyCreate, Deployment
from support.platforms import PATIENCE, Platform, unique
from support.served import deploy, register


@pytest.fixture(scope="module")
def deployment(platform: Platform) -> Deployment:
    return deploy(platform, register(platform, platform.new_project(), add=1), authentication=True)


@pytest.fixture(scope="module")
def key(platform: Platform) -> str:
    return platform.ask(lambda client: client.create_key(ApiKeyCreate(name=unique("key")))).key


@pytest.fixture
def headers(key: str) -> dict[str, str]:
    """For one call: the client adds its own headers to these."""
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def triton(deployment: Deployment) -> Iterator[InferenceServerClient]:
    address = deployment.endpoint_url.removeprefix("http://")
    with InferenceServerClient(address, network_timeout=PATIENCE, connection_timeout=PATIENCE) as client:
        yield client


def inputs(*, binary: bool) -> list[InferInput]:
    found = []
    for name, values in (("a", [1.5, 2.0]), ("b", [0.5, -1.0])):
        tensor = InferInput(name, [2], "FP64")
        tensor.set_data_from_numpy(numpy.array(values), binary_data=binary)
        found.append(tensor)
    return found


def test_a_model_says_what_it_is(
    triton: InferenceServerClient, deployment: Deployment, headers: dict[str, str]
) -> None:
    assert triton.is_server_live(headers=headers) and triton.is_server_ready(headers=headers)
    for name in (deployment.model_name, deployment.name):
        assert triton.is_model_ready(name, headers=headers)
    assert triton.is_model_ready(deployment.model_name, "1", headers=headers)
    assert not triton.is_model_ready("another", headers=headers)
    told = triton.get_model_metadata(deployment.model_name, headers=headers)
    assert (told["name"], told["versions"]) == (deployment.model_name, [str(deployment.version)])
    assert "binary_tensor_data" in triton.get_server_metadata(headers=headers)["extensions"]


@pytest.mark.parametrize("sent", [True, False], ids=["binary", "JSON"])
@pytest.mark.parametrize("asked", [True, False], ids=["for binary", "for JSON"])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_predictions_are_tensors(
    triton: InferenceServerClient,
    deployment: Deployment,
    headers: dict[str, str],
    sent: bool,
    asked: bool,
    packed: str | None,
) -> None:
    output = InferRequestedOutput("predictions", binary_data=asked)
    options: dict[str, Any] = {"request_compression_algorithm": packed, "headers": headers, "request_id": "7"}
    answer = triton.infer(deployment.model_name, inputs(binary=sent), outputs=[output], **options)
    assert answer.as_numpy("predictions").tolist() == [3.0, 2.0]
    assert answer.get_response()["id"] == "7"


def test_refusals_have_their_sentence_where_the_client_reads_it(
    triton: InferenceServerClient, deployment: Deployment, headers: dict[str, str]
) -> None:
    with pytest.raises(InferenceServerException, match="needs an API key"):
        triton.infer(deployment.model_name, inputs(binary=True))
    with pytest.raises(InferenceServerException, match="no output other"):
        outputs = [InferRequestedOutput("other")]
        triton.infer(deployment.model_name, inputs(binary=True), outputs=outputs, headers={**headers})
    with pytest.raises(InferenceServerException, match="There is no path"):
        triton.infer("another", inputs(binary=True), headers=headers)


def test_calls_are_counted(platform: Platform, headers: dict[str, str]) -> None:
    served = deploy(platform, register(platform, platform.new_project(), add=2))
    address = served.endpoint_url.removeprefix("http://")
    with InferenceServerClient(address, network_timeout=PATIENCE, connection_timeout=PATIENCE) as client:
        assert client.infer(served.name, inputs(binary=True), headers=headers).as_numpy("predictions").tolist() == [
            4,
            3,
        ]
        assert client.is_model_ready(served.name, headers=headers)
    found = platform.call(RegistryClient.deployment, served.id)
    assert found.traffic.requests == 1
