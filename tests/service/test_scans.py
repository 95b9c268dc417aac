"""A version is scanned when it is registered, and again when somebody asks."""

from __future__ import annotations

from registry_tui.schemas.scans import Verdict
from support import served
from support.platforms import Platform


def test_a_version_is_scanned_when_it_is_registered_and_again_when_asked(platform: Platform) -> None:
    made = served.register(platform, platform.new_project())
    model, number = made.version.model_name, made.version.version
    found = platform.ask(lambda client: client.scan(made.registry, model, number))
    assert found.verdict is Verdict.RUNS_CODE
    assert {file.path for file in found.files} >= {"MLmodel", "requirements.txt"}
    again = platform.ask(lambda client: client.scan_version(made.registry, model, number))
    assert again.scanned_at is not None and found.scanned_at is not None and again.scanned_at > found.scanned_at
    assert again.files == found.files
    shown = platform.command("models", "scan", model, str(number), "--registry", made.registry)
    assert "runs code" in shown.stdout + shown.stderr
