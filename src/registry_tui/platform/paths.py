"""Where everything lives on disk: one `Home` a platform.

Only the standard library and platformdirs are imported, so that the terminal program may use it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT_VARIABLE = "REGISTRY_TUI_HOME"
#: Set by the supervisor for every part: with the home it identifies the platform's processes.
PART_VARIABLE = "REGISTRY_TUI_PART"

#: A unix socket's path holds at most 107 bytes on Linux (`sun_path`, unix(7)).
MAX_SOCKET_PATH = 107

#: The gateway's processes, by their names in supervisord: each alone can do all of its work.
GATEWAYS = ("gateway", "gateway-2")


@dataclass(frozen=True)
class Home:
    """The folder that holds one whole platform; several can live side by side."""

    root: Path

    @classmethod
    def resolve(cls, data_dir: str | Path | None = None) -> Home:
        """The home to use: `data_dir`, else `REGISTRY_TUI_HOME`, else the user's data folder."""
        chosen = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
        if chosen:
            return cls(Path(chosen).expanduser().absolute())
        # Commands that name a home do not need it.
        from platformdirs import user_data_path

        return cls(user_data_path("registry-tui", appauthor=False))

    @property
    def config_file(self) -> Path:
        return self.root / "config.toml"

    @property
    def terminal_memory(self) -> Path:
        """The terminal program's memory between its runs."""
        return self.root / "terminal.json"

    @property
    def ports_file(self) -> Path:
        """The ports of this platform, chosen once."""
        return self.root / "ports.json"

    @property
    def place_file(self) -> Path:
        """Where this home was when it was last started."""
        return self.root / "place.json"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    @property
    def rotation_file(self) -> Path:
        """Secrets that are being replaced, while they are."""
        return self.root / "secrets-rotation.json"

    @property
    def damaged_rotation_file(self) -> Path:
        """Where a rotation's file is set aside that cannot be read; until the next rotation is finished."""
        return self.root / "secrets-rotation.damaged.json"

    @property
    def databases_file(self) -> Path:
        """The addresses of the databases on PostgreSQL, with their password; missing: SQLite in the home."""
        return self.root / "databases.json"

    @property
    def installation_file(self) -> Path:
        """The ID by which a database on PostgreSQL is known as this home's."""
        return self.root / "installation-id"

    @property
    def backup_work(self) -> Path:
        """Copies of databases while a backup is being made."""
        return self.root / "backup-work"

    @property
    def backup_lock(self) -> Path:
        """Held while a backup is being made."""
        return self.run / "backup.lock"

    @property
    def restoring_file(self) -> Path:
        """Which backup is being restored into this home, until it is whole."""
        return self.root / "restoring.json"

    @property
    def before_upgrade(self) -> Path:
        """The databases as they were before the last upgrade."""
        return self.root / "before-upgrade"

    @property
    def upgrading_file(self) -> Path:
        """The state that an upgrade in progress restores when it fails."""
        return self.root / "upgrading.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def object_store(self) -> Path:
        return self.root / "object-store"

    @property
    def mlflow(self) -> Path:
        return self.root / "mlflow"

    @property
    def mlflow_database(self) -> Path:
        return self.mlflow / "mlflow.db"

    @property
    def mlflow_auth_database(self) -> Path:
        return self.mlflow / "auth.db"

    @property
    def routes_file(self) -> Path:
        """Which project's artifacts and registrations go where; the service writes it, MLflow's plugin reads it."""
        return self.mlflow / "routes.json"

    @property
    def service(self) -> Path:
        return self.root / "service"

    @property
    def service_database(self) -> Path:
        return self.service / "service.db"

    @property
    def workflows_database(self) -> Path:
        return self.service / "workflows.db"

    @property
    def storage_usage(self) -> Path:
        """The last measured sizes of each registry's archives, a database each."""
        return self.service / "storage"

    @property
    def serving(self) -> Path:
        """The parts of deployments: local copies of archives, the models' environments, the specs of replicas."""
        return self.root / "serving"

    @property
    def gateway_routes_file(self) -> Path:
        """Which replicas serve which deployment, and the API keys; the service writes it, the gateway reads it."""
        return self.serving / "routes.json"

    @property
    def deployment_logs(self) -> Path:
        return self.logs / "deployments"

    @property
    def run(self) -> Path:
        """Sockets and PID files. Falls back to a short folder when a socket's path would not fit."""
        inside = self.root / "run"
        if len(os.fsencode(inside / "replicas" / "12345678901-1234-99.sock")) <= MAX_SOCKET_PATH:
            return inside
        # Only here, because it loads OpenSSL, and the terminal program paints its first page without it.
        import hashlib

        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        # Independent of variables: every process of this user must find the same folder.
        return Path(f"/tmp/registry-tui-{os.getuid()}") / digest

    @property
    def service_socket(self) -> Path:
        return self.run / "service.sock"

    def socket_of(self, process: str) -> Path:
        """The socket of one of the service's processes; clients use that of `service`."""
        return self.run / f"{process}.sock"

    @property
    def listening_file(self) -> Path:
        """Where the platform listens for other machines until it is stopped; missing: nowhere."""
        return self.run / "listening.json"

    @property
    def tls(self) -> Path:
        """The certificate that the platform made for itself, and its key."""
        return self.root / "tls"

    @property
    def gateway_sockets(self) -> list[Path]:
        """The sockets from which the service gets the counts of each process of the gateway."""
        return [self.run / f"{name}.sock" for name in GATEWAYS]

    @property
    def gateway_listeners_sockets(self) -> list[Path]:
        """The sockets from which a process of the gateway gets the listening sockets of the others."""
        return [self.run / f"{name}-ports.sock" for name in GATEWAYS]

    @property
    def gateway_load_files(self) -> list[Path]:
        """The requests in progress at each replica, as each process of the gateway counts them."""
        return [self.run / f"{name}.load" for name in GATEWAYS]

    @property
    def request_logs(self) -> Path:
        """The requests that are kept of deployments, in a folder of each one's ID; the gateway writes them."""
        return self.serving / "requests"

    @property
    def gateway_limits_file(self) -> Path:
        """Requests of each API key with limits, which the gateway's processes count together."""
        return self.serving / "key-limits"

    @property
    def gateway_counts_files(self) -> list[Path]:
        """Requests and uses of API keys, as each process of the gateway counted them."""
        return [self.serving / f"{name}-counts.json" for name in GATEWAYS]

    @property
    def replicas(self) -> Path:
        """The replicas' sockets, and supervisord's configuration of each."""
        return self.run / "replicas"

    @property
    def supervisor_socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def supervisor_config(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        return self.run / "supervisord.pid"

    def create(self) -> None:
        """Makes the folders, readable by the owner only. Raises OSError."""
        inside = (self.logs, self.deployment_logs, self.object_store, self.mlflow, self.service, self.serving)
        for folder in (self.root, *inside):
            _make(folder)
        self.create_run()
        for folder in (self.run, self.replicas):
            _make(folder)

    def create_run(self) -> None:
        """Makes the folder of the sockets, readable by the owner only. Raises OSError."""
        if not self._run_is_inside:
            # Everybody may make folders and links there.
            self.run.parent.mkdir(mode=0o700, exist_ok=True)
            require_own_folder(self.run.parent)
            self.run.parent.chmod(0o700)
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.require_own_sockets()

    def require_own_sockets(self) -> None:
        """Raises PermissionError where another user made the folder of the sockets, whose program would answer there.

        The administrator of the machine may use anybody's home. Without the folder nothing responds.
        """
        with suppress(FileNotFoundError):
            if not self._run_is_inside:
                require_own_folder(self.run.parent)
                require_own_folder(self.run)
            elif os.getuid() != 0:
                _require_owner(self.run)

    @property
    def _run_is_inside(self) -> bool:
        return self.run.is_relative_to(self.root)


def require_own_folder(folder: Path) -> None:
    """Raises PermissionError for another user's folder, and for a link, which its owner may change; OSError.

    Of a folder in a place where everybody may make one.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise PermissionError(errno.EPERM, "It is a link or a file, and must be a folder", str(folder))
    _require_owner(folder)


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_owner(folder)
    folder.chmod(0o700)


def _require_owner(folder: Path) -> None:
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "It belongs to another user", str(folder))
