"""A deployment as manifests for Kubernetes: KServe's InferenceService, or a plain Deployment with a Service and an
autoscaler. Plain functions; settings that a manifest cannot express are listed separately.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from registry_tui.contracts.counts import counted
from registry_tui.schemas.deployments import MIB, Batching, Deployment, Revision
from registry_tui.schemas.models import ModelVersion
from registry_tui.wording import text

#: The port on which images of `mlflow models build-docker` answer.
PORT = 8080
#: Kubernetes' resource name of a GPU (NVIDIA); the plug-ins of other makers have other names.
GPU = "nvidia.com/gpu"
#: Percent of the processor that replicas ask for, over which the autoscaler adds one.
BUSY_PERCENT = 80


class Kind(StrEnum):
    """The resource that runs the model in a cluster."""

    KSERVE = "kserve"
    PLAIN = "plain"


@dataclass(frozen=True)
class Wanted:
    """Facts about a cluster that the registry cannot know."""

    kind: Kind = Kind.KSERVE
    namespace: str = ""
    #: The model's files, as the cluster reaches them; empty: the archive's own address.
    storage_uri: str = ""
    #: The image of the plain Deployment; empty: a placeholder with the name of the image to build.
    image: str = ""
    most_replicas: int | None = None


@dataclass(frozen=True)
class Manifest:
    """Documents, and sentences on the settings that are not in them."""

    documents: tuple[Mapping[str, Any], ...]
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        head = "".join(f"# {text.safe(sentence)}\n" for sentence in self.left_out)
        return head + "---\n".join(yaml.safe_dump(dict(each), sort_keys=False) for each in self.documents)


def manifest(deployment: Deployment, revision: Revision, version: ModelVersion, wanted: Wanted) -> Manifest:
    """The manifest of a deployment's serving revision."""
    if wanted.kind is Kind.KSERVE:
        return _kserve(deployment, revision, version, wanted)
    return _plain(deployment, revision, version, wanted)


def _kserve(deployment: Deployment, revision: Revision, version: ModelVersion, wanted: Wanted) -> Manifest:
    uri = wanted.storage_uri or f"{(version.archive_uri or '').rstrip('/')}/files"
    model: dict[str, Any] = {
        "modelFormat": {"name": "mlflow"},
        "protocolVersion": "v2",
        "storageUri": uri,
        "resources": _resources(revision),
    }
    if variables := _variables(deployment, revision):
        model["env"] = variables
    scaling = revision.autoscaling
    most = wanted.most_replicas or (revision.replicas if scaling is None else scaling.max_replicas)
    predictor: dict[str, Any] = {"minReplicas": revision.replicas, "maxReplicas": most, "model": model}
    if scaling is not None:
        # KServe's target is a whole number of requests.
        predictor |= {"scaleMetric": "concurrency", "scaleTarget": max(1, round(scaling.target_requests))}
    document = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": _metadata(deployment, revision, wanted),
        "spec": {"predictor": predictor},
    }
    left_out = list(_left_out(deployment, revision))
    if not wanted.storage_uri:
        left_out.insert(
            0,
            f"storageUri is the archive's own address, {uri}: give the cluster access to that store, "
            "or name a copy with --storage-uri",
        )
    left_out.append(
        "KServe's runtime for MLflow models has packages of its own: name another runtime where the model needs others"
    )
    return Manifest((document,), tuple(left_out))


