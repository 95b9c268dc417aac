"""Requirements in every form that MLflow, pip and conda write them: followed, or refused in words."""

from __future__ import annotations

import platform
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from registry_tui.service.deployments import model_requirements, python_environments, requirement_files
from registry_tui.service.deployments.model_requirements import Wanted, missing_here, read_wanted
from registry_tui.service.errors import InvalidInput

MLFLOW = f"mlflow=={version('mlflow')}"
PYTHON = platform.python_version()


def model(folder: Path, **files: str | bytes) -> Path:
    """A model's folder; `__` in a name is a slash, `_DOT_` a dot."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def wheel(path: Path, code: str = "") -> Path:
    """A wheel of a package of one module, as `pip wheel` names it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name, number = path.name.split("-")[:2]
    info = f"{name}-{number}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def texts(wanted: Wanted) -> list[str]:
    return [each.text for each in wanted.requirements.required]


def test_what_log_model_writes_with_constraints_is_followed(tmp_path: Path) -> None:
    folder = model(
        tmp_path,
        requirements_DOT_txt=f"-c constraints.txt\n{MLFLOW}\nnumpy\n",
        constraints_DOT_txt="numpy<1\nno-such-package==1\n",
        python_env_DOT_yaml=f"python: {PYTHON}\ndependencies: [-r requirements.txt]\n",
    )
    wanted = read_wanted(folder)
    assert texts(wanted) == [MLFLOW, "numpy"]
    assert [each.text for each in wanted.requirements.constraints] == ["numpy<1", "no-such-package==1"]
    assert [each for each in missing_here(wanted) if "constraint" not in each] == []
    assert len(missing_here(wanted)) == 1 and missing_here(wanted)[0].startswith("numpy<1")


@pytest.mark.parametrize(
    "form", ["-r other/more.txt", "-rother/more.txt", "--requirement other/more.txt", "--requirement=other/more.txt"]
)
def test_nested_files_are_followed_from_their_own_folder(tmp_path: Path, form: str) -> None:
    folder = model(
        tmp_path,
        requirements_DOT_txt=f"{form}\n",
        other__more_DOT_txt="-r again.txt\nnumpy\n--constraint ../c.txt\n",
        other__again_DOT_txt=f"-r more.txt\n{MLFLOW}\n",
        c_DOT_txt="numpy>1\n",
    )
    wanted = read_wanted(folder)
    assert sorted(texts(wanted)) == [MLFLOW, "numpy"] and not missing_here(wanted)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_comments_and_markers_are_read(tmp_path: Path, encoding: str) -> None:
    text = (
        f"# made by a tool\r\n{MLFLOW}  # pinned\r\nnumpy ; python_version >= '3'\r\nnone==1 ; python_version < '3'\r\n"
    )
    wanted = read_wanted(model(tmp_path, requirements_DOT_txt=text.encode(encoding)))
    assert texts(wanted) == [MLFLOW, "numpy ; python_version >= '3'", "none==1 ; python_version < '3'"]
    assert not missing_here(wanted)


def test_hashes_over_several_lines_belong_to_their_requirement(tmp_path: Path) -> None:
    one, two = "a" * 64, "b" * 64
    text = f"{MLFLOW} \\\n    --hash=sha256:{one} \\\n    --hash sha256:{two}\n    # via the model\nnumpy\n"
    wanted = read_wanted(model(tmp_path, requirements_DOT_txt=text))
    first, second = wanted.requirements.required
    assert (first.text, first.hashes, second.hashes) == (MLFLOW, (f"sha256:{one}", f"sha256:{two}"), ())
    assert first.line == f"{MLFLOW} --hash=sha256:{one} --hash=sha256:{two}"


def test_wheels_beside_the_model_are_found_and_name_the_environment_by_their_bytes(tmp_path: Path) -> None:
    archive = wheel(tmp_path / "wheels" / "mine-1.0-py3-none-any.whl", "x = 1")
    folder = model(tmp_path, requirements_DOT_txt="wheels/mine-1.0-py3-none-any.whl\nmlflow\n")
    wanted = read_wanted(folder)
    assert wanted.requirements.required[0].name == "mine"
    assert wanted.requirements.required[0].line == archive.as_uri()
    assert missing_here(wanted) == ["wheels/mine-1.0-py3-none-any.whl (it comes with the model)"]
    before = python_environments.key_of(wanted)
    wheel(archive, "x = 2")
    assert python_environments.key_of(wanted) != before


