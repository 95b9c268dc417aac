"""Profiles of training data, made where the data is: only shares and quantiles go to the service."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

from registry_tui.client.errors import RegistryError
from registry_tui.contracts import profiles
from registry_tui.contracts.request_columns import PREDICTIONS, Columns, NotKept, of_request
from registry_tui.schemas.drift import ProfileChange, ProfiledColumn, Side

if TYPE_CHECKING:
    from registry_tui.client.client import RegistryClient

Made = TypeVar("Made")

_PARQUET = (".parquet", ".pq")
#: Rows of a Parquet file that are in memory at once, at most.
_BATCH = 16_384
_INSTALL = "`pip install pyarrow` beside it (pipx: `pipx inject registry-tui pyarrow`), or give the data as CSV"


class UnknownColumn(RegistryError):
    """A column that was named is not in the data."""


class Training:
    """The columns of training data, with as many rows as were read so far."""

    def __init__(self, source: str, categorical: Collection[str] = ()) -> None:
        self.source, self.rows = source, 0
        self._categorical = categorical
        self._gathered: dict[str, profiles.Gathering] = {}

    def add(self, columns: Mapping[str, Iterable[Any]], rows: int) -> None:
        """More rows."""
        self.rows += rows
        for name, values in columns.items():
            if name not in self._gathered:
                self._gathered[name] = profiles.Gathering(numeric=False if name in self._categorical else None)
            self._gathered[name].add(values)

    def profiled(self, target: str | None) -> ProfileChange:
        """The profile; `target` is the column that the model predicts. Raises UnknownColumn, RegistryError."""
        for name in [*self._categorical, *([target] if target else [])]:
            if name not in self._gathered:
                raise UnknownColumn(f"{self.source} has no column {name!r}; it has {', '.join(self._gathered)}")
        columns = []
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
    """The data of a CSV, JSON or Parquet file on this machine. Raises RegistryError."""
    path = file.expanduser()
    try:
        if path.suffix.lower() in _PARQUET:
            return _of_parquet(source or path.name, path, categorical)
        return _of_text(source or path.name, path.name, path.read_bytes(), categorical)
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
        if path.lower().endswith(_PARQUET):
            return await apart(lambda: _of_parquet(source, content, categorical))
        return await apart(lambda: _of_text(source, path, content, categorical))
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


def _of_text(source: str, name: str, content: bytes, categorical: Collection[str]) -> Training:
    kind = "application/json" if name.lower().endswith(".json") else "text/csv"
    try:
        table: Columns = of_request("invocations", kind, content, most=None)
    except NotKept as error:
        raise RegistryError(
            f"{name} is not a table: {error}",
            action="Give Parquet, CSV with a line of names, or JSON as a deployment takes it (dataframe_split, …)",
        ) from error
    found = Training(source, categorical)
    found.add(table.values, table.rows)
    return found


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
