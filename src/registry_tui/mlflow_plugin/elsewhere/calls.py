"""Calls to MLflow's server of a platform, with the credentials of an address as they are at that moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.utils.rest_utils import MlflowHostCreds, augmented_raise_for_status, http_request

from registry_tui.mlflow_plugin.elsewhere.address import Address, UnusableAddress, access, parse
from registry_tui.platform.errors import PlatformError

#: Before the path of an artifact, at the server's artifact proxy.
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


def parsed(uri: str) -> Address:
    """The address that a URI names. Raises MlflowException."""
    try:
        return parse(uri)
    except UnusableAddress as error:
        raise invalid(str(error)) from error


def host_credentials(address: Address) -> MlflowHostCreds:
    """MLflow's description of a server and how to sign in. Raises MlflowException."""
    try:
        found = access(address)
    except (UnusableAddress, PlatformError) as error:
        raise invalid(str(error)) from error
    except OSError as error:
        raise invalid(f"The saved sign-in of `registry-tui login` cannot be read: {error}") from error
    return MlflowHostCreds(
        host=found.url,
        username=found.username,
        password=found.password,
        token=found.token,
        server_cert_path=found.certificate,
    )


def list_folder(address: Address, path: str) -> list[dict[str, Any]]:
    """The entries of a folder of artifacts: `path` below the folder, `is_dir`, `file_size`. Raises MlflowException."""
    answer = http_request(host_credentials(address), ARTIFACTS, "GET", params={"path": path})
    augmented_raise_for_status(answer)
    found: list[dict[str, Any]] = answer.json().get("files", [])
    return found


def download(address: Address, path: str, into: Path) -> None:
    """Writes an artifact's bytes to a file. Raises MlflowException, OSError."""
    answer = http_request(host_credentials(address), f"{ARTIFACTS}/{quote(path)}", "GET", stream=True)
    augmented_raise_for_status(answer)
    with into.open("wb") as file:
        for piece in answer.iter_content(1 << 20):
            file.write(piece)


def upload(address: Address, path: str, file: Path) -> None:
    """Stores a file's bytes as an artifact. Raises MlflowException, OSError."""
    with file.open("rb") as content:
        headers = {"Content-Type": "application/octet-stream"}
        credentials = host_credentials(address)
        answer = http_request(credentials, f"{ARTIFACTS}/{quote(path)}", "PUT", data=content, extra_headers=headers)
        augmented_raise_for_status(answer)


def invalid(message: str) -> MlflowException:
    """The error of a request that cannot be carried out."""
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
