"""The parts of a revision for a cluster's nodes: its spec, signed addresses of its files, and packages to install."""

from __future__ import annotations

import base64
import hashlib
import platform
from pathlib import Path
from urllib.parse import urlsplit

from registry_tui.contracts import archive_check, hosts
from registry_tui.contracts.carried import Carried
from registry_tui.contracts.counts import counted
from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.service.backends.base import Cluster, ReplicaName, Scaling
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import DeploymentRow, RevisionRow
from registry_tui.service.deployments import model_requirements, python_environments
from registry_tui.service.deployments.revisions import autoscaling_of
from registry_tui.service.errors import WrongState
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.stores import archives
from registry_tui.service.stores.bucket_files import Folder, StoreFolder

#: Seconds for which nodes can fetch files with one set of addresses, and after which they get others.
SIGNED_SECONDS, RENEW_SECONDS = 3600, 900.0
#: Files of an archive whose addresses a cluster takes in one configuration.
MOST_FILES = 5000


def carried(
    service: Service, cluster: Cluster, row: DeploymentRow, revision: RevisionRow, spec: ReplicaSpec, environment: str
) -> Carried:
    """Everything that a node needs. `spec` has the checked copy of the archive on this machine, `environment` the key
    of its Python.

    Raises WrongState, PartUnavailable.
    """
    model = Path(spec.model)
    manifest = (model / archive_check.MANIFEST).read_bytes()
    wanted = model_requirements.read_wanted(model / archive_check.FILES)
    named = wanted.requirements
    root = (model / archive_check.FILES).absolute()
    lines = [line.replace(root.as_uri(), "file://{model}") for line in python_environments.lines_of(named)]
    python = python_environments.of_key(service, environment)
    return Carried(
        spec=spec,
        manifest=base64.b64encode(manifest).decode(),
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        files=addresses(service, cluster, row, revision),
        python=".".join((wanted.python or platform.python_version()).split(".")[:2]),
        requirements=lines,
        constraints=[*(each.line for each in named.constraints), *python_environments.installed(python)],
        folders=[str(folder.absolute().relative_to(root)) for folder in named.folders],
        indexes=list(service.settings.package_indexes),
        signature=_content(spec.signature),
        trusted_keys=_content(spec.trusted_keys),
        memory_bytes=revision.memory_bytes,
        secret=service.backends.clusters.secret(row.id, revision.generation),
    )


def scaling_of(revision: RevisionRow) -> Scaling | None:
    """How the cluster finds the number of a revision's replicas; None where it is fixed."""
    found = autoscaling_of(revision)
    return None if found is None else Scaling(found.min_replicas, found.max_replicas, found.target_requests)


def set_number(service: Service, row: DeploymentRow, revision: RevisionRow) -> bool:
    """Sets a cluster's number of replicas to a revision's, if the revision's replicas run there.

    Returns whether anything was set: not if both numbers are fixed, as that only adds and removes replicas. Raises
    PartUnavailable.
    """
    there, wanted = service.backends.clusters, scaling_of(revision)
    is_there = there.has(ReplicaName(row.id, revision.generation, 0))
    if not is_there or there.scaling(row.id, revision.generation) == wanted:
        return False
    there.rescale(row.id, revision.generation, revision.replicas, wanted)
    return True


def _content(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode() if path else ""


def addresses(service: Service, cluster: Cluster, row: DeploymentRow, revision: RevisionRow) -> dict[str, str]:
    """A signed address of each file of a revision's archive, by its path. Raises WrongState, PartUnavailable."""
    archive = enter_registry(service, row.registry_id).archive(service, row.model_id, revision.version_id)
    paths = [entry.path for entry in archives.read_manifest(archive).files]
    if len(paths) > MOST_FILES:
        raise WrongState(
            f"The archive has {counted(len(paths), 'file')}, and a cluster takes the addresses of {MOST_FILES:,}",
            action="Log the model with fewer files, or deploy it in an environment whose deployments run here",
        )
    files = archive.below(archives.FILES)
    found = {path: _signed(files, path) for path in paths}
    for address in found.values():
        host = urlsplit(address).hostname or ""
        if hosts.means_its_reader(host) and not hosts.means_its_reader(urlsplit(cluster.address).hostname or ""):
            raise WrongState(
                f"The archives lie in the embedded store, at {host}, which other machines do not reach",
                action="Use an environment with a store of its own, which the cluster reaches too",
            )
        break
    return found


def _signed(files: Folder, path: str) -> str:
    if isinstance(files, StoreFolder):
        address = files.store.signed_url("GET", files.key(path), SIGNED_SECONDS)
        if address is None:
            raise WrongState(
                f"The store {files.store.uri} signs no addresses, which the nodes of a cluster fetch archives from",
                action="Use an environment with another store, or with other credentials there",
            )
        return address
    arguments = {"Bucket": files.bucket, "Key": files.key(path)}
    return str(files.client.generate_presigned_url("get_object", Params=arguments, ExpiresIn=SIGNED_SECONDS))
