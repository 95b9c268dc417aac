"""The required content of an `MLmodel` file for its version to become READY, and reasons why it is not deployable."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry_tui.contracts import bounded_yaml
from registry_tui.service.core import ml_model
from registry_tui.service.errors import InvalidInput
from registry_tui.widgets.previews import model_card

FILES = ("MLmodel", "model.pkl", "code/mine.py", "conda.yaml", "python_env.yaml", "artifacts/a/b.txt")
GOOD: dict[str, Any] = {
    "artifact_path": "model",
    "flavors": {
        "python_function": {
            "loader_module": "mlflow.sklearn",
            "model_path": "model.pkl",
            "code": "code",
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "artifacts": {"a": {"path": "artifacts/a", "uri": "s3://elsewhere/a"}},
        },
        "sklearn": {"pickled_model": "model.pkl", "code": "code", "serialization_format": "cloudpickle"},
    },
    "signature": {"inputs": json.dumps([{"name": "a", "type": "double"}]), "outputs": None, "params": None},
}
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k1: 1, k2: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{','.join(['*' + before] * 10)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

UNUSABLE = {
    "empty": (b"", "is empty"),
    "only a comment": (b"# nothing\n", "is empty"),
    "null": (b"null\n", "is empty"),
    "a list": (b"- flavors\n", "holds a list"),
    "a scalar": (b"42\n", "holds a single value"),
    "text": (b"sklearn model\n", "holds a single value"),
    "not UTF-8": (b"flavors: {a: \xff\xfe}\n", "is not text in UTF-8"),
    "UTF-16": ("flavors: {}\n".encode("utf-16"), "is not text in UTF-8"),
    "binary": (bytes(range(256)), "is not text in UTF-8"),
    "control characters": (b"flavors: \x00\x01\n", "is not valid YAML"),
    "broken": (b"flavors: [\n", "is not valid YAML"),
    "tabs": (b"flavors:\n\tpython_function: {}\n", "is not valid YAML"),
    "two documents": (b"flavors: {}\n---\nflavors: {}\n", "is not valid YAML"),
    "an object of Python": (b"flavors: !!python/object/apply:os.system ['true']\n", "is not valid YAML"),
    "an impossible date": (b"utc_time_created: 2026-13-45\n", "is not valid YAML"),
    "an impossible number": (b"flavors: " + b"9" * 6000 + b"\n", "is not valid YAML"),
    "an unknown alias": (b"flavors: *gone\n", "is not valid YAML"),
    "an alias of itself": (b"flavors: &a [*a]\n", "alias of itself"),
    "a million laughs": (LAUGHS.encode(), "expands to more than"),
    "a million merges": (MERGES.encode(), "expands to more than"),
    "nested deep": (b"flavors: " + b"[" * 5000 + b"]" * 5000, "levels deep"),
    "nested deep in blocks": (b"".join(b" " * depth + b"a:\n" for depth in range(300)), "levels deep"),
    "many values": (b"[" + b"a," * 500_000 + b"]", "holds more than"),
    "huge": (b"flavors: " + b"x" * ml_model.MAX_BYTES, "at most"),
    "without flavors": (b"run_id: 1\n", "names no flavors"),
    "no flavor": (b"flavors: {}\n", "names no flavors"),
    "flavors null": (b"flavors:\n", "names no flavors"),
    "flavors a list": (b"flavors: [python_function]\n", "not a mapping"),
    "flavors text": (b"flavors: python_function\n", "not a mapping"),
    "a flavor without settings": (b"flavors: {python_function: }\n", "without settings"),
    "a flavor that is a number": (b"flavors: {1: {}}\n", "without settings"),
    "a key that is a number": (b"1: 2\nflavors: {sklearn: {}}\n", "which is not text"),
    "no loader": (b"flavors: {python_function: {}}\n", "which module loads"),
    "a loader that is a number": (b"flavors: {python_function: {loader_module: 3}}\n", "which module loads"),
}


def changed(**values: Any) -> bytes:
    """The good file with other settings of its python_function flavour."""
    flavour = {**GOOD["flavors"]["python_function"], **values}
    return yaml.safe_dump({**GOOD, "flavors": {**GOOD["flavors"], "python_function": flavour}}).encode()


@pytest.mark.parametrize(("content", "problem"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_mlflow_cannot_load_is_refused_in_words(content: bytes, problem: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(problem)) as caught:
        ml_model.check(content, FILES)
    assert caught.value.detail.startswith("The model's MLmodel file ") and "Log the model again" in str(
        caught.value.action
    )
    assert "\n" not in caught.value.detail and len(caught.value.detail) < 400
    model_card(content.decode(errors="replace"))  # the terminal's preview survives it too


def test_what_log_model_writes_is_servable() -> None:
    assert ml_model.check(yaml.safe_dump(GOOD).encode(), FILES) == ""
    assert ml_model.check(b"\xef\xbb\xbf" + yaml.safe_dump(GOOD).encode(), FILES) == ""
    shared = b"env: &e {conda: conda.yaml}\nflavors: {python_function: {loader_module: m, env: *e}}\n"
    assert ml_model.check(shared, FILES) == ""


@pytest.mark.parametrize(
    "values",
    [
        {"data": "gone.bin"},
        {"data": "model.pk"},
        {"model_path": "other/model.pkl"},
        {"code": "kode"},
        {"env": "environment.yaml"},
        {"env": {"conda": "gone.yaml"}},
        {"python_model": "python_model.pkl"},
        {"artifacts": {"a": {"path": "artifacts/none"}}},
        {"model_code_path": "/home/ann/agent.py"},
    ],
    ids=str,
)
def test_files_that_a_flavour_names_must_be_there(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="is not among the model's files"):
        ml_model.check(changed(**values), FILES)


@pytest.mark.parametrize("path", ["../model.pkl", "code/../../x", "/etc/passwd", "..", "a\0b"])
def test_paths_do_not_leave_the_folder(path: str) -> None:
    with pytest.raises(InvalidInput, match="leads out of the model's folder"):
        ml_model.check(changed(data=path), FILES)


@pytest.mark.parametrize("path", ["../example.json", "/etc/passwd", "a/../../x", "..\\x", 3])
@pytest.mark.parametrize("key", ["artifact_path", "serving_input_path"])
def test_an_input_example_does_not_lie_outside(key: str, path: Any) -> None:
    described = {"artifact_path": "input_example.json", "type": "dataframe"}
    assert ml_model.check(yaml.safe_dump({**GOOD, "saved_input_example_info": described}).encode(), FILES) == ""
    with pytest.raises(InvalidInput, match=rf"saved_input_example_info\.{key}"):
        values = {**GOOD, "saved_input_example_info": {**described, key: path}}
        ml_model.check(yaml.safe_dump(values).encode(), FILES)


def test_a_model_whose_base_lies_elsewhere_is_stored_but_not_served() -> None:
    flavours = {**GOOD["flavors"], "transformers": {"local_base_model_path": "/home/ann/llama"}}
    why = ml_model.check(yaml.safe_dump({**GOOD, "flavors": flavours}).encode(), FILES)
    assert "'/home/ann/llama'" in why and "base_model_path" in why


def test_every_entry_that_mlflow_joins_to_a_models_folder_is_looked_at() -> None:
    """A newer MLflow with another one fails here."""
    named = re.compile(
        r"(?:join|joinpath|append_to_uri_path)\([^()]*conf\w*(?:\[|\.get\()\"(\w+)\"|/ \w*conf\w*\[\"(\w+)\"\]"
    )
    by_constant = re.compile(r"_get_path_by_key\(\w+, (_[A-Z_]+)")
    found: set[str] = set()
    spec = find_spec("mlflow")
    for path in Path(str(spec and spec.origin)).parent.glob("*/**/*.py"):
        text = path.read_text(encoding="utf-8")
        if "conf" not in text or path.parts[-2] in ("server", "store"):
            continue
        found |= {"".join(each) for each in named.findall(text)}
        for constant in by_constant.findall(text):
            found |= set(re.findall(rf'^{constant} = "(\w+)"', text, re.MULTILINE))
    assert {"data", "model_data", "pickled_model", "agent_data", "saved_model_dir"} <= found
    assert found <= set(ml_model._PATHS), found - set(ml_model._PATHS)


@pytest.mark.parametrize("path", [3, ["model.pkl"], {"a": "model.pkl"}], ids=str)
def test_what_is_not_a_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInput, match="is not a path"):
        ml_model.check(changed(data=path), FILES)


@pytest.mark.parametrize("path", [".", "./code/", "artifacts", "code//mine.py", None])
def test_other_spellings_of_a_path_are_found(path: str | None) -> None:
    assert ml_model.check(changed(data=path), FILES) == ""


def test_paddle_names_a_pair_of_files_by_what_they_share() -> None:
    flavours = {"python_function": {"loader_module": "mlflow.paddle"}, "paddle": {"pickled_model": "model"}}
    assert ml_model.check(yaml.safe_dump({"flavors": flavours}).encode(), ["MLmodel", "model.pdiparams"]) == ""


@pytest.mark.parametrize("signature", ["text", {"inputs": "["}, {"inputs": "{}"}, {"params": [1]}], ids=str)
def test_a_signature_that_mlflow_cannot_parse_is_refused(signature: Any) -> None:
    with pytest.raises(InvalidInput, match="signature"):
        ml_model.check(yaml.safe_dump({**GOOD, "signature": signature}).encode(), FILES)


def test_a_model_without_python_function_is_stored_but_not_served() -> None:
    assert "no python_function flavor (only crate)" in ml_model.check(b"flavors: {crate: {model: m.bin}}", ["m.bin"])
    external = b"flavors: {}\nmetadata: {mlflow.model.isExternal: true}\n"
    assert "outside of MLflow" in ml_model.check(external, [])


def test_bounded_yaml_reads_as_pyyaml_does() -> None:
    text = "a: &a {x: 1, y: [1.5, true, null, 2026-01-02]}\nb: {<<: *a, z: 'ü'}\n"
    assert bounded_yaml.load(text.encode()) == yaml.safe_load(text)
    assert bounded_yaml.load(b"") is None
