"""Bundles and folders of models are checked whole before anything of them is used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from registry_tui.client.bundles import Bundle
from registry_tui.client.errors import RegistryError
from registry_tui.client.model_folders import read_folder
from registry_tui.contracts import modelpack
from registry_tui.service.core import ml_model


def nothing(done: int, total: int | None, files: int) -> None:
    """Ignores the progress."""


def blob(folder: Path, content: bytes) -> dict[str, Any]:
    sha = hashlib.sha256(content).hexdigest()
    (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (folder / "blobs/sha256" / sha).write_bytes(content)
    return {"digest": f"sha256:{sha}", "size": len(content)}


def bundle(folder: Path, *paths: str) -> Path:
    """A layout with one model, whose files hold their own names."""
    layers = [
        {**blob(folder, path.encode()), "mediaType": modelpack.WEIGHTS, "annotations": {modelpack.FILE_PATH: path}}
        for path in paths
    ]
    whole = {"schemaVersion": 2, "artifactType": modelpack.ARTIFACT, "layers": layers}
    top = {**blob(folder, json.dumps(whole).encode()), "mediaType": modelpack.MANIFEST}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"manifests": [top]}))
    return folder


def test_a_whole_bundle_gives_its_files(tmp_path: Path) -> None:
    found = Bundle(bundle(tmp_path, "MLmodel", "data/a.bin"))
    found.check(nothing)
    assert {layer.path: found.read(layer) for layer in found.model_files()} == {
        "MLmodel": b"MLmodel",
        "data/a.bin": b"data/a.bin",
    }


@pytest.mark.parametrize("paths", [("../out",), ("a", "a"), ("a", "a/b"), ("/etc/passwd",)])
def test_a_bundle_whose_files_lead_out_or_meet_is_refused(tmp_path: Path, paths: tuple[str, ...]) -> None:
    with pytest.raises(RegistryError, match="nothing was imported"):
        Bundle(bundle(tmp_path, *paths)).check(nothing)


@pytest.mark.parametrize("content", [b"MLmodeL", b"MLmode", b""])
def test_a_bundle_that_was_changed_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = bundle(tmp_path, "MLmodel")
    (folder / "blobs/sha256" / hashlib.sha256(b"MLmodel").hexdigest()).write_bytes(content)
    with pytest.raises(RegistryError, match="another content than its digest says"):
        Bundle(folder).check(nothing)


@pytest.mark.parametrize("text", ["", "[]", '{"manifests": []}', '{"manifests": [{"digest": "sha256:../../x"}]}'])
def test_what_is_no_bundle_is_refused(tmp_path: Path, text: str) -> None:
    folder = bundle(tmp_path, "MLmodel")
    (folder / "index.json").write_text(text)
    with pytest.raises(RegistryError, match="nothing was imported"):
        Bundle(folder)


def test_another_manifest_than_the_index_names_is_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path, "MLmodel")
    named = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"].partition(":")[2]
    (folder / "blobs/sha256" / named).write_text("{}")
    with pytest.raises(RegistryError, match="another manifest"):
        Bundle(folder)


def safetensors(data: bytes = bytes(4), cut: int = 0) -> bytes:
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    whole = len(head).to_bytes(8, "little") + head + data
    return whole[: len(whole) - cut]


def test_a_folder_of_hugging_face_is_kept_and_said_to_be_not_servable(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors())
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\ntags: [a]\n---\n# A model\n")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "lock").write_text("")
    found = read_folder(tmp_path)
    assert set(found.files) == {"model.safetensors", "config.json", "README.md"}
    assert found.tags == {"card.license": "apache-2.0"}
    paths = [*found.files, *found.added]
    assert "no python_function flavor" in ml_model.check(found.added["MLmodel"], paths)


@pytest.mark.parametrize(
    "content", [safetensors(cut=1), safetensors(bytes(5)), b"", b"x" * 20, (9).to_bytes(8, "little") + b"[1, 2, 3]"]
)
def test_weights_that_are_not_whole_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(RegistryError, match=r"model\.safetensors"):
        read_folder(tmp_path)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "model-1.safetensors").write_bytes(safetensors())
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(RegistryError, match=r"lacks 'model-2\.safetensors'"):
        read_folder(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(RegistryError, match="nothing here can read it as a model"):
        read_folder(tmp_path)