def test_conda_names_what_it_leaves_out_and_pins_python(tmp_path: Path) -> None:
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [
            "python=3.11.4",
            "pip<=24",
            "r-base",
            "conda-forge::cuda=11.8",
            {"pip": [MLFLOW, "numpy"]},
        ],
    }
    wanted = read_wanted(model(tmp_path, conda_DOT_yaml=yaml.safe_dump(conda)))
    assert (texts(wanted), wanted.python) == ([MLFLOW, "numpy"], "3.11.4")
    assert wanted.left_out == ("r-base", "conda-forge::cuda=11.8")
    # Also where MLflow wrote a requirements.txt of pip's part.
    assert read_wanted(model(tmp_path, requirements_DOT_txt=MLFLOW)).left_out == wanted.left_out


@pytest.mark.parametrize(
    "conda", ["[]", "dependencies: 3", "dependencies: [{pip: x}]", "dependencies: [{pip: [numpy]}, 4]"]
)
def test_odd_conda_files_do_no_harm(tmp_path: Path, conda: str) -> None:
    read_wanted(model(tmp_path, conda_DOT_yaml=conda, requirements_DOT_txt="mlflow\n"))


def test_python_env_alone_is_enough(tmp_path: Path) -> None:
    folder = model(tmp_path, python_env_DOT_yaml="python: 3.11\ndependencies: [mlflow, numpy]\n")
    assert (texts(read_wanted(folder)), read_wanted(folder).python) == (["mlflow", "numpy"], "3.11")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-r gone.txt", "missing in the model"),
        ("-c ../../etc/passwd", "not beside the model"),
        ("-r https://example.org/r.txt", "not beside the model"),
        ("-r /etc/hosts", "not beside the model"),
        ("wheels/gone-1.0-py3-none-any.whl", "missing in the model"),
        ("./../x.whl", "not beside the model"),
        ("-e .", "folder of the machine that logged the model"),
        ("numpy @ file:///croot/numpy/work", "file of the machine that logged the model"),
        ("numpy @ /home/ann/numpy", "file of the machine that logged the model"),
        ("numpy @ ../../numpy", "file of the machine that logged the model"),
        ("numpy @ git+file:///home/ann/numpy", "file of the machine that logged the model"),
        ("git+file:///home/ann/numpy", "file of the machine that logged the model"),
        ("git+/home/ann/numpy", "file of the machine that logged the model"),
        ("-e git+file:///home/ann/numpy", "file of the machine that logged the model"),
        ("numpy @ ftp://example.org/numpy.zip", "a kind that is not followed here"),
        ("git+https://example.org/x.git -e /home/ann", "more than an address"),
        ("git+https://example.org/x.git#subdirectory=../../home/ann", "outside of the fetched files"),
        ("x @ git+https://example.org/x.git#egg=x&subdirectory=a/%2e%2e/b", "outside of the fetched files"),
        ("gone-1.0-py3-none-any.whl", "missing in the model"),
        ("--pre -i https://example.org/simple", "not followed here"),
        ("--no-binary numpy --index-url https://example.org/simple", "not followed here"),
        ("/home/ann/x-1.0-py3-none-any.whl", "file of the machine that logged the model"),
        ("file:///home/ann/x-1.0-py3-none-any.whl", "file of the machine that logged the model"),
        ("--no-index", "not followed here"),
        ("--use-feature=fast-deps", "not followed here"),
        ("numpy --global-option=x", "not followed here"),
        ("numpy==${VERSION}", "environment variable"),
        ("numpy=1.2", "cannot be read"),
        ("!!", "cannot be read"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        read_wanted(model(tmp_path, requirements_DOT_txt=f"mlflow\n{text}\n"))
    assert caught.value.action and "\n" not in caught.value.detail


@pytest.mark.parametrize(
    "entry",
    [
        "numpy\n-i https://example.org/simple",
        "git+https://example.org/x.git\n--extra-index-url https://example.org/simple",
        "--no-binary :all:\n-i https://example.org/simple",
        "--pre\u2028-i https://example.org/simple",
    ],
)
@pytest.mark.parametrize("form", ["python_env", "conda"])
def test_an_entry_with_line_breaks_brings_no_option_past_the_rules(tmp_path: Path, entry: str, form: str) -> None:
    dependencies = [entry] if form == "python_env" else [{"pip": [entry]}]
    values = yaml.safe_dump({"dependencies": dependencies})
    wanted = read_wanted(model(tmp_path, **{f"{form}_DOT_yaml": values}))
    assert wanted.requirements.indexes == ["https://example.org/simple"]
    assert all(len(line.splitlines()) == 1 for line in (*texts(wanted), *wanted.requirements.options, "one"))
    with pytest.raises(InvalidInput, match="is not used here"):
        model_requirements.check_indexes(wanted, ())


def test_a_wheel_at_the_top_of_the_model_is_that_file(tmp_path: Path) -> None:
    archive = wheel(tmp_path / "mine-1.0-py3-none-any.whl")
    wanted = read_wanted(model(tmp_path, requirements_DOT_txt=f"mlflow\n{archive.name}\n"))
    assert wanted.requirements.required[1].line == archive.as_uri()


@pytest.mark.parametrize("python", ["3.11; rm", "/tmp/python", "latest", "[3, 11]", "-c"])
def test_a_python_that_is_not_a_version_is_refused(tmp_path: Path, python: str) -> None:
    with pytest.raises(InvalidInput, match="is not a version"):
        read_wanted(model(tmp_path, requirements_DOT_txt="mlflow", python_env_DOT_yaml=f"python: '{python}'"))


@pytest.mark.parametrize("name", ["conda_DOT_yaml", "python_env_DOT_yaml"])
def test_broken_yaml_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=name.replace("_DOT_", ".")):
        read_wanted(model(tmp_path, requirements_DOT_txt="mlflow", **{name: b"\xff\xfe\x00"}))


