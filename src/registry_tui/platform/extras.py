"""The optional parts of an installation (`registry-tui[platform]`, `[demo]`), and the remedy where one is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping

from registry_tui.platform.errors import ExtraMissing

#: The modules that each extra of `pyproject.toml` installs and that the code imports or runs.
MODULES: Mapping[str, frozenset[str]] = {
    "platform": frozenset(
        {"aiohttp", "alembic", "backports.zstd", "boto3", "botocore", "dbos", "fastapi", "httptools", "joserfc"}
        | {
            "mlflow",
            "orjson",
            "packaging",
            "prometheus_client",
            "psutil",
            "psycopg",
            "sqlalchemy",
            "standardwebhooks",
            "supervisor",
            "uv",
            "uvicorn",
            "uvloop",
        }
    ),
    "stores": frozenset({"obstore", "google.cloud.storage"}),
    "demo": frozenset({"matplotlib", "sklearn"}),
}


def advice(*extras: str) -> str:
    """How to install some extras."""
    wanted = f"registry-tui[{','.join(extras)}]"
    return (
        f"Install {wanted}: `pipx install --force '{wanted}'` or `pip install '{wanted}'`; in a clone, `make install`"
    )


def require(*extras: str) -> None:
    """Raises ExtraMissing where a module of these extras is not installed."""
    if lacking := sorted(name for extra in extras for name in MODULES[extra] if not _installed(name)):
        raise missing(extras, lacking)


def missing(extras: Iterable[str], modules: Iterable[str]) -> ExtraMissing:
    """The error for modules that are not installed."""
    names = " and ".join(extras)
    return ExtraMissing(
        f"This needs the {names}, which is not installed here (missing: {', '.join(modules)})", action=advice(*extras)
    )


def missing_of(error: ModuleNotFoundError) -> ExtraMissing | None:
    """The same for an import that failed; None for a module that no extra installs."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in MODULES.items() if module in modules), None)
    if extra is None:
        return None
    return missing(("platform",) if extra == "platform" else ("platform", extra), (module,))


def how_to_start() -> str:
    """The remedy where no platform runs."""
    start = "Start it with `registry-tui up`"
    return start if all(map(_installed, MODULES["platform"])) else f"{advice('platform')}. {start}"


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is missing too
        return False
