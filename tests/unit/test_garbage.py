"""Objects of the start stay: garbage collection leaves them out, also at the end of a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.platforms import PATIENCE

#: The last of everything that a process does at its end.
LAST = "import atexit, gc, sys\natexit.register(lambda: print('last', gc.get_freeze_count() > 1000))\n"

START = """
import gc
from registry_tui.contracts.garbage import lasting

searched = lambda it: any(each is it for each in gc.get_objects())
try:
    with lasting():
        print(gc.isenabled())
        made = [[number] for number in range(10)]
        {end}
except ValueError:
    pass
later = []
print(gc.isenabled(), searched(made), searched(later))
"""


def printed(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("end", ["pass", "raise ValueError"])
def test_what_a_start_makes_is_never_searched_and_what_comes_later_is(end: str) -> None:
    assert printed(START.format(end=end)) == ["False", "True False True"]


def test_the_end_of_a_process_searches_for_nothing_after_what_others_arranged() -> None:
    calls = "from registry_tui.contracts.garbage import none_at_the_end\nnone_at_the_end()\n"
    others = "atexit.register(lambda: print('first', gc.get_freeze_count() > 1000))\n"
    assert printed(LAST + calls + others) == ["first False", "last True"]
    assert printed(LAST) == ["last False"]


def test_a_command_ends_without_a_search() -> None:
    code = "sys.argv = ['registry-tui', '--version']\nfrom registry_tui.cli import main\nmain()\n"
    assert printed(LAST + code)[-1] == "last True"