@pytest.mark.parametrize("form", ["--extra-index-url {}", "--index-url={}", "-i {}", "--find-links {}"])
def test_indexes_are_used_only_when_they_are_allowed(tmp_path: Path, form: str) -> None:
    url = "https://user:secret@packages.example.org/simple/"
    wanted = read_wanted(model(tmp_path, requirements_DOT_txt=f"{form.format(url)}\nmine\n"))
    assert wanted.requirements.indexes == [url]
    with pytest.raises(InvalidInput, match=r"packages\.example\.org/simple/, which is not used here") as caught:
        model_requirements.check_indexes(wanted, ())
    assert "package_indexes" in (caught.value.action or "") and "secret" not in caught.value.detail
    model_requirements.check_indexes(wanted, (url.rstrip("/"),))


def test_the_key_depends_on_everything_that_an_environment_is_made_of(tmp_path: Path) -> None:
    def key(text: str, constraint: str = "", *indexes: str) -> str:
        folder = model(tmp_path, requirements_DOT_txt=text, c_DOT_txt=constraint)
        return python_environments.key_of(read_wanted(folder), indexes)

    base = key("mlflow\nnumpy\n")
    assert key("numpy\nmlflow # same\n") == base == key("-c c.txt\nmlflow\nnumpy\n")
    others = [
        key("-c c.txt\nmlflow\nnumpy\n", "numpy<3\n"),
        key("-c c.txt\nmlflow\nnumpy\n", "numpy<4\n"),
        key("-r c.txt\nmlflow\nnumpy\n", "pandas\n"),
        key("--pre\nmlflow\nnumpy\n"),
        key(f"mlflow\nnumpy --hash=sha256:{'a' * 64}\n"),
        key("mlflow\nnumpy\n", "", "https://packages.example.org"),
    ]
    assert len({base, *others}) == 7


def test_a_version_of_the_servers_packages_that_the_model_asks_for_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []

    def run(command: list[str], *_: object) -> int:
        if "install" in command:
            listed.extend(Path(command[command.index("-r") + 1]).read_text().splitlines())
        else:
            Path(command[-1]).mkdir()
        return 0

    monkeypatch.setattr(python_environments, "_run", run)
    wanted = read_wanted(model(tmp_path, requirements_DOT_txt="uvicorn==0.23.0\nmlflow-skinny==3.1.0\n"))
    python_environments._build(wanted, tmp_path / "environment", print, lambda: None)
    names = [line.partition("==")[0] for line in listed]
    # An MLflow of the model's own may lack the packages that verify signatures.
    wanted_names = ["cryptography", "httptools", "mlflow-skinny", "orjson", "uvicorn", "uvloop"]
    assert sorted(names) == wanted_names and "uvicorn==0.23.0" in listed


def test_direct_addresses_and_repositories_are_kept_for_uv(tmp_path: Path) -> None:
    text = "-e git+https://example.org/x.git@main\nhttps://example.org/y-1.0-py3-none-any.whl\nz @ https://example.org/z.zip\n"
    wanted = read_wanted(model(tmp_path, requirements_DOT_txt=text))
    assert [each.line for each in wanted.requirements.required] == text.removeprefix("-e ").splitlines()
    assert all("comes from an address" in each for each in missing_here(wanted)) and len(missing_here(wanted)) == 3


def test_logical_lines_are_those_of_pip() -> None:
    text = "a \\\n  b\n# c \\\nd\ne \\\n# f\ng#h\n\\\n\ni \\"
    assert list(requirement_files.logical_lines(text)) == ["a   b", "d", "e", "g#h", "i"]
