"""Previews of artifacts, from their first bytes. Plain functions, no terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from registry_tui.contracts.counts import counted

#: Bytes of a file that are read for a preview; images are read whole up to `MAX_IMAGE_BYTES`.
HEAD_BYTES = 64 * 1024
MAX_IMAGE_BYTES = 8 * 1024 * 1024
MAX_TABLE_ROWS, MAX_TABLE_COLUMNS = 500, 60
_HEX_BYTES = 1024
#: Files next to an `MLmodel` that its card shows too: bytes of each that are read, requirements, and lines of the
#: example.
BESIDE_BYTES = 64 * 1024
REQUIREMENTS = "requirements.txt"
#: The first that exists: the ready-to-send form, then the one given to `log_model`.
EXAMPLES = ("serving_input_example.json", "input_example.json")
MAX_REQUIREMENTS, MAX_EXAMPLE_LINES = 40, 24
#: Of an example: the items of a list and the characters of a text that are shown, and a line's width.
_EXAMPLE_ITEMS, _EXAMPLE_TEXT, _EXAMPLE_WIDTH = 4, 60, 60

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"})
_LANGUAGES = {
    ".py": "python",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
    ".sql": "sql",
    ".sh": "bash",
    ".xml": "xml",
    ".html": "html",
    ".ini": "ini",
}


@dataclass(frozen=True)
class TextPreview:
    """Text, with the language that it is coloured as, if any."""

    text: str
    language: str | None = None


@dataclass(frozen=True)
class MarkdownPreview:
    text: str


@dataclass(frozen=True)
class TablePreview:
    """The first rows of a CSV or TSV file."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ImagePreview:
    """The bytes of an image file."""

    data: bytes


@dataclass(frozen=True)
class ModelCard:
    """The content of an `MLmodel` file (MLflow's model format): names, each with its detail."""

    flavours: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    params: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    #: From the files next to it.
    requirements: tuple[str, ...] = ()
    example: str = ""


@dataclass(frozen=True)
class ModelPreview:
    card: ModelCard


@dataclass(frozen=True)
class BinaryPreview:
    """A hex dump of the first bytes of a file that is not text."""

    dump: str


@dataclass(frozen=True)
class EmptyPreview:
    """A file of no bytes."""


Preview = TextPreview | MarkdownPreview | TablePreview | ImagePreview | ModelPreview | BinaryPreview | EmptyPreview


def is_image(path: str) -> bool:
    """Whether the file's name has an image suffix."""
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def bytes_wanted(path: str, size: int | None) -> int:
    """How many bytes of a file its preview needs; an image that is too big is shown as bytes."""
    if is_image(path) and size is not None and size <= MAX_IMAGE_BYTES:
        return size
    return HEAD_BYTES


def beside_model(names: Collection[str]) -> tuple[str, ...]:
    """The files of a model's folder that its card needs, in addition to `MLmodel`."""
    example = next((name for name in EXAMPLES if name in names), None)
    return tuple(name for name in (REQUIREMENTS, example) if name is not None and name in names)


def preview(path: str, head: bytes, size: int | None, beside: Mapping[str, bytes] | None = None) -> Preview:
    """The preview of a file, from its name and first bytes. Takes anything, never raises.

    `beside`: the first bytes of the files that `beside_model` names, for an `MLmodel`.
    """
    if not head:
        return EmptyPreview()
    name, suffix = PurePosixPath(path).name, PurePosixPath(path).suffix.lower()
    whole = size is not None and len(head) >= size
    if is_image(path) and whole:
        return ImagePreview(head)
    text = _decode(head)
    if text is None:
        return BinaryPreview(hex_dump(head[:_HEX_BYTES]))
    if name == "MLmodel" and whole and (card := model_card(text)) is not None:
        return ModelPreview(_completed(card, beside or {}))
    if suffix == ".json":
        return TextPreview(_pretty_json(text) if whole else text, "json")
    if suffix in (".csv", ".tsv"):
        return _table(text, "\t" if suffix == ".tsv" else ",", whole)
    if suffix in (".md", ".markdown"):
        return MarkdownPreview(text)
    language = "yaml" if name in ("MLmodel", "conda.yaml") else _LANGUAGES.get(suffix)
    return TextPreview(text, language)


def _decode(head: bytes) -> str | None:
    """UTF-8 text, where the last character may be cut; None for bytes that are not text."""
    if b"\0" in head:
        return None
    for cut in range(4):
        try:
            return head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4:
                return None
    return None


