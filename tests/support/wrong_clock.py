"""A machine whose clock is wrong: programs that are started so see another time, OpenSSL and files too."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def clock_off(shift: str) -> dict[str, str]:
    """Variables that shift a program's clock, for example by `+1h` or `-1h`; durations stay true."""
    found = find_spec("libfaketime")
    assert found is not None and found.origin is not None
    library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    assert library.exists(), library
    return {"LD_PRELOAD": str(library), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
