"""`registry-tui://HOST:PORT/PROJECT`: a stock MLflow's registered models and their files are in a platform."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

from registry_tui.mlflow_plugin import entry_points
from registry_tui.mlflow_plugin.addresses import REGISTRY_STORE, TRACKING_URI_AT_START
from registry_tui.mlflow_plugin.elsewhere import calls, uploading
from registry_tui.mlflow_plugin.elsewhere.address import Address, UnusableAddress, access, parse
from registry_tui.mlflow_plugin.elsewhere.store import RegistryStore
from registry_tui.platform import contexts
from registry_tui.platform.contexts import Context
from support.little_platform import ARCHIVE, LittlePlatform, little_platform

LAB = Address("models.lab:8443", "lab")
FILES = {
    "MLmodel": b"flavors: {}\n",
    "data/weights.bin": bytes(range(256)) * 900,
    "data/ümläut +%.txt": b"",
    # Folders whose only entry has their own name, as a package in a project's folder has.
    "code/churn/churn/__init__.py": b"pass\n",
    "a/a": b"a",
}


@pytest.fixture
def signed_out(tmp_path: Path) -> dict[str, str]:
    return {contexts.FOLDER_VARIABLE: str(tmp_path / "contexts")}


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[LittlePlatform]:
    """A platform in which somebody is signed in by the variables of `registry-tui env`."""
    with little_platform() as found:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{found.place}/projects/other")
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "rt_of_lab")
        for name in ("MLFLOW_WORKSPACE", "_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_REGISTRY_STORE"):
            monkeypatch.delenv(name, raising=False)
        found.models.append({"name": "churn"})
        yield found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for path, content in FILES.items():
        (tmp_path / "model" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / path).write_bytes(content)
    return tmp_path / "model"


def store_of(platform: LittlePlatform) -> RegistryStore:
    found = entry_points.open_store(f"registry-tui://{platform.place}/lab")
    assert isinstance(found, RegistryStore)
    return found


def test_an_address_names_host_port_and_project() -> None:
    assert parse("registry-tui://Models.lab:8443/lab") == LAB
    assert parse("registry-tui://[::1]:8443/team%2Flab") == Address("[::1]:8443", "team/lab")
    assert str(Address("[::1]:8443", "team/lab")) == "registry-tui://[::1]:8443/team%2Flab"
    assert parse(str(Address("h:1", "lab", ARCHIVE))) == Address("h:1", "lab", ARCHIVE)


@pytest.mark.parametrize(
    "uri",
    [
        "registry-tui://models.lab/lab",
        "registry-tui://models.lab:8443",
        "registry-tui://models.lab:8443/",
        "registry-tui://:8443/lab",
        "registry-tui://models.lab:x/lab",
        "https://models.lab:8443/lab",
    ],
)
def test_an_address_that_lacks_something_says_the_form(uri: str) -> None:
    with pytest.raises(UnusableAddress, match="registry-tui://HOST:PORT/PROJECT"):
        parse(uri)


@pytest.mark.parametrize("secret", ["ann:s3cret@models.lab:8443/lab", "models.lab:8443/lab?token=s3cret"])
def test_secrets_in_an_address_are_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(UnusableAddress, match="registry-tui login") as refused:
        parse(f"registry-tui://{secret}")
    assert "s3cret" not in str(refused.value)


def test_somebody_who_signed_in_is_known_by_host_and_port(signed_out: dict[str, str]) -> None:
    contexts.keep(Context("lab", "https://models.lab:8443", "ada", "rt_1", "/pinned.pem"), signed_out)
    contexts.keep(Context("other", "https://models.lab:9443", "bob", "rt_2"), signed_out)
    found = access(LAB, signed_out)
    assert found.url == "https://models.lab:8443/mlflow/projects/lab"
    assert (found.token, found.certificate) == ("rt_1", "/pinned.pem")
    assert "rt_1" not in repr(found)


def test_of_two_people_at_one_place_the_current_context_counts(signed_out: dict[str, str]) -> None:
    for name, token in (("a", "rt_1"), ("b", "rt_2"), ("c", "rt_3")):
        contexts.keep(Context(name, "https://models.lab:8443", name, token), signed_out)
    contexts.use("b", signed_out)
    assert access(LAB, signed_out).token == "rt_2"


def test_contexts_that_cannot_be_read_are_an_error_of_mlflow(
    signed_out: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts.keep(Context("lab", "https://models.lab:8443", "ada", "rt_1"), signed_out)
    for name in ("MLFLOW_TRACKING_URI", TRACKING_URI_AT_START):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(contexts.FOLDER_VARIABLE, signed_out[contexts.FOLDER_VARIABLE])
    file = contexts.folder(signed_out) / "contexts.json"
    file.unlink()
    file.mkdir()
    with pytest.raises(MlflowException, match=r"registry-tui login.*cannot be read"):
        calls.host_credentials(LAB)


def test_variables_count_for_their_own_place_only(signed_out: dict[str, str]) -> None:
    theirs = {**signed_out, "MLFLOW_TRACKING_URI": "https://mlflow.example.com", "MLFLOW_TRACKING_TOKEN": "theirs"}
    with pytest.raises(UnusableAddress, match="registry-tui login"):
        access(LAB, theirs)
    contexts.keep(Context("lab", "https://models.lab:8443", "ada", "rt_1"), signed_out)
    assert access(LAB, theirs).token == "rt_1"
    ours = {**theirs, "MLFLOW_TRACKING_URI": "https://models.lab:8443/mlflow/projects/other"}
    found = access(LAB, ours)
    assert (found.url, found.token) == ("https://models.lab:8443/mlflow/projects/lab", "theirs")


def test_variables_of_this_machines_platform_lead_to_its_mlflow_server(signed_out: dict[str, str]) -> None:
    variables = {
        **signed_out,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000/projects/lab",
        "MLFLOW_TRACKING_USERNAME": "ada",
        "MLFLOW_TRACKING_PASSWORD": "x",
    }
    found = access(Address("127.0.0.1:5000", "lab"), variables)
    assert (found.url, found.username) == ("http://127.0.0.1:5000/projects/lab", "ada")


def test_variables_count_as_they_were_before_a_server_changed_them(signed_out: dict[str, str]) -> None:
    changed = {**signed_out, "MLFLOW_TRACKING_URI": "sqlite:////srv/mlflow.db", "MLFLOW_TRACKING_TOKEN": "rt_1"}
    with pytest.raises(UnusableAddress):
        access(LAB, changed)
    changed[TRACKING_URI_AT_START] = "https://models.lab:8443/mlflow/projects/x"
    assert access(LAB, changed).token == "rt_1"
    # The token is for the other place.
    with pytest.raises(UnusableAddress):
        access(LAB, {**changed, "MLFLOW_TRACKING_URI": "https://elsewhere:8443/mlflow/projects/x"})


def test_another_machine_is_not_asked_without_tls(signed_out: dict[str, str]) -> None:
    variables = {**signed_out, "MLFLOW_TRACKING_URI": "http://models.lab:8443", "MLFLOW_TRACKING_TOKEN": "x"}
    with pytest.raises(UnusableAddress, match="TLS"):
        access(LAB, variables)


def test_a_version_has_the_bytes_of_the_model_and_says_where_it_came_from(
    platform: LittlePlatform, model: Path
) -> None:
    # MLflow's server gives tags as its protocol has them.
    tags = [SimpleNamespace(key="stage", value="test")]
    store_of(platform).create_model_version("churn", str(model), "theirs", tags, local_model_path=str(model))
    (version,) = platform.versions
    folder = version["source"].removeprefix("mlflow-artifacts:/")
    assert {path.removeprefix(f"{folder}/"): content for path, content in platform.files.items()} == FILES
    assert version["run_id"] == "run0" and platform.runs["run0"]["status"] == "FINISHED"
    assert {tag["key"]: tag["value"] for tag in version["tags"]} == {
        "stage": "test",
        uploading.SOURCE_TAG: str(model),
        uploading.RUN_TAG: "theirs",
    }
    assert platform.authorizations == {"Bearer rt_of_lab"}
    assert platform.experiments == [uploading.EXPERIMENT]


def test_bytes_that_are_lost_on_the_way_make_no_version(platform: LittlePlatform, model: Path) -> None:
    platform.loses = 1
    with pytest.raises(MlflowException, match="arrived whole"):
        store_of(platform).create_model_version("churn", str(model), local_model_path=str(model))
    assert platform.versions == [] and platform.runs["run0"]["status"] == "DELETED"


def test_a_version_that_is_refused_leaves_no_run(platform: LittlePlatform, model: Path) -> None:
    platform.refuses_versions = True
    with pytest.raises(MlflowException, match="of the little platform"):
        store_of(platform).create_model_version("churn", str(model), local_model_path=str(model))
    assert platform.runs["run0"]["status"] == "DELETED"


@pytest.mark.parametrize("status", [0, 500])
def test_a_version_whose_answer_is_lost_is_found_and_keeps_its_run(
    platform: LittlePlatform, model: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    platform.loses_answers = status
    made = store_of(platform).create_model_version("churn", str(model), local_model_path=str(model))
    assert (made.version, made.run_id) == ("1", "run0")
    assert len(platform.versions) == 1 and platform.runs["run0"]["status"] == "FINISHED"


@pytest.mark.parametrize("status", [0, 500])
def test_a_run_stays_where_nobody_knows_whether_its_version_will_be_made(
    platform: LittlePlatform, model: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    platform.loses_answers, platform.forgets_versions = status, True
    with pytest.raises(MlflowException):
        store_of(platform).create_model_version("churn", str(model), local_model_path=str(model))
    assert platform.runs["run0"]["status"] == "FINISHED"


def test_nothing_is_sent_for_a_missing_model_or_without_an_mlmodel(platform: LittlePlatform, model: Path) -> None:
    with pytest.raises(MlflowException, match="RESOURCE_DOES_NOT_EXIST"):
        store_of(platform).create_model_version("missing", str(model), local_model_path=str(model))
    (model / "MLmodel").unlink()
    with pytest.raises(MlflowException, match="no file MLmodel"):
        store_of(platform).create_model_version("churn", str(model), local_model_path=str(model))
    assert platform.files == {} and platform.runs == {}


def test_copies_and_prompts_have_no_files_to_send(platform: LittlePlatform) -> None:
    store_of(platform).create_model_version("churn", "models:/other/3")
    store_of(platform).create_model_version(
        "churn", "prompt", tags=[ModelVersionTag("mlflow.prompt.is_prompt", "true")]
    )
    assert [version["source"] for version in platform.versions] == ["models:/other/3", "prompt"]
    assert platform.runs == {}


def test_the_files_of_a_version_are_read_from_the_platform(platform: LittlePlatform, tmp_path: Path) -> None:
    platform.files |= {f"{ARCHIVE}/{path}": content for path, content in FILES.items()}
    uri = store_of(platform).get_model_version_download_uri("churn", "1")
    assert uri == f"registry-tui://{platform.place}/lab/{ARCHIVE}"
    (tmp_path / "got").mkdir()
    got = Path(download_artifacts(uri, dst_path=str(tmp_path / "got")))
    assert {path.relative_to(got).as_posix(): path.read_bytes() for path in got.rglob("*") if path.is_file()} == FILES


@pytest.mark.parametrize(
    "path", ["workspaces/lab/7/run0/artifacts", f"{ARCHIVE}/../../x", "", "workspaces/lab/registry"]
)
def test_nothing_but_archives_is_read_and_nothing_is_written(platform: LittlePlatform, path: str, model: Path) -> None:
    with pytest.raises(MlflowException):
        get_artifact_repository(f"registry-tui://{platform.place}/lab/{path}")
    with pytest.raises(MlflowException, match="does not name"):
        get_artifact_repository(f"registry-tui://{platform.place}/lab/{Path(ARCHIVE).parent}").list_artifacts()
    archive = get_artifact_repository(f"registry-tui://{platform.place}/lab/{ARCHIVE}")
    with pytest.raises(MlflowException, match="cannot be changed"):
        archive.log_artifact(str(model / "MLmodel"))


def test_the_platforms_own_server_asks_nobody_else(platform: LittlePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MLFLOW_SERVER_REGISTRY_STORE", REGISTRY_STORE)
    with pytest.raises(MlflowException):
        get_artifact_repository(f"registry-tui://{platform.place}/lab/{ARCHIVE}").list_artifacts()
    assert platform.authorizations == set()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A client of the store of a stock server, in whose process the code seems to be."""
    backend = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", backend)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", str(tmp_path / "destination"))
    return MlflowClient(tracking_uri=backend)


