"""The spec of one replica: written by the service, read by the replica. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """Bytes of a request's body, seconds of a request, requests that may wait.

    For a streamed response, `seconds` is the timeout until the first piece and between two, `stream_seconds` that of
    the whole.
    """

    body_bytes: int = 64 * 1024 * 1024
    seconds: float = 60.0
    queue_length: int = 256
    stream_seconds: float = 600.0

    @property
    def stuck_seconds(self) -> float:
        """How long one call of the model may take at most: its callers have gone long before."""
        return 2 * self.seconds + 10.0


@dataclass(frozen=True)
class ReplicaSpec:
    """One replica. `model` is a folder with an archive's `files/` and its `manifest.json`."""

    name: str
    deployment: str
    model: str
    model_name: str
    version: int
    socket: str
    #: Threads that numerical libraries may use: the deployment's CPU, rounded up.
    threads: int = 1
    #: Whether requests that wait together share one call of the model: `auto`, `on` or `off`.
    batching: str = "auto"
    #: Whether NaN and infinities become null in responses.
    strict_json: bool = False
    #: Where the model's files are read from, for people; empty where there is one place for them only.
    files: str = ""
    #: Whether that is a folder of an NFS, whose server may not respond.
    shared: bool = False
    #: The SHA-256 of the archive's manifest there, whose folder others might replace; empty: not compared.
    manifest_sha256: str = ""
    #: The signature that the archive is checked by, and the public keys that are trusted, by fingerprint; empty for a
    #: version that was never signed.
    signature: str = ""
    trusted_keys: str = ""
    #: The version that the signature is about; empty for another signer's.
    signed_version: str = ""
    limits: Limits = Limits()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def load(cls, path: Path) -> ReplicaSpec:
        """Reads a spec. Raises OSError, ValueError, TypeError."""
        values = json.loads(path.read_text(encoding="utf-8"))
        # A spec of an earlier release has this instead of `batching`; its replica starts again after an upgrade.
        if values.pop("batch", True) is False:
            values["batching"] = "off"
        return cls(**{**values, "limits": Limits(**values["limits"])})


def reason_file(spec: Path) -> Path:
    """The file with the reason why a replica cannot serve."""
    return spec.with_suffix(".reason")


def unread_file(spec: Path) -> Path:
    """Exists while a replica could not read its model's files, or found them damaged."""
    return spec.with_suffix(".unread")


def starts_file(spec: Path) -> Path:
    """The file with a line for each start of a replica: seconds since 1970 and PID."""
    return spec.with_suffix(".starts")


def batching_file(spec: Path) -> Path:
    """The file with whether a replica's requests share calls of the model, and why."""
    return spec.with_suffix(".batching")


def calls_file(spec: Path) -> Path:
    """The file with how a replica's calls of its model end, see `calls.py`."""
    return spec.with_suffix(".calls")


def files_file(spec: Path) -> Path:
    """The file with the place, for people, from which a replica reads its model's files."""
    return spec.with_suffix(".files")


def files_beside(spec: Path) -> tuple[Path, ...]:
    """All files next to a replica's spec."""
    return (
        reason_file(spec),
        unread_file(spec),
        starts_file(spec),
        batching_file(spec),
        calls_file(spec),
        files_file(spec),
    )
