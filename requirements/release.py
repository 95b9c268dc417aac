"""Builds the wheel and the source distribution, installs them into new environments, and runs what they install.

`make release`   needs the network, or uv's cache, for the dependencies

Two installations are tried, each with the versions of the lock file: the light one (the terminal program and the
command line alone), from both files, and by `uvx` itself; and `registry-tui[platform]` (as with `pipx install`), from
the wheel, with a platform that starts in a temporary home and listens on a port of this machine. The light one signs
in there, and works as on another machine. The files stay in `dist/`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import pexpect
import pyte

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
LOCK = ROOT / "requirements/platform.txt"
UV = Path(sys.executable).with_name("uv")
#: Files that the source distribution must hold, so that a copy of it builds, tests and installs as a clone does.
IN_SDIST = (
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "pyproject.toml",
    "tests/conftest.py",
)


#: What only the platform needs: the light installation has none of them.
HEAVY = (
    *("aiohttp", "alembic", "boto3", "cryptography", "dbos", "fastapi", "joserfc", "mlflow", "numpy", "pandas"),
    *("psutil", "sqlalchemy", "supervisor", "uvicorn"),
)


class Wrong(Exception):
    """A file or an installation is not as it must be."""


def main() -> int:
    """Returns the exit code."""
    signal.signal(signal.SIGTERM, end)
    try:
        wheel, sdist = build()
        check_contents(wheel, sdist)
        # Short: the paths of the platform's sockets are limited to 107 bytes.
        with tempfile.TemporaryDirectory(prefix="release-", dir="/tmp") as folder:
            light = [try_light(archive, Path(folder) / archive.suffix.strip(".")) for archive in (wheel, sdist)]
            try_uvx(wheel, Path(folder) / "uvx")
            try_platform(wheel, Path(folder) / "platform", light[0])
    except Wrong as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(f"Both work: {wheel.relative_to(ROOT)}, {sdist.relative_to(ROOT)}")
    return 0


def end(number: int, frame: FrameType | None) -> None:
    """Ends the program by an exception, so that the platform that it started is taken down."""
    raise SystemExit(128 + number)


def build() -> tuple[Path, Path]:
    """The wheel, built from the source distribution, and the source distribution."""
    shutil.rmtree(DIST, ignore_errors=True)
    with_the_locks_hatchling = ["--offline", "--no-build-isolation", "--python", sys.executable]
    run([UV, "build", "--quiet", *with_the_locks_hatchling, "--out-dir", DIST, ROOT])
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    return wheel, sdist


def check_contents(wheel: Path, sdist: Path) -> None:
    """The package's tracked files, all of them and no others, and the licence are in both files."""
    tracked = run(["git", "-C", ROOT, "ls-files", "src/registry_tui"]).split()
    package = {name.removeprefix("src/") for name in tracked}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    described = {name for name in names if ".dist-info/" in name}
    require_same("the wheel", names - described, package)
    if not any(name.endswith("/licenses/LICENSE") for name in described):
        raise Wrong("the wheel has no LICENSE")
    with tarfile.open(sdist) as source:
        held = {name.partition("/")[2] for name in source.getnames()}
    require_same("the source distribution", {name for name in held if name.startswith("src/")}, set(tracked))
    if lacking := [name for name in IN_SDIST if name not in held]:
        raise Wrong(f"the source distribution has no {', '.join(lacking)}")


def require_same(what: str, found: set[str], wanted: set[str]) -> None:
    """Raises Wrong where a file is missing or too many."""
    if found != wanted:
        raise Wrong(f"{what} lacks {sorted(wanted - found)[:5]} and has {sorted(found - wanted)[:5]} too many")


def try_light(archive: Path, folder: Path) -> Path:
    """The terminal program and the command line alone: they run, and say what the platform needs.

    Returns the installed `registry-tui`.
    """
    command = install(folder / "venv", str(archive))
    variables = clean(folder)
    search = f"import importlib.util as u; print(*[name for name in {HEAVY!r} if u.find_spec(name)])"
    if heavy := run([command.with_name("python"), "-c", search]).strip():
        raise Wrong(f"the light installation of {archive.name} brings {heavy}")
    version = run([command, "--version"], variables).strip()
    if archive.name.split("-")[1].removesuffix(".tar.gz") != version.split()[-1]:
        raise Wrong(f"{archive.name} calls itself {version}")
    if "terminal" not in run([command, "--help"], variables):
        raise Wrong("--help shows no help")
    for arguments in (["up"], ["status"], ["registries", "list"], ["demo"]):
        done = subprocess.run([command, *arguments], env=variables, capture_output=True, text=True, check=False)
        if done.returncode != 1 or "registry-tui[platform" not in done.stderr or "Traceback" in done.stderr:
            raise Wrong(f"`registry-tui {' '.join(arguments)}` does not say what to install:\n{done.stderr}")
    show_terminal_program(command, variables)
    print(f"light, from {archive.name}: {version} runs and says what the platform needs", flush=True)
    return command


