"""Versions leave as bundles and come back with the same sums; other folders come in, too."""

from __future__ import annotations

import json
from pathlib import Path

from registry_tui.client.client import RegistryClient
from registry_tui.schemas.models import ModelVersion, VersionStatus
from support.platforms import Platform, unique
from support.served import register


def sums(platform: Platform, version: ModelVersion) -> dict[str, str]:
    found = platform.call(RegistryClient.manifest, version.registry_id, version.model_id, version.version)
    return {entry.path: entry.sha256 for entry in found.files}


def imported(platform: Platform, *arguments: str) -> ModelVersion:
    return ModelVersion.model_validate(json.loads(platform.command("models", "import", *arguments, "--json").stdout))


def test_a_version_goes_out_as_a_bundle_and_comes_in_with_the_same_sums(platform: Platform, tmp_path: Path) -> None:
    project = platform.new_project()
    original = register(platform, project).version
    here = ("models", "export", original.model_name, "1", "--registry", original.registry_id, "--to")
    for target in (tmp_path / "out.tar", tmp_path / "out"):
        platform.command(*here, str(target))
        assert platform.command(*here, str(target), check=False).returncode == 1
        name = unique("back")
        back = imported(platform, str(target), "--name", name, "--project", project.id)
        assert (back.model_name, back.status, back.servable) == (name, VersionStatus.READY, True)
        assert sums(platform, back) == sums(platform, original)
        signed = platform.call(RegistryClient.signatures, back.registry_id, name, 1).signatures
        # Its own, and that of the original.
        assert [each.problem for each in signed] == ["", ""]


def test_a_changed_bundle_leaves_nothing(platform: Platform, tmp_path: Path) -> None:
    project = platform.new_project()
    original = register(platform, project).version
    target, name = tmp_path / "out", unique("never")
    platform.command(
        "models", "export", original.model_name, "1", "--registry", original.registry_id, "--to", str(target)
    )
    changed = next(iter(sums(platform, original).values()))
    (target / "blobs/sha256" / changed).write_bytes(b"x")
    shown = platform.command("models", "import", str(target), "--name", name, "--project", project.id, check=False)
    assert shown.returncode == 1 and "another content than its digest says" in shown.stderr
    listed = platform.ask(lambda client: client.experiments(project.id)).items
    assert [each.name for each in listed if "import" in each.name] == []


def test_what_is_stored_has_to_be_what_was_announced(platform: Platform) -> None:
    project = platform.new_project()
    original = register(platform, project).version
    shown = platform.command(
        *("models", "register", "--project", project.id, "--name", unique("m"), "--content", "0" * 64),
        *("--run", original.origin.run_id or "", "--path", "model"),
        check=False,
    )
    assert shown.returncode == 1 and "not the files that were announced" in shown.stderr


def test_a_folder_of_hugging_face_comes_in_and_cannot_be_served(platform: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n")
    found = imported(platform, str(folder), "--name", unique("tiny"), "--project", platform.new_project().id)
    assert found.status is VersionStatus.READY and not found.servable
    assert found.tags == {"card.license": "mit"}
    assert "only safetensors" in (found.not_servable_reason or "")
