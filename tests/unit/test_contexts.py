"""Contexts: which one is used, and that nobody else can read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.platform import contexts
from registry_tui.platform.contexts import LOCAL, Context, NoContext
from registry_tui.platform.errors import Damaged
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.schemas.places import ProjectCredentials

LAB = Context("lab", "https://models.lab:8443", "ada", "rt_1_secret", "")
OTHER = Context("other", "https://10.0.0.1:8443", "bob", "rt_2_secret", "")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {contexts.FOLDER_VARIABLE: str(tmp_path / "contexts")}


def test_this_machine_is_the_context_where_nobody_signed_in(environment: dict[str, str]) -> None:
    assert contexts.chosen(environment) is None
    assert contexts.load(environment).current == LOCAL
    assert not contexts.folder(environment).exists()


def test_the_last_sign_in_is_the_context(environment: dict[str, str]) -> None:
    contexts.keep(LAB, environment)
    contexts.keep(OTHER, environment)
    assert contexts.chosen(environment) == OTHER
    contexts.use("lab", environment)
    assert contexts.chosen(environment) == LAB
    contexts.use(LOCAL, environment)
    assert contexts.chosen(environment) is None


def test_a_home_that_is_named_goes_before_the_context_and_a_named_context_before_the_home(
    environment: dict[str, str],
) -> None:
    contexts.keep(LAB, environment)
    at_home = {**environment, ENVIRONMENT_VARIABLE: "/somewhere"}
    assert contexts.chosen(at_home) is None
    assert contexts.chosen({**at_home, contexts.VARIABLE: "lab"}) == LAB
    assert contexts.chosen({**environment, contexts.VARIABLE: LOCAL}) is None


def test_only_their_owner_can_read_them(environment: dict[str, str]) -> None:
    contexts.keep(LAB, environment)
    folder = contexts.folder(environment)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "contexts.json").stat().st_mode & 0o777 == 0o600
    assert "secret" not in repr(LAB)


def test_signing_out_forgets_the_token_and_deleting_forgets_all(environment: dict[str, str]) -> None:
    contexts.keep(LAB, environment)
    contexts.pinned_file("lab", environment).write_text("certificate")
    contexts.sign_out("lab", environment)
    assert "rt_1_secret" not in (contexts.folder(environment) / "contexts.json").read_text()
    assert contexts.pinned_file("lab", environment).exists()
    contexts.delete("lab", environment)
    assert contexts.load(environment) == contexts.Contexts()
    assert not contexts.pinned_file("lab", environment).exists()


def test_contexts_share_no_file(environment: dict[str, str]) -> None:
    names = ("a:1", "a_1", "a.1", "a-1", "a1", "A:1", "A1", "a:1.terminal", "a.terminal", "a", "A", "contexts", "3a")
    for name in names:
        contexts.keep(Context(name, "https://10.0.0.1"), environment)
        contexts.pinned_file(name, environment).write_text(f"certificate of {name}")
        contexts.memory_file(name, environment).write_text(f"memory of {name}")
    # As on a disk that takes capitals for small letters.
    files = [path.name.casefold() for path in contexts.folder(environment).iterdir()]
    assert len(files) == len(set(files)) == 1 + 2 * len(names)
    for number, name in enumerate(names):
        for other in names[number:]:
            assert contexts.pinned_file(other, environment).read_text() == f"certificate of {other}"
            assert contexts.memory_file(other, environment).read_text() == f"memory of {other}"
        contexts.delete(name, environment)


def test_names_that_are_not_known_say_which_are(environment: dict[str, str]) -> None:
    contexts.keep(LAB, environment)
    for act in (contexts.use, contexts.delete, contexts.sign_out):
        with pytest.raises(NoContext, match=r"'nope'.*local, lab"):
            act("nope", environment)
    with pytest.raises(NoContext):
        contexts.delete(LOCAL, environment)
    with pytest.raises(NoContext):
        contexts.sign_out(LOCAL, environment)


def test_a_damaged_file_says_what_to_do(environment: dict[str, str]) -> None:
    contexts.private_folder(environment)
    for text in ("", "{", "[]", '{"current": 1}', '{"current": "x", "contexts": [{"name": 1}]}'):
        (contexts.folder(environment) / "contexts.json").write_text(text)
        with pytest.raises(Damaged) as caught:
            contexts.load(environment)
        assert "login" in (caught.value.action or "")


async def test_a_client_works_in_the_context_unless_it_is_given_a_home(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(contexts.FOLDER_VARIABLE, environment[contexts.FOLDER_VARIABLE])
    for chosen in ("REGISTRY_TUI_HOME", contexts.VARIABLE):
        monkeypatch.delenv(chosen, raising=False)
    contexts.keep(LAB, environment)
    async with RegistryClient() as elsewhere, RegistryClient(Home(tmp_path)) as here:
        assert (elsewhere.context, elsewhere.elsewhere) == (LAB, LAB.url)
        assert (here.context, here.elsewhere) == (None, "")
    contexts.sign_out("lab", environment)
    with pytest.raises(RegistryError, match="signed out of lab"):
        RegistryClient()


def test_the_exports_hold_a_token_or_a_name_and_password_never_both() -> None:
    here = ProjectCredentials(tracking_uri="http://x", mlflow_workspace="w", username="ada", password="p")
    there = here.model_copy(update={"password": "", "token": "rt_1_2", "certificate": "/c.pem"})
    assert {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"} <= here.as_exports().keys()
    assert "MLFLOW_TRACKING_TOKEN" not in here.as_exports()
    exports = there.as_exports()
    assert exports["MLFLOW_TRACKING_TOKEN"] == "rt_1_2"
    assert exports["MLFLOW_TRACKING_SERVER_CERT_PATH"] == "/c.pem"
    assert not {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"} & exports.keys()
