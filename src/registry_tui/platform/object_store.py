"""The embedded object store: `weed mini`, closed to everyone without a key, on 127.0.0.1 only.

`python -m registry_tui.platform.object_store` takes the secrets into its environment and becomes `weed`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe

from registry_tui.platform import rotation, supervisor
from registry_tui.platform.certificates import write_certificates
from registry_tui.platform.endings import explained
from registry_tui.platform.errors import BinaryMissing
from registry_tui.platform.extras import advice
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import LOOPBACK, Ports, choose_ports, load_ports
from registry_tui.platform.secrets import Secrets, load_secrets, write_private

#: Without a limit the Go runtime keeps up to 850 MB after large transfers (measured). Its tables and logs take about
#: 250 MiB for good, mostly of pages that are never touched: a limit near that keeps its garbage collector busy at rest
#: (12 % of a core, measured).
_MEMORY_LIMIT = "400MiB"

#: Components with an HTTP or gRPC port of their own, or clients of one. Without certificates the master's port hands
#: out signed tokens and deletes collections, and the filer's gRPC port reads and writes everything, for anyone.
_HTTPS = ("MASTER", "VOLUME", "FILER", "ADMIN", "CLIENT")
_GRPC = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")

#: Keys for tokens between its own components: for writing and reading, issued by the master and the filer.
_SIGNING = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")

#: In the home's `run` folder.
_SOCKETS = ("filer.sock", "s3.sock")

#: Names of the two users that are there from the start; registries get theirs through IAM.
ADMIN_USER, MLFLOW_USER = "admin", "mlflow"

#: In every environment's bucket: run artifacts, and archives only to read.
_MLFLOW_ACTIONS = [
    "Read:*/workspaces/*",
    "Write:*/workspaces/*",
    "List:*/workspaces/*",
    "Read:*/modelregistry/*",
    "List:*/modelregistry/*",
]


def find_weed() -> str:
    """The `weed` of this Python's environment. Raises BinaryMissing."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise BinaryMissing(
            "The object store's program `weed` is not installed",
            action=advice("platform"),
        )
    return found


def command(home: Home, ports: Ports) -> list[str]:
    """The command line; it holds no secret."""
    flags = {
        "dir": home.object_store,
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "master.port": ports.master,
        "master.port.grpc": ports.master_grpc,
        "master.telemetry": "false",
        "volume.port": ports.volume,
        "volume.port.grpc": ports.volume_grpc,
        "filer.port": ports.filer,
        "filer.port.grpc": ports.filer_grpc,
        "filer.localSocket": home.run / _SOCKETS[0],
        "filer.disableDirListing": "true",
        "s3.port": ports.s3,
        "s3.port.grpc": ports.s3_grpc,
        "s3.localSocket": home.run / _SOCKETS[1],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": identities_file(home),
        "s3.iam.readOnly": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        "s3.autoCreateBucket": "false",
        "s3.allowedOrigins": f"http://{LOOPBACK}",
        "webdav": "false",
        "admin.ui": "false",
        "admin.port": ports.admin,
        "admin.port.grpc": ports.admin_grpc,
    }
    # Level -1 leaves out the messages that it logs every half minute while idle; errors and warnings stay.
    return [find_weed(), "-logtostderr=true", "-v=-1", "mini", *(f"-{name}={value}" for name, value in flags.items())]


def environment(home: Home) -> dict[str, str]:
    """The environment variables of `weed`, which make every port authenticate its clients. Raises OSError.

    The S3 port requires an S3 key. All others require a certificate that only this process has; the volume and filer
    ports also a token signed with keys that are generated here, at each start.
    """
    authority, certificate, key = write_certificates(home.run)
    doors = (*(f"HTTPS_{name}" for name in _HTTPS), *(f"GRPC_{name}" for name in _GRPC))
    return {
        **{f"WEED_{door}_{what}": str(path) for door in doors for what, path in (("CERT", certificate), ("KEY", key))},
        **{f"WEED_HTTPS_{name}_CA": str(authority) for name in _HTTPS},
        "WEED_HTTPS_CLIENT_ENABLED": "true",
        "WEED_GRPC_CA": str(authority),
        **{f"WEED_JWT_{name}_KEY": token_urlsafe(32) for name in _SIGNING},
        "GOMEMLIMIT": _MEMORY_LIMIT,
    }


def identities_file(home: Home) -> Path:
    """Where the two first users' keys are handed over, mode 0600."""
    return home.run / "identities.json"


def write_identities(home: Home, secrets: Secrets) -> None:
    """Writes the administrator and MLflow's user for `weed` to read, while a rotation begins with both keys of each.

    Raises OSError.
    """
    users = (
        (ADMIN_USER, "object_store_admin", ["Admin", "Read", "Write", "List", "Tagging"]),
        (MLFLOW_USER, "object_store_mlflow", _MLFLOW_ACTIONS),
    )
    identities = [
        {
            "name": name,
            "credentials": [
                {"accessKey": key.access_key_id, "secretKey": key.secret_access_key}
                for key in rotation.accepted(home, secrets, field)
            ],
            "actions": actions,
        }
        for name, field, actions in users
    ]
    write_private(identities_file(home), json.dumps({"identities": identities}))


def read_identities_again(home: Home) -> None:
    """Has a `weed` that answers take up its users' keys. One that is starting may have read them already.

    Raises SupervisorUnavailable.
    """
    process = supervisor.processes(home)["object-store"]
    # Until it handles the signal, it would end by it.
    if process.running and process.pid and _answers(home.run / _SOCKETS[1]):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGHUP)


def remove_sockets(home: Home) -> None:
    """Removes the unix sockets of an object store that is gone; those of its gRPC ports are always in /tmp."""
    for name in _SOCKETS:
        (home.run / name).unlink(missing_ok=True)
    ports = load_ports(home)
    if ports is None:
        return
    for part in ("master", "volume", "filer", "s3", "admin"):
        path = Path(f"/tmp/seaweedfs-{part}-grpc-{getattr(ports, f'{part}_grpc')}.sock")
        with suppress(OSError):  # a stranger's file of that name is not ours to remove
            # It may be that of an object store on the same ports, of a home that this one copies.
            if not _answers(path):
                path.unlink()


def _answers(path: Path) -> bool:
    """Whether a process listens on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def main() -> None:
    """Becomes `weed`."""
    home = Home.resolve()
    with explained(home, "object-store"):
        home.create()
        secrets = load_secrets(home)
        write_identities(home, secrets)
        remove_sockets(home)
        added = environment(home)
        argv = command(home, choose_ports(home))
        os.chdir(home.run)
    # Its own sockets and temporary files stay in the home: others share /tmp. It would read a person's `security.toml`.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WEED_", "S3_"))}
    os.execve(argv[0], argv, {**kept, **added, "TMPDIR": str(home.run), "HOME": str(home.run)})


if __name__ == "__main__":
    main()
