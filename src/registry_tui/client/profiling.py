"""Profiles of training data, made where the data is: only shares and quantiles go to the service."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

from registry_tui.client.errors import RegistryError
from registry_tui.contracts import chat_columns, profiles
from registry_tui.contracts.request_columns import PREDICTIONS, Columns, NotKept, of_request
from registry_tui.schemas.drift import ProfileChange, ProfiledColumn, Side

if TYPE_CHECKING:
    from registry_tui.client.client import RegistryClient

Made = TypeVar("Made")

_PARQUET, _LINES = (".parquet", ".pq"), (".jsonl", ".ndjson")
#: Rows of a file of Parquet or JSON Lines that are in memory at once, at most.
_BATCH = 16_384
_ONE_A_LINE = 'Give one object a line: a chat, {"messages": […]}, in each, or a row, {"column": value}, in each'
_INSTALL = "`pip install pyarrow` beside it (pipx: `pipx inject registry-tui pyarrow`), or give the data as CSV"


class UnknownColumn(RegistryError):
    """A column that was named is not in the data."""


class Training:
    """The columns of training data, with as many rows as were read so far."""

    def __init__(self, source: str, categorical: Collection[str] = ()) -> None:
        self.source, self.rows = source, 0
        self._categorical = categorical
        self._gathered: dict[str, profiles.Gathering] = {}
        #: Columns of the model's answers, where the data has answers apart from `target`.
        self._answers: dict[str, profiles.Gathering] = {}

    def add(self, columns: Mapping[str, Iterable[Any]], rows: int) -> None:
        """More rows."""
        self.rows += rows
        self._add(self._gathered, columns)

    def add_answers(self, columns: Mapping[str, Iterable[Any]]) -> None:
        """More answers, to rows that are added too."""
        self._add(self._answers, columns)

    def _add(self, gathered: dict[str, profiles.Gathering], columns: Mapping[str, Iterable[Any]]) -> None:
        for name, values in columns.items():
            if name not in gathered:
                gathered[name] = profiles.Gathering(numeric=False if name in self._categorical else None)
            gathered[name].add(values)

    def profiled(self, target: str | None) -> ProfileChange:
        """The profile; `target` is the column that the model predicts. Raises UnknownColumn, RegistryError."""
        for name in [*self._categorical, *([target] if target else [])]:
            if name not in self._gathered and name not in self._answers:
                known = ", ".join(dict.fromkeys([*self._gathered, *self._answers]))
                raise UnknownColumn(f"{self.source} has no column {name!r}; it has {known}")
        if target and self._answers:
            raise RegistryError(
                f"{self.source} has chats, whose answers are compared with answers", action="Leave out the target"
            )
        columns = []
        for name, gathered in self._answers.items():
            found = gathered.profile(name)
            if found is not None:
                columns.append(ProfiledColumn.model_validate({"side": Side.OUTPUT, **found.to_json()}))
        for name, gathered in self._gathered.items():
            found = gathered.profile(PREDICTIONS if name == target else name)
            if found is not None:
                side = Side.OUTPUT if name == target else Side.INPUT
                columns.append(ProfiledColumn.model_validate({"side": side, **found.to_json()}))
        if not columns:
            raise RegistryError(
                f"{self.source} has no columns of values", action="Give a table with a value in each cell"
            )
        return ProfileChange(source=self.source, rows=max(1, self.rows), columns=columns)


async def apart(work: Callable[[], Made]) -> Made:
    """Runs slow work in a thread that does not delay the end of the program, and returns its result."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Made] = loop.create_future()

    def end(result: Made | None, error: Exception | None) -> None:
        if made.cancelled():
            return
        if error is not None:
            made.set_exception(error)
        else:
            made.set_result(cast(Made, result))

    def run() -> None:
        result: Made | None = None
        failed: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failed = error
        with suppress(RuntimeError):  # the program has ended
            loop.call_soon_threadsafe(end, result, failed)

    threading.Thread(target=run, name="profile", daemon=True).start()
    return await made


def of_file(file: Path, categorical: Collection[str] = (), *, source: str = "") -> Training:
    """The data of a CSV, JSON, JSON Lines or Parquet file on this machine. Raises RegistryError."""
    path = file.expanduser()
    try:
        return _by_name(source or path.name, path.name, path, categorical)
    except OSError as error:
        detail = f"{file} cannot be read: {error.strerror or error}"
        raise RegistryError(detail, action="Give a file that you may read") from error


async def of_run(
    client: RegistryClient, registry: str, model: str, number: int, categorical: Collection[str] = ()
) -> Training:
    """The data set that a version's run logged: among the run's artifacts, or in a file that is readable here."""
    origin = (await client.version(registry, model, number)).origin
    if origin.run_id is None or origin.project_id is None:
        raise RegistryError(f"{model} {number} came from no run that is known", action="Give the data as a file")
    run = await client.run(origin.project_id, origin.run_id)
    if not run.datasets:
        raise RegistryError(
            f"The run of {model} {number} logged no data set",
            action="Give the data as a file, or log it with mlflow.log_input",
        )
    dataset = run.datasets[0]
    uri = _uri(dataset.source)
    artifacts = run.artifact_uri.rstrip("/") + "/"
    source = f"data set {dataset.name} ({dataset.digest})"
    if uri.startswith(artifacts):
        path = unquote(uri.removeprefix(artifacts))
        content = await client.read_artifact(origin.project_id, origin.run_id, path)
        return await apart(lambda: _by_name(source, path, content, categorical))
    parts = urlsplit(uri)
    if not uri or parts.scheme not in ("", "file"):
        raise RegistryError(
            f"The data set {dataset.name} is at {uri or 'an unknown place'}, which this program does not read",
            action="Save it as CSV or Parquet, and give that file",
        )
    file = Path(unquote(parts.path) if parts.scheme else uri)
    return await apart(lambda: of_file(file, categorical, source=source))


