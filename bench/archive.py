"""Archives a model and, beside it, copies the same objects with bare boto3: both times and their ratio, in one run.

`python bench/archive.py --bytes 2000000000 --files 1`

Both sides work on one embedded object store in a temporary home, in turns. The archive is more than the copy: every
stored file is read back for its SHA-256, and a manifest is written. "bare" calls `client.copy` for each object, one
after the other; for several files "bare, N at a time" does so with as many threads as the archive uses. "the disk
alone" reads as many bytes from one file and writes them into another, until they are on the disk: the limit of any
store.

The store gives deleted objects' room back late: (2 or 3 sides × rounds + 3) × bytes must be free below TMPDIR.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from budgets import Judge

from registry_tui.platform.paths import Home
from registry_tui.platform.ports import choose_ports
from registry_tui.platform.secrets import load_secrets
from registry_tui.schemas.models import Manifest
from registry_tui.service.stores import archives, bucket_files, copying
from registry_tui.service.stores.archives import FILES
from registry_tui.service.stores.bucket_files import Place

BUCKET = "bench-archive"
START_SECONDS = 60
PIECE = 8 * bucket_files.MIB


@contextmanager
def object_store(home: Home) -> Iterator[tuple[Any, int]]:
    """A client of a new object store, and its process ID."""
    home.create()
    ports, secrets = choose_ports(home), load_secrets(home)
    log = (home.logs / "object-store.log").open("wb")
    environment = {**os.environ, "REGISTRY_TUI_HOME": str(home.root)}
    process = subprocess.Popen(
        [sys.executable, "-m", "registry_tui.platform.object_store"], env=environment, stdout=log, stderr=log
    )
    client = boto3.client(
        "s3",
        endpoint_url=ports.s3_endpoint,
        aws_access_key_id=secrets.object_store_admin.access_key_id,
        aws_secret_access_key=secrets.object_store_admin.secret_access_key,
        region_name="us-east-1",
        config=Config(max_pool_connections=32, s3={"addressing_style": "path"}),
    )
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="probe", Body=b"x")
                break
            except (BotoCoreError, ClientError):
                if time.monotonic() > until or process.poll() is not None:
                    sys.exit(f"The object store does not start; see {log.name}")
                time.sleep(0.1)
        yield client, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        log.close()


class RandomFile:
    """A file-like object of random bytes that takes no room."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._block = os.urandom(PIECE)

    def read(self, size: int = -1) -> bytes:
        take = min(self._left, PIECE, size if size >= 0 else PIECE)
        self._left -= take
        return self._block[:take]


def upload(client: Any, total: int, files: int) -> Place:
    """Makes the model's files: random, so that nothing can be compressed away."""
    place = Place(client, BUCKET, "model/")
    sizes = [total // files + (1 if index < total % files else 0) for index in range(files)]

    def one(numbered: tuple[int, int]) -> None:
        number, size = numbered
        client.upload_fileobj(RandomFile(size), BUCKET, place.key(f"data/{number:05}.bin"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, enumerate(sizes)))
    return place


def bare_copy(source: Place, target: Place, threads: int) -> None:
    """`client.copy` for every object."""

    def one(file: bucket_files.StoredFile) -> None:
        source.client.copy(
            {"Bucket": source.bucket, "Key": source.key(file.path)}, target.bucket, target.key(file.path)
        )

    files = bucket_files.list_files(source)
    if threads == 1:
        for file in files:
            one(file)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, files))


def disk_copy(source: Path, target: Path) -> None:
    """A file's bytes in another one, on the disk."""
    with source.open("rb") as given, target.open("wb") as taken:
        shutil.copyfileobj(given, taken, PIECE)
        taken.flush()
        os.fsync(taken.fileno())


def archive(source: Place, target: Place) -> None:
    """The steps of the workflow: list, copy, read back, write the manifest."""
    files = bucket_files.list_files(source)
    copying.copy_files(files, source, target.below(FILES))
    entries = archives.hash_files(bucket_files.list_files(target.below(FILES)), target.below(FILES))
    ids = {"model_id": "m", "model_name": "bench", "version_id": "v", "version": 1}
    manifest = Manifest(**ids, source=source.uri, created_at=datetime.now(UTC), files=entries)  # type: ignore[arg-type]
    archives.write_manifest(target, manifest)
    if len(entries) != len(files) or manifest.total_bytes != sum(file.size for file in files):
        sys.exit("The archive does not hold what the model holds")


def peak_memory(pid: int | str = "self") -> float:
    """The most memory (MiB) that a process held since `reset_peak`; proc(5), VmHWM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def reset_peak(pid: int | str = "self") -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def measure(work: Callable[[], None]) -> float:
    """Seconds, from a disk that has nothing left to write."""
    os.sync()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=2_000_000_000, help="size of the model")
    parser.add_argument("--files", type=int, default=1, help="in how many files of the same size")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="bench-archive-") as folder, object_store(Home(Path(folder))) as store:
        client, store_pid = store
        source = upload(client, options.bytes, options.files)
        print(f"{options.bytes:,} bytes in {options.files:,} files, {options.rounds} rounds, median")
        several = options.files > 1
        sides: dict[str, Callable[[Place], None]] = {"bare boto3 copy": lambda to: bare_copy(source, to, 1)}
        if several:
            sides[f"bare, {copying.COPIERS} at a time"] = lambda to: bare_copy(source, to, copying.COPIERS)
        sides["archive (copied, read back)"] = lambda to: archive(source, to)
        one, other = Path(folder) / "one", Path(folder) / "other"
        with one.open("wb") as file:
            shutil.copyfileobj(RandomFile(options.bytes), file, PIECE)
        sides["the disk alone"] = lambda _to: disk_copy(one, other)
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        memory: dict[str, float] = dict.fromkeys(sides, 0.0)
        before = 0.0
        for _ in range(options.rounds):
            for name, work in sides.items():
                target = Place(client, BUCKET, "target/")
                for pid in ("self", store_pid):
                    reset_peak(pid)
                before = before or peak_memory()
                seconds[name].append(measure(lambda work=work, target=target: work(target)))  # type: ignore[misc]
                memory[name] = max(memory[name], peak_memory())
                store_memory = peak_memory(store_pid)
                print(f"  {name:28} {seconds[name][-1]:7.2f} s   object store's peak {store_memory:4.0f} MiB")
                archives.delete_archive(target)
        medians = {name: statistics.median(each) for name, each in seconds.items()}
        print()
        for name, median in medians.items():
            rate = options.bytes / median / 1e6
            print(f"{name:30} {median:7.2f} s  {rate:6.0f} MB/s   +{memory[name] - before:4.0f} MiB of memory")
        ours = medians.pop("archive (copied, read back)")
        judge = Judge("archive")
        for name, median in medians.items():
            print(f"the archive's speed is {median / ours:.2f} × that of: {name}")
        judge.measured("speed beside a bare boto3 copy", medians["bare boto3 copy"] / ours)
        return judge.end()


if __name__ == "__main__":
    sys.exit(main())