def test_a_server_sends_the_files_of_the_run_that_is_named_and_no_others(
    platform: LittlePlatform, server: MlflowClient, model: Path, tmp_path: Path
) -> None:
    experiment = server.create_experiment("churn", artifact_location="mlflow-artifacts:/1")
    run, other = (server.create_run(experiment).info for _ in range(2))
    folder = tmp_path / "destination" / run.artifact_uri.removeprefix("mlflow-artifacts:/")
    folder.mkdir(parents=True)
    # A name that seems to be encoded.
    model.rename(folder / r"model 50%\b")
    store = store_of(platform)
    store.create_model_version("churn", rf"{run.artifact_uri}/model 50%\b", run.run_id, [], "", "")
    sent = {path.partition("/artifacts/model/")[2]: content for path, content in platform.files.items()}
    assert sent == FILES
    refused = [
        (f"{other.artifact_uri}/%2e%2e/%2E%2E/{run.run_id}/artifacts/model", other.run_id),
        (f"{other.artifact_uri}/x/%252e%252e/%252e./../{run.run_id}/artifacts/model", other.run_id),
        (f"{other.artifact_uri}/..%2f..%2f{run.run_id}%2fartifacts%2fmodel", other.run_id),
        (rf"{other.artifact_uri}/..\..\{run.run_id}\artifacts\model", other.run_id),
        (f"{run.artifact_uri}/model", other.run_id),
        (f"{run.artifact_uri}/model", ""),
        (f"{other.artifact_uri}/../../{run.run_id}/artifacts/model", other.run_id),
        (f"{other.artifact_uri}x/model", other.run_id),
        (f"runs:/{run.run_id}/model", other.run_id),
        ("http://127.0.0.1:1/model", run.run_id),
        (str(tmp_path), run.run_id),
    ]
    for source, run_id in refused:
        with pytest.raises(MlflowException, match=r"names|Name the run"):
            store.create_model_version("churn", source, run_id, [], "", "")
    assert len(platform.versions) == 1


def test_the_light_installation_is_enough() -> None:
    code = (
        "import registry_tui.mlflow_plugin.entry_points as e, sys; e.open_store('registry-tui://h:1/lab');"
        f"e.open_artifacts('registry-tui://h:1/lab/{ARCHIVE}');"
        "print(*[m for m in sys.modules if m.startswith('registry_tui.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    parts = {name for name in done.stdout.split() if not name.startswith("registry_tui.mlflow_plugin")}
    known = {"platform", "platform.contexts", "platform.errors", "platform.paths"}
    assert {name.removeprefix("registry_tui.") for name in parts if ".contracts" not in name} == known
    plugin = "registry_tui.mlflow_plugin"
    ours = {name for name in done.stdout.split() if name.startswith(f"{plugin}.") and ".elsewhere" not in name}
    assert ours == {f"{plugin}.entry_points", f"{plugin}.addresses"}