async def of_example(
    client: RegistryClient, registry: str, model: str, number: int, categorical: Collection[str] = ()
) -> Training:
    """The input example that a version was logged with. Raises RegistryError."""
    suggested = await client.suggest_deployment(registry, model, number)
    if not suggested.example_is_logged:
        raise RegistryError(f"{model} {number} has no input example", action="Give the data as a file")
    return _of_text("the input example", "example.json", suggested.example.encode(), categorical)


def _by_name(source: str, name: str, data: Path | bytes, categorical: Collection[str]) -> Training:
    """The data of a file or of its content, in the format that the file's name says."""
    if name.lower().endswith(_PARQUET):
        return _of_parquet(source, data, categorical)
    if name.lower().endswith(_LINES):
        with BytesIO(data) if isinstance(data, bytes) else data.open("rb") as lines:
            return _of_lines(source, name, lines, categorical)
    return _of_text(source, name, data if isinstance(data, bytes) else data.read_bytes(), categorical)


def _of_text(source: str, name: str, content: bytes, categorical: Collection[str]) -> Training:
    kind = "application/json" if name.lower().endswith(".json") else "text/csv"
    try:
        table: Columns = of_request("invocations", kind, content, most=None)
    except NotKept as error:
        raise RegistryError(
            f"{name} is not a table: {error}",
            action="Give Parquet, CSV with a line of names, JSON as a deployment takes it (dataframe_split, …), "
            "or JSON Lines (.jsonl) of chats or rows",
        ) from error
    found = Training(source, categorical)
    found.add(table.values, table.rows)
    return found


def _of_lines(source: str, name: str, lines: Iterable[bytes], categorical: Collection[str]) -> Training:
    """Chats, or rows of a table, one in each line."""
    objects = _objects(name, lines)
    first = next(objects, None)
    if first is None:
        raise RegistryError(f"{name} is empty", action=_ONE_A_LINE)
    objects = chain([first], objects)
    found = Training(source, categorical)
    if chat_columns.is_example(first[1]):
        _add_chats(found, name, objects)
    else:
        _add_rows(found, objects)
    return found


def _add_chats(found: Training, file: str, objects: Iterable[tuple[int, dict[str, Any]]]) -> None:
    for number, each in objects:
        if not chat_columns.is_example(each):
            raise RegistryError(f"Line {number} of {file} has no messages, as the first one has", action=_ONE_A_LINE)
        request, answer = chat_columns.of_example(each)
        # Texts are not compared, and so stay here.
        found.add({key: values for key, values in request.items() if key != chat_columns.TEXT}, 1)
        found.add_answers({key: values for key, values in answer.items() if key != chat_columns.TEXT})


def _add_rows(found: Training, objects: Iterator[tuple[int, dict[str, Any]]]) -> None:
    known: dict[str, None] = {}
    while rows := [each for _, each in islice(objects, _BATCH)]:
        names = dict.fromkeys(name for row in rows for name in row)
        # A name that comes late had no value before.
        found.add({name: repeat(None, found.rows) for name in names if name not in known}, 0)
        known |= names
        found.add({name: [row.get(name) for row in rows] for name in known}, len(rows))


def _objects(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object in each line that is not empty, with the line's number. Raises RegistryError."""
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise RegistryError(
                f"Line {number} of {name} is not a JSON object",
                action=_ONE_A_LINE,
            )
        yield number, found


def _of_parquet(source: str, data: Path | bytes, categorical: Collection[str]) -> Training:
    """Reads one part of a row group after another, so that a file of any size needs as much memory."""
    try:
        # Not with the module: the terminal program and the command line work without it.
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise RegistryError(
            f"{source} is Parquet, which pyarrow reads, and that is not installed here", action=f"Use {_INSTALL}"
        ) from error
    found = Training(source, categorical)
    try:
        with parquet.ParquetFile(pyarrow.BufferReader(data) if isinstance(data, bytes) else data) as file:
            for batch in file.iter_batches(_BATCH):
                columns = {name: batch.column(at).to_pylist() for at, name in enumerate(batch.schema.names)}
                found.add(columns, batch.num_rows)
    except (pyarrow.ArrowException, ValueError) as error:
        raise RegistryError(
            f"{source} is not Parquet that can be read here",
            action="Write it again, for example with pandas, or as CSV",
        ) from error
    return found


def _uri(source: str) -> str:
    """Where a data set comes from, in the JSON that MLflow keeps of its source."""
    try:
        found = json.loads(source)
    except ValueError:
        return source
    if not isinstance(found, dict):
        return ""
    return str(next((found[name] for name in ("uri", "url", "path") if found.get(name)), ""))
