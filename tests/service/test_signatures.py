"""Versions are signed when they are registered; the public tool verifies a download without us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from registry_tui.schemas.signatures import SignatureKind
from support import served
from support.platforms import Platform


def test_a_version_is_signed_when_it_is_registered_and_the_public_tool_verifies_a_download(
    platform: Platform, tmp_path: Path
) -> None:
    made = served.register(platform, platform.new_project())
    model, number = made.version.model_name, made.version.version
    found = platform.ask(lambda client: client.signatures(made.registry, model, number))
    assert [(each.kind, each.problem) for each in found.signatures] == [(SignatureKind.REGISTRY, "")]
    named = (model, str(number), "--registry", made.registry)
    folder, signature, key = tmp_path / "wine", tmp_path / "wine.sig", tmp_path / "key.pem"
    platform.command("models", "download", model, str(number), str(folder), "--registry", made.registry)
    assert "valid" in platform.command("models", "signature", *named, "--save", str(signature)).stdout
    shown = platform.command("signing", "keys", "show", "local", found.signatures[0].fingerprint)
    key.write_text(shown.stdout)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    command += ["--signature", str(signature), "--public_key", str(key)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr
