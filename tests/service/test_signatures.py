"""Versions are signed when they are registered, and checked when they are downloaded, deployed and loaded."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry_tui.client.errors import RegistryError
from registry_tui.contracts import signatures
from registry_tui.schemas.admission import Purpose, RulesChange, Verdict
from registry_tui.schemas.deployments import DeploymentCreate
from registry_tui.schemas.models import VersionStatus
from registry_tui.schemas.operations import Workflow, WorkflowStatus
from registry_tui.schemas.places import Project
from registry_tui.schemas.promotion import VersionPromotion
from registry_tui.schemas.signatures import SignatureKind, SigningKeyAdd, SignVersion, VersionSignatures
from support import served
from support.platforms import Platform, run_python, unique, wait_for
from support.registered import object_names, object_store
from support.served import Served
from support.workflow_cases import registered_environment

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Signing:
    """An environment of the tests' own, with the content of its bucket."""

    platform: Platform
    environment: str
    project: Project

    def register(self) -> Served:
        return served.register(self.platform, self.project, add=1)

    def bucket(self, made: Served) -> str:
        return self.platform.ask(lambda client: client.registry(made.registry)).bucket

    def key(self, made: Served, name: str) -> str:
        """The key of an object of a version's archive that ends with a name."""
        prefix = f"modelregistry/{made.version.model_id}/{made.version.id}/"
        (found,) = [key for key in object_names(self.platform, self.bucket(made), prefix) if key.endswith(f"/{name}")]
        return found

    def read(self, made: Served, name: str) -> bytes:
        found = object_store(self.platform).get_object(Bucket=self.bucket(made), Key=self.key(made, name))
        return bytes(found["Body"].read())

    def write(self, made: Served, name: str, content: bytes) -> None:
        key = self.key(made, name)
        object_store(self.platform).put_object(Bucket=self.bucket(made), Key=key, Body=content)

    def tamper(self, made: Served) -> None:
        """Changes a file and the manifest with it, so that both agree."""
        self.write(made, "settings.json", b'{"add": 9}')
        self.write(made, "manifest.json", agreeing(self.read(made, "manifest.json")))

    def signatures(self, made: Served) -> VersionSignatures:
        return self.platform.ask(
            lambda client: client.signatures(made.registry, made.version.model_name, made.version.version)
        )

    def sign(self, made: Served, signature: str | None = None) -> VersionSignatures:
        request = SignVersion(signature=signature)
        return self.platform.ask(
            lambda client: client.sign_version(made.registry, made.version.model_name, made.version.version, request)
        )

    def refused(self, made: Served) -> Workflow:
        """A deployment that fails."""
        version = made.version
        request = DeploymentCreate(
            name=unique("d"), project=made.project.id, model=version.model_id, version=version.version
        )
        accepted = self.platform.ask(lambda client: client.create_deployment(request))
        ended = served.finish(self.platform, accepted.workflow, WorkflowStatus.FAILED)
        self.platform.ask(lambda client: client.delete_deployment(accepted.resource.id))
        return ended

    def findings(self, made: Served) -> list[Any]:
        version = made.version
        return self.platform.ask(
            lambda client: client.check_rules(
                made.registry, version.model_name, version.version, purpose=Purpose.DEPLOY
            )
        ).findings


def agreeing(manifest: bytes) -> bytes:
    """A manifest that matches the content written by `tamper`."""
    found = json.loads(manifest)
    for entry in found["files"]:
        if entry["path"].endswith("settings.json"):
            entry.update(size=10, sha256=hashlib.sha256(b'{"add": 9}').hexdigest())
    return json.dumps(found).encode()


@pytest.fixture(scope="module")
def signing(platform: Platform) -> Iterator[Signing]:
    environment, _, project = registered_environment(platform, synchronized=True)
    yield Signing(platform, environment, project)


def test_a_version_is_signed_when_it_is_registered_and_the_public_tool_verifies_a_download(
    signing: Signing, tmp_path: Path
) -> None:
    platform, made = signing.platform, signing.register()
    model, number = made.version.model_name, made.version.version
    (found,) = signing.signatures(made).signatures
    assert (found.kind, found.problem) == (SignatureKind.REGISTRY, "")
    assert [each.fingerprint for each in made.version.signatures] == [found.fingerprint]
    named = (model, str(number), "--registry", made.registry)
    folder, signature, key = tmp_path / "wine", tmp_path / "wine.sig", tmp_path / "key.pem"
    downloaded = platform.command("models", "download", model, str(number), str(folder), "--registry", made.registry)
    assert f"is signed by {found.key_name}" in downloaded.stderr
    assert "valid" in platform.command("models", "signature", *named, "--save", str(signature)).stdout
    shown = platform.command("signing", "keys", "show", signing.environment, found.fingerprint)
    key.write_text(shown.stdout)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    command += ["--signature", str(signature), "--public_key", str(key)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr


def test_what_was_changed_with_its_manifest_is_neither_downloaded_nor_deployed(
    signing: Signing, tmp_path: Path
) -> None:
    platform, made = signing.platform, signing.register()
    model, number = made.version.model_name, made.version.version
    signing.tamper(made)
    command = ("models", "download", model, str(number), str(tmp_path / "wine"), "--registry", made.registry)
    downloaded = platform.command(*command, check=False)
    assert downloaded.returncode == 1 and "settings.json differs from the signed file" in downloaded.stderr
    assert not (tmp_path / "wine").exists()
    assert "settings.json differs from the signed file" in str(signing.refused(made).error)
    check = platform.ask(lambda client: client.verify_archive(made.registry, model, number))
    assert not check.sound and "settings.json differs from the signed file" in check.damage


@pytest.mark.parametrize("how", ["gone", "of another version", "of another key"])
def test_a_version_with_another_signature_is_not_deployed(signing: Signing, how: str) -> None:
    made = signing.register()
    if how == "gone":
        object_store(signing.platform).delete_object(Bucket=signing.bucket(made), Key=signing.key(made, "model.sig"))
        said = "model.sig is gone"
    elif how == "of another version":
        other = served.register(signing.platform, signing.project, made.version.model_name, add=1)
        for name in ("settings.json", "manifest.json", "model.sig"):
            signing.write(made, name, signing.read(other, name))
        said = "is not signed|was made for another version|was signed, and is not there"
    else:
        files = {each["path"]: each["sha256"] for each in json.loads(signing.read(made, "manifest.json"))["files"]}
        private = signatures.new_private_key()
        signing.write(made, "model.sig", signatures.sign(private, "m-1", files, made.version.id))
        said = "is not trusted here"
    ended = signing.refused(made)
    assert ended.error is not None and "is not as it was signed" in ended.error
    assert any(each in ended.error for each in said.split("|")), ended.error


def test_a_replica_does_not_start_from_files_that_were_changed_with_their_manifest(signing: Signing) -> None:
    platform, made = signing.platform, signing.register()
    deployment = served.deploy(platform, made)
    copy = platform.home.serving / "models" / made.version.model_id / made.version.id
    (settings,) = (copy / "files").rglob("settings.json")
    settings.write_text('{"add": 9}')
    (copy / "manifest.json").write_bytes(agreeing((copy / "manifest.json").read_bytes()))
    served.kill_replica(platform, deployment)
    told = wait_for(
        lambda: [each for each in served.replicas(platform, deployment) if "as it was signed" in each.detail],
        what="the reason",
    )
    assert "settings.json differs from the signed file" in told[0].detail
    # A restart fetches the signed files.
    moved = platform.ask(lambda client: client.restart_deployment(deployment.id))
    served.finish(platform, moved.workflow)
    assert served.answer(deployment) == [4.0]


@pytest.mark.parametrize("named", [False, True], ids=["not in the manifest", "in the manifest"])
def test_a_file_that_was_added_after_signing_comes_through_no_door(
    signing: Signing, tmp_path: Path, named: bool
) -> None:
    """Readers of the manifest leave it behind; copies are refused, and every file is where the manifest names it."""
    platform, made = signing.platform, signing.register()
    model, number = made.version.model_name, made.version.version
    evil, content = "sitecustomize.py", b"print('here')"
    key = f"{signing.key(made, 'settings.json').rpartition('/')[0]}/{evil}"
    object_store(platform).put_object(Bucket=signing.bucket(made), Key=key, Body=content)
    if named:
        manifest = json.loads(signing.read(made, "manifest.json"))
        entry = {"path": f"code/{evil}", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        changed = {**manifest, "files": sorted([*manifest["files"], entry], key=lambda each: str(each["path"]))}
        signing.write(made, "manifest.json", json.dumps(changed).encode())

    def verified() -> None:
        """Verification finds it, and nothing is promoted any more."""
        check = platform.ask(lambda client: client.verify_archive(made.registry, model, number))
        assert not check.sound and evil in f"{check.damage} {check.unexpected}"
        with pytest.raises(RegistryError, match="its archive is damaged"):
            platform.ask(lambda client: client.promote_version(made.registry, model, number, request))

    out = {"download": tmp_path / "folder", "export": tmp_path / "bundle"}
    for verb, target in out.items():
        to = (str(target),) if verb == "download" else ("--to", str(target))
        command = ("models", verb, model, str(number), *to, "--registry", made.registry)
        shown = platform.command(*command, check=False)
        assert (shown.returncode, evil in shown.stderr) == ((1, True) if named else (0, False)), (verb, shown.stderr)
    came = [path for path in tmp_path.rglob("*") if path.is_file() and content in path.read_bytes()]
    assert came == []
    assert all(target.exists() is not named for target in out.values())

    name = unique("copy")
    request = VersionPromotion(to=made.registry, name=name)

    accepted = platform.ask(lambda client: client.promote_version(made.registry, model, number, request))
    served.finish(platform, accepted.workflow, WorkflowStatus.FAILED)
    copy = platform.ask(lambda client: client.version(made.registry, name, 1))
    assert copy.status is VersionStatus.FAILED_REGISTRATION and evil in copy.status_message
    prefix = f"modelregistry/{copy.model_id}/"
    assert not [each for each in object_names(platform, signing.bucket(made), prefix) if evil in each]
    if named:
        assert evil in str(signing.refused(made).error)
        verified()
        return
    deployment = served.deploy(platform, made)
    local = platform.home.serving / "models" / made.version.model_id / made.version.id
    assert not list(local.rglob(evil))
    # An additional file in the local copy prevents its replicas' starts.
    (settings,) = (local / "files").rglob("settings.json")
    settings.with_name(evil).write_bytes(content)
    served.kill_replica(platform, deployment)
    wait_for(
        lambda: [each for each in served.replicas(platform, deployment) if f"{evil} does not belong" in each.detail],
        what="the reason",
    )
    verified()


def test_a_key_that_is_trusted_no_more_ends_what_it_signed_until_it_is_signed_again(signing: Signing) -> None:
    platform, made = signing.platform, signing.register()
    deployment = served.deploy(platform, made)
    before = signing.signatures(made).signatures[0].key_name
    new = platform.ask(lambda client: client.rotate_signing_key(signing.environment))
    assert new.active and not signing.signatures(made).signatures[0].problem, "an old key stays trusted"
    with pytest.raises(RegistryError, match="signs new versions"):
        platform.ask(lambda client: client.remove_signing_key(signing.environment, new.name))
    platform.ask(lambda client: client.remove_signing_key(signing.environment, before))
    served.kill_replica(platform, deployment)
    wait_for(
        lambda: [each for each in served.replicas(platform, deployment) if "is not trusted here" in each.detail],
        what="the reason",
    )
    assert [each.key_name for each in signing.sign(made).valid] == [new.name]
    moved = platform.ask(lambda client: client.restart_deployment(deployment.id))
    served.finish(platform, moved.workflow)
    assert served.answer(deployment) == [4.0]


def test_rules_ask_for_a_signature_and_a_team_adds_its_own(signing: Signing, tmp_path: Path) -> None:
    platform, made = signing.platform, signing.register()
    model, number = made.version.model_name, made.version.version
    rules = (
        "rules:\n"
        "  - {name: signed, for: [deploy], requires: trusted_signature}\n"
        "  - {name: by-the-team, for: [deploy], requires: trusted_signature, keys: [team]}\n"
    )
    platform.ask(lambda client: client.set_rules(signing.environment, RulesChange(text=rules)))
    try:
        signed, by_team = signing.findings(made)
        assert (signed.verdict, by_team.verdict) == (Verdict.MET, Verdict.REFUSED)
        assert f"models sign {model} {number} --signature FILE" in by_team.next_step
        # The team signs the folder that it downloaded, with the public tool.
        folder, private, signature = tmp_path / "wine", tmp_path / "team.pem", tmp_path / "team.sig"
        platform.command("models", "download", model, str(number), str(folder), "--registry", made.registry)
        private.write_text(signatures.new_private_key())
        command = [sys.executable, "-m", "model_signing", "sign", "key", str(folder), "--no-ignore-git-paths"]
        command += ["--private_key", str(private), "--signature", str(signature)]
        subprocess.run(command, check=True, capture_output=True)
        with pytest.raises(RegistryError, match="is not trusted here"):
            signing.sign(made, signature.read_text())
        public = signatures.public_key_of(private.read_text())
        key = SigningKeyAdd(name="team", public_key=public)
        platform.ask(lambda client: client.add_signing_key(signing.environment, key))
        added = platform.command(
            "models", "sign", model, str(number), "--registry", made.registry, "--signature", str(signature)
        )
        assert "team" in added.stdout
        assert [each.verdict for each in signing.findings(made)] == [Verdict.MET, Verdict.MET]
        assert [each.kind for each in signing.signatures(made).valid] == [SignatureKind.REGISTRY, SignatureKind.TEAM]
        # A changed archive breaks both.
        signing.tamper(made)
        assert {each.verdict for each in signing.findings(made)} == {Verdict.REFUSED}
        platform.ask(lambda client: client.remove_signing_key(signing.environment, "team"))
        assert "is not trusted here" in signing.findings(made)[1].reason
    finally:
        platform.ask(lambda client: client.set_rules(signing.environment, RulesChange(text="rules: []")))


@pytest.mark.parametrize("how", ["with its manifest", "alone", "beside the others"])
def test_stock_code_copies_no_version_that_is_not_as_it_was_signed(signing: Signing, how: str) -> None:
    platform, made = signing.platform, signing.register()
    if how == "with its manifest":
        signing.tamper(made)
    elif how == "alone":
        size = len(signing.read(made, "settings.json"))
        signing.write(made, "settings.json", b'{"add": 9}'.ljust(size))
    else:
        key = f"{signing.key(made, 'settings.json').rpartition('/')[0]}/sitecustomize.py"
        object_store(platform).put_object(Bucket=signing.bucket(made), Key=key, Body=b"print('here')")
    name = unique("copy")
    told = run_python(COPY, platform.exports(signing.project.id), made.version.model_name, name)
    copied = platform.ask(lambda client: client.version(made.registry, name, 1))
    assert copied.status == VersionStatus.FAILED_REGISTRATION and copied.status_message in told
    said = {
        "with its manifest": "settings.json differs from the signed file",
        "alone": "differs from its manifest",
        "beside the others": "sitecustomize.py is not in it",
    }
    assert said[how] in copied.status_message
    assert not copied.signatures


#: Copies a version, and prints the outcome.
COPY = """
import sys, time, mlflow
client = mlflow.MlflowClient()
made = client.copy_model_version(f"models:/{sys.argv[1]}/1", sys.argv[2])
while made.status == "PENDING_REGISTRATION":
    time.sleep(0.2)
    made = client.get_model_version(sys.argv[2], "1")
print(made.status, made.status_message)
"""


def test_a_version_from_before_signatures_is_signed_when_somebody_asks(signing: Signing) -> None:
    platform, made = signing.platform, signing.register()
    object_store(platform).delete_object(Bucket=signing.bucket(made), Key=signing.key(made, "model.sig"))
    with closing(sqlite3.connect(platform.home.service_database, timeout=60)) as database, database:
        database.execute("DELETE FROM version_signatures WHERE version_id = ?", (made.version.id,))
    assert signing.signatures(made).signatures == []
    served.deploy(platform, made)
    assert [each.problem for each in signing.sign(made).signatures] == [""]
    signing.tamper(made)
    signing.write(made, "settings.json", b'{"add": 8}')
    with pytest.raises(RegistryError, match="is not signed: its archive is damaged"):
        signing.sign(made)


def test_signatures_go_with_their_version(signing: Signing) -> None:
    platform, made = signing.platform, signing.register()
    model, number = made.version.model_name, made.version.version
    platform.ask(lambda client: client.delete_version(made.registry, model, number))
    prefix = f"modelregistry/{made.version.model_id}/{made.version.id}/"
    wait_for(lambda: not object_names(platform, signing.bucket(made), prefix), what="the archive to go")
    with closing(sqlite3.connect(platform.home.service_database, timeout=60)) as database:
        found = database.execute("SELECT 1 FROM version_signatures WHERE version_id = ?", (made.version.id,)).fetchall()
    assert found == []


def test_the_commands_of_the_page_do_what_it_says(signing: Signing, tmp_path: Path) -> None:
    environment, _, project = registered_environment(signing.platform, synchronized=True)
    made = served.register(signing.platform, project, add=1)
    page = (ROOT / "docs/signatures.md").read_text(encoding="utf-8")
    lines = [
        line.replace("WineModel", made.version.model_name).replace(" prod", f" {environment}")
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
        # The test's own Python has it.
        if not line.startswith("pip install")
    ]
    assert len(lines) > 12
    variables = signing.platform.environment()
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = ["set -ex", *lines]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verification succeeded" in done.stdout
    assert {each.kind for each in signing.signatures(made).valid} == {SignatureKind.REGISTRY, SignatureKind.TEAM}
