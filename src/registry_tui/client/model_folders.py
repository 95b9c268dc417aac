"""Models as folders on this machine: in MLflow's and in Hugging Face's format. No code or object in them is loaded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from registry_tui.client.errors import RegistryError
from registry_tui.client.saving import Tell
from registry_tui.contracts import bounded_yaml, file_paths
from registry_tui.contracts.bounded_yaml import InvalidYaml

_PIECE = 1 << 20
#: Maximum bytes of the header of a safetensors file, and of other descriptions.
_MAX_HEADER = 100 << 20
_INDEX = "model.safetensors.index.json"
#: The fields of a model card's header that become tags of the version.
_CARD = ("license", "base_model", "pipeline_tag", "library_name")


@dataclass
class ModelFolder:
    """The files of a model by their path, with the added ones, and the version's tags and description."""

    name: str
    kind: str
    files: dict[str, Path]
    added: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    sums: dict[str, tuple[int, str]] = field(default_factory=dict)

    def measure(self, tell: Tell) -> None:
        """Reads every file for its size and SHA-256. Raises OSError."""
        total, done = sum(path.stat().st_size for path in self.files.values()), 0
        for count, (name, path) in enumerate(self.files.items()):
            sha, size = hashlib.sha256(), 0
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    sha.update(piece)
                    size += len(piece)
                    tell(done + size, total, count)
            done += size
            self.sums[name] = (size, sha.hexdigest())
        for name, content in self.added.items():
            self.sums[name] = (len(content), hashlib.sha256(content).hexdigest())


def read_folder(folder: Path) -> ModelFolder:
    """The model in a folder. Raises RegistryError if it is missing or incomplete; OSError."""
    files = dict(_walk(folder))
    if found := file_paths.conflict(files):
        raise _unusable(folder, f"has a file {found[0]!r}, and needs a folder of that name")
    for path in files:
        if problem := file_paths.problem(path):
            raise _unusable(folder, f"has a file {path[:200]!r} that cannot be stored: its path {problem}")
    if "MLmodel" in files:
        return ModelFolder(folder.absolute().name, "MLflow", files)
    weights = sorted(path for path in files if path.endswith(".safetensors"))
    if not weights:
        missing = "holds neither an MLmodel file nor safetensors files"
        raise _unusable(folder, f"{missing}, so nothing here can read it as a model")
    return _hugging_face(folder, files, weights)


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Regular files, also behind links, as in Hugging Face's cache; without tools' hidden folders."""
    for at, below, names in os.walk(folder, followlinks=False):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = Path(at) / name
            if path.is_file() and name != ".gitattributes":
                yield path.relative_to(folder).as_posix(), path


def _hugging_face(folder: Path, files: Mapping[str, Path], weights: list[str]) -> ModelFolder:
    """Checks the weights, and describes them in an `MLmodel` file: stored and promoted, but not servable."""
    for name in weights:
        with files[name].open("rb") as file:
            if problem := _safetensors_problem(file, files[name].stat().st_size):
                raise _unusable(folder, f"has {name[:200]!r}, which {problem}")
    if _INDEX in files:
        named = _json(folder, files[_INDEX]).get("weight_map")
        wanted = set(named.values()) if isinstance(named, dict) else set()
        if lacking := sorted(str(each) for each in wanted - set(files)):
            raise _unusable(folder, f"lacks {lacking[0][:200]!r}, which {_INDEX} names")
    config = _json(folder, files["config.json"]) if "config.json" in files else {}
    about: dict[str, object] = {"weights": weights}
    for key in ("model_type", "architectures", "torch_dtype"):
        if key in config:
            about[key] = config[key]
    # JSON is YAML.
    described = json.dumps({"flavors": {"safetensors": about}}, indent=1, sort_keys=True).encode() + b"\n"
    tags = _card_tags(files.get("README.md"))
    return ModelFolder(folder.absolute().name, "Hugging Face", dict(files), {"MLmodel": described}, tags)


def _safetensors_problem(file: BinaryIO, size: int) -> str | None:
    """Why a safetensors file is incomplete: its header has the offsets of each tensor, and the last one ends the
    file."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(_MAX_HEADER, size - 8):
        return "is not a safetensors file"
    try:
        head = json.loads(file.read(length))
        ends = [int(each["data_offsets"][1]) for name, each in head.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "has a head that cannot be read"
    return None if max(ends, default=0) == size - 8 - length else "is cut off, or has bytes behind its tensors"


def _json(folder: Path, path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size <= _MAX_HEADER and isinstance(found := json.loads(path.read_bytes()), dict):
            return found
    except (ValueError, RecursionError):
        pass
    raise _unusable(folder, f"has a {path.name} that cannot be read")


def _card_tags(card: Path | None) -> dict[str, str]:
    """The tags in the YAML header of a model's card, if it has a readable one."""
    if card is None or card.stat().st_size > _MAX_HEADER:
        return {}
    head, text = "", card.read_text(encoding="utf-8", errors="replace")
    if text.startswith("---\n"):
        head = text[4:].partition("\n---")[0]
    try:
        found = bounded_yaml.load(head.encode())
    except InvalidYaml:
        return {}
    values = found if isinstance(found, dict) else {}
    return {f"card.{key}": str(values[key])[:1000] for key in _CARD if isinstance(values.get(key), str | int | float)}


def _unusable(folder: Path, problem: str) -> RegistryError:
    return RegistryError(f"{folder} {problem}; nothing was imported", action="Name a folder that `log_model` wrote")
