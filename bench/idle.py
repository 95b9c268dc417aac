"""The cost of an idle platform: processor and disk, fresh and after use.

`python bench/idle.py` (about six minutes)   `--seconds 10 --settle 10` is quicker

The processor's time is the processes' own (proc(5), stat), those of ended threads too, so that a busy machine changes
it little. Bytes written are the processes' writes to the disk (proc(5), io). The use is a project with some runs,
artifacts, a registered model and searches.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from budgets import Judge
from servers import temporary_folder

from registry_tui.client import RegistryClient
from registry_tui.platform import processes
from registry_tui.platform.paths import Home
from registry_tui.schemas.models import RegisterModel
from support.platforms import Platform, unique
from support.registered import log_model

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """The resources that a process has used since it started."""

    part: str
    seconds: float
    written: int


def snapshot(home: Home) -> Mapping[int, Used]:
    """Every process of the platform."""
    found = {}
    for pid, part in processes.ours(home).items():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        except OSError:
            continue  # it has ended
        found[pid] = Used(part, (int(stat[11]) + int(stat[12])) / TICKS, int(io["write_bytes"]))
    return found


def measure(home: Home, seconds: float, when: str, judge: Judge) -> None:
    """Prints the resources that each idle process uses, and the sum."""
    before = snapshot(home)
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    after = snapshot(home)
    print(f"\n{when}, {took:.0f} s{'':<12}{'% of a core':>14}{'bytes written':>16}")
    processor, written = 0.0, 0
    for pid, now in sorted(after.items(), key=lambda item: item[1].part):
        then = before.get(pid, Used(now.part, 0.0, 0))
        share, bytes_ = (now.seconds - then.seconds) / took * 100, now.written - then.written
        print(f"  {now.part:<14}{pid:>10}{share:>14.2f}{bytes_:>16,}")
        processor, written = processor + share, written + bytes_
    print(f"  {'together':<24}{processor:>14.2f}{written:>16,}", flush=True)
    judge.measured(f"processor, {when}", processor)
    judge.measured(f"written to disk, {when}", written)


def use(platform: Platform, models: int) -> None:
    """A quarter of an hour of a person's work."""
    project = platform.new_project()
    for _ in range(models):
        run = log_model(platform, project)
        request = RegisterModel(name=unique("used"), run_id=run.run_id, artifact_path=run.artifact_path)
        accepted = platform.call(RegistryClient.register_model, project.id, request)
        platform.call(RegistryClient.wait_for_workflow, accepted.workflow.id)
        platform.command("models", "list", project.name, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40, help="of each measurement")
    parser.add_argument(
        "--settle",
        type=float,
        default=120,
        help="seconds of rest before it",
    )
    parser.add_argument("--models", type=int, default=10, help="models that are registered in between")
    asked = parser.parse_args()
    judge = Judge("idle")
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        platform.command("up", timeout=300)
        try:
            time.sleep(asked.settle)
            measure(platform.home, asked.seconds, "fresh", judge)
            use(platform, asked.models)
            time.sleep(asked.settle)
            measure(platform.home, asked.seconds, "after use", judge)
        finally:
            platform.command("down")
    return judge.end()


if __name__ == "__main__":
    sys.exit(main())
