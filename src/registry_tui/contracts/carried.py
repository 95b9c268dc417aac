"""A version as sent to a node of a cluster: the spec, addresses and sums of the archive, and the packages to install.

Standard library only: the service writes it, nodes read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from registry_tui.contracts.replica_spec import Limits, ReplicaSpec

#: The header with the secret that the gateway and the service present to a replica in a cluster.
SECRET_HEADER = "X-Registry-Secret"
#: The header of every response from a replica itself; Serve's own responses do not have it.
REPLICA_HEADER = "X-Replica"
#: The path of a replica's status in a cluster.
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
    #: Folders of archives next to the model, relative to it.
    folders: Sequence[str] = ()
    indexes: Sequence[str] = field(default=(), repr=False)
    signature: str = ""
    trusted_keys: str = ""
    #: Bytes that one replica may use.
    memory_bytes: int = 0
    #: The secret that callers of a replica present.
    secret: str = field(default="", repr=False)

    def to_values(self) -> dict[str, Any]:
        """As JSON's values."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Carried:
        """Raises ValueError, KeyError, TypeError."""
        spec = dict(values["spec"])
        return cls(**{**values, "spec": ReplicaSpec(**{**spec, "limits": Limits(**spec["limits"])})})
