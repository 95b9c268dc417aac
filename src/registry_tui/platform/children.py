"""How this program starts others: Python that imports nothing from where it is called, in a known environment.

The shell that calls `registry-tui up` may hold another cloud's profile, a proxy, or a folder full of Python files. None
of it may change the platform's behaviour.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from registry_tui.platform.ports import LOOPBACK

#: Variables of the caller that a part needs, or that choose where it finds programs, languages and packages.
KEPT = frozenset(
    {
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "SHELL",
        "TERM",
        "TMPDIR",
        "TZ",
        "TZDIR",
        "USER",
        # Where downloads of packages check certificates.
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        # Python's own: they add no code.
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPYCACHEPREFIX",
        "PYTHONUNBUFFERED",
    }
)
#: Families of such variables: languages, users' folders, accelerators and threads, package indexes, and our settings.
KEPT_PREFIXES = (
    "LC_",
    "XDG_",
    "CUDA_",
    "NVIDIA_",
    "HIP_",
    "ROCR_",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "PIP_",
    "UV_",
    "REGISTRY_TUI_",
)
#: Proxies, in either case, which downloads of packages need; addresses of this machine are always excepted.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy")
#: Variables that choose the person or the place, for one command of a person.
_PERSONAL = (
    *("REGISTRY_TUI_USER", "REGISTRY_TUI_PROJECT", "REGISTRY_TUI_REGISTRY"),
    *("REGISTRY_TUI_CONTEXT", "REGISTRY_TUI_CONTEXTS", "REGISTRY_TUI_TOKEN"),
    # Secrets of a person that no part needs.
    "REGISTRY_TUI_BACKUP_PASSPHRASE",
)
#: Addresses that are never reached through a proxy.
_LOCAL = (LOOPBACK, "localhost", "::1")


def isolated(module: str, *arguments: str, python: str | Path = sys.executable) -> list[str]:
    """The command that runs a module without importing anything from the current folder.

    `-P` keeps the current folder out of `sys.path`; user and site packages stay. Pythons older than 3.11, which a model
    may require, do not support it: run those in a folder of their own.
    """
    return [str(python), *(("-P",) if _knows_safe_path(Path(python)) else ()), "-m", module, *arguments]


def _knows_safe_path(python: Path) -> bool:
    if python == Path(sys.executable):
        return True
    try:
        text = (python.parent.parent / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return True
    found = re.search(r"^version(?:_info)? *= *(\d+)\.(\d+)", text, re.MULTILINE)
    return found is None or (int(found[1]), int(found[2])) >= (3, 11)


def known_environment(
    added: Mapping[str, str] | None = None, *, caller: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment of a process of the platform: the caller's harmless variables, and those that are `added`."""
    kept = {
        name: value
        for name, value in caller.items()
        if (name in KEPT or name.startswith(KEPT_PREFIXES) or name.lower() in _PROXIES) and name not in _PERSONAL
    }
    return {**kept, **without_proxy(caller), **(added or {})}


def without_proxy(caller: Mapping[str, str] = os.environ, besides: Iterable[str] = ()) -> dict[str, str]:
    """`NO_PROXY` and `no_proxy`, with the caller's own exceptions, this machine and the hosts `besides`."""
    named = _listed(",".join(caller.get(name, "") for name in ("NO_PROXY", "no_proxy")))
    value = ",".join(dict.fromkeys((*named, *_LOCAL, *besides)))
    return {"NO_PROXY": value, "no_proxy": value}


def _listed(text: str) -> Iterable[str]:
    return (each.strip() for each in text.split(",") if each.strip())
