"""Contexts: services that this person signed in to, each with a token and the certificate to trust, kept private.

Only the standard library and platformdirs are imported, so that the terminal program may use it before its first paint.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from registry_tui.platform.errors import Damaged, PlatformError
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE

#: Names the context of one command or shell.
VARIABLE = "REGISTRY_TUI_CONTEXT"
#: Another folder for them.
FOLDER_VARIABLE = "REGISTRY_TUI_CONTEXTS"
#: The platform of this machine, through its socket.
LOCAL = "local"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
#: A context's name in a file's name keeps these: a disk may ignore case, and forbid colons.
_QUOTED = re.compile(r"[^a-z0-9._-]")


class NoContext(PlatformError):
    """The context does not exist, or it has no token."""


@dataclass(frozen=True, repr=False)
class Context:
    """A service elsewhere, and the user's identity there. Never printed whole: it holds a token."""

    name: str
    url: str
    user: str = ""
    #: Empty after `logout`.
    token: str = ""
    #: The file to check its certificate against: the pinned certificate, or an authority; empty: the authorities that
    #: this machine trusts.
    trusted: str = ""

    @property
    def login(self) -> str:
        """The command that signs in to it again, as the same context."""
        named = "" if self.name == default_name(self.url) else f" --name {self.name}"
        return f"registry-tui login {self.url}{named}"


def default_name(url: str) -> str:
    """The default name of a context: the service's host and port."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}".removesuffix(":None").replace("[", "").replace("]", "")


@dataclass(frozen=True)
class Contexts:
    """All contexts, and the current one's name."""

    current: str = LOCAL
    known: Mapping[str, Context] = field(default_factory=dict)

    def named(self, name: str) -> Context | None:
        """A context by its name; None for this machine's platform. Raises NoContext."""
        if name == LOCAL:
            return None
        if name not in self.known:
            raise NoContext(
                f"There is no context {name!r}; there are: {', '.join((LOCAL, *self.known))}",
                action="Choose one with `registry-tui contexts use NAME`, or make it with `registry-tui login URL`",
            )
        return self.known[name]


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where contexts are kept."""
    if chosen := environment.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser().absolute()
    # Commands that name a folder do not need it.
    from platformdirs import user_config_path

    return user_config_path("registry-tui", appauthor=False)


def load(environment: Mapping[str, str] = os.environ) -> Contexts:
    """The contexts. Raises Damaged, OSError."""
    path = folder(environment) / "contexts.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        known = {each["name"]: Context(**each) for each in raw["contexts"]}
        return Contexts(str(raw["current"]), known)
    except (FileNotFoundError, NotADirectoryError):
        return Contexts()
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(f"{path} is damaged", action="Remove it, then sign in again: `registry-tui login URL`") from error


def save(contexts: Contexts, environment: Mapping[str, str] = os.environ) -> None:
    """Saves the contexts, mode 0600 in a folder with 0700. Raises OSError."""
    # hashlib: needed only for writing, at sign-in.
    from registry_tui.platform.secrets import write_private

    into = private_folder(environment)
    raw = {"current": contexts.current, "contexts": [asdict(each) for each in contexts.known.values()]}
    write_private(into / "contexts.json", json.dumps(raw, indent=1))


def private_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder, made for its owner only. Raises OSError."""
    into = folder(environment)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    into.chmod(0o700)
    return into


def keep(context: Context, environment: Mapping[str, str] = os.environ) -> None:
    """Adds or replaces a context and makes it the current one. Raises Damaged, OSError."""
    known = load(environment).known
    save(Contexts(context.name, {**known, context.name: context}), environment)


def use(name: str, environment: Mapping[str, str] = os.environ) -> None:
    """Makes a context the current one. Raises NoContext, Damaged, OSError."""
    contexts = load(environment)
    contexts.named(name)
    save(replace(contexts, current=name), environment)


def delete(name: str, environment: Mapping[str, str] = os.environ) -> None:
    """Deletes a context with its token and its pinned certificate. Raises NoContext, Damaged, OSError."""
    contexts = load(environment)
    if contexts.named(name) is None:
        raise NoContext(f"{LOCAL} is this machine's own platform and stays", action="Name another context")
    left = {each: context for each, context in contexts.known.items() if each != name}
    save(Contexts(LOCAL if contexts.current == name else contexts.current, left), environment)
    for path in (pinned_file(name, environment), memory_file(name, environment)):
        path.unlink(missing_ok=True)


def sign_out(name: str, environment: Mapping[str, str] = os.environ) -> Context:
    """Deletes a context's token; its address and certificate stay. Raises NoContext, Damaged, OSError."""
    contexts = load(environment)
    found = contexts.named(name)
    if found is None:
        raise NoContext(
            "This machine's own platform needs no token", action="Name a context: `registry-tui logout NAME`"
        )
    save(replace(contexts, known={**contexts.known, name: replace(found, token="")}), environment)
    return found


def pinned_file(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the certificate is kept that a context trusts."""
    return folder(environment) / f"{_file_name(name)}.pem"


def memory_file(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The terminal program's memory of a context between its runs."""
    return folder(environment) / f"{_file_name(name)}.terminal.json"


def _file_name(name: str) -> str:
    """A context's name as the beginning of a file's name, which no other context has."""
    return _QUOTED.sub(lambda found: f"%{ord(found[0]):02X}", name)


def chosen(environment: Mapping[str, str] = os.environ) -> Context | None:
    """The context to work in; None for this machine's platform.

    `--context` goes first, then a home that was named, then the current one. Raises NoContext, Damaged, OSError.
    """
    named = environment.get(VARIABLE)
    if not named and environment.get(ENVIRONMENT_VARIABLE):
        return None
    contexts = load(environment)
    return contexts.named(named or contexts.current)
