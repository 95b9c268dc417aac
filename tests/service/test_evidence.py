"""The folder for auditors: its content, and its verification without us."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support import served
from support.platforms import Platform


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_an_evidence_pack_verifies_with_public_tools_until_it_is_changed(platform: Platform, tmp_path: Path) -> None:
    made = served.register(platform, platform.new_project())
    model, number, folder = made.version.model_name, str(made.version.version), tmp_path / "pack"
    of = (model, number, "--registry", made.registry)
    platform.command("models", "card", *of, "--text", "## Intended use\n\nTo add numbers up.\n")
    platform.command("models", "evidence", *of, "--to", str(folder), "--with-model")
    assert {path.name for path in folder.iterdir()} >= {
        "README.md",
        "SHA256SUMS",
        "version.json",
        "card.md",
        "bom.cdx.json",
        "manifest.json",
        "archive.sha256",
        "scan.json",
        "run.json",
        "approvals.json",
        "stages.json",
        "rules.json",
        "signatures",
        "signatures.json",
        "lineage.json",
        "events.jsonl",
        "chain.txt",
        "model",
    }
    assert "Not there" not in (folder / "README.md").read_text()
    assert _run(folder, "sha256sum", "--quiet", "-c", "SHA256SUMS").returncode == 0
    assert _run(folder / "model", "sha256sum", "--quiet", "-c", "../archive.sha256").returncode == 0
    assert _run(folder, sys.executable, "verify-events.py").returncode == 0
    signed = [line.split() for line in (folder / "README.md").read_text().splitlines() if "model_signing" in line]
    checks = [_run(folder, sys.executable, "-m", *words) for words in signed if words[0] == "model_signing"]
    assert [each.returncode for each in checks] == [0], checks
    lines = (folder / "events.jsonl").read_text().splitlines()
    assert {"version.card"} <= {json.loads(line)["action"] for line in lines}
    known = next(line for line in (folder / "README.md").read_text().splitlines() if "--expect" in line)
    assert platform.command(*known.split()[1:]).returncode == 0
    # A changed event needs a changed chain, and then the head differs.
    (folder / "events.jsonl").write_text("\n".join([lines[0].replace('"actor":"', '"actor":"not-'), *lines[1:]]) + "\n")
    assert "is not the one in the chain" in _run(folder, sys.executable, "verify-events.py").stderr
    assert _run(folder, "sha256sum", "-c", "SHA256SUMS").returncode == 1
    again = platform.command("models", "evidence", *of, "--to", str(folder), check=False)
    assert again.returncode != 0
