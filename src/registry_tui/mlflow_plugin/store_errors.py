"""The object store's errors as MLflow's: client errors are 4xx, an unavailable store 503."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

from registry_tui.contracts.mlflow_routes import Location

_MISSING = frozenset({"404", "NoSuchKey"})
_CLOSED = frozenset({"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


@contextmanager
def clear_errors(location: Location) -> Iterator[None]:
    """Turns the object store's errors into an MlflowException with the remedy."""
    try:
        yield
    except ParamValidationError as error:
        raise _refused(location, str(error)) from error
    except (ClientError, BotoCoreError, Boto3Error) as error:
        # boto3 wraps the error that ends an upload: the store's own error is its context.
        answer = error if isinstance(error, ClientError) else error.__context__
        raise _translated(location, answer if isinstance(answer, ClientError) else None) from error


def no_artifact(location: Location) -> MlflowException:
    """The error about a file that is missing."""
    return MlflowException(f"There is no artifact '{location.key}'.", error_code=RESOURCE_DOES_NOT_EXIST)


def _translated(location: Location, error: ClientError | None) -> MlflowException:
    if error is None:
        return MlflowException(
            "The object store does not answer. `registry-tui status` shows its state.",
            error_code=TEMPORARILY_UNAVAILABLE,
        )
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    if code == "NoSuchBucket":
        return MlflowException(
            f"The object store has no bucket '{location.bucket}', where this environment's files belong. "
            "`registry-tui status` shows whether the object store is well.",
            error_code=RESOURCE_DOES_NOT_EXIST,
        )
    if code in _MISSING:
        return no_artifact(location)
    if code in _CLOSED:
        return MlflowException(
            f"The object store does not let MLflow's server use '{location.key}' in bucket '{location.bucket}'. "
            "`registry-tui restart service` grants its access again.",
            error_code=PERMISSION_DENIED,
        )
    if status < 500:
        return _refused(location, str(error.response.get("Error", {}).get("Message") or code))
    return MlflowException(
        f"The object store cannot do it now ({code or status}). `registry-tui status` shows its state.",
        error_code=TEMPORARILY_UNAVAILABLE,
    )


def _refused(location: Location, why: str) -> MlflowException:
    return MlflowException(
        f"The object store refuses '{location.key}': {why}. Choose another name.", error_code=INVALID_PARAMETER_VALUE
    )
