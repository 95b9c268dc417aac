"""A platform that listens for other machines, and people who sign in to it from folders of their own."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from registry_tui.platform import contexts, listening
from registry_tui.platform.paths import Home
from registry_tui.schemas.people import UserChange, UserTokenCreate
from support import secret_search
from support.platforms import PATIENCE, Platform, clean_environment, temporary_folder

#: Below the platforms' own ports, and below those of outgoing connections, which come and go.
PORTS = range(10_300, 20_000)
#: Modules that only the platform's installation has: the light one works without.
HEAVY = (
    *("alembic", "aiohttp", "boto3", "cryptography", "dbos", "fastapi", "joserfc", "mlflow", "psutil"),
    *("orjson", "prometheus_client", "sqlalchemy", "supervisor", "uvicorn", "uvloop"),
    *("registry_tui.service", "registry_tui.gateway"),
)
#: The command line on a machine that has the light installation only.
LIGHT = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({HEAVY!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from registry_tui.cli import main
main()
"""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now, and that no connection takes by chance."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as found, suppress(OSError):
            found.bind((host, port))
            return port
    raise AssertionError("no port is free")


@dataclass(frozen=True)
class Team:
    """A platform and the address where it listens."""

    platform: Platform
    url: str

    @property
    def certificate(self) -> Path:
        return self.platform.home.tls / "certificate.pem"

    @property
    def fingerprint(self) -> str:
        return listening.fingerprint(self.certificate)

    @property
    def owner(self) -> str:
        return self.platform.ask(lambda client: client.whoami()).name

    def token(self, user: str, days: int = 1) -> str:
        """A new token of a user, who is created if missing."""
        if user != self.owner:
            self.platform.ask(lambda client: client.put_user(user, UserChange()))
        made = UserTokenCreate(name="test", days=days)
        return self.platform.ask(lambda client: client.create_token(user, made)).token

    def revoke(self, user: str, token: str) -> None:
        self.platform.ask(lambda client: client.revoke_token(user, token.split("_")[1]))


@dataclass(frozen=True)
class Machine:
    """A person's account on another machine: a folder for contexts, and nothing of the platform's."""

    folder: Path
    #: Put before each command, for example for another network namespace.
    prefix: tuple[str, ...] = ()
    #: For all its programs.
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        own = {contexts.FOLDER_VARIABLE: str(self.folder / "contexts"), "HOME": str(self.folder), **self.variables}
        return clean_environment({**own, **more})

    def command(
        self, *arguments: str, check: bool = True, typed: str | None = None, timeout: float = PATIENCE, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs `registry-tui …` there."""
        return self.run([sys.executable, "-m", "registry_tui", *arguments], check, typed, timeout, **more)

    def run(
        self,
        command: Sequence[str],
        check: bool = True,
        typed: str | None = None,
        timeout: float = PATIENCE,
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.prefix, *command],
            env=self.environment(**more),
            capture_output=True,
            text=True,
            input=typed or "",
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}\n{done.stderr}"
        return done

    def python(
        self, code: str, variables: Mapping[str, str], *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a Python program there with these variables too."""
        program = [*(f"{name}={value}" for name, value in variables.items()), sys.executable, "-c", code]
        return self.run(["env", *program, *arguments], check, timeout=2 * PATIENCE)

    def login(self, team: Team, token: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Signs in, with the fingerprint that the service's machine shows."""
        fingerprint = () if team.url.startswith("http:") else ("--fingerprint", team.fingerprint)
        return self.command("login", team.url, *fingerprint, "--token-stdin", *options, check=check, typed=f"{token}\n")


@contextmanager
def listening_platform(host: str = "127.0.0.1", *, names: Sequence[str] = (), url_host: str = "") -> Iterator[Team]:
    """A platform in a new home that listens on a free port of an address, gone at the end."""
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        port = free_port()
        platform.home.create()
        listening.save(platform.home, listening.parse(f"{host}:{port}", names=names))
        try:
            platform.up()
            yield Team(platform, f"https://{url_host or host}:{port}")
            secret_search.require_none_out_of_place(platform)
        finally:
            platform.down()
