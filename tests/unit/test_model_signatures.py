"""Signatures of models: the public tool accepts ours, ours accepts its, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry_tui.contracts import signatures
from registry_tui.contracts.signatures import SignatureProblem, UnknownKey

FILES = {"MLmodel": "a: 1", "model.pkl": "\x80", "code/ü b.py": "x", "code.txt": "y", ".gitignore": "*.pyc"}


def model(folder: Path) -> tuple[Path, dict[str, str]]:
    """A model's folder, and the SHA-256 of its files."""
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    return folder, {path: hashlib.sha256(content.encode()).hexdigest() for path, content in FILES.items()}


def model_signing(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the public tool."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def pair() -> tuple[str, str, dict[str, str]]:
    """A private key, its public one, and a trust store with it."""
    private = signatures.new_private_key()
    public = signatures.public_key_of(private)
    return private, public, {signatures.fingerprint_of(public): public}


@pytest.mark.slow
def test_the_public_tool_verifies_our_signature_and_finds_a_changed_file(tmp_path: Path) -> None:
    folder, sums = model(tmp_path / "wine")
    private, public, _ = pair()
    key, sig = tmp_path / "key.pem", tmp_path / "wine.sig"
    key.write_text(public)
    sig.write_bytes(signatures.sign(private, "wine-1", sums, "v1"))
    verify = ["verify", "key", folder, "--signature", sig, "--public_key", key, "--no-ignore-git-paths"]
    found = model_signing(*verify)
    assert found.returncode == 0, found.stderr
    (folder / "MLmodel").write_text("a: 2")
    assert "Hash mismatch" in model_signing(*verify).stderr


@pytest.mark.slow
def test_a_signature_of_the_public_tool_is_accepted_when_it_is_about_all_files(tmp_path: Path) -> None:
    folder, sums = model(tmp_path / "wine")
    private, _, trusted = pair()
    key, sig = tmp_path / "private.pem", tmp_path / "wine.sig"
    key.write_text(private)
    sign = ["sign", "key", folder, "--signature", sig, "--private_key", key]
    assert model_signing(*sign).returncode == 0
    signed = signatures.verify(sig.read_bytes(), trusted)
    with pytest.raises(SignatureProblem, match=r"\.gitignore is not signed; sign with --no-ignore-git-paths"):
        signatures.check_files(signed, sums)
    sig.unlink()
    assert model_signing(*sign, "--no-ignore-git-paths").returncode == 0
    signed = signatures.verify(sig.read_bytes(), trusted)
    signatures.check_files(signed, sums)
    assert signed.version_id == ""


def payload(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], None]:
    """Changes the signed content."""

    def changed(bundle: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        change(statement)
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    return changed


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another sum": payload(lambda s: s["predicate"]["resources"][0].update(digest="0" * 64)),
    "a file less": payload(lambda s: s["predicate"]["resources"].pop()),
    "another version": payload(lambda s: s["predicate"]["registry_tui"].update(version_id="v2")),
    "another kind": lambda bundle: bundle.update(mediaType="x"),
    "another type": lambda bundle: bundle["dsseEnvelope"].update(payloadType="text/plain"),
    "two signatures": lambda bundle: bundle["dsseEnvelope"]["signatures"].append({"sig": ""}),
    "no signature": lambda bundle: bundle["dsseEnvelope"]["signatures"].clear(),
    "no key": lambda bundle: bundle["verificationMaterial"]["publicKey"].clear(),
    "a certificate": lambda bundle: bundle["verificationMaterial"].pop("publicKey"),
    "not base64": lambda bundle: bundle["dsseEnvelope"].update(payload="§"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_signature_does_not_count(change: str) -> None:
    private, _, trusted = pair()
    bundle = json.loads(signatures.sign(private, "m-1", {"a": "1" * 64, "b": "2" * 64}, "v1"))
    CHANGES[change](bundle)
    with pytest.raises(SignatureProblem):
        signatures.verify(json.dumps(bundle).encode(), trusted)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"mediaType": 1}'])
def test_what_is_no_signature_is_refused(content: bytes) -> None:
    with pytest.raises(SignatureProblem):
        signatures.read(content)


def test_a_key_that_is_not_trusted_is_told_from_a_broken_signature() -> None:
    private, _, _ = pair()
    _, _, others = pair()
    content = signatures.sign(private, "m-1", {"a": "1" * 64}, "v1")
    with pytest.raises(UnknownKey, match="is not trusted here"):
        signatures.verify(content, others)
    # A signature that only claims to be of a trusted key.
    bundle = json.loads(content)
    bundle["verificationMaterial"]["publicKey"]["hint"] = next(iter(others))
    with pytest.raises(SignatureProblem, match="was not made by the key"):
        signatures.verify(json.dumps(bundle).encode(), others)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "1" * 64, "b": "2" * 64}, ""),
        ({"a": "1" * 64}, "b was signed, and is not there"),
        ({"a": "1" * 64, "b": "2" * 64, "c": "3" * 64}, "c is not signed"),
        ({"a": "1" * 64, "b": "3" * 64}, "b differs from the signed file"),
    ],
)
def test_exactly_the_signed_files_are_accepted(files: dict[str, str], said: str) -> None:
    private, _, trusted = pair()
    signed = signatures.verify(signatures.sign(private, "m-1", {"a": "1" * 64, "b": "2" * 64}, "v1"), trusted)
    assert (signed.name, signed.version_id) == ("m-1", "v1")
    if not said:
        signatures.check_files(signed, files)
        return
    with pytest.raises(SignatureProblem, match=said):
        signatures.check_files(signed, files)


def test_keys_of_other_kinds_are_refused() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    odd = ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*form).decode()
    with pytest.raises(SignatureProblem, match="P-256, P-384, P-521"):
        signatures.clean_public_key(odd)
    other = rsa.generate_private_key(65537, 2048).public_key().public_bytes(*form).decode()
    with pytest.raises(SignatureProblem, match="elliptic curve"):
        signatures.clean_public_key(other)
    with pytest.raises(SignatureProblem, match="not a public key"):
        signatures.clean_public_key(signatures.new_private_key())
