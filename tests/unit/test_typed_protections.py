"""Protected aliases as they are typed in the form of a registry's rules of promotion."""

from __future__ import annotations

import pytest

from registry_tui.schemas.promotion import ProtectedAlias
from registry_tui.wording.approvals import protected_lines, protected_of


def test_what_is_shown_is_read_again() -> None:
    rules = [ProtectedAlias(alias="champion", users=["ann"], groups=["releasers"]), ProtectedAlias(alias="live")]
    lines = protected_lines(rules)
    assert lines == ["champion: ann, group releasers", "live: "]
    read = protected_of("\n".join(["", *lines, "  "]))
    assert read == [("champion", ("ann",), ("releasers",)), ("live", (), ())]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("champion", "protects no alias"), (": ann", "protects no alias"), ("a: ann\na: bob", "is there twice")],
)
def test_a_line_that_means_nothing_is_told(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        protected_of(text)
