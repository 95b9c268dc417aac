"""Reads an `MLmodel` file: whether MLflow can load the model in its folder, and whether replicas can serve it.

Nothing of the model is executed, and MLflow is not imported: it would take 200 MB of the service's memory.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from registry_tui.contracts import bounded_yaml, file_paths
from registry_tui.contracts.bounded_yaml import InvalidYaml
from registry_tui.contracts.counts import counted
from registry_tui.service.errors import InvalidInput

MODEL_FILE = "MLmodel"
PYFUNC = "python_function"

#: Bytes. MLflow writes some kilobytes; a signature of 10 000 columns has one megabyte.
MAX_BYTES = 4 << 20
#: A flavour's entries that name files or folders of the model, as MLflow's flavours join them to its folder.
_PATHS = (
    "adapter_weights",
    "agent_data",
    "agent_primitive_data",
    "code",
    "data",
    "loader_fn",
    "model_binary",
    "model_data",
    "model_path",
    "parameters_path",
    "peft_adaptor",
    "persist_dir",
    "pickled_model",
    "python_model",
    "saved_model_dir",
    "serialized_explainer",
    "tools_data",
)
#: A flavour's entry that names a folder of the machine that logged the model: MLflow loads the base from there.
_BASE = "local_base_model_path"
#: The entries of the input example's description that name files of the model.
_EXAMPLES = ("artifact_path", "serving_input_path")
#: Set in a model's metadata when its files are kept somewhere else (`mlflow.create_external_model`).
_EXTERNAL = "mlflow.model.isExternal"


def read(content: bytes) -> dict[str, Any]:
    """The values of an `MLmodel` file. Raises InvalidInput when MLflow could not read it."""
    if len(content) > MAX_BYTES:
        raise too_large(len(content))
    try:
        found = bounded_yaml.load(content)
    except InvalidYaml as error:
        raise _unusable(str(error)) from error
    if found is None:
        raise _unusable("is empty")
    if not isinstance(found, dict):
        kind = "a list" if isinstance(found, list) else "a single value"
        raise _unusable(f"holds {kind} instead of a mapping with `flavors`")
    if odd := [key for key in found if not isinstance(key, str)]:
        raise _unusable(f"has the key {str(odd[0])[:80]!r}, which is not text")
    return found


def check(content: bytes, paths: Collection[str]) -> str:
    """Why replicas cannot serve the model whose folder holds these files; empty when they can.

    Raises InvalidInput when MLflow could not load it at all.
    """
    values = read(content)
    metadata = values.get("metadata")
    if isinstance(metadata, dict) and metadata.get(_EXTERNAL) is True:
        return "The model's files are kept outside of MLflow, so nothing here can be loaded"
    flavours = values.get("flavors")
    if not flavours:
        raise _unusable("names no flavors")
    if not isinstance(flavours, dict):
        raise _unusable("has `flavors` that are not a mapping")
    _check_signature(values.get("signature"))
    _check_example(values.get("saved_input_example_info"))
    known = _with_folders(paths)
    for name, settings in flavours.items():
        if not isinstance(name, str) or not isinstance(settings, dict):
            raise _unusable(f"has the flavor {str(name)[:80]!r} without settings: they must be a mapping")
        for key, path in _named_paths(settings):
            _check_path(f"flavors.{name}.{key}", path, known)
    pyfunc = flavours.get(PYFUNC)
    if pyfunc is None:
        others = ", ".join(sorted(flavours))[:200]
        return (
            f"The model has no {PYFUNC} flavor (only {others}), so Python cannot serve it. "
            "Load it with the tool that logged it"
        )
    _check_pyfunc(pyfunc, known)
    if base := next((found for each in flavours.values() if (found := each.get(_BASE)) is not None), None):
        return (
            f"The model's base is not among its files: MLflow would load it from {str(base)[:200]!r} (`{_BASE}`). "
            "Log it without `base_model_path`"
        )
    return ""


def too_large(size: int) -> InvalidInput:
    """The error of an `MLmodel` file of so many bytes."""
    return _unusable(f"has {counted(size, 'byte')}; at most {MAX_BYTES:,} are read")


def _check_pyfunc(settings: Mapping[str, Any], known: Collection[str]) -> None:
    loader = settings.get("loader_module")
    if not isinstance(loader, str) or not loader.strip():
        raise _unusable(f"does not say which module loads the model (`flavors.{PYFUNC}.loader_module`)")
    code = settings.get("model_code_path")
    if isinstance(code, str):  # the path on the machine that logged it; MLflow takes its last part only
        _check_path(f"flavors.{PYFUNC}.model_code_path", PurePosixPath(code).name, known)


def _check_signature(signature: Any) -> None:
    """MLflow parses the signature of every model that it loads."""
    if signature is None:
        return
    if not isinstance(signature, dict):
        raise _unusable("has a signature that is not a mapping")
    for part in ("inputs", "outputs", "params"):
        text = signature.get(part)
        if not text:
            continue
        try:
            columns = json.loads(text) if isinstance(text, str) else None
        except (ValueError, RecursionError):
            columns = None
        if not isinstance(columns, list) or not all(isinstance(each, dict) for each in columns):
            raise _unusable(f"has a signature whose {part} are not a JSON list of columns")


def _check_example(described: Any) -> None:
    """MLflow reads the input example on demand; a missing one keeps no model from being loaded."""
    for key in _EXAMPLES if isinstance(described, dict) else ():
        if (path := described.get(key)) is not None:
            _require_inside(f"saved_input_example_info.{key}", path)


def _named_paths(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the key and value of each entry of a flavour that names a file or folder."""
    for key in _PATHS:
        if (value := settings.get(key)) is not None:
            yield key, value
    env = settings.get("env")
    if isinstance(env, dict):
        yield from ((f"env.{key}", value) for key, value in env.items() if value is not None)
    elif env is not None:
        yield "env", env
    artifacts = settings.get("artifacts")
    for name, artifact in artifacts.items() if isinstance(artifacts, dict) else ():
        if isinstance(artifact, dict) and artifact.get("path") is not None:
            yield f"artifacts.{name}.path", artifact["path"]
    extra = settings.get("extra_files")
    for each in extra if isinstance(extra, list) else ():
        if isinstance(each, dict) and each.get("path") is not None:
            yield "extra_files.path", each["path"]


def _check_path(key: str, path: Any, known: Collection[str]) -> None:
    if (clean := _require_inside(key, path)) not in known:
        raise _unusable(f"names {clean[:200]!r} (`{key}`), which is not among the model's files")


def _require_inside(key: str, path: Any) -> str:
    """A path below the model's folder, in its shortest spelling. Raises InvalidInput for any other."""
    if not isinstance(path, str):
        raise _unusable(f"has `{key}` that is not a path")
    clean = "/".join(part for part in path.split("/") if part not in ("", "."))
    if path.startswith("/") or (clean and file_paths.problem(clean, decode=False)):
        raise _unusable(f"names {path[:200]!r} (`{key}`), which leads out of the model's folder")
    return clean


def _with_folders(paths: Collection[str]) -> set[str]:
    """Files and their folders; for each file also its name without suffix, by which Paddle names a pair of files."""
    known = {""}
    for path in paths:
        known.update((path, str(PurePosixPath(path).with_suffix(""))))
        known.update(str(folder) for folder in PurePosixPath(path).parents)
    return known


def _unusable(problem: str) -> InvalidInput:
    return InvalidInput(
        f"The model's {MODEL_FILE} file {problem}. MLflow cannot load such a model",
        action="Log the model again with `log_model`, and register that as a new version",
    )
