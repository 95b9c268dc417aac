"""What a node of a cluster gets to serve a version with: the spec, the archive's addresses and sums, what to install.

Standard library only: the service writes it, nodes read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from registry_tui.contracts.replica_spec import Limits, ReplicaSpec

#: The header with which the gateway and the service show a replica in a cluster that they may call it.
SECRET_HEADER = "X-Registry-Secret"
#: The header of every answer that a replica gave itself; Serve's own answers do not have it.
REPLICA_HEADER = "X-Replica"
#: Where a replica in a cluster says how it is.
STATUS_PATH = "/-/replica"


@dataclass(frozen=True)
class Carried:
    """One revision, for all of its replicas. Contents of files are in base64."""

    spec: ReplicaSpec
    #: The archive's manifest, its SHA-256, and where each of its files can be fetched for a while.
    manifest: str
    manifest_sha256: str
    files: Mapping[str, str] = field(repr=False)
    #: The Python's version, and lines for uv; `{model}` in them is the folder of the model.
    python: str
    requirements: Sequence[str]
    constraints: Sequence[str]
    #: Folders of archives beside the model, relative to it.
    folders: Sequence[str] = ()
    indexes: Sequence[str] = field(default=(), repr=False)
    signature: str = ""
    trusted_keys: str = ""
    #: Bytes that one replica may use.
    memory_bytes: int = 0
    #: Who calls a replica shows this.
    secret: str = field(default="", repr=False)

    def to_values(self) -> dict[str, Any]:
        """As JSON's values."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Carried:
        """Raises ValueError, KeyError, TypeError."""
        spec = dict(values["spec"])
        return cls(**{**values, "spec": ReplicaSpec(**{**spec, "limits": Limits(**spec["limits"])})})
