"""Manifests for Kubernetes: valid by its published schemas, and honest about their omissions."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from registry_tui.schemas.scaling import KeptAutoscaling
from registry_tui.wording.kubernetes import Kind, Wanted
from support.manifests import made

#: A cluster's version that is still kept up.
CLUSTER = "1.34"


#: A revision whose number of replicas the cluster finds.
SCALED: dict[str, Any] = {
    "replicas": 2,
    "autoscaling": KeptAutoscaling(min_replicas=2, max_replicas=6, target_requests=4.4),
    "gpus": 1,
}


@pytest.mark.parametrize("changes", [{}, {"environment": []}, {"cpu": 0.25}, SCALED], ids=str)
@pytest.mark.parametrize("name", ["wine-api", "7-days"])
def test_plain_manifests_are_valid(name: str, changes: dict[str, Any]) -> None:
    documents = list(yaml.safe_load_all(str(made(Wanted(Kind.PLAIN, namespace="ml"), name, **changes))))
    assert [each["kind"] for each in documents] == ["Deployment", "Service", "HorizontalPodAutoscaler"]
    for each in documents:
        kubernetes_validate.validate(each, CLUSTER, strict=True)
        assert each["metadata"]["namespace"] == "ml" and each["metadata"]["name"][0].isalpha()


def test_manifests_have_autoscaling_and_gpus() -> None:
    plain = made(Wanted(Kind.PLAIN), **SCALED)
    deployment, _, autoscaler = plain.documents
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 6)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert (
        container["resources"]["limits"]["nvidia.com/gpu"] == container["resources"]["requests"]["nvidia.com/gpu"] == 1
    )
    assert any("not at 4.4 requests" in each for each in plain.left_out), plain.left_out
    assert any("nvidia.com/gpu" in each for each in plain.left_out), plain.left_out
    (service,) = made(Wanted(Kind.KSERVE), **SCALED).documents
    predictor = service["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 6)
    assert (predictor["scaleMetric"], predictor["scaleTarget"]) == ("concurrency", 4)
    assert predictor["model"]["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_plain_manifests_have_what_the_deployment_has() -> None:
    deployment, service, autoscaler = made(
        Wanted(Kind.PLAIN, image="registry.example/wine:3", most_replicas=5)
    ).documents
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.example/wine:3"
    assert container["resources"]["limits"] == {"cpu": "1500m", "memory": "2049Mi"}
    assert container["env"] == [
        {"name": "LEVEL", "value": "high"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "wine-api-secrets", "key": "TOKEN"}}},
    ]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 5)


def test_what_is_left_out_is_said() -> None:
    said = made(Wanted(Kind.PLAIN))
    text = " ".join(said.left_out)
    for words in (
        "wine-model:v3",
        "--from-literal=TOKEN=",
        "API key",
        "champion",
        "share no call",
        "NaN",
        "8123",
        "up to 4",
    ):
        assert words in text, words
    # Beside the documents, as comments.
    lines = str(said).splitlines()
    assert lines[: len(said.left_out)] == [f"# {sentence}" for sentence in said.left_out]


def test_an_inference_service_names_the_archive_unless_told_otherwise() -> None:
    (document,) = made(Wanted()).documents
    model = document["spec"]["predictor"]["model"]
    assert model["storageUri"] == "s3://bucket/modelregistry/m/v/files" and model["modelFormat"] == {"name": "mlflow"}
    (other,) = made(Wanted(storage_uri="gs://copy/wine", most_replicas=7)).documents
    assert other["spec"]["predictor"]["model"]["storageUri"] == "gs://copy/wine"
    assert other["spec"]["predictor"]["maxReplicas"] == 7
