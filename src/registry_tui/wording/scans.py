"""Words for scans of versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from registry_tui.contracts.counts import counted
from registry_tui.wording.words import Cell, both

if TYPE_CHECKING:
    from registry_tui.schemas.scans import VersionScan

#: By verdict (`schemas.scans.Verdict`). No verdict claims that a model is harmless.
_VERDICTS = {
    "safe format": Cell("● safe format", "good"),
    "known imports": Cell("● known imports", "good"),
    "runs code": Cell("◐ runs code", "warn"),
    "unknown": Cell("? unknown", "bad"),
    "not scanned": Cell("– not scanned", "dim"),
}
#: Imports of a file that are listed.
_IMPORTS = 20


def scan_verdict(verdict: str) -> Cell:
    """The verdict of a scan as glyph and word."""
    return _VERDICTS.get(verdict, Cell(f"? {verdict}", "bad"))


def scan_summary(found: VersionScan) -> str:
    """The verdict with its reason, and when it was found."""
    reason = f": {found.reason}" if found.reason else ""
    when = f"\n{counted(found.total_files, 'file')}, {both(found.scanned_at)}" if found.scanned_at else ""
    return f"{scan_verdict(found.verdict.value).text}{reason}{when}"


def scan_lines(found: VersionScan) -> Iterator[str]:
    """Each file with its format, its verdict, and the imports of loading it; the worst first."""
    for each in found.files:
        yield f"{scan_verdict(each.verdict.value).text}  {each.path} ({each.format})"
        if each.reason:
            yield f"    {each.reason}"
        if each.imports:
            more = f" and {len(each.imports) - _IMPORTS} more" if len(each.imports) > _IMPORTS else ""
            yield f"    imports {', '.join(each.imports[:_IMPORTS])}{more}"
    if found.total_files > len(found.files):
        yield f"and {counted(found.total_files - len(found.files), 'file')} more"