def _plain(deployment: Deployment, revision: Revision, version: ModelVersion, wanted: Wanted) -> Manifest:
    labels = {"app.kubernetes.io/name": deployment.name}
    image = wanted.image or f"{_image_name(deployment.model_name)}:v{revision.version}"
    probe = {"httpGet": {"path": "/ping", "port": PORT}, "periodSeconds": 10, "timeoutSeconds": 5}
    container: dict[str, Any] = {
        "name": "model",
        "image": image,
        "ports": [{"containerPort": PORT, "name": "http"}],
        "resources": _resources(revision),
        "readinessProbe": probe,
        "startupProbe": {**probe, "failureThreshold": 60},
    }
    if variables := _variables(deployment, revision):
        container["env"] = variables
    scaling = revision.autoscaling
    most = wanted.most_replicas or (revision.replicas * 2 if scaling is None else scaling.max_replicas)
    metadata = _metadata(deployment, revision, wanted)
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": BUSY_PERCENT}},
    }
    documents = (
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": labels},
                # As here: new replicas answer before old ones go.
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": {"metadata": {"labels": metadata["labels"]}, "spec": {"containers": [container]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": PORT}]},
        },
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": metadata,
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": _name(deployment)},
                "minReplicas": revision.replicas,
                "maxReplicas": most,
                "metrics": [metric],
            },
        },
    )
    left_out = list(_left_out(deployment, revision))
    if not wanted.image:
        left_out.insert(
            0,
            f"The image {image} has to be built and pushed: `mlflow models build-docker "
            f"-m models:/{deployment.model_name}/{revision.version} -n {image}`; --image names another one",
        )
    if scaling is not None:
        left_out.append(
            "The autoscaler looks at how busy the processors are, not at "
            f"{counted(scaling.target_requests, 'request')} under way in each replica, which Kubernetes does not count"
        )
    elif wanted.most_replicas is None:
        left_out.append(f"The autoscaler may add replicas up to {most}, twice the number here; --max-replicas sets it")
    return Manifest(documents, tuple(left_out))


def _metadata(deployment: Deployment, revision: Revision, wanted: Wanted) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": _name(deployment)}
    if wanted.namespace:
        metadata["namespace"] = wanted.namespace
    metadata["labels"] = {
        "app.kubernetes.io/name": deployment.name,
        "app.kubernetes.io/version": f"v{revision.version}",
    }
    # Labels take few characters; names of models may have any.
    metadata["annotations"] = {
        "registry-tui/registry": deployment.registry_name or deployment.registry_id,
        "registry-tui/model": deployment.model_name,
        "registry-tui/version": str(revision.version),
        "registry-tui/revision": str(revision.number),
        "registry-tui/project": deployment.project_name,
    }
    return metadata


def _resources(revision: Revision) -> dict[str, Any]:
    memory = f"{-(-revision.memory_bytes // MIB)}Mi"
    cpu = f"{round(revision.cpu * 1000)}m"
    each = {"cpu": cpu, "memory": memory, **({GPU: revision.gpus} if revision.gpus else {})}
    return {"requests": each, "limits": dict(each)}


def _variables(deployment: Deployment, revision: Revision) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "valueFrom": {"secretKeyRef": {"name": _secret(deployment), "key": each.name}}}
        if each.secret
        else {"name": each.name, "value": each.value or ""}
        for each in revision.environment
    ]


def _secret(deployment: Deployment) -> str:
    return f"{_name(deployment)}-secrets"


def _name(deployment: Deployment) -> str:
    """The deployment's; services of a cluster begin with a letter (RFC 1035)."""
    return deployment.name if deployment.name[0].isalpha() else f"m-{deployment.name}"[:63].rstrip("-")


def _left_out(deployment: Deployment, revision: Revision) -> Sequence[str]:
    found = []
    if secrets := [each.name for each in revision.environment if each.secret]:
        literals = " ".join(f"--from-literal={name}=…" for name in secrets)
        found.append(
            f"The values of {counted(len(secrets), 'secret variable')} are in no manifest: "
            f"`kubectl create secret generic {_secret(deployment)} {literals}`"
        )
    if deployment.authentication:
        found.append("Nothing asks callers for an API key: put a gateway that does so before the service")
    if deployment.follow_alias and deployment.alias:
        found.append(f"The alias {deployment.alias} is not followed: make the manifest again when it moves")
    if revision.batching is Batching.ON:
        found.append("Requests that wait together share no call of the model")
    if revision.strict_json:
        found.append("NaN and infinities are answered as the server in the image does, not as null")
    if revision.gpus:
        found.append(f"GPUs are asked for as {GPU}: change it where the cluster's have another name")
    if deployment.port is not None:
        found.append(f"The port {deployment.port}, which this deployment has to itself here, is not carried over")
    if _name(deployment) != deployment.name:
        found.append(f"It is called {_name(deployment)}, because names in a cluster begin with a letter")
    found.append("Sums of the model's files are not checked when a replica starts")
    return found


def _image_name(model: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") or "model"