def _pretty_json(text: str) -> str:
    """Indented JSON; the unchanged text when it is not JSON, or has numbers that would change."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _table(text: str, delimiter: str, whole: bool) -> Preview:
    lines = text if whole else text[: text.rfind("\n") + 1] or text
    try:
        rows = [
            tuple(row[:MAX_TABLE_COLUMNS])
            for row, _ in zip(
                csv.reader(io.StringIO(lines), delimiter=delimiter), range(MAX_TABLE_ROWS + 1), strict=False
            )
            if row
        ]
    except csv.Error:
        return TextPreview(text)
    if not rows:
        return TextPreview(text)
    width = max(len(row) for row in rows)
    padded = [row + ("",) * (width - len(row)) for row in rows]
    return TablePreview(padded[0], tuple(padded[1:]))


def hex_dump(data: bytes) -> str:
    """Offset, 16 bytes in hexadecimal, and their ASCII, a line each."""
    lines = []
    for offset in range(0, len(data), 16):
        chunk = data[offset : offset + 16]
        ascii_ = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in chunk)
        lines.append(f"{offset:08x}  {chunk.hex(' '):<47}  {ascii_}")
    return "\n".join(lines)


def model_card(text: str) -> ModelCard | None:
    """The card of an `MLmodel` file, or None if it is not one."""
    from registry_tui.contracts import bounded_yaml

    try:
        model = bounded_yaml.load(text.encode(errors="surrogatepass"))
    except bounded_yaml.InvalidYaml:
        return None
    if not isinstance(model, dict) or not isinstance(model.get("flavors"), dict):
        return None
    signature = model.get("signature")
    signature = signature if isinstance(signature, dict) else {}
    example = model.get("saved_input_example_info")
    facts = [
        ("MLflow", model.get("mlflow_version")),
        ("Created", model.get("utc_time_created")),
        ("Run", model.get("run_id")),
        ("Model", model.get("model_id")),
        ("Input example", example.get("artifact_path") if isinstance(example, dict) else None),
    ]
    return ModelCard(
        flavours=tuple((str(name), _flavour(facts_)) for name, facts_ in model["flavors"].items()),
        inputs=_columns(signature.get("inputs")),
        outputs=_columns(signature.get("outputs")),
        params=_columns(signature.get("params")),
        facts=tuple((name, str(value)) for name, value in facts if value),
    )


def _completed(card: ModelCard, beside: Mapping[str, bytes]) -> ModelCard:
    """The card with requirements and input example."""
    example = next((beside[name] for name in EXAMPLES if beside.get(name)), b"")
    return replace(
        card, requirements=requirement_lines(beside.get(REQUIREMENTS, b"")), example=shortened_example(example)
    )


def requirement_lines(data: bytes) -> tuple[str, ...]:
    """The lines of a requirements file without blanks and comments, and the number left out when there are too many."""
    lines = [line.strip() for line in (_decode(data) or "").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    more = len(lines) - MAX_REQUIREMENTS
    return tuple(lines) if more <= 0 else (*lines[:MAX_REQUIREMENTS], f"and {more} more")


def shortened_example(data: bytes) -> str:
    """An example's JSON in a few lines: long parts are cut, with the number left out. Other text is cut."""
    text = (_decode(data) or "").strip()
    try:
        lines = _json_lines(json.loads(text))
    except (ValueError, RecursionError):  # not JSON, or only its beginning was read
        lines = [text[: _EXAMPLE_WIDTH * 4] + "…"] if len(text) > _EXAMPLE_WIDTH * 4 else text.splitlines()
    more = len(lines) - MAX_EXAMPLE_LINES
    return "\n".join(lines if more <= 0 else [*lines[:MAX_EXAMPLE_LINES], f"… {counted(more, 'more line')}"])


def _json_lines(value: Any) -> list[str]:
    """A value in lines: on one when it fits, else an item a line."""
    whole = _one_line(value)
    if len(whole) <= _EXAMPLE_WIDTH or not isinstance(value, list | dict):
        return [whole]
    if isinstance(value, list):
        items = [_json_lines(item) for item in value[:_EXAMPLE_ITEMS]]
        if len(value) > _EXAMPLE_ITEMS:
            items.append([f"… {len(value) - _EXAMPLE_ITEMS} more"])
        opening, closing = "[", "]"
    else:
        items = []
        for key, item in value.items():
            first, *rest = _json_lines(item)
            items.append([f"{_one_line(key)}: {first}", *rest])
        opening, closing = "{", "}"
    lines = [opening]
    for place, item in enumerate(items, 1):
        lines += [f"  {line}" for line in item]
        lines[-1] += "," if place < len(items) else ""
    return [*lines, closing]


def _one_line(value: Any) -> str:
    """A value on one line; of a long list of plain values the first."""
    if isinstance(value, str) and len(value) > _EXAMPLE_TEXT:
        return (
            json.dumps(value[:_EXAMPLE_TEXT], ensure_ascii=False) + f" … {len(value) - _EXAMPLE_TEXT} more characters"
        )
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        shown = json.dumps(value, ensure_ascii=False)
        if len(shown) > _EXAMPLE_WIDTH:
            items = ", ".join(_one_line(item) for item in value[:_EXAMPLE_ITEMS])
            return f"[{items}, … {len(value) - _EXAMPLE_ITEMS} more]" if len(value) > _EXAMPLE_ITEMS else f"[{items}]"
    return json.dumps(value, ensure_ascii=False)


def _flavour(facts: Any) -> str:
    """The version that a flavour names, e.g. `sklearn_version`, or its loader."""
    if not isinstance(facts, dict):
        return ""
    versions = [str(value) for key, value in facts.items() if str(key).endswith("_version") and value]
    return versions[0] if versions else str(facts.get("loader_module", ""))


def _columns(schema: Any) -> tuple[tuple[str, str], ...]:
    """Name and type of each column or tensor of a signature's JSON."""
    try:
        columns = json.loads(schema) if isinstance(schema, str) else schema
    except ValueError:
        return ()
    if not isinstance(columns, list):
        return ()
    found = []
    for column in columns:
        if not isinstance(column, dict):
            continue
        kind = str(column.get("type", ""))
        tensor = column.get("tensor-spec")
        if isinstance(tensor, dict):
            shape = ", ".join(str(size) for size in tensor.get("shape", ()))
            kind = f"tensor({tensor.get('dtype')}, ({shape}))"
        elif "default" in column:
            kind += f" = {column['default']!r}"
        elif column.get("required") is False:
            kind += ", optional"
        found.append((str(column.get("name", "")), kind))
    return tuple(found)
