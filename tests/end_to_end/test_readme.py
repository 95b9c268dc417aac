"""The commands of the README for newcomers work, in its order; and so do the pipelines of `docs/pipelines.md`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from registry_tui.platform import contexts
from support.pipelines import run_github, run_gitlab
from support.platforms import PATIENCE, Platform, clean_environment, wait_for
from support.team import Team, listening_platform

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PIPELINES = (ROOT / "docs" / "pipelines.md").read_text()
#: The features of the example's model.
FEATURES = [
    *("malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids", "nonflavanoid_phenols"),
    *("proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline"),
]


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with listening_platform() as found:
        yield found


@pytest.fixture(scope="module")
def own_platform(team: Team) -> Platform:
    return team.platform


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def test_the_shell_examples_run_in_their_order(own_platform: Platform) -> None:
    shell = [each for each in blocks("sh") if ".venv" not in each]
    assert len(shell) == 5
    environment = own_platform.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    script = "set -euo pipefail\n" + "\n".join(shell)
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "ElasticnetWineModel version 1 is registered" in done.stdout
    assert '"registry-local"' in done.stdout

    python = "\n".join(blocks("python"))
    listed = subprocess.run(
        [sys.executable, "-c", python], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert listed.stdout == "ElasticnetWineModel 1\n", listed.stderr

    again = script.splitlines()[0] + "\n" + shell[0]
    done = subprocess.run(
        ["bash", "-c", again], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    assert "ElasticnetWineModel version 2 is registered" in done.stdout


def shell(script: str, environment: Mapping[str, str], folder: Path) -> str:
    """The output of a block of the page."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def deciding(platform: Platform, script: str, environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Meanwhile somebody waits for a question, and answers it with the script."""
    over = threading.Event()

    def answer() -> None:
        def asked() -> bool:
            waiting = platform.ask(lambda client: client.approvals(state="pending")).items
            return bool(waiting) or over.is_set()

        wait_for(asked, what="a question", timeout=3 * PATIENCE)
        if not over.is_set():
            shell(script, environment, folder)

    with ThreadPoolExecutor(1) as person:
        answered = person.submit(answer)
        try:
            yield
        finally:
            over.set()
        answered.result()


def test_the_pipelines_train_ask_deploy_and_go_back(team: Team, tmp_path: Path) -> None:
    rules, github, gitlab = blocks("yaml", PIPELINES)
    set_up, approve, by_mlflow = blocks("sh", PIPELINES)
    path = f"{Path(sys.executable).parent}:{team.platform.environment()['PATH']}"
    administrator = {**team.platform.environment(), "PATH": path}
    (tmp_path / "rules.yaml").write_text(rules)
    token = shell(set_up, administrator, tmp_path).splitlines()[-1]
    ann = {**administrator, "REGISTRY_TUI_USER": "ann"}

    shutil.copy(ROOT / "examples/train_elasticnet.py", tmp_path / "train.py")
    works = json.dumps({"dataframe_records": [dict.fromkeys(FEATURES, 1.0)]})
    (tmp_path / "smoke.json").write_text(works)
    machine = clean_environment(
        {"PATH": path, "HOME": str(tmp_path), contexts.FOLDER_VARIABLE: str(tmp_path / "contexts")}
    )
    hub = {**machine, "GITHUB_REPOSITORY": "acme/wine", "GITHUB_SHA": "4f2a9c1"}
    lab = {**machine, "CI_PROJECT_PATH": "acme/wine", "CI_COMMIT_SHORT_SHA": "4f2a9c1"}
    values = {
        "REGISTRY_TUI_URL": team.url,
        "REGISTRY_TUI_FINGERPRINT": team.fingerprint,
        "REGISTRY_TUI_TOKEN": token,
    }

    def served() -> int:
        return team.platform.ask(lambda client: client.deployment("wine-api")).version

    with deciding(team.platform, approve, ann, tmp_path):
        ran = run_github(yaml.safe_load(github), tmp_path, hub, values)
    assert not ran.failed, ran.output
    assert ran.names[0] == "Sign in" and ran.names[-1] == "Try it"
    first = served()

    with deciding(team.platform, approve, ann, tmp_path):
        ran = run_gitlab(yaml.safe_load(gitlab), tmp_path, lab, values)
    assert not ran.failed and ran.names == ["train", "approve", "deploy"], ran.output
    second = served()
    assert second == first + 1

    # From here on, the versions are those that are there.
    (tmp_path / "smoke.json").write_text('{"dataframe_records": [{"malic_acid": "a lot"}]}')
    with deciding(team.platform, approve, ann, tmp_path):
        again = {**hub, "VERSION": str(first)}
        ran = run_github(yaml.safe_load(github), tmp_path, again, values, begin="Check the rules")
    assert ran.codes["Deploy"] == 0 and ran.codes["Try it"] == 1, ran.output
    assert ran.names[-1] == "Roll back" and ran.codes["Roll back"] == 0, ran.output
    assert served() == second

    ran = run_gitlab(yaml.safe_load(gitlab), tmp_path, {**lab, "VERSION": str(first)}, values, begin="deploy")
    assert ran.codes == {"deploy": 1} and served() == second, ran.output

    with deciding(team.platform, approve.replace("approve", "reject"), ann, tmp_path):
        ran = run_gitlab(yaml.safe_load(gitlab), tmp_path, {**lab, "VERSION": str(first)}, values, begin="approve")
    assert ran.codes == {"approve": 3}, ran.output

    ran = run_gitlab(yaml.safe_load(gitlab), tmp_path, {**lab, "VERSION": str(first)}, values, begin="deploy")
    assert ran.codes == {"deploy": 1} and "approved" in ran.output, ran.output

    (tmp_path / "rules.yaml").write_text(rules.replace("at_most: 0.8", "at_most: 0.01"))
    shell("registry-tui rules set local rules.yaml", administrator, tmp_path)
    ran = run_github(yaml.safe_load(github), tmp_path, again, values, begin="Check the rules")
    assert ran.codes == {"Check the rules": 1} and "good-enough" in ran.output, ran.output

    (tmp_path / "rules.yaml").write_text("rules: []")
    shell("registry-tui rules set local rules.yaml", administrator, tmp_path)
    assert "is updated" in shell(by_mlflow, {**machine, "MLFLOW_DISABLE_TELEMETRY": "true"}, tmp_path)
    (python,) = blocks("python", PIPELINES)
    (tmp_path / "client.py").write_text(python)
    assert shell("python client.py", machine, tmp_path) == "1\n"


def test_the_two_commands_are_targets_that_do_what_is_said() -> None:
    for target, wanted in (("demo", ("registry-tui up", "registry-tui demo")), ("test", ("pytest",))):
        plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert all(each in plan for each in wanted), plan


def test_everything_that_is_linked_is_there() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links {target}"


def test_the_keys_are_those_of_the_program() -> None:
    from registry_tui.terminal import actions

    keys = {key for screen in actions.ALL.values() for action in screen for key in action.key.split(",")}
    assert {"slash", "R", "colon", "ctrl+p", "question_mark", "ctrl+q"} <= keys
    assert [name for _, _, name in actions.SECTIONS] == [
        "Registries",
        "Projects",
        "Models",
        "Deployments",
        "Environments",
        "Activity",
    ]