def try_uvx(wheel: Path, folder: Path) -> None:
    """`uvx` runs it from an environment that is made for this one run, with the newest dependencies."""
    command: list[str | Path] = [
        UV,
        "tool",
        "run",
        "--quiet",
        "--isolated",
        "--python",
        sys.executable,
        "--from",
        wheel,
    ]
    # With the caller's variables: they may name certificates and a package index for uv.
    variables = {**os.environ, "REGISTRY_TUI_HOME": str(folder / "data")}
    version = run([*command, "registry-tui", "--version"], variables).strip()
    print(f"uvx, from {wheel.name}: {version} runs", flush=True)


def show_terminal_program(command: Path, variables: dict[str, str], words: str = "registry-tui[platform]") -> None:
    """Opens it in a terminal: it shows these words, and ends at its key."""
    screen = pyte.Screen(120, 40)
    stream = pyte.Stream(screen)
    child = pexpect.spawn(str(command), env=variables, dimensions=(40, 120), encoding="utf-8", timeout=5)
    try:
        for _ in range(60):
            try:
                stream.feed(child.read_nonblocking(65536, timeout=1))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
            if words in "".join(screen.display):
                break
        else:
            raise Wrong(f"the terminal program does not show {words}:\n" + "\n".join(screen.display))
        child.send("\x11")
        child.expect(pexpect.EOF, timeout=30)
        child.wait()
        if child.exitstatus != 0:
            raise Wrong(f"the terminal program ended with {child.exitstatus}:\n" + "\n".join(screen.display))
    finally:
        child.close(force=True)


def try_platform(wheel: Path, folder: Path, light: Path) -> None:
    """Everything: a platform starts, answers a list and another machine, and stops."""
    command = install(folder / "venv", f"{wheel}[platform]")
    variables = clean(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        run([command, "up", "--listen", f"127.0.0.1:{port}"], variables)
        if "registry" not in run([command, "registries", "list", "--json"], variables):
            raise Wrong("`registries list` shows no registry")
        run([command, "status"], variables)
        token = json.loads(run([command, "tokens", "create", "release", "--json"], variables))["token"]
        try_elsewhere(light, folder / "elsewhere", port, token)
    finally:
        run([command, "down"], variables)
    print(f"[platform], from {wheel.name}: the platform starts, answers and stops", flush=True)


def try_elsewhere(command: Path, folder: Path, port: int, token: str) -> None:
    """The light installation signs in to the platform, and works there as on another machine."""
    url, variables = f"https://127.0.0.1:{port}", clean(folder)
    # No home is named: the context in which it signs in is chosen.
    del variables["REGISTRY_TUI_HOME"]
    shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    login: list[str | Path] = [command, "login", url, "--fingerprint", hashlib.sha256(shown).hexdigest()]
    run(login, {**variables, "REGISTRY_TUI_TOKEN": token})
    if not json.loads(run([command, "whoami", "--json"], variables))["name"]:
        raise Wrong("`whoami` names nobody")
    if url not in run([command, "contexts", "list"], variables):
        raise Wrong(f"`contexts list` does not show {url}")
    if json.loads(run([command, "models", "list", "--json"], variables)) != []:
        raise Wrong("`models list` of a new platform is not empty")
    show_terminal_program(command, variables, "registry-local")
    run([command, "logout"], variables)
    done = subprocess.run([command, "models", "list"], env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 1 or "login" not in done.stderr or "Traceback" in done.stderr:
        raise Wrong(f"after `logout`, `models list` does not say how to sign in:\n{done.stderr}")
    print("light: signs in to a service elsewhere, and works there in commands and in the terminal program", flush=True)


def install(venv: Path, requirement: str) -> Path:
    """Installs into a new environment, with the lock's versions. Returns its `registry-tui`."""
    run([UV, "venv", "--quiet", "--python", sys.executable, venv])
    python = venv / "bin/python"
    name = requirement if "[" not in requirement else f"registry-tui[platform] @ file://{requirement.partition('[')[0]}"
    run([UV, "pip", "install", "--quiet", "--no-verify-hashes", "--python", python, "--constraint", LOCK, name])
    return venv / "bin/registry-tui"


def clean(folder: Path) -> dict[str, str]:
    """A person's variables, with a home of its own and nothing of this clone."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "TERM": "xterm-256color", "REGISTRY_TUI_HOME": str(folder / "data")}


def run(command: Sequence[str | Path], variables: dict[str, str] | None = None) -> str:
    """What a command prints. Raises Wrong where it fails."""
    done = subprocess.run(command, env=variables, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Wrong(f"`{' '.join(map(str, command))}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
